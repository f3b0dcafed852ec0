/*
 * What can be set about the scheduling of a thread: policy, nice value, priority, affinity.
 */
#include <proc/runqueue.h>

#include <lib/assert.h>
#include <lib/errno.h>
#include <proc/clock.h>

/* 1024 / 1.25^nice: a step of nice is a tenth of the CPU between two threads. From nice -20. */
static const u32 weights[40] = {
    88818, 71054, 56843, 45475, 36380, 29104, 23283, 18626, 14901, 11921, 9537, 7629, 6104, 4883,
    3906,  3125,  2500,  2000,  1600,  1280,  1024,  819,   655,   524,   419,  336,  268,  215,
    172,   137,   110,   88,    70,    56,    45,    36,    29,    23,    18,   15,
};

u32 sched_weight(u8 policy, s32 nice)
{
    return policy == SCHED_IDLE ? WEIGHT_IDLE : weights[nice + 20];
}

void sched_get_params(struct thread *thread, struct sched_params *params) NO_THREAD_SAFETY_ANALYSIS
{
    u64 flags = irq_save();
    struct runqueue *rq = rq_lock_thread(thread);

    params->policy = thread->sched.policy;
    params->nice = thread->sched.nice;
    params->rt_prio = thread->sched.rt_prio;
    params->reset_on_fork = thread->sched.reset_on_fork;
    spin_unlock(&rq->lock);
    irq_restore(flags);
}

static void set_entity(struct sched_entity *entity, const struct sched_params *params)
{
    entity->policy = (u8)params->policy;
    entity->rt_prio = (u8)params->rt_prio;
    entity->nice = (s8)params->nice;
    entity->reset_on_fork = params->reset_on_fork;
    entity->weight = sched_weight(entity->policy, entity->nice);
}

void sched_set_params(struct thread *thread,
                      const struct sched_params *params) NO_THREAD_SAFETY_ANALYSIS
{
    u64 flags = irq_save();
    struct runqueue *rq = rq_lock_thread(thread);
    bool was_queued = thread->sched.is_queued;

    if (thread == rq->current) {
        /* The time up to now counts with the old weight. */
        rq_charge_current(rq, clock_monotonic_ns(), true);
    }
    if (was_queued) {
        rq_dequeue(rq, thread);
    }
    set_entity(&thread->sched, params);
    /* A real-time thread's virtual time may stand far back; it gets no credit for that. */
    if ((s64)(thread->sched.vruntime_ns - rq->min_vruntime_ns) < 0 &&
        (was_queued || thread == rq->current)) {
        thread->sched.vruntime_ns = rq->min_vruntime_ns;
    }
    if (was_queued) {
        rq_enqueue(rq, thread, false);
    }
    if (was_queued || thread == rq->current) {
        rq_resched(rq);
    }
    spin_unlock(&rq->lock);
    irq_restore(flags);
}

int sched_set_affinity(struct thread *thread, u64 cpu_mask) NO_THREAD_SAFETY_ANALYSIS
{
    u64 mask = cpu_mask & sched_online_mask();
    struct runqueue *rq;
    u64 flags;

    if (mask == 0) {
        return -EINVAL;
    }
    flags = irq_save();
    rq = rq_lock_thread(thread);
    thread->affinity = mask;
    if ((mask & BIT(rq->cpu)) == 0 && thread->sched.is_queued) {
        rq_dequeue(rq, thread);
        rq->nr_running--;
        rq_detach(rq, thread, sched_select_cpu(thread));
        spin_unlock(&rq->lock);
        rq_deliver(thread);
        irq_restore(flags);
        return 0;
    }
    if ((mask & BIT(rq->cpu)) == 0 && thread == rq->current) {
        /* It moves in its next switch; one on its way to a CPU is turned round on arrival. */
        rq_resched(rq);
    }
    spin_unlock(&rq->lock);
    irq_restore(flags);
    sched_point();
    return 0;
}

void sched_fork(struct thread *child, const struct thread *parent)
{
    struct sched_params params = {
        .policy = parent->sched.policy,
        .nice = parent->sched.nice,
        .rt_prio = parent->sched.rt_prio,
    };

    if (parent->sched.reset_on_fork) {
        params.policy = params.rt_prio != 0 ? SCHED_OTHER : params.policy;
        params.rt_prio = 0;
        params.nice = params.nice < 0 ? 0 : params.nice;
    }
    set_entity(&child->sched, &params);
    child->affinity = parent->affinity;
    child->timer_slack_ns = parent->timer_slack_ns;
}

void sched_cpu_stats(u32 cpu, struct sched_stats *stats)
{
    const struct runqueue *rq = &runqueues[cpu];

    stats->switches = __atomic_load_n(&rq->switches, __ATOMIC_RELAXED);
    stats->idle_ns =
        rq->idle != NULL ? __atomic_load_n(&rq->idle->sched.runtime_ns, __ATOMIC_RELAXED) : 0;
    stats->nr_running = __atomic_load_n(&rq->nr_running, __ATOMIC_RELAXED);
    /* An idle period that still lasts is charged only at its end. */
    if (rq->idle != NULL && __atomic_load_n(&rq->current, __ATOMIC_RELAXED) == rq->idle) {
        stats->idle_ns += clock_monotonic_ns() - rq->idle->sched.run_start_ns;
    }
}
