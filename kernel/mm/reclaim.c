/*
 * Taking back pages that their owner can do without: MADV_FREE, MADV_COLD, MADV_PAGEOUT, and the
 * frame allocator when it has nothing left.
 *
 * L1. A page is PG_lazyfree only if it was mapped by one clean entry when it was marked.
 * L2. It is taken only while one clean entry maps it, nothing else refers to it, and nobody has
 *     written to it through a pin (PG_dirty). The entry goes first, then the counts are looked at:
 *     a lock-free pin that comes before sees its count noticed, one that comes after sees the entry
 *     gone (gup_fast.c).
 *
 * There is nowhere to write pages to; besides these only what a pager can bring in again can be
 * taken. Read next: reclaim_paged.c.
 */
#include <lib/assert.h>
#include <mm/anon.h>
#include <mm/cursor.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/reclaim.h>
#include <mm/tlb.h>
#include <mm/vma.h>
#include <mm/vmstat.h>
#include <proc/sched.h>

/* So many pages are taken before the allocator tries again. */
#define RECLAIM_BATCH_PAGES 256

/* --- MADV_FREE -------------------------------------------------------------------------------- */

static bool may_be_marked(struct page *page)
{
    return page != NULL && page_is_anon(page) && page_mapcount(page) == 1 &&
           page_pincount(page) == 0;
}

static void mark(struct pt_cursor *cursor, struct pte entry, struct page *page)
{
    struct pte clean = pte_without_accessed(pte_without_dirty(entry));

    if (!cursor_replace(cursor, entry, clean)) {
        return; /* the processor has just written to it */
    }
    if (page_is_dirty(page)) {
        page_clear_dirty(page);
    }
    if (!page_is_lazyfree(page)) {
        page_set_lazyfree(page);
        vm_event(VM_EVENT_LAZYFREE, 1);
    }
}

void reclaim_allow(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch)
{
    struct pt_cursor cursor;

    atomic_u32_store(&vma->mm->has_lazyfree, 1);
    if (!cursor_first(&cursor, vma->mm, start, end)) {
        return;
    }
    do {
        u64 table_end = cursor_table_end(&cursor, end);

        cursor_lock(&cursor);
        cursor_skip_none(&cursor, table_end);
        for (; cursor.addr < table_end; cursor_step(&cursor)) {
            struct pte entry = cursor_pte(&cursor);

            if (pte_is_present(entry) && may_be_marked(pte_page(entry))) {
                mark(&cursor, entry, pte_page(entry));
                tlb_batch_add_range(batch, cursor.addr, cursor.addr + PAGE_SIZE);
            }
        }
        cursor_unlock(&cursor);
        sched_point();
    } while (cursor_resume(&cursor, end));
}

/* --- MADV_COLD -------------------------------------------------------------------------------- */

/* A page that others use as well keeps its marks, as on Linux. */
static void age_entry(struct pt_cursor *cursor)
{
    struct pte entry = cursor_pte(cursor);
    struct page *page;

    if (!pte_is_present(entry)) {
        return;
    }
    page = pte_page(entry);
    if (page == NULL || page_mapcount(page) != 1) {
        return;
    }
    cursor_clear_accessed(cursor);
    if (page_is_referenced(page)) {
        page_clear_referenced(page);
    }
}

void reclaim_age(struct vma *vma, u64 start, u64 end)
{
    struct pt_cursor cursor;

    if (!cursor_first(&cursor, vma->mm, start, end)) {
        return;
    }
    do {
        u64 table_end = cursor_table_end(&cursor, end);

        cursor_lock(&cursor);
        cursor_skip_none(&cursor, table_end);
        for (; cursor.addr < table_end; cursor_step(&cursor)) {
            age_entry(&cursor);
        }
        cursor_unlock(&cursor);
        sched_point();
    } while (cursor_resume(&cursor, end));
}

/* --- taking ----------------------------------------------------------------------------------- */

/* Return: true if the entry is gone and its page in the batch, which has room. (L2) */
static bool take_entry(struct pt_cursor *cursor, struct pte entry, struct tlb_batch *batch)
{
    struct page *page = pte_page(entry);
    struct pte old;

    if (page == NULL || !page_is_lazyfree(page) || pte_is_dirty(entry)) {
        return false;
    }
    old = cursor_exchange(cursor, pte_none());
    if (pte_is_dirty(old) || page_is_dirty(page) || page_mapcount(page) != 1 ||
        page_refcount(page) != 1) {
        cursor_set(cursor, old);
        return false;
    }
    ASSERT(page_pincount(page) == 0, "I5: a pin holds a reference");
    (void)page_remove_mapping(page);
    mm_rss_add(cursor->mm, MM_RSS_ANON, -1);
    mem_account(MEM_ANON, -1);
    tlb_batch_add_range(batch, cursor->addr, cursor->addr + PAGE_SIZE);
    tlb_batch_add_page(batch, page);
    return true;
}

/* Up to the end of one table, or until the batch is full; the cursor stands where to go on. */
static u64 take_table(struct pt_cursor *cursor, u64 end, struct tlb_batch *batch)
{
    u64 nr_taken = 0;

    cursor_lock(cursor);
    cursor_skip_none(cursor, end);
    for (; cursor->addr < end && !tlb_batch_is_full(batch); cursor_step(cursor)) {
        struct pte entry = cursor_pte(cursor);

        nr_taken += pte_is_present(entry) && take_entry(cursor, entry, batch);
    }
    cursor_unlock(cursor);
    return nr_taken;
}

u64 reclaim_take(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch)
{
    struct pt_cursor cursor;
    u64 nr_taken = 0;

    if (!cursor_first(&cursor, vma->mm, start, end)) {
        return 0;
    }
    do {
        if (tlb_batch_is_full(batch)) {
            tlb_batch_flush(batch);
            sched_point();
        }
        nr_taken += take_table(&cursor, cursor_table_end(&cursor, end), batch);
    } while (cursor_resume(&cursor, end));
    vm_event(VM_EVENT_LAZYFREED, nr_taken);
    return nr_taken;
}

/* --- when memory is short --------------------------------------------------------------------- */

static u64 take_from_mm(struct mm *mm)
{
    struct tlb_batch batch;
    struct vma *vma;
    u64 nr_taken = 0;

    atomic_u32_store(&mm->has_lazyfree, 0);
    tlb_batch_begin(&batch, mm);
    for_each_vma (vma, mm) {
        if (!vma_is_anonymous(vma) || vma->anon_vma == NULL || (vma->flags & VM_LOCKED)) {
            continue;
        }
        if (nr_taken >= RECLAIM_BATCH_PAGES) {
            atomic_u32_store(&mm->has_lazyfree, 1);
            break;
        }
        nr_taken += reclaim_take(vma, vma->start, vma->end, &batch);
    }
    tlb_batch_finish(&batch);
    return nr_taken;
}

static u64 try_mm(struct mm *mm) NO_THREAD_SAFETY_ANALYSIS
{
    u64 nr_taken;

    if (atomic_u32_load(&mm->has_lazyfree) == 0 || !rwsem_read_trylock(&mm->mmap_lock)) {
        return 0;
    }
    nr_taken = take_from_mm(mm);
    mm_read_unlock(mm);
    return nr_taken;
}

bool reclaim_memory(void)
{
    struct mm *mm = NULL;
    u64 nr_taken = 0;

    while (nr_taken == 0 && (mm = mm_next_counted(mm)) != NULL) {
        nr_taken = try_mm(mm);
    }
    if (mm != NULL) {
        mm_count_put(mm);
    }
    if (nr_taken == 0) {
        nr_taken = reclaim_paged(RECLAIM_BATCH_PAGES);
    }
    return nr_taken != 0;
}

void reclaim_init(void)
{
    frames_set_reclaim(reclaim_memory);
}
