/*
 * Paged objects with a pager that answers, fails, lies, hangs: what comes, when it is asked, and
 * what it costs whom.
 */
#include <ipc/iov.h>
#include <mm/frames.h>
#include <mm/populate.h>
#include "pager_test.h"
#include "sched_test.h"

struct fake_pager fake;

static s64 hang_or(s64 result)
{
    if (fake.meanwhile != NULL) {
        fake.meanwhile();
    }
    if (fake.hangs) {
        WRITE_ONCE(fake.is_waited_for, true);
        return wait_event_killable(&fake.nothing, !READ_ONCE(fake.hangs)) != 0 ? -EINTR : result;
    }
    explore_point(EXPLORE_COUNT);
    return result;
}

static s64 fake_page_in(void *channel, u64 offset, struct page **pages, u32 nr_pages)
{
    struct fake_pager *pager = channel;

    pager->nr_page_ins++;
    pager->last_offset = offset;
    pager->last_len = (u64)nr_pages << PAGE_SHIFT;
    for (u32 i = 0; i < nr_pages && pager->answer == 0; i++) {
        u64 index = (offset >> PAGE_SHIFT) + i;
        u64 *words = page_to_virt(pages[i]);

        EXPECT_EQ(0, words[7]);
        words[0] = index < FAKE_PAGES ? pager->backing[index] : FAKE_WORD(index);
    }
    return hang_or(pager->answer != 0 ? pager->answer : (s64)pager->last_len);
}

static int fake_write_notify(void *channel, u64 offset)
{
    struct fake_pager *pager = channel;

    pager->nr_notifies++;
    pager->last_offset = offset;
    return (int)hang_or(pager->answer);
}

static s64 fake_write_back(void *channel, u64 offset, struct page **pages, u32 nr_pages, u64 len)
{
    struct fake_pager *pager = channel;
    s64 result;

    pager->nr_write_backs++;
    pager->last_offset = offset;
    pager->last_len = len;
    result = hang_or(pager->answer != 0 ? pager->answer : (s64)len);
    for (u32 i = 0; result > 0 && i < (u64)result >> PAGE_SHIFT && i < nr_pages; i++) {
        pager->backing[(offset >> PAGE_SHIFT) + i] = *(u64 *)page_to_virt(pages[i]);
    }
    return result;
}

static void fake_release(void *channel)
{
    ((struct fake_pager *)channel)->nr_released++;
}

const struct pager_ops fake_pager_ops = {
    .page_in = fake_page_in,
    .write_notify = fake_write_notify,
    .write_back = fake_write_back,
    .release = fake_release,
};

bool fake_start(u64 nr_pages, enum pager_mode mode)
{
    memset(&fake, 0, sizeof(fake));
    wait_queue_init(&fake.nothing);
    for (u64 i = 0; i < FAKE_PAGES; i++) {
        fake.backing[i] = FAKE_WORD(i);
    }
    if (object_create_pager(nr_pages * PAGE_SIZE, mode, &fake_pager_ops, &fake, &fake.object) !=
        0) {
        fake.object = NULL;
    }
    return fake.object != NULL;
}

void fake_end(void)
{
    object_put(fake.object);
    EXPECT_EQ(1, fake.nr_released);
}

static enum fault_outcome touch(u64 addr, u32 flags)
{
    return test_fault(current_mm(), addr, flags | FAULT_FLAG_USER);
}

static u64 word_at(u64 addr)
{
    u64 value = ~0ul;

    EXPECT_OK(get_user_u64(&value, addr));
    return value;
}

/* --- PAGE_IN ---------------------------------------------------------------------------------- */

TEST(pager, pages_come_when_they_are_touched_and_once)
{
    u64 addr;

    ASSERT_TRUE(fake_start(40, PAGER_SUPPLIES));
    addr = test_map_object(fake.object, 40, MAP_SHARED);
    EXPECT_EQ(0, fake.nr_page_ins);
    EXPECT_EQ(FAKE_WORD(3), word_at(addr + 3 * PAGE_SIZE));
    EXPECT_EQ(1, fake.nr_page_ins);
    EXPECT_EQ(3 * PAGE_SIZE, fake.last_offset);
    EXPECT_EQ(PAGER_WINDOW_PAGES * PAGE_SIZE, fake.last_len);
    EXPECT_EQ(FAKE_WORD(18), word_at(addr + 18 * PAGE_SIZE));
    EXPECT_EQ(1, fake.nr_page_ins);
    /* The hole in front of what is there, and no further. */
    EXPECT_EQ(FAKE_WORD(1), word_at(addr + PAGE_SIZE));
    EXPECT_EQ(2 * PAGE_SIZE, fake.last_len);
    /* The end of the object. */
    EXPECT_EQ(FAKE_WORD(39), word_at(addr + 39 * PAGE_SIZE));
    EXPECT_EQ(PAGE_SIZE, fake.last_len);
    EXPECT_EQ(3, fake.nr_page_ins);
    EXPECT_OK(mm_unmap(current_mm(), addr, 40 * PAGE_SIZE));
    fake_end();
}

TEST(pager, what_is_read_at_random_comes_page_by_page)
{
    u64 addr;

    ASSERT_TRUE(fake_start(8, PAGER_SUPPLIES));
    addr = test_map_object(fake.object, 8, MAP_SHARED);
    EXPECT_OK(mm_advise(current_mm(), addr, 8 * PAGE_SIZE, MADV_RANDOM));
    EXPECT_EQ(FAKE_WORD(2), word_at(addr + 2 * PAGE_SIZE));
    EXPECT_EQ(PAGE_SIZE, fake.last_len);
    EXPECT_EQ(1, object_nr_pages(fake.object));
    EXPECT_OK(mm_unmap(current_mm(), addr, 8 * PAGE_SIZE));
    fake_end();
}

TEST(pager, a_private_write_copies_what_the_pager_brings)
{
    u64 addr;

    ASSERT_TRUE(fake_start(2, PAGER_TRACKS));
    addr = test_map_object(fake.object, 2, MAP_PRIVATE);
    EXPECT_OK(put_user_u64(addr + 8, 5));
    EXPECT_EQ(FAKE_WORD(0), word_at(addr));
    EXPECT_EQ(5, word_at(addr + 8));
    EXPECT_EQ(0, fake.nr_notifies);
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
    EXPECT_OK(mm_unmap(current_mm(), addr, 2 * PAGE_SIZE));
    fake_end();
}

TEST(pager, beyond_the_end_nobody_is_asked)
{
    u64 addr;

    ASSERT_TRUE(fake_start(1, PAGER_SUPPLIES));
    addr = test_map_object(fake.object, 2, MAP_SHARED);
    EXPECT_EQ(FAULT_SIGBUS, touch(addr + PAGE_SIZE, 0));
    EXPECT_EQ(0, fake.nr_page_ins);
    EXPECT_OK(mm_unmap(current_mm(), addr, 2 * PAGE_SIZE));
    fake_end();
}

static void expect_lie(u64 addr, s64 answer)
{
    fake.answer = answer;
    EXPECT_EQ(FAULT_SIGBUS, touch(addr, 0));
    EXPECT_EQ(FAULT_SIGBUS, touch(addr, FAULT_FLAG_WRITE));
    EXPECT_EQ(0, object_nr_pages(fake.object));
}

TEST(pager, a_failure_or_a_lie_is_a_sigbus_and_is_not_remembered)
{
    u64 addr;

    ASSERT_TRUE(fake_start(4, PAGER_SUPPLIES));
    addr = test_map_object(fake.object, 4, MAP_SHARED);
    expect_lie(addr, -EIO);
    expect_lie(addr, 100);
    expect_lie(addr, PAGE_SIZE - 1);
    expect_lie(addr, 4 * PAGE_SIZE + 1);
    expect_lie(addr, S64_MAX);
    expect_lie(addr, -ENOSPC);
    EXPECT_ERR(-EIO, object_bring_in(fake.object, 0, 1) == -ENOSPC ? -EIO : 0);
    fake.answer = 0;
    EXPECT_EQ(FAKE_WORD(0), word_at(addr));
    EXPECT_OK(mm_unmap(current_mm(), addr, 4 * PAGE_SIZE));
    fake_end();
}

TEST(pager, the_last_page_may_come_in_part_and_ends_in_zeros)
{
    u64 addr;

    ASSERT_TRUE(fake_start(2, PAGER_SUPPLIES));
    EXPECT_OK(object_truncate(fake.object, PAGE_SIZE + 100));
    addr = test_map_object(fake.object, 2, MAP_SHARED);
    fake.answer = PAGE_SIZE + 99;
    EXPECT_EQ(FAULT_OK, touch(addr, 0));
    EXPECT_EQ(1, object_nr_pages(fake.object));
    fake.answer = 100;
    EXPECT_EQ(FAULT_OK, touch(addr + PAGE_SIZE, 0));
    EXPECT_EQ(0, word_at(addr + PAGE_SIZE + 104));
    EXPECT_OK(mm_unmap(current_mm(), addr, 2 * PAGE_SIZE));
    fake_end();
}

/* Called while the pager works: what it is about to answer is out of date by then. */
static void cut_and_grow(void)
{
    fake.meanwhile = NULL;
    EXPECT_OK(object_truncate(fake.object, 0));
    EXPECT_OK(object_truncate(fake.object, 2 * PAGE_SIZE));
}

TEST(pager, what_was_asked_before_a_truncation_is_asked_again)
{
    u64 addr;

    ASSERT_TRUE(fake_start(2, PAGER_SUPPLIES));
    addr = test_map_object(fake.object, 2, MAP_SHARED);
    fake.meanwhile = cut_and_grow;
    EXPECT_EQ(FAKE_WORD(0), word_at(addr));
    EXPECT_EQ(2, fake.nr_page_ins);
    EXPECT_OK(mm_unmap(current_mm(), addr, 2 * PAGE_SIZE));
    fake_end();
}

TEST(pager, a_hole_is_forgotten_and_brought_in_anew)
{
    u64 addr;

    ASSERT_TRUE(fake_start(4, PAGER_SUPPLIES));
    addr = test_map_object(fake.object, 4, MAP_SHARED);
    EXPECT_EQ(FAKE_WORD(1), word_at(addr + PAGE_SIZE));
    EXPECT_ERR(-EINVAL, object_punch_hole(fake.object, 1, PAGE_SIZE));
    EXPECT_OK(object_punch_hole(fake.object, PAGE_SIZE, 2 * PAGE_SIZE));
    fake.backing[1] = 77;
    EXPECT_EQ(77, word_at(addr + PAGE_SIZE));
    EXPECT_EQ(2, fake.nr_page_ins);
    EXPECT_EQ(PAGE_SIZE, fake.last_len);
    EXPECT_ERR(-EOPNOTSUPP, mm_advise(current_mm(), addr, PAGE_SIZE, MADV_REMOVE));
    EXPECT_OK(mm_unmap(current_mm(), addr, 4 * PAGE_SIZE));
    fake_end();
}

/* --- a pager that hangs ----------------------------------------------------------------------- */

static struct {
    int first;
    int second;
} outcome;

static void bring_first(void *arg)
{
    outcome.first = object_bring_in(fake.object, 0, 1);
}

static void bring_second(void *arg)
{
    outcome.second = object_bring_in(fake.object, 0, 1);
}

TEST(pager, who_hangs_can_be_killed_and_the_next_one_asks_anew)
{
    struct crew crew = {.nr_threads = 0};
    struct thread *first;
    struct thread *second;

    ASSERT_TRUE(fake_start(2, PAGER_SUPPLIES));
    fake.hangs = true;
    first = crew_add(&crew, bring_first, NULL);
    ASSERT_TRUE(first != NULL);
    test_wait_asleep(first);
    second = crew_add(&crew, bring_second, NULL);
    ASSERT_TRUE(second != NULL);
    test_wait_asleep(second);
    EXPECT_EQ(1, fake.nr_page_ins);
    test_kill(first);
    while (READ_ONCE(fake.nr_page_ins) < 2) {
        sched_yield_current();
    }
    WRITE_ONCE(fake.hangs, false);
    wake_up_all(&fake.nothing);
    crew_join(&crew);
    EXPECT_ERR(-EINTR, outcome.first);
    EXPECT_OK(outcome.second);
    EXPECT_EQ(2, fake.nr_page_ins);
    EXPECT_EQ(1, object_nr_pages(fake.object));
    fake_end();
}

TEST(pager, who_waits_for_the_first_one_can_be_killed)
{
    struct crew crew = {.nr_threads = 0};
    struct thread *first;
    struct thread *second;

    ASSERT_TRUE(fake_start(2, PAGER_SUPPLIES));
    fake.hangs = true;
    first = crew_add(&crew, bring_first, NULL);
    ASSERT_TRUE(first != NULL);
    test_wait_asleep(first);
    second = crew_add(&crew, bring_second, NULL);
    ASSERT_TRUE(second != NULL);
    test_wait_asleep(second);
    test_kill(second);
    while (READ_ONCE(second->state) != THREAD_DEAD) {
        sched_yield_current();
    }
    EXPECT_ERR(-EINTR, outcome.second);
    WRITE_ONCE(fake.hangs, false);
    wake_up_all(&fake.nothing);
    crew_join(&crew);
    EXPECT_OK(outcome.first);
    EXPECT_EQ(1, fake.nr_page_ins);
    fake_end();
}

TEST(pager, who_must_not_wait_is_told_so)
{
    u64 value = 0;
    u64 addr;

    ASSERT_TRUE(fake_start(2, PAGER_TRACKS));
    addr = test_map_object(fake.object, 2, MAP_SHARED);
    EXPECT_EQ(FAULT_WOULD_WAIT, touch(addr, FAULT_FLAG_NOWAIT));
    EXPECT_ERR(-EAGAIN, mm_copy_remote(current_mm(), addr, &value, 8, REMOTE_READ));
    EXPECT_ERR(-EAGAIN, mm_probe_remote(current_mm(), addr, REMOTE_READ));
    EXPECT_EQ(0, fake.nr_page_ins);
    EXPECT_OK(mm_bring_in(addr + 5, 8, BRING_IN_TO_READ));
    EXPECT_EQ(1, fake.nr_page_ins);
    EXPECT_EQ(8, mm_copy_remote(current_mm(), addr, &value, 8, REMOTE_READ));
    EXPECT_EQ(FAKE_WORD(0), value);
    EXPECT_ERR(-EAGAIN, mm_probe_remote(current_mm(), addr, REMOTE_WRITE));
    EXPECT_OK(mm_bring_in(addr, 8, BRING_IN_TO_WRITE));
    EXPECT_OK(mm_probe_remote(current_mm(), addr, REMOTE_WRITE));
    EXPECT_EQ(1, fake.nr_notifies);
    EXPECT_OK(mm_unmap(current_mm(), addr, 2 * PAGE_SIZE));
    fake_end();
}

/* --- supplying and settling ------------------------------------------------------------------- */

static s64 supply(u64 index, u64 word)
{
    static u64 words[PAGE_SIZE / 8];
    struct iov_iter iter;

    words[0] = word;
    iov_init_kernel(&iter, words, sizeof(words));
    return object_supply(fake.object, index << PAGE_SHIFT, &iter);
}

TEST(pager, what_is_supplied_is_not_asked_for)
{
    u64 addr;

    ASSERT_TRUE(fake_start(4, PAGER_SUPPLIES));
    addr = test_map_object(fake.object, 4, MAP_SHARED);
    EXPECT_EQ(PAGE_SIZE, supply(2, 22));
    EXPECT_EQ(22, word_at(addr + 2 * PAGE_SIZE));
    EXPECT_EQ(0, fake.nr_page_ins);
    EXPECT_EQ(PAGE_SIZE, supply(2, 33));
    EXPECT_EQ(22, word_at(addr + 2 * PAGE_SIZE));
    EXPECT_ERR(-EINVAL, supply(4, 1));
    EXPECT_OK(mm_unmap(current_mm(), addr, 4 * PAGE_SIZE));
    fake_end();
}

TEST(pager, its_own_reads_and_writes_meet_only_what_is_there)
{
    u64 value = 9;
    u64 done;

    ASSERT_TRUE(fake_start(4, PAGER_TRACKS));
    EXPECT_ERR(-ENODATA, object_read_kernel(fake.object, 0, &value, 8, &done));
    EXPECT_ERR(-ENODATA, object_write_kernel(fake.object, 0, &value, 8, &done));
    EXPECT_EQ(PAGE_SIZE, supply(0, 11));
    EXPECT_OK(object_write_kernel(fake.object, 8, &value, 8, &done));
    EXPECT_OK(object_read_kernel(fake.object, 0, &value, 8, &done));
    EXPECT_EQ(11, value);
    EXPECT_OK(object_write_back(fake.object, 0, S64_MAX));
    EXPECT_EQ(0, fake.nr_write_backs);
    EXPECT_EQ(0, fake.nr_page_ins);
    fake_end();
}

TEST(pager, a_settled_object_is_a_memory_file)
{
    u64 value = 9;
    u64 done;
    u64 addr;

    ASSERT_TRUE(fake_start(4, PAGER_TRACKS));
    addr = test_map_object(fake.object, 4, MAP_SHARED);
    EXPECT_EQ(PAGE_SIZE, supply(1, 11));
    EXPECT_TRUE(object_has_pager(fake.object));
    EXPECT_OK(object_settle(fake.object));
    EXPECT_FALSE(object_has_pager(fake.object));
    EXPECT_ERR(-EINVAL, supply(2, 11));
    EXPECT_EQ(0, word_at(addr));
    EXPECT_EQ(11, word_at(addr + PAGE_SIZE));
    EXPECT_OK(put_user_u64(addr + PAGE_SIZE, 12));
    EXPECT_OK(object_write_kernel(fake.object, 5 * PAGE_SIZE, &value, 8, &done));
    EXPECT_OK(object_punch_hole(fake.object, PAGE_SIZE, PAGE_SIZE + 8));
    EXPECT_EQ(0, word_at(addr + PAGE_SIZE));
    EXPECT_EQ(0, fake.nr_page_ins + fake.nr_notifies);
    EXPECT_OK(mm_unmap(current_mm(), addr, 4 * PAGE_SIZE));
    fake_end();
}

TEST_EACH_ALLOC(pager, without_memory_a_fault_fails_and_leaves_nothing)
{
    u64 addr;

    if (!fake_start(4, PAGER_SUPPLIES)) {
        EXPECT_EQ(1, fake.nr_released);
        return;
    }
    addr = test_map_object(fake.object, 4, MAP_PRIVATE);
    if (addr != 0) {
        enum fault_outcome first = touch(addr, FAULT_FLAG_WRITE);

        EXPECT_TRUE(first == FAULT_OK || (first == FAULT_OOM && ktest_alloc_failed()) ||
                    (first == FAULT_SIGBUS && ktest_alloc_failed()));
        EXPECT_OK(mm_unmap(current_mm(), addr, 4 * PAGE_SIZE));
    }
    fake_end();
}
