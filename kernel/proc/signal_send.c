/*
 * Sending signals.
 *
 * Every sender ends in signal_send_locked(), under the target's sig_lock: what stopping and
 * continuing signals do to one another, whether the signal is ignored, its record, and which
 * thread is to look. Runs in interrupt context as well, for timers. Read next: signal_deliver.c.
 */
#include <proc/signal_internal.h>

#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <proc/sched.h>
#include <uapi/linux/wait.h>

#define SIGNAL_MASK_CORE_DUMP                                                                      \
    (SIGNAL_BIT(SIGQUIT) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGABRT) |        \
     SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGSYS) |          \
     SIGNAL_BIT(SIGXCPU) | SIGNAL_BIT(SIGXFSZ))

#define SLEEPS_ENDED_BY_KILL (SLEEP_INTERRUPTIBLE | SLEEP_KILLABLE | SLEEP_STOPPED)

void signal_wake(struct thread *thread, u32 kinds)
{
    arch_thread_work_set(&thread->arch, THREAD_WORK_SIGNAL);
    if (!thread_wake_kinds(thread, kinds) && thread != current_thread()) {
        sched_kick_user(thread);
    }
}

void signal_begin_group_exit(struct process *process, s32 code)
{
    struct thread *thread;

    process->group_exit = true;
    process->exit_code = code;
    process->stopped = false;
    process->stop_pending = false;
    process->stop_count = 0;
    list_for_each_entry (thread, &process->threads, process_link) {
        thread->sig.pending.set |= SIGNAL_BIT(SIGKILL);
        thread->sig.stop_counted = false;
        signal_wake(thread, SLEEPS_ENDED_BY_KILL);
    }
}

/* SIGCONT ends a stop even if it is blocked or ignored; the parent hears of it from a thread that
 * goes on, because the sender may be an interrupt. */
static void signal_continue(struct process *process)
{
    struct thread *thread;

    signal_discard_everywhere(process, SIGNAL_MASK_STOP);
    list_for_each_entry (thread, &process->threads, process_link) {
        thread->sig.stop_dequeued = false;
    }
    if (!process->stopped && !process->stop_pending) {
        return;
    }
    process->stopped = false;
    process->stop_pending = false;
    process->stop_count = 0;
    process->notify_stopped = false;
    process->notify_continued = true;
    process->wait_stopped = false;
    process->wait_continued = true;
    list_for_each_entry (thread, &process->threads, process_link) {
        thread->sig.stop_counted = false;
        thread->sig.stopped = false;
        signal_wake(thread, SLEEP_STOPPED);
    }
}

static bool signal_is_blocked_by(const struct thread *thread, int signal)
{
    return signal_in(signal, thread->sig.blocked);
}

static bool signal_is_ignored(const struct process *process, const struct thread *thread,
                              int signal)
{
    u64 handler = signal_handler(process, signal);

    if (signal_is_blocked_by(thread, signal)) {
        return false; /* the action may have changed when it is unblocked */
    }
    if (handler == SIG_DFL) {
        return signal_in(signal, SIGNAL_MASK_DEFAULT_IGNORE) || process->unkillable;
    }
    return handler == SIG_IGN;
}

static bool signal_wants(const struct thread *thread, int signal)
{
    if (thread->sig.exiting) {
        return false;
    }
    if (signal == SIGKILL) {
        return true;
    }
    if (thread->sig.stopped) {
        return false;
    }
    return !signal_is_blocked_by(thread, signal) || signal_in(signal, thread->sig.waited);
}

/* The thread that is to look at a signal of the whole process: one that waits for it, else one
 * that has nothing else to look at. */
static struct thread *signal_find_taker(struct process *process, int signal)
{
    struct thread *thread, *taker = NULL;

    list_for_each_entry (thread, &process->threads, process_link) {
        if (!signal_wants(thread, signal)) {
            continue;
        }
        if (signal_in(signal, thread->sig.waited)) {
            return thread;
        }
        if (taker == NULL || (signal_pending(taker) && !signal_pending(thread))) {
            taker = thread;
        }
    }
    return taker;
}

static bool signal_ends_process(const struct process *process, const struct thread *taker,
                                int signal)
{
    if (signal_handler(process, signal) != SIG_DFL || !signal_has_fatal_default(signal) ||
        process->unkillable || signal_in(signal, SIGNAL_MASK_CORE_DUMP)) {
        return false;
    }
    return signal == SIGKILL || !signal_is_blocked_by(taker, signal);
}

static void signal_complete(struct process *process, struct thread *thread, int signal)
{
    if (thread == NULL) {
        thread = signal_find_taker(process, signal);
    } else if (!signal_wants(thread, signal)) {
        thread = NULL;
    }
    if (thread == NULL) {
        return; /* blocked everywhere: whoever unblocks it first takes it */
    }
    if (signal_ends_process(process, thread, signal)) {
        signal_begin_group_exit(process, WAIT_STATUS_SIGNAL(signal));
        return;
    }
    if (signal_is_blocked_by(thread, signal)) {
        thread_wake_kinds(thread, SLEEP_INTERRUPTIBLE); /* in rt_sigtimedwait */
        return;
    }
    signal_wake(thread, signal == SIGKILL ? SLEEPS_ENDED_BY_KILL : SLEEP_INTERRUPTIBLE);
}

static void signal_fill_info(struct siginfo *to, int signal, const struct siginfo *from)
{
    if (from != NULL) {
        *to = *from;
    } else {
        memset(to, 0, sizeof(*to));
        to->si_code = SI_KERNEL;
    }
    to->si_signo = signal;
}

/* Puts the signal on the set. Return: 0, -EEXIST (it is there already), -EAGAIN. */
static int signal_enqueue(struct process *process, struct signal_pending *pending, int signal,
                          const struct siginfo *info, struct signal_record *record)
{
    if (signal < SIGRTMIN && signal_in(signal, pending->set)) {
        return -EEXIST;
    }
    if (record == NULL && signal != SIGKILL) {
        bool ignore_limit = signal < SIGRTMIN && (info == NULL || info->si_code >= 0);

        record = signal_record_alloc(process, ignore_limit);
        if (record != NULL) {
            signal_fill_info(&record->info, signal, info);
        } else if (signal >= SIGRTMIN && info != NULL && info->si_code != SI_USER) {
            return -EAGAIN;
        }
    }
    if (record != NULL) {
        list_add_tail(&pending->queue, &record->link);
    }
    pending->set |= SIGNAL_BIT(signal);
    return 0;
}

/* @thread NULL: to the process. Forced signals get through to process 1. */
static int signal_send_locked(struct process *process, struct thread *thread, int signal,
                              const struct siginfo *info, struct signal_record *record)
{
    struct thread *any = thread != NULL ? thread : process_any_thread_locked(process);

    ASSERT(signal > 0 && signal <= NSIG, "senders check the signal number");
    if (any == NULL || process->group_exit) {
        return 0;
    }
    if (signal_in(signal, SIGNAL_MASK_STOP)) {
        signal_discard_everywhere(process, SIGNAL_BIT(SIGCONT));
    } else if (signal == SIGCONT) {
        signal_continue(process);
    }
    if (signal_is_ignored(process, any, signal)) {
        return 0;
    }
    struct signal_pending *pending = thread != NULL ? &thread->sig.pending : &process->pending;
    int result = signal_enqueue(process, pending, signal, info, record);

    if (result == 0) {
        signal_complete(process, thread, signal);
    }
    return result == -EEXIST ? 0 : result;
}

int signal_send_process(struct process *process, int signal, const struct siginfo *info)
{
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    int result = signal_send_locked(process, NULL, signal, info, NULL);

    spin_unlock_irqrestore(&process->sig_lock, flags);
    return result;
}

void signal_send_self(int signal)
{
    const struct process *process = current_process();
    struct siginfo info = {.si_code = SI_USER};

    if (process != NULL) {
        info.rt.pid = process->pid;
        info.rt.uid = process->cred.uid;
        (void)signal_send_thread(current_thread(), signal, &info);
    }
}

int signal_send_thread(struct thread *thread, int signal, const struct siginfo *info)
{
    struct process *process = READ_ONCE(thread->process);

    if (process == NULL || READ_ONCE(thread->sig.exiting)) {
        return 0;
    }
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    int result = 0;

    if (!thread->sig.exiting) {
        result = signal_send_locked(process, thread, signal, info, NULL);
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    return result;
}

void signal_send_record(struct process *process, struct thread *thread,
                        struct signal_record *record, const struct siginfo *info)
{
    u64 flags = spin_lock_irqsave(&process->sig_lock);

    if (list_is_linked(&record->link)) {
        s64 overrun = (s64)record->info.timer.overrun + info->timer.overrun + 1;

        record->info.timer.overrun = (s32)min(overrun, (s64)SIGNAL_OVERRUN_MAX);
    } else if (thread == NULL || !thread->sig.exiting) {
        record->info = *info;
        signal_send_locked(process, thread, record->info.si_signo, &record->info, record);
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
}

int signal_send_pgrp_locked(struct pid *group, int signal, const struct siginfo *info)
{
    struct process *member;
    int result = -ESRCH;

    list_for_each_entry (member, &group->group, group_link) {
        result = 0;
        (void)signal_send_process(member, signal, info);
    }
    return result;
}

int signal_send_pgrp(s32 pgid, int signal, const struct siginfo *info)
{
    spin_lock(&process_tree_lock);
    struct pid *group = pid_find_locked(pgid);
    int result = group != NULL ? signal_send_pgrp_locked(group, signal, info) : -ESRCH;

    spin_unlock(&process_tree_lock);
    return result;
}

void signal_retarget(struct process *process, struct thread *thread, u64 set)
{
    struct thread *other;

    list_for_each_entry (other, &process->threads, process_link) {
        if (set == 0) {
            return;
        }
        u64 taken = set & ~other->sig.blocked;

        if (other == thread || other->sig.exiting || taken == 0) {
            continue;
        }
        set &= ~taken;
        if (!signal_pending(other)) {
            signal_wake(other, SLEEP_INTERRUPTIBLE);
        }
    }
}

/* --- forced signals -------------------------------------------------------------------------- */

enum force_how {
    FORCE_IF_DEAF, /* the handler stays if it can run */
    FORCE_DEFAULT, /* no handler may see it */
};

/* What the default action comes to, where the table of actions cannot be changed. */
static void force_end(struct process *process, int signal, u64 flags) RELEASES(process->sig_lock)
{
    ASSERT(signal_has_fatal_default(signal), "the kernel forces signals that end the process");
    if (!process->group_exit) {
        signal_begin_group_exit(process, WAIT_STATUS_SIGNAL(signal));
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
}

static void signal_force_info(const struct siginfo *info, enum force_how how)
{
    struct thread *thread = current_thread();
    struct process *process = thread->process;
    int signal = info->si_signo;

    ASSERT(signal > 0 && signal <= NSIG, "the kernel forces signals that exist");
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    u64 handler = signal_handler(process, signal);

    if (signal_is_blocked_by(thread, signal) || handler == SIG_IGN || how == FORCE_DEFAULT) {
        if (!sighand_force_default(process, signal)) {
            force_end(process, signal, flags);
            return;
        }
        handler = SIG_DFL;
        thread->sig.blocked &= ~SIGNAL_BIT(signal);
        signal_recalc_locked(thread);
    }
    if (handler == SIG_DFL) {
        process->unkillable = false; /* going on at the faulting instruction would never end */
    }
    struct signal_record *record = &thread->sig.forced;

    if (list_is_linked(&record->link)) {
        record = NULL; /* the one before waits for delivery still */
    } else {
        record->info = *info;
    }
    (void)signal_send_locked(process, thread, signal, info, record);
    spin_unlock_irqrestore(&process->sig_lock, flags);
}

void signal_force_fault(int signal, int code, u64 addr)
{
    struct siginfo info = {.si_signo = signal, .si_code = code, .fault = {.addr = addr}};

    signal_force_info(&info, FORCE_IF_DEAF);
}

void signal_force(int signal)
{
    struct siginfo info = {.si_signo = signal, .si_code = SI_KERNEL};

    signal_force_info(&info, FORCE_IF_DEAF);
}

void signal_force_kill(int signal)
{
    struct siginfo info = {.si_signo = signal, .si_code = SI_KERNEL};

    signal_force_info(&info, FORCE_DEFAULT);
}

void signal_kill_process(struct process *process)
{
    (void)signal_send_process(process, SIGKILL, NULL);
}
