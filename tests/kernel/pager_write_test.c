/*
 * Paged objects whose pager hears of writes: when it is told, what it gets, and that no write is
 * lost between the two (G1); and faults on such objects in every order with what changes them.
 */
#include <mm/clear_refs.h>
#include <mm/frames.h>
#include "pager_test.h"
#include "sched_test.h"

static u64 map_tracked(u64 nr_pages)
{
    return fake_start(nr_pages, PAGER_TRACKS) ? test_map_object(fake.object, nr_pages, MAP_SHARED)
                                              : 0;
}

static void unmap_and_end(u64 addr, u64 nr_pages)
{
    EXPECT_OK(mm_unmap(current_mm(), addr, nr_pages * PAGE_SIZE));
    fake_end();
}

static bool is_writable(u64 addr)
{
    return pte_is_writable(test_entry(current_mm(), addr));
}

TEST(pager, the_first_write_to_a_clean_page_is_told)
{
    u64 addr = map_tracked(4);

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 1));
    EXPECT_EQ(1, fake.nr_notifies);
    EXPECT_EQ(0, fake.last_offset);
    EXPECT_OK(put_user_u64(addr + 8, 1));
    EXPECT_EQ(1, fake.nr_notifies);
    /* The neighbours came with it, but to be read only. */
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), addr + PAGE_SIZE, 0));
    EXPECT_FALSE(is_writable(addr + PAGE_SIZE));
    EXPECT_OK(put_user_u64(addr + PAGE_SIZE, 1));
    EXPECT_EQ(2, fake.nr_notifies);
    EXPECT_EQ(PAGE_SIZE, fake.last_offset);
    unmap_and_end(addr, 4);
}

TEST(pager, a_refused_write_is_a_sigbus)
{
    u64 addr = map_tracked(1);

    ASSERT_TRUE(addr != 0);
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), addr, 0));
    fake.answer = -ENOSPC;
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), addr, FAULT_FLAG_WRITE));
    EXPECT_FALSE(page_is_dirty(test_page(current_mm(), addr)));
    fake.answer = 0;
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), addr, FAULT_FLAG_WRITE));
    unmap_and_end(addr, 1);
}

TEST(pager, written_pages_are_handed_over_and_then_clean)
{
    u64 addr = map_tracked(8);
    u64 other;

    ASSERT_TRUE(addr != 0);
    other = test_map_object(fake.object, 8, MAP_SHARED);
    EXPECT_OK(put_user_u64(addr + 2 * PAGE_SIZE, 22));
    EXPECT_OK(put_user_u64(other + 3 * PAGE_SIZE, 33));
    EXPECT_OK(put_user_u64(addr + 6 * PAGE_SIZE, 66));
    EXPECT_OK(object_write_back(fake.object, 0, 8 * PAGE_SIZE));
    EXPECT_EQ(2, fake.nr_write_backs);
    EXPECT_EQ(22, fake.backing[2]);
    EXPECT_EQ(33, fake.backing[3]);
    EXPECT_EQ(66, fake.backing[6]);
    EXPECT_FALSE(is_writable(addr + 2 * PAGE_SIZE));
    EXPECT_FALSE(is_writable(other + 3 * PAGE_SIZE));
    EXPECT_OK(object_write_back(fake.object, 0, 8 * PAGE_SIZE));
    EXPECT_EQ(2, fake.nr_write_backs);
    EXPECT_OK(put_user_u64(addr + 2 * PAGE_SIZE, 23));
    EXPECT_EQ(4, fake.nr_notifies);
    EXPECT_OK(mm_unmap(current_mm(), other, 8 * PAGE_SIZE));
    unmap_and_end(addr, 8);
}

TEST(pager, msync_hands_over_its_range_alone)
{
    u64 addr = map_tracked(4);

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 1));
    EXPECT_OK(put_user_u64(addr + 3 * PAGE_SIZE, 3));
    EXPECT_OK(mm_sync(current_mm(), addr + PAGE_SIZE, 3 * PAGE_SIZE, MS_ASYNC));
    EXPECT_EQ(0, fake.nr_write_backs);
    EXPECT_OK(mm_sync(current_mm(), addr + PAGE_SIZE, 2 * PAGE_SIZE, MS_SYNC));
    EXPECT_EQ(0, fake.nr_write_backs);
    EXPECT_OK(mm_sync(current_mm(), addr + PAGE_SIZE, 3 * PAGE_SIZE, MS_SYNC));
    EXPECT_EQ(1, fake.nr_write_backs);
    EXPECT_EQ(3, fake.backing[3]);
    EXPECT_EQ(FAKE_WORD(0), fake.backing[0]);
    unmap_and_end(addr, 4);
}

TEST(pager, what_it_does_not_take_stays_written)
{
    u64 addr = map_tracked(4);

    ASSERT_TRUE(addr != 0);
    for (u64 i = 0; i < 4; i++) {
        EXPECT_OK(put_user_u64(addr + i * PAGE_SIZE, i + 1));
    }
    fake.answer = -EIO;
    EXPECT_ERR(-EIO, mm_sync(current_mm(), addr, 4 * PAGE_SIZE, MS_SYNC));
    fake.answer = 100;
    EXPECT_ERR(-EIO, mm_sync(current_mm(), addr, 4 * PAGE_SIZE, MS_SYNC));
    fake.answer = 5 * PAGE_SIZE;
    EXPECT_ERR(-EIO, mm_sync(current_mm(), addr, 4 * PAGE_SIZE, MS_SYNC));
    /* Two pages, again and again, until all are taken. */
    fake.answer = 2 * PAGE_SIZE;
    EXPECT_OK(mm_sync(current_mm(), addr, 4 * PAGE_SIZE, MS_SYNC));
    EXPECT_EQ(1, fake.backing[0]);
    EXPECT_EQ(4, fake.backing[3]);
    EXPECT_EQ(5, fake.nr_write_backs);
    unmap_and_end(addr, 4);
}

TEST(pager, what_was_unmapped_is_still_handed_over)
{
    u64 addr = map_tracked(1);

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 5));
    EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    EXPECT_OK(object_write_back(fake.object, 0, PAGE_SIZE));
    EXPECT_EQ(5, fake.backing[0]);
    fake_end();
}

TEST(pager, no_way_to_write_passes_the_pager)
{
    u64 addr = map_tracked(1);
    struct page *page;

    ASSERT_TRUE(addr != 0);
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), addr, 0));
    EXPECT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    EXPECT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ | PROT_WRITE));
    EXPECT_FALSE(is_writable(addr));
    EXPECT_ERR(-EFAULT, pin_user_pages(addr, 1, FOLL_WRITE | FOLL_LONGTERM, &page));
    EXPECT_EQ(0, fake.nr_notifies);
    EXPECT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE, &page));
    EXPECT_EQ(1, fake.nr_notifies);
    unpin_user_pages_dirty_lock(&page, 1);
    EXPECT_TRUE(test_poke(current_mm(), addr, 4));
    EXPECT_OK(object_write_back(fake.object, 0, PAGE_SIZE));
    EXPECT_EQ(4, fake.backing[0]);
    unmap_and_end(addr, 1);
}

static int killed_result;

static void write_back_thread(void *arg)
{
    killed_result = object_write_back(fake.object, 0, PAGE_SIZE);
}

TEST(pager, who_hangs_in_a_write_back_can_be_killed)
{
    struct crew crew = {.nr_threads = 0};
    struct thread *thread;
    u64 addr = map_tracked(1);

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 5));
    fake.hangs = true;
    thread = crew_add(&crew, write_back_thread, NULL);
    ASSERT_TRUE(thread != NULL);
    test_wait_asleep(thread);
    test_kill(thread);
    crew_join(&crew);
    EXPECT_ERR(-EINTR, killed_result);
    fake.hangs = false;
    EXPECT_OK(object_write_back(fake.object, 0, PAGE_SIZE));
    EXPECT_EQ(5, fake.backing[0]);
    unmap_and_end(addr, 1);
}

/* --- every order ------------------------------------------------------------------------------ */

static struct {
    u64 addr;
    enum fault_outcome outcome[2];
    int error;
} race;

static void prepare_two_pages(void)
{
    race.addr = map_tracked(2);
    EXPECT_NE(0, race.addr);
}

static void prepare_written(void)
{
    prepare_two_pages();
    EXPECT_OK(put_user_u64(race.addr, 1));
}

static void cleanup_two_pages(void)
{
    unmap_and_end(race.addr, 2);
}

static void op_read(void)
{
    race.outcome[0] = test_fault(current_mm(), race.addr, FAULT_FLAG_USER);
}

static void op_read_too(void)
{
    race.outcome[1] = test_fault(current_mm(), race.addr, FAULT_FLAG_USER);
}

static void op_write(void)
{
    race.error = put_user_u64(race.addr, 2);
}

static void op_write_back(void)
{
    EXPECT_OK(object_write_back(fake.object, 0, 2 * PAGE_SIZE));
}

static void op_cut(void)
{
    EXPECT_OK(object_truncate(fake.object, 0));
}

static void op_settle(void)
{
    EXPECT_OK(object_settle(fake.object));
}

static void check_both_read(void)
{
    EXPECT_EQ(FAULT_OK, race.outcome[0]);
    EXPECT_EQ(FAULT_OK, race.outcome[1]);
    EXPECT_EQ(1, fake.nr_page_ins);
}

TEST_EXPLORE(race, two_faults_ask_a_pager_once)
{
    static const struct explore faults = {
        .nr_ops = 2,
        .nr_preemptions = 2,
        .prepare = prepare_two_pages,
        .ops = {op_read, op_read_too},
        .check = check_both_read,
        .cleanup = cleanup_two_pages,
    };

    EXPECT_NE(0, explore_run(&faults));
}

static void check_cut(void)
{
    EXPECT_TRUE(race.outcome[0] == FAULT_OK || race.outcome[0] == FAULT_SIGBUS);
    EXPECT_EQ(0, object_nr_pages(fake.object));
    EXPECT_FALSE(pte_is_present(test_entry(current_mm(), race.addr)));
}

TEST_EXPLORE(race, a_page_that_comes_after_a_truncation_is_not_entered)
{
    static const struct explore cut = {
        .nr_ops = 2,
        .nr_preemptions = 2,
        .prepare = prepare_two_pages,
        .ops = {op_read, op_cut},
        .check = check_cut,
        .cleanup = cleanup_two_pages,
    };

    EXPECT_NE(0, explore_run(&cut));
}

static void check_settled(void)
{
    u64 value = 0;

    EXPECT_EQ(FAULT_OK, race.outcome[0]);
    EXPECT_OK(get_user_u64(&value, race.addr));
    EXPECT_TRUE(value == 0 || value == FAKE_WORD(0));
}

TEST_EXPLORE(race, a_fault_meets_the_end_of_the_pager)
{
    static const struct explore settle = {
        .nr_ops = 2,
        .nr_preemptions = 2,
        .prepare = prepare_two_pages,
        .ops = {op_read, op_settle},
        .check = check_settled,
        .cleanup = cleanup_two_pages,
    };

    EXPECT_NE(0, explore_run(&settle));
}

/* G1: what the pager does not have, the next write-back brings. */
static void check_nothing_lost(void)
{
    EXPECT_OK(race.error);
    EXPECT_TRUE(!is_writable(race.addr) || page_is_dirty(test_page(current_mm(), race.addr)));
    op_write_back();
    EXPECT_EQ(2, fake.backing[0]);
}

TEST_EXPLORE(race, a_write_during_a_write_back_is_not_lost)
{
    static const struct explore writes = {
        .nr_ops = 2,
        .nr_preemptions = 3,
        .prepare = prepare_written,
        .ops = {op_write, op_write_back},
        .check = check_nothing_lost,
        .cleanup = cleanup_two_pages,
    };

    EXPECT_NE(0, explore_run(&writes));
}

static void prepare_clean(void)
{
    prepare_written();
    op_write_back();
}

static void op_write_second(void)
{
    race.outcome[0] = put_user_u64(race.addr + 8, 3) == 0 ? FAULT_OK : FAULT_SIGBUS;
}

TEST_EXPLORE(race, two_first_writes_and_a_write_back)
{
    static const struct explore writes = {
        .nr_ops = 3,
        .nr_preemptions = 2,
        .prepare = prepare_clean,
        .ops = {op_write, op_write_back, op_write_second},
        .check = check_nothing_lost,
        .cleanup = cleanup_two_pages,
    };

    EXPECT_NE(0, explore_run(&writes));
}
