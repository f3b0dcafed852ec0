/*
 * What the files of kernel/proc that build, link and end processes tell one another. Nobody else
 * includes this.
 */
#ifndef PROC_PROCESS_INTERNAL_H
#define PROC_PROCESS_INTERNAL_H

#include <proc/pid.h>
#include <proc/process.h>
#include <proc/signal.h>

/* The creator of a CLONE_VFORK child sleeps on this, which is on its stack. */
struct vfork_wait {
    struct wait_queue queue;
    bool is_done; /* [x] */
};

/** process_alloc() - an empty process with one reference, linked nowhere; NULL without memory. */
struct process *process_alloc(void);

/**
 * process_link_locked() - make a built process findable.
 * @process: pid_ref, cred, sighand and so on are set; its first thread is attached next
 * @parent:  NULL for process 1
 */
void process_link_locked(struct process *process, struct process *parent)
    REQUIRES(process_tree_lock);

/**
 * process_release_locked() - a process that was waited for leaves the tree.
 *
 * The tree's reference goes to the caller, who puts it after unlocking.
 */
void process_release_locked(struct process *process) REQUIRES(process_tree_lock);

/**
 * process_attach_thread_locked() - @thread, with number @pid, becomes one of @process.
 * Return: false, and nothing done, while the process is exiting, stopping or in execve.
 */
MUST_CHECK bool process_attach_thread_locked(struct process *process, struct thread *thread,
                                             struct pid *pid) REQUIRES(process_tree_lock);

/** process_detach_thread_locked() - the opposite. Return: was it the last? */
bool process_detach_thread_locked(struct process *process, struct thread *thread)
    REQUIRES(process_tree_lock);

/** process_reserve_thread() - count a thread against all limits. Return: 0 or -EAGAIN. */
MUST_CHECK int process_reserve_thread(struct process *process);

/** process_unreserve_thread() - a thread less. */
void process_unreserve_thread(struct user_account *account);

/** process_count_fork() - for process_fork_total(). */
void process_count_fork(void);

/**
 * process_adopt_current() - make the current kernel thread the first thread of a new process.
 *
 * The process has user 0's identity, no parent, no memory, no open files; it leads a session of
 * its own. exec_kernel() gives it a program, thread_exit_current() ends it.
 *
 * Context: a kernel thread. Return: 0, -ENOMEM, -EAGAIN.
 */
MUST_CHECK int process_adopt_current(struct process **out);

/** process_any_thread_locked() - the first thread, or NULL; sig_lock is held. */
struct thread *process_any_thread_locked(const struct process *process);

/**
 * process_notify_parent_locked() - SIGCHLD and a wake-up for the parent of a zombie.
 * Return: nobody will wait for it: the caller releases it.
 */
bool process_notify_parent_locked(struct process *process) REQUIRES(process_tree_lock);

/** process_notify_stop() - tell the parent of a stop or continue: CLD_STOPPED, CLD_CONTINUED. */
void process_notify_stop(struct process *process, int code, int signal) EXCLUDES(process_tree_lock);

/**
 * thread_leave_mm_words() - robust futexes and clear_child_tid: what a thread owes its memory.
 * Context: the current thread, which is about to leave its mm.
 */
void thread_leave_mm_words(struct thread *thread);

/** signal_stop_leave_locked() - a thread that exits does not hold up a group stop any more.
 *  Return: the stop is complete by that: tell the parent. */
bool signal_stop_leave_locked(struct process *process, struct thread *thread);

/** session_join_locked() / session_leave_locked() - membership counts of a session. */
void session_join_locked(struct session *session, struct process *process)
    REQUIRES(process_tree_lock);
void session_leave_locked(struct process *process) REQUIRES(process_tree_lock);

/** session_leader_exit_locked() - the terminal's group hears SIGHUP, the session loses it. */
void session_leader_exit_locked(struct process *leader) REQUIRES(process_tree_lock);

/** group_join_locked() / group_leave_locked() - membership of a process group. */
void group_join_locked(struct pid *group, struct process *process) REQUIRES(process_tree_lock);
void group_leave_locked(struct process *process) REQUIRES(process_tree_lock);

/** group_is_orphaned_locked() - has no member but @ignored a parent outside it, in its session? */
bool group_is_orphaned_locked(const struct pid *group, const struct process *ignored)
    REQUIRES(process_tree_lock);

/**
 * group_hangup_if_orphaned_locked() - after @process lost @parent by an exit: SIGHUP, SIGCONT.
 * @parent: NULL means that @process itself is exiting
 */
void group_hangup_if_orphaned_locked(struct process *process, const struct process *parent)
    REQUIRES(process_tree_lock);

/** group_has_stopped_locked() - is any member stopped? */
bool group_has_stopped_locked(const struct pid *group) REQUIRES(process_tree_lock);

/** session_create() - setsid(2). Return: the new session id, -EPERM, -ENOMEM. */
MUST_CHECK s64 session_create(void);

/** process_set_group() - setpgid(2). Return: 0, -EINVAL, -ESRCH, -EACCES, -EPERM. */
MUST_CHECK int process_set_group(s32 pid, s32 pgid);

#endif
