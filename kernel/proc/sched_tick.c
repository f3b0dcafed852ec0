/*
 * The tick of a busy CPU, and the accounts of CPU time.
 *
 * CPU time is charged exactly, at each switch and at each tick. Whether it was user or system time
 * is what the CPU did at that moment; only the sum is exact. Read next: sched_params.c.
 */
#include <proc/runqueue.h>

#include <debug/watchdog.h>
#include <proc/clock.h>
#include <proc/cputime.h>
#include <proc/itimer.h>
#include <proc/process.h>

void rq_arm_tick(struct runqueue *rq, u64 now)
{
    rq->is_tick_armed = true;
    timer_start(&rq->tick, now + SCHED_TICK_NS);
}

/* The virtual time of the queue follows whoever is furthest back. */
static void advance(struct runqueue *rq)
{
    const struct thread *first = rq->fair_first;
    u64 vruntime_ns = rq->current->sched.vruntime_ns;

    if (thread_is_rt(rq->current)) {
        return;
    }
    if (first != NULL && (s64)(first->sched.vruntime_ns - vruntime_ns) < 0) {
        vruntime_ns = first->sched.vruntime_ns;
    }
    rq_advance(rq, vruntime_ns);
}

/* Whether somebody else is to run now. A thread that outran its slice queues behind its equals. */
static bool slice_is_over(const struct runqueue *rq)
{
    const struct thread *thread = rq->current;
    const struct thread *first;

    if (!list_is_empty(&rq->rt)) {
        first = list_first_entry(&rq->rt, struct thread, sched.rt_link);
        if (first->sched.rt_prio != thread->sched.rt_prio) {
            return first->sched.rt_prio > thread->sched.rt_prio;
        }
        return thread->sched.policy == SCHED_RR &&
               thread->sched.runtime_ns - thread->sched.slice_start_ns >= RR_SLICE_NS;
    }
    if (thread_is_rt(thread) || rq->fair_first == NULL) {
        return false;
    }
    first = rq->fair_first;
    return (s64)(thread->sched.vruntime_ns - first->sched.vruntime_ns) > 0;
}

void sched_tick(struct timer *timer)
{
    struct runqueue *rq = container_of(timer, struct runqueue, tick);
    struct thread *thread = rq->current;
    bool was_user = this_cpu()->interrupted_user;
    u64 now = clock_monotonic_ns();

    spin_lock(&rq->lock);
    if (thread == rq->idle) {
        /* Nothing to share: the CPU stays without a tick until it has something to do. */
        rq->is_tick_armed = false;
        spin_unlock(&rq->lock);
        watchdog_idle();
        return;
    }
    rq_charge_current(rq, now, was_user);
    advance(rq);
    if (slice_is_over(rq)) {
        thread->sched.goes_last = thread->sched.policy == SCHED_RR;
        rq_resched(rq);
    }
    rq_arm_tick(rq, now);
    spin_unlock(&rq->lock);
    sched_balance_tick(rq, now);
    watchdog_tick(was_user, now);
    /*
     * QEMU's -icount serves the CPUs in turn, and a CPU that neither pauses nor halts may keep the
     * turn from its neighbour for good, who may hold the very lock that the others spin for.
     */
    cpu_relax();
    /* A process may be gone before the last of its threads has left the CPU. */
    if (thread->process != NULL && !thread->sig.exiting) {
        process_timers_tick(thread->process);
    }
}

void cputime_charge_current(void)
{
    u64 flags = irq_save();
    struct runqueue *rq = this_runqueue();

    spin_lock(&rq->lock);
    rq_charge_current(rq, clock_monotonic_ns(), true);
    spin_unlock(&rq->lock);
    irq_restore(flags);
}

u64 thread_runtime_ns(struct thread *thread)
{
    if (thread == current_thread()) {
        cputime_charge_current();
    }
    return __atomic_load_n(&thread->sched.runtime_ns, __ATOMIC_RELAXED);
}

u64 process_runtime_ns(struct process *process)
{
    struct process_usage sum;

    if (process == current_process()) {
        cputime_charge_current();
    }
    process_usage_sum(process, &sum);
    return sum.utime_ns + sum.stime_ns;
}

u64 process_utime_ns(struct process *process)
{
    struct process_usage sum;

    process_usage_sum(process, &sum);
    return sum.utime_ns;
}
