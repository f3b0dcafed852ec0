/*
 * Advice: madvise(2) and msync(2).
 *
 * Advice either changes the flags of VMAs, takes pages away, brings them in, or is only a hint and
 * does nothing here. A hole in the range is passed over and reported as ENOMEM at the end, after
 * the rest was done, as Linux does. Read next: mlock.c.
 */
#include <lib/errno.h>
#include <mm/account.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/populate.h>
#include <mm/ranges.h>
#include <mm/reclaim.h>
#include <mm/tlb.h>
#include <mm/vma.h>
#include <mm/zap.h>
#include <uapi/linux/mman.h>

/* How a kind of advice is carried out. */
enum advice_class {
    ADVICE_UNKNOWN,
    ADVICE_HINT,     /* nothing to do */
    ADVICE_FLAGS,    /* other VM_* */
    ADVICE_PAGES,    /* drop the pages, or think less of them */
    ADVICE_REMOVE,   /* punch a hole into the object */
    ADVICE_POPULATE, /* bring the pages in */
};

static enum advice_class classify_advice(int advice)
{
    switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_WIPEONFORK:
    case MADV_KEEPONFORK:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_MERGEABLE:
    case MADV_UNMERGEABLE:
        return ADVICE_FLAGS;
    case MADV_WILLNEED:
        return ADVICE_HINT;
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
    case MADV_FREE:
    case MADV_COLD:
    case MADV_PAGEOUT:
        return ADVICE_PAGES;
    case MADV_REMOVE:
        return ADVICE_REMOVE;
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
        return ADVICE_POPULATE;
    default:
        return ADVICE_UNKNOWN;
    }
}

static bool is_private_anonymous(const struct vma *vma)
{
    return vma_is_anonymous(vma) && !(vma->flags & VM_SHARED);
}

/* The flags of a VMA after the advice. Return: 0 or -EINVAL (not for this kind of VMA). */
static int advised_flags(const struct vma *vma, int advice, u64 *flags)
{
    switch (advice) {
    case MADV_NORMAL:
        *flags &= ~VM_ADVICE_MASK;
        return 0;
    case MADV_SEQUENTIAL:
        *flags = (*flags & ~VM_RAND_READ) | VM_SEQ_READ;
        return 0;
    case MADV_RANDOM:
        *flags = (*flags & ~VM_SEQ_READ) | VM_RAND_READ;
        return 0;
    case MADV_DONTFORK:
        *flags |= VM_DONTCOPY;
        return 0;
    case MADV_DOFORK:
        *flags &= ~VM_DONTCOPY;
        return vma->flags & VM_IO ? -EINVAL : 0;
    case MADV_WIPEONFORK:
        *flags |= VM_WIPEONFORK;
        return is_private_anonymous(vma) ? 0 : -EINVAL;
    case MADV_KEEPONFORK:
        *flags &= ~VM_WIPEONFORK;
        return 0;
    case MADV_DONTDUMP:
        *flags |= VM_DONTDUMP;
        return 0;
    case MADV_DODUMP:
        *flags &= ~VM_DONTDUMP;
        return vma->flags & VM_SPECIAL ? -EINVAL : 0;
    case MADV_HUGEPAGE:
        *flags = (*flags & ~VM_NOHUGEPAGE) | VM_HUGEPAGE;
        return 0;
    case MADV_NOHUGEPAGE:
        *flags = (*flags & ~VM_HUGEPAGE) | VM_NOHUGEPAGE;
        return 0;
    case MADV_MERGEABLE:
        *flags |= is_private_anonymous(vma) ? VM_MERGEABLE : 0;
        return 0;
    case MADV_UNMERGEABLE:
        *flags &= ~VM_MERGEABLE;
        return 0;
    default:
        return -EINVAL;
    }
}

static int advise_flags_part(struct mm *mm, struct vma **vma, u64 start, u64 end, int advice)
{
    u64 flags = (*vma)->flags;
    int error = advised_flags(*vma, advice, &flags);

    if (error != 0 || flags == (*vma)->flags) {
        return error;
    }
    error = vma_isolate(mm, vma, start, end);
    if (error == -ENOMEM) {
        /* Linux: a lack of kernel memory is not a hole in the range. */
        return -EAGAIN;
    }
    vma_set_flags(*vma, flags);
    *vma = vma_merge_around(*vma);
    return 0;
}

static int advise_flags(struct mm *mm, u64 start, u64 end, int advice)
{
    struct vma *vma;
    bool has_hole = false;
    int error = mm_write_lock_killable(mm);

    if (error != 0) {
        return error;
    }
    vma = vma_find(mm, start);
    while (error == 0 && start < end) {
        if (vma == NULL || vma->start >= end) {
            has_hole = true;
            break;
        }
        if (vma->start > start) {
            has_hole = true;
            start = vma->start;
        }
        error = advise_flags_part(mm, &vma, start, min(vma->end, end), advice);
        start = vma->end;
        vma = vma_next(vma);
    }
    mm_write_unlock(mm);
    if (error != 0) {
        return error;
    }
    return has_hole ? -ENOMEM : 0;
}

/* Does the advice go for pages of this VMA? */
static int check_pages(const struct vma *vma, int advice)
{
    u64 forbidden = VM_PFNMAP | VM_HUGETLB;

    if (advice != MADV_DONTNEED_LOCKED) {
        forbidden |= VM_LOCKED;
    }
    if (vma->flags & forbidden) {
        return -EINVAL;
    }
    return advice == MADV_FREE && !is_private_anonymous(vma) ? -EINVAL : 0;
}

static void advise_pages_part(struct vma *vma, u64 start, u64 end, int advice,
                              struct tlb_batch *batch)
{
    switch (advice) {
    case MADV_FREE:
        reclaim_allow(vma, start, end, batch);
        break;
    case MADV_COLD:
        reclaim_age(vma, start, end);
        break;
    case MADV_PAGEOUT:
        reclaim_age(vma, start, end);
        if (is_private_anonymous(vma)) {
            reclaim_take(vma, start, end, batch);
        }
        break;
    default:
        zap_range(vma, start, end, batch);
        break;
    }
}

/* mmap_lock for reading lets other threads fault meanwhile: the page-table locks sort that out. */
static int advise_pages(struct mm *mm, u64 start, u64 end, int advice)
{
    struct tlb_batch batch;
    struct vma *vma;
    u64 covered = start;
    bool has_hole = false;
    int error = 0;

    mm_read_lock(mm);
    tlb_batch_begin(&batch, mm);
    for_each_vma_range (vma, mm, start, end) {
        u64 low = max(vma->start, start);
        u64 high = min(vma->end, end);

        has_hole |= low > covered;
        covered = high;
        error = check_pages(vma, advice);
        if (error != 0) {
            break;
        }
        advise_pages_part(vma, low, high, advice, &batch);
    }
    tlb_batch_finish(&batch);
    mm_read_unlock(mm);
    if (error != 0) {
        return error;
    }
    return has_hole || covered < end ? -ENOMEM : 0;
}

/* Finds the object range behind the first VMA of [start, end). Return: 0 with *part_end. */
static int find_removal(struct mm *mm, u64 *start, u64 end, struct vm_object **object,
                        u64 *first_byte, u64 *part_end)
{
    struct vma *vma = vma_find_intersection(mm, *start, end);

    if (vma == NULL) {
        return -ENOMEM;
    }
    if ((vma->flags & VM_LOCKED) || vma->object == NULL) {
        return -EINVAL;
    }
    if ((vma->flags & (VM_SHARED | VM_MAYWRITE)) != (VM_SHARED | VM_MAYWRITE)) {
        return -EACCES;
    }
    *start = max(*start, vma->start);
    *part_end = min(vma->end, end);
    *first_byte = vma_page_index(vma, *start) << PAGE_SHIFT;
    *object = vma->object;
    object_get(vma->object);
    return 0;
}

static int advise_remove(struct mm *mm, u64 start, u64 end)
{
    bool has_hole = false;

    while (start < end) {
        struct vm_object *object = NULL;
        u64 from = start;
        u64 first_byte = 0;
        u64 part_end = end;
        int error;

        mm_read_lock(mm);
        error = find_removal(mm, &from, end, &object, &first_byte, &part_end);
        mm_read_unlock(mm);
        if (error != 0) {
            return error;
        }
        has_hole |= from > start;
        error = object_punch_hole(object, first_byte, first_byte + (part_end - from));
        object_put(object);
        if (error != 0) {
            return error;
        }
        start = part_end;
    }
    return has_hole ? -ENOMEM : 0;
}

int mm_advise(struct mm *mm, u64 addr, u64 len, int advice)
{
    enum advice_class class = classify_advice(advice);
    u64 end = addr + PAGE_ALIGN_UP(len);

    if (class == ADVICE_UNKNOWN || !PAGE_ALIGNED(addr) || (len != 0 && PAGE_ALIGN_UP(len) == 0) ||
        end < addr) {
        return -EINVAL;
    }
    if (end == addr) {
        return 0;
    }
    switch (class) {
    case ADVICE_FLAGS:
        return advise_flags(mm, addr, end, advice);
    case ADVICE_PAGES:
        return advise_pages(mm, addr, end, advice);
    case ADVICE_REMOVE:
        return advise_remove(mm, addr, end);
    case ADVICE_POPULATE:
        return mm_populate_range(mm, addr, end,
                                 advice == MADV_POPULATE_READ ? POPULATE_READ : POPULATE_WRITE);
    case ADVICE_HINT:
        return mm_check_mapped(mm, addr, end);
    case ADVICE_UNKNOWN:
        break;
    }
    return -EINVAL;
}

int mm_check_mapped(struct mm *mm, u64 start, u64 end)
{
    struct vma *vma;
    bool has_hole = false;

    mm_read_lock(mm);
    for_each_vma_range (vma, mm, start, end) {
        has_hole |= vma->start > start;
        start = vma->end;
    }
    mm_read_unlock(mm);
    return has_hole || start < end ? -ENOMEM : 0;
}

/* MS_INVALIDATE is refused where memory is locked. */
static int check_invalidate(struct mm *mm, u64 start, u64 end)
{
    struct vma *vma;
    int error = 0;

    mm_read_lock(mm);
    for_each_vma_range (vma, mm, start, end) {
        if (vma->flags & VM_LOCKED) {
            error = -EBUSY;
            break;
        }
    }
    mm_read_unlock(mm);
    return error;
}

int mm_sync(struct mm *mm, u64 addr, u64 len, u32 flags)
{
    u64 end = addr + PAGE_ALIGN_UP(len);

    if ((flags & ~(u32)(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || !PAGE_ALIGNED(addr) ||
        (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC)) {
        return -EINVAL;
    }
    if (end < addr) {
        return -ENOMEM;
    }
    if (end == addr) {
        return 0;
    }
    if (flags & MS_INVALIDATE) {
        int error = check_invalidate(mm, addr, end);

        if (error != 0) {
            return error;
        }
    }
    /* A mapping and its object share their pages: there is nothing to write back. */
    return mm_check_mapped(mm, addr, end);
}
