/*
 * Removing mappings: munmap(2), and the end of an address space.
 *
 * A range may cut the first VMA at its tail, remove whole VMAs, and cut the last one at its head:
 * none of that can fail. Only a hole in the middle of one VMA needs memory, for the part above it;
 * that part is made before anything is taken away.
 *
 * Order: the VMA is write-locked, so no fault enters new pages; entries are zapped; the VMA leaves
 * tree, object and anon_vma, so nobody finds the tables; tables are freed; translations are
 * flushed; only then are the frames given back (I8). Read next: protect.c.
 */
#include <arch/pgtable.h>
#include <arch/thread.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/account.h>
#include <mm/mm.h>
#include <mm/ranges.h>
#include <mm/tlb.h>
#include <mm/uffd.h>
#include <mm/vma.h>
#include <mm/zap.h>

static void account_removed(struct mm *mm, const struct vma *vma, u64 nr_pages)
{
    mm_account_sub(mm, vma->flags, nr_pages);
    if (vma->flags & VM_ACCOUNT) {
        vm_commit_release(nr_pages);
    }
}

/* One removal on its way. */
struct removal {
    struct tlb_batch batch;
    struct list_node *detached;
    bool is_emptied; /* no entry is left in the range */
};

static void zap_part(struct vma *vma, u64 start, u64 end, struct removal *removal)
{
    if (!removal->is_emptied) {
        zap_range(vma, start, end, &removal->batch);
    }
}

/* Cuts [start, vma->end) off. */
static void trim_tail(struct mm *mm, struct vma *vma, u64 start, struct removal *removal)
{
    vma_write_lock(vma);
    uffd_wake_gone(vma, start, vma->end);
    account_removed(mm, vma, (vma->end - start) >> PAGE_SHIFT);
    zap_part(vma, start, vma->end, removal);
    vma_set_range(vma, vma->start, start, vma->pgoff);
}

/* Cuts [vma->start, end) off. */
static void trim_head(struct mm *mm, struct vma *vma, u64 end, struct removal *removal)
{
    vma_write_lock(vma);
    uffd_wake_gone(vma, vma->start, end);
    account_removed(mm, vma, (end - vma->start) >> PAGE_SHIFT);
    zap_part(vma, vma->start, end, removal);
    vma_set_range(vma, end, vma->end, vma_page_index(vma, end));
}

static void remove_whole(struct mm *mm, struct vma *vma, struct removal *removal)
{
    vma_write_lock(vma);
    uffd_wake_gone(vma, vma->start, vma->end);
    account_removed(mm, vma, vma_nr_pages(vma));
    zap_part(vma, vma->start, vma->end, removal);
    vma_unlink(mm, vma);
    list_add_tail(removal->detached, &vma->link);
}

/* Removes the part of one VMA that lies in [start, end). Return: the VMA after it. */
static struct vma *remove_part(struct vma *vma, u64 start, u64 end, struct removal *removal)
{
    struct mm *mm = vma->mm;
    struct vma *next = vma_next(vma);

    if (start > vma->start) {
        trim_tail(mm, vma, start, removal);
    } else if (end < vma->end) {
        trim_head(mm, vma, end, removal);
        return vma;
    } else {
        remove_whole(mm, vma, removal);
    }
    return next;
}

/* Does any lowest table that the range touches serve nothing else now? Mostly none does. */
static bool leaves_tables_idle(const struct table_range *range)
{
    u64 size = pt_level_size(1);
    u64 first = max(ALIGN_DOWN(range->start, size), ALIGN_UP(range->floor, size));
    u64 ceiling = ALIGN_UP(range->ceiling, range->ceiling == TASK_SIZE ? size : PAGE_SIZE);

    return first < range->end && first + size <= ceiling;
}

static int remove_range(struct mm *mm, u64 start, u64 end, struct removal *removal)
{
    struct vma *vma = vma_find_intersection(mm, start, end);
    struct table_range tables = {.start = start, .end = end};

    if (vma == NULL) {
        return 0;
    }
    if (start > vma->start && end < vma->end) {
        if (mm->map_count >= MAX_MAP_COUNT || vma_split(mm, vma, end) != 0) {
            return -ENOMEM;
        }
    }
    if (start > vma->start) {
        tables.floor = start;
    } else if (vma_prev(vma) != NULL) {
        tables.floor = vma_prev(vma)->end;
    }
    mm_update_hiwater(mm);
    tlb_batch_begin(&removal->batch, mm);
    while (vma != NULL && vma->start < end) {
        vma = remove_part(vma, start, end, removal);
    }
    tables.ceiling = vma != NULL ? vma->start : TASK_SIZE;
    if (leaves_tables_idle(&tables)) {
        free_page_tables(mm, &tables, &removal->batch);
    }
    tlb_batch_finish(&removal->batch);
    return 0;
}

int unmap_range(struct mm *mm, u64 start, u64 end, struct unmapped *unmapped)
{
    struct removal removal;
    int error;

    if (unlikely(mm->has_sealed) && mm_is_sealed(mm, start, end)) {
        return -EPERM;
    }
    error = uffd_unmap_prepare(mm, start, end, &unmapped->pagers);
    removal.detached = &unmapped->detached;
    removal.is_emptied = false;
    if (error == 0) {
        error = remove_range(mm, start, end, &removal);
    }
    if (error != 0) {
        uffd_unmap_cancel(&unmapped->pagers);
    }
    return error;
}

void unmapped_finish(struct unmapped *unmapped)
{
    vma_free_list(&unmapped->detached);
    uffd_unmap_complete(&unmapped->pagers);
}

int unmap_emptied_range(struct mm *mm, u64 start, u64 end, struct unmapped *unmapped)
{
    struct removal removal;

    removal.detached = &unmapped->detached;
    removal.is_emptied = true;
    return remove_range(mm, start, end, &removal);
}

int mm_unmap(struct mm *mm, u64 addr, u64 len)
{
    struct unmapped unmapped = UNMAPPED_INIT(unmapped);
    int error;

    if (!PAGE_ALIGNED(addr) || addr > TASK_SIZE || len > TASK_SIZE - addr || len == 0) {
        return -EINVAL;
    }
    error = mm_write_lock_killable(mm);
    if (error != 0) {
        return error;
    }
    error = unmap_range(mm, addr, addr + PAGE_ALIGN_UP(len), &unmapped);
    mm_write_unlock(mm);
    unmapped_finish(&unmapped);
    return error;
}

/*
 * Removes a VMA and those that follow without a gap, and the tables that nothing else above needs.
 * Return: the VMA after them.
 */
static struct vma *remove_dead_run(struct mm *mm, struct vma *first)
{
    struct table_range tables = {.start = first->start, .end = first->end};
    struct vma *after = vma_next(first);

    while (after != NULL && after->start == tables.end) {
        tables.end = after->end;
        after = vma_next(after);
    }
    zap_dead_range(mm, tables.start, tables.end);
    for (struct vma *vma = first, *next; vma != after; vma = next) {
        next = vma_next(vma);
        account_removed(mm, vma, vma_nr_pages(vma));
        vma_unlink_last_user(mm, vma);
    }
    tables.ceiling = after != NULL ? after->start : TASK_SIZE;
    if (leaves_tables_idle(&tables)) {
        free_page_tables(mm, &tables, NULL);
    }
    return after;
}

/*
 * Nobody can look anything up any more: there is no user, and who finds a VMA by its pages leaves
 * it alone once it is out of the reverse maps. So no VMA is locked, and none leaves the tree
 * singly. The one flush comes first (I8): no processor will load these tables again.
 */
void unmap_everything(struct mm *mm)
{
    struct vma *vma = vma_first(mm);

    arch_mm_forget(mm);
    mm_write_lock(mm);
    mm_update_hiwater(mm);
    vma_tree_forget(mm);
    /* Upwards, so that nothing is left below. */
    while (vma != NULL) {
        vma = remove_dead_run(mm, vma);
    }
    mm_write_unlock(mm);
    vma_free_list(&mm->vma_list);
    ASSERT(mm->total_vm == 0 && mm->locked_vm == 0 && mm->data_vm == 0 && mm->stack_vm == 0,
           "I9: the counters of an empty address space are zero");
    ASSERT(mm->map_count == 0, "I9: map_count is the number of VMAs");
}
