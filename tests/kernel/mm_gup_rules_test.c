/*
 * The rules J1 to J12 of the semantics, one or more tests each: which requests are refused, what a
 * holder gets, and what the two paths leave to each other. gup_internal.h lets the tests look at
 * the lock-free path alone. mm_gup_outcome_test.c goes on from J13.
 */
#include <mm/gup_internal.h>
#include "mm_test.h"

static s64 fast_alone(u64 addr, u64 nr_pages, u32 flags, enum gup_mode mode, struct page **pages)
{
    struct gup_request request = {current_mm(), addr, nr_pages, flags, mode, pages};

    return (s64)gup_fast(&request);
}

static void set_vma_flags(u64 addr, u64 set, u64 clear)
{
    struct vma *vma;

    mm_write_lock(current_mm());
    vma = vma_find_at(current_mm(), addr);
    vma_write_lock(vma);
    vma_set_flags(vma, (vma->flags & ~clear) | set);
    mm_write_unlock(current_mm());
}

/* J1. */
TEST(gup, bad_flags_are_einval_and_nothing_is_taken)
{
    u64 addr = test_map(1);
    struct page *page = NULL;

    ASSERT_OK(put_user_u64(addr, 1));
    EXPECT_ERR(-EINVAL, pin_user_pages(addr, 1, 1u << 30, &page));
    EXPECT_ERR(-EINVAL, pin_user_pages_fast(addr, 1, 1u << 30, &page));
    EXPECT_ERR(-EINVAL, get_user_pages(addr, 1, FOLL_GROW_STACK, &page));
    EXPECT_ERR(-EINVAL, pin_user_pages(addr, 1, 0, NULL));
    EXPECT_ERR(-EINVAL, get_user_pages_fast(addr, 1, 0, NULL));
    EXPECT_ERR(-EINVAL, get_user_pages(addr, 1, FOLL_LONGTERM, &page));
    EXPECT_ERR(-EINVAL, get_user_pages_fast(addr, 1, FOLL_LONGTERM, &page));
    EXPECT_ERR(-EINVAL, pin_user_pages(addr, 1, FOLL_WRITE | FOLL_BREAK_COW, &page));
    EXPECT_EQ(0, (u64)page);
    EXPECT_EQ(1, page_refcount(test_page(current_mm(), addr)));
}

/* J1. */
TEST(gup, fast_refuses_flags_that_are_about_waiting)
{
    u64 addr = test_map(1);
    struct page *page;

    EXPECT_ERR(-EINVAL, pin_user_pages_fast(addr, 1, FOLL_NOWAIT, &page));
    EXPECT_ERR(-EINVAL, pin_user_pages_fast(addr, 1, FOLL_INTERRUPTIBLE, &page));
    EXPECT_ERR(-EINVAL, pin_user_pages_fast(addr, 1, FOLL_HWPOISON, &page));
    EXPECT_ERR(-EINVAL, pin_user_pages_fast(addr, 1, FOLL_UNLOCKABLE, &page));
}

TEST(gup, an_address_inside_a_page_means_that_page)
{
    u64 addr = test_map(1);
    struct page *page;

    ASSERT_EQ(1, pin_user_pages(addr + 100, 1, FOLL_WRITE, &page));
    EXPECT_EQ((u64)test_page(current_mm(), addr), (u64)page);
    unpin_user_page(page);
    ASSERT_EQ(1, get_user_pages_fast(addr + 4095, 1, 0, &page));
    EXPECT_EQ((u64)test_page(current_mm(), addr), (u64)page);
    page_put(page);
}

TEST(gup, no_pages_are_no_error)
{
    struct page *page;

    EXPECT_EQ(0, get_user_pages(0x1000, 0, 0, &page));
    EXPECT_EQ(0, pin_user_pages_fast(0x1000, 0, 0, &page));
}

TEST(gup, a_range_that_leaves_user_space_is_refused_by_fast_and_cut_by_slow)
{
    struct map_request req = {.addr = TASK_SIZE - PAGE_SIZE,
                              .len = PAGE_SIZE,
                              .prot = PROT_READ | PROT_WRITE,
                              .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED};
    struct page *pages[2];
    u64 addr;

    ASSERT_OK(mm_map(current_mm(), &req, &addr));
    EXPECT_ERR(-EFAULT, get_user_pages_fast(addr, 2, FOLL_WRITE, pages));
    EXPECT_ERR(-EOVERFLOW, get_user_pages_fast(addr, U64_MAX >> 10, 0, pages));
    ASSERT_EQ(1, get_user_pages(addr, 2, FOLL_WRITE, pages));
    page_put(pages[0]);
    EXPECT_ERR(-EFAULT, get_user_pages(TASK_SIZE, 1, 0, pages));
    EXPECT_ERR(-EFAULT, get_user_pages(~0ul - PAGE_SIZE, 1, 0, pages));
}

/* J2, J3, J4. */
TEST(gup, pins_and_references_are_counted_apart_and_given_back)
{
    u64 addr = test_map(1);
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE, &page));
    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, 0, &page));
    ASSERT_EQ(1, get_user_pages(addr, 1, 0, &page));
    EXPECT_EQ(2, page_pincount(page));
    EXPECT_EQ(4, page_refcount(page));
    unpin_user_page(page);
    unpin_user_page(page);
    page_put(page);
    EXPECT_EQ(0, page_pincount(page));
    EXPECT_EQ(1, page_refcount(page));
}

/* J2. */
TEST(gup, the_zero_page_is_never_counted_as_pinned)
{
    u64 addr = test_map(1);
    struct page *page;
    u32 before = page_refcount(zero_page());

    ASSERT_EQ(1, pin_user_pages(addr, 1, 0, &page));
    EXPECT_EQ((u64)zero_page(), (u64)page);
    EXPECT_EQ(0, page_pincount(page));
    EXPECT_EQ(before, page_refcount(page));
    unpin_user_page(page);
    EXPECT_EQ(before, page_refcount(zero_page()));
    ASSERT_EQ(1, get_user_pages(addr, 1, 0, &page));
    EXPECT_EQ(before + 1, page_refcount(page));
    page_put(page);
}

/* J5. */
TEST(gup, device_memory_is_efault)
{
    u64 addr = test_map(1);
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    set_vma_flags(addr, VM_IO, 0);
    EXPECT_ERR(-EFAULT, pin_user_pages(addr, 1, 0, &page));
    set_vma_flags(addr, VM_PFNMAP, VM_IO);
    EXPECT_ERR(-EFAULT, pin_user_pages(addr, 1, FOLL_FORCE, &page));
    set_vma_flags(addr, 0, VM_PFNMAP);
    ASSERT_EQ(1, pin_user_pages(addr, 1, 0, &page));
    unpin_user_page(page);
}

/* J5. */
TEST(gup, writing_needs_vm_write_or_force_on_a_private_mapping)
{
    struct vm_object *object;
    u64 private = test_map_prot(1, PROT_READ);
    struct page *page;
    u64 shared;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    shared = test_map_object(object, 1, MAP_SHARED);
    ASSERT_OK(mm_protect(current_mm(), shared, PAGE_SIZE, PROT_READ));
    EXPECT_ERR(-EFAULT, pin_user_pages(private, 1, FOLL_WRITE, &page));
    EXPECT_ERR(-EFAULT, pin_user_pages(shared, 1, FOLL_WRITE, &page));
    EXPECT_ERR(-EFAULT, pin_user_pages(shared, 1, FOLL_WRITE | FOLL_FORCE, &page));
    ASSERT_EQ(1, pin_user_pages(private, 1, FOLL_WRITE | FOLL_FORCE, &page));
    unpin_user_page(page);
    object_put(object);
}

/* J5. */
TEST(gup, reading_needs_vm_read_or_force)
{
    u64 write_only = test_map_prot(1, PROT_WRITE);
    u64 none = test_map_prot(1, PROT_NONE);
    struct page *page;

    EXPECT_ERR(-EFAULT, pin_user_pages(write_only, 1, 0, &page));
    EXPECT_ERR(-EFAULT, pin_user_pages(none, 1, 0, &page));
    ASSERT_EQ(1, pin_user_pages(none, 1, FOLL_FORCE, &page));
    unpin_user_page(page);
    set_vma_flags(none, 0, VM_MAYREAD);
    EXPECT_ERR(-EFAULT, pin_user_pages(none, 1, FOLL_FORCE, &page));
    set_vma_flags(none, VM_MAYREAD, 0);
}

/* J5. */
TEST(gup, a_stack_is_not_grown)
{
    struct map_request req = {.addr = 0x40000000,
                              .len = PAGE_SIZE,
                              .prot = PROT_READ | PROT_WRITE,
                              .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN};
    struct page *page;
    u64 addr;

    ASSERT_OK(mm_map(current_mm(), &req, &addr));
    EXPECT_ERR(-EFAULT, pin_user_pages(addr - PAGE_SIZE, 1, FOLL_WRITE, &page));
    EXPECT_ERR(-EFAULT, get_user_pages_fast(addr - PAGE_SIZE, 1, 0, &page));
    EXPECT_ERR(-EFAULT, get_user_pages_remote(current_mm(), addr - PAGE_SIZE, 1, 0, &page));
    /* The owner's own accesses, and copies that stand for one, do grow it. */
    EXPECT_TRUE(test_poke(current_mm(), addr - PAGE_SIZE, 1));
    ASSERT_EQ(1, pin_user_pages(addr - PAGE_SIZE, 1, FOLL_WRITE, &page));
    unpin_user_page(page);
}

/* J6 */

TEST(gup, shared_memory_may_be_pinned_for_long_for_writing)
{
    struct vm_object *object;
    struct page *slow;
    struct page *fast;
    u64 addr;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    addr = test_map_object(object, 1, MAP_SHARED);
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE | FOLL_LONGTERM, &slow));
    EXPECT_EQ(0, fast_alone(addr, 1, FOLL_WRITE | FOLL_LONGTERM, GUP_PIN, &fast));
    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, FOLL_WRITE | FOLL_LONGTERM, &fast));
    EXPECT_EQ((u64)slow, (u64)fast);
    EXPECT_FALSE(page_is_anon(fast));
    unpin_user_page(fast);
    unpin_user_page(slow);
    object_put(object);
}

/* J7. */
TEST(gup, a_forced_write_to_a_shared_page_lands_in_a_copy_that_stays_read_only)
{
    u64 addr = test_map(1);
    struct mm *child;
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    ASSERT_OK(mm_fork(current_mm(), &child));
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE | FOLL_FORCE, &page));
    EXPECT_NE((u64)page, (u64)test_page(child, addr));
    EXPECT_TRUE(page_is_anon_exclusive(page));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), addr)));
    *(u64 *)page_to_virt(page) = 2;
    unpin_user_pages_dirty_lock(&page, 1);
    EXPECT_EQ(2, test_peek(current_mm(), addr));
    EXPECT_EQ(1, test_peek(child, addr));
    mm_put(child);
}

/* J7. */
TEST(gup, a_forced_write_is_seen_by_a_soft_dirty_tracker)
{
    u64 addr = test_map(1);
    struct pt_cursor cursor;
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    set_vma_flags(addr, 0, VM_SOFTDIRTY);
    ASSERT_TRUE(cursor_find(&cursor, current_mm(), addr));
    cursor_lock(&cursor);
    cursor_set(&cursor, pte_without_soft_dirty(cursor_pte(&cursor)));
    cursor_unlock(&cursor);
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_FORCE, &page));
    EXPECT_FALSE(pte_is_soft_dirty(test_entry(current_mm(), addr)));
    unpin_user_page(page);
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE | FOLL_FORCE, &page));
    EXPECT_TRUE(pte_is_soft_dirty(test_entry(current_mm(), addr)));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), addr)));
    unpin_user_page(page);
}

/* J7. */
TEST(gup, a_forced_write_to_a_file_page_leaves_the_file_alone)
{
    struct vm_object *object;
    struct page *page;
    u64 value = 7;
    u64 done;
    u64 addr;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    EXPECT_OK(object_write_kernel(object, 0, &value, sizeof(value), &done));
    addr = test_map_object(object, 1, MAP_PRIVATE);
    ASSERT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    EXPECT_EQ(7, test_peek(current_mm(), addr));
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE | FOLL_FORCE, &page));
    *(u64 *)page_to_virt(page) = 8;
    unpin_user_page(page);
    EXPECT_EQ(8, test_peek(current_mm(), addr));
    EXPECT_OK(object_read_kernel(object, 0, &value, sizeof(value), &done));
    EXPECT_EQ(7, value);
    object_put(object);
}

/* J8. */
TEST(gup, a_short_read_pin_of_a_file_page_takes_the_files_page)
{
    struct vm_object *object;
    struct page *page;
    u64 addr;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    addr = test_map_object(object, 1, MAP_PRIVATE);
    ASSERT_EQ(1, pin_user_pages(addr, 1, 0, &page));
    EXPECT_FALSE(page_is_anon(page));
    unpin_user_page(page);
    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, 0, &page));
    EXPECT_FALSE(page_is_anon(page));
    unpin_user_page(page);
    object_put(object);
}

/* J8. */
TEST(gup, a_long_read_pin_of_a_private_file_page_takes_a_private_copy)
{
    struct vm_object *object;
    struct page *page;
    u64 value = 5;
    u64 done;
    u64 addr;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    EXPECT_OK(object_write_kernel(object, 0, &value, sizeof(value), &done));
    addr = test_map_object(object, 1, MAP_PRIVATE);
    EXPECT_EQ(5, test_peek(current_mm(), addr));
    EXPECT_EQ(0, fast_alone(addr, 1, FOLL_LONGTERM, GUP_PIN, &page));
    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, FOLL_LONGTERM, &page));
    EXPECT_TRUE(page_is_anon(page) && page_is_anon_exclusive(page));
    EXPECT_EQ(5, *(u64 *)page_to_virt(page));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), addr)));
    EXPECT_OK(put_user_u64(addr, 6));
    EXPECT_EQ(6, *(u64 *)page_to_virt(page));
    unpin_user_page(page);
    object_put(object);
}

/* J8. */
TEST(gup, a_long_read_pin_of_shared_file_memory_takes_the_files_page)
{
    struct vm_object *object;
    struct page *page;
    u64 addr;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    addr = test_map_object(object, 1, MAP_SHARED);
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_LONGTERM, &page));
    EXPECT_FALSE(page_is_anon(page));
    EXPECT_OK(put_user_u64(addr, 3));
    EXPECT_EQ(3, *(u64 *)page_to_virt(page));
    unpin_user_page(page);
    object_put(object);
}

/* J8. */
TEST(gup, a_plain_reference_never_unshares)
{
    u64 addr = test_map(1);
    struct mm *child;
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    ASSERT_EQ(1, get_user_pages(addr, 1, 0, &page));
    EXPECT_EQ((u64)test_page(child, addr), (u64)page);
    EXPECT_FALSE(page_is_anon_exclusive(page));
    page_put(page);
    ASSERT_EQ(1, get_user_pages_fast(addr, 1, 0, &page));
    EXPECT_EQ((u64)test_page(child, addr), (u64)page);
    page_put(page);
    mm_put(child);
}

/* J11, rule I1. */
TEST(gup, fast_gives_way_while_fork_is_at_work)
{
    u64 addr = test_map(1);
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    seqcount_write_begin(&current_mm()->write_protect_seq);
    EXPECT_EQ(0, fast_alone(addr, 1, FOLL_WRITE, GUP_PIN, &page));
    EXPECT_EQ(0, fast_alone(addr, 1, 0, GUP_GET, &page));
    seqcount_write_end(&current_mm()->write_protect_seq);
    EXPECT_EQ(0, page_pincount(test_page(current_mm(), addr)));
    ASSERT_EQ(1, fast_alone(addr, 1, FOLL_WRITE, GUP_PIN, &page));
    unpin_user_page(page);
}

/* J11, J12. */
TEST(gup, fast_leaves_a_shared_page_to_slow_without_a_count)
{
    u64 addr = test_map(1);
    struct mm *child;
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ(0, fast_alone(addr, 1, 0, GUP_PIN, &page));
    EXPECT_EQ(0, fast_alone(addr, 1, FOLL_WRITE, GUP_GET, &page));
    EXPECT_EQ(0, page_pincount(test_page(child, addr)));
    EXPECT_EQ(2, page_refcount(test_page(child, addr)));
    mm_put(child);
}

/* J12. */
TEST(gup, fast_stops_at_what_only_slow_may_cross)
{
    u64 addr = test_map(4);
    struct page *pages[4];
    u64 value;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(get_user_u64(&value, addr + PAGE_SIZE)); /* the zero page */
    ASSERT_OK(put_user_u64(addr + 2 * PAGE_SIZE, 1));
    ASSERT_EQ(1, fast_alone(addr, 4, 0, GUP_GET, pages));
    page_put(pages[0]);
    ASSERT_OK(mm_protect(current_mm(), addr + 2 * PAGE_SIZE, PAGE_SIZE, PROT_NONE));
    EXPECT_EQ(0, fast_alone(addr + 2 * PAGE_SIZE, 1, FOLL_FORCE, GUP_GET, pages));
    EXPECT_EQ(0, fast_alone(addr + 3 * PAGE_SIZE, 1, 0, GUP_GET, pages));
}
