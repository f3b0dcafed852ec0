/*
 * Rules about pins and faults that need somebody who is asked: J6, J16 and O2, with a pager in the
 * kernel. Pagers themselves are tested in pager_test.c.
 */
#include <mm/gup_internal.h>
#include "pager_test.h"

/* J6: what would be written through such a pin the pager would never hear of. */
TEST(gup, long_write_pins_of_tracked_files_are_refused)
{
    struct page *page = NULL;
    u64 addr;

    ASSERT_TRUE(fake_start(1, PAGER_TRACKS));
    addr = test_map_object(fake.object, 1, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    EXPECT_ERR(-EFAULT, pin_user_pages(addr, 1, FOLL_WRITE | FOLL_LONGTERM, &page));
    EXPECT_ERR(-EFAULT, pin_user_pages_fast(addr, 1, FOLL_WRITE | FOLL_LONGTERM, &page));
    EXPECT_EQ(0, fake.nr_page_ins);
    /* Not even where the entry is writable already. */
    EXPECT_OK(put_user_u64(addr, 1));
    EXPECT_ERR(-EFAULT, pin_user_pages_fast(addr, 1, FOLL_WRITE | FOLL_LONGTERM, &page));
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE, &page));
    unpin_user_page(page);
    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, FOLL_LONGTERM, &page));
    unpin_user_page(page);
    EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    fake_end();
}

/* J6: a private mapping is written in a copy, of which the pager need not hear. */
TEST(gup, long_write_pins_of_private_mappings_of_tracked_files_are_not)
{
    struct page *page = NULL;
    u64 addr;

    ASSERT_TRUE(fake_start(1, PAGER_TRACKS));
    addr = test_map_object(fake.object, 1, MAP_PRIVATE);
    ASSERT_TRUE(addr != 0);
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE | FOLL_LONGTERM, &page));
    EXPECT_TRUE(page_is_anon(page) && page_is_anon_exclusive(page));
    EXPECT_EQ(0, fake.nr_notifies);
    unpin_user_page(page);
    EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    fake_end();
}

/* J16: who does not wait gets nothing where the pager would have to be asked. */
TEST(gup, nowait_asks_no_pager)
{
    struct page *pages[2];
    u64 addr;

    ASSERT_TRUE(fake_start(2, PAGER_SUPPLIES));
    addr = test_map_object(fake.object, 2, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    EXPECT_EQ(0, pin_user_pages(addr, 2, FOLL_NOWAIT, pages));
    EXPECT_EQ(0, fake.nr_page_ins);
    EXPECT_EQ(2, pin_user_pages(addr, 2, FOLL_UNLOCKABLE, pages));
    EXPECT_NE(0, fake.nr_page_ins);
    unpin_user_pages(pages, 2);
    EXPECT_OK(mm_unmap(current_mm(), addr, 2 * PAGE_SIZE));
    fake_end();
}

static u64 the_addr;

/* Only with no lock held can the thread that faults do this itself. */
static void unmap_while_asked(void)
{
    EXPECT_FALSE(rwsem_is_held(&current_mm()->mmap_lock));
    EXPECT_FALSE(rwsem_is_held(&fake.object->lock));
    EXPECT_OK(mm_unmap(current_mm(), the_addr, PAGE_SIZE));
}

/* O2: a fault that waits has dropped every lock, and looks everything up again afterwards. */
TEST(mm, fault_that_waits_for_a_pager_holds_no_lock)
{
    struct fault_info info;

    ASSERT_TRUE(fake_start(1, PAGER_SUPPLIES));
    the_addr = test_map_object(fake.object, 1, MAP_SHARED);
    ASSERT_TRUE(the_addr != 0);
    fake.meanwhile = unmap_while_asked;
    EXPECT_EQ(FAULT_SIGSEGV,
              handle_mm_fault(current_mm(), the_addr, FAULT_FLAG_WRITE | FAULT_FLAG_USER, &info));
    EXPECT_EQ(SEGV_MAPERR, info.si_code);
    EXPECT_EQ(1, fake.nr_page_ins);
    fake_end();
}
