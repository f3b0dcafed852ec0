/*
 * futex(2) and the lists of robust futexes: arguments checked and translated.
 */
#include <syscall/syscalls.h>

#include <lib/errno.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/cred.h>
#include <proc/futex.h>
#include <proc/process.h>
#include <proc/thread.h>
#include <uapi/linux/futex.h>

static bool has_timeout(u32 command)
{
    return command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI ||
           command == FUTEX_LOCK_PI2 || command == FUTEX_WAIT_REQUEUE_PI;
}

/* FUTEX_WAIT counts from now; the other commands take a time on a clock. */
static int read_deadline(u64 timeout, u32 op, u64 *deadline_ns)
{
    struct timespec ts;
    u64 ns;

    if (copy_from_user(&ts, timeout, sizeof(ts)) != 0) {
        return -EFAULT;
    }
    if (!timespec_is_valid(&ts)) {
        return -EINVAL;
    }
    ns = timespec_to_ns(&ts);
    if ((op & FUTEX_CMD_MASK) == FUTEX_WAIT) {
        *deadline_ns = deadline_after(ns);
    } else if ((op & FUTEX_CLOCK_REALTIME) != 0) {
        *deadline_ns = clock_realtime_to_monotonic((s64)ns);
    } else {
        *deadline_ns = ns;
    }
    return 0;
}

static long restart_wait(struct restart_block *block)
{
    struct futex_wait_args args = {
        .uaddr = block->futex.uaddr,
        .value = block->futex.value,
        .bitset = block->futex.bitset,
        .deadline_ns = block->futex.deadline_ns,
        .is_shared = block->futex.flags != 0,
    };
    long result = futex_wait(&args);

    return result == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : result;
}

static long wait(const struct futex_wait_args *args)
{
    struct restart_block *block = &current_thread()->restart;
    long result = futex_wait(args);

    if (result != -ERESTARTSYS || args->deadline_ns == DEADLINE_NONE) {
        return result;
    }
    /* A relative time-out must not begin anew when the call is restarted. */
    block->func = restart_wait;
    block->futex.uaddr = args->uaddr;
    block->futex.value = args->value;
    block->futex.bitset = args->bitset;
    block->futex.deadline_ns = args->deadline_ns;
    block->futex.flags = args->is_shared ? 1 : 0;
    return -ERESTART_RESTARTBLOCK;
}

/* The commands on two words; their second count comes in the place of the time-out. */
static long run_pair(u32 command, const struct futex_pair_args *pair)
{
    switch (command) {
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        return futex_requeue(pair);
    case FUTEX_WAKE_OP:
        return futex_wake_op(pair);
    default:
        return -ENOSYS;
    }
}

long sys_futex(u64 uaddr, s32 op, u32 value, u64 timeout, u64 uaddr2, u32 value3)
{
    u32 command = (u32)op & FUTEX_CMD_MASK;
    bool is_shared = ((u32)op & FUTEX_PRIVATE_FLAG) == 0;
    u64 deadline_ns = DEADLINE_NONE;

    /* By far the commonest, and the one that is to be short. */
    if (command == FUTEX_WAKE && ((u32)op & FUTEX_CLOCK_REALTIME) == 0) {
        return futex_wake(uaddr, is_shared, (s32)value, FUTEX_BITSET_MATCH_ANY);
    }
    if (timeout != 0 && has_timeout(command)) {
        int error = read_deadline(timeout, (u32)op, &deadline_ns);

        if (error != 0) {
            return error;
        }
    }
    if (((u32)op & FUTEX_CLOCK_REALTIME) != 0 && command != FUTEX_WAIT_BITSET) {
        return -ENOSYS;
    }
    switch (command) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
        return wait(&(struct futex_wait_args){
            .uaddr = uaddr,
            .value = value,
            .bitset = command == FUTEX_WAIT ? FUTEX_BITSET_MATCH_ANY : value3,
            .deadline_ns = deadline_ns,
            .is_shared = is_shared});
    case FUTEX_WAKE_BITSET:
        return futex_wake(uaddr, is_shared, (s32)value, value3);
    default:
        return run_pair(command, &(struct futex_pair_args){
                                     .uaddr = uaddr,
                                     .uaddr2 = uaddr2,
                                     .nr_wake = (s32)value,
                                     .nr_second = (s32)timeout,
                                     .is_shared = is_shared,
                                     .must_compare = command == FUTEX_CMP_REQUEUE,
                                     .value = value3,
                                     .encoded_op = value3,
                                 });
    }
}

long sys_set_robust_list(u64 head, u64 size)
{
    if (size != sizeof(struct robust_list_head)) {
        return -EINVAL;
    }
    current_thread()->robust_list = head;
    return 0;
}

long sys_get_robust_list(s32 pid, u64 head, u64 size)
{
    struct thread *thread = current_thread();
    u64 list;

    if (pid == 0) {
        thread_get(thread);
    } else {
        thread = thread_find_get(pid);
        if (thread == NULL) {
            return -ESRCH;
        }
    }
    list = thread->robust_list;
    if (thread->process != current_process() && !has_capability(CAP_SYS_PTRACE)) {
        thread_put(thread);
        return -EPERM;
    }
    thread_put(thread);
    if (put_user_u64(size, sizeof(struct robust_list_head)) != 0) {
        return -EFAULT;
    }
    return put_user_u64(head, list);
}
