/*
 * The rules J13 to J19 of the semantics: what a call returns, what it leaves behind when it fails,
 * and what becomes of a page while it is held and after.
 */
#include <proc/process.h>
#include <proc/signal.h>
#include "mm_test.h"
#include "proc_test.h"

/* J13 */

static void place_marker(u64 addr, u32 markers)
{
    struct pt_cursor cursor;

    ASSERT_OK(cursor_prepare(&cursor, current_mm(), addr));
    cursor_lock(&cursor);
    cursor_set(&cursor, markers != 0 ? pte_make_marker(markers) : pte_none());
    cursor_unlock(&cursor);
}

/* J13. */
TEST(gup, poisoned_memory_is_ehwpoison_for_those_who_ask)
{
    u64 addr = test_map(1);
    struct page *page;

    place_marker(addr, PTE_MARKER_POISON);
    EXPECT_ERR(-EFAULT, pin_user_pages(addr, 1, FOLL_WRITE, &page));
    EXPECT_ERR(-EFAULT, pin_user_pages_fast(addr, 1, 0, &page));
    EXPECT_ERR(-EHWPOISON, pin_user_pages(addr, 1, FOLL_HWPOISON, &page));
    place_marker(addr, PTE_MARKER_GUARD);
    EXPECT_ERR(-EFAULT, pin_user_pages(addr, 1, FOLL_HWPOISON, &page));
    place_marker(addr, 0);
}

/* J13. */
TEST(gup, memory_beyond_the_object_is_efault)
{
    struct vm_object *object;
    struct page *page;
    u64 addr;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    addr = test_map_object(object, 2, MAP_SHARED);
    EXPECT_ERR(-EFAULT, pin_user_pages(addr + PAGE_SIZE, 1, FOLL_HWPOISON, &page));
    ASSERT_EQ(1, pin_user_pages(addr, 2, 0, &page));
    unpin_user_page(page);
    object_put(object);
}

/* J13. */
TEST_EACH_ALLOC(gup, lack_of_memory_is_enomem_and_nothing_stays_pinned)
{
    u64 addr = test_map(3);
    struct page *pages[3];
    s64 nr;

    if (addr == 0) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    nr = pin_user_pages(addr, 3, FOLL_WRITE, pages);
    if (nr < 0) {
        EXPECT_ERR(-ENOMEM, nr);
        EXPECT_TRUE(ktest_alloc_failed());
    } else {
        EXPECT_TRUE(nr == 3 || ktest_alloc_failed());
        unpin_user_pages(pages, (u64)nr);
    }
    EXPECT_OK(mm_unmap(current_mm(), addr, 3 * PAGE_SIZE));
}

TEST_EACH_ALLOC(gup, lack_of_memory_for_a_private_copy_leaves_the_mapping_as_it_was)
{
    struct vm_object *object;
    struct page *page;
    u64 addr;
    s64 nr;

    if (object_create_shmem(PAGE_SIZE, &object) != 0) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    addr = test_map_object(object, 1, MAP_PRIVATE);
    if (addr != 0) {
        nr = pin_user_pages_fast(addr, 1, FOLL_LONGTERM, &page);
        EXPECT_ERR(ktest_alloc_failed() ? -ENOMEM : 1, nr);
        if (nr == 1) {
            unpin_user_page(page);
        }
        EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    } else {
        EXPECT_TRUE(ktest_alloc_failed());
    }
    object_put(object);
}

static void body_killed(void)
{
    struct page *pages[2];

    EXPECT_OK(put_user_u64(PROGRAM_DATA, 1));
    EXPECT_OK(signal_send_process(current_process(), SIGKILL, NULL));
    EXPECT_TRUE(fatal_signal_pending(current_thread()));
    EXPECT_EQ(1, pin_user_pages(PROGRAM_DATA, 1, 0, pages));
    unpin_user_page(pages[0]);
    EXPECT_ERR(-EINTR, pin_user_pages(PROGRAM_STACK - PAGE_SIZE, 1, FOLL_WRITE, pages));
    EXPECT_ERR(-EINTR, pin_user_pages_fast(PROGRAM_STACK - PAGE_SIZE, 1, 0, pages));
}

/* J13. */
TEST(gup, a_dying_thread_faults_nothing_in)
{
    proc_test_run(body_killed);
}

/* J14. */
TEST(gup, what_could_be_taken_in_front_of_an_error_counts)
{
    u64 addr = test_map(3);
    struct page *pages[3];

    ASSERT_OK(mm_unmap(current_mm(), addr + 2 * PAGE_SIZE, PAGE_SIZE));
    ASSERT_EQ(2, pin_user_pages(addr, 3, FOLL_WRITE, pages));
    unpin_user_pages(pages, 2);
    ASSERT_EQ(2, pin_user_pages_fast(addr, 3, FOLL_WRITE, pages));
    unpin_user_pages(pages, 2);
    EXPECT_ERR(-EFAULT, pin_user_pages_fast(addr + 2 * PAGE_SIZE, 1, 0, pages));
}

TEST(gup, nofault_takes_only_what_is_mapped)
{
    u64 addr = test_map(3);
    struct page *pages[3];
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_EQ(1, pin_user_pages(addr, 3, FOLL_NOFAULT, pages));
    unpin_user_page(pages[0]);
    EXPECT_TRUE(pte_is_none(test_entry(current_mm(), addr + PAGE_SIZE)));
    EXPECT_ERR(-EFAULT, pin_user_pages_fast(addr + PAGE_SIZE, 1, FOLL_NOFAULT, pages));
    /* A page that must be unshared first would need a fault as well. */
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_ERR(-EFAULT, pin_user_pages(addr, 1, FOLL_NOFAULT, pages));
    ASSERT_EQ(1, get_user_pages(addr, 1, FOLL_NOFAULT, pages));
    page_put(pages[0]);
    mm_put(child);
}

/* J16, as far as no pager is needed to see it. */

/* J16. */
TEST(gup, nowait_takes_all_where_nobody_must_be_waited_for)
{
    u64 addr = test_map(3);
    struct page *pages[3];

    ASSERT_EQ(3, pin_user_pages(addr, 3, FOLL_WRITE | FOLL_NOWAIT, pages));
    unpin_user_pages(pages, 3);
}

/* J17. */
TEST(gup, the_first_pin_marks_the_address_space_for_life)
{
    u64 addr = test_map(1);
    struct mm *child;
    struct page *page;

    ASSERT_EQ(1, get_user_pages(addr, 1, FOLL_WRITE, &page));
    page_put(page);
    EXPECT_EQ(0, atomic_u32_load(&current_mm()->has_pinned));
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE, &page));
    unpin_user_page(page);
    EXPECT_EQ(1, atomic_u32_load(&current_mm()->has_pinned));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ(0, atomic_u32_load(&child->has_pinned));
    ASSERT_EQ(1, pin_user_pages_remote(child, addr, 1, 0, &page));
    unpin_user_page(page);
    EXPECT_EQ(1, atomic_u32_load(&child->has_pinned));
    mm_put(child);
}

/* J18, H3. */
TEST(gup, a_reference_goes_stale_where_a_pin_stays_in_step)
{
    u64 addr = test_map(2);
    struct page *reference;
    struct page *pin;
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(put_user_u64(addr + PAGE_SIZE, 1));
    ASSERT_EQ(1, get_user_pages(addr, 1, 0, &reference));
    ASSERT_EQ(1, pin_user_pages(addr + PAGE_SIZE, 1, 0, &pin));
    ASSERT_OK(mm_fork(current_mm(), &child));
    mm_put(child);
    EXPECT_OK(put_user_u64(addr, 2));
    EXPECT_OK(put_user_u64(addr + PAGE_SIZE, 2));
    EXPECT_EQ(1, *(u64 *)page_to_virt(reference));
    EXPECT_EQ(2, *(u64 *)page_to_virt(pin));
    page_put(reference);
    unpin_user_page(pin);
}

/* J19. */
TEST(gup, unpinning_dirty_marks_clean_pages)
{
    struct vm_object *object;
    struct page *page;
    u64 addr;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    addr = test_map_object(object, 1, MAP_SHARED);
    ASSERT_EQ(1, pin_user_pages(addr, 1, 0, &page));
    page_clear_dirty(page);
    unpin_user_pages(&page, 1);
    EXPECT_FALSE(page_is_dirty(page));
    ASSERT_EQ(1, pin_user_pages(addr, 1, 0, &page));
    unpin_user_pages_dirty_lock(&page, 1);
    EXPECT_TRUE(page_is_dirty(page));
    object_put(object);
}
