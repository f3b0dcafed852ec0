#ifndef MM_TLB_H
#define MM_TLB_H

#include <lib/compiler.h>
#include <lib/types.h>

struct mm;
struct page;

/*
 * Translations that a change of page tables made stale are collected in a batch, flushed once, and
 * only then are the frames freed: another processor may read and write through a cached
 * translation until the flush returns (I8). Only processors in mm->cpumask get an interrupt.
 */
enum {
    TLB_BATCH_PAGES = 56,      /* in the batch itself */
    TLB_BATCH_MORE = 512,      /* in each frame that it takes while there are enough */
    TLB_BATCH_MAX_FRAMES = 16, /* so no more than 32 MiB wait for one flush */
};

struct tlb_batch {
    struct mm *mm;
    u64 start;           /* [start, end) holds every stale translation */
    u64 end;             /* start >= end: nothing to flush */
    struct page **pages; /* one reference each, put after the flush: `first`, or the last frame's */
    u32 nr_pages;        /* there */
    u32 max_pages;
    struct page *frames; /* taken for more; each one's `owner` is the frame before */
    u32 nr_frames;
    struct page *first[TLB_BATCH_PAGES];
};

/** tlb_batch_begin() - an empty batch for @mm. It needs no memory: it takes some if there is. */
void tlb_batch_begin(struct tlb_batch *batch, struct mm *mm);

/** tlb_batch_add_range() - translations in [start, end) are stale. */
static inline void tlb_batch_add_range(struct tlb_batch *batch, u64 start, u64 end)
{
    batch->start = start < batch->start ? start : batch->start;
    batch->end = end > batch->end ? end : batch->end;
}

/** tlb_batch_is_full() - must tlb_batch_make_room() run before the next page is added? */
static inline bool tlb_batch_is_full(const struct tlb_batch *batch)
{
    return batch->nr_pages == batch->max_pages;
}

/**
 * tlb_batch_add_page() - put one reference of @page once the flush is done.
 * The batch is not full. The page's address is added by tlb_batch_add_range().
 */
static inline void tlb_batch_add_page(struct tlb_batch *batch, struct page *page)
{
    batch->pages[batch->nr_pages++] = page;
}

/**
 * tlb_batch_flush() - flush what is stale, then put the pages. The batch is empty afterwards.
 * Context: thread, interrupts on. A page-table lock may not be held.
 */
void tlb_batch_flush(struct tlb_batch *batch);

/**
 * tlb_batch_make_room() - let a full batch take one page more: by a frame for it, or by a flush.
 * Context: as tlb_batch_flush().
 */
void tlb_batch_make_room(struct tlb_batch *batch);

/** tlb_batch_finish() - the last tlb_batch_flush() of a batch. */
void tlb_batch_finish(struct tlb_batch *batch);

/**
 * tlb_flush_range() - forget the translations of [start, end) on every processor that has them.
 * Context: interrupts on; a page-table lock may be held (the other side takes no lock).
 */
void tlb_flush_range(struct mm *mm, u64 start, u64 end);

/** tlb_flush_page() - tlb_flush_range() for one page. */
void tlb_flush_page(struct mm *mm, u64 addr);

#endif
