/*
 * The scheduler's core: run queues, the switch, sleeping and waking.
 *
 * Waking and switching meet in the run queue's lock (see proc/runqueue.h): a waker either finds the
 * thread still current and just takes its announcement to sleep back, or finds it switched out
 * entirely. So no wake-up is lost and no thread runs on two CPUs. Who runs where is decided in
 * sched_balance.c; parameters are set in sched_params.c.
 */
#include <proc/runqueue.h>

#include <arch/platform.h>
#include <debug/explore.h>
#include <debug/lockdep.h>
#include <debug/watchdog.h>
#include <lib/assert.h>
#include <proc/clock.h>
#include <proc/cputime.h>
#include <proc/itimer.h>
#include <proc/waitqueue.h>

struct runqueue runqueues[MAX_CPUS];
u64 idle_cpu_mask;
u64 active_cpu_mask;

/* --- queues ----------------------------------------------------------------------------------- */

static bool is_before(const struct thread *a, const struct thread *b)
{
    return (s64)(a->sched.vruntime_ns - b->sched.vruntime_ns) < 0;
}

static void tree_insert(struct runqueue *rq, struct thread *thread)
{
    struct rb_node *parent = NULL;
    struct rb_node **link = &rq->fair.node;

    while (*link != NULL) {
        parent = *link;
        link = is_before(thread, rb_entry(parent, struct thread, sched.node)) ? &parent->left
                                                                              : &parent->right;
    }
    rb_insert_at(&rq->fair, &thread->sched.node, parent, link, NULL);
}

static ALWAYS_INLINE void enqueue_fair(struct runqueue *rq, struct thread *thread)
{
    struct thread *first = rq->fair_first;

    if (first == NULL) {
        rq->fair_first = thread;
    } else if (is_before(thread, first)) {
        tree_insert(rq, first);
        rq->fair_first = thread;
    } else {
        tree_insert(rq, thread);
    }
}

static ALWAYS_INLINE void dequeue_fair(struct runqueue *rq, struct thread *thread)
{
    struct rb_node *node = &thread->sched.node;

    if (thread == rq->fair_first) {
        node = rb_is_empty(&rq->fair) ? NULL : rb_first(&rq->fair);
        rq->fair_first = rb_entry_or_null(node, struct thread, sched.node);
    }
    if (node != NULL) {
        rb_erase(&rq->fair, node, NULL);
    }
}

static void enqueue_rt(struct runqueue *rq, struct thread *thread, bool at_head)
{
    struct thread *other;

    list_for_each_entry (other, &rq->rt, sched.rt_link) {
        if (other->sched.rt_prio < thread->sched.rt_prio ||
            (at_head && other->sched.rt_prio == thread->sched.rt_prio)) {
            break;
        }
    }
    list_add_before(&other->sched.rt_link, &thread->sched.rt_link);
}

static ALWAYS_INLINE void enqueue(struct runqueue *rq, struct thread *thread, bool at_head)
{
    DEBUG_ASSERT(!thread->sched.is_queued && !thread->sched.is_current,
                 "a thread is queued once, and not while it runs");
    if (thread_is_rt(thread)) {
        enqueue_rt(rq, thread, at_head);
    } else {
        enqueue_fair(rq, thread);
    }
    thread->sched.is_queued = true;
}

void rq_enqueue(struct runqueue *rq, struct thread *thread, bool at_head)
{
    enqueue(rq, thread, at_head);
}

static ALWAYS_INLINE void dequeue(struct runqueue *rq, struct thread *thread)
{
    DEBUG_ASSERT(thread->sched.is_queued, "only a queued thread is taken out");
    if (thread_is_rt(thread)) {
        list_del(&thread->sched.rt_link);
    } else {
        dequeue_fair(rq, thread);
    }
    thread->sched.is_queued = false;
}

void rq_dequeue(struct runqueue *rq, struct thread *thread)
{
    dequeue(rq, thread);
}

/* Takes out who should run now, or NULL. */
static ALWAYS_INLINE struct thread *take_next(struct runqueue *rq)
{
    struct thread *next = NULL;

    if (unlikely(!list_is_empty(&rq->rt))) {
        next = list_first_entry(&rq->rt, struct thread, sched.rt_link);
        list_del(&next->sched.rt_link);
        next->sched.is_queued = false;
    } else if (rq->fair_first != NULL) {
        next = rq->fair_first;
        rq_advance(rq, next->sched.vruntime_ns);
        dequeue_fair(rq, next);
        next->sched.is_queued = false;
    }
    return next;
}

/* --- asking for a switch ---------------------------------------------------------------------- */

void rq_resched(struct runqueue *rq)
{
    struct thread *current = rq->current;

    if (current->need_resched != 0) {
        return;
    }
    __atomic_store_n(&current->need_resched, 1, __ATOMIC_RELAXED);
    arch_thread_work_set(&current->arch, THREAD_WORK_RESCHED);
    if (rq->cpu != cpu_id()) {
        arch_send_ipi_resched(rq->cpu);
    }
}

/* Whether a thread that has just become runnable should run instead of the current one. */
static ALWAYS_INLINE bool should_preempt(const struct runqueue *rq, const struct thread *thread)
{
    const struct thread *current = rq->current;

    if (current == rq->idle) {
        return true;
    }
    if (thread_is_rt(thread) || thread_is_rt(current)) {
        return thread->sched.rt_prio > current->sched.rt_prio;
    }
    if (thread->sched.policy != SCHED_OTHER) {
        return false;
    }
    if (current->sched.policy == SCHED_IDLE) {
        return true;
    }
    if ((s64)(current->sched.vruntime_ns - thread->sched.vruntime_ns) <= (s64)WAKE_GRANULARITY_NS) {
        return false;
    }
    /* A thread that has just begun often wakes another as its last act before it sleeps. */
    return current->sched.runtime_ns - current->sched.slice_start_ns + clock_monotonic_ns() -
               current->sched.run_start_ns >
           WAKE_PROTECTION_NS;
}

void sched_ipi(void)
{
    struct runqueue *rq = this_runqueue();

    spin_lock(&rq->lock);
    if (rq->current == rq->idle) {
        /* Perhaps another CPU has too much to do. */
        rq_resched(rq);
    }
    spin_unlock(&rq->lock);
    timer_reprogram();
}

void sched_kick_user(struct thread *thread)
{
    u64 flags = irq_save();
    u32 cpu = __atomic_load_n(&thread->cpu, __ATOMIC_RELAXED);

    if (cpu != cpu_id() && runqueues[cpu].current == thread) {
        arch_send_ipi_resched(cpu);
    }
    irq_restore(flags);
}

/* --- becoming runnable ------------------------------------------------------------------------ */

void rq_detach(struct runqueue *rq, struct thread *thread, u32 cpu)
{
    thread->sched.vruntime_ns -= rq->min_vruntime_ns;
    __atomic_store_n(&thread->cpu, cpu, __ATOMIC_RELAXED);
}

/* Enters a thread whose vruntime is absolute. */
static ALWAYS_INLINE void activate(struct runqueue *rq, struct thread *thread)
{
    u64 earliest = rq->min_vruntime_ns - SLEEP_BONUS_NS;

    if ((s64)(thread->sched.vruntime_ns - earliest) < 0) {
        thread->sched.vruntime_ns = earliest;
    }
    rq->nr_running++;
    enqueue(rq, thread, false);
    if (rq->current == rq->idle) {
        /* The next wake-up should look for another idle CPU. */
        __atomic_fetch_and(&idle_cpu_mask, ~BIT(rq->cpu), __ATOMIC_RELAXED);
    }
    if (should_preempt(rq, thread)) {
        rq_resched(rq);
    }
}

void rq_attach(struct runqueue *rq, struct thread *thread)
{
    thread->sched.vruntime_ns += rq->min_vruntime_ns;
    activate(rq, thread);
}

void rq_deliver(struct thread *thread) NO_THREAD_SAFETY_ANALYSIS
{
    struct runqueue *rq = rq_lock_thread(thread);

    /* The affinity may have changed on the way. */
    while ((thread->affinity & BIT(rq->cpu)) == 0) {
        __atomic_store_n(&thread->cpu, sched_select_cpu(thread), __ATOMIC_RELAXED);
        spin_unlock(&rq->lock);
        rq = rq_lock_thread(thread);
    }
    rq_attach(rq, thread);
    spin_unlock(&rq->lock);
}

bool thread_wake_kinds(struct thread *thread, u32 kinds) NO_THREAD_SAFETY_ANALYSIS
{
    struct runqueue *rq;
    u64 flags;
    u32 cpu;

    explore_point(EXPLORE_SLEEP);
    /* Pairs with thread_prepare_sleep(): what the caller changed is seen if the state is not. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if ((__atomic_load_n(&thread->state, __ATOMIC_RELAXED) & kinds) == 0) {
        return false;
    }
    flags = irq_save();
    rq = rq_lock_thread(thread);
    if ((thread->state & kinds) == 0) {
        spin_unlock(&rq->lock);
        irq_restore(flags);
        return false;
    }
    __atomic_store_n(&thread->state, THREAD_RUNNABLE, __ATOMIC_RELAXED);
    if (!thread->sched.is_current) {
        cpu = sched_select_cpu(thread);
        if (cpu == rq->cpu) {
            activate(rq, thread);
        } else {
            rq_detach(rq, thread, cpu);
            spin_unlock(&rq->lock);
            rq_deliver(thread);
            irq_restore(flags);
            return true;
        }
    }
    spin_unlock(&rq->lock);
    irq_restore(flags);
    return true;
}

bool thread_wake(struct thread *thread)
{
    return thread_wake_kinds(thread, THREAD_STATE_ASLEEP);
}

bool thread_wake_sync(struct thread *thread)
{
    struct thread *me = current_thread();
    bool is_woken;

    me->wakes_sync = true;
    is_woken = thread_wake(thread);
    me->wakes_sync = false;
    return is_woken;
}

void thread_start(struct thread *thread)
{
    u64 flags = irq_save();

    ASSERT(thread->state == THREAD_NEW, "a thread is started once");
    thread_get(thread);
    __atomic_store_n(&thread->cpu, sched_select_cpu_new(thread), __ATOMIC_RELAXED);
    __atomic_store_n(&thread->state, THREAD_RUNNABLE, __ATOMIC_RELEASE);
    rq_deliver(thread);
    irq_restore(flags);
}

/* --- the switch ------------------------------------------------------------------------------- */

/*
 * The second half of a switch, in the context of the thread that was switched to: from here on
 * another CPU may run @prev. Releases the run queue's lock, which @prev took.
 */
static ALWAYS_INLINE void finish_switch(struct thread *prev) NO_THREAD_SAFETY_ANALYSIS
{
    struct runqueue *rq = this_runqueue();
    struct thread *migrating = rq->migrating;

    if (DEBUG_ENABLED) {
        (void)lockdep_acquire(&rq->lock, rq->lock.rank, LOCK_SPIN, LOCK_MODE_TRY);
    }
    if (unlikely(prev->state == THREAD_DEAD)) {
        prev->reap_next = rq->finished;
        rq->finished = prev;
    }
    __atomic_store_n(&prev->sched.is_current, explore_is_stopped(prev), __ATOMIC_RELEASE);
    if (unlikely(migrating != NULL)) {
        rq->migrating = NULL;
        rq_detach(rq, migrating, sched_select_cpu(migrating));
    }
    spin_unlock(&rq->lock);
    if (unlikely(migrating != NULL)) {
        rq_deliver(migrating);
    }
}

static ALWAYS_INLINE void switch_to(struct runqueue *rq, struct thread *prev, struct thread *next,
                                    u64 now)
{
    struct cpu *cpu = this_cpu();

    rq->current = next;
    rq->switches++;
    next->sched.is_current = true;
    next->sched.run_start_ns = now;
    next->sched.slice_start_ns = next->sched.runtime_ns;
    if (!rq->is_tick_armed && next != rq->idle) {
        rq_arm_tick(rq, now);
        watchdog_armed(now);
    }
    /* A kernel thread runs on whatever address space is loaded. */
    if (next->mm != cpu->loaded_mm && next->mm != NULL) {
        arch_mm_switch(next->mm);
    }
    if (DEBUG_ENABLED) {
        lockdep_release(&rq->lock);
    }
    finish_switch(arch_switch(prev, next));
}

/* The current thread does not go on: account for why, and queue it again if it wants to run. */
static ALWAYS_INLINE void put_prev(struct runqueue *rq, struct thread *prev)
{
    if (prev->state != THREAD_RUNNABLE) {
        rq->nr_running--;
        prev->sched.goes_last = false;
        prev->nvcsw++;
        return;
    }
    prev->nivcsw++;
    if (unlikely((prev->affinity & BIT(rq->cpu)) == 0)) {
        rq->nr_running--;
        rq->migrating = prev;
        return;
    }
    if (prev->sched.goes_last && rq->fair_first != NULL && is_before(prev, rq->fair_first)) {
        prev->sched.vruntime_ns = rq->fair_first->sched.vruntime_ns;
    }
    /* Queued while it is still current: only this CPU can take it out before the switch. */
    prev->sched.is_current = false;
    rq_enqueue(rq, prev, !prev->sched.goes_last);
    prev->sched.is_current = true;
    prev->sched.goes_last = false;
}

void schedule(void) NO_THREAD_SAFETY_ANALYSIS
{
    struct thread *prev = current_thread();
    struct thread *next;
    struct runqueue *rq;
    u64 flags, now;

    if (DEBUG_ENABLED && !explore_is_switch()) {
        lockdep_assert_may_sleep();
    }
    flags = irq_save();
    rq = this_runqueue();
    spin_lock(&rq->lock);
    now = clock_monotonic_ns();
    if (prev->need_resched != 0) {
        __atomic_store_n(&prev->need_resched, 0, __ATOMIC_RELAXED);
        arch_thread_work_clear(&prev->arch, THREAD_WORK_RESCHED);
    }
    /* One that still wants to run was interrupted in user mode. */
    rq_charge_current(rq, now, prev->state == THREAD_RUNNABLE);
    if (prev != rq->idle && !explore_is_switch()) {
        put_prev(rq, prev);
    }
    next = explore_takes() ? explore_next_thread(rq, prev) : take_next(rq);
    if (next == NULL) {
        next = sched_pull_idle(rq);
    }
    if (next == NULL) {
        next = rq->idle;
        __atomic_fetch_or(&idle_cpu_mask, BIT(rq->cpu), __ATOMIC_RELAXED);
    }
    if (likely(next != prev)) {
        switch_to(rq, prev, next, now);
    } else {
        prev->sched.slice_start_ns = prev->sched.runtime_ns;
        spin_unlock(&rq->lock);
    }
    irq_restore(flags);
    if (unlikely(this_runqueue()->finished != NULL) && irq_flags_enabled(flags) &&
        !explore_takes()) {
        sched_reap();
    }
}

void sched_thread_entry(struct thread *prev)
{
    finish_switch(prev);
}

void sched_yield_current(void)
{
    current_thread()->sched.goes_last = true;
    schedule();
}

/* --- start ------------------------------------------------------------------------------------ */

static void init_cpu(u32 cpu_nr)
{
    struct runqueue *rq = &runqueues[cpu_nr];
    struct thread *idle = thread_make_idle(cpu_nr);

    spin_init(&rq->lock, RANK_RUN_QUEUE);
    rq->cpu = cpu_nr;
    list_init(&rq->rt);
    timer_init(&rq->tick, sched_tick);
    rq->idle = idle;
    rq->current = idle;
    idle->sched.is_current = true;
    idle->sched.run_start_ns = clock_monotonic_ns();
    this_cpu()->idle = idle;
    this_cpu()->work = &idle->arch.work;
    this_cpu()->current = idle;
    timer_init_cpu();
    __atomic_fetch_or(&idle_cpu_mask, BIT(cpu_nr), __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&active_cpu_mask, BIT(cpu_nr), __ATOMIC_SEQ_CST);
}

void sched_init(void)
{
    init_cpu(cpu_id());
    lockdep_start();
}

void sched_cpu_entry(void)
{
    init_cpu(cpu_id());
    sched_idle_loop();
}

void sched_idle_loop(void)
{
    for (;;) {
        irq_disable();
        while (current_thread()->need_resched == 0) {
            cpu_halt_idle();
            irq_disable();
        }
        irq_enable();
        schedule();
    }
}
