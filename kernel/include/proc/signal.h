/*
 * Sending, taking and delivering signals.
 *
 * Sending puts a record on a pending set and makes a thread that can take it look
 * (THREAD_WORK_SIGNAL, wake-up). Taking happens in the target thread only, on its way to user
 * mode: signal_deliver() loops until the frame runs a handler, nothing is left, or the process
 * ends.
 */
#ifndef PROC_SIGNAL_H
#define PROC_SIGNAL_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/atomic.h>
#include <proc/thread.h>
#include <proc/signal_types.h>
#include <uapi/linux/signal.h>

struct pid;
struct process;
struct trapframe;
struct signal_action;

#define SIGNAL_MASK_UNBLOCKABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))
#define SIGNAL_MASK_STOP                                                                           \
    (SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))
#define SIGNAL_MASK_SYNCHRONOUS                                                                    \
    (SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) |         \
     SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSYS))

/** signal_pending() - should @thread leave an interruptible sleep? */
static inline bool signal_pending(const struct thread *thread)
{
    return (arch_thread_work(&thread->arch) & THREAD_WORK_SIGNAL) != 0;
}

/** fatal_signal_pending() - is @thread about to be killed? */
static inline bool fatal_signal_pending(const struct thread *thread)
{
    return (READ_ONCE(thread->sig.pending.set) & SIGNAL_BIT(SIGKILL)) != 0;
}

/**
 * signal_send_process() - send to any thread of @process that can take it.
 * @process: target, referenced by the caller
 * @signal:  1..64
 * @info:    what the handler sees; NULL for SI_KERNEL
 *
 * Context: any, interrupt included; takes sig_lock.
 * Return:  0 (also when ignored or the target is gone), or -EAGAIN: a real-time signal with
 *          data could not be queued. A standard signal is never lost for want of memory.
 */
int signal_send_process(struct process *process, int signal, const struct siginfo *info);

/**
 * signal_send_thread() - the same to one thread.
 * @thread: the caller itself, or one kept in its process by a lock that the caller holds
 *          (process_tree_lock) or by a reference to the process
 */
int signal_send_thread(struct thread *thread, int signal, const struct siginfo *info);

/** signal_send_self() - as if the caller had sent it to itself; a kernel thread gets none. */
void signal_send_self(int signal);

/** signal_record_init() - a record that its sender owns. */
void signal_record_init(struct signal_record *record);

#define SIGNAL_OVERRUN_MAX 0x7fffffff

/**
 * signal_send_record() - send a timer's signal with a record that the sender owns.
 * @process: target
 * @thread:  one thread of it, or NULL for any
 * @record:  if it still waits from last time, its overrun grows by this expiration and what that
 *           has missed (timer_getoverrun(2))
 * @info:    of the signal
 *
 * Context: any, interrupt included; takes sig_lock.
 */
void signal_send_record(struct process *process, struct thread *thread,
                        struct signal_record *record, const struct siginfo *info);

/** signal_record_cancel() - take a record back; its signal is not delivered any more. */
void signal_record_cancel(struct process *process, struct signal_record *record);

/**
 * signal_send_pgrp() - send to every process of a group, without permission checks.
 * Context: thread; takes process_tree_lock.
 * Return:  0, or -ESRCH if the group has no member.
 */
int signal_send_pgrp(s32 pgid, int signal, const struct siginfo *info);

/** signal_send_pgrp_locked() - the same for a caller that holds process_tree_lock. */
int signal_send_pgrp_locked(struct pid *group, int signal, const struct siginfo *info);

/**
 * signal_force_fault() - the current thread did something that the machine cannot continue.
 * @signal: SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGTRAP
 * @code:   si_code
 * @addr:   si_addr
 *
 * A blocked or ignored signal is reset to its default first, so that the fault ends the
 * process rather than repeating for ever.
 */
void signal_force_fault(int signal, int code, u64 addr);

/** signal_force() - force @signal on the current thread with SI_KERNEL and no address. */
void signal_force(int signal);

/** signal_force_kill() - end the current process with @signal, whatever its handler. */
void signal_force_kill(int signal);

/** signal_kill_process() - SIGKILL for every thread of @process at once. Context: any. */
void signal_kill_process(struct process *process);

/**
 * signal_set_temp_mask() - block @mask until the thread returns to user mode.
 *
 * For ppoll, pselect6, epoll_pwait and rt_sigsuspend: signals that arrive under the temporary
 * mask are delivered under it, and the handler's return restores the old one.
 */
void signal_set_temp_mask(u64 mask);

/**
 * signal_set_temp_mask_user() - the same with the user's set.
 * @user_mask: user address of the set; 0 changes nothing
 * @size:      must be 8
 * Return:  0, -EINVAL, -EFAULT.
 */
MUST_CHECK int signal_set_temp_mask_user(u64 user_mask, u64 size);

/** signal_restore_mask_unless() - undo signal_set_temp_mask() unless @interrupted. */
void signal_restore_mask_unless(bool interrupted);

/** signal_set_blocked() - replace the current thread's mask; KILL and STOP stay deliverable. */
void signal_set_blocked(u64 mask);

/**
 * signal_set_altstack() - sigaltstack for the current thread.
 * @user_sp: where its stack pointer is: a stack in use cannot be changed
 * Return:   0, -EPERM (in use), -EINVAL (flags), -ENOMEM (too small).
 */
MUST_CHECK int signal_set_altstack(u64 sp, u32 flags, u64 size, u64 user_sp);

/** signal_is_on_altstack() - does @user_sp lie in the current thread's alternate stack? */
bool signal_is_on_altstack(u64 user_sp);

/**
 * signal_set_action() - sigaction: replace and report the action of a signal.
 * @new: NULL to leave it
 * @old: out: the action before, or NULL
 * Return: 0, or -ENOMEM: the table was shared since fork and there is no memory for a copy.
 */
int signal_set_action(int signal, const struct signal_action *new, struct signal_action *old);

/** signal_is_blocked_or_ignored() - would @signal do nothing to @thread? Takes sig_lock. */
bool signal_is_blocked_or_ignored(struct thread *thread, int signal);

/**
 * signal_deliver() - take pending signals: build a handler's frame, stop, or end the process.
 * @frame: user registers
 *
 * Context: thread on its way to user mode; sleeps in a job-control stop.
 */
void signal_deliver(struct trapframe *frame);

/** signal_thread_init() - empty state for a new, zeroed thread; with @parent's mask if that is
 * given. */
void signal_thread_init(struct thread *thread, const struct thread *parent);

/** signal_flush_thread() - free what is pending for a thread that is exiting. */
void signal_flush_thread(struct thread *thread);

/** signal_flush_process() - free what is pending for a process that is exiting. */
void signal_flush_process(struct process *process);

/** signal_exec_reset() - the current thread's alternate stack goes (execve). */
void signal_exec_reset(void);

/** sighand_init() - the cache of tables; call once, from signal_init(). */
void sighand_init(void);

/** sighand_create() - a table of default actions with one reference, or NULL without memory. */
struct sighand *sighand_create(void);

/**
 * sighand_fork() - the actions that a child of @parent begins with.
 * Context: a thread of @parent, or one that builds it. Return: a table, perhaps the parent's own,
 * with a reference for the child; NULL without memory.
 */
struct sighand *sighand_fork(struct process *parent);

/** sighand_share() - the same for CLONE_SIGHAND: what one changes is changed for both. */
struct sighand *sighand_share(struct process *parent);

/** sighand_fork_cleared() - the same for CLONE_CLEAR_SIGHAND: only what is ignored stays so. */
struct sighand *sighand_fork_cleared(struct process *parent);

/** sighand_put() - a process does not use the table any more. */
void sighand_put(struct sighand *sighand);

/** sighand_copy_ignored() - @to, which is new, ignores what @from does (execve). The caller holds
 *  the sig_lock of a process that uses @from. */
void sighand_copy_ignored(struct sighand *to, struct sighand *from);

/** sighand_is_shared() - do several processes use the table by CLONE_SIGHAND? */
bool sighand_is_shared(const struct sighand *sighand);

/** signal_pending_init() - an empty pending set. */
void signal_pending_init(struct signal_pending *pending);

/**
 * signal_dequeue() - take the next signal outside @blocked from thread and process.
 * @info: out: its record
 * Context: current thread; its process's sig_lock is held.
 * Return:  the signal, or 0.
 */
int signal_dequeue(struct thread *thread, u64 blocked, struct siginfo *info);

/** signal_recalc_locked() - set or clear THREAD_WORK_SIGNAL of the current thread. */
void signal_recalc_locked(struct thread *thread);

/** signal_name() - "SIGSEGV" and so on for messages. */
const char *signal_name(int signal);

/** signal_init() - the cache of records; call once from proc_init(). */
void signal_init(void);

#endif
