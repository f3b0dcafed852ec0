/*
 * Unmapping: pages, counts and tables go, neighbours stay.
 */
#include <mm/frames.h>
#include "mm_test.h"

TEST(mm, zap_frees_pages_and_tables)
{
    u64 tables = mm_rss_total(current_mm());
    u64 before = frames_held_count();
    u64 addr = test_map(600);

    ASSERT_TRUE(addr != 0);
    for (u64 i = 0; i < 600; i++) {
        EXPECT_OK(put_user_u64(addr + i * PAGE_SIZE, i));
    }
    EXPECT_EQ(600, mm_rss(current_mm(), MM_RSS_ANON));
    EXPECT_OK(mm_unmap(current_mm(), addr, 600 * PAGE_SIZE));
    EXPECT_EQ(0, tables + mm_rss_total(current_mm()));
    EXPECT_EQ(before, frames_held_count());
    EXPECT_EQ(PAGE_SIZE, atomic_u64_load(&current_mm()->pgtable_bytes));
}

TEST(mm, zap_of_the_middle_leaves_both_sides)
{
    u64 addr = test_map(3);
    u64 value = 0;

    ASSERT_TRUE(addr != 0);
    for (u64 i = 0; i < 3; i++) {
        EXPECT_OK(put_user_u64(addr + i * PAGE_SIZE, i + 1));
    }
    EXPECT_OK(mm_unmap(current_mm(), addr + PAGE_SIZE, PAGE_SIZE));
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(1, value);
    EXPECT_ERR(-EFAULT, get_user_u64(&value, addr + PAGE_SIZE));
    EXPECT_OK(get_user_u64(&value, addr + 2 * PAGE_SIZE));
    EXPECT_EQ(3, value);
}

TEST(mm, zap_dontneed_gives_zeros_again)
{
    u64 addr = test_map(2);
    u64 value = 1;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 5));
    EXPECT_OK(put_user_u64(addr + PAGE_SIZE, 6));
    EXPECT_OK(mm_advise(current_mm(), addr, PAGE_SIZE, MADV_DONTNEED));
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(0, value);
    EXPECT_OK(get_user_u64(&value, addr + PAGE_SIZE));
    EXPECT_EQ(6, value);
}

TEST(mm, zap_sparse_range_frees_every_table)
{
    u64 nr_pages = (4 * GIB) / PAGE_SIZE;
    struct map_request req = {.len = 4 * GIB,
                              .prot = PROT_READ | PROT_WRITE,
                              .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE};
    u64 addr = 0;

    ASSERT_OK(mm_map(current_mm(), &req, &addr));
    for (u64 i = 0; i < nr_pages; i += nr_pages / 7) {
        EXPECT_OK(put_user_u64(addr + i * PAGE_SIZE, i));
    }
    EXPECT_OK(mm_unmap(current_mm(), addr, 4 * GIB));
    EXPECT_EQ(PAGE_SIZE, atomic_u64_load(&current_mm()->pgtable_bytes));
}

TEST(mm, zap_next_to_a_mapping_keeps_its_table)
{
    u64 addr = test_map(2);
    u64 value = 0;
    u64 bytes;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 1));
    EXPECT_OK(put_user_u64(addr + PAGE_SIZE, 2));
    bytes = atomic_u64_load(&current_mm()->pgtable_bytes);
    EXPECT_OK(mm_unmap(current_mm(), addr + PAGE_SIZE, PAGE_SIZE));
    EXPECT_EQ(bytes, atomic_u64_load(&current_mm()->pgtable_bytes));
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(1, value);
}

TEST(mm, zap_mremap_moves_the_same_pages)
{
    u64 addr = test_map(600);
    u64 target = 0;
    u64 value = 0;
    struct page *first, *last;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 1));
    EXPECT_OK(put_user_u64(addr + 599 * PAGE_SIZE, 2));
    first = test_page(current_mm(), addr);
    last = test_page(current_mm(), addr + 599 * PAGE_SIZE);
    ASSERT_TRUE(test_map(1) != 0);
    ASSERT_OK(mm_remap(current_mm(), addr, 600 * PAGE_SIZE, 1200 * PAGE_SIZE, MREMAP_MAYMOVE, 0,
                       &target));
    EXPECT_NE(addr, target);
    EXPECT_EQ((u64)first, (u64)test_page(current_mm(), target));
    EXPECT_EQ((u64)last, (u64)test_page(current_mm(), target + 599 * PAGE_SIZE));
    EXPECT_OK(get_user_u64(&value, target + 599 * PAGE_SIZE));
    EXPECT_EQ(2, value);
    EXPECT_ERR(-EFAULT, get_user_u64(&value, addr));
}
