/* The schedule explorer itself: how many orders it finds, and that it finds what they can do. */
#include <debug/explore.h>
#include <debug/ktest.h>
#include <lib/atomic.h>
#include <proc/mutex.h>
#include <proc/rwsem.h>
#include <proc/spinlock.h>
#include <proc/waitqueue.h>

static struct {
    u32 nr_points; /* that each operation passes */
    u32 counter;
    u64 seen; /* values of the counter at the end of an order, as bits */
    u32 nr_inside;
    struct spinlock spin;
    struct mutex mutex;
    struct rwsem rwsem;
    struct wait_queue queue;
    bool is_ready;
} shared;

static void pass_points(void)
{
    for (u32 i = 0; i < shared.nr_points; i++) {
        explore_point(EXPLORE_COUNT);
    }
}

/*
 * With p points each, and either operation first: 2 orders without a switch at a point; 2p with
 * one, which is followed by all of the other operation; with two, a point of each: 2p²; with three,
 * two points of the first and one of the other: 2 p(p-1)/2 p.
 */
TEST_EXPLORE(explore, every_order_of_two_operations_is_run_once)
{
    const struct explore explore = {.nr_ops = 2, .ops = {pass_points, pass_points}};

    shared.nr_points = 5;
    EXPECT_EQ(2 + 2 * 5 + 2 * 5 * 5 + 2 * 10 * 5, explore_run(&explore));
}

/* Without points: the orders are the permutations. */
TEST_EXPLORE(explore, three_operations_without_points_run_in_every_order)
{
    const struct explore explore = {.nr_ops = 3, .ops = {pass_points, pass_points, pass_points}};

    shared.nr_points = 0;
    EXPECT_EQ(6, explore_run(&explore));
}

static void reset_counter(void)
{
    shared.counter = 0;
}

static void count_in_two_steps(void)
{
    u32 old = shared.counter;

    explore_point(EXPLORE_COUNT);
    shared.counter = old + 1;
}

static void note_counter(void)
{
    shared.seen |= BIT(shared.counter);
}

TEST_EXPLORE(explore, a_lost_update_is_found)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {count_in_two_steps, count_in_two_steps},
                                    .prepare = reset_counter,
                                    .check = note_counter};

    shared.seen = 0;
    EXPECT_NE(0, explore_run(&explore));
    EXPECT_EQ(BIT(1) | BIT(2), shared.seen);
}

static void count_under_spin_lock(void)
{
    spin_lock(&shared.spin);
    EXPECT_EQ(0, shared.nr_inside++);
    count_in_two_steps();
    shared.nr_inside--;
    spin_unlock(&shared.spin);
}

static void reset_spin(void)
{
    reset_counter();
    spin_init(&shared.spin, RANK_PT);
}

TEST_EXPLORE(explore, a_spin_lock_keeps_the_others_out_while_its_holder_is_stopped)
{
    const struct explore explore = {
        .nr_ops = 3,
        .ops = {count_under_spin_lock, count_under_spin_lock, count_under_spin_lock},
        .prepare = reset_spin,
        .check = note_counter};

    shared.seen = 0;
    EXPECT_NE(0, explore_run(&explore));
    EXPECT_EQ(BIT(3), shared.seen);
}

static void count_under_mutex(void)
{
    mutex_lock(&shared.mutex);
    EXPECT_EQ(0, shared.nr_inside++);
    count_in_two_steps();
    shared.nr_inside--;
    mutex_unlock(&shared.mutex);
}

static void reset_mutex(void)
{
    reset_counter();
    mutex_init(&shared.mutex, RANK_MUTEX_INNER);
}

TEST_EXPLORE(explore, a_mutex_is_handed_on_in_every_order)
{
    const struct explore explore = {
        .nr_ops = 3,
        .ops = {count_under_mutex, count_under_mutex, count_under_mutex},
        .prepare = reset_mutex,
        .check = note_counter};

    shared.seen = 0;
    EXPECT_NE(0, explore_run(&explore));
    EXPECT_EQ(BIT(3), shared.seen);
}

static void count_under_rwsem(void)
{
    rwsem_write_lock(&shared.rwsem);
    EXPECT_EQ(0, shared.nr_inside++);
    count_in_two_steps();
    shared.nr_inside--;
    rwsem_write_unlock(&shared.rwsem);
}

static void look_under_rwsem(void)
{
    u32 first;

    rwsem_read_lock(&shared.rwsem);
    first = shared.counter;
    explore_point(EXPLORE_COUNT);
    EXPECT_EQ(first, shared.counter);
    EXPECT_EQ(0, shared.nr_inside);
    rwsem_read_unlock(&shared.rwsem);
}

static void reset_rwsem(void)
{
    reset_counter();
    rwsem_init(&shared.rwsem, RANK_MUTEX_INNER);
}

TEST_EXPLORE(explore, a_rwsem_lets_readers_and_writers_in_in_every_order)
{
    const struct explore explore = {.nr_ops = 3,
                                    .ops = {count_under_rwsem, look_under_rwsem, count_under_rwsem},
                                    .prepare = reset_rwsem,
                                    .check = note_counter};

    shared.seen = 0;
    EXPECT_NE(0, explore_run(&explore));
    EXPECT_EQ(BIT(2), shared.seen);
}

static void reset_queue(void)
{
    wait_queue_init(&shared.queue);
    shared.is_ready = false;
}

static void wait_until_ready(void)
{
    wait_event(&shared.queue, READ_ONCE(shared.is_ready));
}

static void make_ready(void)
{
    WRITE_ONCE(shared.is_ready, true);
    wake_up_all(&shared.queue);
}

TEST_EXPLORE(explore, a_wait_ends_whenever_its_wake_up_comes)
{
    const struct explore explore = {
        .nr_ops = 3,
        .ops = {wait_until_ready, make_ready, wait_until_ready},
        .prepare = reset_queue,
    };

    EXPECT_NE(0, explore_run(&explore));
}
