/*
 * Timers and clocks: never early, in order, and gone when cancelled.
 */
#include "sched_test.h"

#include <proc/itimer.h>
#include <proc/timer.h>

struct probe {
    struct timer timer;
    u64 fired_ns; /* [x] 0: not yet */
    u32 nr_fired; /* [x] */
    u32 place;    /* in the order of firing */
    u32 *next_place;
    u64 period_ns;  /* restart after so long; 0: once */
    bool is_slow;   /* takes a while in the function */
    bool has_begun; /* [x] */
};

static void probe_fire(struct timer *timer)
{
    struct probe *probe = container_of(timer, struct probe, timer);

    WRITE_ONCE(probe->has_begun, true);
    if (probe->is_slow) {
        u64 until = clock_monotonic_ns() + 2 * NSEC_PER_MSEC;

        while (clock_monotonic_ns() < until) {
            cpu_relax();
        }
    }
    if (probe->next_place != NULL) {
        probe->place = ++*probe->next_place;
    }
    if (probe->period_ns != 0) {
        timer_start(timer, timer->deadline_ns + probe->period_ns);
    }
    WRITE_ONCE(probe->fired_ns, clock_monotonic_ns());
    __atomic_fetch_add(&probe->nr_fired, 1, __ATOMIC_RELEASE);
}

static void probe_wait(struct probe *probe, u32 nr_fired)
{
    u64 limit = deadline_after(ktest_patience_ns(NSEC_PER_SEC));

    while (READ_ONCE(probe->nr_fired) < nr_fired && clock_monotonic_ns() < limit) {
        test_sleep_ns(100 * NSEC_PER_USEC);
    }
}

TEST_COUNTED(timer, fires_once_and_not_early)
{
    struct probe probe = {0};
    u64 deadline = deadline_after(3 * NSEC_PER_MSEC);

    timer_init(&probe.timer, probe_fire);
    timer_start(&probe.timer, deadline);
    EXPECT_TRUE(timer_is_queued(&probe.timer));
    probe_wait(&probe, 1);
    EXPECT_EQ(1, probe.nr_fired);
    EXPECT_LE(deadline, probe.fired_ns);
    EXPECT_FALSE(timer_is_queued(&probe.timer));
    test_sleep_ns(5 * NSEC_PER_MSEC);
    EXPECT_EQ(1, probe.nr_fired);
    EXPECT_FALSE(timer_cancel(&probe.timer));
}

TEST(timer, deadline_in_the_past_fires_at_once)
{
    struct probe probe = {0};

    timer_init(&probe.timer, probe_fire);
    timer_start(&probe.timer, 0);
    probe_wait(&probe, 1);
    EXPECT_EQ(1, probe.nr_fired);
    (void)timer_cancel(&probe.timer);
}

TEST_COUNTED(timer, cancelled_timer_does_not_fire)
{
    struct probe probe = {0};

    timer_init(&probe.timer, probe_fire);
    timer_start(&probe.timer, deadline_after(2 * NSEC_PER_MSEC));
    EXPECT_TRUE(timer_cancel(&probe.timer));
    test_sleep_ns(5 * NSEC_PER_MSEC);
    EXPECT_EQ(0, probe.nr_fired);
    EXPECT_FALSE(timer_cancel(&probe.timer));
}

TEST(timer, fires_in_the_order_of_deadlines)
{
    static const u8 order[8] = {5, 2, 7, 0, 3, 6, 1, 4};
    struct probe probes[8] = {0};
    u32 next_place = 0;
    u64 start = deadline_after(2 * NSEC_PER_MSEC);
    u64 flags = irq_save();

    for (u32 i = 0; i < 8; i++) {
        struct probe *probe = &probes[order[i]];

        probe->next_place = &next_place;
        timer_init(&probe->timer, probe_fire);
        timer_start(&probe->timer, start + order[i] * 50 * NSEC_PER_USEC);
    }
    irq_restore(flags);
    for (u32 i = 0; i < 8; i++) {
        probe_wait(&probes[i], 1);
        EXPECT_EQ(i + 1, probes[i].place);
        (void)timer_cancel(&probes[i].timer);
    }
}

TEST(timer, restart_moves_the_deadline)
{
    struct probe probe = {0};
    u64 deadline, flags;

    timer_init(&probe.timer, probe_fire);
    flags = irq_save();
    timer_start(&probe.timer, deadline_after(NSEC_PER_MSEC));
    deadline = deadline_after(6 * NSEC_PER_MSEC);
    timer_start(&probe.timer, deadline);
    irq_restore(flags);
    probe_wait(&probe, 1);
    EXPECT_EQ(1, probe.nr_fired);
    EXPECT_LE(deadline, probe.fired_ns);
    (void)timer_cancel(&probe.timer);
}

TEST(timer, function_may_start_its_timer_again)
{
    struct probe probe = {.period_ns = NSEC_PER_MSEC};

    timer_init(&probe.timer, probe_fire);
    timer_start(&probe.timer, deadline_after(NSEC_PER_MSEC));
    probe_wait(&probe, 5);
    EXPECT_LE(5, probe.nr_fired);
    (void)timer_cancel(&probe.timer);
    probe.nr_fired = 0;
    test_sleep_ns(4 * NSEC_PER_MSEC);
    EXPECT_EQ(0, probe.nr_fired);
}

static void start_probe(void *arg)
{
    struct probe *probe = arg;

    timer_start(&probe->timer, deadline_after(NSEC_PER_MSEC));
    while (!READ_ONCE(probe->has_begun)) {
        cpu_relax();
    }
}

TEST(timer, cancel_waits_for_the_function_on_another_cpu)
{
    struct probe probe = {.is_slow = true};
    struct crew crew = {0};

    if (cpu_count() == 1) {
        EXPECT_EQ(1, cpu_count());
        return;
    }
    EXPECT_OK(sched_set_affinity(current_thread(), 1));
    timer_init(&probe.timer, probe_fire);
    crew_add_on(&crew, start_probe, &probe, 2);
    while (!READ_ONCE(probe.has_begun)) {
        cpu_relax();
    }
    EXPECT_FALSE(timer_cancel(&probe.timer));
    EXPECT_EQ(1, __atomic_load_n(&probe.nr_fired, __ATOMIC_ACQUIRE));
    crew_join(&crew);
    EXPECT_OK(sched_set_affinity(current_thread(), sched_online_mask()));
}

TEST(timer, many_timers_all_fire)
{
    static struct probe probes[200];
    u32 nr_fired = 0;

    for (u32 i = 0; i < ARRAY_SIZE(probes); i++) {
        probes[i] = (struct probe){0};
        timer_init(&probes[i].timer, probe_fire);
        timer_start(&probes[i].timer, deadline_after((i * 37 % 200) * 20 * NSEC_PER_USEC));
    }
    for (u32 i = 0; i < ARRAY_SIZE(probes); i++) {
        probe_wait(&probes[i], 1);
        nr_fired += probes[i].nr_fired;
        (void)timer_cancel(&probes[i].timer);
    }
    EXPECT_EQ(ARRAY_SIZE(probes), nr_fired);
}

/* --- sleeping --------------------------------------------------------------------------------- */

TEST(timer, sleep_lasts_at_least_as_long_as_asked)
{
    for (u64 us = 10; us <= 5000; us = us * 3 + 7) {
        u64 deadline = deadline_after(us * NSEC_PER_USEC);

        thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE);
        while (schedule_until(deadline) == 0) {
            thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE);
        }
        EXPECT_LE(deadline, clock_monotonic_ns());
        EXPECT_EQ(THREAD_RUNNABLE, current_thread()->state);
    }
}

TEST(timer, sleep_until_the_past_does_not_sleep)
{
    u64 switches = current_thread()->nvcsw;

    thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
    EXPECT_ERR(-ETIMEDOUT, schedule_until(clock_monotonic_ns()));
    EXPECT_EQ(THREAD_RUNNABLE, current_thread()->state);
    EXPECT_EQ(switches, current_thread()->nvcsw);
}

/* --- clocks ----------------------------------------------------------------------------------- */

TEST(timer, monotonic_clock_does_not_go_back_between_cpus)
{
    u64 before = clock_monotonic_ns();

    for (u32 i = 0; i < 100; i++) {
        u64 now;

        EXPECT_OK(sched_set_affinity(current_thread(), BIT(i % cpu_count())));
        now = clock_monotonic_ns();
        if (now < before) {
            EXPECT_LE(before, now);
        }
        before = now;
    }
    EXPECT_OK(sched_set_affinity(current_thread(), sched_online_mask()));
}

TEST_COUNTED(timer, setting_the_wall_clock_leaves_the_monotonic_clock_alone)
{
    s64 old = clock_realtime_ns();
    u64 before = clock_monotonic_ns();
    u64 deadline;

    clock_set_realtime(1000000 * (s64)NSEC_PER_SEC);
    EXPECT_EQ(1000000, clock_realtime_seconds());
    EXPECT_LE(before, clock_monotonic_ns());
    EXPECT_LE(clock_monotonic_ns(), before + NSEC_PER_SEC);
    deadline = clock_realtime_to_monotonic(1000010 * (s64)NSEC_PER_SEC);
    EXPECT_LE(clock_monotonic_ns() + 9 * NSEC_PER_SEC, deadline);
    EXPECT_LE(deadline, clock_monotonic_ns() + 10 * NSEC_PER_SEC);
    EXPECT_EQ(0, clock_realtime_to_monotonic(0));
    clock_set_realtime(old + (s64)(clock_monotonic_ns() - before));
}

TEST(timer, timespec_conversions_keep_their_limits)
{
    struct timespec ts = {.tv_sec = 3, .tv_nsec = 999999999};

    EXPECT_TRUE(timespec_is_valid(&ts));
    EXPECT_EQ(3999999999, timespec_to_ns(&ts));
    EXPECT_EQ(3, ns_to_timespec(3999999999).tv_sec);
    EXPECT_EQ(999999999, ns_to_timespec(3999999999).tv_nsec);
    ts.tv_nsec = 1000000000;
    EXPECT_FALSE(timespec_is_valid(&ts));
    ts.tv_nsec = -1;
    EXPECT_FALSE(timespec_is_valid(&ts));
    ts = (struct timespec){.tv_sec = -1};
    EXPECT_FALSE(timespec_is_valid(&ts));
    ts = (struct timespec){.tv_sec = S64_MAX};
    EXPECT_EQ(S64_MAX, timespec_to_ns(&ts));
    EXPECT_EQ(U64_MAX - 1, deadline_after(U64_MAX));
}

TEST(timer, missed_periods_are_counted_and_skipped)
{
    u64 nr_missed = 9;
    u64 ms = NSEC_PER_MSEC;

    EXPECT_EQ(30 * ms, timer_next_period(20 * ms, 10 * ms, 21 * ms, &nr_missed));
    EXPECT_EQ(0, nr_missed);
    EXPECT_EQ(50 * ms, timer_next_period(20 * ms, 10 * ms, 45 * ms, &nr_missed));
    EXPECT_EQ(2, nr_missed);
}
