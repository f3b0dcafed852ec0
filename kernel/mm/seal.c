/*
 * Sealed mappings: mseal(2).
 *
 * What is sealed stays mapped, at its address, with its permissions, until the address space ends:
 * unmap.c, map.c by way of it, mremap.c and protect.c ask before they change anything. Advice that
 * drops pages is refused where the program could not write the same zeros itself (madvise.c).
 */
#include <lib/errno.h>
#include <mm/mm.h>
#include <mm/vma.h>

bool mm_is_sealed(struct mm *mm, u64 start, u64 end)
{
    struct vma *vma;

    if (likely(!mm->has_sealed)) {
        return false;
    }
    for_each_vma_range (vma, mm, start, end) {
        if (vma->flags & VM_SEALED) {
            return true;
        }
    }
    return false;
}

static bool has_hole(struct mm *mm, u64 start, u64 end)
{
    struct vma *vma;

    for_each_vma_range (vma, mm, start, end) {
        if (vma->start > start) {
            return true;
        }
        start = vma->end;
    }
    return start < end;
}

static int seal_locked(struct mm *mm, u64 start, u64 end)
{
    struct vma *vma;

    if (has_hole(mm, start, end)) {
        return -ENOMEM;
    }
    mm->has_sealed = true;
    for (vma = vma_find(mm, start); start < end; vma = vma_next(vma)) {
        if (!(vma->flags & VM_SEALED)) {
            int error = vma_isolate(mm, &vma, start, min(vma->end, end));

            if (error != 0) {
                return error;
            }
            vma_set_flags(vma, vma->flags | VM_SEALED);
            vma = vma_merge_around(vma);
        }
        start = vma->end;
    }
    return 0;
}

int mm_seal(struct mm *mm, u64 addr, u64 len)
{
    u64 end = addr + PAGE_ALIGN_UP(len);
    int error;

    if (!PAGE_ALIGNED(addr) || (len != 0 && PAGE_ALIGN_UP(len) == 0) || end < addr) {
        return -EINVAL;
    }
    if (end == addr) {
        return 0;
    }
    error = mm_write_lock_killable(mm);
    if (error == 0) {
        error = seal_locked(mm, addr, end);
        mm_write_unlock(mm);
    }
    return error;
}
