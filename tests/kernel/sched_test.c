/*
 * The scheduler: who runs, where, and for how long.
 */
#include "sched_test.h"

#include <lib/string.h>
#include <proc/cputime.h>
#include <uapi/linux/sched.h>

struct share;

struct worker {
    u32 *nr_started; /* [x] */
    u64 cpus_seen;
    u64 work;
    u64 until_ns;
    u32 nr_wrong_cpu;
    u32 *next_place; /* [x] */
    u32 place;       /* in the order of the first run */
    struct sched_params params;
    struct share *share;
};

static void spin_until(u64 deadline_ns)
{
    while (clock_monotonic_ns() < deadline_ns) {
        cpu_relax();
    }
}

static void note_run(void *arg)
{
    struct worker *worker = arg;

    worker->cpus_seen |= BIT(cpu_id());
    __atomic_fetch_add(worker->nr_started, 1, __ATOMIC_SEQ_CST);
}

TEST(sched, every_started_thread_runs_once)
{
    struct worker workers[CREW_MAX];
    struct crew crew = {0};
    u32 nr_started = 0;

    for (u32 i = 0; i < CREW_MAX; i++) {
        workers[i] = (struct worker){.nr_started = &nr_started};
        crew_add(&crew, note_run, &workers[i]);
    }
    crew_join(&crew);
    EXPECT_EQ(CREW_MAX, nr_started);
}

TEST(sched, thread_runs_on_the_cpu_it_is_bound_to)
{
    for (u32 cpu = 0; cpu < cpu_count(); cpu++) {
        struct worker worker = {.nr_started = &(u32){0}};
        struct crew crew = {0};

        crew_add_on(&crew, note_run, &worker, BIT(cpu));
        crew_join(&crew);
        EXPECT_EQ(BIT(cpu), worker.cpus_seen);
    }
}

static void wander(void *arg)
{
    struct worker *worker = arg;

    for (u32 i = 0; i < 40; i++) {
        u32 cpu = i % cpu_count();

        if (sched_set_affinity(current_thread(), BIT(cpu)) != 0 || cpu_id() != cpu) {
            worker->nr_wrong_cpu++;
        }
        worker->work++;
    }
}

TEST(sched, set_affinity_moves_the_caller_at_once)
{
    struct worker worker = {0};
    struct crew crew = {0};

    crew_add(&crew, wander, &worker);
    crew_join(&crew);
    EXPECT_EQ(40, worker.work);
    EXPECT_EQ(0, worker.nr_wrong_cpu);
}

static void spin_until_told(void *arg)
{
    struct worker *worker = arg;

    while (clock_monotonic_ns() < READ_ONCE(worker->until_ns)) {
        worker->cpus_seen |= BIT(cpu_id());
        /* An emulator that runs the CPUs in turn goes on to the next one here. */
        cpu_relax();
        sched_point();
    }
}

TEST(sched, set_affinity_moves_a_running_thread)
{
    struct worker worker = {.until_ns = U64_MAX};
    struct crew crew = {0};
    u32 last = cpu_count() - 1;
    struct thread *thread = crew_add_on(&crew, spin_until_told, &worker, 1);

    while ((READ_ONCE(worker.cpus_seen) & 1) == 0) {
        test_sleep_ns(100 * NSEC_PER_USEC);
    }
    EXPECT_OK(sched_set_affinity(thread, BIT(last)));
    while ((READ_ONCE(worker.cpus_seen) & BIT(last)) == 0) {
        test_sleep_ns(100 * NSEC_PER_USEC);
    }
    WRITE_ONCE(worker.until_ns, 0);
    EXPECT_EQ(last, thread->cpu);
    crew_join(&crew);
    EXPECT_EQ(1 | BIT(last), worker.cpus_seen);
}

TEST(sched, set_affinity_refuses_a_mask_without_a_running_cpu)
{
    u64 before = current_thread()->affinity;

    EXPECT_ERR(-EINVAL, sched_set_affinity(current_thread(), 0));
    EXPECT_ERR(-EINVAL, sched_set_affinity(current_thread(), ~sched_online_mask()));
    EXPECT_EQ(before, current_thread()->affinity);
}

/* --- shares ----------------------------------------------------------------------------------- */

/* Workers that share one CPU; their time counts from when all of them are there. */
struct share {
    u32 nr_workers;
    u32 nr_started; /* [x] */
    u64 duration_ns;
    u64 until_ns; /* [x] set by the last one to start; 0 before */
};

static void use_cpu(void *arg)
{
    struct worker *worker = arg;
    struct share *share = worker->share;
    u64 begin;

    sched_set_params(current_thread(), &worker->params);
    if (__atomic_add_fetch(&share->nr_started, 1, __ATOMIC_SEQ_CST) == share->nr_workers) {
        WRITE_ONCE(share->until_ns, deadline_after(share->duration_ns));
    }
    while (READ_ONCE(share->until_ns) == 0) {
        sched_yield_current();
    }
    begin = thread_runtime_ns(current_thread());
    while (clock_monotonic_ns() < READ_ONCE(share->until_ns)) {
        sched_point();
    }
    worker->work = thread_runtime_ns(current_thread()) - begin;
}

/* Runs the workers on one CPU for a while; their work is then the CPU time that each got. */
static void share_cpu(struct worker *workers, u32 nr_workers, u64 duration_ns)
{
    struct share share = {.nr_workers = nr_workers, .duration_ns = duration_ns};
    struct crew crew = {0};

    for (u32 i = 0; i < nr_workers; i++) {
        workers[i].share = &share;
        workers[i].work = 0;
        crew_add_on(&crew, use_cpu, &workers[i], 1);
    }
    crew_join(&crew);
}

TEST_COUNTED(sched, equal_threads_get_equal_shares)
{
    struct worker workers[3] = {0};

    share_cpu(workers, 3, 120 * NSEC_PER_MSEC);
    for (u32 i = 0; i < 3; i++) {
        EXPECT_LE(36 * NSEC_PER_MSEC, workers[i].work);
        EXPECT_LE(workers[i].work, 46 * NSEC_PER_MSEC);
    }
}

TEST_COUNTED(sched, nice_value_weighs_the_share)
{
    /* Five steps of nice are a factor of three. */
    struct worker workers[2] = {{.params = {.nice = 0}}, {.params = {.nice = 5}}};

    share_cpu(workers, 2, 200 * NSEC_PER_MSEC);
    EXPECT_LE(2 * workers[1].work, workers[0].work);
    EXPECT_LE(workers[0].work, 5 * workers[1].work);
}

TEST_COUNTED(sched, idle_policy_gets_what_others_leave)
{
    struct worker workers[2] = {{.params = {.policy = SCHED_IDLE}}, {.params = {.nice = 0}}};

    share_cpu(workers, 2, 100 * NSEC_PER_MSEC);
    EXPECT_LE(workers[0].work * 5, workers[1].work);
}

/* --- real time -------------------------------------------------------------------------------- */

static void take_place(void *arg)
{
    struct worker *worker = arg;

    worker->place = __atomic_add_fetch(worker->next_place, 1, __ATOMIC_SEQ_CST);
}

/* Holds CPU 0 until the others stand in its queue. */
static void hold_cpu(void *arg)
{
    struct worker *worker = arg;

    WRITE_ONCE(*worker->nr_started, 1);
    while (READ_ONCE(worker->until_ns) == 0) {
        cpu_relax();
    }
}

static void start_behind_holder(struct crew *crew, struct worker *workers, u32 nr_workers,
                                struct worker *holder)
{
    if (sched_set_affinity(current_thread(), sched_online_mask() & ~1ul) != 0) {
        return;
    }
    crew_add_on(crew, hold_cpu, holder, 1);
    while (READ_ONCE(*holder->nr_started) == 0) {
        cpu_relax();
    }
    for (u32 i = 0; i < nr_workers; i++) {
        struct thread *thread;

        thread = crew_add_on(crew, take_place, &workers[i], 1);
        sched_set_params(thread, &workers[i].params);
    }
    WRITE_ONCE(holder->until_ns, 1);
    crew_join(crew);
    EXPECT_OK(sched_set_affinity(current_thread(), sched_online_mask()));
}

TEST(sched, real_time_threads_run_first_by_priority)
{
    u32 next_place = 0;
    struct worker holder = {.nr_started = &(u32){0}};
    struct worker workers[4] = {
        {.next_place = &next_place},
        {.next_place = &next_place, .params = {.policy = SCHED_FIFO, .rt_prio = 10}},
        {.next_place = &next_place, .params = {.policy = SCHED_RR, .rt_prio = 50}},
        {.next_place = &next_place, .params = {.policy = SCHED_FIFO, .rt_prio = 10}},
    };
    struct crew crew = {0};

    if (cpu_count() == 1) {
        EXPECT_EQ(1, cpu_count());
        return;
    }
    start_behind_holder(&crew, workers, 4, &holder);
    EXPECT_EQ(1, workers[2].place);
    EXPECT_EQ(2, workers[1].place);
    EXPECT_EQ(3, workers[3].place);
    EXPECT_EQ(4, workers[0].place);
}

TEST(sched, params_are_read_back)
{
    struct sched_params old, set = {.policy = SCHED_BATCH, .nice = 7, .reset_on_fork = true};
    struct sched_params seen;

    sched_get_params(current_thread(), &old);
    sched_set_params(current_thread(), &set);
    sched_get_params(current_thread(), &seen);
    EXPECT_EQ(SCHED_BATCH, seen.policy);
    EXPECT_EQ(7, seen.nice);
    EXPECT_TRUE(seen.reset_on_fork);
    sched_set_params(current_thread(), &old);
}

/* --- the tick and time ------------------------------------------------------------------------ */

TEST(sched, tick_asks_a_cpu_hog_to_let_others_run)
{
    struct worker worker = {.nr_started = &(u32){0}};
    struct crew crew = {0};
    u64 deadline = deadline_after(ktest_patience_ns(NSEC_PER_SEC));

    EXPECT_OK(sched_set_affinity(current_thread(), 1));
    crew_add_on(&crew, note_run, &worker, 1);
    while (READ_ONCE(current_thread()->need_resched) == 0 && clock_monotonic_ns() < deadline) {
        cpu_relax();
    }
    EXPECT_EQ(1, current_thread()->need_resched);
    EXPECT_EQ(0, worker.cpus_seen);
    sched_point();
    crew_join(&crew);
    EXPECT_EQ(1, worker.cpus_seen);
    EXPECT_OK(sched_set_affinity(current_thread(), sched_online_mask()));
}

/*
 * One CPU computes and never pauses, the next one spins with its interrupts off, the rest spin with
 * interrupts on. An emulator that serves the CPUs in turn must come to the second one all the same:
 * the first hands on its turn at each tick.
 */
struct turns {
    u32 looks; /* [x] how often the CPU without interrupts had its turn */
    bool over; /* [x] */
};

#define TURNS 300

static void spin_without_interrupts(void *arg)
{
    struct turns *turns = arg;
    u64 flags = irq_save();

    while (__atomic_add_fetch(&turns->looks, 1, __ATOMIC_RELAXED) < TURNS) {
        cpu_relax();
    }
    irq_restore(flags);
}

static void spin_until_over(void *arg)
{
    struct turns *turns = arg;

    while (!READ_ONCE(turns->over)) {
        cpu_relax();
    }
}

TEST(sched, cpu_that_computes_hands_on_its_turn)
{
    struct turns turns = {0};
    struct crew crew = {0};
    u32 nr_cpus = cpu_count();

    EXPECT_OK(sched_set_affinity(current_thread(), 1));
    for (u32 cpu = 2; cpu < nr_cpus; cpu++) {
        (void)crew_add_on(&crew, spin_until_over, &turns, BIT(cpu));
    }
    if (nr_cpus > 2) {
        test_sleep_ns(SCHED_TICK_NS);
        (void)crew_add_on(&crew, spin_without_interrupts, &turns, BIT(1));
        while (READ_ONCE(turns.looks) < TURNS) {}
    }
    WRITE_ONCE(turns.over, true);
    crew_join(&crew);
    EXPECT_OK(sched_set_affinity(current_thread(), sched_online_mask()));
}

TEST_COUNTED(sched, runtime_counts_running_and_not_sleeping)
{
    u64 before = thread_runtime_ns(current_thread());
    u64 used;

    spin_until(deadline_after(5 * NSEC_PER_MSEC));
    used = thread_runtime_ns(current_thread()) - before;
    EXPECT_LE(5 * NSEC_PER_MSEC, used);
    before = thread_runtime_ns(current_thread());
    test_sleep_ns(20 * NSEC_PER_MSEC);
    used = thread_runtime_ns(current_thread()) - before;
    EXPECT_LE(used, 10 * NSEC_PER_MSEC);
    EXPECT_EQ(current_thread()->sched.runtime_ns,
              current_thread()->utime_ns + current_thread()->stime_ns);
}

static void finish_completion(void *arg)
{
    completion_finish(arg);
}

TEST(sched, voluntary_and_forced_switches_are_told_apart)
{
    struct worker worker = {.nr_started = &(u32){0}};
    struct completion completion;
    struct crew crew = {0};
    u64 nvcsw, nivcsw;

    completion_init(&completion);
    EXPECT_OK(sched_set_affinity(current_thread(), 1));
    /* Neither of the two can run before this thread gives up its CPU. */
    crew_add_on(&crew, finish_completion, &completion, 1);
    nvcsw = current_thread()->nvcsw;
    nivcsw = current_thread()->nivcsw;
    completion_wait(&completion);
    EXPECT_EQ(nvcsw + 1, current_thread()->nvcsw);
    EXPECT_EQ(nivcsw, current_thread()->nivcsw);
    crew_add_on(&crew, note_run, &worker, 1);
    nvcsw = current_thread()->nvcsw;
    nivcsw = current_thread()->nivcsw;
    sched_yield_current();
    EXPECT_EQ(nivcsw + 1, current_thread()->nivcsw);
    EXPECT_EQ(nvcsw, current_thread()->nvcsw);
    crew_join(&crew);
    EXPECT_OK(sched_set_affinity(current_thread(), sched_online_mask()));
}

/* --- several CPUs ----------------------------------------------------------------------------- */

/* Workers that run until they have been on every CPU between them. */
struct spread {
    u64 cpus_seen; /* [x] */
    u64 until_ns;
};

static void use_cpus_freely(void *arg)
{
    struct spread *spread = arg;

    while (__atomic_load_n(&spread->cpus_seen, __ATOMIC_RELAXED) != sched_online_mask() &&
           clock_monotonic_ns() < spread->until_ns) {
        __atomic_fetch_or(&spread->cpus_seen, BIT(cpu_id()), __ATOMIC_RELAXED);
        sched_point();
    }
}

TEST(sched, threads_spread_over_the_cpus)
{
    struct spread spread = {.until_ns = deadline_after(ktest_patience_ns(10 * NSEC_PER_SEC))};
    struct crew crew = {0};

    for (u32 i = 0; i < CREW_MAX / 2; i++) {
        crew_add(&crew, use_cpus_freely, &spread);
    }
    crew_join(&crew);
    EXPECT_EQ(sched_online_mask(), spread.cpus_seen);
}

TEST(sched, idle_cpu_takes_waiting_threads)
{
    struct spread spread = {.until_ns = deadline_after(ktest_patience_ns(10 * NSEC_PER_SEC))};
    struct worker holder = {.nr_started = &(u32){0}};
    struct crew crew = {0};

    EXPECT_OK(sched_set_affinity(current_thread(), BIT(cpu_count() - 1)));
    if (cpu_count() > 1) {
        crew_add_on(&crew, hold_cpu, &holder, 1);
        while (READ_ONCE(*holder.nr_started) == 0) {
            cpu_relax();
        }
    }
    /* All wait behind the holder of CPU 0, and may then run anywhere. */
    for (u32 i = 0; i < CREW_MAX / 2; i++) {
        crew_add_on(&crew, use_cpus_freely, &spread, 1);
    }
    for (u32 i = 0; i < crew.nr_threads; i++) {
        if (crew.threads[i]->kernel_fn == use_cpus_freely) {
            EXPECT_OK(sched_set_affinity(crew.threads[i], sched_online_mask()));
        }
    }
    WRITE_ONCE(holder.until_ns, 1);
    crew_join(&crew);
    EXPECT_EQ(sched_online_mask(), spread.cpus_seen);
    EXPECT_OK(sched_set_affinity(current_thread(), sched_online_mask()));
}

/* Sleeps and wakes in a random pattern; each thread notices if it ever runs twice at once. */
struct stress {
    struct wait_queue queue;
    u32 nr_collisions; /* [x] */
};

struct stress_thread {
    struct stress *shared;
    u32 is_running; /* [x] */
    u32 seed;
    u64 rounds;
};

static void stress_worker(void *arg)
{
    struct stress_thread *self = arg;
    struct stress *shared = self->shared;

    for (self->rounds = 0; self->rounds < 400; self->rounds++) {
        if (__atomic_exchange_n(&self->is_running, 1, __ATOMIC_SEQ_CST) != 0) {
            __atomic_fetch_add(&shared->nr_collisions, 1, __ATOMIC_RELAXED);
        }
        self->seed = self->seed * 1103515245 + 12345;
        wake_up_one(&shared->queue);
        __atomic_store_n(&self->is_running, 0, __ATOMIC_SEQ_CST);
        switch (self->seed >> 16 & 3) {
        case 0:
            sched_yield_current();
            break;
        case 1:
            (void)wait_event_until(&shared->queue, false, deadline_after(50 * NSEC_PER_USEC));
            break;
        case 2:
            EXPECT_OK(sched_set_affinity(current_thread(), BIT((self->seed >> 20) % 64) |
                                                               BIT(self->rounds % cpu_count())));
            break;
        default:
            wake_up_all(&shared->queue);
            break;
        }
    }
}

TEST(sched, no_thread_runs_on_two_cpus)
{
    struct stress shared = {0};
    struct stress_thread threads[8];
    struct crew crew = {0};

    wait_queue_init(&shared.queue);
    for (u32 i = 0; i < ARRAY_SIZE(threads); i++) {
        threads[i] = (struct stress_thread){.shared = &shared, .seed = i + 1};
        crew_add(&crew, stress_worker, &threads[i]);
    }
    crew_join(&crew);
    for (u32 i = 0; i < ARRAY_SIZE(threads); i++) {
        EXPECT_EQ(400, threads[i].rounds);
    }
    EXPECT_EQ(0, shared.nr_collisions);
}

static bool count_thread(struct thread *thread, void *arg)
{
    u32 *count = arg;

    (*count)++;
    return true;
}

TEST(sched, finished_threads_are_forgotten)
{
    struct worker worker = {.nr_started = &(u32){0}};
    struct crew crew = {0};
    u64 limit = deadline_after(ktest_patience_ns(NSEC_PER_SEC));
    u32 before = 0;
    u32 after = 0;

    sched_reap();
    thread_for_each(count_thread, &before);
    for (u32 i = 0; i < 8; i++) {
        crew_add(&crew, note_run, &worker);
    }
    crew_join(&crew);
    do {
        test_sleep_ns(100 * NSEC_PER_USEC);
        after = 0;
        thread_for_each(count_thread, &after);
    } while (after > before && clock_monotonic_ns() < limit);
    EXPECT_LE(after, before);
}

TEST_EACH_ALLOC(sched, thread_creation_fails_cleanly)
{
    struct worker worker = {.nr_started = &(u32){0}};
    struct thread *thread = thread_create_kernel(note_run, &worker, "alloc");

    EXPECT_EQ(ktest_alloc_failed(), thread == NULL);
    if (thread != NULL) {
        thread_join_kernel(thread);
        EXPECT_EQ(1, *worker.nr_started);
    }
}
