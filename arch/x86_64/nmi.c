/*
 * Non-maskable interrupts: how one CPU reaches another that no longer takes interrupts, to learn
 * where it is, to stop it, or to let the watchdog look at it.
 *
 * The handler may have interrupted anything, a printing CPU too, so it takes no lock and prints
 * nothing: it leaves its registers and its backtrace where the CPU that asked prints them.
 */
#include "machine.h"
#include "io.h"
#include <arch/platform.h>
#include <debug/backtrace.h>
#include <debug/panic.h>
#include <lib/printk.h>

enum nmi_request {
    NMI_REPORT = 1 << 0,
    NMI_STOP = 1 << 1,
    NMI_WATCHDOG = 1 << 2,
};

/* A CPU that does not answer an NMI for so long is gone. */
#define ANSWER_TIMEOUT_NS (200 * NSEC_PER_MSEC)

#define PIT_CHANNEL0          0x40
#define PIT_COMMAND           0x43
#define PIT_CHANNEL0_PERIODIC 0x34 /* mode 2, low byte first */
#define PIT_ISA_LINE          0

/* One report at a time: only the CPU that panics asks for them, one CPU after the other. */
static struct {
    struct trapframe tf;
    u32 nr_frames;
    u64 frames[BACKTRACE_MAX];
} report;

/* Called by entry.S only. */
void nmi_dispatch(struct trapframe *tf, u64 error);

void nmi_dispatch(struct trapframe *tf, u64 error)
{
    struct cpu *cpu = this_cpu();
    u64 request = __atomic_load_n(&cpu->nmi_request, __ATOMIC_ACQUIRE);

    if ((request & NMI_REPORT) != 0) {
        report.tf = *tf;
        report.nr_frames = backtrace_capture_from(tf, report.frames, BACKTRACE_MAX);
    }
    /* Cleared after the report is complete: the sender waits for that. */
    __atomic_fetch_and(&cpu->nmi_request, ~request, __ATOMIC_RELEASE);
    if ((request & NMI_STOP) != 0) {
        cpu_halt_forever();
    }
    if (request == 0 || (request & NMI_WATCHDOG) != 0) {
        watchdog_nmi(tf);
    }
}

/* Return: has the CPU answered? */
static bool request_and_wait(u32 id, u64 request)
{
    struct cpu *cpu = cpu_at(id);
    u64 deadline = arch_clock_ns() + ANSWER_TIMEOUT_NS;

    __atomic_fetch_or(&cpu->nmi_request, request, __ATOMIC_RELEASE);
    apic_send_nmi(id);
    while ((__atomic_load_n(&cpu->nmi_request, __ATOMIC_ACQUIRE) & request) != 0) {
        if (arch_clock_ns() > deadline) {
            return false;
        }
        cpu_relax();
    }
    return true;
}

static void request_from_others(u64 request)
{
    u64 others = cpu_online_mask() & ~BIT(cpu_id());

    for (; others != 0; others &= others - 1) {
        u32 id = (u32)__builtin_ctzl(others);
        bool has_answered = request_and_wait(id, request);

        if ((request & NMI_REPORT) == 0) {
            continue;
        }
        if (!has_answered) {
            printk("CPU %u does not answer\n", id);
            continue;
        }
        printk("CPU %u was at:\n", id);
        panic_print_registers(&report.tf);
        backtrace_print_frames(report.frames, report.nr_frames);
    }
}

void arch_nmi_stop_all(void)
{
    request_from_others(NMI_REPORT | NMI_STOP);
}

void nmi_stop_others_silently(void)
{
    request_from_others(NMI_STOP);
}

void arch_nmi_send(u32 cpu)
{
    __atomic_fetch_or(&cpu_at(cpu)->nmi_request, (u64)NMI_WATCHDOG, __ATOMIC_RELEASE);
    apic_send_nmi(cpu);
}

/* The old timer's own period: about 18 interrupts a second. */
void nmi_start_periodic(void)
{
    port_write8(PIT_COMMAND, PIT_CHANNEL0_PERIODIC);
    port_write8(PIT_CHANNEL0, 0);
    port_write8(PIT_CHANNEL0, 0);
    ioapic_route_isa_as_nmi(PIT_ISA_LINE, this_cpu()->apic_id);
}
