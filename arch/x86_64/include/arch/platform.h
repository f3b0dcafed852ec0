/*
 * The machine around the CPUs: clock and timer, interrupts between CPUs, serial line, power.
 *
 * Owns: what the kernel may ask of the board. Everything here hides which chip does it.
 * Read next: arch/x86_64/apic.c, serial.c, acpi.c.
 */
#ifndef COWBELL_ARCH_PLATFORM_H
#define COWBELL_ARCH_PLATFORM_H

#include <lib/types.h>
#include <lib/compiler.h>

struct boot_info;
struct trapframe;

/* --- start ------------------------------------------------------------------------------------ */

/** platform_serial_early_init() - from now on serial_write() works. */
void platform_serial_early_init(void);

/** platform_cpu_init() - descriptor tables, control registers, FPU of the CPU that runs this. */
void platform_cpu_init(void);

/** platform_init() - ACPI tables, interrupt controllers, clock and timer; needs the frames. */
void platform_init(const struct boot_info *info);

/**
 * platform_smp_start() - start the other CPUs; each ends in the upcall sched_cpu_entry().
 *
 * Return: the number of CPUs that run now. One that does not answer is reported and left out.
 */
u32 platform_smp_start(void);

/**
 * platform_persistent_memory() - the @nth range of memory that outlives the machine's power.
 * @start: out, with @end: physical, as the firmware says it
 *
 * Return: false if there are fewer.
 */
bool platform_persistent_memory(u32 nth, u64 *start, u64 *end);

/* --- time ------------------------------------------------------------------------------------- */

/** arch_clock_ns() - nanoseconds since the kernel started; the same on every CPU. Any context. */
u64 arch_clock_ns(void);

/**
 * arch_timer_set() - let timer_interrupt() be called on this CPU at @deadline_ns or soon after.
 * @deadline_ns:  on the scale of arch_clock_ns(); U64_MAX: not at all
 *
 * Context: interrupts off.
 */
void arch_timer_set(u64 deadline_ns);

/** arch_rtc_read_unix() - seconds since 1970 by the battery-backed clock. */
u64 arch_rtc_read_unix(void);

/* --- other CPUs ------------------------------------------------------------------------------- */

/** arch_send_ipi_resched() - sched_ipi() is called on that CPU soon. Any context. */
void arch_send_ipi_resched(u32 cpu);

enum ipi_wait { IPI_NO_WAIT, IPI_WAIT };

/**
 * arch_ipi_call() - run fn(arg) on other CPUs, in interrupt context.
 * @mask:  one bit for each CPU; this one's own bit is ignored
 * @wait:  IPI_WAIT: all have returned from @fn when this returns
 *
 * Context: thread or interrupts off, but not an interrupt handler. While it waits it serves the
 *          calls of others, so that two callers with interrupts off never wait for each other.
 */
void arch_ipi_call(u64 mask, void (*fn)(void *), void *arg, enum ipi_wait wait);

/** arch_nmi_stop_all() - the other CPUs stop for good, each after printing its backtrace. */
void arch_nmi_stop_all(void);

/** arch_nmi_send() - watchdog_nmi() is called on that CPU, whatever it does. Any context. */
void arch_nmi_send(u32 cpu);

/* --- serial line ------------------------------------------------------------------------------ */

/** serial_write() - put bytes on the line, waiting for the chip; any context, also panic. */
void serial_write(const char *text, size_t len);

/** serial_irq_enable() - from now on serial_rx() and serial_tx_space() are called. */
void serial_irq_enable(void);

/**
 * serial_send() - queue bytes for the transmitter, which takes them by interrupts.
 *
 * Return: how many fitted; when there is room again, serial_tx_space() is called. Any context.
 */
size_t serial_send(const char *text, size_t len);

/** serial_send_space() - how many bytes serial_send() would take now. */
size_t serial_send_space(void);

/* --- power ------------------------------------------------------------------------------------ */

/** platform_poweroff() - switch the machine off (ACPI S5); halts if that is impossible. */
NORETURN void platform_poweroff(void);

/** platform_reboot() - reset the machine: ACPI, keyboard controller, triple fault. */
NORETURN void platform_reboot(void);

/** platform_halt() - stop every CPU. */
NORETURN void platform_halt(void);

/* QEMU ends with status (code << 1) | 1. */
enum debug_exit_code { DEBUG_EXIT_OK = 0x10, DEBUG_EXIT_FAILED = 0x11, DEBUG_EXIT_PANIC = 0x12 };

/** platform_exit_debug() - end QEMU through isa-debug-exit; without that device, power off. */
NORETURN void platform_exit_debug(u32 code);

/* --- interrupt lines -------------------------------------------------------------------------- */

/**
 * arch_irq_register() - have @handler called when an ISA interrupt line (0..15) is raised.
 *
 * Return: 0, -EINVAL (no such line), -EBUSY (it has a handler).
 */
MUST_CHECK int arch_irq_register(u32 line, void (*handler)(void *), void *arg);

/* --- upcalls: the machine calls these, other parts of the kernel define them -------------------
 */

/** timer_interrupt() - the deadline of arch_timer_set() has passed; interrupts off. */
void timer_interrupt(void);

/** sched_ipi() - another CPU wants this one to look at its run queue; interrupts off. */
void sched_ipi(void);

/** sched_cpu_entry() - a started CPU becomes its idle thread; interrupts off. */
NORETURN void sched_cpu_entry(void);

/** serial_rx() - a byte has come in; interrupts off. */
void serial_rx(u8 byte);

/** serial_tx_space() - the queue of serial_send() has room again; interrupts off. */
void serial_tx_space(void);

/** watchdog_nmi() - an NMI that nobody else asked for, or arch_nmi_send(). May not take locks. */
void watchdog_nmi(struct trapframe *tf);

/** page_fault_entry() - resolve a page fault; interrupts as in the interrupted code. */
void page_fault_entry(struct trapframe *tf, u64 address, u32 access);

/**
 * arch_note_page_fault() - what the frame of the signal shows that the current thread gets for a
 *                          page fault in user mode; called before the signal is raised.
 * @access: enum page_fault_access
 */
void arch_note_page_fault(u64 address, u32 access);

/* What the access was; the values are the machine's own error code (SDM 3A 4.7). */
enum page_fault_access {
    PAGE_FAULT_PRESENT = 1 << 0, /* an entry was there but forbade it */
    PAGE_FAULT_WRITE = 1 << 1,
    PAGE_FAULT_USER = 1 << 2,
    PAGE_FAULT_RESERVED = 1 << 3, /* a broken entry: always the kernel's fault */
    PAGE_FAULT_EXECUTE = 1 << 4,
};

#endif
