/*
 * The run queues, shared by the files of the scheduler only (kernel/proc/sched*.c).
 *
 * A thread belongs to the run queue of thread->cpu, and that run queue's lock protects its state
 * and its scheduling parameters. The lock is held from the decision to switch until the next
 * thread has finished the switch: whoever holds it sees each thread either running or with its
 * registers saved, never in between. thread->cpu changes under the old run queue's lock. From then
 * until the new run queue takes the thread, it is in transit: runnable, neither queued nor current,
 * its vruntime relative.
 */
#ifndef PROC_RUNQUEUE_H
#define PROC_RUNQUEUE_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/rbtree.h>
#include <proc/sched.h>
#include <proc/spinlock.h>
#include <proc/thread.h>
#include <proc/timer.h>
#include <uapi/linux/sched.h>

#define WEIGHT_NICE_0 1024u
#define WEIGHT_IDLE   3u

/* How far behind in virtual time a woken thread must be to take the CPU from a running one. */
#define WAKE_GRANULARITY_NS 1000000ull
/* A thread that has run for less is not preempted by one that it or an interrupt wakes. */
#define WAKE_PROTECTION_NS 500000ull
/* How much virtual time a long sleep is worth at most. */
#define SLEEP_BONUS_NS 3000000ull
/* SCHED_RR: how long before the next of the same priority runs; Linux's value. */
#define RR_SLICE_NS 100000000ull
/* How often a busy CPU looks for a busier one. */
#define BALANCE_PERIOD_NS 16000000ull

struct runqueue {
    struct spinlock lock;
    u32 cpu;                   /* [I] */
    u32 nr_running;            /* [lock] queued threads and the current one, without idle */
    struct thread *current;    /* [lock] */
    struct thread *idle;       /* [I] */
    struct thread *fair_first; /* [lock] the waiting fair thread with the least vruntime, or NULL */
    struct rb_root fair;       /* [lock] the other waiting fair threads, by vruntime */
    struct list_node rt;       /* [lock] waiting real-time threads, by falling priority */
    u64 min_vruntime_ns;       /* [lock] never falls; where new arrivals are placed */
    struct thread *migrating;  /* [lock] the thread that leaves for another CPU in this switch */
    struct thread *finished;   /* [this CPU, interrupts off] to be freed, by reap_next */
    bool is_tick_armed;        /* [lock] */
    struct timer tick;
    u64 next_balance_ns; /* [lock] */
    u64 switches;        /* [lock] */
} ALIGNED(64);

extern struct runqueue runqueues[MAX_CPUS];
extern u64 idle_cpu_mask;   /* [x] CPUs whose idle thread runs and that nobody has given work */
extern u64 active_cpu_mask; /* [x] CPUs that take part in scheduling */

static inline struct runqueue *this_runqueue(void)
{
    return &runqueues[cpu_id()];
}

/** thread_is_rt() - SCHED_FIFO or SCHED_RR: exactly those have a priority. */
static inline bool thread_is_rt(const struct thread *thread)
{
    return thread->sched.rt_prio != 0;
}

/** rq_lock_thread() - lock the run queue that the thread belongs to; interrupts are off. */
static inline struct runqueue *rq_lock_thread(struct thread *thread) NO_THREAD_SAFETY_ANALYSIS
{
    for (;;) {
        struct runqueue *rq = &runqueues[__atomic_load_n(&thread->cpu, __ATOMIC_RELAXED)];

        spin_lock(&rq->lock);
        if (likely(__atomic_load_n(&thread->cpu, __ATOMIC_RELAXED) == rq->cpu)) {
            return rq;
        }
        spin_unlock(&rq->lock);
    }
}

/** rq_enqueue() - put a runnable thread, not the current one, in its place. */
void rq_enqueue(struct runqueue *rq, struct thread *thread, bool at_head);
/** rq_dequeue() - take a waiting thread out. */
void rq_dequeue(struct runqueue *rq, struct thread *thread);
/** rq_charge_current() - charge the current thread's time up to @now. The lock is held. */
static inline void rq_charge_current(struct runqueue *rq, u64 now, bool is_user)
{
    struct thread *thread = rq->current;
    struct sched_entity *entity = &thread->sched;
    u64 delta = now - entity->run_start_ns;

    entity->run_start_ns = now;
    entity->runtime_ns += delta;
    *(is_user ? &thread->utime_ns : &thread->stime_ns) += delta;
    if (unlikely(entity->weight != WEIGHT_NICE_0)) {
        delta = delta * WEIGHT_NICE_0 / entity->weight;
    }
    entity->vruntime_ns += delta;
}

/**
 * rq_advance() - let the queue's virtual time, where new arrivals are placed, follow @vruntime_ns.
 *
 * It is that of the thread that runs, or a waiting one's that is further back. Never falls.
 */
static inline void rq_advance(struct runqueue *rq, u64 vruntime_ns)
{
    if ((s64)(vruntime_ns - rq->min_vruntime_ns) > 0) {
        rq->min_vruntime_ns = vruntime_ns;
    }
}

/** rq_arm_tick() - start the tick of this CPU, which is not idle. */
void rq_arm_tick(struct runqueue *rq, u64 now);
/** rq_resched() - make the CPU of the run queue switch soon. The lock is held. */
void rq_resched(struct runqueue *rq);
/** rq_detach() - begin a transit from @rq to @cpu. The lock is held; the thread is not queued. */
void rq_detach(struct runqueue *rq, struct thread *thread, u32 cpu);
/** rq_attach() - end a transit. @rq is thread->cpu's, its lock is held. */
void rq_attach(struct runqueue *rq, struct thread *thread);
/** rq_deliver() - end a transit; takes and releases the lock of the thread's new run queue. */
void rq_deliver(struct thread *thread);

/** sched_tick() - the tick of this CPU, a timer function. */
void sched_tick(struct timer *timer);
/** thread_make_idle() - turn the context that calls it into a thread. */
struct thread *thread_make_idle(u32 cpu);

/** sched_select_cpu() - where a thread that becomes runnable should run. */
u32 sched_select_cpu(const struct thread *thread);
/** sched_select_cpu_new() - the same for a thread that has not run before. */
u32 sched_select_cpu_new(const struct thread *thread);
/**
 * sched_pull_idle() - @rq, whose lock is held, has nothing to run: take a thread of another.
 * Return: a thread that now belongs to @rq, not queued, or NULL.
 */
struct thread *sched_pull_idle(struct runqueue *rq);
/** sched_balance_tick() - from the tick: even out the run queues, sample the load. */
void sched_balance_tick(struct runqueue *rq, u64 now);
/** sched_weight() - share of the CPU of a nice value. */
u32 sched_weight(u8 policy, s32 nice);

#endif
