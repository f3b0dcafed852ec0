/*
 * Clean pages of paged objects when memory is short: they go, come back with what the pager has,
 * and nothing that was written, pinned, locked or supplied is lost.
 */
#include <ipc/iov.h>
#include <mm/frames.h>
#include <mm/gup.h>
#include <mm/reclaim.h>
#include "pager_test.h"

static u64 word_at(u64 addr)
{
    u64 value = ~0ul;

    EXPECT_OK(get_user_u64(&value, addr));
    return value;
}

/* Takes everything that can be taken. Return: pages. */
static u64 reclaim_all(void)
{
    u64 nr_taken = 0;
    u64 nr;

    while ((nr = reclaim_paged(FAKE_PAGES)) != 0) {
        nr_taken += nr;
    }
    return nr_taken;
}

/* A mapping of FAKE_PAGES pages, all of them in memory; 0 without memory. */
static u64 map_touched(enum pager_mode mode, u32 map_flags)
{
    u64 addr;

    if (!fake_start(FAKE_PAGES, mode)) {
        return 0;
    }
    addr = test_map_object(fake.object, FAKE_PAGES, map_flags);
    for (u64 i = 0; i < FAKE_PAGES; i++) {
        EXPECT_EQ(FAKE_WORD(i), word_at(addr + i * PAGE_SIZE));
    }
    return addr;
}

static void unmap_and_end(u64 addr)
{
    EXPECT_OK(mm_unmap(current_mm(), addr, FAKE_PAGES * PAGE_SIZE));
    fake_end();
}

TEST(reclaim, clean_pages_of_a_pager_go_and_come_back)
{
    u64 addr = map_touched(PAGER_SUPPLIES, MAP_SHARED);
    u32 nr_page_ins = fake.nr_page_ins;

    ASSERT_TRUE(addr != 0);
    EXPECT_TRUE(reclaim_all() >= FAKE_PAGES);
    EXPECT_EQ(0, object_nr_pages(fake.object));
    EXPECT_FALSE(pte_is_present(test_entry(current_mm(), addr)));
    EXPECT_EQ(nr_page_ins, fake.nr_page_ins);
    EXPECT_EQ(FAKE_WORD(5), word_at(addr + 5 * PAGE_SIZE));
    EXPECT_EQ(nr_page_ins + 1, fake.nr_page_ins);
    unmap_and_end(addr);
}

TEST(reclaim, what_nobody_maps_goes_first)
{
    u64 addr = map_touched(PAGER_SUPPLIES, MAP_SHARED);
    u64 half = FAKE_PAGES / 2;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(mm_unmap(current_mm(), addr + half * PAGE_SIZE, half * PAGE_SIZE));
    EXPECT_EQ(half, reclaim_paged(FAKE_PAGES));
    EXPECT_EQ(half, object_nr_pages(fake.object));
    for (u64 i = 0; i < half; i++) {
        EXPECT_TRUE(pte_is_present(test_entry(current_mm(), addr + i * PAGE_SIZE)));
    }
    EXPECT_EQ(half, reclaim_paged(FAKE_PAGES));
    EXPECT_OK(mm_unmap(current_mm(), addr, half * PAGE_SIZE));
    fake_end();
}

TEST(reclaim, written_pages_of_a_pager_stay)
{
    u64 addr = map_touched(PAGER_TRACKS, MAP_SHARED);

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr + 3 * PAGE_SIZE, 33));
    (void)reclaim_all();
    EXPECT_EQ(1, object_nr_pages(fake.object));
    EXPECT_EQ(33, word_at(addr + 3 * PAGE_SIZE));
    EXPECT_OK(object_write_back(fake.object, 0, FAKE_PAGES * PAGE_SIZE));
    EXPECT_EQ(33, fake.backing[3]);
    (void)reclaim_all();
    EXPECT_EQ(0, object_nr_pages(fake.object));
    EXPECT_EQ(33, word_at(addr + 3 * PAGE_SIZE));
    unmap_and_end(addr);
}

/* The processor alone knows of the write when the entry goes. */
TEST(reclaim, what_only_the_entry_knows_to_be_written_stays)
{
    u64 addr = map_touched(PAGER_SUPPLIES, MAP_SHARED);

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr + 3 * PAGE_SIZE, 33));
    (void)reclaim_all();
    EXPECT_EQ(1, object_nr_pages(fake.object));
    EXPECT_EQ(33, word_at(addr + 3 * PAGE_SIZE));
    unmap_and_end(addr);
}

TEST(reclaim, private_copies_stay_where_the_file_page_goes)
{
    u64 addr = map_touched(PAGER_SUPPLIES, MAP_PRIVATE);

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr + 3 * PAGE_SIZE, 33));
    (void)reclaim_all();
    EXPECT_EQ(0, object_nr_pages(fake.object));
    EXPECT_EQ(33, word_at(addr + 3 * PAGE_SIZE));
    EXPECT_EQ(FAKE_WORD(4), word_at(addr + 4 * PAGE_SIZE));
    unmap_and_end(addr);
}

TEST(reclaim, pinned_pages_of_a_pager_stay)
{
    u64 addr = map_touched(PAGER_SUPPLIES, MAP_SHARED);
    struct page *page;

    ASSERT_TRUE(addr != 0);
    EXPECT_EQ(1, pin_user_pages(addr + 3 * PAGE_SIZE, 1, 0, &page));
    (void)reclaim_all();
    EXPECT_EQ(1, object_nr_pages(fake.object));
    EXPECT_TRUE(test_page(current_mm(), addr + 3 * PAGE_SIZE) == page);
    unpin_user_page(page);
    (void)reclaim_all();
    EXPECT_EQ(0, object_nr_pages(fake.object));
    unmap_and_end(addr);
}

TEST(reclaim, locked_memory_keeps_the_pages_of_a_pager)
{
    u64 addr = map_touched(PAGER_SUPPLIES, MAP_SHARED);

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(mm_lock_range(current_mm(), addr + 3 * PAGE_SIZE, 2 * PAGE_SIZE, 0));
    (void)reclaim_all();
    EXPECT_EQ(2, object_nr_pages(fake.object));
    EXPECT_TRUE(pte_is_present(test_entry(current_mm(), addr + 4 * PAGE_SIZE)));
    unmap_and_end(addr);
}

/* Else what it supplies, in order to be settled, would turn to zeros. */
TEST(reclaim, an_object_that_its_pager_supplies_is_left_alone)
{
    u64 addr = map_touched(PAGER_SUPPLIES, MAP_SHARED);
    u64 word = 7;
    struct iov_iter iter;

    ASSERT_TRUE(addr != 0);
    iov_init_kernel(&iter, &word, 0);
    EXPECT_EQ(0, object_supply(fake.object, 0, &iter));
    (void)reclaim_all();
    EXPECT_EQ(FAKE_PAGES, object_nr_pages(fake.object));
    EXPECT_OK(object_settle(fake.object));
    (void)reclaim_all();
    EXPECT_EQ(FAKE_WORD(4), word_at(addr + 4 * PAGE_SIZE));
    unmap_and_end(addr);
}

/* --- without frames ----------------------------------------------------------------------------
 */

#define FEW_FRAMES 300

static void give_frames(struct list_node *taken, u64 nr_frames)
{
    for (; nr_frames != 0 && !list_is_empty(taken); nr_frames--) {
        struct page *page = list_first_entry(taken, struct page, link);

        list_del(&page->link);
        page_put(page);
    }
}

/* All frames that user memory may have, but a few; in a list by their links. */
static void take_frames(struct list_node *taken)
{
    struct page *page;

    while ((page = page_alloc(0, ALLOC_USER)) != NULL) {
        list_add_tail(taken, &page->link);
    }
    give_frames(taken, FEW_FRAMES);
}

TEST(reclaim, a_mapping_larger_than_memory_can_be_read)
{
    const u64 nr_pages = 4 * FEW_FRAMES;
    struct list_node taken = LIST_INIT(taken);
    u64 nr_wrong = 0;
    u64 addr;

    ASSERT_TRUE(fake_start(nr_pages, PAGER_SUPPLIES));
    addr = test_map_object(fake.object, nr_pages, MAP_SHARED);
    take_frames(&taken);
    for (u64 i = 0; i < nr_pages; i++) {
        nr_wrong += word_at(addr + i * PAGE_SIZE) != FAKE_WORD(i);
    }
    give_frames(&taken, U64_MAX);
    EXPECT_EQ(0, nr_wrong);
    EXPECT_TRUE(object_nr_pages(fake.object) < nr_pages);
    EXPECT_OK(mm_unmap(current_mm(), addr, nr_pages * PAGE_SIZE));
    fake_end();
}

/* --- races ------------------------------------------------------------------------------------ */

static struct {
    u64 addr;
    u64 seen;
    int error;
} race;

static void prepare(void)
{
    EXPECT_TRUE(fake_start(2, PAGER_SUPPLIES));
    race.addr = test_map_object(fake.object, 2, MAP_SHARED);
    EXPECT_EQ(FAKE_WORD(0), word_at(race.addr));
}

static void prepare_unmapped(void)
{
    prepare();
    EXPECT_OK(mm_unmap(current_mm(), race.addr, 2 * PAGE_SIZE));
    race.addr = test_map_object(fake.object, 2, MAP_SHARED);
}

static void cleanup(void)
{
    EXPECT_OK(mm_unmap(current_mm(), race.addr, 2 * PAGE_SIZE));
    fake_end();
}

static void op_reclaim(void)
{
    (void)reclaim_paged(2);
}

static void op_read(void)
{
    race.error = get_user_u64(&race.seen, race.addr);
}

static void op_write(void)
{
    race.error = put_user_u64(race.addr, 2);
}

static void op_pin(void)
{
    struct page *page;

    race.seen = 0;
    if (pin_user_pages_fast(race.addr, 1, FOLL_WRITE, &page) == 1) {
        *(u64 *)page_to_virt(page) = 2;
        unpin_user_pages_dirty_lock(&page, 1);
    }
    race.error = 0;
}

static void check_seen(void)
{
    EXPECT_OK(race.error);
    EXPECT_EQ(FAKE_WORD(0), race.seen);
    EXPECT_EQ(FAKE_WORD(0), word_at(race.addr));
}

static void check_written(void)
{
    EXPECT_OK(race.error);
    EXPECT_EQ(2, word_at(race.addr));
}

TEST_EXPLORE(race, reclaim_of_a_paged_page_against_a_fault)
{
    static const struct explore reads = {
        .nr_ops = 2,
        .nr_preemptions = 2,
        .prepare = prepare_unmapped,
        .ops = {op_read, op_reclaim},
        .check = check_seen,
        .cleanup = cleanup,
    };

    EXPECT_NE(0, explore_run(&reads));
}

TEST_EXPLORE(race, reclaim_of_a_paged_page_against_a_write)
{
    static const struct explore writes = {
        .nr_ops = 2,
        .nr_preemptions = 2,
        .prepare = prepare,
        .ops = {op_write, op_reclaim},
        .check = check_written,
        .cleanup = cleanup,
    };

    EXPECT_NE(0, explore_run(&writes));
}

TEST_EXPLORE(race, reclaim_of_a_paged_page_against_a_pin)
{
    static const struct explore pins = {
        .nr_ops = 2,
        .nr_preemptions = 2,
        .prepare = prepare,
        .ops = {op_pin, op_reclaim},
        .check = check_written,
        .cleanup = cleanup,
    };

    EXPECT_NE(0, explore_run(&pins));
}
