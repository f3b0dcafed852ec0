/*
 * The end of threads and processes.
 *
 * A thread first lets go of what is in user memory, then of its share of the process; the last one
 * to do so frees the process's resources. Then it leaves the tree, and with the last thread the
 * process becomes a zombie: its children get another parent, its parent hears of it.
 * Read next: wait.c.
 */
#include <proc/process_internal.h>
#include <proc/signal_internal.h>

#include <arch/cpu.h>
#include <arch/thread.h>
#include <ipc/fdtable.h>
#include <ipc/fs_context.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/mm.h>
#include <mm/usercopy.h>
#include <proc/cputime.h>
#include <proc/futex.h>
#include <proc/itimer.h>
#include <proc/thread.h>
#include <uapi/linux/wait.h>

/* --- the thread's own part ------------------------------------------------------------------- */

static void exit_signals(struct process *process, struct thread *thread, s32 code)
{
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    int signal = process->stop_signal;

    thread->sig.exiting = true;
    if (thread->tid == process->pid && !process->group_exit) {
        process->exit_code = code;
    }
    signal_retarget(process, thread, process->pending.set & ~thread->sig.blocked);
    bool is_stop_complete = signal_stop_leave_locked(process, thread);

    spin_unlock_irqrestore(&process->sig_lock, flags);
    if (is_stop_complete) {
        process_notify_stop(process, CLD_STOPPED, signal);
    }
}

void thread_leave_mm_words(struct thread *thread)
{
    struct process *process = thread->process;
    u64 address = thread->clear_child_tid;
    bool is_shared = refcount_read(&thread->mm->users) > 1 || process->nr_threads > 1;

    futex_exit_robust(thread);
    thread->robust_list = 0;
    thread->clear_child_tid = 0;
    /* pthread_join() sleeps on this word; without another user nobody can look at it. */
    if (address != 0 && is_shared && put_user_u32(address, 0) == 0) {
        (void)futex_wake_address(address, 1);
    }
}

static void exit_mm(struct thread *thread)
{
    if (thread->mm == NULL) {
        return;
    }
    thread_leave_mm_words(thread);
    u64 flags = irq_save();

    thread->mm = NULL;
    arch_mm_switch(NULL);
    irq_restore(flags);
}

/* --- the process's resources ----------------------------------------------------------------- */

static void exit_resources(struct process *process)
{
    struct process_usage size = {0};
    struct mm *mm = process->mm;
    u64 flags;

    process_timers_exit(process);
    if (mm != NULL) {
        size.maxrss_pages = max(mm->hiwater_rss, mm_rss_total(mm));
    }
    flags = spin_lock_irqsave(&process->sig_lock);
    process->mm = NULL;
    process_usage_add(&process->usage, &size);
    spin_unlock_irqrestore(&process->sig_lock, flags);
    if (mm != NULL) {
        mm_put(mm);
    }
    /* kinfo looks at files and fs under the tree lock. */
    spin_lock(&process_tree_lock);
    struct files *files = process->files;
    struct fs_context *fs = process->fs;

    process->files = NULL;
    process->fs = NULL;
    spin_unlock(&process_tree_lock);
    files_put(files);
    fs_context_put(fs);
}

/* --- the tree -------------------------------------------------------------------------------- */

static void exit_send_pdeath_locked(struct process *process, struct thread *thread)
    REQUIRES(process_tree_lock)
{
    struct thread *heir = process_any_thread_locked(process);
    struct process *child;

    list_for_each_entry (child, &process->children, sibling) {
        if (child->creator_tid != thread->tid) {
            continue;
        }
        child->creator_tid = heir != NULL ? heir->tid : 0;
        if (child->pdeath_signal != 0) {
            struct siginfo info = {.si_code = SI_USER,
                                   .rt = {.pid = process->pid, .uid = process->cred.uid}};

            (void)signal_send_process(child, (int)child->pdeath_signal, &info);
        }
    }
}

static struct process *exit_find_reaper_locked(const struct process *process)
    REQUIRES(process_tree_lock)
{
    struct process *ancestor = process->parent;

    if (process->has_subreaper_above) {
        for (; ancestor != NULL; ancestor = ancestor->parent) {
            if (ancestor->is_subreaper && ancestor->nr_threads > 0 && !ancestor->group_exit) {
                return ancestor;
            }
        }
    }
    return first_process;
}

/* Moves the children to their new parent; those nobody waits for go onto @dead. */
static void exit_reparent_locked(struct process *process, struct list_node *dead)
    REQUIRES(process_tree_lock)
{
    struct process *reaper = exit_find_reaper_locked(process);
    struct process *child, *following;

    list_for_each_entry_safe (child, following, &process->children, sibling) {
        child->parent = reaper;
        child->parent_pid = reaper != NULL ? reaper->pid : 0;
        child->exit_signal = SIGCHLD;
        list_del(&child->sibling);
        if (reaper != NULL) {
            list_add_tail(&reaper->children, &child->sibling);
        }
        group_hangup_if_orphaned_locked(child, process);
        if (child->state == PROCESS_ZOMBIE && process_notify_parent_locked(child)) {
            process_release_locked(child);
            list_add_tail(dead, &child->sibling);
        }
    }
}

static s64 ns_to_clock_ticks(u64 ns)
{
    return (s64)(ns / (NSEC_PER_SEC / 100));
}

static void child_info(struct siginfo *info, const struct process *child)
{
    *info = (struct siginfo){
        .si_signo = SIGCHLD,
        .chld = {.pid = child->pid,
                 .uid = child->cred.uid,
                 .utime = ns_to_clock_ticks(child->usage.utime_ns),
                 .stime = ns_to_clock_ticks(child->usage.stime_ns)},
    };
}

static void child_exit_info(struct siginfo *info, const struct process *child)
{
    child_info(info, child);
    if ((child->exit_code & 0x7f) != 0) {
        info->si_code = CLD_KILLED;
        info->chld.status = child->exit_code & 0x7f;
    } else {
        info->si_code = CLD_EXITED;
        info->chld.status = child->exit_code >> 8;
    }
}

static struct signal_action parent_child_action(struct process *parent)
{
    u64 flags = spin_lock_irqsave(&parent->sig_lock);
    struct signal_action action = parent->sighand->actions[SIGCHLD - 1];

    spin_unlock_irqrestore(&parent->sig_lock, flags);
    return action;
}

bool process_notify_parent_locked(struct process *process)
{
    struct process *parent = process->parent;
    int signal = process->exit_signal;
    bool is_unwaited = false;

    if (parent == NULL) {
        return true;
    }
    if (signal == SIGCHLD) {
        struct signal_action action = parent_child_action(parent);

        is_unwaited = action.handler == SIG_IGN || (action.flags & SA_NOCLDWAIT) != 0;
        if (action.handler == SIG_IGN) {
            signal = 0;
        }
    }
    if (signal != 0) {
        struct siginfo info;

        child_exit_info(&info, process);
        (void)signal_send_process(parent, signal, &info);
    }
    wake_up_all(&parent->child_queue);
    return is_unwaited;
}

void process_notify_stop(struct process *process, int code, int signal)
{
    spin_lock(&process_tree_lock);
    struct process *parent = process->parent;

    if (parent != NULL) {
        struct signal_action action = parent_child_action(parent);
        struct siginfo info;

        child_info(&info, process);
        info.si_code = code;
        info.chld.status = signal;
        if (action.handler != SIG_IGN && (action.flags & SA_NOCLDSTOP) == 0) {
            (void)signal_send_process(parent, SIGCHLD, &info);
        }
        wake_up_all(&parent->child_queue);
    }
    spin_unlock(&process_tree_lock);
}

static void exit_become_zombie_locked(struct process *process, struct list_node *dead)
    REQUIRES(process_tree_lock)
{
    exit_reparent_locked(process, dead);
    group_hangup_if_orphaned_locked(process, NULL);
    session_leader_exit_locked(process);
    process->state = PROCESS_ZOMBIE;
    if (process_notify_parent_locked(process)) {
        process_release_locked(process);
        list_add_tail(dead, &process->sibling);
    }
    wake_up_all(&process->exit_poll_queue);
}

static void exit_leave_tree(struct process *process, struct thread *thread)
{
    struct process *gone, *following;
    struct list_node dead = LIST_INIT(dead);

    spin_lock(&process_tree_lock);
    bool is_last = process_detach_thread_locked(process, thread);

    exit_send_pdeath_locked(process, thread);
    if (is_last) {
        exit_become_zombie_locked(process, &dead);
    }
    spin_unlock(&process_tree_lock);
    list_for_each_entry_safe (gone, following, &dead, sibling) {
        list_del(&gone->sibling);
        process_put(gone);
    }
}

void thread_exit_current(s32 code)
{
    struct thread *thread = current_thread();
    struct process *process = thread->process;

    if (process == first_process && atomic_u32_load(&process->nr_live) == 1) {
        panic("process 1 (init) ended with wait status 0x%x; nothing is left to run", code);
    }
    exit_signals(process, thread, code);
    exit_mm(thread);
    vfork_release(thread);
    if (atomic_u32_fetch_sub(&process->nr_live, 1) == 1) {
        exit_resources(process);
    }
    cputime_charge_current();
    signal_flush_thread(thread);
    exit_leave_tree(process, thread);
    thread_exit_final();
}

void process_exit_group(s32 code)
{
    struct thread *thread = current_thread();
    struct process *process = thread->process;
    u64 flags = spin_lock_irqsave(&process->sig_lock);

    if (process->group_exit) {
        code = process->exit_code;
    } else if (process->exec_thread == NULL || process->exec_thread == thread) {
        signal_begin_group_exit(process, code);
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    thread_exit_current(code);
}

/* --- execve ---------------------------------------------------------------------------------- */

/* The calling thread, alone by now, takes over the process's own number. */
static void exec_become_leader(struct process *process, struct thread *thread)
{
    spin_lock(&process_tree_lock);
    if (thread->tid != process->pid) {
        struct pid *old = pid_find_locked(thread->tid);

        old->thread = NULL;
        pid_drop_locked(old);
        pid_use_locked(process->pid_ref);
        process->pid_ref->thread = thread;
        thread->tid = process->pid;
    }
    spin_unlock(&process_tree_lock);
}

int process_kill_other_threads(void)
{
    struct thread *self = current_thread();
    struct process *process = self->process;
    struct thread *thread;
    u64 flags = spin_lock_irqsave(&process->sig_lock);

    if (process->group_exit || process->exec_thread != NULL) {
        spin_unlock_irqrestore(&process->sig_lock, flags);
        return -EAGAIN;
    }
    process->exec_thread = self;
    list_for_each_entry (thread, &process->threads, process_link) {
        if (thread != self) {
            thread->sig.pending.set |= SIGNAL_BIT(SIGKILL);
            signal_wake(thread, SLEEP_INTERRUPTIBLE | SLEEP_KILLABLE | SLEEP_STOPPED);
        }
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    int error = wait_event_killable(&process->thread_queue, READ_ONCE(process->nr_threads) == 1);

    if (error == 0) {
        exec_become_leader(process, self);
    }
    flags = spin_lock_irqsave(&process->sig_lock);
    process->exec_thread = NULL;
    signal_recalc_locked(self);
    spin_unlock_irqrestore(&process->sig_lock, flags);
    return error == 0 ? 0 : -EAGAIN;
}
