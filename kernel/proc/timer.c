/*
 * Kernel timers.
 *
 * Each CPU has a base: a tree of timers by deadline, and what its hardware timer is set for. A
 * timer is in the tree of the CPU that started it; only that CPU takes it out to call it. The
 * hardware is set earlier when an earlier timer comes, but not later when one is cancelled: the
 * interrupt that is not needed any more finds nothing to do.
 */
#include <proc/timer.h>

#include <arch/cpu.h>
#include <arch/platform.h>
#include <lib/assert.h>
#include <proc/clock.h>
#include <proc/spinlock.h>

struct timer_base {
    struct spinlock lock;
    struct rb_root timers; /* [lock] by deadline, equal ones in the order of their start */
    struct timer *first;   /* [lock] */
    struct timer *running; /* [lock] whose function runs now */
    u64 programmed_ns;     /* [lock] what the hardware is set for; U64_MAX: nothing */
} ALIGNED(64);

#define TIMERS_PER_INTERRUPT 128

static struct timer_base bases[MAX_CPUS];

void timer_init_cpu(void)
{
    struct timer_base *base = &bases[cpu_id()];

    spin_init(&base->lock, RANK_TIMER);
    base->programmed_ns = U64_MAX;
}

void timer_init(struct timer *timer, timer_func func)
{
    timer->func = func;
    timer->deadline_ns = 0;
    timer->base_cpu = 0;
    timer->is_queued = false;
}

/* Finds and locks the base that the timer belongs to; interrupts are off. */
static struct timer_base *lock_base(struct timer *timer) NO_THREAD_SAFETY_ANALYSIS
{
    for (;;) {
        u32 cpu = __atomic_load_n(&timer->base_cpu, __ATOMIC_RELAXED);
        struct timer_base *base = &bases[cpu];

        spin_lock(&base->lock);
        if (likely(timer->base_cpu == cpu)) {
            return base;
        }
        spin_unlock(&base->lock);
    }
}

static void enqueue(struct timer_base *base, struct timer *timer)
{
    struct rb_node *parent = NULL;
    struct rb_node **link = &base->timers.node;
    bool is_first = true;

    while (*link != NULL) {
        struct timer *other = rb_entry(*link, struct timer, node);

        parent = *link;
        if (timer->deadline_ns < other->deadline_ns) {
            link = &parent->left;
        } else {
            link = &parent->right;
            is_first = false;
        }
    }
    rb_insert_at(&base->timers, &timer->node, parent, link, NULL);
    timer->is_queued = true;
    if (is_first) {
        base->first = timer;
    }
}

static void dequeue(struct timer_base *base, struct timer *timer)
{
    if (base->first == timer) {
        base->first = rb_entry_or_null(rb_next(&timer->node), struct timer, node);
    }
    rb_erase(&base->timers, &timer->node, NULL);
    timer->is_queued = false;
}

/* Sets this CPU's hardware timer if the first deadline is earlier than what it is set for. */
static void program(struct timer_base *base)
{
    if (base->first != NULL && base->first->deadline_ns < base->programmed_ns) {
        base->programmed_ns = base->first->deadline_ns;
        arch_timer_set(base->programmed_ns);
    }
}

void timer_start(struct timer *timer, u64 deadline_ns) NO_THREAD_SAFETY_ANALYSIS
{
    u64 flags = irq_save();
    struct timer_base *base = lock_base(timer);
    struct timer_base *mine = &bases[cpu_id()];

    if (timer->is_queued) {
        dequeue(base, timer);
    }
    if (base != mine) {
        /* A function that runs there keeps the timer there, where timer_cancel() looks for it. */
        if (base->running != timer) {
            __atomic_store_n(&timer->base_cpu, cpu_id(), __ATOMIC_RELAXED);
        }
        spin_unlock(&base->lock);
        base = lock_base(timer);
    }
    timer->deadline_ns = deadline_ns;
    enqueue(base, timer);
    if (base == mine) {
        program(base);
    }
    spin_unlock(&base->lock);
    irq_restore(flags);
    if (unlikely(base != mine)) {
        arch_send_ipi_resched((u32)(base - bases));
    }
}

bool timer_try_cancel(struct timer *timer) NO_THREAD_SAFETY_ANALYSIS
{
    u64 flags = irq_save();
    struct timer_base *base = lock_base(timer);
    bool was_queued = timer->is_queued;

    if (was_queued) {
        dequeue(base, timer);
    }
    spin_unlock(&base->lock);
    irq_restore(flags);
    return was_queued;
}

bool timer_cancel(struct timer *timer) NO_THREAD_SAFETY_ANALYSIS
{
    bool was_stopped = false;

    for (;;) {
        u64 flags = irq_save();
        struct timer_base *base = lock_base(timer);
        bool is_running = base->running == timer;

        if (timer->is_queued) {
            dequeue(base, timer);
            was_stopped = true;
        }
        spin_unlock(&base->lock);
        irq_restore(flags);
        if (!is_running) {
            return was_stopped;
        }
        cpu_relax();
    }
}

u64 timer_next_deadline(void)
{
    struct timer_base *base = &bases[cpu_id()];
    u64 flags = spin_lock_irqsave(&base->lock);
    u64 deadline_ns = base->first != NULL ? base->first->deadline_ns : U64_MAX;

    spin_unlock_irqrestore(&base->lock, flags);
    return deadline_ns;
}

void timer_reprogram(void)
{
    struct timer_base *base = &bases[cpu_id()];
    u64 flags = spin_lock_irqsave(&base->lock);

    program(base);
    spin_unlock_irqrestore(&base->lock, flags);
}

void timer_interrupt(void)
{
    struct timer_base *base = &bases[cpu_id()];
    u64 now = clock_monotonic_ns();

    spin_lock(&base->lock);
    /* Bounded: a timer that starts itself anew for the past must not keep the CPU for ever. */
    for (u32 i = 0; i < TIMERS_PER_INTERRUPT; i++) {
        if (base->first == NULL || base->first->deadline_ns > now) {
            break;
        }
        struct timer *timer = base->first;

        dequeue(base, timer);
        base->running = timer;
        spin_unlock(&base->lock);
        timer->func(timer);
        spin_lock(&base->lock);
        base->running = NULL;
    }
    base->programmed_ns = U64_MAX;
    program(base);
    spin_unlock(&base->lock);
}
