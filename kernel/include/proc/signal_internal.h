/*
 * What signal.c, signal_send.c and signal_deliver.c share. Nobody else includes this.
 */
#ifndef PROC_SIGNAL_INTERNAL_H
#define PROC_SIGNAL_INTERNAL_H

#include <proc/process_internal.h>
#include <proc/signal.h>

/* Default actions, signal(7). */
#define SIGNAL_MASK_DEFAULT_IGNORE                                                                 \
    (SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGWINCH) | SIGNAL_BIT(SIGURG))

static inline bool signal_in(int signal, u64 set)
{
    return (set & SIGNAL_BIT(signal)) != 0;
}

static inline u64 signal_handler(const struct process *process, int signal)
{
    return READ_ONCE(process->sighand->actions[signal - 1].handler);
}

/**
 * sighand_lock_own() - take sig_lock, with a table in place that the process may change (SH1).
 * @process: the current thread's
 * Context:  sleeps. Return: true, and sig_lock held; false, and not, if there is no memory.
 */
MUST_CHECK bool sighand_lock_own(struct process *process, u64 *flags)
    TRY_ACQUIRES(true, process->sig_lock);

/**
 * sighand_force_default() - the action of @signal becomes SIG_DFL; sig_lock is held.
 * Return: false, and nothing done, if others use the table too and have a right to the action.
 */
MUST_CHECK bool sighand_force_default(struct process *process, int signal);

/* Delivery takes an action; SA_RESETHAND uses it up. */
static inline void signal_action_take(struct signal_action *action, struct signal_action *taken)
{
    *taken = *action;
    if (action->handler > SIG_IGN && (action->flags & SA_RESETHAND) != 0) {
        WRITE_ONCE(action->handler, SIG_DFL);
    }
}

/* The same from a table that is common. */
void sighand_take_common(struct sighand *sighand, int signal, struct signal_action *taken);

/** sighand_take() - the action of a signal that is delivered now. The caller holds the sig_lock of
 *  a process that uses the table. */
static inline void sighand_take(struct sighand *sighand, int signal, struct signal_action *taken)
{
    /* Processes that only share until one changes something do not wait for each other here. */
    if (likely(!sighand->is_common)) {
        signal_action_take(&sighand->actions[signal - 1], taken);
    } else {
        sighand_take_common(sighand, signal, taken);
    }
}

/** signal_has_fatal_default() - does the default action end the process? */
static inline bool signal_has_fatal_default(int signal)
{
    return !signal_in(signal, SIGNAL_MASK_DEFAULT_IGNORE | SIGNAL_MASK_STOP);
}

/** signal_record_alloc() - a record charged to @process; NULL if memory or limit forbid it.
 *  Context: thread, sig_lock held. */
struct signal_record *signal_record_alloc(struct process *process, bool ignore_limit);

/** signal_record_free() - give a record back, or leave it to its owner. sig_lock is held. */
void signal_record_free(struct process *process, struct signal_record *record);

/** signal_records_reap() - free what interrupt context could not. sig_lock is held. */
void signal_records_reap(struct process *process);

/** signal_discard() - drop the signals of @set from one pending set. sig_lock is held. */
void signal_discard(struct process *process, struct signal_pending *pending, u64 set);

/** signal_discard_everywhere() - the same from the process and all of its threads. */
void signal_discard_everywhere(struct process *process, u64 set);

/** signal_wake() - make @thread look at its signals; @kinds: sleeps that end. */
void signal_wake(struct thread *thread, u32 kinds);

/** signal_begin_group_exit() - all threads get SIGKILL; the process ends with @code. */
void signal_begin_group_exit(struct process *process, s32 code);

/** signal_retarget() - somebody else may take what @thread will not. sig_lock is held. */
void signal_retarget(struct process *process, struct thread *thread, u64 set);

#endif
