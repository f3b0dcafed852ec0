/*
 * Write protection by a pager: UFFDIO_WRITEPROTECT, its end at unregistration, and PAGEMAP_SCAN's.
 *
 * A protected entry has uffd_wp and is not writable (I6). Where there is no page the protection is
 * kept by a marker, if the VMA uses them (F3); a marker needs a table (F4). Translations are
 * flushed before the VMA is let go of, so that from the return of the call on every write is
 * noticed (I8). Read next: uffd_event.c.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/change_protection.h>
#include <mm/cursor.h>
#include <mm/mm.h>
#include <mm/tlb.h>
#include <mm/uffd_internal.h>
#include <proc/sched.h>

/* Return: must the translation be flushed? Table locked. */
static bool protect_present(struct pt_cursor *cursor)
{
    struct pte old;

    do {
        old = cursor_pte(cursor);
        if (pte_is_uffd_wp(old)) {
            return false;
        }
    } while (!cursor_replace(cursor, old, pte_without_write(pte_with_uffd_wp(old))));
    return pte_is_writable(old);
}

bool uffd_protect_entry(struct pt_cursor *cursor)
{
    struct pte entry = cursor_pte(cursor);

    if (pte_is_present(entry)) {
        return protect_present(cursor);
    }
    if (pte_is_none(entry)) {
        cursor_set(cursor, pte_make_marker(PTE_MARKER_UFFD_WP));
    }
    return false;
}

/* D19: the right to write comes back at once where no fault is needed to decide. */
static void unprotect_entry(const struct vma *vma, struct pt_cursor *cursor, struct pte entry)
{
    if (pte_is_present(entry)) {
        struct pte new;

        do {
            entry = cursor_pte(cursor);
            new = pte_without_uffd_wp(entry);
            if (entry_may_be_writable(vma, new)) {
                new = pte_with_write(new);
            }
        } while (!cursor_replace(cursor, entry, new));
    } else if (pte_is_same(entry, pte_make_marker(PTE_MARKER_UFFD_WP))) {
        cursor_set(cursor, pte_none());
    }
}

static void unprotect_table(const struct vma *vma, struct pt_cursor *cursor, u64 end)
{
    struct pt_cursor at = *cursor;

    cursor_lock(&at);
    cursor_skip_none(&at, end);
    for (; at.addr < end; cursor_step(&at)) {
        struct pte entry = cursor_pte(&at);

        if (!pte_is_none(entry) && (pte_is_uffd_wp(entry) || !pte_is_present(entry))) {
            unprotect_entry(vma, &at, entry);
        }
    }
    cursor_unlock(&at);
    *cursor = at;
}

static void protect_table(struct pt_cursor *cursor, u64 end, bool uses_markers,
                          struct tlb_batch *batch)
{
    struct pt_cursor at = *cursor;
    u64 first = U64_MAX;
    u64 last = 0;

    cursor_lock(&at);
    for (; at.addr < end; cursor_step(&at)) {
        struct pte entry = cursor_pte(&at);

        if (pte_is_present(entry)) {
            if (protect_present(&at)) {
                first = min(first, at.addr);
                last = at.addr;
            }
        } else if (uses_markers && pte_is_none(entry)) {
            cursor_set(&at, pte_make_marker(PTE_MARKER_UFFD_WP));
        }
    }
    cursor_unlock(&at);
    *cursor = at;
    if (first != U64_MAX) {
        tlb_batch_add_range(batch, first, last + PAGE_SIZE);
    }
}

static void unprotect(struct vma *vma, u64 start, u64 end)
{
    struct pt_cursor cursor;

    if (!cursor_first(&cursor, vma->mm, start, end)) {
        return;
    }
    do {
        unprotect_table(vma, &cursor, cursor_table_end(&cursor, end));
        sched_point();
    } while (cursor_resume(&cursor, end));
}

static void protect_tables(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch)
{
    struct pt_cursor cursor;

    if (!cursor_first(&cursor, vma->mm, start, end)) {
        return;
    }
    do {
        protect_table(&cursor, cursor_table_end(&cursor, end), false, batch);
        sched_point();
    } while (cursor_resume(&cursor, end));
}

/* F4. */
static int protect_with_markers(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch)
{
    while (start < end) {
        struct pt_cursor cursor;

        if (!cursor_find(&cursor, vma->mm, start) && cursor_prepare(&cursor, vma->mm, start) != 0) {
            return -ENOMEM;
        }
        start = cursor_table_end(&cursor, end);
        protect_table(&cursor, start, true, batch);
        sched_point();
    }
    return 0;
}

int uffd_protect_range(struct vma *vma, u64 start, u64 end, enum uffd_protection protection,
                       struct tlb_batch *batch)
{
    ASSERT(start >= vma->start && end <= vma->end, "a protected range lies within its VMA");
    if (protection == UFFD_UNPROTECT) {
        unprotect(vma, start, end);
        return 0;
    }
    if (uffd_uses_markers(vma)) {
        return protect_with_markers(vma, start, end, batch);
    }
    protect_tables(vma, start, end, batch);
    return 0;
}

/* --- the call --------------------------------------------------------------------------------- */

/* D18, for one VMA, which is held. */
static int change_part(struct uffd_ctx *ctx, struct vma *vma, u64 start, u64 end,
                       enum uffd_protection protection)
{
    struct tlb_batch batch;
    int error;

    if (atomic_u32_load(&ctx->nr_changing) != 0) {
        return -EAGAIN; /* D1 */
    }
    if (!(vma->flags & VM_UFFD_WP)) {
        return -ENOENT;
    }
    tlb_batch_begin(&batch, vma->mm);
    error = uffd_protect_range(vma, start, end, protection, &batch);
    tlb_batch_finish(&batch);
    return error;
}

/* VMA after VMA; what lies before a failure stays changed. */
static int change_all(struct uffd_ctx *ctx, u64 start, u64 end, enum uffd_protection protection)
{
    int error = -ENOENT;
    struct vma *vma;

    mm_read_lock(ctx->mm);
    for_each_vma_range (vma, ctx->mm, start, end) {
        error = change_part(ctx, vma, max(vma->start, start), min(vma->end, end), protection);
        if (error != 0) {
            break;
        }
    }
    mm_read_unlock(ctx->mm);
    return error;
}

int uffd_writeprotect(struct uffd_ctx *ctx, u64 start, u64 end, enum uffd_protection protection)
{
    struct uffd_hold hold;
    bool is_within_one;
    int error = uffd_hold_vma(ctx->mm, start, &hold);

    if (error == 0) {
        is_within_one = end <= hold.vma->end;
        if (likely(is_within_one)) {
            error = change_part(ctx, hold.vma, start, end, protection);
        }
        uffd_release_vma(ctx->mm, &hold);
        if (likely(is_within_one)) {
            return error;
        }
    }
    return change_all(ctx, start, end, protection);
}
