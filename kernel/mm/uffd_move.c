/*
 * UFFDIO_MOVE: pages go from one place of the caller's memory to another, as they are.
 *
 * Both VMAs are held by mmap_lock (O5). A page that moves is exclusive, so nobody else maps it, and
 * not pinned, which is asked again after its entry is gone: a lock-free pin is counted by then, or
 * finds the entry changed and gives up (D23, J11). The page's place in its reverse map changes with
 * both tables locked. Read next: verify.c.
 */
#include <debug/explore.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/cursor.h>
#include <mm/mm.h>
#include <mm/rmap.h>
#include <mm/tlb.h>
#include <mm/uffd_internal.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>

/* One call on its way. */
struct moving {
    struct mm *mm;
    struct vma *dst_vma;
    struct vma *src_vma;
    struct pt_cursor to;
    struct pt_cursor from;
    struct tlb_batch batch;
    bool allows_holes;
};

/* D21. */
static bool is_movable(const struct vma *vma)
{
    return vma_is_anonymous(vma) && !(vma->flags & VM_SHARED) && (vma->flags & VM_WRITE);
}

static int find_vmas(struct uffd_ctx *ctx, const struct uffd_move *move, struct moving *moving)
{
    u64 alike = VM_ACCESS_FLAGS | VM_LOCKED_MASK;

    moving->dst_vma = vma_find_at(ctx->mm, move->dst);
    if (moving->dst_vma == NULL) {
        return -ENOENT;
    }
    /* As in uffd_fill.c, before anything is checked. */
    if (!(moving->dst_vma->flags & VM_SHARED) && anon_vma_prepare(moving->dst_vma) != 0) {
        return -ENOMEM;
    }
    moving->src_vma = vma_find_at(ctx->mm, move->src);
    if (moving->src_vma == NULL) {
        return -ENOENT;
    }
    if (atomic_u32_load(&ctx->nr_changing) != 0) {
        return -EAGAIN; /* D1 */
    }
    if (move->src + move->len > moving->src_vma->end ||
        move->dst + move->len > moving->dst_vma->end) {
        return -EINVAL;
    }
    if (!is_movable(moving->src_vma) || !is_movable(moving->dst_vma) ||
        ((moving->src_vma->flags ^ moving->dst_vma->flags) & alike) != 0 ||
        moving->dst_vma->uffd != ctx) {
        return -EINVAL;
    }
    return 0;
}

/* --- one page --------------------------------------------------------------------------------- */

/* Two tables of one address space are locked in the order of their addresses (D24). */
static void lock_both(struct moving *moving)
{
    if (moving->from.table == moving->to.table) {
        cursor_lock(&moving->from);
    } else if (moving->from.table < moving->to.table) {
        cursor_lock(&moving->from);
        cursor_lock_nested(&moving->to);
    } else {
        cursor_lock(&moving->to);
        cursor_lock_nested(&moving->from);
    }
}

static void unlock_both(struct moving *moving)
{
    cursor_unlock(&moving->from);
    if (moving->from.table != moving->to.table) {
        cursor_unlock(&moving->to);
    }
}

/* The page's rmap is that of the VMA where it arrives; its entry there is new and writable. */
static struct pte arrived_entry(const struct moving *moving, struct page *page)
{
    struct pte entry = pte_make_page(page_to_pfn(page), vma_pte_access(moving->dst_vma));

    return pte_with_write(pte_with_dirty(entry));
}

/* D23. Both tables locked; @entry is present. */
static int move_present(struct moving *moving, struct pte entry)
{
    struct page *page = pte_page(entry);
    struct pte old;

    if (page == NULL) {
        /* The zero page is entered anew; nothing is counted for it. */
        (void)cursor_exchange(&moving->from, pte_none());
        tlb_batch_add_range(&moving->batch, moving->from.addr, moving->from.addr + PAGE_SIZE);
        cursor_set(&moving->to, pte_with_special(pte_make_page(pte_pfn(entry),
                                                               vma_pte_access(moving->dst_vma))));
        return 0;
    }
    if (!page_is_anon_exclusive(page) || page_pincount(page) != 0) {
        return -EBUSY;
    }
    old = cursor_exchange(&moving->from, pte_none());
    explore_point(EXPLORE_COUNT);
    tlb_flush_page(moving->mm, moving->from.addr);
    if (page_pincount(page) != 0) {
        cursor_set(&moving->from, old);
        return -EBUSY;
    }
    page->owner = moving->dst_vma->anon_vma;
    page->index = vma_page_index(moving->dst_vma, moving->to.addr);
    cursor_set(&moving->to, arrived_entry(moving, page));
    return 0;
}

static int move_entry(struct moving *moving)
{
    struct pte entry;
    int error;

    /* Whoever starts from a page finds it in one of the two places. */
    anon_vma_lock(moving->src_vma);
    lock_both(moving);
    entry = cursor_pte(&moving->from);
    if (!pte_is_none(cursor_pte(&moving->to))) {
        error = -EEXIST; /* D22 */
    } else if (pte_is_none(entry)) {
        error = moving->allows_holes ? 0 : -ENOENT;
    } else if (!pte_is_present(entry)) {
        error = -EFAULT;
    } else {
        error = move_present(moving, entry);
    }
    unlock_both(moving);
    anon_vma_unlock(moving->src_vma);
    return error;
}

/* Without a table there is a hole. */
static int move_page(struct moving *moving, u64 dst, u64 src)
{
    if (!cursor_find(&moving->to, moving->mm, dst) &&
        cursor_prepare(&moving->to, moving->mm, dst) != 0) {
        return -ENOMEM;
    }
    if (!cursor_find(&moving->from, moving->mm, src)) {
        if (!moving->allows_holes) {
            return -ENOENT;
        }
        if (cursor_prepare(&moving->from, moving->mm, src) != 0) {
            return -ENOMEM;
        }
    }
    return move_entry(moving);
}

/* --- the range -------------------------------------------------------------------------------- */

static s64 move_locked(struct uffd_ctx *ctx, const struct uffd_move *move, struct moving *moving)
{
    u64 done = 0;
    int error = find_vmas(ctx, move, moving);

    if (error == 0 && anon_vma_prepare(moving->src_vma) != 0) {
        error = -ENOMEM;
    }
    if (error != 0) {
        return error;
    }
    tlb_batch_begin(&moving->batch, moving->mm);
    while (error == 0 && done < move->len) {
        error = move_page(moving, move->dst + done, move->src + done);
        done += error == 0 ? PAGE_SIZE : 0;
        sched_point();
        if (error == 0 && fatal_signal_pending(current_thread())) {
            error = -EINTR;
        }
    }
    tlb_batch_finish(&moving->batch);
    return done != 0 ? (s64)done : error;
}

s64 uffd_move(struct uffd_ctx *ctx, const struct uffd_move *move)
{
    struct moving moving = {.mm = ctx->mm, .allows_holes = move->allows_holes};
    s64 result;

    mm_read_lock(ctx->mm);
    result = move_locked(ctx, move, &moving);
    mm_read_unlock(ctx->mm);
    return result;
}
