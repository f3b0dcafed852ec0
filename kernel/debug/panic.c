/*
 * The end: a rule of the kernel is broken, and going on could only do harm.
 *
 * One CPU reports the rule, its registers and its backtrace; the others are stopped one by one and
 * report where they were. Nothing here takes a lock or allocates. Read next: backtrace.c.
 */
#include <arch/cpu.h>
#include <arch/platform.h>
#include <arch/trapframe.h>
#include <debug/backtrace.h>
#include <debug/explore.h>
#include <debug/lockdep.h>
#include <debug/panic.h>
#include <lib/assert.h>
#include <lib/cmdline.h>
#include <lib/fmt.h>
#include <lib/printk.h>
#include <lib/string.h>
#include <proc/thread.h>

#define NO_CPU U32_MAX

static u32 panicking_cpu = NO_CPU; /* [x] the CPU that reports */
static u32 nr_panics;              /* of that CPU: a panic within the report ends it */

void panic_print_registers(const struct trapframe *tf)
{
    u64 offset = 0;
    const char *name = symbol_lookup(tf->rip, &offset);

    printk("  rip %016lx %s+%#lx  %s mode, flags %08lx\n", tf->rip, name != NULL ? name : "?",
           offset, tf_is_user(tf) ? "user" : "kernel", tf->eflags);
    printk("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", tf->rax, tf->rbx, tf->rcx,
           tf->rdx);
    printk("  rsi %016lx  rdi %016lx  rbp %016lx  rsp %016lx\n", tf->rsi, tf->rdi, tf->rbp,
           tf->rsp);
    printk("  r8  %016lx  r9  %016lx  r10 %016lx  r11 %016lx\n", tf->r8, tf->r9, tf->r10, tf->r11);
    printk("  r12 %016lx  r13 %016lx  r14 %016lx  r15 %016lx\n", tf->r12, tf->r13, tf->r14,
           tf->r15);
}

/* Only the first CPU that panics reports; another one waits here until it is stopped. */
static void claim_report(void)
{
    u32 expected = NO_CPU;
    u32 self = cpu_id();

    if (!__atomic_compare_exchange_n(&panicking_cpu, &expected, self, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE) &&
        expected != self) {
        cpu_halt_forever();
    }
    nr_panics++;
}

/* Tests want an exit status; a person wants to read the screen. */
NORETURN static void stop_machine(void)
{
    char action[16] = "";

    (void)cmdline_copy("panic", action, sizeof(action));
    if (strcmp(action, "reboot") == 0) {
        platform_reboot();
    }
    if (strcmp(action, "exit") == 0 || (action[0] == '\0' && cmdline_has("test"))) {
        platform_exit_debug(DEBUG_EXIT_PANIC);
    }
    printk("The machine is halted.\n");
    cpu_halt_forever();
}

static void print_context(void)
{
    const struct thread *thread = current_thread();

    if (thread == NULL) {
        printk("  on CPU %u, before the first thread\n", cpu_id());
        return;
    }
    printk("  on CPU %u, thread %d \"%s\"%s\n", cpu_id(), thread->tid, thread->comm,
           cpu_in_interrupt() ? ", in an interrupt" : "");
}

NORETURN static void report(const struct trapframe *tf, const char *fmt, va_list args)
{
    char text[256];

    irq_disable();
    claim_report();
    lockdep_stop();
    printk_enter_panic();
    vsnprintf(text, sizeof(text), fmt, args);
    printk("\nPANIC: %s\n", text);
    explore_report();
    if (nr_panics > 2) {
        stop_machine();
    }
    print_context();
    if (tf != NULL) {
        panic_print_registers(tf);
    }
    backtrace_print(tf);
    if (nr_panics == 1) {
        arch_nmi_stop_all();
    }
    stop_machine();
}

void panic(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    report(NULL, fmt, args);
}

void panic_with_frame(const struct trapframe *tf, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    report(tf, fmt, args);
}
