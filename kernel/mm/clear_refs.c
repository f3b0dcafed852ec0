/*
 * Forgetting what has been used or written: /proc/pid/clear_refs.
 *
 * Soft-dirty tracking: an entry's soft_dirty bit says that the page was written, or came, since the
 * bits were cleared; a VMA's VM_SOFTDIRTY says so of the whole VMA, which is new since then. While
 * a VMA does not have the flag, entries without the bit are not writable: the fault of the next
 * write sets it. Who enters a writable entry (fault_file.c, change_protection.c) asks for both.
 */
#include <lib/errno.h>
#include <mm/clear_refs.h>
#include <mm/cursor.h>
#include <mm/mm.h>
#include <mm/tlb.h>
#include <mm/vma.h>
#include <proc/sched.h>

/* What is done to the entries of one table, from the cursor on up to @end. */
typedef void (*clear_function)(struct pt_cursor *cursor, u64 end, struct tlb_batch *batch);

/* Invariant I3 is about place, this is about contents: a pin's writes set no bit. */
static bool is_pinned(struct pte entry)
{
    const struct page *page = pte_page(entry);

    return page != NULL && page_is_anon(page) && page_pincount(page) != 0;
}

static void clear_written(struct pt_cursor *cursor, u64 end, struct tlb_batch *batch)
{
    struct pt_cursor at = *cursor;
    u64 first = U64_MAX;
    u64 last = 0;

    cursor_lock(&at);
    for (; at.addr < end; cursor_step(&at)) {
        struct pte entry = cursor_pte(&at);

        if (pte_is_none(entry)) {
            continue;
        }
        if (!pte_is_present(entry)) {
            cursor_set(&at, pte_without_soft_dirty(entry));
        } else if ((pte_is_soft_dirty(entry) || pte_is_writable(entry)) && !is_pinned(entry)) {
            cursor_clear_tracked(&at);
            first = min(first, at.addr);
            last = at.addr;
        }
    }
    cursor_unlock(&at);
    *cursor = at;
    if (first != U64_MAX) {
        tlb_batch_add_range(batch, first, last + PAGE_SIZE);
    }
}

/* A translation that stays cached only delays the bit's return; nobody relies on it. */
static void clear_used(struct pt_cursor *cursor, u64 end, struct tlb_batch *batch)
{
    struct pt_cursor at = *cursor;

    cursor_lock(&at);
    for (; at.addr < end; cursor_step(&at)) {
        struct pte entry = cursor_pte(&at);

        if (pte_is_present(entry)) {
            struct page *page = pte_page(entry);

            cursor_clear_accessed(&at);
            if (page != NULL && page_is_referenced(page)) {
                page_clear_referenced(page);
            }
        }
    }
    cursor_unlock(&at);
    *cursor = at;
}

static void clear_vma(struct vma *vma, clear_function clear, struct tlb_batch *batch)
{
    struct pt_cursor cursor;

    if (!cursor_first(&cursor, vma->mm, vma->start, vma->end)) {
        return;
    }
    do {
        clear(&cursor, cursor_table_end(&cursor, vma->end), batch);
        sched_point();
    } while (cursor_resume(&cursor, vma->end));
}

static bool is_meant(const struct vma *vma, u32 request)
{
    switch (request) {
    case CLEAR_REFS_ANON:
        return vma->file == NULL;
    case CLEAR_REFS_MAPPED:
        return vma->file != NULL;
    default:
        return true;
    }
}

static void clear_soft_dirty(struct mm *mm)
{
    struct tlb_batch batch;
    struct vma *vma;

    tlb_batch_begin(&batch, mm);
    for_each_vma (vma, mm) {
        if (vma->flags & VM_PFNMAP) {
            continue;
        }
        /* No fault may enter a writable entry because of the flag once its table was done. */
        vma_write_lock(vma);
        vma_set_flags(vma, vma->flags & ~VM_SOFTDIRTY);
        clear_vma(vma, clear_written, &batch);
    }
    tlb_batch_finish(&batch);
}

static void clear_accessed(struct mm *mm, u32 request)
{
    struct tlb_batch batch;
    struct vma *vma;

    tlb_batch_begin(&batch, mm);
    for_each_vma (vma, mm) {
        if (is_meant(vma, request) && !(vma->flags & VM_PFNMAP)) {
            clear_vma(vma, clear_used, &batch);
        }
    }
    tlb_batch_finish(&batch);
}

int mm_clear_refs(struct mm *mm, u32 request)
{
    int error;

    if (request < CLEAR_REFS_ALL || request > CLEAR_REFS_PEAK) {
        return -EINVAL;
    }
    error = mm_write_lock_killable(mm);
    if (error != 0) {
        return error;
    }
    if (request == CLEAR_REFS_PEAK) {
        mm->hiwater_rss = mm_rss_total(mm);
    } else if (request == CLEAR_REFS_SOFT_DIRTY) {
        clear_soft_dirty(mm);
    } else {
        clear_accessed(mm, request);
    }
    mm_write_unlock(mm);
    return 0;
}
