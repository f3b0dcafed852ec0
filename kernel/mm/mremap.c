/*
 * Resizing and moving mappings: mremap(2).
 *
 * A mapping shrinks by unmapping its end, grows in place if the addresses behind it are free, and
 * is moved otherwise, entries and all: pages keep their identity, pinned ones too. Checks come in
 * Linux's order. Read next: brk.c.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/account.h>
#include <mm/change_protection.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/ranges.h>
#include <mm/rmap.h>
#include <mm/uffd.h>
#include <mm/vma.h>
#include <uapi/linux/mman.h>

/* A move needs up to three VMAs more while it is under way. */
#define MOVE_SPARE_VMAS 3

/* One call on its way. */
struct remap {
    struct mm *mm;
    u64 addr;
    u64 old_len;
    u64 new_len;
    u32 flags;
    u64 new_addr;
    bool populate; /* what was added is locked memory */

    /* What is left to be done when mmap_lock is dropped. */
    struct unmapped replaced; /* of what stood at new_addr */
    struct unmapped left;     /* of the old range, or its end */
    struct uffd_remap pager;  /* who is to be told of the move */
};

/* May the mapping at addr have new_len bytes? Return: 0 with its VMA, or Linux's error. */
static int check_resize(const struct remap *remap, struct vma **out)
{
    struct vma *vma = vma_find_at(remap->mm, remap->addr);
    u64 grown_pages = (remap->new_len - remap->old_len) >> PAGE_SHIFT;

    if (vma == NULL) {
        return -EFAULT;
    }
    /* An old length of zero asks for a second mapping of the same pages. */
    if (remap->old_len == 0 && !(vma->flags & VM_SHARED)) {
        return -EINVAL;
    }
    if ((remap->flags & MREMAP_DONTUNMAP) && (vma->flags & (VM_DONTEXPAND | VM_PFNMAP))) {
        return -EINVAL;
    }
    if (remap->old_len > vma->end - remap->addr) {
        return -EFAULT;
    }
    *out = vma;
    if (remap->new_len == remap->old_len) {
        return 0;
    }
    if (vma_page_index(vma, remap->addr) + (remap->new_len >> PAGE_SHIFT) < vma->pgoff) {
        return -EINVAL;
    }
    if (vma->flags & (VM_DONTEXPAND | VM_PFNMAP)) {
        return -EFAULT;
    }
    if (remap->new_len > remap->old_len) {
        if (!mm_may_lock_more(remap->mm, vma->flags, grown_pages)) {
            return -EAGAIN;
        }
        if (!mm_may_expand(remap->mm, vma->flags, grown_pages)) {
            return -ENOMEM;
        }
    }
    return 0;
}

/* Grows a VMA at its end, where nothing is mapped. */
static int grow_in_place(struct remap *remap, struct vma *vma)
{
    u64 delta = remap->new_len - remap->old_len;
    u64 nr_pages = delta >> PAGE_SHIFT;

    if ((vma->flags & VM_ACCOUNT) && vm_commit_charge(remap->mm, nr_pages) != 0) {
        return -ENOMEM;
    }
    vma_write_lock(vma);
    vma_set_range(vma, vma->start, vma->end + delta, vma->pgoff);
    mm_account_add(remap->mm, vma->flags, nr_pages);
    remap->populate = (vma->flags & VM_LOCKED_MASK) == VM_LOCKED;
    vma_merge_around(vma);
    return 0;
}

static bool has_room_behind(const struct vma *vma, u64 delta)
{
    const struct vma *next = vma_next(vma);

    return delta <= TASK_SIZE - vma->end && (next == NULL || vma->end + delta <= next->start);
}

/* The new VMA of a move, linked at new_addr. It merges with its neighbours when it is filled. */
static struct vma *make_target(struct remap *remap, struct vma *old)
{
    struct vma_props props = vma_props_of(old);
    struct vma *next = vma_find(remap->mm, remap->new_addr);
    struct vma *prev = next != NULL ? vma_prev(next) : vma_last(remap->mm);
    struct vma *target;

    if (old->object == NULL && old->anon_vma == NULL) {
        /* No page knows its index yet: take the one that merges best. */
        props.pgoff = remap->new_addr >> PAGE_SHIFT;
    } else {
        props.pgoff = vma_page_index(old, remap->addr);
    }
    /* Whatever stands at these addresses is new to who tracks writes. */
    props.flags |= VM_SOFTDIRTY;
    uffd_remap_prepare(&props, &remap->pager);
    target = vma_alloc(remap->mm, remap->new_addr, remap->new_addr + remap->new_len, &props);
    if (target == NULL) {
        return NULL;
    }
    if (old->anon_vma != NULL) {
        anon_vma_clone(target, old);
    }
    vma_link(remap->mm, target, prev);
    return target;
}

/* Moves the entries, or puts them all back. */
static bool move_or_return(const struct remap *remap, struct vma *old, struct vma *target)
{
    u64 moved = move_page_tables(old, remap->addr, target, remap->new_addr, remap->old_len);

    if (moved < remap->old_len) {
        /* The tables at the old place still stand: the way back needs no memory. */
        u64 returned = move_page_tables(target, remap->new_addr, old, remap->addr, moved);

        ASSERT(returned == moved, "moving entries back needs no new tables");
    }
    return moved == remap->old_len;
}

/* Who starts from a page, to unmap it or to look at its entries, waits until it has arrived. */
static bool move_entries(const struct remap *remap, struct vma *old,
                         struct vma *target) NO_THREAD_SAFETY_ANALYSIS
{
    struct vm_object *object = old->object;
    bool is_moved;

    if (remap->old_len == 0) {
        return true;
    }
    if (object != NULL) {
        object_lock(object);
    }
    anon_vma_lock(old);
    is_moved = move_or_return(remap, old, target);
    anon_vma_unlock(old);
    if (object != NULL) {
        object_unlock(object);
    }
    return is_moved;
}

/* Removes the range that a failed or finished move left behind, without entries. */
static void drop_range(struct remap *remap, u64 start, u64 len)
{
    int error = unmap_emptied_range(remap->mm, start, start + len, &remap->left);

    ASSERT(error == 0, "unmapping a whole VMA needs no memory");
}

/* The old range loses what moved away: with MREMAP_DONTUNMAP its locks, otherwise everything. */
static void leave_old_range(struct remap *remap, struct vma *old)
{
    u64 nr_pages = remap->old_len >> PAGE_SHIFT;
    u64 flags = old->flags;

    if (remap->old_len == 0) {
        return;
    }
    if (!(remap->flags & MREMAP_DONTUNMAP)) {
        drop_range(remap, remap->addr, remap->old_len);
        return;
    }
    if (flags & VM_LOCKED_MASK) {
        vma_set_flags(old, flags & ~VM_LOCKED_MASK);
        mm_account_sub(remap->mm, flags, nr_pages);
        mm_account_add(remap->mm, flags & ~VM_LOCKED_MASK, nr_pages);
    }
}

/* What was cut out may melt with its neighbours again; it may even be one of the target's. */
static void merge_both(struct remap *remap, struct vma *target)
{
    struct vma *old;

    vma_merge_around(target);
    old = vma_find_at(remap->mm, remap->addr);
    if (old != NULL) {
        vma_merge_around(old);
    }
}

static int move_vma(struct remap *remap, struct vma *vma)
{
    struct mm *mm = remap->mm;
    u64 nr_pages = remap->new_len >> PAGE_SHIFT;
    u64 flags = vma->flags;
    struct vma *target;
    int error;

    if (mm->map_count + MOVE_SPARE_VMAS >= MAX_MAP_COUNT) {
        return -ENOMEM;
    }
    if ((flags & VM_ACCOUNT) && vm_commit_charge(mm, nr_pages) != 0) {
        return -ENOMEM;
    }
    /* The old range becomes a VMA of its own, so that leaving it needs no memory. */
    error =
        remap->old_len != 0 ? vma_isolate(mm, &vma, remap->addr, remap->addr + remap->old_len) : 0;
    if (error != 0) {
        goto out_release;
    }
    vma_write_lock(vma);
    if (remap->old_len != 0 && !(remap->flags & MREMAP_DONTUNMAP)) {
        error =
            uffd_unmap_prepare(mm, remap->addr, remap->addr + remap->old_len, &remap->left.pagers);
        if (error != 0) {
            goto out_merge;
        }
    }
    target = make_target(remap, vma);
    if (target == NULL) {
        error = -ENOMEM;
        goto out_merge;
    }
    mm_account_add(mm, flags, nr_pages);
    if (!move_entries(remap, vma, target)) {
        drop_range(remap, remap->new_addr, remap->new_len);
        vma_merge_around(vma);
        return -ENOMEM;
    }
    leave_old_range(remap, vma);
    remap->populate = (flags & VM_LOCKED_MASK) == VM_LOCKED && remap->new_len > remap->old_len;
    merge_both(remap, target);
    return 0;

out_merge:
    vma_merge_around(vma);
out_release:
    if (flags & VM_ACCOUNT) {
        vm_commit_release(nr_pages);
    }
    return error;
}

/* MREMAP_FIXED and MREMAP_DONTUNMAP: always a move. */
static int remap_to(struct remap *remap)
{
    struct place_request place = {.addr = remap->new_addr, .len = remap->new_len};
    struct mm *mm = remap->mm;
    struct vma *vma;
    int error;

    if (!PAGE_ALIGNED(remap->new_addr) || remap->new_len > TASK_SIZE ||
        remap->new_addr > TASK_SIZE - remap->new_len) {
        return -EINVAL;
    }
    if (remap->addr + remap->old_len > remap->new_addr &&
        remap->new_addr + remap->new_len > remap->addr) {
        return -EINVAL;
    }
    if (mm->map_count + 2 + 3 >= MAX_MAP_COUNT) {
        return -ENOMEM;
    }
    if (remap->flags & MREMAP_FIXED) {
        place.map_flags = MAP_FIXED;
        error =
            unmap_range(mm, remap->new_addr, remap->new_addr + remap->new_len, &remap->replaced);
        if (error != 0) {
            return error;
        }
    }
    if (remap->old_len > remap->new_len) {
        error = unmap_range(mm, remap->addr + remap->new_len, remap->addr + remap->old_len,
                            &remap->left);
        if (error != 0) {
            return error;
        }
        remap->old_len = remap->new_len;
    }
    error = check_resize(remap, &vma);
    if (error != 0) {
        return error;
    }
    if ((remap->flags & MREMAP_DONTUNMAP) &&
        !mm_may_expand(mm, vma->flags, remap->old_len >> PAGE_SHIFT)) {
        return -ENOMEM;
    }
    error = mm_choose_address(mm, &place, &remap->new_addr);
    return error != 0 ? error : move_vma(remap, vma);
}

static int remap_locked(struct remap *remap)
{
    struct place_request place = {.len = remap->new_len};
    struct vma *vma = vma_find_at(remap->mm, remap->addr);
    int error;

    if (vma == NULL) {
        return -EFAULT;
    }
    if (vma->flags & VM_SEALED) {
        return -EPERM;
    }
    if (remap->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
        return remap_to(remap);
    }
    if (remap->old_len >= remap->new_len) {
        remap->new_addr = remap->addr;
        return remap->old_len == remap->new_len
                   ? 0
                   : unmap_range(remap->mm, remap->addr + remap->new_len,
                                 remap->addr + remap->old_len, &remap->left);
    }
    error = check_resize(remap, &vma);
    if (error != 0) {
        return error;
    }
    if (remap->old_len == vma->end - remap->addr &&
        has_room_behind(vma, remap->new_len - remap->old_len)) {
        remap->new_addr = remap->addr;
        return grow_in_place(remap, vma);
    }
    if (!(remap->flags & MREMAP_MAYMOVE)) {
        return -ENOMEM;
    }
    error = mm_choose_address(remap->mm, &place, &remap->new_addr);
    return error != 0 ? error : move_vma(remap, vma);
}

static int check_arguments(const struct remap *remap)
{
    if (remap->flags & ~(u32)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) {
        return -EINVAL;
    }
    if ((remap->flags & MREMAP_FIXED) && !(remap->flags & MREMAP_MAYMOVE)) {
        return -EINVAL;
    }
    if ((remap->flags & MREMAP_DONTUNMAP) &&
        (!(remap->flags & MREMAP_MAYMOVE) || remap->old_len != remap->new_len)) {
        return -EINVAL;
    }
    return PAGE_ALIGNED(remap->addr) ? 0 : -EINVAL;
}

int mm_remap(struct mm *mm, u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr,
             u64 *addr_out)
{
    struct remap remap = {
        .mm = mm,
        .addr = addr,
        .old_len = old_len,
        .new_len = new_len,
        .flags = flags,
        .new_addr = new_addr,
    };
    int error = check_arguments(&remap);

    if (error != 0) {
        return error;
    }
    remap.replaced = (struct unmapped)UNMAPPED_INIT(remap.replaced);
    remap.left = (struct unmapped)UNMAPPED_INIT(remap.left);
    remap.old_len = PAGE_ALIGN_UP(old_len);
    remap.new_len = PAGE_ALIGN_UP(new_len);
    if (remap.new_len == 0) {
        return -EINVAL;
    }
    error = mm_write_lock_killable(mm);
    if (error != 0) {
        return error;
    }
    error = remap_locked(&remap);
    mm_write_unlock(mm);
    /* In Linux's order: what was replaced, the move, what was left. */
    unmapped_finish(&remap.replaced);
    if (error == 0) {
        uffd_remap_complete(&remap.pager, addr, remap.new_addr, remap.old_len);
    } else {
        uffd_remap_cancel(&remap.pager);
    }
    unmapped_finish(&remap.left);
    if (error != 0) {
        return error;
    }
    if (remap.populate) {
        /* The mapping has its new size; pages that cannot be had now come when touched. */
        error = mm_populate(mm, remap.new_addr + remap.old_len, remap.new_addr + remap.new_len);
    }
    *addr_out = remap.new_addr;
    return 0;
}
