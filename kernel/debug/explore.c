/*
 * How the operations of an exploration are switched.
 *
 * Owns: the points, and the scheduler's choice while an exploration is active. An operation runs
 * until it waits or until a point switches to another one, so one CPU plays as many processors as
 * there are operations. Interrupts are held back meanwhile: nothing else switches. Threads that are
 * no operation run when none can go on, and the controller when nothing else can at all.
 * Read next: explore_run.c.
 */
#include <debug/explore_internal.h>

#include <arch/cpu.h>
#include <lib/assert.h>
#include <lib/bitmap.h>
#include <mm/mm.h>
#include <proc/runqueue.h>
#include <proc/sched.h>
#include <proc/spinlock.h>
#include <proc/thread.h>

bool explore_is_active;
struct explore_engine explore_engine;

static struct explore_engine *const engine = &explore_engine;

static u32 op_of(const struct thread *thread);
static u32 running_op(void);
static u32 ready_ops(void);
static bool can_go_on(const struct explore_op *op);
static bool is_flush_awaited(const struct explore_op *flusher);
static void switch_away(u32 self);
static u32 choose(const struct thread *prev);
static struct thread *take_other(struct runqueue *rq);
static void put_back(struct runqueue *rq, struct thread *thread);

/* --- points ----------------------------------------------------------------------------------- */

void explore_point_slow(enum explore_kind kind)
{
    u32 self = running_op();
    u32 next;

    if (self == EXPLORE_NONE || (engine->kinds & BIT(kind)) == 0) {
        return;
    }
    engine->ops[self].has_irqs_off = !irqs_enabled();
    next = explore_decide(ready_ops() | (u32)BIT(self), self);
    if (next != self) {
        engine->forced = next;
        switch_away(self);
    }
}

void explore_lock_slow(enum explore_kind kind, u16 rank)
{
    if ((engine->ranks & BIT(rank)) != 0) {
        explore_point_slow(kind);
    }
}

bool explore_spin_slow(const struct spinlock *lock)
{
    u32 self = running_op();

    if (!engine->is_running) {
        return false;
    }
    ASSERT(self != EXPLORE_NONE, "only operations wait for a lock that an operation holds");
    engine->ops[self].has_irqs_off = !irqs_enabled();
    engine->ops[self].spins_on = lock;
    switch_away(self);
    engine->ops[self].spins_on = NULL;
    return true;
}

void explore_flush_slow(const struct mm *mm)
{
    u32 self = running_op();

    if (self == EXPLORE_NONE) {
        return;
    }
    explore_point_slow(EXPLORE_FLUSH);
    engine->ops[self].flushes = mm;
    while (is_flush_awaited(&engine->ops[self])) {
        switch_away(self);
    }
    engine->ops[self].flushes = NULL;
}

static u32 op_of(const struct thread *thread)
{
    for (u32 i = 0; i < engine->nr_ops; i++) {
        if (engine->ops[i].thread == thread) {
            return i;
        }
    }
    return EXPLORE_NONE;
}

/* The operation that the calling thread is, if switching is possible here. */
static u32 running_op(void)
{
    if (!engine->is_running || cpu_in_interrupt()) {
        return EXPLORE_NONE;
    }
    return op_of(current_thread());
}

bool explore_op_has_ended(const struct explore_op *op)
{
    return op->is_ended || op->thread->state == THREAD_DEAD;
}

/* The operations that could run now, but for the one that does. */
static u32 ready_ops(void)
{
    u32 options = 0;

    for (u32 i = 0; i < engine->nr_ops; i++) {
        if (can_go_on(&engine->ops[i])) {
            options |= (u32)BIT(i);
        }
    }
    return options;
}

static bool can_go_on(const struct explore_op *op)
{
    if (explore_op_has_ended(op) || (!op->is_stopped && !op->thread->sched.is_queued)) {
        return false;
    }
    if (op->spins_on != NULL && spin_is_locked(op->spins_on)) {
        return false;
    }
    return op->flushes == NULL || !is_flush_awaited(op);
}

/* A shootdown waits for every processor that runs the address space to take an interrupt. */
static bool is_flush_awaited(const struct explore_op *flusher)
{
    for (u32 i = 0; i < engine->nr_ops; i++) {
        const struct explore_op *op = &engine->ops[i];

        if (op != flusher && op->has_irqs_off && !explore_op_has_ended(op) &&
            op->thread->mm == flusher->flushes) {
            return true;
        }
    }
    return false;
}

/* --- the scheduler's side --------------------------------------------------------------------- */

static void switch_away(u32 self)
{
    engine->ops[self].is_stopped = true;
    engine->is_switch = true;
    schedule();
}

bool explore_is_stopped_slow(const struct thread *thread)
{
    u32 op = op_of(thread);

    return op != EXPLORE_NONE && engine->ops[op].is_stopped;
}

bool explore_is_switch(void)
{
    return engine->is_switch;
}

struct thread *explore_next_thread(struct runqueue *rq, struct thread *prev)
{
    u32 next = engine->is_running ? choose(prev) : EXPLORE_NONE;
    struct explore_op *op = next != EXPLORE_NONE ? &engine->ops[next] : NULL;

    engine->forced = EXPLORE_NONE;
    engine->is_switch = false;
    if (op == NULL) {
        return take_other(rq);
    }
    if (op->is_stopped) {
        op->is_stopped = false;
    } else {
        rq_dequeue(rq, op->thread);
    }
    return op->thread;
}

/* The operation that runs next, or EXPLORE_NONE if all of them wait. */
static u32 choose(const struct thread *prev)
{
    u32 self = op_of(prev);
    u32 options;

    if (engine->forced != EXPLORE_NONE) {
        return engine->forced;
    }
    if (self != EXPLORE_NONE && can_go_on(&engine->ops[self])) {
        return self;
    }
    if (self != EXPLORE_NONE && !engine->is_switch) {
        engine->ops[self].has_irqs_off = false;
    }
    options = ready_ops();
    return options == 0 ? EXPLORE_NONE : explore_decide(options, EXPLORE_NONE);
}

/* A thread that is no operation. The controller waits for all others while operations run. */
static struct thread *take_other(struct runqueue *rq)
{
    struct thread *held[EXPLORE_MAX_OPS + 1];
    struct thread *next;
    u32 nr_held = 0;

    for (u32 i = 0; i < engine->nr_ops; i++) {
        held[nr_held++] = engine->ops[i].thread;
    }
    held[nr_held++] = engine->is_running ? engine->controller : NULL;
    for (u32 i = 0; i < nr_held; i++) {
        if (held[i] != NULL && held[i]->sched.is_queued) {
            rq_dequeue(rq, held[i]);
        } else {
            held[i] = NULL;
        }
    }
    next = list_is_empty(&rq->rt) ? rq->fair_first
                                  : list_first_entry(&rq->rt, struct thread, sched.rt_link);
    if (next != NULL) {
        rq_dequeue(rq, next);
    } else if (held[nr_held - 1] != NULL) {
        next = held[--nr_held];
    }
    for (u32 i = 0; i < nr_held; i++) {
        if (held[i] != NULL) {
            put_back(rq, held[i]);
        }
    }
    return next;
}

/* The thread that is being switched from is queued and current at once. */
static void put_back(struct runqueue *rq, struct thread *thread)
{
    bool is_current = thread->sched.is_current;

    thread->sched.is_current = false;
    rq_enqueue(rq, thread, false);
    thread->sched.is_current = is_current;
}

/* --- operations ------------------------------------------------------------------------------- */

void explore_attach(u32 op, struct thread *thread)
{
    ASSERT(explore_is_active && !engine->is_running && op < engine->nr_ops,
           "operations are made by prepare() of an exploration");
    ASSERT(engine->ops[op].thread == NULL, "an operation is one thread");
    thread_get(thread);
    engine->ops[op].thread = thread;
}

void explore_join(u32 op)
{
    explore_attach(op, current_thread());
    while (explore_is_active && !engine->is_running) {
        schedule();
    }
}

void explore_leave(void)
{
    u32 self = running_op();

    ASSERT(self != EXPLORE_NONE, "an operation is left by its thread");
    engine->ops[self].is_ended = true;
    while (engine->is_running) {
        schedule();
    }
}

void explore_engine_run(void)
{
    engine->controller = current_thread();
    engine->forced = EXPLORE_NONE;
    cpu_hold_interrupts();
    engine->is_running = true;
    schedule();
    engine->is_running = false;
    cpu_release_interrupts();
}
