/* System calls about signals. The rules of delivery are kernel/proc/signal*.c. */
#include <syscall/syscalls.h>

#include <arch/signal_frame.h>
#include <arch/thread.h>
#include <arch/trapframe.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/process.h>
#include <proc/process_internal.h>
#include <proc/signal_internal.h>
#include <proc/thread.h>
#include <uapi/linux/time.h>

#define SIGSET_SIZE 8

/* --- sending --------------------------------------------------------------------------------- */

static void kill_info(struct siginfo *info, int signal, int code)
{
    const struct process *self = current_process();

    *info = (struct siginfo){
        .si_signo = signal,
        .si_code = code,
        .rt = {.pid = self->pid, .uid = self->cred.uid},
    };
}

static bool is_signal_or_zero(int signal)
{
    return signal >= 0 && signal <= NSIG;
}

/* The target exists: the number, permission, then the signal; signal 0 is the permission alone. */
static int kill_one_locked(struct process *process, struct thread *thread, int signal,
                           const struct siginfo *info)
{
    if (!is_signal_or_zero(signal)) {
        return -EINVAL;
    }
    if (!cred_may_signal(process, signal)) {
        return -EPERM;
    }
    if (signal == 0) {
        return 0;
    }
    return thread != NULL ? signal_send_thread(thread, signal, info)
                          : signal_send_process(process, signal, info);
}

static int kill_process(s32 pid, int signal, const struct siginfo *info)
{
    spin_lock(&process_tree_lock);
    struct pid *entry = pid_find_locked(pid);
    struct process *process = entry != NULL ? entry->process : NULL;

    if (process == NULL && entry != NULL && entry->thread != NULL) {
        process = entry->thread->process; /* kill(2) with the id of any thread */
    }
    int result = process != NULL ? kill_one_locked(process, NULL, signal, info) : -ESRCH;

    spin_unlock(&process_tree_lock);
    return result;
}

/* Return: 0 if any member got it, else the last error. */
static int kill_group(s32 pgid, int signal, const struct siginfo *info)
{
    struct process *member;
    bool has_success = false;
    int result = -ESRCH;

    spin_lock(&process_tree_lock);
    struct pid *group = pgid == 0 ? current_process()->group : pid_find_locked(pgid);

    if (group != NULL) {
        list_for_each_entry (member, &group->group, group_link) {
            result = kill_one_locked(member, NULL, signal, info);
            has_success = has_success || result == 0;
        }
    }
    spin_unlock(&process_tree_lock);
    return has_success ? 0 : result;
}

/*
 * Does kill(-1) mean this process? Not the caller, and not the servers that process 1 keeps: on
 * Linux they are a part of the kernel.
 */
static bool is_one_of_all_locked(const struct process *process) REQUIRES(process_tree_lock)
{
    return process != NULL && process != current_process() &&
           !(READ_ONCE(process->is_server) && process->parent == first_process);
}

static int kill_all(int signal, const struct siginfo *info)
{
    bool is_anybody = false;
    int result = 0;

    spin_lock(&process_tree_lock);
    for (struct pid *entry = pid_next_locked(PID_INIT); entry != NULL;
         entry = pid_next_locked(entry->nr)) {
        if (!is_one_of_all_locked(entry->process)) {
            continue;
        }
        int error = kill_one_locked(entry->process, NULL, signal, info);

        is_anybody = true;
        if (error != -EPERM) {
            result = error;
        }
    }
    spin_unlock(&process_tree_lock);
    return is_anybody ? result : -ESRCH;
}

static int kill_any(s32 pid, int signal, const struct siginfo *info)
{
    if (pid > 0) {
        return kill_process(pid, signal, info);
    }
    if (pid == S32_MIN) {
        return -ESRCH;
    }
    return pid == -1 ? kill_all(signal, info) : kill_group(-pid, signal, info);
}

long sys_kill(s32 pid, s32 signal)
{
    struct siginfo info;

    kill_info(&info, signal, SI_USER);
    return kill_any(pid, signal, &info);
}

/* @tgid 0: whatever process the thread belongs to. */
static int kill_thread(s32 tgid, s32 tid, int signal, const struct siginfo *info)
{
    int result = -ESRCH;

    spin_lock(&process_tree_lock);
    struct pid *entry = pid_find_locked(tid);

    if (entry != NULL && entry->thread != NULL) {
        struct process *process = entry->thread->process;

        if (tgid == 0 || process->pid == tgid) {
            result = kill_one_locked(process, entry->thread, signal, info);
        }
    } else if (entry != NULL && entry->process != NULL && (tgid == 0 || tgid == tid)) {
        /* The first thread is gone, but its number is still that of a process. */
        result = is_signal_or_zero(signal) ? 0 : -EINVAL;
    }
    spin_unlock(&process_tree_lock);
    return result;
}

long sys_tkill(s32 tid, s32 signal)
{
    struct siginfo info;

    kill_info(&info, signal, SI_TKILL);
    return tid > 0 ? kill_thread(0, tid, signal, &info) : -EINVAL;
}

long sys_tgkill(s32 tgid, s32 tid, s32 signal)
{
    struct siginfo info;

    kill_info(&info, signal, SI_TKILL);
    return tgid > 0 && tid > 0 ? kill_thread(tgid, tid, signal, &info) : -EINVAL;
}

/* A siginfo from user memory. Codes that only the kernel uses are for oneself alone. */
static int get_siginfo(struct siginfo *info, u64 user, s32 target, int signal)
{
    if (copy_from_user(info, user, sizeof(*info)) != 0) {
        return -EFAULT;
    }
    info->si_signo = signal;
    info->si_pad = 0;
    bool pretends = info->si_code >= 0 || info->si_code == SI_TKILL;

    return pretends && target != current_process()->pid ? -EPERM : 0;
}

long sys_rt_sigqueueinfo(s32 pid, s32 signal, u64 user_info)
{
    struct siginfo info;
    int error = get_siginfo(&info, user_info, pid, signal);

    if (error != 0) {
        return error;
    }
    return kill_process(pid, signal, &info);
}

long sys_rt_tgsigqueueinfo(s32 tgid, s32 tid, s32 signal, u64 user_info)
{
    struct siginfo info;
    int error = get_siginfo(&info, user_info, tgid, signal);

    if (error != 0) {
        return error;
    }
    return tgid > 0 && tid > 0 ? kill_thread(tgid, tid, signal, &info) : -EINVAL;
}

/* --- actions and masks ----------------------------------------------------------------------- */

long sys_rt_sigaction(s32 signal, u64 action, u64 old_action, u64 size)
{
    struct sigaction_abi abi;
    struct signal_action new, old;

    if (size != SIGSET_SIZE) {
        return -EINVAL;
    }
    if (action != 0 && copy_from_user(&abi, action, sizeof(abi)) != 0) {
        return -EFAULT;
    }
    if (signal < 1 || signal > NSIG ||
        (action != 0 && signal_in(signal, SIGNAL_MASK_UNBLOCKABLE))) {
        return -EINVAL;
    }
    if (action != 0) {
        new = (struct signal_action){
            .handler = abi.sa_handler,
            .flags = abi.sa_flags & SA_VALID_FLAGS,
            .restorer = abi.sa_restorer,
            .mask = abi.sa_mask,
        };
    }
    int error = signal_set_action(signal, action != 0 ? &new : NULL, &old);

    if (error != 0 || old_action == 0) {
        return error;
    }
    abi = (struct sigaction_abi){
        .sa_handler = old.handler,
        .sa_flags = old.flags,
        .sa_restorer = old.restorer,
        .sa_mask = old.mask,
    };
    return copy_to_user(old_action, &abi, sizeof(abi));
}

long sys_rt_sigprocmask(s32 how, u64 set, u64 old_set, u64 size)
{
    u64 old = current_thread()->sig.blocked;
    u64 mask;

    if (size != SIGSET_SIZE) {
        return -EINVAL;
    }
    if (set != 0) {
        if (get_user_u64(&mask, set) != 0) {
            return -EFAULT;
        }
        switch (how) {
        case SIG_BLOCK:
            mask |= old;
            break;
        case SIG_UNBLOCK:
            mask = old & ~mask;
            break;
        case SIG_SETMASK:
            break;
        default:
            return -EINVAL;
        }
        signal_set_blocked(mask);
    }
    return old_set != 0 ? put_user_u64(old_set, old) : 0;
}

long sys_rt_sigpending(u64 set, u64 size)
{
    struct thread *thread = current_thread();
    struct process *process = thread->process;

    if (size > SIGSET_SIZE) {
        return -EINVAL;
    }
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    u64 mask = (thread->sig.pending.set | process->pending.set) & thread->sig.blocked;

    spin_unlock_irqrestore(&process->sig_lock, flags);
    return copy_to_user(set, &mask, size);
}

long sys_sigaltstack(u64 stack, u64 old_stack)
{
    struct thread_signals *sig = &current_thread()->sig;
    u64 sp = tf_sp(arch_thread_trapframe(&current_thread()->arch));
    bool is_on = signal_is_on_altstack(sp);
    struct sigaltstack_abi old = {
        .ss_sp = sig->altstack_sp,
        .ss_flags = sig->altstack_flags | (is_on ? SS_ONSTACK : 0),
        .ss_size = sig->altstack_size,
    };
    struct sigaltstack_abi new;

    if (stack != 0) {
        if (copy_from_user(&new, stack, sizeof(new)) != 0) {
            return -EFAULT;
        }
        int error = signal_set_altstack(new.ss_sp, new.ss_flags, new.ss_size, sp);

        if (error != 0) {
            return error;
        }
    }
    return old_stack != 0 ? copy_to_user(old_stack, &old, sizeof(old)) : 0;
}

/* --- waiting --------------------------------------------------------------------------------- */

static long wait_for_signal(void)
{
    for (;;) {
        thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
        if (signal_pending(current_thread())) {
            break;
        }
        schedule();
    }
    thread_cancel_sleep();
    return -ERESTARTNOHAND;
}

long sys_rt_sigsuspend(u64 set, u64 size)
{
    u64 mask;

    if (size != SIGSET_SIZE) {
        return -EINVAL;
    }
    if (get_user_u64(&mask, set) != 0) {
        return -EFAULT;
    }
    signal_set_temp_mask(mask);
    return wait_for_signal();
}

long sys_pause(void)
{
    return wait_for_signal();
}

/* Takes a signal of @set if one is pending, blocked or not. */
static bool sigwait_try(u64 set, struct siginfo *info)
{
    struct thread *thread = current_thread();
    struct process *process = thread->process;
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    int signal = signal_dequeue(thread, ~set, info);

    thread->sig.waited = signal != 0 ? 0 : set;
    signal_recalc_locked(thread);
    spin_unlock_irqrestore(&process->sig_lock, flags);
    return signal != 0;
}

static void sigwait_end(void)
{
    struct thread *thread = current_thread();
    struct process *process = thread->process;
    u64 flags = spin_lock_irqsave(&process->sig_lock);

    thread->sig.waited = 0;
    signal_recalc_locked(thread);
    spin_unlock_irqrestore(&process->sig_lock, flags);
}

static int put_siginfo(u64 to, const struct siginfo *info)
{
    if (copy_to_user(to, info, sizeof(*info)) != 0) {
        return -EFAULT;
    }
    return clear_user(to + sizeof(*info), SIGINFO_SIZE - sizeof(*info));
}

long sys_rt_sigtimedwait(u64 set, u64 user_info, u64 timeout, u64 size)
{
    struct process *process = current_process();
    struct timespec time;
    struct siginfo info;
    u64 deadline = U64_MAX;
    u64 mask;

    if (size != SIGSET_SIZE) {
        return -EINVAL;
    }
    if (get_user_u64(&mask, set) != 0) {
        return -EFAULT;
    }
    if (timeout != 0) {
        if (copy_from_user(&time, timeout, sizeof(time)) != 0) {
            return -EFAULT;
        }
        if (!timespec_is_valid(&time)) {
            return -EINVAL;
        }
        deadline = deadline_after(timespec_to_ns(&time));
    }
    mask &= ~SIGNAL_MASK_UNBLOCKABLE;
    int error =
        wait_event_interruptible_until(&process->signal_queue, sigwait_try(mask, &info), deadline);

    if (error != 0) {
        sigwait_end();
        return error == -ETIMEDOUT ? -EAGAIN : -EINTR;
    }
    if (user_info != 0 && put_siginfo(user_info, &info) != 0) {
        return -EFAULT;
    }
    return info.si_signo;
}

/* --- the way back ---------------------------------------------------------------------------- */

long sys_rt_sigreturn(void)
{
    struct thread *thread = current_thread();
    struct trapframe *frame = arch_thread_trapframe(&thread->arch);
    struct signal_frame_restored restored;

    if (arch_signal_pop_frame(frame, &restored) != 0) {
        tf_forget_syscall(frame);
        signal_force(SIGSEGV);
        return 0;
    }
    signal_set_blocked(restored.mask);
    const struct thread_signals *sig = &thread->sig;

    /* What the handler left in uc_stack counts; nonsense there changes nothing. */
    bool is_same = restored.altstack_sp == sig->altstack_sp &&
                   restored.altstack_size == sig->altstack_size &&
                   restored.altstack_flags == sig->altstack_flags;

    if (!is_same && signal_set_altstack(restored.altstack_sp, restored.altstack_flags,
                                        restored.altstack_size, tf_sp(frame)) != 0) {
        return (long)tf_result(frame);
    }
    return (long)tf_result(frame);
}

long sys_restart_syscall(void)
{
    struct restart_block *block = &current_thread()->restart;

    return block->func != NULL ? block->func(block) : -EINTR;
}
