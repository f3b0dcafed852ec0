/*
 * Who gets a lock next: those who run may be faster than those who have to be woken, but only once.
 */
#include "sched_test.h"

#include <debug/lockstat.h>
#include <lib/string.h>
#include <proc/mutex.h>
#include <proc/rwsem.h>

struct contest {
    struct rwsem sem;
    struct mutex mutex;
    u32 order;  /* [x] counts those who got in */
    u32 waiter; /* position of the waiter in that order */
};

static void note_entry(struct contest *contest, u32 *position)
{
    *position = __atomic_add_fetch(&contest->order, 1, __ATOMIC_SEQ_CST);
}

static void rwsem_writer(void *arg)
{
    struct contest *contest = arg;

    rwsem_write_lock(&contest->sem);
    note_entry(contest, &contest->waiter);
    rwsem_write_unlock(&contest->sem);
}

static void rwsem_reader(void *arg)
{
    struct contest *contest = arg;

    rwsem_read_lock(&contest->sem);
    note_entry(contest, &contest->waiter);
    rwsem_read_unlock(&contest->sem);
}

/*
 * Takes the lock again as soon as it is free, twice: by then the waiter has had its turn. It is
 * woken by each unlock, and asleep again when it has found the lock taken.
 */
static void rwsem_contest(void (*waiter)(void *))
{
    struct contest contest = {.order = 0};
    struct crew crew = {0};
    u32 mine = 0;
    struct thread *thread;

    rwsem_init(&contest.sem, RANK_MUTEX_INNER);
    rwsem_write_lock(&contest.sem);
    thread = crew_add(&crew, waiter, &contest);
    test_wait_asleep(thread);
    for (u32 i = 0; i < 3; i++) {
        rwsem_write_unlock(&contest.sem);
        rwsem_write_lock(&contest.sem);
        note_entry(&contest, &mine);
        test_wait_asleep(thread);
    }
    EXPECT_TRUE(contest.waiter == 1 || contest.waiter == 2);
    rwsem_write_unlock(&contest.sem);
    crew_join(&crew);
    EXPECT_EQ(0, contest.sem.count);
}

TEST(lock, rwsem_passes_a_waiting_writer_by_once_at_most)
{
    rwsem_contest(rwsem_writer);
}

TEST(lock, rwsem_passes_a_waiting_reader_by_once_at_most)
{
    rwsem_contest(rwsem_reader);
}

static void mutex_waiter(void *arg)
{
    struct contest *contest = arg;

    mutex_lock(&contest->mutex);
    note_entry(contest, &contest->waiter);
    mutex_unlock(&contest->mutex);
}

TEST(lock, mutex_passes_a_waiter_by_once_at_most)
{
    struct contest contest = {.order = 0};
    struct crew crew = {0};
    u32 mine = 0;
    struct thread *thread;

    mutex_init(&contest.mutex, RANK_MUTEX_INNER);
    mutex_lock(&contest.mutex);
    thread = crew_add(&crew, mutex_waiter, &contest);
    test_wait_asleep(thread);
    for (u32 i = 0; i < 3; i++) {
        mutex_unlock(&contest.mutex);
        mutex_lock(&contest.mutex);
        note_entry(&contest, &mine);
        test_wait_asleep(thread);
    }
    EXPECT_TRUE(contest.waiter == 1 || contest.waiter == 2);
    mutex_unlock(&contest.mutex);
    crew_join(&crew);
    EXPECT_EQ(0, contest.mutex.owner);
}

/* On one CPU nobody spins: the holder could not run meanwhile. */
#define NR_TURNS 200

static void take_turns(void *arg)
{
    struct contest *contest = arg;

    for (u32 i = 0; i < NR_TURNS; i++) {
        rwsem_write_lock(&contest->sem);
        contest->order++;
        cpu_relax();
        rwsem_write_unlock(&contest->sem);
    }
}

TEST(lock, rwsem_waiters_that_spin_lose_no_turn)
{
    struct contest contest = {.order = 0};
    struct crew crew = {0};

    rwsem_init(&contest.sem, RANK_MUTEX_INNER);
    for (u32 i = 0; i < 4; i++) {
        crew_add(&crew, take_turns, &contest);
    }
    crew_join(&crew);
    EXPECT_EQ(4 * NR_TURNS, contest.order);
    EXPECT_EQ(0, contest.sem.count);
}

/* --- counting --------------------------------------------------------------------------------- */

TEST(lock, contended_acquisitions_are_counted_by_rank)
{
    struct contest contest = {.order = 0};
    struct crew crew = {0};
    u64 nr_inner = lockstat_read(RANK_MUTEX_INNER);

    mutex_init(&contest.mutex, RANK_MUTEX_INNER);
    mutex_lock(&contest.mutex);
    EXPECT_EQ(nr_inner, lockstat_read(RANK_MUTEX_INNER));
    test_wait_asleep(crew_add(&crew, mutex_waiter, &contest));
    mutex_unlock(&contest.mutex);
    crew_join(&crew);
    EXPECT_EQ(nr_inner + 1, lockstat_read(RANK_MUTEX_INNER));
}

TEST(lock, every_rank_has_a_name)
{
    for (u32 rank = 0; rank < RANK_COUNT; rank++) {
        EXPECT_NE(0, strcmp("unnamed", lock_rank_name(rank)));
    }
}
