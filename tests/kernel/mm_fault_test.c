/*
 * Faults: what one access leaves in the page tables, and what it is refused with.
 */
#include <lib/string.h>
#include "mm_test.h"

TEST(mm, fault_read_of_untouched_memory_maps_the_zero_page)
{
    u64 addr = test_map(1);
    u64 value = 1;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(0, value);
    EXPECT_EQ((u64)zero_page(), (u64)test_page(current_mm(), addr));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), addr)));
    EXPECT_EQ(0, mm_rss_total(current_mm()));
}

TEST(mm, fault_write_makes_an_exclusive_writable_page)
{
    u64 addr = test_map(1);
    u64 value = 1;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr + 8, 42));
    EXPECT_OK(get_user_u64(&value, addr + 8));
    EXPECT_EQ(42, value);
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(0, value);
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
    EXPECT_TRUE(pte_is_writable(test_entry(current_mm(), addr)));
    EXPECT_TRUE(pte_is_dirty(test_entry(current_mm(), addr)));
    EXPECT_EQ(1, mm_rss(current_mm(), MM_RSS_ANON));
    EXPECT_EQ(1, page_refcount(test_page(current_mm(), addr)));
}

TEST(mm, fault_write_after_read_replaces_the_zero_page)
{
    u64 addr = test_map(2);
    u64 value = 1;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_OK(put_user_u64(addr, 7));
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(7, value);
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
    EXPECT_OK(get_user_u64(&value, addr + PAGE_SIZE));
    EXPECT_EQ(0, value);
}

TEST(mm, fault_at_unmapped_address_is_maperr)
{
    struct fault_info info = {.si_code = 0};

    EXPECT_EQ(FAULT_SIGSEGV, handle_mm_fault(current_mm(), 0x1234000, 0, &info));
    EXPECT_EQ(SEGV_MAPERR, info.si_code);
    EXPECT_EQ(FAULT_SIGSEGV, handle_mm_fault(current_mm(), TASK_SIZE, 0, &info));
    EXPECT_EQ(FAULT_SIGSEGV, handle_mm_fault(current_mm(), ~0ull, FAULT_FLAG_WRITE, &info));
}

TEST(mm, fault_against_the_vma_is_accerr)
{
    u64 read_only = test_map_prot(1, PROT_READ);
    u64 none = test_map_prot(1, PROT_NONE);
    struct fault_info info = {.si_code = 0};

    ASSERT_TRUE(read_only != 0 && none != 0);
    EXPECT_EQ(FAULT_SIGSEGV, handle_mm_fault(current_mm(), read_only, FAULT_FLAG_WRITE, &info));
    EXPECT_EQ(SEGV_ACCERR, info.si_code);
    EXPECT_EQ(FAULT_SIGSEGV, handle_mm_fault(current_mm(), read_only, FAULT_FLAG_EXEC, &info));
    EXPECT_EQ(FAULT_OK, handle_mm_fault(current_mm(), read_only, 0, &info));
    info.si_code = 0;
    EXPECT_EQ(FAULT_SIGSEGV, handle_mm_fault(current_mm(), none, 0, &info));
    EXPECT_EQ(SEGV_ACCERR, info.si_code);
}

TEST(mm, fault_write_only_memory_can_be_read)
{
    u64 addr = test_map_prot(1, PROT_WRITE);
    u64 value = 1;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 5));
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(5, value);
}

TEST(mm, fault_user_copy_of_bad_addresses_is_efault)
{
    u64 addr = test_map(2);
    char buf[16] = {0};
    u64 value = 99;

    ASSERT_TRUE(addr != 0);
    ASSERT_OK(mm_unmap(current_mm(), addr + PAGE_SIZE, PAGE_SIZE));
    EXPECT_ERR(-EFAULT, get_user_u64(&value, addr + PAGE_SIZE));
    EXPECT_EQ(99, value);
    EXPECT_ERR(-EFAULT, get_user_u64(&value, 0));
    EXPECT_ERR(-EFAULT, get_user_u64(&value, TASK_SIZE - 4));
    EXPECT_ERR(-EFAULT, get_user_u64(&value, 0xffff800000000000ull));
    EXPECT_ERR(-EFAULT, get_user_u64(&value, 0x800000000000ull));
    EXPECT_ERR(-EFAULT, copy_to_user(addr + PAGE_SIZE - 8, buf, sizeof(buf)));
    EXPECT_EQ(8, copy_to_user_partial(addr + PAGE_SIZE - 8, buf, sizeof(buf)));
    EXPECT_ERR(-EFAULT, copy_from_user(buf, ~0ull - 4, sizeof(buf)));
    EXPECT_ERR(-EFAULT, clear_user(addr, 2 * PAGE_SIZE));
    EXPECT_OK(clear_user(addr, PAGE_SIZE));
}

TEST(mm, fault_string_copy_finds_its_end)
{
    u64 addr = test_map(2);
    char buf[32];

    ASSERT_TRUE(addr != 0);
    ASSERT_OK(mm_unmap(current_mm(), addr + PAGE_SIZE, PAGE_SIZE));
    ASSERT_OK(copy_to_user(addr + PAGE_SIZE - 6, "hello", 6));
    EXPECT_EQ(5, strncpy_from_user(buf, addr + PAGE_SIZE - 6, sizeof(buf)));
    EXPECT_STR("hello", buf);
    EXPECT_EQ(5, strncpy_from_user(buf, addr + PAGE_SIZE - 6, 6));
    EXPECT_ERR(-ENAMETOOLONG, strncpy_from_user(buf, addr + PAGE_SIZE - 6, 5));
    ASSERT_OK(copy_to_user(addr + PAGE_SIZE - 4, "abcd", 4));
    EXPECT_ERR(-EFAULT, strncpy_from_user(buf, addr + PAGE_SIZE - 4, sizeof(buf)));
    EXPECT_ERR(-EFAULT, strncpy_from_user(buf, TASK_SIZE, sizeof(buf)));
}

TEST(mm, fault_unshare_of_untouched_memory_is_exclusive_and_read_only)
{
    u64 addr = test_map(1);

    ASSERT_TRUE(addr != 0);
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), addr, FAULT_FLAG_UNSHARE));
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), addr)));
    EXPECT_FALSE(pte_is_dirty(test_entry(current_mm(), addr)));
    struct page *page = test_page(current_mm(), addr);

    EXPECT_OK(put_user_u64(addr, 3));
    EXPECT_EQ((u64)page, (u64)test_page(current_mm(), addr));
}

TEST(mm, fault_shared_object_is_the_same_page_in_two_mappings)
{
    struct vm_object *object;
    u64 a, b, value = 0;

    ASSERT_OK(object_create_shmem(4 * PAGE_SIZE, &object));
    a = test_map_object(object, 4, MAP_SHARED);
    b = test_map_object(object, 4, MAP_SHARED);
    EXPECT_TRUE(a != 0 && b != 0);
    EXPECT_OK(put_user_u64(a + PAGE_SIZE, 77));
    EXPECT_OK(get_user_u64(&value, b + PAGE_SIZE));
    EXPECT_EQ(77, value);
    EXPECT_EQ((u64)test_page(current_mm(), a + PAGE_SIZE),
              (u64)test_page(current_mm(), b + PAGE_SIZE));
    EXPECT_EQ(2, page_mapcount(test_page(current_mm(), a + PAGE_SIZE)));
    object_put(object);
}

TEST(mm, fault_private_object_is_copied_on_write)
{
    struct vm_object *object;
    u64 shared, private, value = 0;

    ASSERT_OK(object_create_shmem(2 * PAGE_SIZE, &object));
    shared = test_map_object(object, 2, MAP_SHARED);
    private = test_map_object(object, 2, MAP_PRIVATE);
    EXPECT_TRUE(shared != 0 && private != 0);
    EXPECT_OK(put_user_u64(shared, 1));
    EXPECT_OK(get_user_u64(&value, private));
    EXPECT_EQ(1, value);
    EXPECT_OK(put_user_u64(private, 2));
    EXPECT_OK(put_user_u64(shared + 8, 3));
    EXPECT_OK(get_user_u64(&value, private + 8));
    EXPECT_EQ(0, value);
    EXPECT_OK(get_user_u64(&value, shared));
    EXPECT_EQ(1, value);
    /* A write where the object has a hole fills it with zeros first, as on Linux. */
    EXPECT_OK(put_user_u64(private + PAGE_SIZE, 4));
    EXPECT_EQ(2, object_nr_pages(object));
    EXPECT_OK(get_user_u64(&value, shared + PAGE_SIZE));
    EXPECT_EQ(0, value);
    object_put(object);
}

TEST(mm, fault_beyond_the_object_is_sigbus)
{
    struct vm_object *object;
    struct fault_info info = {.si_code = 0};
    u64 addr;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    addr = test_map_object(object, 2, MAP_SHARED);
    EXPECT_TRUE(addr != 0);
    EXPECT_EQ(FAULT_OK, handle_mm_fault(current_mm(), addr, 0, &info));
    EXPECT_EQ(FAULT_SIGBUS, handle_mm_fault(current_mm(), addr + PAGE_SIZE, 0, &info));
    EXPECT_EQ(BUS_ADRERR, info.si_code);
    object_put(object);
}

TEST(mm, fault_truncation_removes_mapped_pages)
{
    struct vm_object *object;
    struct fault_info info = {.si_code = 0};
    u64 addr;

    ASSERT_OK(object_create_shmem(2 * PAGE_SIZE, &object));
    addr = test_map_object(object, 2, MAP_SHARED);
    EXPECT_OK(put_user_u64(addr + PAGE_SIZE, 9));
    EXPECT_OK(object_truncate(object, PAGE_SIZE));
    EXPECT_TRUE(pte_is_none(test_entry(current_mm(), addr + PAGE_SIZE)));
    EXPECT_EQ(FAULT_SIGBUS, handle_mm_fault(current_mm(), addr + PAGE_SIZE, 0, &info));
    object_put(object);
}

TEST(mm, fault_mprotect_takes_and_gives_rights)
{
    u64 addr = test_map(2);
    u64 value = 0;
    struct page *page;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 11));
    page = test_page(current_mm(), addr);
    EXPECT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    EXPECT_ERR(-EFAULT, put_user_u64(addr, 12));
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(11, value);
    EXPECT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_NONE));
    EXPECT_ERR(-EFAULT, get_user_u64(&value, addr));
    EXPECT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ | PROT_WRITE));
    EXPECT_TRUE(pte_is_writable(test_entry(current_mm(), addr)));
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(11, value);
    EXPECT_OK(put_user_u64(addr, 13));
    EXPECT_EQ((u64)page, (u64)test_page(current_mm(), addr));
}

TEST_EACH_ALLOC(mm, fault_write_fails_cleanly_without_memory)
{
    u64 addr = test_map(1);

    if (addr == 0) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    enum fault_outcome outcome = test_fault(current_mm(), addr, FAULT_FLAG_WRITE);

    EXPECT_EQ(outcome == FAULT_OOM, ktest_alloc_failed());
    EXPECT_EQ(outcome == FAULT_OK ? 1 : 0, mm_rss_total(current_mm()));
    EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
}
