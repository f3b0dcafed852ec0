/*
 * Shootdown: making every processor forget translations, and freeing frames only after that.
 *
 * A processor is interrupted only if its bit in mm->cpumask is set. arch_mm_switch() sets the bit
 * before it loads the tables, and the caller here has changed the entries before it reads the
 * mask; so a processor either gets the interrupt or walks the new entries. What a processor has
 * kept of an address space that it does not run is told to be old by mm->tlb_gen, which counts on
 * between the two (mm/tlb_slots.h).
 */
#include <lib/assert.h>
#include <arch/cpu.h>
#include <arch/platform.h>
#include <arch/tlb.h>
#include <debug/explore.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/page.h>
#include <mm/tlb.h>
#include <proc/sched.h>

/* Beyond this many pages a full flush is cheaper than one instruction a page. */
#define TLB_FLUSH_PAGES_MAX 32

struct flush_request {
    struct mm *mm;
    u64 start;
    u64 end;
    u64 gen; /* of mm->tlb_gen */
};

static void flush_here(void *arg);
static void flush_pages(const struct flush_request *request);

void tlb_flush_range(struct mm *mm, u64 start, u64 end)
{
    struct flush_request request = {.mm = mm, .start = start, .end = end};
    u64 self = BIT(cpu_id());
    u64 mask;

    explore_flush(mm);
    /* A full barrier: the entries have changed before the mask is read. */
    request.gen = atomic_u64_fetch_add(&mm->tlb_gen, 1) + 1;
    mask = atomic_u64_load(&mm->cpumask);
    if (mask & self) {
        u64 flags = irq_save();

        flush_here(&request);
        irq_restore(flags);
    }
    mask &= ~self;
    if (mask != 0) {
        arch_ipi_call(mask, flush_here, &request, IPI_WAIT);
    }
}

void tlb_flush_page(struct mm *mm, u64 addr)
{
    tlb_flush_range(mm, addr, addr + PAGE_SIZE);
}

/* On each processor that has the address space loaded, interrupts off. */
static void flush_here(void *arg)
{
    const struct flush_request *request = arg;

    if (arch_mm_leave_if_lazy(request->mm)) {
        return;
    }
    switch (
        tlb_slots_flush(&this_cpu()->tlb, request->gen, atomic_u64_load(&request->mm->tlb_gen))) {
    case TLB_FLUSH_NOTHING:
        return;
    case TLB_FLUSH_RANGE:
        flush_pages(request);
        return;
    case TLB_FLUSH_ALL:
        arch_flush_tlb_all_local();
        return;
    }
}

static void flush_pages(const struct flush_request *request)
{
    if (request->end - request->start > TLB_FLUSH_PAGES_MAX * PAGE_SIZE) {
        arch_flush_tlb_all_local();
        return;
    }
    for (u64 addr = request->start; addr < request->end; addr += PAGE_SIZE) {
        arch_flush_tlb_page(addr);
    }
}

void tlb_batch_begin(struct tlb_batch *batch, struct mm *mm)
{
    batch->mm = mm;
    batch->start = U64_MAX;
    batch->end = 0;
    batch->pages = batch->first;
    batch->nr_pages = 0;
    batch->max_pages = TLB_BATCH_PAGES;
    batch->frames = NULL;
    batch->nr_frames = 0;
}

void tlb_batch_make_room(struct tlb_batch *batch)
{
    struct page *frame = NULL;

    if (batch->nr_frames < TLB_BATCH_MAX_FRAMES && !frames_are_low()) {
        frame = page_alloc(0, ALLOC_ATOMIC | ALLOC_NOFAIL_TEST);
    }
    if (frame == NULL) {
        tlb_batch_flush(batch);
        return;
    }
    frame->owner = batch->frames;
    batch->frames = frame;
    batch->nr_frames++;
    batch->pages = page_to_virt(frame);
    batch->nr_pages = 0;
    batch->max_pages = TLB_BATCH_MORE;
}

/* All but the last frame are full. */
static void put_pages(struct tlb_batch *batch)
{
    while (batch->frames != NULL) {
        struct page *frame = batch->frames;

        page_put_many(page_to_virt(frame), batch->nr_pages);
        batch->frames = frame->owner;
        batch->nr_pages = batch->frames != NULL ? TLB_BATCH_MORE : TLB_BATCH_PAGES;
        page_put(frame);
        sched_point();
    }
    page_put_many(batch->first, batch->nr_pages);
}

void tlb_batch_flush(struct tlb_batch *batch)
{
    /* Flush before free: another processor may still write through an old translation (I8). */
    if (batch->start < batch->end) {
        /* Cached upper-level entries go as well, by either way of flushing (SDM 3A 4.10.4.1). */
        tlb_flush_range(batch->mm, batch->start, batch->end);
    }
    put_pages(batch);
    tlb_batch_begin(batch, batch->mm);
}

void tlb_batch_finish(struct tlb_batch *batch)
{
    tlb_batch_flush(batch);
}
