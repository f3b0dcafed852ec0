/*
 * Changing permissions: mprotect(2).
 *
 * VMA by VMA: the part inside the range becomes a VMA of its own, its flags change, the page tables
 * follow, and it melts with neighbours that are like it now. As in Linux, what lies in front of a
 * failure stays changed. Read next: brk.c.
 */
#include <lib/errno.h>
#include <mm/account.h>
#include <mm/change_protection.h>
#include <mm/mm.h>
#include <mm/populate.h>
#include <mm/ranges.h>
#include <mm/vma.h>
#include <uapi/linux/mman.h>

/* VM_MAYREAD stands four bits above VM_READ, and so on. */
#define VM_MAY_SHIFT 4
_Static_assert(VM_MAYREAD == VM_READ << VM_MAY_SHIFT && VM_MAYWRITE == VM_WRITE << VM_MAY_SHIFT &&
                   VM_MAYEXEC == VM_EXEC << VM_MAY_SHIFT,
               "a VM_MAY flag stands a fixed distance above its permission");

/* Takes or gives up the promise of memory for pages that become, or are no longer, writable. */
static int adjust_charge(struct mm *mm, const struct vma *vma, u64 nr_pages, u64 *flags)
{
    u64 old_flags = vma->flags;

    if (*flags & VM_WRITE) {
        if (!mm_may_expand(mm, *flags, nr_pages) && mm_may_expand(mm, old_flags, nr_pages)) {
            return -ENOMEM;
        }
        if (!(old_flags & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE))) {
            if (vm_commit_charge(mm, nr_pages) != 0) {
                return -ENOMEM;
            }
            *flags |= VM_ACCOUNT;
        }
        return 0;
    }
    if ((old_flags & VM_ACCOUNT) && vma_is_anonymous(vma) && vma->anon_vma == NULL) {
        /* Nothing was ever written there: it need not be paid for. */
        *flags &= ~VM_ACCOUNT;
    }
    return 0;
}

/* Gives [start, end) of a VMA new flags. Return: 0 with *vma covering the range, or -ENOMEM. */
static int protect_part(struct mm *mm, struct vma **vma, u64 start, u64 end, u64 flags)
{
    u64 old_flags = (*vma)->flags;
    u64 nr_pages = (end - start) >> PAGE_SHIFT;
    int error;

    if (old_flags & VM_SEALED) {
        return -EPERM;
    }
    if (flags == old_flags) {
        return 0;
    }
    /* From here on no fault makes a first private page, which would have to be paid for. */
    vma_write_lock(*vma);
    error = adjust_charge(mm, *vma, nr_pages, &flags);
    if (error != 0) {
        return error;
    }
    error = vma_isolate(mm, vma, start, end);
    if (error != 0) {
        if ((flags & ~old_flags) & VM_ACCOUNT) {
            vm_commit_release(nr_pages);
        }
        return error;
    }
    vma_set_flags(*vma, flags);
    change_protection(*vma, start, end);
    mm_account_sub(mm, old_flags, nr_pages);
    mm_account_add(mm, flags, nr_pages);
    if ((old_flags & ~flags) & VM_ACCOUNT) {
        vm_commit_release(nr_pages);
    }
    *vma = vma_merge_around(*vma);
    return 0;
}

static int protect_locked(struct mm *mm, struct vma *vma, u64 start, u64 end, u64 permissions,
                          bool *populate)
{
    while (true) {
        u64 part_end = min(vma->end, end);
        u64 flags = (vma->flags & ~VM_ACCESS_FLAGS) | permissions;
        u64 old_flags = vma->flags;
        int error;

        if (permissions & ~(flags >> VM_MAY_SHIFT)) {
            return -EACCES;
        }
        error = protect_part(mm, &vma, start, part_end, flags);
        if (error != 0) {
            return error;
        }
        /* A locked mapping stays populated: its pages are now private copies to be. */
        if ((old_flags & (VM_WRITE | VM_SHARED | VM_LOCKED)) == VM_LOCKED && (flags & VM_WRITE)) {
            *populate = true;
        }
        start = max(part_end, vma->end);
        if (start >= end) {
            return 0;
        }
        vma = vma_next(vma);
        if (vma == NULL || vma->start != start) {
            return -ENOMEM;
        }
    }
}

/* Finds the VMA where the change begins; PROT_GROWSDOWN moves the start to that of the stack. */
static int find_first(struct mm *mm, u32 prot, u64 *start, u64 end, struct vma **out)
{
    struct vma *vma = vma_find(mm, *start);

    if (vma == NULL) {
        return -ENOMEM;
    }
    if (prot & PROT_GROWSDOWN) {
        if (vma->start >= end) {
            return -ENOMEM;
        }
        if (!(vma->flags & VM_GROWSDOWN)) {
            return -EINVAL;
        }
        *start = vma->start;
    } else if (vma->start > *start) {
        return -ENOMEM;
    } else if (prot & PROT_GROWSUP) {
        /* No mapping of this machine grows upwards. */
        return -EINVAL;
    }
    *out = vma;
    return 0;
}

int mm_protect(struct mm *mm, u64 addr, u64 len, u32 prot)
{
    u64 end = addr + PAGE_ALIGN_UP(len);
    u64 start = addr;
    bool populate = false;
    struct vma *vma;
    int error;

    if ((prot & (PROT_GROWSDOWN | PROT_GROWSUP)) == (PROT_GROWSDOWN | PROT_GROWSUP) ||
        !PAGE_ALIGNED(addr)) {
        return -EINVAL;
    }
    if (len == 0) {
        return 0;
    }
    if (end <= addr) {
        return -ENOMEM;
    }
    if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP)) {
        return -EINVAL;
    }
    error = mm_write_lock_killable(mm);
    if (error != 0) {
        return error;
    }
    error = find_first(mm, prot, &start, end, &vma);
    if (error == 0) {
        error = protect_locked(mm, vma, start, end, vm_flags_from_prot(prot), &populate);
    }
    mm_write_unlock(mm);
    if (populate && mm_populate_range(mm, start, end, POPULATE_LOCKED) != 0) {
        /* The permissions hold; the pages come when they are touched. */
        return error;
    }
    return error;
}
