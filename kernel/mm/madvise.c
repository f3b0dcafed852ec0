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
#include <mm/pager.h>
#include <mm/populate.h>
#include <mm/ranges.h>
#include <mm/reclaim.h>
#include <mm/tlb.h>
#include <mm/uffd.h>
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
    case MADV_COLLAPSE:
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

/* Dropping pages is a way to write zeros: a sealed mapping that cannot be written must not change.
 */
static bool seal_forbids(const struct vma *vma, int advice)
{
    if (likely(!(vma->flags & VM_SEALED)) || (vma->flags & VM_WRITE) ||
        !is_private_anonymous(vma)) {
        return false;
    }
    switch (advice) {
    case MADV_FREE:
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
    case MADV_REMOVE:
    case MADV_DONTFORK:
    case MADV_WIPEONFORK:
        return true;
    default:
        return false;
    }
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
        *flags |= vma->flags & (VM_SHARED | VM_SPECIAL | VM_HUGETLB) ? 0 : VM_MERGEABLE;
        return 0;
    case MADV_UNMERGEABLE:
        *flags &= ~VM_MERGEABLE;
        return 0;
    case MADV_COLLAPSE: /* No VMA can have huge pages; this is what Linux says of such a one. */
    default:
        return -EINVAL;
    }
}

static int advise_flags_part(struct mm *mm, struct vma **vma, u64 start, u64 end, int advice)
{
    u64 flags = (*vma)->flags;
    int error = seal_forbids(*vma, advice) ? -EPERM : advised_flags(*vma, advice, &flags);

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

    if (seal_forbids(vma, advice)) {
        return -EPERM;
    }
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
        zap_keeping_markers(vma, start, end, batch);
        break;
    }
}

/* Advice for pages on its way. */
struct page_advice {
    int advice;
    u64 at;   /* what lies below is done */
    u64 told; /* pagers know of what lies below */
    u64 end;
    bool has_hole;
};

static bool drops_pages(int advice)
{
    return advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED || advice == MADV_FREE;
}

/*
 * One hold of mmap_lock. For reading, it lets other threads fault meanwhile: the page-table locks
 * sort that out. Return: 0, with more to do if a pager has to be told first, or -errno.
 */
static int advise_leg(struct mm *mm, struct page_advice *it, u64 *tell_end)
{
    struct tlb_batch batch;
    struct vma *vma;
    int error = 0;

    *tell_end = 0;
    tlb_batch_begin(&batch, mm);
    for_each_vma_range (vma, mm, it->at, it->end) {
        u64 low = max(vma->start, it->at);
        u64 high = min(vma->end, it->end);

        it->has_hole |= low > it->at;
        it->at = low;
        error = check_pages(vma, it->advice);
        if (error != 0) {
            break;
        }
        if (drops_pages(it->advice) && it->told < high && uffd_wants_remove(vma)) {
            *tell_end = high;
            break;
        }
        advise_pages_part(vma, low, high, it->advice, &batch);
        it->at = high;
    }
    tlb_batch_finish(&batch);
    return error;
}

static int advise_pages(struct mm *mm, u64 start, u64 end, int advice)
{
    struct page_advice it = {.advice = advice, .at = start, .told = start, .end = end};
    u64 tell_end;
    int error;

    do {
        mm_read_lock(mm);
        error = advise_leg(mm, &it, &tell_end);
        mm_read_unlock(mm);
        if (tell_end != 0) {
            /* G5: whatever the VMAs are after that, this range is told of. */
            uffd_tell_remove(mm, it.at, tell_end);
            it.told = tell_end;
        }
    } while (tell_end != 0 && error == 0);
    if (error != 0) {
        return error;
    }
    return it.has_hole || it.at < end ? -ENOMEM : 0;
}

/* Finds the object range behind the first VMA of [start, end). Return: 0 with *part_end. */
static int find_removal(struct mm *mm, u64 *start, u64 end, struct vm_object **object,
                        u64 *first_byte, u64 *part_end)
{
    struct vma *vma = vma_find_intersection(mm, *start, end);

    if (vma == NULL) {
        return -ENOMEM;
    }
    if (seal_forbids(vma, MADV_REMOVE)) {
        return -EPERM;
    }
    if ((vma->flags & VM_LOCKED) || vma->object == NULL) {
        return -EINVAL;
    }
    if ((vma->flags & (VM_SHARED | VM_MAYWRITE)) != (VM_SHARED | VM_MAYWRITE)) {
        return -EACCES;
    }
    if (object_has_pager(vma->object)) {
        return -EOPNOTSUPP; /* What is missing comes back: only its pager can take it away. */
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
        if (mm->has_uffd) {
            uffd_tell_remove(mm, from, part_end);
        }
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

/* The first part of [*start, end) whose pages have a pager that hears of writes; referenced. */
static struct vm_object *find_tracked(struct mm *mm, u64 *start, u64 end, u64 *first_byte,
                                      u64 *part_end)
{
    struct vm_object *object = NULL;
    struct vma *vma;

    mm_read_lock(mm);
    for_each_vma_range (vma, mm, *start, end) {
        if ((vma->flags & VM_SHARED) && vma->object != NULL && object_tracks_writes(vma->object)) {
            *start = max(*start, vma->start);
            *part_end = min(vma->end, end);
            *first_byte = vma_page_index(vma, *start) << PAGE_SHIFT;
            object = vma->object;
            object_get(object);
            break;
        }
    }
    mm_read_unlock(mm);
    return object;
}

static int write_back_range(struct mm *mm, u64 start, u64 end)
{
    u64 first_byte = 0;
    u64 part_end = end;
    struct vm_object *object = find_tracked(mm, &start, end, &first_byte, &part_end);

    while (object != NULL) {
        int error = object_write_back(object, first_byte, first_byte + (part_end - start));

        object_put(object);
        if (error != 0) {
            return error;
        }
        start = part_end;
        object = start < end ? find_tracked(mm, &start, end, &first_byte, &part_end) : NULL;
    }
    return 0;
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
    /* A mapping and its object share their pages: only what has a pager is to be written back. */
    if (flags & MS_SYNC) {
        int error = write_back_range(mm, addr, end);

        if (error != 0) {
            return error;
        }
    }
    return mm_check_mapped(mm, addr, end);
}
