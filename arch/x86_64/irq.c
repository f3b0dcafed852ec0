/*
 * Interrupts: each vector to whoever asked for it.
 */
#include "machine.h"
#include <arch/platform.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/printk.h>
#include <proc/spinlock.h>

struct isa_handler {
    void (*handler)(void *);
    void *arg;
};

static struct isa_handler isa_handlers[NR_ISA_LINES];
static struct spinlock isa_lock = SPINLOCK_INIT(RANK_NONE);

int arch_irq_register(u32 line, void (*handler)(void *), void *arg)
{
    u64 flags;
    int error = 0;

    if (line >= NR_ISA_LINES) {
        return -EINVAL;
    }
    flags = spin_lock_irqsave(&isa_lock);
    if (isa_handlers[line].handler != NULL) {
        error = -EBUSY;
    } else {
        isa_handlers[line].arg = arg;
        __atomic_store_n(&isa_handlers[line].handler, handler, __ATOMIC_RELEASE);
    }
    spin_unlock_irqrestore(&isa_lock, flags);
    if (error == 0) {
        ioapic_route_isa(line, (u8)(VECTOR_ISA + line), cpu_at(0)->apic_id);
    }
    return error;
}

static void isa_interrupt(u64 line)
{
    void (*handler)(void *) = __atomic_load_n(&isa_handlers[line].handler, __ATOMIC_ACQUIRE);

    if (handler != NULL) {
        handler(isa_handlers[line].arg);
    }
}

static void device_or_ipi(u64 vector)
{
    struct cpu *cpu = this_cpu();

    switch (vector) {
    case VECTOR_TIMER:
        cpu->stats.nr_timer_interrupts++;
        timer_interrupt();
        return;
    case VECTOR_IPI_RESCHED:
        cpu->stats.nr_ipis_received++;
        sched_ipi();
        return;
    case VECTOR_IPI_CALL:
        cpu->stats.nr_ipis_received++;
        ipi_handle_call();
        return;
    case VECTOR_APIC_ERROR:
        printk("CPU %u: the local APIC reports an error\n", cpu->id);
        return;
    default:
        if (vector >= VECTOR_ISA && vector < VECTOR_ISA + NR_ISA_LINES) {
            isa_interrupt(vector - VECTOR_ISA);
        }
        return;
    }
}

void irq_dispatch(u64 vector, struct trapframe *tf)
{
    struct cpu *cpu = this_cpu();

    /* A spurious interrupt is not acknowledged (SDM 3A 10.9). */
    if (vector == VECTOR_SPURIOUS) {
        return;
    }
    cpu->stats.nr_interrupts++;
    cpu->interrupt_depth++;
    cpu->interrupted_user = tf_is_user(tf);
    /* Interrupts stay off in handlers, so the order of handling and acknowledging is free. */
    apic_eoi();
    device_or_ipi(vector);
    cpu->interrupt_depth--;
}
