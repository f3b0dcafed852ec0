/*
 * Removing entries and giving up what they map. Tables stay; free_page_tables() removes those.
 *
 * One hold of a table's lock serves as many entries as fit into the batch. The frames are freed by
 * the batch, after its flush (I8).
 */
#include <lib/assert.h>
#include <mm/anon.h>
#include <mm/cursor.h>
#include <mm/frames.h>
#include <mm/tlb.h>
#include <mm/zap.h>
#include <proc/sched.h>

enum zap_mode {
    ZAP_ALL,
    ZAP_KEEP_MARKERS,
    ZAP_KEEP_ANON,
    ZAP_DEAD, /* everything, of an address space that no processor runs: there is no batch */
};

/* What one hold of a table's lock has removed. */
struct zap_counts {
    s64 rss[MM_RSS_NR];
    s64 nr_anon_gone; /* anonymous pages that nobody maps any more */
};

static void zap(struct vma *vma, u64 start, u64 end, enum zap_mode mode, struct tlb_batch *batch);
static ALWAYS_INLINE void zap_table(struct pt_cursor *cursor, u64 end, const enum zap_mode mode,
                                    bool keeps_protection, struct tlb_batch *batch);
static ALWAYS_INLINE void zap_absent(struct pt_cursor *cursor, enum zap_mode mode,
                                     bool keeps_protection);
static void zap_account(struct mm *mm, const struct zap_counts *counts);
static ALWAYS_INLINE void zap_present(struct pte entry, struct zap_counts *counts,
                                      const enum zap_mode mode, struct tlb_batch *batch);

void zap_range(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch)
{
    zap(vma, start, end, ZAP_ALL, batch);
}

void zap_keeping_markers(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch)
{
    zap(vma, start, end, ZAP_KEEP_MARKERS, batch);
}

void zap_file_pages(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch)
{
    zap(vma, start, end, ZAP_KEEP_ANON, batch);
}

static void zap(struct vma *vma, u64 start, u64 end, enum zap_mode mode, struct tlb_batch *batch)
{
    /* Registration does not take the flag off before it has taken the protection off (U2). */
    bool keeps_protection =
        mode != ZAP_ALL && !vma_is_anonymous(vma) && (READ_ONCE(vma->flags) & VM_UFFD_WP) != 0;
    struct pt_cursor cursor;

    ASSERT(start >= vma->start && end <= vma->end && start <= end,
           "a zapped range lies within its VMA");
    if (!cursor_first(&cursor, vma->mm, start, end)) {
        return;
    }
    do {
        if (tlb_batch_is_full(batch)) {
            tlb_batch_make_room(batch);
            sched_point();
        }
        u64 table_end = cursor_table_end(&cursor, end);

        /* The common case has a loop of its own, without the questions of the others. */
        if (likely(mode == ZAP_ALL)) {
            zap_table(&cursor, table_end, ZAP_ALL, false, batch);
        } else {
            zap_table(&cursor, table_end, mode, keeps_protection, batch);
        }
    } while (cursor_resume(&cursor, end));
}

void zap_dead_range(struct mm *mm, u64 start, u64 end)
{
    struct pt_cursor cursor;

    ASSERT(atomic_u64_load(&mm->cpumask) == 0, "I8: no CPU keeps a dead address space loaded");
    if (!cursor_first(&cursor, mm, start, end)) {
        return;
    }
    do {
        zap_table(&cursor, cursor_table_end(&cursor, end), ZAP_DEAD, false, NULL);
        sched_point();
    } while (cursor_resume(&cursor, end));
}

/*
 * Goes on to @end or until the batch is full; the cursor stands where to go on. The loop works on
 * a copy of the cursor, which the compiler keeps in registers.
 */
static ALWAYS_INLINE void zap_table(struct pt_cursor *cursor, u64 end, const enum zap_mode mode,
                                    bool keeps_protection, struct tlb_batch *batch)
{
    struct zap_counts counts = {.nr_anon_gone = 0};
    struct pt_cursor at = *cursor;
    u64 first = U64_MAX;
    u64 last = 0;

    cursor_lock(&at);
    cursor_skip_none(&at, end);
    for (; at.addr < end; cursor_step(&at)) {
        struct pte entry = cursor_pte(&at);

        if (pte_is_none(entry)) {
            if (mode == ZAP_DEAD) {
                /* The range spans VMAs, with empty stretches between their pages. */
                cursor_skip_none_behind(&at, end);
            }
            continue;
        }
        if (unlikely(!pte_is_present(entry))) {
            zap_absent(&at, mode, keeps_protection);
            continue;
        }
        if (mode == ZAP_KEEP_ANON && pte_page(entry) != NULL && page_is_anon(pte_page(entry))) {
            continue;
        }
        if (mode == ZAP_DEAD) {
            cursor_set(&at, pte_none());
            zap_present(entry, &counts, mode, batch);
            continue;
        }
        if (unlikely(tlb_batch_is_full(batch))) {
            break;
        }
        first = min(first, at.addr);
        last = at.addr;
        zap_present(cursor_exchange(&at, pte_none()), &counts, mode, batch);
        if (unlikely(keeps_protection) && pte_is_uffd_wp(entry)) {
            cursor_set(&at, pte_make_marker(PTE_MARKER_UFFD_WP));
        }
    }
    zap_account(cursor->mm, &counts);
    cursor_unlock(&at);
    *cursor = at;
    if (first != U64_MAX) {
        tlb_batch_add_range(batch, first, last + PAGE_SIZE);
    }
}

/*
 * Markers go with their VMA, and there is nothing to give up for them. Protection stays as long as
 * the mapping (F5), poison as long as private pages do.
 */
static ALWAYS_INLINE void zap_absent(struct pt_cursor *cursor, enum zap_mode mode,
                                     bool keeps_protection)
{
    struct pte entry = cursor_pte(cursor);

    ASSERT(pte_kind(entry) == PTE_KIND_MARKER, "no page is away in swap or migration");
    if (pte_markers(entry) & PTE_MARKER_UFFD_WP ? !keeps_protection : mode != ZAP_KEEP_ANON) {
        cursor_set(cursor, pte_none());
    }
}

static void zap_account(struct mm *mm, const struct zap_counts *counts)
{
    for (int kind = 0; kind < MM_RSS_NR; kind++) {
        if (counts->rss[kind] != 0) {
            mm_rss_add(mm, kind, -counts->rss[kind]);
        }
    }
    if (counts->nr_anon_gone != 0) {
        mem_account(MEM_ANON, -counts->nr_anon_gone);
    }
}

/* Return: was the entry the last that mapped the page? */
static ALWAYS_INLINE bool give_up(struct page *page, const enum zap_mode mode)
{
    return mode == ZAP_DEAD ? page_put_mapping(page) : page_remove_mapping(page);
}

/*
 * The entry is out of the table; its page goes into the batch, or of a dead address space is given
 * up at once: no translation of the entry is left (I8).
 */
static ALWAYS_INLINE void zap_present(struct pte entry, struct zap_counts *counts,
                                      const enum zap_mode mode, struct tlb_batch *batch)
{
    struct page *page = pte_page(entry);

    if (page == NULL) {
        return;
    }
    if (page_is_anon(page)) {
        counts->rss[MM_RSS_ANON]++;
        counts->nr_anon_gone += give_up(page, mode);
    } else {
        counts->rss[MM_RSS_SHMEM]++;
        if (pte_is_dirty(entry) && !page_is_dirty(page)) {
            page_set_dirty(page);
        }
        (void)give_up(page, mode);
    }
    if (mode != ZAP_DEAD) {
        tlb_batch_add_page(batch, page);
    }
}
