/*
 * Locked memory: mlock(2) and its family. Without reclaim, locking means: bring the pages in now,
 * count them against RLIMIT_MEMLOCK, and refuse to drop them on advice. Read next: mincore.c.
 */
#include <lib/errno.h>
#include <mm/account.h>
#include <mm/mm.h>
#include <mm/vma.h>
#include <proc/cred.h>
#include <proc/rlimit.h>
#include <uapi/linux/mman.h>

static int lock_part(struct mm *mm, struct vma **vma, u64 start, u64 end, u64 lock_flags)
{
    u64 old_flags = (*vma)->flags;
    u64 flags = (old_flags & ~VM_LOCKED_MASK) | lock_flags;
    u64 nr_pages = (end - start) >> PAGE_SHIFT;
    int error;

    if (flags == old_flags || (old_flags & VM_SPECIAL)) {
        return 0;
    }
    error = vma_isolate(mm, vma, start, end);
    if (error != 0) {
        return error;
    }
    vma_set_flags(*vma, flags);
    mm_account_sub(mm, old_flags, nr_pages);
    mm_account_add(mm, flags, nr_pages);
    *vma = vma_merge_around(*vma);
    return 0;
}

/* Gives a range without holes new lock flags; what lies in front of a failure keeps them. */
static int set_lock_flags(struct mm *mm, u64 start, u64 end, u64 lock_flags)
{
    struct vma *vma = vma_find(mm, start);

    while (start < end) {
        int error;

        if (vma == NULL || vma->start > start) {
            return -ENOMEM;
        }
        error = lock_part(mm, &vma, start, min(vma->end, end), lock_flags);
        if (error != 0) {
            return error;
        }
        start = vma->end;
        vma = vma_next(vma);
    }
    return 0;
}

/* Pages of a range that are locked already and must not be counted twice. */
static u64 count_locked(struct mm *mm, u64 start, u64 end)
{
    u64 nr_pages = 0;
    struct vma *vma;

    for_each_vma_range (vma, mm, start, end) {
        if (vma->flags & VM_LOCKED) {
            nr_pages += (min(vma->end, end) - max(vma->start, start)) >> PAGE_SHIFT;
        }
    }
    return nr_pages;
}

/* mlock(2) has its own errors for pages that cannot be brought in. */
static int posix_error(int error)
{
    if (error == -EFAULT) {
        return -ENOMEM;
    }
    return error == -ENOMEM ? -EAGAIN : error;
}

int mm_lock_range(struct mm *mm, u64 addr, u64 len, u32 mlock_flags)
{
    u64 lock_flags = VM_LOCKED | (mlock_flags & MLOCK_ONFAULT ? VM_LOCKONFAULT : 0);
    u64 start = PAGE_ALIGN_DOWN(addr);
    u64 bytes = PAGE_ALIGN_UP(len + PAGE_OFFSET(addr));
    u64 nr_pages = bytes >> PAGE_SHIFT;
    int error;

    if (mlock_flags & ~(u32)MLOCK_ONFAULT) {
        return -EINVAL;
    }
    if (!mm_may_lock()) {
        return -EPERM;
    }
    error = mm_write_lock_killable(mm);
    if (error != 0) {
        return error;
    }
    if (!mm_may_lock_more(mm, VM_LOCKED, nr_pages) &&
        !mm_may_lock_more(mm, VM_LOCKED, nr_pages - count_locked(mm, start, start + bytes))) {
        error = -ENOMEM;
    } else if (start + bytes < start) {
        error = -EINVAL;
    } else {
        error = set_lock_flags(mm, start, start + bytes, lock_flags);
    }
    mm_write_unlock(mm);
    if (error != 0) {
        return error;
    }
    return posix_error(mm_populate(mm, start, start + bytes));
}

int mm_unlock_range(struct mm *mm, u64 addr, u64 len)
{
    u64 start = PAGE_ALIGN_DOWN(addr);
    u64 bytes = PAGE_ALIGN_UP(len + PAGE_OFFSET(addr));
    int error = mm_write_lock_killable(mm);

    if (error != 0) {
        return error;
    }
    error = start + bytes < start ? -EINVAL : set_lock_flags(mm, start, start + bytes, 0);
    mm_write_unlock(mm);
    return error;
}

/* Gives every VMA new lock flags; like Linux, goes on after a failure. */
static void set_all_lock_flags(struct mm *mm, u64 lock_flags)
{
    struct vma *vma = vma_first(mm);

    while (vma != NULL) {
        if (lock_part(mm, &vma, vma->start, vma->end, lock_flags) != 0) {
            vma = vma_next(vma);
            continue;
        }
        vma = vma_next(vma);
    }
}

/* Brings in what mlockall locked; errors are not reported, as in Linux. */
static void populate_all(struct mm *mm)
{
    u64 addr = 0;

    while (addr < TASK_SIZE) {
        struct vma *vma;
        u64 start = TASK_SIZE;
        u64 end = TASK_SIZE;

        mm_read_lock(mm);
        vma = vma_find(mm, addr);
        if (vma != NULL) {
            start = vma->start;
            end = vma->end;
        }
        mm_read_unlock(mm);
        if (vma == NULL || mm_populate(mm, start, end) == -EINTR) {
            return;
        }
        addr = end;
    }
}

int mm_lock_all(struct mm *mm, u32 mcl_flags)
{
    u64 lock_flags = VM_LOCKED | (mcl_flags & MCL_ONFAULT ? VM_LOCKONFAULT : 0);
    int error;

    if (mcl_flags == 0 || mcl_flags == MCL_ONFAULT ||
        (mcl_flags & ~(u32)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))) {
        return -EINVAL;
    }
    if (!mm_may_lock()) {
        return -EPERM;
    }
    error = mm_write_lock_killable(mm);
    if (error != 0) {
        return error;
    }
    if ((mcl_flags & MCL_CURRENT) && mm->total_vm > rlimit_get(RLIMIT_MEMLOCK) >> PAGE_SHIFT &&
        !has_capability(CAP_IPC_LOCK)) {
        mm_write_unlock(mm);
        return -ENOMEM;
    }
    mm->def_flags &= ~VM_LOCKED_MASK;
    if (mcl_flags & MCL_FUTURE) {
        mm->def_flags |= lock_flags;
    }
    if (mcl_flags & MCL_CURRENT) {
        set_all_lock_flags(mm, lock_flags);
    }
    mm_write_unlock(mm);
    if (mcl_flags & MCL_CURRENT) {
        populate_all(mm);
    }
    return 0;
}

int mm_unlock_all(struct mm *mm)
{
    int error = mm_write_lock_killable(mm);

    if (error != 0) {
        return error;
    }
    mm->def_flags &= ~VM_LOCKED_MASK;
    set_all_lock_flags(mm, 0);
    mm_write_unlock(mm);
    return 0;
}
