/*
 * Looking at an address space without changing it, and forgetting what was written: pagemap,
 * clear_refs, smaps, the words about frames.
 */
#include <mm/clear_refs.h>
#include <mm/frames.h>
#include <mm/kpage.h>
#include <mm/pagemap.h>
#include <mm/smaps.h>
#include <uapi/linux/kernel-page-flags.h>
#include "mm_test.h"

static u64 word_at(u64 addr)
{
    u64 word = 0;

    mm_pagemap(current_mm(), addr, 1, PAGEMAP_WITH_FRAMES, &word);
    return word;
}

static bool is_soft_dirty(u64 addr)
{
    return word_at(addr) & PM_SOFT_DIRTY;
}

static void forget_writes(void)
{
    EXPECT_OK(mm_clear_refs(current_mm(), CLEAR_REFS_SOFT_DIRTY));
}

static struct vm_usage usage_of(u64 addr)
{
    struct vm_usage usage;

    mm_read_lock(current_mm());
    smaps_gather(vma_find_at(current_mm(), addr), &usage);
    mm_read_unlock(current_mm());
    return usage;
}

TEST(inspect, pagemap_tells_frames_and_kinds)
{
    u64 addr = test_map(4);
    u64 words[6];
    u64 value;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 1));
    EXPECT_OK(get_user_u64(&value, addr + PAGE_SIZE));
    mm_pagemap(current_mm(), addr - PAGE_SIZE, 6, PAGEMAP_WITH_FRAMES, words);
    EXPECT_EQ(0, words[0]);
    EXPECT_EQ(PM_PRESENT | PM_MMAP_EXCLUSIVE | PM_SOFT_DIRTY |
                  page_to_pfn(test_page(current_mm(), addr)),
              words[1]);
    EXPECT_EQ(PM_PRESENT | PM_SOFT_DIRTY | page_to_pfn(zero_page()), words[2]);
    EXPECT_EQ(PM_SOFT_DIRTY, words[3]);
    EXPECT_EQ(0, words[5]);
    mm_pagemap(current_mm(), addr, 1, PAGEMAP_WITHOUT_FRAMES, words);
    EXPECT_EQ(PM_PRESENT | PM_MMAP_EXCLUSIVE | PM_SOFT_DIRTY, words[0]);
}

TEST(inspect, pagemap_tells_pages_of_objects)
{
    struct vm_object *object = NULL;
    u64 addr;

    ASSERT_OK(object_create_shmem(2 * PAGE_SIZE, &object));
    addr = test_map_object(object, 2, MAP_SHARED);
    EXPECT_OK(put_user_u64(addr, 1));
    EXPECT_EQ(PM_PRESENT | PM_FILE | PM_MMAP_EXCLUSIVE,
              word_at(addr) & ~PM_FRAME_MASK & ~PM_SOFT_DIRTY);
    object_put(object);
}

TEST(inspect, soft_dirty_comes_back_with_the_next_write)
{
    u64 addr = test_map(3);
    u64 value;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 1));
    EXPECT_OK(put_user_u64(addr + PAGE_SIZE, 1));
    EXPECT_TRUE(is_soft_dirty(addr) && is_soft_dirty(addr + 2 * PAGE_SIZE));
    forget_writes();
    EXPECT_FALSE(is_soft_dirty(addr) || is_soft_dirty(addr + PAGE_SIZE));
    EXPECT_FALSE(is_soft_dirty(addr + 2 * PAGE_SIZE));
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_FALSE(is_soft_dirty(addr));
    EXPECT_OK(put_user_u64(addr + PAGE_SIZE, 2));
    EXPECT_FALSE(is_soft_dirty(addr));
    EXPECT_TRUE(is_soft_dirty(addr + PAGE_SIZE));
    EXPECT_OK(put_user_u64(addr + 2 * PAGE_SIZE, 2));
    EXPECT_TRUE(is_soft_dirty(addr + 2 * PAGE_SIZE));
}

TEST(inspect, soft_dirty_survives_mprotect_and_is_seen_in_shared_memory)
{
    struct vm_object *object = NULL;
    u64 shared, private, value;

    ASSERT_OK(object_create_shmem(2 * PAGE_SIZE, &object));
    shared = test_map_object(object, 2, MAP_SHARED);
    private = test_map(1);
    EXPECT_OK(put_user_u64(shared, 1));
    EXPECT_OK(put_user_u64(private, 1));
    forget_writes();
    EXPECT_OK(mm_protect(current_mm(), shared, PAGE_SIZE, PROT_READ));
    EXPECT_OK(mm_protect(current_mm(), shared, PAGE_SIZE, PROT_READ | PROT_WRITE));
    EXPECT_OK(mm_protect(current_mm(), private, PAGE_SIZE, PROT_READ));
    EXPECT_OK(mm_protect(current_mm(), private, PAGE_SIZE, PROT_READ | PROT_WRITE));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), shared)));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), private)));
    /* A page that is only read comes without the right to write it unseen. */
    EXPECT_OK(get_user_u64(&value, shared + PAGE_SIZE));
    EXPECT_FALSE(is_soft_dirty(shared + PAGE_SIZE));
    EXPECT_OK(put_user_u64(shared, 2));
    EXPECT_OK(put_user_u64(shared + PAGE_SIZE, 2));
    EXPECT_OK(put_user_u64(private, 2));
    EXPECT_TRUE(is_soft_dirty(shared) && is_soft_dirty(shared + PAGE_SIZE) &&
                is_soft_dirty(private));
    object_put(object);
}

TEST(inspect, soft_dirty_of_a_pinned_page_stays)
{
    u64 addr = test_map(1);
    struct page *page;

    ASSERT_TRUE(addr != 0);
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE, &page));
    forget_writes();
    EXPECT_TRUE(is_soft_dirty(addr));
    EXPECT_TRUE(pte_is_writable(test_entry(current_mm(), addr)));
    unpin_user_page(page);
    forget_writes();
    EXPECT_FALSE(is_soft_dirty(addr));
}

/* Who has pinned it may write, whatever the program itself may: Linux forgets it here. */
TEST(inspect, soft_dirty_of_a_pinned_page_stays_behind_a_read_only_entry)
{
    u64 addr = test_map(1);
    struct page *page;

    ASSERT_TRUE(addr != 0);
    ASSERT_EQ(1, pin_user_pages(addr, 1, FOLL_WRITE, &page));
    EXPECT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    forget_writes();
    EXPECT_TRUE(is_soft_dirty(addr));
    unpin_user_page(page);
}

/* A mapping joins a new one when either of the two is changed. Linux may forget the new one then.
 */
TEST(inspect, what_joins_a_new_mapping_is_soft_dirty)
{
    for (u64 changed = 0; changed < 2; changed++) {
        u64 addr = test_map_prot(2, changed == 0 ? PROT_READ : PROT_READ | PROT_WRITE);
        struct map_request req = {.addr = addr,
                                  .len = PAGE_SIZE,
                                  .prot = changed == 0 ? PROT_READ | PROT_WRITE : PROT_READ,
                                  .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED};
        u64 new;

        ASSERT_TRUE(addr != 0);
        forget_writes();
        ASSERT_OK(mm_map(current_mm(), &req, &new));
        EXPECT_FALSE(is_soft_dirty(addr + PAGE_SIZE));
        EXPECT_OK(mm_protect(current_mm(), addr + changed * PAGE_SIZE, PAGE_SIZE, PROT_READ));
        EXPECT_TRUE(is_soft_dirty(addr) && is_soft_dirty(addr + PAGE_SIZE));
    }
}

TEST(inspect, moved_and_new_mappings_are_soft_dirty)
{
    u64 addr = test_map(2);
    u64 moved;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 1));
    forget_writes();
    EXPECT_OK(mm_remap(current_mm(), addr, 2 * PAGE_SIZE, 2 * PAGE_SIZE,
                       MREMAP_MAYMOVE | MREMAP_FIXED, addr - 16 * PAGE_SIZE, &moved));
    EXPECT_TRUE(is_soft_dirty(moved));
    forget_writes();
    addr = test_map(1);
    EXPECT_TRUE(is_soft_dirty(addr));
}

TEST(inspect, accessed_bits_are_forgotten_for_the_kind_asked_for)
{
    struct vm_object *object = NULL;
    u64 anon = test_map(1);
    u64 value;

    ASSERT_TRUE(anon != 0);
    ASSERT_OK(object_create_shmem(PAGE_SIZE, &object));
    EXPECT_OK(put_user_u64(anon, 1));
    EXPECT_OK(mm_clear_refs(current_mm(), CLEAR_REFS_MAPPED));
    EXPECT_EQ(PAGE_SIZE, usage_of(anon).referenced);
    EXPECT_OK(mm_clear_refs(current_mm(), CLEAR_REFS_ANON));
    EXPECT_EQ(0, usage_of(anon).referenced);
    EXPECT_OK(get_user_u64(&value, anon));
    EXPECT_OK(mm_clear_refs(current_mm(), CLEAR_REFS_ALL));
    EXPECT_EQ(0, usage_of(anon).referenced);
    EXPECT_ERR(-EINVAL, mm_clear_refs(current_mm(), 0));
    EXPECT_ERR(-EINVAL, mm_clear_refs(current_mm(), 6));
    object_put(object);
}

TEST(inspect, peak_size_is_forgotten)
{
    struct mm *mm = current_mm();
    u64 addr = test_map(64);

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(mm_populate(mm, addr, addr + 64 * PAGE_SIZE));
    EXPECT_OK(mm_unmap(mm, addr, 64 * PAGE_SIZE));
    EXPECT_LE(64, mm->hiwater_rss);
    EXPECT_OK(mm_clear_refs(mm, CLEAR_REFS_PEAK));
    EXPECT_EQ(mm_rss_total(mm), mm->hiwater_rss);
}

TEST(inspect, usage_counts_shares_and_dirt)
{
    struct vm_object *object = NULL;
    u64 value, first, second;
    struct vm_usage usage;

    ASSERT_OK(object_create_shmem(4 * PAGE_SIZE, &object));
    first = test_map_object(object, 4, MAP_SHARED);
    second = test_map_object(object, 4, MAP_PRIVATE);
    EXPECT_OK(put_user_u64(first, 1));
    EXPECT_OK(get_user_u64(&value, first + PAGE_SIZE));
    EXPECT_OK(put_user_u64(second + 2 * PAGE_SIZE, 1));
    /* Reading the first page brings in the other one that the object has. */
    EXPECT_OK(get_user_u64(&value, second));
    usage = usage_of(second);
    EXPECT_EQ(3 * PAGE_SIZE, usage.rss);
    EXPECT_EQ(PAGE_SIZE, usage.anonymous);
    EXPECT_EQ(PAGE_SIZE, usage.private_dirty);
    EXPECT_EQ(PAGE_SIZE, usage.shared_dirty);
    EXPECT_EQ(PAGE_SIZE, usage.shared_clean);
    EXPECT_EQ((2 * PAGE_SIZE) << SMAPS_SHARE_SHIFT, usage.share);
    EXPECT_EQ(PAGE_SIZE << SMAPS_SHARE_SHIFT, usage.share_anon);
    object_put(object);
}

TEST(inspect, frames_tell_what_they_are)
{
    u64 addr = test_map(1);
    u64 pfn;

    ASSERT_TRUE(addr != 0);
    EXPECT_OK(put_user_u64(addr, 1));
    pfn = page_to_pfn(test_page(current_mm(), addr));
    EXPECT_EQ(1, kpage_count(pfn));
    EXPECT_EQ(BIT(KPF_ANON) | BIT(KPF_MMAP) | BIT(KPF_SWAPBACKED) | BIT(KPF_UPTODATE),
              kpage_flags(pfn));
    EXPECT_EQ(BIT(KPF_ZERO_PAGE), kpage_flags(page_to_pfn(zero_page())) & BIT(KPF_ZERO_PAGE));
    EXPECT_EQ(0, kpage_count(page_to_pfn(zero_page())));
    EXPECT_EQ(BIT(KPF_PGTABLE), kpage_flags(current_mm()->pgd >> PAGE_SHIFT));
    EXPECT_EQ(BIT(KPF_NOPAGE), kpage_flags(kpage_end() + (1ul << 30)));
    EXPECT_TRUE(pfn < kpage_end());
}

/* Whose struct page does not exist as yet must be told of without a look at it. */
TEST(inspect, a_frame_that_nobody_has_needed_is_free)
{
    u64 nr_asleep = 0;

    for (u64 pfn = 0; pfn < kpage_end(); pfn++) {
        if (pfn_is_dormant(pfn)) {
            nr_asleep += kpage_flags(pfn) == 0 && kpage_count(pfn) == 0;
        } else {
            (void)kpage_flags(pfn);
        }
    }
    EXPECT_EQ(frames_nr_dormant(), nr_asleep);
}

TEST_EACH_ALLOC(inspect, scan_fails_cleanly)
{
    u64 addr = test_map(3);
    struct pm_scan_arg arg = {.size = sizeof(arg),
                              .start = addr,
                              .end = addr + PAGE_SIZE,
                              .vec = addr + 2 * PAGE_SIZE,
                              .vec_len = 1,
                              .category_mask = PAGE_IS_PRESENT,
                              .return_mask = PAGE_IS_PRESENT};
    struct page_region region;
    s64 result;

    if (addr == 0 || put_user_u64(addr, 1) != 0 ||
        copy_to_user(addr + PAGE_SIZE, &arg, sizeof(arg)) != 0) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    result = mm_pagemap_scan(current_mm(), addr + PAGE_SIZE);
    EXPECT_TRUE(result == 1 || (ktest_alloc_failed() && (result == -ENOMEM || result == -EFAULT)));
    if (result == 1 && copy_from_user(&region, arg.vec, sizeof(region)) == 0) {
        EXPECT_EQ(addr, region.start);
        EXPECT_EQ(addr + PAGE_SIZE, region.end);
        EXPECT_EQ(PAGE_IS_PRESENT, region.categories);
    }
}
