/*
 * Locks and wait queues: exclusion on several CPUs, order of service, and no lost wake-up.
 */
#include "sched_test.h"

#include <proc/mutex.h>
#include <proc/rwsem.h>
#include <proc/seqcount.h>
#include <proc/spinlock.h>

/*
 * Few enough for a host with fewer processors than the guest has: there, passing a contended ticket
 * lock on may take as long as the host needs to run the next in line.
 */
#define ROUNDS 400

/* What a test took by a trylock; the lock analysis does not follow that through the macros. */
static void drop_spin(struct spinlock *lock) NO_THREAD_SAFETY_ANALYSIS
{
    spin_unlock(lock);
}

static void drop_mutex(struct mutex *mutex) NO_THREAD_SAFETY_ANALYSIS
{
    mutex_unlock(mutex);
}

static void take_writer(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    rwsem_write_lock(sem);
}

static void drop_reader(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    rwsem_read_unlock(sem);
}

static void drop_writer(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    rwsem_write_unlock(sem);
}

/* --- spin locks ------------------------------------------------------------------------------- */

struct spin_shared {
    struct spinlock lock;
    u64 counter;
    u64 shadow;
};

static void spin_worker(void *arg)
{
    struct spin_shared *shared = arg;

    for (u32 i = 0; i < ROUNDS; i++) {
        spin_lock(&shared->lock);
        /* Two words that only exclusion keeps equal. */
        shared->counter++;
        cpu_relax();
        shared->shadow++;
        spin_unlock(&shared->lock);
        sched_point();
    }
}

TEST(lock, spin_lock_excludes_other_cpus)
{
    struct spin_shared shared = {.lock = SPINLOCK_INIT(RANK_DEBUG)};
    struct crew crew = {0};

    for (u32 i = 0; i < 4; i++) {
        crew_add(&crew, spin_worker, &shared);
    }
    crew_join(&crew);
    EXPECT_EQ(4 * ROUNDS, shared.counter);
    EXPECT_EQ(4 * ROUNDS, shared.shadow);
    EXPECT_FALSE(spin_is_locked(&shared.lock));
}

TEST(lock, spin_trylock_takes_only_a_free_lock)
{
    struct spinlock lock = SPINLOCK_INIT(RANK_DEBUG);

    ASSERT_TRUE(spin_trylock(&lock));
    EXPECT_TRUE(spin_is_locked(&lock));
    EXPECT_FALSE(spin_trylock(&lock));
    drop_spin(&lock);
    EXPECT_FALSE(spin_is_locked(&lock));
}

TEST(lock, spin_lock_survives_the_wrap_of_its_tickets)
{
    struct spinlock lock = SPINLOCK_INIT(RANK_DEBUG);

    for (u32 i = 0; i < 0x10000 + 10; i++) {
        spin_lock(&lock);
        spin_unlock(&lock);
    }
    EXPECT_FALSE(spin_is_locked(&lock));
    EXPECT_TRUE(spin_trylock(&lock));
    drop_spin(&lock);
}

TEST(lock, spin_lock_irqsave_turns_interrupts_off_and_restores_them)
{
    struct spinlock lock = SPINLOCK_INIT(RANK_DEBUG);
    u64 flags;

    EXPECT_TRUE(irqs_enabled());
    flags = spin_lock_irqsave(&lock);
    EXPECT_FALSE(irqs_enabled());
    spin_unlock_irqrestore(&lock, flags);
    EXPECT_TRUE(irqs_enabled());
    irq_disable();
    flags = spin_lock_irqsave(&lock);
    spin_unlock_irqrestore(&lock, flags);
    EXPECT_FALSE(irqs_enabled());
    irq_enable();
}

/* --- mutex ------------------------------------------------------------------------------------ */

struct mutex_shared {
    struct mutex mutex;
    u64 counter;
    u32 nr_inside;
    u32 nr_collisions;
    s32 result;
};

static void mutex_worker(void *arg)
{
    struct mutex_shared *shared = arg;

    for (u32 i = 0; i < ROUNDS / 4; i++) {
        mutex_lock(&shared->mutex);
        if (shared->nr_inside++ != 0) {
            shared->nr_collisions++;
        }
        /* Lets the others run into the held mutex. */
        if (i % 8 == 0) {
            sched_yield_current();
        }
        shared->counter++;
        shared->nr_inside--;
        mutex_unlock(&shared->mutex);
    }
}

TEST(lock, mutex_admits_one_thread_at_a_time)
{
    struct mutex_shared shared = {0};
    struct crew crew = {0};

    mutex_init(&shared.mutex, RANK_MUTEX_INNER);
    for (u32 i = 0; i < 6; i++) {
        crew_add(&crew, mutex_worker, &shared);
    }
    crew_join(&crew);
    EXPECT_EQ(6 * (ROUNDS / 4), shared.counter);
    EXPECT_EQ(0, shared.nr_collisions);
    EXPECT_EQ(0, shared.mutex.owner);
}

static void mutex_try(void *arg)
{
    struct mutex_shared *shared = arg;

    shared->result = mutex_trylock(&shared->mutex) ? 1 : 0;
}

TEST(lock, mutex_trylock_fails_while_another_thread_holds_it)
{
    struct mutex_shared shared = {.result = -1};
    struct crew crew = {0};

    mutex_init(&shared.mutex, RANK_MUTEX_INNER);
    mutex_lock(&shared.mutex);
    EXPECT_TRUE(mutex_is_held(&shared.mutex));
    crew_add(&crew, mutex_try, &shared);
    crew_join(&crew);
    EXPECT_EQ(0, shared.result);
    mutex_unlock(&shared.mutex);
    EXPECT_FALSE(mutex_is_held(&shared.mutex));
    ASSERT_TRUE(mutex_trylock(&shared.mutex));
    drop_mutex(&shared.mutex);
}

static void mutex_killable_worker(void *arg)
{
    struct mutex_shared *shared = arg;

    shared->result = mutex_lock_killable(&shared->mutex);
    if (shared->result == 0) {
        drop_mutex(&shared->mutex);
    }
}

TEST(lock, mutex_lock_killable_gives_up_on_a_fatal_signal)
{
    struct mutex_shared shared = {.result = 1};
    struct crew crew = {0};
    struct thread *waiter;

    mutex_init(&shared.mutex, RANK_MUTEX_INNER);
    mutex_lock(&shared.mutex);
    waiter = crew_add(&crew, mutex_killable_worker, &shared);
    test_wait_asleep(waiter);
    test_interrupt(waiter);
    test_sleep_ns(NSEC_PER_MSEC);
    EXPECT_EQ(1, shared.result);
    test_kill(waiter);
    crew_join(&crew);
    EXPECT_EQ((u64)-EINTR, (u64)(s64)shared.result);
    mutex_unlock(&shared.mutex);
    EXPECT_EQ(0, shared.mutex.owner);
}

/* --- rwsem ------------------------------------------------------------------------------------ */

struct rwsem_shared {
    struct rwsem sem;
    u32 nr_readers;  /* [x] inside */
    u32 max_readers; /* [x] most that were inside at once */
    u32 nr_writers;  /* [x] inside */
    u32 nr_collisions;
    u64 counter;
    u32 order;      /* [x] counts those who got in */
    u32 writer_got; /* position of the writer in that order */
    u32 reader_got;
    s32 result;
};

static void enter_reading(struct rwsem_shared *shared)
{
    u32 now = __atomic_add_fetch(&shared->nr_readers, 1, __ATOMIC_SEQ_CST);

    u32 most = READ_ONCE(shared->max_readers);

    while (now > most && !__atomic_compare_exchange_n(&shared->max_readers, &most, now, false,
                                                      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        cpu_relax();
    }
    if (READ_ONCE(shared->nr_writers) != 0) {
        __atomic_fetch_add(&shared->nr_collisions, 1, __ATOMIC_RELAXED);
    }
}

static void rwsem_worker(void *arg)
{
    struct rwsem_shared *shared = arg;

    for (u32 i = 0; i < ROUNDS / 8; i++) {
        rwsem_read_lock(&shared->sem);
        enter_reading(shared);
        sched_yield_current();
        __atomic_fetch_sub(&shared->nr_readers, 1, __ATOMIC_SEQ_CST);
        rwsem_read_unlock(&shared->sem);

        rwsem_write_lock(&shared->sem);
        if (__atomic_fetch_add(&shared->nr_writers, 1, __ATOMIC_SEQ_CST) != 0 ||
            READ_ONCE(shared->nr_readers) != 0) {
            shared->nr_collisions++;
        }
        shared->counter++;
        if (i % 4 == 0) {
            sched_yield_current();
        }
        __atomic_fetch_sub(&shared->nr_writers, 1, __ATOMIC_SEQ_CST);
        rwsem_write_unlock(&shared->sem);
    }
}

TEST(lock, rwsem_keeps_writers_from_everybody)
{
    struct rwsem_shared shared = {0};
    struct crew crew = {0};

    rwsem_init(&shared.sem, RANK_MUTEX_INNER);
    for (u32 i = 0; i < 5; i++) {
        crew_add(&crew, rwsem_worker, &shared);
    }
    crew_join(&crew);
    EXPECT_EQ(5 * (ROUNDS / 8), shared.counter);
    EXPECT_EQ(0, shared.nr_collisions);
    EXPECT_FALSE(rwsem_is_held(&shared.sem));
}

static void rwsem_reader(void *arg)
{
    struct rwsem_shared *shared = arg;

    rwsem_read_lock(&shared->sem);
    enter_reading(shared);
    shared->reader_got = __atomic_add_fetch(&shared->order, 1, __ATOMIC_SEQ_CST);
    while (READ_ONCE(shared->max_readers) < 2) {
        sched_yield_current();
    }
    rwsem_read_unlock(&shared->sem);
}

TEST(lock, rwsem_readers_share)
{
    struct rwsem_shared shared = {0};
    struct crew crew = {0};

    rwsem_init(&shared.sem, RANK_MUTEX_INNER);
    crew_add(&crew, rwsem_reader, &shared);
    crew_add(&crew, rwsem_reader, &shared);
    crew_join(&crew);
    EXPECT_EQ(2, shared.max_readers);
}

static void rwsem_writer(void *arg)
{
    struct rwsem_shared *shared = arg;

    rwsem_write_lock(&shared->sem);
    shared->writer_got = __atomic_add_fetch(&shared->order, 1, __ATOMIC_SEQ_CST);
    rwsem_write_unlock(&shared->sem);
}

TEST(lock, rwsem_waiting_writer_goes_before_later_readers)
{
    struct rwsem_shared shared = {.max_readers = 2};
    struct crew crew = {0};

    rwsem_init(&shared.sem, RANK_MUTEX_INNER);
    rwsem_read_lock(&shared.sem);
    test_wait_asleep(crew_add(&crew, rwsem_writer, &shared));
    EXPECT_FALSE(rwsem_read_trylock(&shared.sem));
    test_wait_asleep(crew_add(&crew, rwsem_reader, &shared));
    EXPECT_EQ(0, shared.order);
    rwsem_read_unlock(&shared.sem);
    crew_join(&crew);
    EXPECT_EQ(1, shared.writer_got);
    EXPECT_EQ(2, shared.reader_got);
}

TEST(lock, rwsem_downgrade_lets_waiting_readers_in)
{
    struct rwsem_shared shared = {.max_readers = 2};
    struct crew crew = {0};

    rwsem_init(&shared.sem, RANK_MUTEX_INNER);
    take_writer(&shared.sem);
    EXPECT_TRUE(rwsem_is_write_held(&shared.sem));
    test_wait_asleep(crew_add(&crew, rwsem_reader, &shared));
    rwsem_downgrade(&shared.sem);
    EXPECT_FALSE(rwsem_is_write_held(&shared.sem));
    crew_join(&crew);
    EXPECT_EQ(1, shared.reader_got);
    EXPECT_FALSE(rwsem_write_trylock(&shared.sem));
    drop_reader(&shared.sem);
    ASSERT_TRUE(rwsem_write_trylock(&shared.sem));
    drop_writer(&shared.sem);
}

static void rwsem_killable_writer(void *arg)
{
    struct rwsem_shared *shared = arg;

    shared->result = rwsem_write_lock_killable(&shared->sem);
}

TEST(lock, rwsem_killed_writer_lets_the_readers_behind_it_in)
{
    struct rwsem_shared shared = {.max_readers = 2};
    struct crew crew = {0};
    struct thread *writer;

    rwsem_init(&shared.sem, RANK_MUTEX_INNER);
    rwsem_read_lock(&shared.sem);
    writer = crew_add(&crew, rwsem_killable_writer, &shared);
    test_wait_asleep(writer);
    test_wait_asleep(crew_add(&crew, rwsem_reader, &shared));
    test_kill(writer);
    crew_join(&crew);
    EXPECT_EQ((u64)-EINTR, (u64)(s64)shared.result);
    EXPECT_EQ(1, shared.reader_got);
    rwsem_read_unlock(&shared.sem);
    EXPECT_EQ(0, shared.sem.count);
}

/* --- sequence counts -------------------------------------------------------------------------- */

TEST(lock, seqcount_reader_notices_a_writer)
{
    struct seqcount count;
    u32 start;

    seqcount_init(&count);
    start = seqcount_read_begin(&count);
    EXPECT_FALSE(seqcount_read_retry(&count, start));
    seqcount_write_begin(&count);
    EXPECT_EQ(1, seqcount_read_raw(&count) & 1);
    EXPECT_TRUE(seqcount_read_retry(&count, start));
    seqcount_write_end(&count);
    EXPECT_TRUE(seqcount_read_retry(&count, start));
    EXPECT_FALSE(seqcount_read_retry(&count, seqcount_read_begin(&count)));
}

/* --- wait queues ------------------------------------------------------------------------------ */

struct queue_shared {
    struct wait_queue queue;
    u32 nr_tokens; /* [x] */
    u32 nr_woken;  /* [x] */
    u32 turn;
    s32 result;
    u32 first_woken; /* number of the thread that was woken first */
};

static bool take_token(struct queue_shared *shared)
{
    u32 tokens = READ_ONCE(shared->nr_tokens);

    while (tokens != 0) {
        if (__atomic_compare_exchange_n(&shared->nr_tokens, &tokens, tokens - 1, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return false;
}

static void token_waiter(void *arg)
{
    struct queue_shared *shared = arg;

    wait_event(&shared->queue, take_token(shared));
    __atomic_fetch_add(&shared->nr_woken, 1, __ATOMIC_SEQ_CST);
}

TEST(lock, wait_event_returns_at_once_if_the_condition_holds)
{
    struct wait_queue queue;
    u64 switches = current_thread()->nvcsw;

    wait_queue_init(&queue);
    wait_event(&queue, true);
    EXPECT_EQ(0, wait_event_interruptible(&queue, true));
    EXPECT_EQ(switches, current_thread()->nvcsw);
    EXPECT_FALSE(wait_queue_is_waited(&queue));
}

TEST(lock, wake_up_one_wakes_one_waiter)
{
    struct queue_shared shared = {0};
    struct crew crew = {0};

    wait_queue_init(&shared.queue);
    for (u32 i = 0; i < 3; i++) {
        test_wait_asleep(crew_add(&crew, token_waiter, &shared));
    }
    for (u32 i = 1; i <= 3; i++) {
        shared.nr_tokens = 1;
        wake_up_one(&shared.queue);
        while (READ_ONCE(shared.nr_woken) < i) {
            test_sleep_ns(20 * NSEC_PER_USEC);
        }
        EXPECT_EQ(i, shared.nr_woken);
    }
    crew_join(&crew);
    EXPECT_FALSE(wait_queue_is_waited(&shared.queue));
}

TEST(lock, wake_up_all_wakes_every_waiter)
{
    struct queue_shared shared = {0};
    struct crew crew = {0};

    wait_queue_init(&shared.queue);
    for (u32 i = 0; i < 5; i++) {
        test_wait_asleep(crew_add(&crew, token_waiter, &shared));
    }
    __atomic_store_n(&shared.nr_tokens, 5, __ATOMIC_SEQ_CST);
    wake_up_all(&shared.queue);
    crew_join(&crew);
    EXPECT_EQ(5, shared.nr_woken);
}

/* Two threads take turns; one lost wake-up and the test hangs. */
static void take_turns(struct queue_shared *shared, u32 mine)
{
    for (u32 i = 0; i < ROUNDS; i++) {
        wait_event(&shared->queue, READ_ONCE(shared->turn) == mine);
        WRITE_ONCE(shared->turn, 1 - mine);
        wake_up_one(&shared->queue);
    }
}

static void turn_zero(void *arg)
{
    take_turns(arg, 0);
}

static void turn_one(void *arg)
{
    take_turns(arg, 1);
}

TEST(lock, no_wake_up_is_lost_on_one_cpu)
{
    struct queue_shared shared = {0};
    struct crew crew = {0};

    wait_queue_init(&shared.queue);
    crew_add_on(&crew, turn_zero, &shared, 1);
    crew_add_on(&crew, turn_one, &shared, 1);
    crew_join(&crew);
    EXPECT_EQ(0, shared.turn);
}

TEST(lock, no_wake_up_is_lost_between_cpus)
{
    struct queue_shared shared = {0};
    struct crew crew = {0};

    wait_queue_init(&shared.queue);
    crew_add_on(&crew, turn_zero, &shared, 1);
    crew_add_on(&crew, turn_one, &shared, cpu_count() > 1 ? 2 : 1);
    crew_join(&crew);
    EXPECT_EQ(0, shared.turn);
}

static void interruptible_waiter(void *arg)
{
    struct queue_shared *shared = arg;

    shared->result = wait_event_interruptible(&shared->queue, take_token(shared));
}

TEST(lock, wait_event_interruptible_ends_on_a_signal)
{
    struct queue_shared shared = {.result = 1};
    struct crew crew = {0};
    struct thread *waiter;

    wait_queue_init(&shared.queue);
    waiter = crew_add(&crew, interruptible_waiter, &shared);
    test_wait_asleep(waiter);
    test_interrupt(waiter);
    crew_join(&crew);
    EXPECT_EQ((u64)-ERESTARTSYS, (u64)(s64)shared.result);
    EXPECT_FALSE(wait_queue_is_waited(&shared.queue));
}

TEST(lock, wait_event_interruptible_prefers_the_condition_to_the_signal)
{
    struct queue_shared shared = {.result = 1, .nr_tokens = 1};
    struct wait_queue *queue = &shared.queue;

    wait_queue_init(queue);
    arch_thread_work_set(&current_thread()->arch, THREAD_WORK_SIGNAL);
    EXPECT_EQ(0, wait_event_interruptible(queue, take_token(&shared)));
    EXPECT_EQ((u64)-ERESTARTSYS, (u64)(s64)wait_event_interruptible(queue, take_token(&shared)));
    arch_thread_work_clear(&current_thread()->arch, THREAD_WORK_SIGNAL);
}

TEST(lock, wait_event_until_expires)
{
    struct wait_queue queue;
    u64 deadline = deadline_after(2 * NSEC_PER_MSEC);

    wait_queue_init(&queue);
    EXPECT_EQ((u64)-ETIMEDOUT, (u64)(s64)wait_event_interruptible_until(&queue, false, deadline));
    EXPECT_LE(deadline, clock_monotonic_ns());
    EXPECT_EQ((u64)-ETIMEDOUT, (u64)(s64)wait_event_interruptible_until(&queue, false, 0));
    EXPECT_EQ(0, wait_event_interruptible_until(&queue, true, 0));
    EXPECT_FALSE(wait_queue_is_waited(&queue));
}

static void finisher(void *arg)
{
    completion_finish(arg);
}

TEST(lock, completion_may_be_finished_before_or_after_the_wait)
{
    for (u32 i = 0; i < 200; i++) {
        struct completion completion;
        struct crew crew = {0};

        completion_init(&completion);
        crew_add(&crew, finisher, &completion);
        if (i % 2 == 0) {
            sched_yield_current();
        }
        completion_wait(&completion);
        EXPECT_EQ(0, completion.nr_done);
        crew_join(&crew);
    }
}
