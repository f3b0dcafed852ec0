/*
 * mremap's part in the page tables: entries move, pages keep their identity.
 *
 * The anonymous reverse map needs no change: a page is known by its number in the VMA's generation,
 * which moves along with the VMA's pgoff.
 */
#include <lib/assert.h>
#include <mm/change_protection.h>
#include <mm/cursor.h>
#include <mm/tlb.h>
#include <proc/sched.h>

/* Both positions and how far they may go with the tables they stand in. */
struct entry_move {
    struct vma *new_vma;
    struct pt_cursor from;
    struct pt_cursor to;
    u64 end; /* of the old range, within both tables */
};

static void move_entries(struct entry_move *move);
static void lock_both(struct entry_move *move);
static void unlock_both(struct entry_move *move);
static struct pte moved_entry(const struct vma *new_vma, struct pte entry);

u64 move_page_tables(struct vma *old_vma, u64 old_start, struct vma *new_vma, u64 new_start,
                     u64 len)
{
    struct entry_move move = {.new_vma = new_vma};
    u64 old_end = old_start + len;
    u64 shift = new_start - old_start; /* modulo 2^64 */
    bool has_more = cursor_first(&move.from, old_vma->mm, old_start, old_end);

    ASSERT(old_vma->mm == new_vma->mm, "entries move within one address space");
    while (has_more) {
        u64 target = move.from.addr + shift;

        if (cursor_prepare(&move.to, new_vma->mm, target) != 0) {
            return move.from.addr - old_start;
        }
        move.end = min(cursor_table_end(&move.from, old_end),
                       cursor_table_end(&move.to, old_end + shift) - shift);
        move_entries(&move);
        sched_point();
        /* Both tables may go on, so the position is looked up anew. */
        has_more = cursor_resume(&move.from, old_end);
    }
    return len;
}

/*
 * The old translations are flushed before the locks are dropped: truncation could otherwise find
 * a page at its new address and free it, while a processor still reaches it through the old one.
 */
static void move_entries(struct entry_move *move)
{
    u64 start = move->from.addr;
    bool needs_flush = false;

    lock_both(move);
    while (move->from.addr < move->end) {
        struct pte entry = cursor_pte(&move->from);

        if (!pte_is_none(entry)) {
            ASSERT(pte_is_none(cursor_pte(&move->to)), "mremap moves to an empty range");
            entry = cursor_exchange(&move->from, pte_none());
            needs_flush |= pte_is_accessible(entry);
            cursor_set(&move->to, moved_entry(move->new_vma, entry));
        }
        cursor_step(&move->from);
        cursor_step(&move->to);
    }
    if (needs_flush) {
        tlb_flush_range(move->from.mm, start, move->end);
    }
    unlock_both(move);
}

/* Two tables of one address space are locked in the order of their addresses. */
static void lock_both(struct entry_move *move)
{
    if (move->from.table == move->to.table) {
        cursor_lock(&move->from);
    } else if (move->from.table < move->to.table) {
        cursor_lock(&move->from);
        cursor_lock_nested(&move->to);
    } else {
        cursor_lock(&move->to);
        cursor_lock_nested(&move->from);
    }
}

static void unlock_both(struct entry_move *move)
{
    cursor_unlock(&move->from);
    if (move->from.table != move->to.table) {
        cursor_unlock(&move->to);
    }
}

/* A pager is not told of a move that it did not ask to hear of: its protection ends (F14). */
static struct pte moved_entry(const struct vma *new_vma, struct pte entry)
{
    bool keeps_wp = new_vma->flags & VM_UFFD_WP;

    if (pte_is_present(entry)) {
        entry = pte_with_soft_dirty(entry);
        return keeps_wp ? entry : pte_without_uffd_wp(entry);
    }
    ASSERT(pte_kind(entry) == PTE_KIND_MARKER, "no page is away in swap or migration");
    if (keeps_wp || !(pte_markers(entry) & PTE_MARKER_UFFD_WP)) {
        return entry;
    }
    if (pte_markers(entry) == PTE_MARKER_UFFD_WP) {
        return pte_none();
    }
    return pte_make_marker(pte_markers(entry) & ~PTE_MARKER_UFFD_WP);
}
