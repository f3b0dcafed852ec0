/*
 * Flushing this CPU's translations. Which CPUs must flush is decided in kernel/mm/tlb.c.
 */
#ifndef COWBELL_ARCH_TLB_H
#define COWBELL_ARCH_TLB_H

#include <lib/types.h>
#include <arch/cpu.h>

/** arch_flush_tlb_page() - forget this CPU's translations of the page at @address. */
static inline void arch_flush_tlb_page(u64 address)
{
    this_cpu()->stats.nr_tlb_page_flushes++;
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/** arch_flush_tlb_all_local() - forget this CPU's translations, but for the kernel's global ones.
 */
void arch_flush_tlb_all_local(void);

/** arch_flush_tlb_kernel_local() - forget all of this CPU's translations, global ones included. */
void arch_flush_tlb_kernel_local(void);

/** arch_flush_tlb_kernel_range() - every CPU forgets a range of kernel addresses; may wait. */
void arch_flush_tlb_kernel_range(u64 start, u64 end);

/**
 * arch_mm_leave_if_lazy() - called in a shootdown: a CPU that runs a kernel thread on @mm's tables
 * drops them instead of flushing, and gets no further shootdowns. Interrupts off.
 *
 * Return: were they dropped (or were others loaded already), so that there is nothing to flush?
 */
bool arch_mm_leave_if_lazy(struct mm *mm);

#endif
