/*
 * The clock (time-stamp counter) and the timer (of the local APIC).
 *
 * Nanoseconds come from the counter by a multiplication and a shift, measured once at the start.
 * The counters of all CPUs are taken to run together, as they do on every machine with an
 * invariant TSC and in QEMU. Read next: apic.c.
 */
#include "machine.h"
#include "io.h"
#include <arch/platform.h>
#include <lib/assert.h>
#include <lib/printk.h>

#define PM_TIMER_HZ       3579545ul /* ACPI 6.4, 4.8.2.1 */
#define PIT_HZ            1193182ul
#define CALIBRATION_NS    1000000ul
#define CALIBRATION_TRIES 8
#define SCALE_SHIFT       32

#define PIT_CHANNEL2   0x42
#define PIT_COMMAND    0x43
#define PIT_GATE       0x61
#define PIT_GATE_ON    0x01
#define PIT_SPEAKER_ON 0x02

static u64 tsc_hz;
static u64 tsc_start;
static u64 ns_per_tick_scaled;       /* 2^32 * ns / tick */
static u64 ticks_per_ns_scaled;      /* 2^32 * tick / ns */
static u64 apic_ticks_per_ns_scaled; /* 2^32 * APIC tick / ns; 0 with TSC deadlines */

static u64 scale(u64 value, u64 factor)
{
    return (u64)(((unsigned __int128)value * factor) >> SCALE_SHIFT);
}

u64 arch_clock_ns(void)
{
    return scale(rdtsc() - tsc_start, ns_per_tick_scaled);
}

/* One reading of a reference clock together with the counters, as close as can be had. */
struct sample {
    u64 tsc;
    u32 apic; /* counts down */
    u32 reference;
};

static u32 pm_timer_read(void)
{
    return port_read32(acpi_info()->pm_timer_port);
}

static u32 pit_read(void)
{
    u32 low;

    port_write8(PIT_COMMAND, 0x80); /* latch channel 2 */
    low = port_read8(PIT_CHANNEL2);
    return low | ((u32)port_read8(PIT_CHANNEL2) << 8);
}

/* Channel 2 counts down from 65535, silently: long enough for a calibration. */
static void pit_start(void)
{
    port_write8(PIT_GATE, (port_read8(PIT_GATE) & ~PIT_SPEAKER_ON) | PIT_GATE_ON);
    port_write8(PIT_COMMAND, 0xb0);
    port_write8(PIT_CHANNEL2, 0xff);
    port_write8(PIT_CHANNEL2, 0xff);
}

static bool has_pm_timer(void)
{
    return acpi_info()->pm_timer_port != 0;
}

/*
 * An interrupted reading (by the hypervisor, say) is a bad one: of several the one that took the
 * least time is kept.
 */
static struct sample take_sample(void)
{
    struct sample best = {0};
    u64 best_width = U64_MAX;

    for (u32 try = 0; try < CALIBRATION_TRIES; try++) {
        struct sample sample;
        u64 before = rdtsc();

        sample.reference = has_pm_timer() ? pm_timer_read() : pit_read();
        sample.tsc = rdtsc();
        sample.apic = cpu_features()->has_tsc_deadline ? 0 : apic_timer_current();
        if (sample.tsc - before < best_width) {
            best_width = sample.tsc - before;
            best = sample;
        }
    }
    return best;
}

static u64 reference_hz(void)
{
    return has_pm_timer() ? PM_TIMER_HZ : PIT_HZ;
}

static u64 reference_ticks(const struct sample *from, const struct sample *to)
{
    if (!has_pm_timer()) {
        return (from->reference - to->reference) & 0xffff;
    }
    return (to->reference - from->reference) &
           (acpi_info()->pm_timer_is_32bit ? 0xffffffffu : 0xffffffu);
}

#define HYPERVISOR_LEAF_MAX    0x40000000
#define HYPERVISOR_LEAF_TIMING 0x40000010

/* The frequency as the CPU or the hypervisor states it, or 0. Source: SDM 2A, CPUID leaf 15H. */
static u64 stated_tsc_hz(void)
{
    if ((cpuid(1, 0).ecx & BIT(31)) != 0 &&
        cpuid(HYPERVISOR_LEAF_MAX, 0).eax >= HYPERVISOR_LEAF_TIMING) {
        return cpuid(HYPERVISOR_LEAF_TIMING, 0).eax * 1000ul;
    }
    if (cpu_features()->max_leaf >= 0x15) {
        struct cpuid leaf = cpuid(0x15, 0);

        if (leaf.eax != 0 && leaf.ebx != 0 && leaf.ecx != 0) {
            return (u64)leaf.ecx * leaf.ebx / leaf.eax;
        }
    }
    return 0;
}

static void calibrate(void)
{
    struct sample from, to;
    u64 target = reference_hz() * CALIBRATION_NS / NSEC_PER_SEC;
    u64 ticks;

    if (!has_pm_timer()) {
        pit_start();
    }
    if (!cpu_features()->has_tsc_deadline) {
        apic_timer_arm(U32_MAX);
    }
    from = take_sample();
    do {
        to = take_sample();
        ticks = reference_ticks(&from, &to);
    } while (ticks < target);
    tsc_hz = stated_tsc_hz();
    if (tsc_hz == 0) {
        tsc_hz = (to.tsc - from.tsc) * reference_hz() / ticks;
    }
    if (!cpu_features()->has_tsc_deadline) {
        u64 apic_hz = (u64)(from.apic - to.apic) * reference_hz() / ticks;

        apic_timer_disarm();
        apic_ticks_per_ns_scaled = ((apic_hz << (SCALE_SHIFT - 2)) / NSEC_PER_SEC) << 2;
    }
}

void time_init(void)
{
    /* Masked by the interrupt flag, not in the APIC: a count that runs out meanwhile is harmless.
     */
    apic_timer_init_cpu();
    calibrate();
    ns_per_tick_scaled = ((u64)NSEC_PER_SEC << SCALE_SHIFT) / tsc_hz;
    /* In two steps: the frequency has up to 33 bits. */
    ticks_per_ns_scaled = ((tsc_hz << (SCALE_SHIFT - 2)) / NSEC_PER_SEC) << 2;
    tsc_start = rdtsc();
    printk("time: the TSC runs at %lu kHz, measured by the %s\n", tsc_hz / 1000,
           has_pm_timer() ? "ACPI timer" : "PIT");
}

void time_init_cpu(void)
{
    apic_timer_init_cpu();
}

void arch_timer_set(u64 deadline_ns)
{
    u64 now;

    if (deadline_ns == U64_MAX) {
        apic_timer_disarm();
        return;
    }
    if (cpu_features()->has_tsc_deadline) {
        /* Zero would disarm, so a deadline that has passed is the first tick. */
        apic_timer_arm_deadline(tsc_start + scale(deadline_ns, ticks_per_ns_scaled) + 1);
        return;
    }
    now = arch_clock_ns();
    /* One tick more than the quotient, so that the deadline has passed when the timer fires. */
    apic_timer_arm(
        deadline_ns <= now
            ? 1
            : scale(min(deadline_ns - now, 3600 * NSEC_PER_SEC), apic_ticks_per_ns_scaled) + 1);
}

void time_busy_wait_ns(u64 ns)
{
    u64 end = arch_clock_ns() + ns;

    while (arch_clock_ns() < end) {
        cpu_relax();
    }
}
