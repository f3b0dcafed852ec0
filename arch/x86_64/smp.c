/*
 * Starting the other CPUs that the MADT lists. All are started at once and then waited for; each
 * ends in its idle thread. Source: SDM 3A 8.4.4.
 */
#include "machine.h"
#include "io.h"
#include <arch/kernel_map.h>
#include <arch/layout.h>
#include <arch/pgtable.h>
#include <arch/platform.h>
#include <boot_info.h>
#include <lib/cmdline.h>
#include <lib/assert.h>
#include <lib/printk.h>
#include <lib/string.h>
#include <mm/vmap.h>

/*
 * A CPU that is still busy with INIT loses the start signal, so there is a pause between the two,
 * and a second signal for those that do not come. One that has started ignores it.
 */
#define INIT_WAIT_NS          (20 * NSEC_PER_USEC)
#define FIRST_SIGNAL_WAIT_NS  (1 * NSEC_PER_MSEC)
#define SECOND_SIGNAL_WAIT_NS (200 * NSEC_PER_MSEC)
#define EFER_ACTIVE           BIT(10) /* read-only: set by the CPU when paging goes on */

extern char trampoline_start[], trampoline_end[];
extern char trampoline_gdt_pointer[], trampoline_jump32[], trampoline_jump64[], trampoline_efer[];

/* Read by trampoline.S. */
u64 smp_kernel_root_phys;
u32 smp_nr_cpus;
u32 smp_apic_ids[MAX_CPUS];
u64 smp_stacks[MAX_CPUS];

/* A field of the copied code, which need not be aligned. */
static void *copied_field(u64 page, const char *symbol, u64 offset)
{
    return (u8 *)phys_to_virt(page) + (symbol - trampoline_start) + offset;
}

static void set_word(void *field, u32 value)
{
    memcpy(field, &value, sizeof(value));
}

static void add_to_word(void *field, u32 addend)
{
    u32 value;

    memcpy(&value, field, sizeof(value));
    set_word(field, value + addend);
}

/* Page tables behind the code: the first 2 MiB at their own address, and the kernel's half. */
static void prepare_tables(u64 page)
{
    u64 *root = phys_to_virt(page + PAGE_SIZE);
    u64 *upper = phys_to_virt(page + 2 * PAGE_SIZE);
    u64 *middle = phys_to_virt(page + 3 * PAGE_SIZE);

    memcpy(root, arch_kernel_root(), PAGE_SIZE);
    memset(upper, 0, PAGE_SIZE);
    memset(middle, 0, PAGE_SIZE);
    root[0] = (page + 2 * PAGE_SIZE) | PTE_BIT_PRESENT | PTE_BIT_WRITE;
    upper[0] = (page + 3 * PAGE_SIZE) | PTE_BIT_PRESENT | PTE_BIT_WRITE;
    middle[0] = PTE_BIT_PRESENT | PTE_BIT_WRITE | PTE_BIT_HUGE;
}

static void prepare_trampoline(u64 page)
{
    ASSERT((u64)(trampoline_end - trampoline_start) <= PAGE_SIZE, "the start code fits a page");
    memcpy(phys_to_virt(page), trampoline_start, (size_t)(trampoline_end - trampoline_start));
    add_to_word(copied_field(page, trampoline_gdt_pointer, 2), (u32)page);
    add_to_word(copied_field(page, trampoline_jump32, 0), (u32)page);
    add_to_word(copied_field(page, trampoline_jump64, 0), (u32)page);
    set_word(copied_field(page, trampoline_efer, 0), (u32)(msr_read(MSR_EFER) & ~EFER_ACTIVE));
    prepare_tables(page);
    smp_kernel_root_phys = image_to_phys(arch_kernel_root());
}

static bool prepare_cpu(u32 apic_id)
{
    u32 id = smp_nr_cpus;
    void *stack = vmap_alloc_stack();

    if (stack == NULL || descriptors_alloc(id) != 0) {
        printk("smp: no memory to start CPU %u\n", id);
        return false;
    }
    cpu_record_init(id, apic_id);
    smp_apic_ids[id] = apic_id;
    smp_stacks[id] = (u64)stack + KSTACK_SIZE;
    smp_nr_cpus = id + 1;
    return true;
}

static u64 missing_cpus(void)
{
    u64 all = smp_nr_cpus == 64 ? U64_MAX : BIT(smp_nr_cpus) - 1;

    return all & ~cpu_online_mask();
}

static void start_missing(u64 page)
{
    for (u64 left = missing_cpus(); left != 0; left &= left - 1) {
        apic_send_startup(smp_apic_ids[__builtin_ctzl(left)], (u8)(page >> PAGE_SHIFT));
    }
}

static void wait_for_missing(u64 timeout_ns)
{
    u64 deadline = arch_clock_ns() + timeout_ns;

    while (missing_cpus() != 0 && arch_clock_ns() < deadline) {
        cpu_relax();
    }
}

static void start_all(u64 page)
{
    for (u32 id = 1; id < smp_nr_cpus; id++) {
        apic_send_init(smp_apic_ids[id]);
    }
    time_busy_wait_ns(INIT_WAIT_NS);
    start_missing(page);
    wait_for_missing(FIRST_SIGNAL_WAIT_NS);
    if (missing_cpus() != 0) {
        start_missing(page);
        wait_for_missing(SECOND_SIGNAL_WAIT_NS);
    }
    for (u64 left = missing_cpus(); left != 0; left &= left - 1) {
        printk("smp: CPU %u does not start and is left out\n", (u32)__builtin_ctzl(left));
    }
}

/* Only CPUs that run without a gap can be counted: numbers go from 0 to cpu_count() - 1. */
static u32 count_running(void)
{
    u32 count = 0;

    while (count < smp_nr_cpus && (cpu_online_mask() & BIT(count)) != 0) {
        count++;
    }
    return count;
}

static void start_others(void)
{
    const struct acpi_info *acpi = acpi_info();
    u64 page = boot_info()->trampoline;
    u32 boot_apic_id = this_cpu()->apic_id;

    smp_apic_ids[0] = boot_apic_id;
    smp_nr_cpus = 1;
    if (acpi->nr_cpus <= 1) {
        return;
    }
    if (page == 0) {
        printk("smp: no room below 1 MiB for start code; one CPU runs\n");
        return;
    }
    for (u32 i = 0; i < acpi->nr_cpus; i++) {
        if (acpi->apic_ids[i] != boot_apic_id && !prepare_cpu(acpi->apic_ids[i])) {
            break;
        }
    }
    prepare_trampoline(page);
    start_all(page);
    cpu_set_count(count_running());
}

u32 platform_smp_start(void)
{
    start_others();
    /* CPUs watch each other by NMIs; one that is alone needs them from a clock. */
    if (cpu_count() == 1 && cmdline_u64("watchdog", 1) != 0) {
        nmi_start_periodic();
    }
    return cpu_count();
}

void smp_cpu_entry(u32 id)
{
    descriptors_load(id);
    cpu_set_control_registers();
    fpu_init_cpu();
    apic_init_cpu();
    time_init_cpu();
    cpu_mark_online();
    sched_cpu_entry();
}
