/*
 * mremap's part in the page tables: entries move, pages keep their identity.
 *
 * The anonymous reverse map needs no change: a page is known by its number in the VMA's generation,
 * which moves along with the VMA's pgoff.
 *
 * Where both addresses are multiples of what a lowest table covers, the table moves as it is, by a
 * change of two entries above it. Elsewhere its entries are moved one by one. The translations of
 * the old place are flushed once, at the end: the caller keeps away everybody who could free a page
 * before that.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/change_protection.h>
#include <mm/cursor.h>
#include <mm/pagetable.h>
#include <mm/tlb.h>
#include <proc/sched.h>

/* Both positions and how far they may go with the tables they stand in. */
struct entry_move {
    struct pt_cursor from;
    struct pt_cursor to;
    u64 end;                   /* of the old range, within both tables */
    bool may_stay_as_they_are; /* no entry changes on its way, but for soft_dirty */
    bool needs_flush;
};

static bool may_move_table(const struct entry_move *move, u64 target, u64 old_end);
static int move_part(struct entry_move *move, u64 target, u64 old_end);
static void move_entries(struct entry_move *move);
static void move_unchanged(struct entry_move *move);
static void move_changed(struct entry_move *move);
static struct pte unprotected_entry(struct pte entry);
static void lock_both(struct entry_move *move);
static void unlock_both(struct entry_move *move);

u64 move_page_tables(struct vma *old_vma, u64 old_start, struct vma *new_vma, u64 new_start,
                     u64 len)
{
    struct mm *mm = old_vma->mm;
    struct entry_move move = {.needs_flush = false};
    u64 old_end = old_start + len;
    u64 shift = new_start - old_start; /* modulo 2^64 */
    bool has_more = cursor_first(&move.from, mm, old_start, old_end);
    u64 moved = len;

    ASSERT(mm == new_vma->mm, "entries move within one address space");
    move.may_stay_as_they_are = !(old_vma->flags & ~new_vma->flags & VM_UFFD_WP);
    while (has_more) {
        if (move_part(&move, move.from.addr + shift, old_end) != 0) {
            moved = move.from.addr - old_start;
            break;
        }
        sched_point();
        /* Both tables may go on, so the position is looked up anew. */
        has_more = cursor_resume(&move.from, old_end);
    }
    if (move.needs_flush) {
        tlb_flush_range(mm, old_start, old_start + moved);
    }
    return moved;
}

/* Moves what one table holds, or the part of it that one table at the new place can take. */
static int move_part(struct entry_move *move, u64 target, u64 old_end)
{
    if (may_move_table(move, target, old_end)) {
        int error = page_table_move(move->from.mm, move->from.addr, target);

        if (error == 0) {
            move->from.addr += pt_level_size(1);
            move->needs_flush = true;
            return 0;
        }
        if (error != -EEXIST) {
            return error;
        }
    }
    if (cursor_prepare(&move->to, move->from.mm, target) != 0) {
        return -ENOMEM;
    }
    move->end = min(cursor_table_end(&move->from, old_end),
                    move->from.addr + (cursor_table_end(&move->to, U64_MAX) - target));
    move_entries(move);
    return 0;
}

static bool may_move_table(const struct entry_move *move, u64 target, u64 old_end)
{
    u64 size = pt_level_size(1);
    u64 addr = move->from.addr;

    return ((addr | target) & (size - 1)) == 0 && old_end - addr >= size &&
           move->may_stay_as_they_are;
}

static void move_entries(struct entry_move *move)
{
    lock_both(move);
    if (move->may_stay_as_they_are) {
        move_unchanged(move);
    } else {
        move_changed(move);
    }
    unlock_both(move);
}

/* As fast as it goes: the cursors are copied, so that they are kept in registers. */
static void move_unchanged(struct entry_move *move)
{
    struct pt_cursor from = move->from;
    struct pt_cursor to = move->to;
    struct pte seen = pte_none();

#pragma GCC unroll 4
    for (u64 left = (move->end - from.addr) >> PAGE_SHIFT; left > 0; left--) {
        struct pte entry = cursor_pte(&from);

        if (!pte_is_none(entry)) {
            DEBUG_ASSERT(pte_is_none(cursor_pte(&to)), "mremap moves to an empty range");
            entry = cursor_exchange(&from, pte_none());
            seen = pte_union(seen, entry);
            cursor_set(&to, pte_with_soft_dirty(entry));
        }
        cursor_step(&from);
        cursor_step(&to);
    }
    move->needs_flush |= pte_is_accessible(seen);
    move->from = from;
}

/* A pager is not told of a move that it did not ask to hear of: its protection ends (F14). */
static void move_changed(struct entry_move *move)
{
    for (; move->from.addr < move->end; cursor_step(&move->from), cursor_step(&move->to)) {
        struct pte entry = cursor_exchange(&move->from, pte_none());

        if (!pte_is_none(entry)) {
            move->needs_flush |= pte_is_accessible(entry);
            cursor_set(&move->to, unprotected_entry(entry));
        }
    }
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

static struct pte unprotected_entry(struct pte entry)
{
    u32 markers;

    if (pte_is_present(entry)) {
        return pte_with_soft_dirty(pte_without_uffd_wp(entry));
    }
    ASSERT(pte_kind(entry) == PTE_KIND_MARKER, "no page is away in swap or migration");
    markers = pte_markers(entry) & ~(u32)PTE_MARKER_UFFD_WP;
    return markers != 0 ? pte_make_marker(markers) : pte_none();
}
