/*
 * Kernel timers: a function to call at a time of CLOCK_MONOTONIC.
 *
 * Each CPU keeps its timers in a tree ordered by deadline and programs its hardware timer for the
 * first one, so a deadline is met as precisely as the hardware allows and an idle CPU gets no
 * interrupt that nobody asked for.
 */
#ifndef PROC_TIMER_H
#define PROC_TIMER_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/rbtree.h>

struct timer;

/* Called in interrupt context, with interrupts off and no lock held. May start the timer again. */
typedef void (*timer_func)(struct timer *timer);

struct timer {
    struct rb_node node; /* [base lock] */
    u64 deadline_ns;     /* [base lock] CLOCK_MONOTONIC */
    timer_func func;     /* [I] */
    u32 base_cpu;        /* [x] whose tree the timer is or was in */
    bool is_queued;      /* [base lock] */
};

/** timer_init() - make a timer that is not running. */
void timer_init(struct timer *timer, timer_func func);

/**
 * timer_start() - let the timer fire at @deadline_ns, on this CPU; restarts a running timer.
 *
 * A deadline in the past fires as soon as interrupts are on. One owner at a time may start and
 * cancel a timer. Context: any.
 */
void timer_start(struct timer *timer, u64 deadline_ns);

/**
 * timer_cancel() - stop the timer; afterwards its function neither runs nor will run.
 *
 * Waits for a function that runs on another CPU, so the caller must hold no lock that the function
 * takes. A function that starts its own timer again must be told to stop first.
 * Return: true if the timer was stopped before it fired.
 * Context: any but the timer's own function.
 */
bool timer_cancel(struct timer *timer);

/** timer_try_cancel() - like timer_cancel() without the wait: false if fired or firing. */
bool timer_try_cancel(struct timer *timer);

/** timer_is_queued() - whether the timer waits to fire; may be old news when it returns. */
static inline bool timer_is_queued(const struct timer *timer)
{
    return __atomic_load_n(&timer->is_queued, __ATOMIC_RELAXED);
}

/** timer_init_cpu() - once on each CPU, after arch's timer works. */
void timer_init_cpu(void);

/** timer_interrupt() - upcall from arch when the hardware timer fired; interrupts are off. */
void timer_interrupt(void);

/** timer_reprogram() - set this CPU's hardware timer for timers that another CPU started here. */
void timer_reprogram(void);

/** timer_next_deadline() - the first deadline of this CPU, or U64_MAX; for the idle loop. */
u64 timer_next_deadline(void);

#endif
