/*
 * Which CPU a thread runs on, and the load averages.
 *
 * A thread that wakes goes to an idle CPU if there is one, to its last one before others, else
 * stays; but to the waker's CPU if that is about to sleep there alone. A CPU that runs out of work
 * takes a waiting thread from the busiest one; a busy CPU evens out now and then. Two run queues
 * are locked together only by a trylock of the second.
 */
#include <proc/runqueue.h>

#include <arch/platform.h>
#include <lib/assert.h>

/* Fixed point of the averages, and the decay of 1, 5 and 15 minutes over one period. */
#define LOAD_SHIFT     16
#define LOAD_ONE       (1ull << LOAD_SHIFT)
#define LOAD_PERIOD_NS 5000000000ull

static const u64 load_decay[3] = {60295, 64453, 65173}; /* exp(-5/60), exp(-5/300), exp(-5/900) */
static u64 load_average[3];                             /* [x] */
static u64 load_sampled_ns;                             /* [x] */

static u32 first_cpu(u64 mask)
{
    return (u32)__builtin_ctzl(mask);
}

u64 sched_online_mask(void)
{
    return __atomic_load_n(&active_cpu_mask, __ATOMIC_RELAXED);
}

u32 sched_select_cpu(const struct thread *thread)
{
    u64 active = sched_online_mask();
    u64 allowed = thread->affinity & active;
    u32 last = thread->cpu;
    u32 here;
    u64 idle;

    if (active == BIT(0)) {
        return 0;
    }
    here = cpu_id();
    if (current_thread()->wakes_sync && (allowed & BIT(here)) != 0 &&
        runqueues[here].nr_running == 1) {
        return here;
    }
    idle = __atomic_load_n(&idle_cpu_mask, __ATOMIC_RELAXED) & allowed;
    if ((idle & BIT(last)) != 0) {
        return last;
    }
    if (idle != 0) {
        return first_cpu(idle);
    }
    if ((allowed & BIT(last)) != 0) {
        return last;
    }
    return first_cpu(allowed != 0 ? allowed : active);
}

static struct runqueue *find_by_load(u64 mask, bool want_busiest)
{
    struct runqueue *found = NULL;

    for (u64 rest = mask; rest != 0; rest &= rest - 1) {
        struct runqueue *rq = &runqueues[first_cpu(rest)];

        if (found == NULL || (want_busiest ? rq->nr_running > found->nr_running
                                           : rq->nr_running < found->nr_running)) {
            found = rq;
        }
    }
    return found;
}

u32 sched_select_cpu_new(const struct thread *thread)
{
    u64 active = sched_online_mask();
    u64 allowed = thread->affinity & active;
    u64 idle;

    if (active == BIT(0)) {
        return 0;
    }
    if (allowed == 0) {
        allowed = active;
    }
    idle = __atomic_load_n(&idle_cpu_mask, __ATOMIC_RELAXED) & allowed;
    if (idle != 0) {
        return first_cpu(idle);
    }
    if ((allowed & BIT(cpu_id())) != 0 && runqueues[cpu_id()].nr_running <= 1) {
        return cpu_id();
    }
    return find_by_load(allowed, false)->cpu;
}

/* A waiting thread of @source that may run on @cpu, or NULL. Both locks are held. */
static struct thread *find_movable(struct runqueue *source, u32 cpu)
{
    struct thread *thread;

    list_for_each_entry (thread, &source->rt, sched.rt_link) {
        if ((thread->affinity & BIT(cpu)) != 0) {
            return thread;
        }
    }
    if (source->fair_first != NULL && (source->fair_first->affinity & BIT(cpu)) != 0) {
        return source->fair_first;
    }
    rb_for_each_entry (thread, &source->fair, sched.node) {
        if ((thread->affinity & BIT(cpu)) != 0) {
            return thread;
        }
    }
    return NULL;
}

/* Moves one waiting thread from @source to @rq, both locked; it is not queued there. */
static struct thread *take_one(struct runqueue *rq, struct runqueue *source)
{
    struct thread *thread = find_movable(source, rq->cpu);

    if (thread != NULL) {
        rq_dequeue(source, thread);
        source->nr_running--;
        rq_detach(source, thread, rq->cpu);
        thread->sched.vruntime_ns += rq->min_vruntime_ns;
        rq->nr_running++;
    }
    return thread;
}

struct thread *sched_pull_idle(struct runqueue *rq) NO_THREAD_SAFETY_ANALYSIS
{
    u64 others = sched_online_mask() & ~BIT(rq->cpu);
    struct thread *thread = NULL;

    for (u64 rest = others; rest != 0 && thread == NULL; rest &= rest - 1) {
        struct runqueue *source = &runqueues[first_cpu(rest)];

        /* A CPU that was just given a thread while idle is about to run it itself. */
        if (source->nr_running < 2 || !spin_trylock(&source->lock)) {
            continue;
        }
        thread = take_one(rq, source);
        spin_unlock(&source->lock);
    }
    if (thread != NULL && rq->current == rq->idle) {
        __atomic_fetch_and(&idle_cpu_mask, ~BIT(rq->cpu), __ATOMIC_RELAXED);
    }
    return thread;
}

/* Takes half of the surplus of the busiest CPU. */
static void pull_surplus(struct runqueue *rq) NO_THREAD_SAFETY_ANALYSIS
{
    struct runqueue *source = find_by_load(sched_online_mask(), true);

    if (source == rq || source->nr_running < rq->nr_running + 2) {
        return;
    }
    spin_lock(&rq->lock);
    if (spin_trylock(&source->lock)) {
        u32 surplus = source->nr_running > rq->nr_running ? source->nr_running - rq->nr_running : 0;

        for (u32 i = 0; i < surplus / 2; i++) {
            struct thread *thread = take_one(rq, source);

            if (thread == NULL) {
                break;
            }
            rq_enqueue(rq, thread, false);
        }
        spin_unlock(&source->lock);
    }
    spin_unlock(&rq->lock);
}

static void sample_load(u64 now)
{
    u64 last = __atomic_load_n(&load_sampled_ns, __ATOMIC_RELAXED);
    u64 nr_periods = (now - last) / LOAD_PERIOD_NS;
    u64 active;

    if (nr_periods == 0 ||
        !__atomic_compare_exchange_n(&load_sampled_ns, &last, last + nr_periods * LOAD_PERIOD_NS,
                                     false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        return;
    }
    active = sched_nr_running() * LOAD_ONE;
    /* Periods that no tick saw were idle. An hour of them leaves nothing of any average. */
    nr_periods = min(nr_periods, 720ul);
    for (u32 i = 0; i < ARRAY_SIZE(load_average); i++) {
        u64 load = load_average[i];

        for (u64 k = 1; k < nr_periods; k++) {
            load = load * load_decay[i] >> LOAD_SHIFT;
        }
        load_average[i] =
            (load * load_decay[i] + active * (LOAD_ONE - load_decay[i])) >> LOAD_SHIFT;
    }
}

void sched_balance_tick(struct runqueue *rq, u64 now)
{
    u64 idle;

    sample_load(now);
    if (cpu_count() == 1) {
        return;
    }
    idle = __atomic_load_n(&idle_cpu_mask, __ATOMIC_RELAXED);
    if (rq->nr_running > 1 && idle != 0) {
        arch_send_ipi_resched(first_cpu(idle));
    }
    if (now >= rq->next_balance_ns) {
        rq->next_balance_ns = now + BALANCE_PERIOD_NS;
        pull_surplus(rq);
    }
}

u32 sched_nr_running(void)
{
    u32 sum = 0;

    for (u64 rest = sched_online_mask(); rest != 0; rest &= rest - 1) {
        sum += __atomic_load_n(&runqueues[first_cpu(rest)].nr_running, __ATOMIC_RELAXED);
    }
    return sum;
}

void sched_load_averages(u64 loads[3])
{
    for (u32 i = 0; i < 3; i++) {
        loads[i] = load_average[i];
    }
}
