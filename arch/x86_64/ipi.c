/*
 * Calls on other CPUs.
 *
 * Each CPU has one outgoing call and a mask of the CPUs whose calls wait for it. A caller fills its
 * own record, sets its bit in every target's mask and interrupts those whose mask was empty; a
 * target takes its whole mask at once, so one interrupt serves all callers. Nothing is allocated
 * and no lock is taken: shootdowns run under page-table locks.
 */
#include "machine.h"
#include <arch/platform.h>
#include <lib/assert.h>

struct ipi_call {
    void (*fn)(void *);
    void *arg;
    u64 pending; /* [x] targets that have not returned from fn */
} ALIGNED(64);

static struct ipi_call calls[MAX_CPUS];
static struct {
    u64 callers; /* [x] */
} ALIGNED(64) incoming[MAX_CPUS];

void ipi_handle_call(void)
{
    u32 self = cpu_id();
    u64 callers = __atomic_exchange_n(&incoming[self].callers, 0, __ATOMIC_ACQ_REL);

    while (callers != 0) {
        u32 caller = (u32)__builtin_ctzl(callers);
        struct ipi_call *call = &calls[caller];

        callers &= callers - 1;
        call->fn(call->arg);
        __atomic_fetch_and(&call->pending, ~BIT(self), __ATOMIC_RELEASE);
    }
}

static void wait_until_done(const struct ipi_call *call)
{
    while (__atomic_load_n(&call->pending, __ATOMIC_ACQUIRE) != 0) {
        /* With interrupts off on both sides, two callers would wait for each other for ever. */
        if (!irqs_enabled()) {
            ipi_handle_call();
        }
        cpu_relax();
    }
}

void arch_ipi_call(u64 mask, void (*fn)(void *), void *arg, enum ipi_wait wait)
{
    u32 self = cpu_id();
    struct ipi_call *call = &calls[self];

    mask &= cpu_online_mask() & ~BIT(self);
    if (mask == 0) {
        return;
    }
    ASSERT(!cpu_in_interrupt(), "an interrupt handler calls no other CPU");
    wait_until_done(call);
    call->fn = fn;
    call->arg = arg;
    __atomic_store_n(&call->pending, mask, __ATOMIC_RELEASE);
    for (u64 left = mask; left != 0; left &= left - 1) {
        u32 target = (u32)__builtin_ctzl(left);

        if (__atomic_fetch_or(&incoming[target].callers, BIT(self), __ATOMIC_SEQ_CST) == 0) {
            apic_send_fixed(target, VECTOR_IPI_CALL);
        }
    }
    if (wait == IPI_WAIT) {
        wait_until_done(call);
    }
}

void arch_send_ipi_resched(u32 cpu)
{
    apic_send_fixed(cpu, VECTOR_IPI_RESCHED);
}
