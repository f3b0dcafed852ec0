/*
 * Fork and copy-on-write: the rows "fork", "write fault" and "unshare fault" of the transition
 * table in section H of the semantics.
 */
#include <mm/frames.h>
#include <mm/rmap.h>
#include "mm_test.h"

TEST(mm, fork_shares_pages_read_only)
{
    u64 addr = test_map(1);
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ((u64)test_page(current_mm(), addr), (u64)test_page(child, addr));
    EXPECT_EQ(2, page_mapcount(test_page(child, addr)));
    EXPECT_EQ(2, page_refcount(test_page(child, addr)));
    EXPECT_FALSE(test_is_exclusive(current_mm(), addr));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), addr)));
    EXPECT_FALSE(pte_is_writable(test_entry(child, addr)));
    EXPECT_EQ(1, mm_rss(child, MM_RSS_ANON));
    mm_put(child);
}

TEST(mm, fork_parent_write_is_not_seen_by_child)
{
    u64 addr = test_map(1);
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_OK(put_user_u64(addr, 2));
    EXPECT_EQ(1, test_peek(child, addr));
    EXPECT_EQ(2, test_peek(current_mm(), addr));
    mm_put(child);
}

TEST(mm, fork_child_write_is_not_seen_by_parent)
{
    u64 addr = test_map(1);
    struct mm *child;
    u64 value = 0;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_TRUE(test_poke(child, addr, 3));
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(1, value);
    EXPECT_EQ(3, test_peek(child, addr));
    mm_put(child);
}

TEST(mm, fork_last_owner_reuses_the_page)
{
    u64 addr = test_map(1);
    struct mm *child;
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    page = test_page(current_mm(), addr);
    ASSERT_OK(mm_fork(current_mm(), &child));
    mm_put(child);
    EXPECT_FALSE(test_is_exclusive(current_mm(), addr));
    EXPECT_OK(put_user_u64(addr, 2));
    EXPECT_EQ((u64)page, (u64)test_page(current_mm(), addr));
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
}

TEST(mm, fork_another_reference_makes_the_writer_copy)
{
    u64 addr = test_map(1);
    struct mm *child;
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    mm_put(child);
    ASSERT_EQ(1, get_user_pages(addr, 1, 0, &page));
    EXPECT_OK(put_user_u64(addr, 2));
    EXPECT_NE((u64)page, (u64)test_page(current_mm(), addr));
    EXPECT_EQ(1, *(u64 *)page_to_virt(page));
    page_put(page);
}

TEST(mm, fork_exclusive_page_is_reused_whatever_refers_to_it)
{
    u64 addr = test_map(1);
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_EQ(1, get_user_pages(addr, 1, 0, &page));
    ASSERT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    ASSERT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ | PROT_WRITE));
    EXPECT_OK(put_user_u64(addr, 2));
    EXPECT_EQ((u64)page, (u64)test_page(current_mm(), addr));
    page_put(page);
}

TEST(mm, fork_pinned_page_stays_with_the_parent)
{
    u64 addr = test_map(2);
    struct mm *child;
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(put_user_u64(addr + PAGE_SIZE, 5));
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE, &page));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ((u64)page, (u64)test_page(current_mm(), addr));
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
    EXPECT_TRUE(pte_is_writable(test_entry(current_mm(), addr)));
    EXPECT_NE((u64)page, (u64)test_page(child, addr));
    EXPECT_TRUE(test_is_exclusive(child, addr));
    EXPECT_TRUE(pte_is_writable(test_entry(child, addr)));
    EXPECT_EQ(1, test_peek(child, addr));
    EXPECT_EQ((u64)test_page(current_mm(), addr + PAGE_SIZE),
              (u64)test_page(child, addr + PAGE_SIZE));
    /* What the holder of the pin writes, the parent reads and the child does not. */
    *(u64 *)page_to_virt(page) = 9;
    EXPECT_EQ(9, test_peek(current_mm(), addr));
    EXPECT_EQ(1, test_peek(child, addr));
    unpin_user_page(page);
    mm_put(child);
}

/* rule I3. */
TEST(mm, fork_of_an_unpinned_page_in_a_pinning_process_shares)
{
    u64 addr = test_map(1);
    struct mm *child;
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE, &page));
    unpin_user_page(page);
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ((u64)page, (u64)test_page(child, addr));
    EXPECT_FALSE(test_is_exclusive(current_mm(), addr));
    mm_put(child);
}

TEST(mm, fork_unshare_reuses_for_the_last_owner_and_stays_read_only)
{
    u64 addr = test_map(1);
    struct mm *child;
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    page = test_page(current_mm(), addr);
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ(FAULT_OK, test_fault(child, addr, FAULT_FLAG_UNSHARE));
    EXPECT_NE((u64)page, (u64)test_page(child, addr));
    EXPECT_TRUE(test_is_exclusive(child, addr));
    EXPECT_FALSE(pte_is_writable(test_entry(child, addr)));
    EXPECT_EQ(1, test_peek(child, addr));
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), addr, FAULT_FLAG_UNSHARE));
    EXPECT_EQ((u64)page, (u64)test_page(current_mm(), addr));
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), addr)));
    mm_put(child);
}

/* rule I4. */
TEST(mm, fork_shared_mapping_stays_shared_and_copies_no_entries)
{
    struct vm_object *object;
    struct mm *child;
    u64 addr;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    addr = test_map_object(object, 1, MAP_SHARED);
    EXPECT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_TRUE(pte_is_none(test_entry(child, addr)));
    EXPECT_TRUE(pte_is_writable(test_entry(current_mm(), addr)));
    EXPECT_TRUE(test_poke(child, addr, 2));
    EXPECT_EQ(2, test_peek(current_mm(), addr));
    mm_put(child);
    object_put(object);
}

TEST(mm, fork_grandchildren_each_see_their_own_memory)
{
    u64 addr = test_map(1);
    struct mm *generations[8];

    ASSERT_OK(put_user_u64(addr, 100));
    ASSERT_OK(mm_fork(current_mm(), &generations[0]));
    for (u32 i = 1; i < ARRAY_SIZE(generations); i++) {
        EXPECT_TRUE(test_poke(generations[i - 1], addr, 100 + i));
        ASSERT_OK(mm_fork(generations[i - 1], &generations[i]));
    }
    EXPECT_EQ(100, test_peek(current_mm(), addr));
    for (u32 i = 0; i + 1 < ARRAY_SIZE(generations); i++) {
        EXPECT_EQ(101 + i, test_peek(generations[i], addr));
    }
    EXPECT_EQ(100 + ARRAY_SIZE(generations) - 1,
              test_peek(generations[ARRAY_SIZE(generations) - 1], addr));
    for (u32 i = 0; i < ARRAY_SIZE(generations); i++) {
        mm_put(generations[i]);
    }
}

static bool count_visit(struct vma *vma, u64 addr, void *arg)
{
    struct pte entry = test_entry(vma->mm, addr);
    u32 *nr_mapped = arg;

    *nr_mapped += pte_is_present(entry) ? 1 : 0;
    return true;
}

TEST(mm, fork_reverse_map_finds_every_entry)
{
    u64 addr = test_map(1);
    struct mm *children[5];
    u32 nr_mapped = 0;

    ASSERT_OK(put_user_u64(addr, 1));
    for (u32 i = 0; i < ARRAY_SIZE(children); i++) {
        ASSERT_OK(mm_fork(i == 0 ? current_mm() : children[i / 2], &children[i]));
    }
    rmap_walk_anon(test_page(current_mm(), addr), count_visit, &nr_mapped);
    EXPECT_EQ(ARRAY_SIZE(children) + 1, nr_mapped);
    EXPECT_EQ(nr_mapped, page_mapcount(test_page(current_mm(), addr)));
    for (u32 i = 0; i < ARRAY_SIZE(children); i++) {
        mm_put(children[i]);
    }
}

TEST(mm, fork_chain_whose_parents_exit_does_not_grow)
{
    u64 addr = test_map(1);
    struct mm *last;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &last));
    for (u32 i = 0; i < 200; i++) {
        struct mm *next;

        EXPECT_TRUE(test_poke(last, addr, i));
        ASSERT_OK(mm_fork(last, &next));
        mm_put(last);
        last = next;
    }
    EXPECT_EQ(199, test_peek(last, addr));
    EXPECT_EQ(1, test_peek(current_mm(), addr));
    mm_put(last);
}

TEST_EACH_ALLOC(mm, fork_fails_cleanly_without_memory)
{
    u64 addr = test_map(4);
    struct mm *child = NULL;
    struct page *page = NULL;
    u64 value = 0;
    int error;

    if (addr == 0 || test_fault(current_mm(), addr, FAULT_FLAG_WRITE) != FAULT_OK ||
        pin_user_pages(addr, 1, FOLL_WRITE, &page) != 1) {
        EXPECT_TRUE(ktest_alloc_failed());
    } else {
        error = mm_fork(current_mm(), &child);
        EXPECT_EQ(ktest_alloc_failed() ? -ENOMEM : 0, error);
        EXPECT_OK(get_user_u64(&value, addr));
        EXPECT_TRUE(pte_is_writable(test_entry(current_mm(), addr)));
        if (error == 0) {
            mm_put(child);
        }
        unpin_user_page(page);
    }
    if (addr != 0) {
        EXPECT_OK(mm_unmap(current_mm(), addr, 4 * PAGE_SIZE));
    }
}
