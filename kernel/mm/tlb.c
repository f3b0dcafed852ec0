/*
 * Shootdown: making every processor forget translations, and freeing frames only after that.
 *
 * A processor is interrupted only if its bit in mm->cpumask is set. arch_mm_switch() sets the bit
 * before it loads the tables, and the caller here has changed the entries before it reads the
 * mask; so a processor either gets the interrupt or walks the new entries.
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

/* Beyond this many pages a full flush is cheaper than one instruction a page. */
#define TLB_FLUSH_PAGES_MAX 32

struct flush_request {
    struct mm *mm;
    u64 start;
    u64 end;
};

static void flush_local(const struct flush_request *request);
static void flush_interrupt(void *arg);

void tlb_flush_range(struct mm *mm, u64 start, u64 end)
{
    struct flush_request request = {.mm = mm, .start = start, .end = end};
    struct cpu *cpu = this_cpu();
    u64 mask;

    explore_flush(mm);
    memory_barrier();
    mask = atomic_u64_load(&mm->cpumask);
    if (cpu->loaded_mm == mm) {
        flush_local(&request);
    }
    mask &= ~BIT(cpu->id);
    if (mask != 0) {
        arch_ipi_call(mask, flush_interrupt, &request, IPI_WAIT);
    }
}

void tlb_flush_page(struct mm *mm, u64 addr)
{
    tlb_flush_range(mm, addr, addr + PAGE_SIZE);
}

static void flush_local(const struct flush_request *request)
{
    if (request->end - request->start > TLB_FLUSH_PAGES_MAX * PAGE_SIZE) {
        arch_flush_tlb_all_local();
        return;
    }
    for (u64 addr = request->start; addr < request->end; addr += PAGE_SIZE) {
        arch_flush_tlb_page(addr);
    }
}

static void flush_interrupt(void *arg)
{
    const struct flush_request *request = arg;

    if (!arch_mm_leave_if_lazy(request->mm)) {
        flush_local(request);
    }
}

void tlb_batch_begin(struct tlb_batch *batch, struct mm *mm)
{
    batch->mm = mm;
    batch->start = U64_MAX;
    batch->end = 0;
    batch->nr_pages = 0;
}

void tlb_batch_flush(struct tlb_batch *batch)
{
    /* Flush before free: another processor may still write through an old translation (I8). */
    if (batch->start < batch->end) {
        /* Cached upper-level entries go as well, by either way of flushing (SDM 3A 4.10.4.1). */
        tlb_flush_range(batch->mm, batch->start, batch->end);
    }
    page_put_many(batch->pages, batch->nr_pages);
    tlb_batch_begin(batch, batch->mm);
}

void tlb_batch_finish(struct tlb_batch *batch)
{
    tlb_batch_flush(batch);
}
