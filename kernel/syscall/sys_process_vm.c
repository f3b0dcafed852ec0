/*
 * Calls on the memory of another process: process_vm_readv(2), process_vm_writev(2),
 * process_madvise(2).
 *
 * Owns: the order of the checks, which is Linux's: an empty transfer succeeds before anybody asks
 * whether the process exists. Read next: kernel/mm/process_vm.c.
 */
#include <syscall/syscalls.h>

#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/iov.h>
#include <lib/errno.h>
#include <mm/mm.h>
#include <mm/process_vm.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/pidfd.h>
#include <proc/process.h>
#include <proc/thread.h>
#include <uapi/linux/mman.h>

/* The remote side: its addresses mean nothing here, so only the lengths are checked. */
struct remote_iov {
    struct iovec fast[IOV_FAST];
    struct iovec *iov;
    u32 nr;
    bool is_empty; /* no byte in any of them */
};

static int remote_import(struct remote_iov *remote, u64 array, u64 nr)
{
    int error = 0;

    remote->iov = remote->fast;
    remote->nr = (u32)nr;
    remote->is_empty = true;
    if (nr > UIO_MAXIOV) {
        return -EINVAL;
    }
    if (nr > IOV_FAST) {
        remote->iov = kmalloc(nr * sizeof(struct iovec), ALLOC_KERNEL);
        if (remote->iov == NULL) {
            return -ENOMEM;
        }
    }
    if (nr != 0) {
        error = copy_from_user(remote->iov, array, nr * sizeof(struct iovec));
    }
    for (u64 i = 0; i < nr && error == 0; i++) {
        error = (s64)remote->iov[i].iov_len < 0 ? -EINVAL : 0;
        remote->is_empty &= remote->iov[i].iov_len == 0;
    }
    if (error != 0 && remote->iov != remote->fast) {
        kfree(remote->iov);
    }
    return error;
}

static void remote_release(struct remote_iov *remote)
{
    if (remote->iov != remote->fast) {
        kfree(remote->iov);
    }
}

/* The process with a thread of this id, with a reference; or NULL. */
static struct process *find_by_any_id(s32 id)
{
    struct process *process = process_find_get(id);
    struct thread *thread;

    if (process != NULL) {
        return process;
    }
    thread = thread_find_get(id);
    if (thread != NULL) {
        process = thread->process;
        process_get(process);
        thread_put(thread);
    }
    return process;
}

static s64 transfer(s32 pid, struct iov_iter *near, const struct remote_iov *remote,
                    enum remote_access access)
{
    struct process *process = find_by_any_id(pid);
    struct mm *mm;
    s64 result;

    if (process == NULL) {
        return -ESRCH;
    }
    result = process_mm_access(process, TRACE_REAL_IDS, &mm);
    if (result == 0) {
        result = process_vm_transfer(mm, remote->iov, remote->nr, near, access);
        mm_put(mm);
    }
    process_put(process);
    return result == -EACCES ? -EPERM : result;
}

static s64 process_vm(s32 pid, u64 near_iov, u64 nr_near, u64 remote_iov, u64 nr_remote, u64 flags,
                      enum remote_access access)
{
    struct iovec fast[IOV_FAST];
    struct iovec *heap;
    struct iov_iter near;
    struct remote_iov remote;
    s64 result;

    if (flags != 0) {
        return -EINVAL;
    }
    result = iov_import(&near, near_iov, nr_near, fast, &heap);
    if (result != 0) {
        return result;
    }
    if (iov_count(&near) != 0) {
        result = remote_import(&remote, remote_iov, nr_remote);
        if (result == 0) {
            result = remote.is_empty ? 0 : transfer(pid, &near, &remote, access);
            remote_release(&remote);
        }
    }
    iov_release(heap);
    return result;
}

long sys_process_vm_readv(s32 pid, u64 near, u64 nr_near, u64 remote, u64 nr_remote, u64 flags)
{
    return process_vm(pid, near, nr_near, remote, nr_remote, flags, REMOTE_READ);
}

long sys_process_vm_writev(s32 pid, u64 near, u64 nr_near, u64 remote, u64 nr_remote, u64 flags)
{
    return process_vm(pid, near, nr_near, remote, nr_remote, flags, REMOTE_WRITE);
}

/* Advice that takes nothing away but time. */
static bool is_advice_for_others(s32 advice)
{
    return advice == MADV_COLD || advice == MADV_PAGEOUT || advice == MADV_WILLNEED ||
           advice == MADV_COLLAPSE;
}

/* Return: bytes advised on, or the error that came before the first. */
static s64 advise_each(struct mm *mm, struct iov_iter *ranges, s32 advice)
{
    u64 total = iov_count(ranges);
    int error = 0;

    while (iov_count(ranges) > 0) {
        const struct iovec *range = ranges->iov;

        error = mm_advise(mm, range->iov_base, range->iov_len, advice);
        if (error != 0) {
            break;
        }
        iov_advance(ranges, range->iov_len);
    }
    total -= iov_count(ranges);
    return total > 0 ? (s64)total : error;
}

static s64 advise_process(struct process *process, struct iov_iter *ranges, s32 advice)
{
    struct mm *mm;
    bool may_slow_down;
    s64 result;

    if (!is_advice_for_others(advice)) {
        return -EINVAL;
    }
    result = process_mm_access(process, TRACE_FS_IDS, &mm);
    if (result != 0) {
        return result;
    }
    may_slow_down = mm == current_mm() || has_capability(CAP_SYS_NICE);
    result = may_slow_down ? advise_each(mm, ranges, advice) : -EPERM;
    mm_put(mm);
    return result;
}

/* The process behind a pidfd, with a reference. Return: 0, -EBADF, -ESRCH (waited for). */
static int process_of_pidfd(s32 pidfd, struct process **out)
{
    struct fd_ref ref;
    struct process *process;
    int error;

    if (fd_borrow(pidfd, &ref) != 0) {
        return -EBADF;
    }
    process = pidfd_process(ref.file);
    error = process == NULL ? -EBADF : READ_ONCE(process->state) == PROCESS_DEAD ? -ESRCH : 0;
    if (error == 0) {
        process_get(process);
        *out = process;
    }
    fd_return(&ref);
    return error;
}

long sys_process_madvise(s32 pidfd, u64 iov, u64 nr, s32 advice, u32 flags)
{
    struct iovec fast[IOV_FAST];
    struct iovec *heap;
    struct iov_iter ranges;
    struct process *process;
    s64 result;

    if (flags != 0) {
        return -EINVAL;
    }
    result = iov_import(&ranges, iov, nr, fast, &heap);
    if (result != 0) {
        return result;
    }
    result = process_of_pidfd(pidfd, &process);
    if (result == 0) {
        result = advise_process(process, &ranges, advice);
        process_put(process);
    }
    iov_release(heap);
    return result;
}
