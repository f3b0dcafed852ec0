/*
 * Which page tables a CPU has loaded, and flushing its translations.
 *
 * mm->cpumask names the CPUs that may hold translations of an address space. The bit is set before
 * the tables are loaded and cleared after others are, so whoever reads the mask after changing an
 * entry interrupts every CPU that could still use the old one (I8).
 *
 * A kernel thread runs on the tables of whoever ran before ("lazily"): going to the idle thread
 * and back costs nothing. The first shootdown that reaches such a CPU makes it drop the tables.
 *
 * With PCIDs (SDM 3A 4.10.1) a CPU keeps the translations of a few address spaces that it does not
 * run, each under a tag of its own; mm/tlb_slots.h says whose, and when they are too old. PCID 0 is
 * the kernel's own tables, which have no translations that are not global.
 */
#include "machine.h"
#include "io.h"
#include <arch/kernel_map.h>
#include <arch/layout.h>
#include <arch/platform.h>
#include <arch/thread.h>
#include <arch/tlb.h>
#include <lib/assert.h>
#include <mm/mm.h>
#include <proc/thread.h>

#define CR4_GLOBAL_PAGES BIT(7)
/* More pages than this are cheaper to forget all at once. */
#define KERNEL_FLUSH_MAX_PAGES 32

/* In CR3: keep what is cached under the PCID that is loaded (SDM 3A 4.10.4.1). */
#define CR3_KEEP BIT(63)

static u64 pcid_bits(const struct cpu *cpu, enum tlb_slot_load load)
{
    u64 pcid = cpu->tlb.current == TLB_SLOT_NONE ? 0 : cpu->tlb.current + 1;

    return !cpu_features()->has_pcid ? 0 : pcid | (load == TLB_LOAD_KEEP ? CR3_KEEP : 0);
}

static void leave(struct cpu *cpu, struct mm *mm)
{
    tlb_slots_leave(&cpu->tlb);
    cr3_write(image_to_phys(arch_kernel_root()) | pcid_bits(cpu, TLB_LOAD_KEEP));
    cpu->loaded_mm = NULL;
    cpu->stats.nr_mm_switches++;
    atomic_u64_fetch_and(&mm->cpumask, ~BIT(cpu->id));
}

void arch_mm_switch(struct mm *next)
{
    struct cpu *cpu = this_cpu();
    struct mm *prev = cpu->loaded_mm;
    enum tlb_slot_load load;

    if (next == NULL || next == prev) {
        return;
    }
    atomic_u64_fetch_or(&next->cpumask, BIT(cpu->id));
    /* The bit is set: a shootdown that this count lacks interrupts this CPU. */
    load = tlb_slots_load(&cpu->tlb, next->tlb_context, atomic_u64_load(&next->tlb_gen));
    cr3_write(next->pgd | pcid_bits(cpu, load));
    cpu->loaded_mm = next;
    cpu->stats.nr_mm_switches++;
    cpu->stats.nr_switch_flushes += load == TLB_LOAD_FLUSH;
    if (prev != NULL) {
        atomic_u64_fetch_and(&prev->cpumask, ~BIT(cpu->id));
    }
}

bool arch_mm_leave_if_lazy(struct mm *mm)
{
    struct cpu *cpu = this_cpu();

    if (cpu->loaded_mm != mm) {
        return true;
    }
    if (cpu->current != NULL && cpu->current->mm == mm) {
        return false;
    }
    leave(cpu, mm);
    return true;
}

static void forget_here(void *arg)
{
    struct mm *mm = arg;
    struct cpu *cpu = this_cpu();

    if (cpu->loaded_mm == mm) {
        leave(cpu, mm);
    }
}

void arch_mm_forget(struct mm *mm)
{
    u64 flags = irq_save();

    forget_here(mm);
    irq_restore(flags);
    if (atomic_u64_load(&mm->cpumask) != 0) {
        arch_ipi_call(atomic_u64_load(&mm->cpumask), forget_here, mm, IPI_WAIT);
    }
    ASSERT(atomic_u64_load(&mm->cpumask) == 0, "I8: no CPU keeps a dead address space loaded");
}

void arch_flush_tlb_all_local(void)
{
    this_cpu()->stats.nr_tlb_full_flushes++;
    cr3_write(cr3_read());
}

void arch_flush_tlb_kernel_local(void)
{
    u64 cr4 = cr4_read();
    u64 flags = irq_save();

    this_cpu()->stats.nr_tlb_full_flushes++;
    /* Clearing the bit forgets global translations too (SDM 3A 4.10.4.1). */
    cr4_write(cr4 & ~CR4_GLOBAL_PAGES);
    cr4_write(cr4);
    cr3_write(cr3_read());
    irq_restore(flags);
}

struct kernel_range {
    u64 start;
    u64 end;
};

static void flush_kernel_range_here(void *arg)
{
    const struct kernel_range *range = arg;

    if ((range->end - range->start) >> PAGE_SHIFT > KERNEL_FLUSH_MAX_PAGES) {
        arch_flush_tlb_kernel_local();
        return;
    }
    for (u64 address = range->start; address < range->end; address += PAGE_SIZE) {
        arch_flush_tlb_page(address);
    }
}

void arch_flush_tlb_kernel_range(u64 start, u64 end)
{
    struct kernel_range range = {start, end};
    u64 flags = irq_save();

    flush_kernel_range_here(&range);
    irq_restore(flags);
    arch_ipi_call(cpu_online_mask(), flush_kernel_range_here, &range, IPI_WAIT);
}
