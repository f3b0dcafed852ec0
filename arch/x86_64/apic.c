/*
 * The local APIC of each CPU: identity, acknowledgement, interrupts to other CPUs, the timer.
 *
 * Used through memory (xAPIC) or, where the CPU has it, through registers (x2APIC), which needs
 * no waiting for delivery. Source: SDM 3A, chapter 10.
 */
#include "machine.h"
#include "io.h"
#include <arch/kernel_map.h>
#include <lib/assert.h>

#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_X2APIC BIT(10)

/* Register numbers: times 16 in memory, plus MSR_X2APIC_BASE as a register. */
enum apic_register {
    APIC_ID = 0x02,
    APIC_TASK_PRIORITY = 0x08,
    APIC_EOI = 0x0b,
    APIC_SPURIOUS = 0x0f,
    APIC_ERROR_STATUS = 0x28,
    APIC_COMMAND = 0x30,
    APIC_COMMAND_HIGH = 0x31,
    APIC_LVT_TIMER = 0x32,
    APIC_LVT_LINT0 = 0x35,
    APIC_LVT_LINT1 = 0x36,
    APIC_LVT_ERROR = 0x37,
    APIC_TIMER_INITIAL = 0x38,
    APIC_TIMER_CURRENT = 0x39,
    APIC_TIMER_DIVIDE = 0x3e,
};

#define SPURIOUS_ENABLE         BIT(8)
#define LVT_MASKED              BIT(16)
#define LVT_TIMER_TSC_DEADLINE  (2u << 17)
#define LVT_NMI                 (4u << 8)
#define TIMER_DIVIDE_BY_1       0xb
#define COMMAND_PENDING         BIT(12)
#define COMMAND_NMI             (4u << 8)
#define COMMAND_INIT            (5u << 8)
#define COMMAND_STARTUP         (6u << 8)
#define COMMAND_ASSERT          BIT(14)
#define XAPIC_DESTINATION_SHIFT 24

static volatile u32 *registers; /* NULL in x2APIC mode */
static bool is_x2apic;
static bool uses_tsc_deadline;

static u32 read_register(enum apic_register number)
{
    if (is_x2apic) {
        return (u32)msr_read(MSR_X2APIC_BASE + number);
    }
    return registers[number * 4];
}

static void write_register(enum apic_register number, u32 value)
{
    if (is_x2apic) {
        msr_write(MSR_X2APIC_BASE + number, value);
    } else {
        registers[number * 4] = value;
    }
}

u32 apic_read_id(void)
{
    u32 id = read_register(APIC_ID);

    return is_x2apic ? id : id >> XAPIC_DESTINATION_SHIFT;
}

void apic_eoi(void)
{
    write_register(APIC_EOI, 0);
}

void apic_init_cpu(void)
{
    u64 base = msr_read(MSR_APIC_BASE) | APIC_BASE_ENABLE;

    /* The two bits are set one after the other: "enabled" is the only way to x2APIC. */
    msr_write(MSR_APIC_BASE, base);
    if (is_x2apic) {
        msr_write(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    }
    write_register(APIC_TASK_PRIORITY, 0);
    write_register(APIC_LVT_TIMER, LVT_MASKED);
    write_register(APIC_LVT_LINT0, LVT_MASKED);
    write_register(APIC_LVT_LINT1, this_cpu()->id == 0 ? LVT_NMI : LVT_MASKED);
    write_register(APIC_LVT_ERROR, VECTOR_APIC_ERROR);
    write_register(APIC_ERROR_STATUS, 0);
    write_register(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    apic_eoi();
}

void apic_init_boot_cpu(void)
{
    is_x2apic = cpu_features()->has_x2apic || (msr_read(MSR_APIC_BASE) & APIC_BASE_X2APIC) != 0;
    uses_tsc_deadline = cpu_features()->has_tsc_deadline;
    if (!is_x2apic) {
        registers = kernel_map_mmio(acpi_info()->local_apic_phys, PAGE_SIZE);
    }
    apic_init_cpu();
    this_cpu()->apic_id = apic_read_id();
}

void apic_send(u32 apic_id, u32 command)
{
    u64 flags;

    if (is_x2apic) {
        /* A WRMSR to the x2APIC does not wait for earlier stores (SDM 3A 10.12.3). */
        __asm__ volatile("mfence" : : : "memory");
        msr_write(MSR_X2APIC_BASE + APIC_COMMAND, ((u64)apic_id << 32) | command);
        return;
    }
    /* Two registers make one command: an interrupt in between could send its own. */
    flags = irq_save();
    while ((read_register(APIC_COMMAND) & COMMAND_PENDING) != 0) {
        cpu_relax();
    }
    write_register(APIC_COMMAND_HIGH, apic_id << XAPIC_DESTINATION_SHIFT);
    write_register(APIC_COMMAND, command);
    irq_restore(flags);
}

void apic_send_fixed(u32 cpu, u8 vector)
{
    __atomic_fetch_add(&this_cpu()->stats.nr_ipis_sent, 1, __ATOMIC_RELAXED);
    apic_send(cpu_at(cpu)->apic_id, COMMAND_ASSERT | vector);
}

void apic_send_nmi(u32 cpu)
{
    apic_send(cpu_at(cpu)->apic_id, COMMAND_ASSERT | COMMAND_NMI);
}

void apic_send_init(u32 apic_id)
{
    apic_send(apic_id, COMMAND_ASSERT | COMMAND_INIT);
}

void apic_send_startup(u32 apic_id, u8 page)
{
    apic_send(apic_id, COMMAND_ASSERT | COMMAND_STARTUP | page);
}

void apic_timer_init_cpu(void)
{
    if (uses_tsc_deadline) {
        write_register(APIC_LVT_TIMER, VECTOR_TIMER | LVT_TIMER_TSC_DEADLINE);
        /* The mode must be set before the deadline is written (SDM 3A 10.5.4.1). */
        __asm__ volatile("mfence" : : : "memory");
        return;
    }
    write_register(APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    write_register(APIC_LVT_TIMER, VECTOR_TIMER);
}

void apic_timer_arm(u64 ticks)
{
    ASSERT(!uses_tsc_deadline, "the timer counts down only without TSC deadlines");
    write_register(APIC_TIMER_INITIAL, (u32)clamp(ticks, 1ul, (u64)U32_MAX));
}

void apic_timer_arm_deadline(u64 tsc)
{
    msr_write(MSR_TSC_DEADLINE, tsc);
}

void apic_timer_disarm(void)
{
    if (uses_tsc_deadline) {
        msr_write(MSR_TSC_DEADLINE, 0);
    } else {
        write_register(APIC_TIMER_INITIAL, 0);
    }
}

u32 apic_timer_current(void)
{
    return read_register(APIC_TIMER_CURRENT);
}
