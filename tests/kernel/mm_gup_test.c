/*
 * References and pins: what they keep, what they refuse, and that a read is never a write.
 */
#include <lib/string.h>
#include "mm_test.h"

TEST(mm, gup_get_returns_the_mapped_pages)
{
    u64 addr = test_map(4);
    struct page *pages[4];

    ASSERT_TRUE(addr != 0);
    ASSERT_EQ(4, get_user_pages(addr, 4, FOLL_WRITE, pages));
    for (u32 i = 0; i < 4; i++) {
        EXPECT_EQ((u64)test_page(current_mm(), addr + i * PAGE_SIZE), (u64)pages[i]);
        EXPECT_EQ(2, page_refcount(pages[i]));
        EXPECT_EQ(0, page_pincount(pages[i]));
        page_put(pages[i]);
    }
}

TEST(mm, gup_fast_and_slow_agree)
{
    u64 addr = test_map(600);
    static struct page *slow[600], *fast[600];

    ASSERT_TRUE(addr != 0);
    ASSERT_EQ(600, pin_user_pages(addr, 600, FOLL_WRITE, slow));
    ASSERT_EQ(600, pin_user_pages_fast(addr, 600, FOLL_WRITE, fast));
    for (u32 i = 0; i < 600; i++) {
        EXPECT_EQ((u64)slow[i], (u64)fast[i]);
        EXPECT_EQ(2, page_pincount(slow[i]));
    }
    unpin_user_pages(slow, 600);
    unpin_user_pages_dirty_lock(fast, 600);
    EXPECT_EQ(0, page_pincount(slow[0]));
    EXPECT_EQ(1, page_refcount(slow[0]));
}

/* J14. */
TEST(mm, gup_stops_at_a_hole)
{
    u64 addr = test_map(3);
    struct page *pages[3];

    ASSERT_TRUE(addr != 0);
    ASSERT_OK(mm_unmap(current_mm(), addr + PAGE_SIZE, PAGE_SIZE));
    ASSERT_EQ(1, get_user_pages(addr, 3, 0, pages));
    page_put(pages[0]);
    EXPECT_ERR(-EFAULT, get_user_pages(addr + PAGE_SIZE, 1, 0, pages));
}

TEST(mm, gup_checks_the_vma)
{
    u64 read_only = test_map_prot(1, PROT_READ);
    u64 write_only = test_map_prot(1, PROT_WRITE);
    u64 none = test_map_prot(1, PROT_NONE);
    struct page *page;

    EXPECT_ERR(-EFAULT, pin_user_pages(read_only, 1, FOLL_WRITE, &page));
    EXPECT_ERR(-EFAULT, pin_user_pages(write_only, 1, 0, &page));
    EXPECT_ERR(-EFAULT, pin_user_pages(none, 1, 0, &page));
    ASSERT_EQ(1, pin_user_pages(none, 1, FOLL_FORCE, &page));
    unpin_user_page(page);
}

TEST(mm, gup_force_writes_to_a_private_copy)
{
    u64 addr = test_map(1);
    struct page *page;
    u64 value = 0;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE | FOLL_FORCE, &page));
    *(u64 *)page_to_virt(page) = 2;
    unpin_user_pages_dirty_lock(&page, 1);
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(2, value);
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), addr)));
    EXPECT_ERR(-EFAULT, put_user_u64(addr, 3));
}

/* J8, J9, J10. */
TEST(mm, gup_read_pin_of_a_shared_page_unshares_it)
{
    u64 addr = test_map(1);
    struct mm *child;
    struct page *page;
    u64 value = 0;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, 0, &page));
    EXPECT_TRUE(page_is_anon_exclusive(page));
    EXPECT_NE((u64)page, (u64)test_page(child, addr));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), addr)));
    /* The pin sees later writes of its process: the page is reused, not copied. */
    EXPECT_OK(put_user_u64(addr, 2));
    EXPECT_EQ(2, *(u64 *)page_to_virt(page));
    EXPECT_EQ((u64)page, (u64)test_page(current_mm(), addr));
    unpin_user_page(page);
    EXPECT_EQ(1, test_peek(child, addr));
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(2, value);
    mm_put(child);
}

TEST(mm, gup_break_cow_of_a_shared_page_is_not_a_write)
{
    u64 addr = test_map(1);
    struct mm *child;
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    ASSERT_EQ(1, get_user_pages_fast(addr, 1, FOLL_BREAK_COW, &page));
    EXPECT_TRUE(page_is_anon_exclusive(page));
    EXPECT_NE((u64)page, (u64)test_page(child, addr));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), addr)));
    page_put(page);
    mm_put(child);
}

/* J8. */
TEST(mm, gup_longterm_read_pin_of_the_zero_page_gets_a_private_page)
{
    u64 addr = test_map(1);
    struct page *page;

    ASSERT_TRUE(addr != 0);
    ASSERT_EQ(1, pin_user_pages(addr, 1, 0, &page));
    EXPECT_EQ((u64)zero_page(), (u64)page);
    unpin_user_page(page);
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_LONGTERM, &page));
    EXPECT_NE((u64)zero_page(), (u64)page);
    EXPECT_TRUE(page_is_anon_exclusive(page));
    EXPECT_OK(put_user_u64(addr, 4));
    EXPECT_EQ(4, *(u64 *)page_to_virt(page));
    unpin_user_page(page);
}

TEST(mm, gup_pin_survives_unmapping_of_its_address)
{
    u64 addr = test_map(1);
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 8));
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE, &page));
    EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    EXPECT_EQ(1, page_refcount(page));
    EXPECT_EQ(8, *(u64 *)page_to_virt(page));
    unpin_user_page(page);
}

TEST(mm, gup_remote_copy_crosses_pages_and_breaks_cow)
{
    u64 addr = test_map(3);
    struct mm *child;
    static char text[3 * 4096];
    static char back[3 * 4096];

    ASSERT_TRUE(addr != 0);
    for (u32 i = 0; i < sizeof(text); i++) {
        text[i] = (char)(i * 7 + i / 4096);
    }
    ASSERT_OK(copy_to_user(addr, text, sizeof(text)));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ(8000, mm_copy_remote(child, addr + 100, back, 8000, REMOTE_READ));
    EXPECT_EQ(0, memcmp(back, text + 100, 8000));
    memset(back, 0x5a, sizeof(back));
    EXPECT_EQ(5000, mm_copy_remote(child, addr + 3000, back, 5000, REMOTE_WRITE));
    EXPECT_OK(copy_from_user(back, addr, sizeof(back)));
    EXPECT_EQ(0, memcmp(back, text, sizeof(text)));
    EXPECT_EQ(0x5a5a5a5a5a5a5a5aull, test_peek(child, addr + 3000));
    mm_put(child);
}

TEST(mm, gup_copy_between_moves_bytes_both_ways)
{
    u64 addr = test_map(4);
    struct mm *child;
    u64 value = 0;

    ASSERT_OK(put_user_u64(addr + 4092, 0x1122334455667788ull));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ(8, mm_copy_between(current_mm(), addr + 2 * PAGE_SIZE + 1, child, addr + 4092, 8));
    EXPECT_OK(get_user_u64(&value, addr + 2 * PAGE_SIZE + 1));
    EXPECT_EQ(0x1122334455667788ull, value);
    EXPECT_EQ(8, mm_copy_between(child, addr + 3 * PAGE_SIZE - 3, current_mm(), addr + 4092, 8));
    EXPECT_EQ(0x1122334455667788ull, test_peek(child, addr + 3 * PAGE_SIZE - 3));
    EXPECT_EQ(8, mm_copy_between(child, addr, child, addr + 4092, 8));
    EXPECT_EQ(0x1122334455667788ull, test_peek(child, addr));
    EXPECT_ERR(-EFAULT, mm_copy_between(child, 0x1000, current_mm(), addr, 8));
    EXPECT_ERR(-EFAULT, mm_copy_between(current_mm(), addr, child, TASK_SIZE, 8));
    EXPECT_EQ(4096, mm_copy_between(current_mm(), addr, child, addr + 3 * PAGE_SIZE, 8192));
    mm_put(child);
}

TEST(mm, gup_futex_key_names_shared_words_alike)
{
    struct vm_object *object;
    struct futex_key a, b, c;
    u64 first, second, private;

    ASSERT_OK(object_create_shmem(2 * PAGE_SIZE, &object));
    first = test_map_object(object, 2, MAP_SHARED);
    second = test_map_object(object, 2, MAP_SHARED);
    private = test_map(1);
    EXPECT_OK(mm_futex_key(current_mm(), first + PAGE_SIZE + 4, FUTEX_SCOPE_SHARED, &a));
    EXPECT_OK(mm_futex_key(current_mm(), second + PAGE_SIZE + 4, FUTEX_SCOPE_SHARED, &b));
    EXPECT_TRUE(a.owner == b.owner && a.offset == b.offset);
    EXPECT_OK(mm_futex_key(current_mm(), private, FUTEX_SCOPE_SHARED, &b));
    EXPECT_OK(mm_futex_key(current_mm(), private, FUTEX_SCOPE_PRIVATE, &c));
    EXPECT_TRUE(b.owner == c.owner && b.offset == c.offset);
    EXPECT_ERR(-EFAULT, mm_futex_key(current_mm(), 0x1000, FUTEX_SCOPE_SHARED, &c));
    EXPECT_ERR(-EFAULT, mm_futex_key(current_mm(), TASK_SIZE, FUTEX_SCOPE_PRIVATE, &c));
    object_put(object);
}
