/*
 * Touching pages in advance: MAP_POPULATE, mlock(2), MADV_POPULATE_*.
 *
 * Each page goes through the fault path like an access by the program, one at a time and with no
 * lock held in between, so that a pager or a signal can end the walk anywhere. Read next:
 * madvise.c.
 */
#include <lib/errno.h>
#include <mm/cursor.h>
#include <mm/fault.h>
#include <mm/gup.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/pager.h>
#include <mm/populate.h>
#include <mm/usercopy.h>
#include <mm/vma.h>
#include <proc/signal.h>
#include <proc/thread.h>

static bool is_populated(struct pte entry, u32 fault_flags)
{
    return pte_is_present(entry) && (!(fault_flags & FAULT_FLAG_WRITE) || pte_is_writable(entry));
}

/*
 * The first address of [addr, end) whose entry does not do for the access, or @end.
 * Context: mmap_lock or the lock of the range's VMA held.
 */
static ALWAYS_INLINE u64 first_unpopulated(struct mm *mm, u64 addr, u64 end, u32 fault_flags)
{
    struct pt_cursor cursor;

    while (addr < end && cursor_find(&cursor, mm, addr)) {
        u64 table_end = cursor_table_end(&cursor, end);

        for (; cursor.addr < table_end; cursor_step(&cursor)) {
            if (!is_populated(cursor_pte(&cursor), fault_flags)) {
                return cursor.addr;
            }
        }
        addr = table_end;
    }
    return addr;
}

/* The access that makes the pages of a VMA what the program will want them to be. */
static int natural_access(const struct vma *vma, u32 *fault_flags)
{
    if (!(vma->flags & VM_ACCESS_FLAGS)) {
        return -EFAULT;
    }
    /* Break copy-on-write now, but do not dirty shared pages for nothing. What may only be
     * executed is brought in as well. */
    *fault_flags = FAULT_FLAG_FORCE;
    if ((vma->flags & (VM_WRITE | VM_SHARED)) == VM_WRITE) {
        *fault_flags |= FAULT_FLAG_WRITE;
    }
    return 0;
}

static int access_of(const struct vma *vma, enum populate_mode mode, u32 *fault_flags)
{
    switch (mode) {
    case POPULATE_NATURAL:
    case POPULATE_LOCKED:
        return natural_access(vma, fault_flags);
    case POPULATE_READ:
        *fault_flags = 0;
        return vma->flags & VM_READ ? 0 : -EINVAL;
    case POPULATE_WRITE:
        *fault_flags = FAULT_FLAG_WRITE;
        return vma->flags & VM_WRITE ? 0 : -EINVAL;
    }
    return -EINVAL;
}

/* Who advises is told of poison, who locks memory is not. */
static u32 foll_flags_of(enum populate_mode mode)
{
    return mode == POPULATE_READ || mode == POPULATE_WRITE ? FOLL_HWPOISON : 0;
}

static bool is_left_alone(const struct vma *vma, enum populate_mode mode)
{
    return (mode == POPULATE_NATURAL && (vma->flags & VM_LOCKONFAULT)) ||
           (mode == POPULATE_LOCKED && (vma->flags & VM_LOCKED_MASK) != VM_LOCKED);
}

/* Finds the first page at or above *addr that needs a fault. Return: 1, 0 (none left), or -errno */
static int next_missing(struct mm *mm, u64 *addr, u64 end, enum populate_mode mode,
                        u32 *fault_flags)
{
    struct vma *vma = vma_find(mm, *addr);

    while (*addr < end) {
        u64 part_end;
        int error;

        if (vma == NULL || vma->start > *addr) {
            return -ENOMEM;
        }
        if (is_left_alone(vma, mode)) {
            *addr = vma->end;
            vma = vma_next(vma);
            continue;
        }
        error = access_of(vma, mode, fault_flags);
        if (error != 0) {
            return error;
        }
        part_end = min(vma->end, end);
        *addr = first_unpopulated(mm, *addr, part_end, *fault_flags);
        if (*addr < part_end) {
            return 1;
        }
        vma = vma_next(vma);
    }
    return 0;
}

int mm_populate_range(struct mm *mm, u64 start, u64 end, enum populate_mode mode)
{
    u64 addr = start;

    while (true) {
        struct fault_info info;
        u32 fault_flags = 0;
        int state, error;

        mm_read_lock(mm);
        state = next_missing(mm, &addr, end, mode, &fault_flags);
        mm_read_unlock(mm);
        if (state <= 0) {
            return state;
        }
        if (fatal_signal_pending(current_thread())) {
            return -EINTR;
        }
        fault_flags |= FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE | FAULT_FLAG_NOEXPAND;
        error =
            fault_error(handle_mm_fault(mm, addr, fault_flags, &info), &info, foll_flags_of(mode));
        if (error != 0) {
            return error;
        }
        addr += PAGE_SIZE;
    }
}

int mm_populate(struct mm *mm, u64 start, u64 end)
{
    return mm_populate_range(mm, start, end, POPULATE_NATURAL);
}

/* May an access to the VMA have to wait for a process? */
static bool has_pager(const struct vma *vma)
{
    return (vma->flags & VM_UFFD_FLAGS) || (vma->object != NULL && object_has_pager(vma->object));
}

/*
 * Finds the first page at or above *addr that is to be brought in. The VMA's lock is enough for a
 * look; what it cannot be had for is left to whoever copies.
 */
static bool next_paged(u64 *addr, u64 end, u32 fault_flags)
{
    struct mm *mm = current_mm();
    bool is_missing = false;

    while (*addr < end && !is_missing) {
        struct vma *vma;

        if (!vma_lock_lookup(mm, *addr, &vma)) {
            *addr += PAGE_SIZE;
            continue;
        }
        if (has_pager(vma)) {
            *addr = first_unpopulated(mm, *addr, min(vma->end, end), fault_flags);
            is_missing = *addr < min(vma->end, end);
        } else {
            *addr = vma->end;
        }
        vma_read_unlock(vma);
    }
    return is_missing;
}

int mm_bring_in(u64 addr, u64 len, enum bring_in_access access)
{
    u32 flags = access == BRING_IN_TO_WRITE ? FAULT_FLAG_WRITE : 0;
    u64 end = addr + len;

    if (!user_access_ok(addr, len)) {
        return 0;
    }
    addr &= PAGE_MASK;
    while (next_paged(&addr, end, flags)) {
        u32 fault_flags = flags | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE;
        struct fault_info info;

        if (fatal_signal_pending(current_thread()) ||
            handle_mm_fault(current_mm(), addr, fault_flags, &info) == FAULT_RETRY_SIGNAL) {
            return -EINTR;
        }
        addr += PAGE_SIZE;
    }
    return 0;
}
