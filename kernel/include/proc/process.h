/*
 * Processes: a set of threads that share an address space, files, identity and signal actions,
 * and a place in the tree of parents and children, process groups and sessions.
 *
 * A process lives from process_create() to the moment its parent has waited for it. It has
 * threads until the last of them exits; then it is a zombie that holds no resources but its
 * record.
 *
 * Locks: [I] immutable, [T] process_tree_lock, [s] sig_lock, [Ts] written under both and read
 * under either, [x] atomic, [o] the process's own threads, one at a time by construction.
 * Order: process_tree_lock, sig_lock, sighand->lock, wait queues.
 */
#ifndef PROC_PROCESS_H
#define PROC_PROCESS_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/atomic.h>
#include <proc/spinlock.h>
#include <proc/waitqueue.h>
#include <proc/signal_types.h>
#include <proc/cred.h>
#include <proc/rlimit.h>

struct thread;
struct mm;
struct file;
struct files;
struct fs_context;
struct process_timers;
struct trapframe;
struct boot_info;

#define PID_MAX  32768
#define PID_INIT 1

/*
 * A number of the pid name space. One number can at once be a thread id, a process id, a
 * process group and a session; it is free when it is none of them. All fields: [T].
 */
struct pid {
    s32 nr;                  /* [I] */
    u32 nr_uses;             /* thread + process + group members + session */
    struct pid *next;        /* hash chain */
    struct thread *thread;   /* running thread with this id, or NULL */
    struct process *process; /* process with this id, zombies included, or NULL */
    struct list_node group;  /* struct process.group_link of the group's members */
    struct session *session; /* session with this id, or NULL */
};

/* A login session. All fields but the first: [T]. */
struct session {
    struct pid *pid;        /* [I] */
    u32 nr_members;         /* processes, zombies included */
    struct process *leader; /* NULL once the leader has exited */
    u32 tty_nr;             /* device number of the controlling terminal, 0 for none */
    u32 tty_generation;     /* counts the terminals that it took; the first one is 1 */
    s32 foreground_pgid;    /* as the console server last said */
};

enum process_state {
    PROCESS_NEW,     /* being built, not yet visible */
    PROCESS_RUNNING, /* has threads */
    PROCESS_ZOMBIE,  /* waits for its parent */
    PROCESS_DEAD,    /* waited for, unlinked */
};

struct signal_action {
    u64 handler; /* SIG_DFL, SIG_IGN or a user address */
    u64 flags;
    u64 restorer;
    u64 mask;
};

/* The table of actions. sighand.c tells when it may change, and under which lock. */
struct sighand {
    struct refcount refs;             /* [x] processes that use it */
    bool is_common;                   /* [x] set once: what one user changes is changed for all */
    bool has_resethand;               /* [x] set once: an action had SA_RESETHAND */
    struct spinlock lock;             /* irq-safe */
    struct signal_action actions[64]; /* [lock] entry n-1 for signal n */
};

/* Times and counters of the threads that have exited, and of the children waited for. */
struct process_usage {
    u64 utime_ns, stime_ns;
    u64 nvcsw, nivcsw;
    u64 minflt, majflt;
    u64 maxrss_pages;
};

struct process {
    struct refcount refs;     /* [x] */
    s32 pid;                  /* [I] */
    enum process_state state; /* [T] */
    char comm[16];            /* [o] name of the leader, outlives it */

    struct pid *pid_ref;         /* [I] */
    struct process *parent;      /* [T] NULL for the first process only */
    s32 parent_pid;              /* [T] to change; parent->pid or 0, read freely by getppid() */
    s32 creator_tid;             /* [T] thread of the parent that __WNOTHREAD and pdeath mean */
    struct list_node children;   /* [T] */
    struct list_node sibling;    /* [T] */
    struct pid *group;           /* [T] */
    struct list_node group_link; /* [T] */
    struct session *session;     /* [T] */
    u32 tty_generation;          /* [T] that of the session: its terminal is the process's too */
    bool has_execed;             /* [T] setpgid() by the parent is over */
    bool is_subreaper;           /* [T] */
    bool has_subreaper_above;    /* [T] some ancestor is a subreaper */
    bool in_parent_vfork;        /* [T] */
    u32 pdeath_signal;           /* [o] */
    s32 exit_signal;             /* [T] what the parent gets; 0 for nothing */

    struct list_node threads;   /* [Ts] struct thread.process_link */
    u32 nr_threads;             /* [Ts] */
    struct atomic_u32 nr_live;  /* [x] threads that have not begun to exit */
    struct thread *exec_thread; /* [s] thread that is killing the others for execve */
    bool group_exit;            /* [s] all threads are going */
    s32 exit_code;              /* [s] wait status word */

    struct mm *mm;                 /* [s] to change; the process's own threads read freely */
    struct files *files;           /* [T] to change; the process's own threads read freely */
    struct fs_context *fs;         /* [T] as files */
    struct sighand *sighand;       /* [s] to change */
    struct process_timers *timers; /* [x] interval timers, made on first use, or NULL */

    struct spinlock sig_lock;          /* irq-safe */
    struct signal_pending pending;     /* [s] sent to the whole process */
    struct list_node dead_records;     /* [s] signal records to free outside interrupts */
    bool stopped;                      /* [s] every thread sits in a job-control stop */
    bool stop_pending;                 /* [s] threads are on their way into a stop */
    u8 stop_signal;                    /* [s] what caused it */
    u32 stop_count;                    /* [s] threads that have yet to stop */
    bool notify_stopped;               /* [s] parent is to hear of a stop */
    bool notify_continued;             /* [s] parent is to hear of a continue */
    bool wait_stopped;                 /* [s] a stop that wait has not reported */
    bool wait_continued;               /* [s] a continue that wait has not reported */
    bool unkillable;                   /* [I] process 1: default actions do not end it */
    struct wait_queue stop_queue;      /* stopped threads sleep here */
    struct wait_queue signal_queue;    /* signalfd-like and rt_sigtimedwait sleepers */
    struct wait_queue child_queue;     /* wait4 sleepers; woken for each change of a child */
    struct wait_queue thread_queue;    /* exec waits here for the other threads to go */
    struct wait_queue exit_poll_queue; /* pidfd pollers */

    struct rlimit *limits;            /* [s] to change; RLIM_NLIMITS, see proc/rlimit.h */
    struct cred cred;                 /* [T] to change */
    struct user_account *account;     /* [Ts] of cred.uid */
    s32 oom_score_adj;                /* [o] */
    bool is_server;                   /* [o] receives messages with privilege */
    bool dumpable;                    /* [o] */
    bool keep_caps;                   /* [o] */
    bool no_new_privs;                /* [o] */
    u32 personality;                  /* [o] */
    u64 start_time_ns;                /* [I] monotonic */
    struct process_usage usage;       /* [s] threads that have exited */
    struct process_usage child_usage; /* [s] children that were waited for */
};

/** process_tree_lock - the tree, pid numbers, groups, sessions, states and thread lists. */
extern struct spinlock process_tree_lock;

/** first_process - process 1: adopts orphans; never exits. NULL until it runs. */
extern struct process *first_process;

/** proc_init() - caches, the pid table; call once, before the first process. */
void proc_init(void);

/* Requests of the clone family, already separated from the machine's registers. */
struct clone_request {
    u64 flags;       /* CLONE_*, exit signal not included */
    s32 exit_signal; /* 0..64 */
    u64 stack;       /* initial stack pointer; 0 keeps the parent's */
    u64 tls;
    u64 parent_tid; /* user address for CLONE_PARENT_SETTID */
    u64 child_tid;  /* user address for CLONE_CHILD_SETTID / CLEARTID */
    u64 pidfd;      /* user address for CLONE_PIDFD */
};

/**
 * process_clone() - fork, vfork, clone, clone3 of the current thread.
 * @request: what to share and where to write ids
 * @pid:     out: id of the new process or thread
 *
 * Context: thread in a system call; sleeps. With CLONE_VFORK, returns only when the child has
 *          left the address space or the caller is dying.
 * Return:  0, -EINVAL (flags), -EAGAIN (limits), -ENOMEM, -EFAULT, -ERESTARTNOINTR (a signal
 *          came first). Nothing is left behind on error.
 */
MUST_CHECK int process_clone(const struct clone_request *request, s32 *pid);

/** process_get() - another reference. */
void process_get(struct process *process);

/** process_put() - drop a reference; frees with the last. */
void process_put(struct process *process);

/** process_find_get() - process with id @pid, zombies included, with a reference; or NULL. */
struct process *process_find_get(s32 pid);

/** thread_find_get() - live thread with id @tid, with a reference (thread_put()); or NULL. */
struct thread *thread_find_get(s32 tid);

/** process_next_get() - the process with the lowest id above @after, referenced; or NULL. */
struct process *process_next_get(s32 after);

/** process_mm_get() - address space of @process with a users reference, NULL if it has none. */
struct mm *process_mm_get(struct process *process);

/**
 * process_mm_access() - process_mm_get() for a caller that cred_may_trace() has to admit.
 * Return: 0, -ESRCH (it has no address space any more), -EACCES.
 */
MUST_CHECK int process_mm_access(struct process *process, enum trace_ids ids, struct mm **out);

/** process_files_get() / process_fs_get() - with a reference, or NULL once it has exited. */
struct files *process_files_get(struct process *process);
struct fs_context *process_fs_get(struct process *process);

/** process_count() - number of processes, zombies included. */
u32 process_count(void);

/** process_fork_total() - processes and threads created since boot. */
u64 process_fork_total(void);

/** process_thread_count() - threads of all processes. */
u32 process_thread_count(void);

/** process_max_threads() - system-wide limit of threads, from the memory at boot. */
u32 process_max_threads(void);

/**
 * process_usage_sum() - usage of all threads, dead and alive; maxrss of the address space.
 * Context: any thread; takes process->sig_lock.
 */
void process_usage_sum(struct process *process, struct process_usage *sum);

/** thread_usage() - of one thread. */
struct process_usage thread_usage(const struct thread *thread);

/** process_usage_add() - add @part to @sum; of the sizes the larger one. */
void process_usage_add(struct process_usage *sum, const struct process_usage *part);

/** process_usage_to_rusage() - as struct rusage shows it. */
struct rusage;
void process_usage_to_rusage(const struct process_usage *usage, struct rusage *rusage);

/** process_state_char() - the letter that /proc shows: R S D T Z. Takes both locks. */
char process_state_char(struct process *process);

/** process_pgid() / process_sid() / process_ppid() - ids at this moment; take the tree lock. */
s32 process_pgid(const struct process *process);
s32 process_sid(const struct process *process);
s32 process_ppid(const struct process *process);

/** process_tty() - controlling terminal of @process and its foreground group; 0 and -1: none. */
void process_tty(const struct process *process, u32 *tty_nr, s32 *foreground_pgid);

/** process_is_session_leader() - does @process lead its session? Takes the tree lock. */
bool process_is_session_leader(const struct process *process);

/** What a server is told of a process for job control. */
struct process_job {
    s32 pgid;
    s32 sid;
    bool has_no_tty; /* the terminal of its session is not its own */
};

/** process_job() - what @process belongs to at this moment. Takes the tree lock. */
struct process_job process_job(const struct process *process);

/**
 * process_leave_tty() - the process with this id has no controlling terminal from here on, nor have
 *                       children that it gets later.
 *
 * Context: thread; takes process_tree_lock.
 * Return:  0 or -ESRCH.
 */
MUST_CHECK int process_leave_tty(s32 pid);

/** process_is_orphaned_group() - has @process's group no parent outside it in its session? */
bool process_is_orphaned_group(const struct process *process);

/**
 * session_set_tty() - what the console server says about a session's terminal. A session that had
 *                     none takes it for its leader, and for children that the leader gets later.
 * @sid:     session id
 * @fg_pgid: foreground group, or 0
 * @tty_nr:  device number, or 0 to take the terminal away
 *
 * Context: thread; takes process_tree_lock.
 * Return:  0 or -ESRCH.
 */
MUST_CHECK int session_set_tty(s32 sid, s32 fg_pgid, u32 tty_nr);

/** session_foreground() - may @process use its terminal now? (its group is in front) */
bool session_foreground(const struct process *process);

/**
 * thread_exit_current() - end the current thread; the last one ends its process.
 * @code: wait status word of the thread (see WAIT_STATUS_EXIT, WAIT_STATUS_SIGNAL)
 */
void thread_exit_current(s32 code) NORETURN;

/** process_exit_group() - end every thread of the current process with wait status @code. */
void process_exit_group(s32 code) NORETURN;

/* What to wait for. */
struct wait_request {
    u32 which;   /* P_ALL, P_PID, P_PGID */
    s32 id;      /* for P_PID and P_PGID */
    u32 options; /* W* of wait4 and waitid */
};

/* What was found. */
struct wait_result {
    s32 pid; /* 0: nothing yet, and WNOHANG was set */
    u32 uid;
    s32 code;   /* CLD_* */
    s32 status; /* wait status word */
    struct process_usage usage;
};

/**
 * process_wait() - wait for a child to exit, stop or go on.
 * Context: thread; sleeps unless WNOHANG.
 * Return:  0, -ECHILD (no such child), -ERESTARTSYS.
 */
MUST_CHECK int process_wait(const struct wait_request *request, struct wait_result *result);

/**
 * process_kill_other_threads() - leave the current thread alone in its process, as its leader.
 * Context: thread in execve; sleeps.
 * Return:  0, or -EAGAIN if another thread does the same or the process is exiting.
 */
MUST_CHECK int process_kill_other_threads(void);

/** vfork_release() - tell the creator that waits in CLONE_VFORK that the mm is free again. */
void vfork_release(struct thread *thread);

/**
 * init_start() - unpack /sbin/init from the initrd and become process 1 in user mode.
 * Context: the kernel's init thread. Panics with one clear sentence if there is no init.
 */
void init_start(const struct boot_info *info) NORETURN;

/**
 * exit_to_user() - what every return to user mode passes: rescheduling, signals, stops.
 * @frame: user registers of the current thread
 *
 * Context: interrupts off on entry and on return, on while it works. May not return (fatal
 *          signal).
 */
void exit_to_user(struct trapframe *frame);

/**
 * oom_kill_largest() - end the process that gives most memory back.
 * Context: thread that waits for memory; may hold mm locks; does not sleep.
 * Return:  true if a victim is dying, so that waiting for memory makes sense.
 */
bool oom_kill_largest(void);

#endif
