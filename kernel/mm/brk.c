/*
 * The heap: brk(2). The heap is an anonymous VMA like any other; this file only moves its end.
 * Read next: stack.c.
 */
#include <mm/account.h>
#include <mm/mm.h>
#include <mm/ranges.h>
#include <mm/vma.h>
#include <proc/rlimit.h>

#define HEAP_VM_FLAGS (VM_READ | VM_WRITE | VM_MAY_FLAGS | VM_SOFTDIRTY)

void mm_set_brk(struct mm *mm, u64 start_brk)
{
    mm->layout.start_brk = start_brk;
    mm->layout.brk = start_brk;
}

/* RLIMIT_DATA bounds the heap together with the program's own data. */
static bool data_limit_allows(const struct mm *mm, u64 brk)
{
    u64 limit = rlimit_get(RLIMIT_DATA);
    u64 data = mm->layout.end_data - mm->layout.start_data;

    return limit == RLIM_INFINITY || brk - mm->layout.start_brk + data <= limit;
}

/* Maps [start, end) behind the heap. */
static bool grow_heap(struct mm *mm, u64 start, u64 end)
{
    u64 nr_pages = (end - start) >> PAGE_SHIFT;
    struct vma *next = vma_find(mm, start);
    struct vma *prev;
    struct vma_props props = {
        .flags = HEAP_VM_FLAGS | VM_ACCOUNT | mm->def_flags,
        .pgoff = start >> PAGE_SHIFT,
    };

    if (!mm_may_lock_more(mm, props.flags, nr_pages) || !mm_may_expand(mm, props.flags, nr_pages) ||
        mm->map_count > MAX_MAP_COUNT || vm_commit_charge(mm, nr_pages) != 0) {
        return false;
    }
    prev = next != NULL ? vma_prev(next) : vma_last(mm);
    if (vma_merge_new(mm, prev, next, start, end, &props) == NULL) {
        struct vma *vma = vma_alloc(mm, start, end, &props);

        if (vma == NULL) {
            vm_commit_release(nr_pages);
            return false;
        }
        vma_link(mm, vma, prev);
    }
    mm_account_add(mm, props.flags, nr_pages);
    return true;
}

/* Is [start, end) free, with a page between it and whatever comes next? */
static bool heap_has_room(struct mm *mm, u64 start, u64 end)
{
    struct vma *next = vma_find(mm, start);

    if (end > TASK_SIZE || end < start) {
        return false;
    }
    return next == NULL || end + PAGE_SIZE <= vma_start_with_guard(next);
}

static bool move_brk(struct mm *mm, u64 brk, struct unmapped *unmapped)
{
    u64 old_end = PAGE_ALIGN_UP(mm->layout.brk);
    u64 new_end = PAGE_ALIGN_UP(brk);

    if (brk < mm->layout.start_brk || brk > TASK_SIZE || !data_limit_allows(mm, brk)) {
        return false;
    }
    if (new_end < old_end) {
        return unmap_range(mm, new_end, old_end, unmapped) == 0;
    }
    return new_end == old_end ||
           (heap_has_room(mm, old_end, new_end) && grow_heap(mm, old_end, new_end));
}

u64 mm_brk(struct mm *mm, u64 brk)
{
    struct unmapped unmapped = UNMAPPED_INIT(unmapped);
    u64 old_brk, new_brk;
    bool populate;

    if (mm_write_lock_killable(mm) != 0) {
        return mm->layout.brk;
    }
    old_brk = mm->layout.brk;
    if (move_brk(mm, brk, &unmapped)) {
        mm->layout.brk = brk;
    }
    new_brk = mm->layout.brk;
    populate = (mm->def_flags & VM_LOCKED_MASK) == VM_LOCKED && new_brk > old_brk;
    mm_write_unlock(mm);
    unmapped_finish(&unmapped);
    if (populate && mm_populate(mm, PAGE_ALIGN_UP(old_brk), PAGE_ALIGN_UP(new_brk)) != 0) {
        /* The heap has grown; its pages come when they are touched. */
        return new_brk;
    }
    return new_brk;
}
