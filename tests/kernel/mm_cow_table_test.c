/*
 * The rows of the transition table in section H, for pages of 4 KiB that stay in memory: what
 * becomes of exclusivity at each event, with what went before. The rows that mm_fork_test.c has
 * already are not repeated. Also the rules I1 to I4 and K1 to K4.
 */
#include <mm/frames.h>
#include <mm/tlb.h>
#include "mm_test.h"

static bool is_writable(struct mm *mm, u64 addr)
{
    return pte_is_writable(test_entry(mm, addr));
}

/* Sets or clears software bits of an entry; a protected one loses its right to write. */
static void set_bits(u64 addr, bool uffd_wp, bool soft_dirty)
{
    struct pt_cursor cursor;
    struct pte entry;

    ASSERT_TRUE(cursor_find(&cursor, current_mm(), addr));
    cursor_lock(&cursor);
    entry = pte_without_soft_dirty(pte_without_uffd_wp(cursor_pte(&cursor)));
    entry = uffd_wp ? pte_without_write(pte_with_uffd_wp(entry)) : entry;
    entry = soft_dirty ? pte_with_soft_dirty(entry) : entry;
    (void)cursor_exchange(&cursor, entry);
    tlb_flush_page(current_mm(), addr);
    cursor_unlock(&cursor);
}

static void set_vma_wp(bool is_on)
{
    struct vma *vma;

    mm_write_lock(current_mm());
    for_each_vma (vma, current_mm()) {
        vma_write_lock(vma);
        vma_set_flags(vma, is_on ? vma->flags | VM_UFFD_WP : vma->flags & ~VM_UFFD_WP);
    }
    mm_write_unlock(current_mm());
}

/* A page that is present, read-only and not exclusive, mapped by this process alone. */
static struct page *make_sole(u64 addr)
{
    struct mm *child;

    EXPECT_OK(put_user_u64(addr, 1));
    EXPECT_OK(mm_fork(current_mm(), &child));
    mm_put(child);
    return test_page(current_mm(), addr);
}

/* H1, H4: who makes a page makes it exclusive, and only such pages are. */
TEST(cow, fresh_pages_are_born_exclusive)
{
    struct vm_object *object;
    u64 anonymous = test_map(2);
    u64 value;
    u64 file;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    file = test_map_object(object, 1, MAP_PRIVATE);
    EXPECT_OK(put_user_u64(anonymous, 1));
    EXPECT_TRUE(test_is_exclusive(current_mm(), anonymous));
    EXPECT_OK(get_user_u64(&value, anonymous + PAGE_SIZE));
    EXPECT_OK(put_user_u64(anonymous + PAGE_SIZE, 1));
    EXPECT_TRUE(test_is_exclusive(current_mm(), anonymous + PAGE_SIZE));
    EXPECT_OK(put_user_u64(file, 1));
    EXPECT_TRUE(test_is_exclusive(current_mm(), file));
    object_put(object);
}

/* fork, not pinned, exclusive */

/* HT1, H5. */
TEST(cow, fork_of_an_exclusive_page_clears_the_mark_in_both)
{
    u64 addr = test_map(1);
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_FALSE(test_is_exclusive(current_mm(), addr));
    EXPECT_FALSE(is_writable(current_mm(), addr));
    EXPECT_FALSE(is_writable(child, addr));
    mm_put(child);
}

/* HT1. */
TEST(cow, fork_of_a_read_only_exclusive_page_clears_the_mark_too)
{
    u64 addr = test_map(1);
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_FALSE(test_is_exclusive(current_mm(), addr));
    EXPECT_EQ((u64)test_page(child, addr), (u64)test_page(current_mm(), addr));
    mm_put(child);
}

/* fork, pinned, exclusive */

/* HT2, H3, H4. */
TEST(cow, fork_with_a_read_pin_copies_for_the_child_and_leaves_the_parent)
{
    u64 addr = test_map(1);
    struct page *page;
    struct mm *child;
    struct pte before;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_EQ(1, pin_user_pages(addr, 1, 0, &page));
    before = test_entry(current_mm(), addr);
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ(before.bits, test_entry(current_mm(), addr).bits);
    EXPECT_TRUE(page_is_anon_exclusive(page));
    EXPECT_TRUE(test_is_exclusive(child, addr));
    EXPECT_NE((u64)page, (u64)test_page(child, addr));
    EXPECT_TRUE(is_writable(child, addr));
    unpin_user_page(page);
    mm_put(child);
}

/* HT2. */
TEST(cow, fork_of_a_pinned_page_in_read_only_memory_gives_the_child_a_read_only_copy)
{
    u64 addr = test_map(1);
    struct page *page;
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    ASSERT_EQ(1, pin_user_pages(addr, 1, 0, &page));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_TRUE(test_is_exclusive(child, addr));
    EXPECT_FALSE(is_writable(child, addr));
    EXPECT_EQ(1, test_peek(child, addr));
    unpin_user_page(page);
    mm_put(child);
}

/* HT2. */
TEST(cow, fork_of_a_pinned_page_drops_a_protection_that_the_child_does_not_inherit)
{
    u64 addr = test_map(1);
    struct page *page;
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    set_vma_wp(true);
    set_bits(addr, true, true);
    ASSERT_EQ(1, pin_user_pages(addr, 1, 0, &page));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_TRUE(pte_is_uffd_wp(test_entry(current_mm(), addr)));
    EXPECT_EQ(pte_is_uffd_wp(test_entry(child, addr)), !is_writable(child, addr));
    EXPECT_EQ((vma_first(child)->flags & VM_UFFD_WP) != 0, pte_is_uffd_wp(test_entry(child, addr)));
    EXPECT_TRUE(pte_is_soft_dirty(test_entry(child, addr)));
    unpin_user_page(page);
    mm_put(child);
    set_bits(addr, false, false);
    set_vma_wp(false);
}

/* rule I3, J3. */
TEST(cow, fork_after_the_last_unpin_shares_again)
{
    u64 addr = test_map(1);
    struct page *page;
    struct mm *child;

    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, FOLL_WRITE, &page));
    ASSERT_EQ(1, pin_user_pages_fast(addr, 1, FOLL_WRITE, &page));
    unpin_user_page(page);
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_NE((u64)page, (u64)test_page(child, addr));
    mm_put(child);
    unpin_user_page(page);
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ((u64)page, (u64)test_page(child, addr));
    mm_put(child);
}

/* fork, not exclusive */

/* HT3. */
TEST(cow, fork_of_a_shared_page_shares_it_on_whatever_refers_to_it)
{
    u64 addr = test_map(1);
    struct mm *children[2];
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &children[0]));
    ASSERT_EQ(1, get_user_pages(addr, 1, 0, &page));
    ASSERT_OK(mm_fork(current_mm(), &children[1]));
    EXPECT_EQ((u64)page, (u64)test_page(children[1], addr));
    EXPECT_EQ(3, page_mapcount(page));
    EXPECT_EQ(4, page_refcount(page));
    page_put(page);
    mm_put(children[0]);
    mm_put(children[1]);
}

/* write fault, exclusive */

/* HT4, H3. */
TEST(cow, a_write_to_an_exclusive_page_reuses_it_while_it_is_pinned)
{
    u64 addr = test_map(1);
    struct page *page;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_EQ(1, pin_user_pages(addr, 1, 0, &page));
    ASSERT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    ASSERT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ | PROT_WRITE));
    EXPECT_OK(put_user_u64(addr, 2));
    EXPECT_EQ((u64)page, (u64)test_page(current_mm(), addr));
    EXPECT_EQ(2, *(u64 *)page_to_virt(page));
    unpin_user_page(page);
}

/* write fault, not exclusive */

/* HT5. */
TEST(cow, a_write_by_the_sole_owner_reuses_the_page_and_marks_it)
{
    u64 addr = test_map(1);
    struct page *page = make_sole(addr);

    EXPECT_OK(put_user_u64(addr, 2));
    EXPECT_EQ((u64)page, (u64)test_page(current_mm(), addr));
    EXPECT_TRUE(page_is_anon_exclusive(page));
    EXPECT_TRUE(is_writable(current_mm(), addr));
    EXPECT_TRUE(pte_is_dirty(test_entry(current_mm(), addr)));
}

/* HT5, H4. */
TEST(cow, a_write_to_a_page_with_another_reference_copies_into_an_exclusive_one)
{
    u64 addr = test_map(1);
    struct page *old = make_sole(addr);
    struct page *held;

    ASSERT_EQ(1, get_user_pages(addr, 1, 0, &held));
    EXPECT_OK(put_user_u64(addr, 2));
    EXPECT_NE((u64)old, (u64)test_page(current_mm(), addr));
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
    EXPECT_EQ(0, page_mapcount(old));
    EXPECT_EQ(1, page_refcount(old));
    page_put(held);
}

/* HT5. */
TEST(cow, a_write_to_a_page_that_another_process_maps_copies)
{
    u64 addr = test_map(1);
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_OK(put_user_u64(addr, 2));
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
    /* The other one's is not exclusive until it is looked at again. */
    EXPECT_FALSE(test_is_exclusive(child, addr));
    EXPECT_EQ(FAULT_OK, test_fault(child, addr, FAULT_FLAG_WRITE));
    EXPECT_TRUE(test_is_exclusive(child, addr));
    EXPECT_EQ(1, test_peek(child, addr));
    mm_put(child);
}

/* unshare fault */

/* HT6. */
TEST(cow, an_unshare_fault_on_an_exclusive_page_changes_nothing)
{
    u64 addr = test_map(1);
    struct pte before;

    ASSERT_OK(put_user_u64(addr, 1));
    before = test_entry(current_mm(), addr);
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), addr, FAULT_FLAG_UNSHARE));
    EXPECT_EQ(before.bits, test_entry(current_mm(), addr).bits);
}

/* HT6, J10. */
TEST(cow, an_unshare_fault_of_the_sole_owner_marks_the_page_and_keeps_the_entry)
{
    u64 addr = test_map(1);
    struct page *page = make_sole(addr);
    struct pte before;

    set_bits(addr, true, true);
    before = test_entry(current_mm(), addr);
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), addr, FAULT_FLAG_UNSHARE));
    EXPECT_TRUE(page_is_anon_exclusive(page));
    EXPECT_EQ(before.bits, test_entry(current_mm(), addr).bits);
    set_bits(addr, false, true);
}

/* HT6, J10. */
TEST(cow, an_unshare_copy_is_read_only_and_carries_both_software_bits)
{
    u64 addr = test_map(1);
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    set_bits(addr, true, true);
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), addr, FAULT_FLAG_UNSHARE));
    EXPECT_NE((u64)test_page(child, addr), (u64)test_page(current_mm(), addr));
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
    EXPECT_FALSE(is_writable(current_mm(), addr));
    EXPECT_TRUE(pte_is_uffd_wp(test_entry(current_mm(), addr)));
    EXPECT_TRUE(pte_is_soft_dirty(test_entry(current_mm(), addr)));
    set_bits(addr, false, false);
    mm_put(child);
}

/* HT6. */
TEST(cow, an_unshare_copy_of_a_page_without_the_bits_has_none)
{
    u64 addr = test_map(1);
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    set_bits(addr, false, false);
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), addr, FAULT_FLAG_UNSHARE));
    EXPECT_FALSE(pte_is_uffd_wp(test_entry(current_mm(), addr)));
    EXPECT_FALSE(pte_is_soft_dirty(test_entry(current_mm(), addr)));
    EXPECT_FALSE(pte_is_dirty(test_entry(current_mm(), addr)));
    mm_put(child);
}

/* HT6. */
TEST(cow, an_unshare_fault_in_a_shared_mapping_is_a_read)
{
    struct vm_object *object;
    u64 addr;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    addr = test_map_object(object, 1, MAP_SHARED);
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), addr, FAULT_FLAG_UNSHARE));
    EXPECT_FALSE(page_is_anon(test_page(current_mm(), addr)));
    EXPECT_FALSE(pte_is_dirty(test_entry(current_mm(), addr)));
    object_put(object);
}

/* mprotect */

/* H2. */
TEST(cow, mprotect_gives_the_right_to_write_back_only_to_an_exclusive_page)
{
    u64 exclusive = test_map(1);
    u64 shared = test_map(1);
    struct mm *child;

    ASSERT_OK(put_user_u64(shared, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    ASSERT_OK(put_user_u64(exclusive, 1));
    ASSERT_OK(mm_protect(current_mm(), exclusive, PAGE_SIZE, PROT_READ));
    ASSERT_OK(mm_protect(current_mm(), exclusive, PAGE_SIZE, PROT_READ | PROT_WRITE));
    ASSERT_OK(mm_protect(current_mm(), shared, PAGE_SIZE, PROT_READ));
    ASSERT_OK(mm_protect(current_mm(), shared, PAGE_SIZE, PROT_READ | PROT_WRITE));
    EXPECT_TRUE(is_writable(current_mm(), exclusive));
    EXPECT_FALSE(is_writable(current_mm(), shared));
    mm_put(child);
}

/* mremap: the page moves with its mark, and a pin with it. */

/* H3. */
TEST(cow, mremap_keeps_exclusivity_and_pins)
{
    u64 addr = test_map(1);
    struct page *page;
    u64 moved;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_EQ(1, pin_user_pages(addr, 1, 0, &page));
    ASSERT_OK(mm_remap(current_mm(), addr, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
                       0x50000000, &moved));
    EXPECT_EQ((u64)page, (u64)test_page(current_mm(), moved));
    EXPECT_TRUE(page_is_anon_exclusive(page));
    EXPECT_OK(put_user_u64(moved, 2));
    EXPECT_EQ(2, *(u64 *)page_to_virt(page));
    unpin_user_page(page);
}

/* I1 is about a moment; that it ends even is what a look from outside can see. */

TEST(cow, fork_counts_its_write_protection)
{
    u64 addr = test_map(1);
    u32 before = seqcount_read_raw(&current_mm()->write_protect_seq);
    struct mm *child;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ(before + 2, seqcount_read_raw(&current_mm()->write_protect_seq));
    mm_put(child);
}

/* rule I4. */
TEST(cow, fork_of_a_file_mapping_without_private_pages_copies_no_entries)
{
    struct vm_object *object;
    struct mm *child;
    u64 addr;
    u64 value;

    ASSERT_OK(object_create_shmem(2 * PAGE_SIZE, &object));
    addr = test_map_object(object, 2, MAP_PRIVATE);
    EXPECT_OK(get_user_u64(&value, addr));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_TRUE(pte_is_none(test_entry(child, addr)));
    mm_put(child);
    EXPECT_OK(put_user_u64(addr, 1));
    ASSERT_OK(mm_fork(current_mm(), &child));
    EXPECT_EQ((u64)test_page(current_mm(), addr), (u64)test_page(child, addr));
    mm_put(child);
    object_put(object);
}

/* K3. */
TEST(cow, a_write_through_a_shared_mapping_never_copies)
{
    struct vm_object *object;
    struct page *held;
    struct mm *child;
    u64 addr;

    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    addr = test_map_object(object, 1, MAP_SHARED);
    ASSERT_EQ(1, get_user_pages(addr, 1, 0, &held));
    ASSERT_OK(mm_fork(current_mm(), &child));
    ASSERT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    ASSERT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ | PROT_WRITE));
    EXPECT_OK(put_user_u64(addr, 4));
    EXPECT_EQ((u64)held, (u64)test_page(current_mm(), addr));
    EXPECT_EQ(4, *(u64 *)page_to_virt(held));
    EXPECT_EQ(4, test_peek(child, addr));
    page_put(held);
    mm_put(child);
    object_put(object);
}

/* K4. */
TEST(cow, a_write_to_the_zero_page_gives_zeroes_of_its_own)
{
    u64 addr = test_map(1);
    u64 value = 1;

    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(0, value);
    EXPECT_OK(put_user_u64(addr + 8, 5));
    EXPECT_NE((u64)zero_page(), (u64)test_page(current_mm(), addr));
    EXPECT_EQ(0, test_peek(current_mm(), addr));
    EXPECT_EQ(0, test_peek(current_mm(), addr + PAGE_SIZE - 8));
    EXPECT_EQ(0, *(u64 *)page_to_virt(zero_page()));
}
