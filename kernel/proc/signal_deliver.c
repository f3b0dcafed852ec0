/*
 * Taking signals, in the thread that they are for, on its way to user mode.
 *
 * Owns: the choice between handler, default action and stop; what becomes of an interrupted
 * system call; job-control stops. The stack frame is the machine's (arch/signal_frame.h).
 * Read next: exit_to_user.c.
 */
#include <proc/signal_internal.h>

#include <arch/signal_frame.h>
#include <arch/trapframe.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <uapi/linux/wait.h>

/* A signal whose handler is to run. */
struct taken_signal {
    int signal;
    struct siginfo info;
    struct signal_action action;
};

/* --- stopping -------------------------------------------------------------------------------- */

/* The whole group stops: every thread is told, and counted until it has stopped. */
static void signal_stop_begin(struct process *process, int signal)
{
    struct thread *thread;

    process->stop_pending = true;
    process->stop_signal = (u8)signal;
    process->stop_count = 0;
    process->wait_continued = false;
    list_for_each_entry (thread, &process->threads, process_link) {
        if (thread->sig.exiting || thread->sig.stopped) {
            continue;
        }
        thread->sig.stop_counted = true;
        process->stop_count++;
        if (thread != current_thread()) {
            signal_wake(thread, SLEEP_INTERRUPTIBLE);
        }
    }
}

bool signal_stop_leave_locked(struct process *process, struct thread *thread)
{
    if (!thread->sig.stop_counted) {
        return false;
    }
    thread->sig.stop_counted = false;
    ASSERT(process->stop_count > 0, "a counted thread is counted");
    if (--process->stop_count > 0) {
        return false;
    }
    process->stop_pending = false;
    process->stopped = true;
    process->wait_stopped = true;
    return true;
}

static void signal_stop_sleep(struct thread *thread)
{
    for (;;) {
        thread_prepare_sleep(SLEEP_STOPPED);
        if (!READ_ONCE(thread->sig.stopped) || fatal_signal_pending(thread)) {
            break;
        }
        schedule();
    }
    thread_cancel_sleep();
}

/* Joins the running stop; called with sig_lock held and returns with it dropped. */
static void signal_stop_join(struct process *process, struct thread *thread, u64 flags)
    RELEASES(process->sig_lock)
{
    bool is_complete = signal_stop_leave_locked(process, thread);
    int signal = process->stop_signal;

    thread->sig.stopped = true;
    spin_unlock_irqrestore(&process->sig_lock, flags);
    if (is_complete) {
        process_notify_stop(process, CLD_STOPPED, signal);
    }
    signal_stop_sleep(thread);
    flags = spin_lock_irqsave(&process->sig_lock);
    thread->sig.stopped = false;
    signal_recalc_locked(thread);
    spin_unlock_irqrestore(&process->sig_lock, flags);
}

static bool signal_stops_nobody(const struct process *process, int signal)
{
    /* POSIX: the terminal cannot stop a group that no shell would continue. */
    return signal != SIGSTOP && process_is_orphaned_group(process);
}

/* The default action of a stop signal; called with sig_lock held and returns with it dropped. */
static void signal_stop(struct process *process, struct thread *thread, int signal, u64 flags)
    RELEASES(process->sig_lock)
{
    thread->sig.stop_dequeued = true;
    spin_unlock_irqrestore(&process->sig_lock, flags);
    if (signal_stops_nobody(process, signal)) {
        return;
    }
    flags = spin_lock_irqsave(&process->sig_lock);
    /* A SIGCONT or the end of the process may have come while the lock was free. */
    if (!thread->sig.stop_dequeued || process->group_exit || process->exec_thread != NULL) {
        spin_unlock_irqrestore(&process->sig_lock, flags);
        return;
    }
    thread->sig.stop_dequeued = false;
    signal_stop_begin(process, signal);
    signal_stop_join(process, thread, flags);
}

/* --- choosing -------------------------------------------------------------------------------- */

static void NORETURN signal_die(struct process *process, u64 flags) RELEASES(process->sig_lock)
{
    s32 code = process->group_exit ? process->exit_code : WAIT_STATUS_SIGNAL(SIGKILL);

    spin_unlock_irqrestore(&process->sig_lock, flags);
    thread_exit_current(code);
}

enum step { STEP_AGAIN, STEP_NOTHING, STEP_HANDLER };

/* Acts on one dequeued signal; sig_lock is held and dropped. */
static enum step signal_act(struct process *process, struct thread *thread,
                            struct taken_signal *taken, u64 flags) RELEASES(process->sig_lock)
{
    int signal = taken->signal;

    sighand_take(process->sighand, signal, &taken->action);
    if (taken->action.handler > SIG_IGN) {
        /* What else waits is looked at once the handler's mask is set, or on the way out. */
        spin_unlock_irqrestore(&process->sig_lock, flags);
        return STEP_HANDLER;
    }
    bool is_nothing = taken->action.handler == SIG_IGN ||
                      signal_in(signal, SIGNAL_MASK_DEFAULT_IGNORE) || process->unkillable;

    if (is_nothing) {
        spin_unlock_irqrestore(&process->sig_lock, flags);
        return STEP_AGAIN;
    }
    if (signal_in(signal, SIGNAL_MASK_STOP)) {
        signal_stop(process, thread, signal, flags);
        return STEP_AGAIN;
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    process_exit_group(WAIT_STATUS_SIGNAL(signal));
}

static enum step signal_step(struct process *process, struct thread *thread,
                             struct taken_signal *taken)
{
    u64 flags = spin_lock_irqsave(&process->sig_lock);

    if (process->notify_continued) {
        process->notify_continued = false;
        spin_unlock_irqrestore(&process->sig_lock, flags);
        process_notify_stop(process, CLD_CONTINUED, SIGCONT);
        return STEP_AGAIN;
    }
    if (process->group_exit || fatal_signal_pending(thread)) {
        signal_die(process, flags);
    }
    if (process->stop_pending && thread->sig.stop_counted) {
        signal_stop_join(process, thread, flags);
        return STEP_AGAIN;
    }
    taken->signal = signal_dequeue(thread, thread->sig.blocked, &taken->info);
    if (taken->signal != 0) {
        return signal_act(process, thread, taken, flags);
    }
    signal_recalc_locked(thread);
    spin_unlock_irqrestore(&process->sig_lock, flags);
    return STEP_NOTHING;
}

/* --- the interrupted system call ------------------------------------------------------------- */

static void signal_settle_syscall(struct trapframe *frame, const struct taken_signal *taken)
{
    if (!tf_is_syscall(frame)) {
        return;
    }
    switch ((s64)tf_result(frame)) {
    case -ERESTART_RESTARTBLOCK:
        if (taken != NULL) {
            tf_set_result(frame, -EINTR);
        } else {
            arch_syscall_restart_block(frame);
        }
        break;
    case -ERESTARTNOHAND:
        if (taken != NULL) {
            tf_set_result(frame, -EINTR);
        } else {
            tf_syscall_rewind(frame);
        }
        break;
    case -ERESTARTSYS:
        if (taken != NULL && (taken->action.flags & SA_RESTART) == 0) {
            tf_set_result(frame, -EINTR);
        } else {
            tf_syscall_rewind(frame);
        }
        break;
    case -ERESTARTNOINTR:
        tf_syscall_rewind(frame);
        break;
    default:
        break;
    }
    tf_forget_syscall(frame);
}

/* --- the handler ----------------------------------------------------------------------------- */

static void signal_run_handler(struct trapframe *frame, const struct taken_signal *taken)
{
    struct thread *thread = current_thread();
    struct thread_signals *sig = &thread->sig;
    const struct signal_action *action = &taken->action;
    struct sigaltstack_abi shown = {
        .ss_sp = sig->altstack_sp,
        .ss_flags = sig->altstack_flags,
        .ss_size = sig->altstack_size,
    };
    bool is_on = signal_is_on_altstack(tf_sp(frame));
    bool enters = (action->flags & SA_ONSTACK) != 0 && sig->altstack_size != 0 && !is_on;
    struct signal_frame_request request = {
        .signal = taken->signal,
        .info = &taken->info,
        .handler = action->handler,
        .restorer = (action->flags & SA_RESTORER) != 0 ? action->restorer : 0,
        .saved_mask = sig->restore_mask ? sig->saved_mask : sig->blocked,
        .stack_base = enters || is_on ? sig->altstack_sp : 0,
        .stack_size = sig->altstack_size,
        .enters_stack = enters,
        .altstack = &shown,
    };

    if (arch_signal_push_frame(frame, &request) != 0) {
        if (taken->signal == SIGSEGV) {
            signal_force_kill(SIGSEGV);
        } else {
            signal_force(SIGSEGV);
        }
        return;
    }
    if ((sig->altstack_flags & SS_AUTODISARM) != 0) {
        sig->altstack_sp = 0;
        sig->altstack_size = 0;
        sig->altstack_flags = SS_DISABLE;
    }
    u64 mask = sig->blocked | action->mask;

    if ((action->flags & SA_NODEFER) == 0) {
        mask |= SIGNAL_BIT(taken->signal);
    }
    sig->restore_mask = false;
    signal_set_blocked(mask);
}

void signal_deliver(struct trapframe *frame)
{
    struct thread *thread = current_thread();
    struct taken_signal taken;
    enum step step;

    do {
        step = signal_step(thread->process, thread, &taken);
    } while (step == STEP_AGAIN);

    if (step == STEP_HANDLER) {
        signal_settle_syscall(frame, &taken);
        signal_run_handler(frame, &taken);
        return;
    }
    signal_settle_syscall(frame, NULL);
    signal_restore_mask_unless(false);
}
