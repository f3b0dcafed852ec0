/*
 * Futexes: threads of one address space wait on words of it.
 */
#include "sched_test.h"
#include "mm_test.h"

#include <proc/futex.h>
#include <uapi/linux/futex.h>

struct waiter {
    struct mm *mm;
    struct futex_wait_args args;
    s32 result;
    u32 is_done; /* [x] */
};

static void use_mm(struct mm *mm)
{
    u64 flags = irq_save();

    current_thread()->mm = mm;
    arch_mm_switch(mm);
    irq_restore(flags);
}

static void wait_on_word(void *arg)
{
    struct waiter *waiter = arg;

    use_mm(waiter->mm);
    waiter->result = futex_wait(&waiter->args);
    use_mm(NULL);
    __atomic_store_n(&waiter->is_done, 1, __ATOMIC_RELEASE);
}

static struct waiter waiter_on(u64 uaddr, u32 value, u32 bitset)
{
    return (struct waiter){
        .mm = current_mm(),
        .args = {.uaddr = uaddr, .value = value, .bitset = bitset, .deadline_ns = DEADLINE_NONE},
        .result = 1,
    };
}

static void start_waiters(struct crew *crew, struct waiter *waiters, u32 nr_waiters)
{
    for (u32 i = 0; i < nr_waiters; i++) {
        test_wait_asleep(crew_add(crew, wait_on_word, &waiters[i]));
    }
}

/* How many are through, once it is as many as @wanted, or does not become so. */
static u32 count_done(const struct waiter *waiters, u32 nr_waiters, u32 wanted)
{
    u64 limit = deadline_after(ktest_patience_ns(NSEC_PER_SEC));

    for (;;) {
        u32 nr_done = 0;

        for (u32 i = 0; i < nr_waiters; i++) {
            nr_done += __atomic_load_n(&waiters[i].is_done, __ATOMIC_ACQUIRE);
        }
        if (nr_done >= wanted || clock_monotonic_ns() >= limit) {
            return nr_done;
        }
        test_sleep_ns(200 * NSEC_PER_USEC);
    }
}

TEST(futex, wait_with_another_value_returns_at_once)
{
    u64 word = test_map(1);
    struct waiter waiter = waiter_on(word, 1, FUTEX_BITSET_MATCH_ANY);

    ASSERT_TRUE(word != 0);
    EXPECT_ERR(-EAGAIN, futex_wait(&waiter.args));
    waiter.args.bitset = 0;
    EXPECT_ERR(-EINVAL, futex_wait(&waiter.args));
}

TEST(futex, bad_addresses_are_refused)
{
    u64 word = test_map(1);
    struct waiter waiter = waiter_on(word + 2, 0, FUTEX_BITSET_MATCH_ANY);

    EXPECT_ERR(-EINVAL, futex_wait(&waiter.args));
    waiter.args.uaddr = 0x10000;
    EXPECT_ERR(-EFAULT, futex_wait(&waiter.args));
    waiter.args.uaddr = 0xffff800000000000ul;
    EXPECT_ERR(-EFAULT, futex_wait(&waiter.args));
    EXPECT_ERR(-EINVAL, futex_wake(word + 1, false, 1, FUTEX_BITSET_MATCH_ANY));
    EXPECT_ERR(-EFAULT, futex_wake(0xffff800000000000ul, false, 1, FUTEX_BITSET_MATCH_ANY));
    EXPECT_ERR(-EFAULT, futex_wake(0x10000, true, 1, FUTEX_BITSET_MATCH_ANY));
    EXPECT_EQ(0, futex_wake(0x10000, false, 1, FUTEX_BITSET_MATCH_ANY));
}

TEST(futex, wake_wakes_as_many_as_asked_in_order)
{
    u64 word = test_map(1);
    struct waiter waiters[4];
    struct crew crew = {0};

    ASSERT_OK(put_user_u32(word, 7));
    for (u32 i = 0; i < 4; i++) {
        waiters[i] = waiter_on(word, 7, FUTEX_BITSET_MATCH_ANY);
    }
    start_waiters(&crew, waiters, 4);
    EXPECT_EQ(1, futex_wake(word, false, 1, FUTEX_BITSET_MATCH_ANY));
    EXPECT_EQ(1, count_done(waiters, 4, 1));
    EXPECT_EQ(1, waiters[0].is_done);
    EXPECT_EQ(3, futex_wake(word, false, 100, FUTEX_BITSET_MATCH_ANY));
    EXPECT_EQ(4, count_done(waiters, 4, 4));
    crew_join(&crew);
    for (u32 i = 0; i < 4; i++) {
        EXPECT_EQ(0, waiters[i].result);
    }
    EXPECT_EQ(0, futex_wake(word, false, 1, FUTEX_BITSET_MATCH_ANY));
}

TEST(futex, bitset_selects_the_waiters)
{
    u64 word = test_map(1);
    struct waiter waiters[2];
    struct crew crew = {0};

    waiters[0] = waiter_on(word, 0, 1);
    waiters[1] = waiter_on(word, 0, 2);
    start_waiters(&crew, waiters, 2);
    EXPECT_ERR(-EINVAL, futex_wake(word, false, 2, 0));
    EXPECT_EQ(0, futex_wake(word, false, 2, 4));
    EXPECT_EQ(1, futex_wake(word, false, 2, 2));
    EXPECT_EQ(1, count_done(waiters, 2, 1));
    EXPECT_EQ(1, waiters[1].is_done);
    EXPECT_EQ(1, futex_wake(word, false, 2, 3));
    crew_join(&crew);
}

TEST(futex, other_word_or_other_address_space_is_not_woken)
{
    u64 word = test_map(1);
    struct waiter waiter = waiter_on(word, 0, FUTEX_BITSET_MATCH_ANY);
    struct mm *mine = current_mm();
    struct mm *other;
    struct crew crew = {0};

    start_waiters(&crew, &waiter, 1);
    EXPECT_EQ(0, futex_wake(word + 4, false, 1, FUTEX_BITSET_MATCH_ANY));
    ASSERT_OK(mm_create(&other));
    use_mm(other);
    EXPECT_EQ(0, futex_wake(word, false, 1, FUTEX_BITSET_MATCH_ANY));
    use_mm(mine);
    mm_put(other);
    EXPECT_EQ(1, futex_wake(word, false, 1, FUTEX_BITSET_MATCH_ANY));
    crew_join(&crew);
}

TEST(futex, shared_wake_finds_waiters_at_another_address)
{
    struct vm_object *object;
    struct waiter waiter;
    struct crew crew = {0};
    u64 first, second;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    first = test_map_object(object, 1, MAP_SHARED);
    second = test_map_object(object, 1, MAP_SHARED);
    object_put(object);
    ASSERT_TRUE(first != 0 && second != 0 && first != second);
    waiter = waiter_on(first + 8, 0, FUTEX_BITSET_MATCH_ANY);
    waiter.args.is_shared = true;
    start_waiters(&crew, &waiter, 1);
    EXPECT_EQ(0, futex_wake(second + 12, true, 1, FUTEX_BITSET_MATCH_ANY));
    EXPECT_EQ(0, futex_wake(second + 8, false, 1, FUTEX_BITSET_MATCH_ANY));
    EXPECT_EQ(1, futex_wake(second + 8, true, 1, FUTEX_BITSET_MATCH_ANY));
    crew_join(&crew);
    EXPECT_EQ(0, waiter.result);
}

TEST(futex, wait_times_out)
{
    u64 word = test_map(1);
    struct waiter waiter = waiter_on(word, 0, FUTEX_BITSET_MATCH_ANY);

    waiter.args.deadline_ns = deadline_after(2 * NSEC_PER_MSEC);
    EXPECT_ERR(-ETIMEDOUT, futex_wait(&waiter.args));
    EXPECT_LE(waiter.args.deadline_ns, clock_monotonic_ns());
    EXPECT_ERR(-ETIMEDOUT, futex_wait(&waiter.args));
    EXPECT_EQ(0, futex_wake(word, false, 1, FUTEX_BITSET_MATCH_ANY));
}

TEST(futex, wait_ends_on_a_signal)
{
    u64 word = test_map(1);
    struct waiter waiter = waiter_on(word, 0, FUTEX_BITSET_MATCH_ANY);
    struct crew crew = {0};

    start_waiters(&crew, &waiter, 1);
    test_interrupt(crew.threads[0]);
    crew_join(&crew);
    EXPECT_ERR(-ERESTARTSYS, waiter.result);
    EXPECT_EQ(0, futex_wake(word, false, 1, FUTEX_BITSET_MATCH_ANY));
}

TEST(futex, requeue_moves_waiters_to_the_second_word)
{
    u64 word = test_map(1);
    struct waiter waiters[4];
    struct crew crew = {0};
    struct futex_pair_args pair = {
        .uaddr = word, .uaddr2 = word + 64, .nr_wake = 1, .nr_second = 2};

    for (u32 i = 0; i < 4; i++) {
        waiters[i] = waiter_on(word, 0, FUTEX_BITSET_MATCH_ANY);
    }
    start_waiters(&crew, waiters, 4);
    EXPECT_EQ(3, futex_requeue(&pair));
    EXPECT_EQ(1, count_done(waiters, 4, 1));
    EXPECT_EQ(1, waiters[0].is_done);
    EXPECT_EQ(1, futex_wake(word, false, 10, FUTEX_BITSET_MATCH_ANY));
    EXPECT_EQ(2, count_done(waiters, 4, 2));
    EXPECT_EQ(1, waiters[3].is_done);
    EXPECT_EQ(2, futex_wake(word + 64, false, 10, FUTEX_BITSET_MATCH_ANY));
    crew_join(&crew);
}

TEST_COUNTED(futex, moved_waiter_can_still_time_out)
{
    u64 word = test_map(1);
    struct waiter waiter = waiter_on(word, 0, FUTEX_BITSET_MATCH_ANY);
    struct crew crew = {0};
    struct futex_pair_args pair = {.uaddr = word, .uaddr2 = word + 64, .nr_second = 1};

    /* Counted time passes at once while everybody sleeps: far off costs nothing. */
    waiter.args.deadline_ns = deadline_after(5000 * NSEC_PER_MSEC);
    start_waiters(&crew, &waiter, 1);
    EXPECT_EQ(1, futex_requeue(&pair));
    crew_join(&crew);
    EXPECT_ERR(-ETIMEDOUT, waiter.result);
    EXPECT_EQ(0, futex_wake(word + 64, false, 1, FUTEX_BITSET_MATCH_ANY));
}

TEST(futex, cmp_requeue_looks_at_the_word)
{
    u64 word = test_map(1);
    struct futex_pair_args pair = {.uaddr = word,
                                   .uaddr2 = word + 64,
                                   .nr_wake = 1,
                                   .nr_second = 1,
                                   .must_compare = true,
                                   .value = 1};

    EXPECT_ERR(-EAGAIN, futex_requeue(&pair));
    pair.value = 0;
    EXPECT_EQ(0, futex_requeue(&pair));
    pair.nr_wake = -1;
    EXPECT_ERR(-EINVAL, futex_requeue(&pair));
}

static u32 wake_operation(u32 op, u32 compare, u32 op_arg, u32 compare_arg)
{
    return op << 28 | compare << 24 | op_arg << 12 | compare_arg;
}

TEST(futex, wake_op_changes_the_word_and_wakes_both)
{
    u64 word = test_map(1);
    struct waiter waiters[2];
    struct crew crew = {0};
    struct futex_pair_args pair = {
        .uaddr = word,
        .uaddr2 = word + 64,
        .nr_wake = 1,
        .nr_second = 1,
        .encoded_op = wake_operation(FUTEX_OP_ADD, FUTEX_OP_CMP_EQ, 5, 0),
    };
    u32 value;

    waiters[0] = waiter_on(word, 0, FUTEX_BITSET_MATCH_ANY);
    waiters[1] = waiter_on(word + 64, 0, FUTEX_BITSET_MATCH_ANY);
    start_waiters(&crew, waiters, 2);
    EXPECT_EQ(2, futex_wake_op(&pair));
    crew_join(&crew);
    EXPECT_OK(get_user_u32(&value, word + 64));
    EXPECT_EQ(5, value);
    /* The old value is now 5, so the comparison fails; the change is made all the same. */
    EXPECT_EQ(0, futex_wake_op(&pair));
    EXPECT_OK(get_user_u32(&value, word + 64));
    EXPECT_EQ(10, value);
    pair.encoded_op = wake_operation(FUTEX_OP_OR | FUTEX_OP_ARG_SHIFT, FUTEX_OP_CMP_GE, 8, 0xfff);
    EXPECT_EQ(0, futex_wake_op(&pair));
    EXPECT_OK(get_user_u32(&value, word + 64));
    EXPECT_EQ(10 | 256, value);
    pair.encoded_op = wake_operation(5, 0, 0, 0);
    EXPECT_ERR(-ENOSYS, futex_wake_op(&pair));
    pair.encoded_op = wake_operation(0, 6, 0, 0);
    EXPECT_ERR(-ENOSYS, futex_wake_op(&pair));
}

TEST(futex, wake_op_on_read_only_memory_fails)
{
    u64 word = test_map_prot(1, PROT_READ);
    struct futex_pair_args pair = {
        .uaddr = word,
        .uaddr2 = word + 64,
        .nr_wake = 1,
        .nr_second = 1,
        .encoded_op = wake_operation(FUTEX_OP_SET, FUTEX_OP_CMP_EQ, 1, 0),
    };

    EXPECT_ERR(-EFAULT, futex_wake_op(&pair));
}

/* --- a lock made of a futex ------------------------------------------------------------------- */

struct user_lock {
    struct mm *mm;
    u64 word; /* 0 free, 1 held, 2 held and waited for */
    u64 counter;
    u32 nr_inside;
    u32 nr_collisions;
};

static u32 exchange_word(u64 word, u32 expected, u32 desired)
{
    u32 seen = ~0u;

    return cmpxchg_user_u32(word, expected, desired, &seen) == 0 ? seen : ~0u;
}

static void take_user_lock(struct user_lock *lock)
{
    struct futex_wait_args args = {.uaddr = lock->word,
                                   .value = 2,
                                   .bitset = FUTEX_BITSET_MATCH_ANY,
                                   .deadline_ns = DEADLINE_NONE};
    u32 seen = exchange_word(lock->word, 0, 1);

    while (seen != 0) {
        if (seen == 2 || exchange_word(lock->word, 1, 2) != 0) {
            int error = futex_wait(&args);

            if (error != 0 && error != -EAGAIN) {
                lock->nr_collisions++;
                return;
            }
        }
        seen = exchange_word(lock->word, 0, 2);
    }
}

static void drop_user_lock(struct user_lock *lock)
{
    if (exchange_word(lock->word, 1, 0) == 2) {
        EXPECT_OK(put_user_u32(lock->word, 0));
        EXPECT_LE((s64)futex_wake(lock->word, false, 1, FUTEX_BITSET_MATCH_ANY), 1);
    }
}

static void user_lock_worker(void *arg)
{
    struct user_lock *lock = arg;

    use_mm(lock->mm);
    for (u32 i = 0; i < 300; i++) {
        take_user_lock(lock);
        if (lock->nr_inside++ != 0) {
            lock->nr_collisions++;
        }
        if (i % 4 == 0) {
            sched_yield_current();
        }
        lock->counter++;
        lock->nr_inside--;
        drop_user_lock(lock);
    }
    use_mm(NULL);
}

TEST(futex, lock_made_of_a_futex_excludes_and_never_hangs)
{
    struct user_lock lock = {.mm = current_mm(), .word = test_map(1)};
    struct crew crew = {0};

    for (u32 i = 0; i < 5; i++) {
        crew_add(&crew, user_lock_worker, &lock);
    }
    crew_join(&crew);
    EXPECT_EQ(1500, lock.counter);
    EXPECT_EQ(0, lock.nr_collisions);
}

/* --- robust lists ----------------------------------------------------------------------------- */

#define TEST_TID 1234

static void exit_with_list(u64 head, u64 first, u64 pending)
{
    struct robust_list_head list = {.list = first, .futex_offset = 8, .list_op_pending = pending};
    struct thread *thread = current_thread();
    s32 tid = thread->tid;

    EXPECT_OK(copy_to_user(head, &list, sizeof(list)));
    thread->tid = TEST_TID;
    thread->robust_list = head;
    futex_exit_robust(thread);
    thread->tid = tid;
    EXPECT_EQ(0, thread->robust_list);
}

TEST(futex, robust_exit_marks_owned_words_and_wakes)
{
    u64 page = test_map(1);
    u64 head = page, one = page + 64, two = page + 128;
    struct waiter waiter;
    struct crew crew = {0};
    u32 value;

    /* Two entries of 8 bytes, each with its word behind it; the second is somebody else's. */
    EXPECT_OK(put_user_u64(one, two));
    EXPECT_OK(put_user_u32(one + 8, TEST_TID | FUTEX_WAITERS));
    EXPECT_OK(put_user_u64(two, head));
    EXPECT_OK(put_user_u32(two + 8, 77));
    waiter = waiter_on(one + 8, TEST_TID | FUTEX_WAITERS, FUTEX_BITSET_MATCH_ANY);
    waiter.args.is_shared = true;
    start_waiters(&crew, &waiter, 1);
    exit_with_list(head, one, 0);
    crew_join(&crew);
    EXPECT_EQ(0, waiter.result);
    EXPECT_OK(get_user_u32(&value, one + 8));
    EXPECT_EQ(FUTEX_OWNER_DIED | FUTEX_WAITERS, value);
    EXPECT_OK(get_user_u32(&value, two + 8));
    EXPECT_EQ(77, value);
}

TEST(futex, robust_exit_survives_a_broken_list)
{
    u64 page = test_map(1);
    u64 head = page, one = page + 64;
    u32 value;

    /* A list that never comes back to its head. */
    EXPECT_OK(put_user_u64(one, one));
    EXPECT_OK(put_user_u32(one + 8, TEST_TID));
    exit_with_list(head, one, 0);
    EXPECT_OK(get_user_u32(&value, one + 8));
    EXPECT_EQ(FUTEX_OWNER_DIED, value);
    exit_with_list(head, 0xffff800000000000ul, 0x123);
    exit_with_list(head, one + 3, one + 64);
}

TEST(futex, robust_exit_marks_the_pending_word)
{
    u64 page = test_map(1);
    u64 head = page, one = page + 64;
    u32 value;

    EXPECT_OK(put_user_u32(one + 8, TEST_TID));
    exit_with_list(head, head, one);
    EXPECT_OK(get_user_u32(&value, one + 8));
    EXPECT_EQ(FUTEX_OWNER_DIED, value);
}
