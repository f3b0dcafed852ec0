/*
 * Section P of the semantics: a reader that must not share a page asks to break COW, and that is
 * not a write. Each point is one that a historic version of this request got wrong.
 *
 * A page counts as protected by a pager here when its VMA and its entry say so; nobody listens,
 * so a fault that would notify one is classified and not taken.
 */
#include <mm/fault_classify.h>
#include <mm/gup_internal.h>
#include <mm/tlb.h>
#include "mm_test.h"

/* Protects or unprotects one page as a pager would. */
static void set_protected(u64 addr, bool is_protected)
{
    struct mm *mm = current_mm();
    struct pt_cursor cursor;
    struct vma *vma;
    struct pte entry;

    mm_write_lock(mm);
    vma = vma_find_at(mm, addr);
    vma_write_lock(vma);
    vma_set_flags(vma, is_protected ? vma->flags | VM_UFFD_WP : vma->flags & ~VM_UFFD_WP);
    EXPECT_TRUE(cursor_find(&cursor, mm, addr));
    cursor_lock(&cursor);
    entry = cursor_pte(&cursor);
    entry = is_protected ? pte_without_write(pte_with_uffd_wp(entry)) : pte_without_uffd_wp(entry);
    (void)cursor_exchange(&cursor, entry);
    tlb_flush_page(mm, addr);
    cursor_unlock(&cursor);
    mm_write_unlock(mm);
}

/* What a write to the page would be now. */
static enum fault_kind kind_of_write(u64 addr)
{
    struct pte entry = test_entry(current_mm(), addr);
    struct fault_facts facts = {
        .vma_kind = FAULT_VMA_ANON,
        .vm_flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_UFFD_WP,
        .entry = entry,
        .page = test_is_exclusive(current_mm(), addr) ? FAULT_PAGE_ANON_EXCLUSIVE
                                                      : FAULT_PAGE_ANON_SHARED,
        .access = FAULT_FLAG_WRITE,
    };

    return fault_classify(&facts);
}

/* One protected page that parent and child share, as the parent sees it. */
static u64 map_protected_shared(struct mm **child)
{
    u64 addr = test_map(1);

    EXPECT_OK(put_user_u64(addr, 1));
    set_protected(addr, true);
    EXPECT_OK(mm_fork(current_mm(), child));
    return addr;
}

static void expect_still_protected(u64 addr)
{
    EXPECT_TRUE(pte_is_uffd_wp(test_entry(current_mm(), addr)));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), addr)));
    EXPECT_EQ(FAULT_KIND_PAGER_WP, kind_of_write(addr));
}

static void expect_clean(u64 addr)
{
    EXPECT_FALSE(pte_is_dirty(test_entry(current_mm(), addr)));
}

/* P1, P4: the flag reaches the fault handler, and as an unshare fault. */
TEST(break_cow, a_reference_that_asks_for_it_gets_a_page_of_its_own)
{
    u64 addr = test_map(1);
    struct mm *child;
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    ASSERT_EQ(1, get_user_pages(addr, 1, FOLL_BREAK_COW, &page));
    EXPECT_TRUE(page_is_anon_exclusive(page));
    EXPECT_NE((u64)page, (u64)test_page(child, addr));
    EXPECT_EQ((u64)page, (u64)test_page(current_mm(), addr));
    page_put(page);
    mm_put(child);
}

TEST(break_cow, the_zero_page_and_file_pages_become_private_copies)
{
    struct vm_object *object;
    u64 anonymous = test_map(1);
    struct page *page;
    u64 file;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    file = test_map_object(object, 1, MAP_PRIVATE);
    ASSERT_EQ(1, get_user_pages_fast(anonymous, 1, FOLL_BREAK_COW, &page));
    EXPECT_TRUE(page_is_anon_exclusive(page));
    page_put(page);
    EXPECT_EQ(0, test_peek(current_mm(), file));
    ASSERT_EQ(1, get_user_pages_fast(file, 1, FOLL_BREAK_COW, &page));
    EXPECT_TRUE(page_is_anon_exclusive(page));
    page_put(page);
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), file)));
    object_put(object);
}

TEST(break_cow, shared_memory_has_nothing_to_break)
{
    struct vm_object *object;
    struct page *page;
    u64 addr;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    addr = test_map_object(object, 1, MAP_SHARED);
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_BREAK_COW, &page));
    EXPECT_FALSE(page_is_anon(page));
    unpin_user_page(page);
    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, FOLL_BREAK_COW, &page));
    EXPECT_FALSE(page_is_anon(page));
    unpin_user_page(page);
    object_put(object);
}

/* P2: no notification (nobody is there to answer one: the call would not come back), and the copy
 * keeps the protection. */
TEST(break_cow, a_protected_shared_page_is_copied_and_stays_protected)
{
    struct mm *child;
    u64 addr = map_protected_shared(&child);
    struct page *page;

    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_BREAK_COW, &page));
    EXPECT_TRUE(page_is_anon_exclusive(page));
    EXPECT_NE((u64)page, (u64)test_page(child, addr));
    expect_still_protected(addr);
    unpin_user_page(page);
    mm_put(child);
    set_protected(addr, false);
}

/* P5: an entry that could be read as it is must count as a miss, on both paths. */
TEST(break_cow, a_present_entry_of_a_shared_page_is_a_miss)
{
    u64 addr = test_map(2);
    struct gup_request request = {current_mm(), addr, 2, FOLL_BREAK_COW, GUP_GET, NULL};
    struct page *pages[2];
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(put_user_u64(addr + PAGE_SIZE, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    request.pages = pages;
    EXPECT_EQ(0, gup_fast(&request));
    EXPECT_ERR(-EFAULT, get_user_pages(addr, 2, FOLL_BREAK_COW | FOLL_NOFAULT, pages));
    ASSERT_EQ(2, get_user_pages_fast(addr, 2, FOLL_BREAK_COW, pages));
    EXPECT_NE((u64)pages[0], (u64)test_page(child, addr));
    EXPECT_NE((u64)pages[1], (u64)test_page(child, addr + PAGE_SIZE));
    page_put(pages[0]);
    page_put(pages[1]);
    mm_put(child);
}

/* P6: the loop ends at exclusivity, since a protected page never becomes writable. */
TEST(break_cow, a_protected_page_that_is_exclusive_is_taken_at_once)
{
    u64 addr = test_map(1);
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    set_protected(addr, true);
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_BREAK_COW | FOLL_NOFAULT, &page));
    unpin_user_page(page);
    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, FOLL_BREAK_COW | FOLL_NOFAULT, &page));
    unpin_user_page(page);
    expect_still_protected(addr);
    set_protected(addr, false);
}

/* P7: the last owner's page is reused, and a write to it must still be notified. */
TEST(break_cow, the_reuse_path_keeps_the_protection_of_a_sole_owner)
{
    struct mm *child;
    u64 addr = map_protected_shared(&child);
    struct page *before = test_page(current_mm(), addr);
    struct page *page;

    mm_put(child);
    EXPECT_FALSE(page_is_anon_exclusive(before));
    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, FOLL_BREAK_COW, &page));
    EXPECT_EQ((u64)before, (u64)page);
    EXPECT_TRUE(page_is_anon_exclusive(page));
    expect_still_protected(addr);
    unpin_user_page(page);
    set_protected(addr, false);
}

/* P8: a read never dirties: neither the entry that is copied, ... */
TEST(break_cow, a_copy_for_a_reader_is_clean)
{
    struct mm *child;
    struct page *page;
    u64 addr = test_map(1);

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_BREAK_COW, &page));
    EXPECT_FALSE(pte_is_dirty(test_entry(current_mm(), addr)));
    EXPECT_FALSE(page_is_dirty(page));
    unpin_user_page(page);
    mm_put(child);
}

/* ... nor the one that is reused, ... */
TEST(break_cow, reuse_for_a_reader_leaves_a_clean_entry_clean)
{
    struct mm *child;
    struct page *page;
    u64 addr = test_map(1);

    /* A private page that was never written. */
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_LONGTERM, &page));
    unpin_user_page(page);
    expect_clean(addr);
    ASSERT_OK(mm_fork(current_mm(), &child));
    mm_put(child);
    EXPECT_FALSE(test_is_exclusive(current_mm(), addr));
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_BREAK_COW, &page));
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
    expect_clean(addr);
    EXPECT_FALSE(pte_is_soft_dirty(test_entry(current_mm(), addr)));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), addr)));
    EXPECT_FALSE(page_is_dirty(page));
    unpin_user_page(page);
}

/* ... nor one that is writable already, with the processor's bit clear. */
TEST(break_cow, a_writable_entry_is_not_dirtied_by_a_reader)
{
    struct page *page;
    u64 addr = test_map(1);
    struct pt_cursor cursor;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_TRUE(cursor_find(&cursor, current_mm(), addr));
    cursor_lock(&cursor);
    (void)cursor_exchange(&cursor, pte_without_soft_dirty(pte_without_dirty(cursor_pte(&cursor))));
    tlb_flush_page(current_mm(), addr);
    cursor_unlock(&cursor);
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_BREAK_COW, &page));
    expect_clean(addr);
    unpin_user_page(page);
    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, FOLL_BREAK_COW, &page));
    expect_clean(addr);
    EXPECT_FALSE(page_is_dirty(page));
    unpin_user_page(page);
    EXPECT_TRUE(pte_is_writable(test_entry(current_mm(), addr)));
}

TEST_EACH_ALLOC(break_cow, without_memory_the_page_stays_shared)
{
    u64 addr = test_map(1);
    struct mm *child = NULL;
    struct page *page;
    s64 nr;

    if (addr == 0 || test_fault(current_mm(), addr, FAULT_FLAG_WRITE) != FAULT_OK ||
        mm_fork(current_mm(), &child) != 0) {
        EXPECT_TRUE(ktest_alloc_failed());
    } else {
        struct page *shared = test_page(child, addr);

        nr = pin_user_pages(addr, 1, FOLL_BREAK_COW, &page);
        EXPECT_ERR(ktest_alloc_failed() ? -ENOMEM : 1, nr);
        EXPECT_EQ(nr != 1, test_page(current_mm(), addr) == shared);
        if (nr == 1) {
            unpin_user_page(page);
        }
        mm_put(child);
    }
    if (addr != 0) {
        EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
    }
}
