/*
 * Rules D of userfaultfd: what filling, protecting and moving pages enters, and what it refuses.
 */
#include <proc/signal.h>
#include <proc/thread.h>
#include "uffd_test.h"

#define WORD 0x7777000077770000ul

static struct uffd_ctx *ctx; /* of the running test */

static struct region watched(enum memory memory, u64 nr_pages, u64 vm_flags)
{
    struct region region = region_make(memory, nr_pages);

    ctx = uffd_make(0);
    EXPECT_OK(uffd_watch(ctx, region.addr, nr_pages, vm_flags));
    return region;
}

static void finish(struct region *region)
{
    uffd_release(ctx);
    region_drop(region);
}

static void raise_and_lower(int *error, const struct uffd_fill *fill)
{
    uffd_begin_change(ctx);
    *error = (int)uffd_fill(ctx, fill);
    uffd_end_change(ctx);
}

/* O4. */
TEST(uffd, rule_d1_nothing_is_filled_while_memory_changes)
{
    struct region region = watched(ANON, 1, MISSING | WP);
    struct uffd_fill fill = {.kind = UFFD_FILL_ZERO, .dst = region.addr, .len = PAGE_SIZE};
    struct uffd_move move = {.dst = region.addr, .src = source_pages(1, WORD), .len = PAGE_SIZE};
    int error;

    raise_and_lower(&error, &fill);
    EXPECT_ERR(-EAGAIN, error);
    uffd_begin_change(ctx);
    EXPECT_ERR(-EAGAIN, uffd_move(ctx, &move));
    EXPECT_ERR(-EAGAIN, uffd_protect(ctx, region.addr, 1));
    uffd_end_change(ctx);
    EXPECT_EQ(PAGE_SIZE, uffd_fill(ctx, &fill));
    finish(&region);
}

TEST(uffd, rule_d2_a_short_fill_tells_how_far_it_came)
{
    struct region region = watched(ANON, 3, MISSING);

    EXPECT_EQ(PAGE_SIZE, uffd_enter(ctx, UFFD_FILL_ZERO, region.addr + PAGE_SIZE, 1));
    EXPECT_EQ(PAGE_SIZE, uffd_enter(ctx, UFFD_FILL_ZERO, region.addr, 3));
    EXPECT_ERR(-EEXIST, uffd_enter(ctx, UFFD_FILL_ZERO, region.addr, 3));
    finish(&region);
}

TEST(uffd, rule_d7_who_is_killed_stops_after_the_page)
{
    struct region region = watched(ANON, 3, MISSING);
    u64 source = source_pages(3, WORD);
    s64 done;

    current_thread()->sig.pending.set |= SIGNAL_BIT(SIGKILL);
    done = uffd_copy(ctx, region.addr, source, 3);
    current_thread()->sig.pending.set &= ~SIGNAL_BIT(SIGKILL);
    EXPECT_EQ(PAGE_SIZE, done);
    EXPECT_TRUE(pte_is_present(test_entry(current_mm(), region.addr)));
    EXPECT_TRUE(pte_is_none(test_entry(current_mm(), region.addr + PAGE_SIZE)));
    finish(&region);
}

TEST(uffd, rule_d4_a_fill_stays_in_one_vma_of_any_pager)
{
    struct region region = watched(ANON, 2, MISSING);
    struct uffd_ctx *other = uffd_make(0);
    u64 source = source_pages(2, WORD);

    EXPECT_EQ(PAGE_SIZE, uffd_copy(other, region.addr, source, 1));
    EXPECT_OK(uffd_unregister(ctx, region.addr + PAGE_SIZE, region.addr + 2 * PAGE_SIZE));
    EXPECT_ERR(-ENOENT, uffd_copy(ctx, region.addr, source, 2));
    EXPECT_ERR(-ENOENT, uffd_copy(ctx, region.addr + PAGE_SIZE, source, 1));
    EXPECT_ERR(-ENOENT, uffd_copy(ctx, source - 8 * MIB, source, 1));
    uffd_release(other);
    finish(&region);
}

TEST(uffd, rule_d5_and_d6_what_the_vma_must_be)
{
    struct region region = watched(ANON, 1, MISSING);
    struct uffd_fill fill = {.kind = UFFD_FILL_COPY,
                             .dst = region.addr,
                             .src = source_pages(1, WORD),
                             .len = PAGE_SIZE,
                             .is_protected = true};

    EXPECT_ERR(-EINVAL, uffd_fill(ctx, &fill));
    EXPECT_ERR(-EINVAL, uffd_enter(ctx, UFFD_FILL_CONTINUE, region.addr, 1));
    finish(&region);
}

TEST(uffd, rule_d8_nothing_is_filled_beyond_the_end)
{
    for (enum memory memory = SHMEM_PRIVATE; memory <= SHMEM_SHARED; memory++) {
        struct region region = watched(memory, 2, MISSING);

        EXPECT_OK(object_truncate(region.object, PAGE_SIZE));
        EXPECT_ERR(-EFAULT, uffd_copy(ctx, region.addr + PAGE_SIZE, source_pages(1, WORD), 1));
        EXPECT_ERR(-EFAULT, uffd_enter(ctx, UFFD_FILL_ZERO, region.addr + PAGE_SIZE, 1));
        EXPECT_ERR(-EFAULT, uffd_enter(ctx, UFFD_FILL_POISON, region.addr + PAGE_SIZE, 1));
        EXPECT_ERR(-EINVAL, uffd_enter(ctx, UFFD_FILL_CONTINUE, region.addr + PAGE_SIZE, 1));
        EXPECT_EQ(0, object_nr_pages(region.object));
        finish(&region);
    }
}

/* The source is not aligned, and has no page yet either: it is faulted in with no lock held. */
TEST(uffd, rule_d10_the_source_may_be_anywhere)
{
    struct region region = watched(ANON, 2, MISSING);
    u64 source = test_map(3);

    EXPECT_OK(put_user_u64(source + PAGE_SIZE, WORD));
    EXPECT_EQ(2 * PAGE_SIZE, uffd_copy(ctx, region.addr, source + 8, 2));
    EXPECT_EQ(0, test_peek(current_mm(), region.addr));
    EXPECT_EQ(WORD, test_peek(current_mm(), region.addr + PAGE_SIZE - 8));
    EXPECT_OK(mm_advise(current_mm(), region.addr, PAGE_SIZE, MADV_DONTNEED));
    EXPECT_OK(mm_unmap(current_mm(), source, PAGE_SIZE));
    EXPECT_ERR(-EFAULT, uffd_copy(ctx, region.addr, source, 1));
    finish(&region);
}

static u64 waiting_source;

static void help_copy(struct helper *helper)
{
    helper->result = uffd_copy(ctx, helper->addr, waiting_source, 1);
}

/* While the source is waited for nothing is held: the destination may even go. */
TEST(uffd, rule_d10_everything_is_looked_at_anew_after_the_source)
{
    for (u32 round = 0; round < 2; round++) {
        struct region region = watched(ANON, 1, MISSING);
        struct uffd_ctx *other = uffd_make(0);
        struct helper helper;

        waiting_source = test_map(1);
        EXPECT_OK(uffd_watch(other, waiting_source, 1, MISSING));
        helper_start(&helper, help_copy, region.addr, 0);
        EXPECT_EQ(waiting_source, uffd_next(other).arg.pagefault.address);
        if (round == 0) {
            EXPECT_OK(uffd_unregister(ctx, region.addr, region.addr + PAGE_SIZE));
        } else {
            EXPECT_EQ(PAGE_SIZE, uffd_enter(ctx, UFFD_FILL_ZERO, region.addr, 1));
        }
        uffd_release(other);
        EXPECT_EQ(round == 0 ? -ENOENT : -EEXIST, helper_join(&helper));
        finish(&region);
    }
}

TEST(uffd, rule_d12_and_d13_what_a_copy_enters)
{
    for (enum memory memory = ANON; memory < NR_MEMORIES; memory++) {
        struct region region = watched(memory, 1, MISSING);
        struct pte entry;

        EXPECT_EQ(PAGE_SIZE, uffd_copy(ctx, region.addr, source_pages(1, WORD), 1));
        entry = test_entry(current_mm(), region.addr);
        EXPECT_TRUE(pte_is_dirty(entry) && pte_is_writable(entry));
        EXPECT_EQ(memory != SHMEM_SHARED, test_is_exclusive(current_mm(), region.addr));
        if (region.object != NULL) {
            EXPECT_EQ(memory == SHMEM_SHARED, object_nr_pages(region.object));
        }
        finish(&region);
    }
}

TEST(uffd, rule_d14_zeros_are_the_zero_page_or_one_of_the_object)
{
    for (enum memory memory = ANON; memory < NR_MEMORIES; memory++) {
        struct region region = watched(memory, 1, MISSING);

        EXPECT_EQ(PAGE_SIZE, uffd_enter(ctx, UFFD_FILL_ZERO, region.addr, 1));
        EXPECT_EQ(memory != SHMEM_SHARED, test_page(current_mm(), region.addr) == zero_page());
        EXPECT_OK(put_user_u64(region.addr, WORD));
        EXPECT_EQ(WORD, test_peek(current_mm(), region.addr));
        finish(&region);
    }
}

/* D14: zeros do not replace a marker in private memory; a copy does (D11). */
TEST(uffd, rule_d11_and_d14_markers_are_replaced_or_not)
{
    for (enum memory memory = SHMEM_PRIVATE; memory <= SHMEM_SHARED; memory++) {
        struct region region = watched(memory, 2, MISSING | WP);

        EXPECT_OK(uffd_protect(ctx, region.addr, 2));
        EXPECT_EQ(memory == SHMEM_SHARED ? (s64)PAGE_SIZE : -EEXIST,
                  uffd_enter(ctx, UFFD_FILL_ZERO, region.addr, 1));
        EXPECT_EQ(PAGE_SIZE, uffd_copy(ctx, region.addr + PAGE_SIZE, source_pages(1, WORD), 1));
        EXPECT_EQ(STATE_PRESENT, entry_state(current_mm(), region.addr + PAGE_SIZE));
        finish(&region);
    }
}

TEST(uffd, rule_d15_continue_maps_what_is_there)
{
    for (enum memory memory = SHMEM_PRIVATE; memory <= SHMEM_SHARED; memory++) {
        struct region region = watched(memory, 1, MINOR);
        u64 second = test_map_object(region.object, 1, MAP_SHARED);
        struct pte entry;

        EXPECT_ERR(-EFAULT, uffd_enter(ctx, UFFD_FILL_CONTINUE, region.addr, 1));
        EXPECT_OK(put_user_u64(second, WORD));
        EXPECT_TRUE(asks_pager(region.addr, 0));
        EXPECT_EQ(PAGE_SIZE, uffd_enter(ctx, UFFD_FILL_CONTINUE, region.addr, 1));
        EXPECT_ERR(-EEXIST, uffd_enter(ctx, UFFD_FILL_CONTINUE, region.addr, 1));
        entry = test_entry(current_mm(), region.addr);
        EXPECT_EQ(memory == SHMEM_SHARED, pte_is_writable(entry));
        EXPECT_EQ(WORD, test_peek(current_mm(), region.addr));
        EXPECT_ERR(-EEXIST, uffd_enter(ctx, UFFD_FILL_ZERO, region.addr, 1));
        EXPECT_OK(mm_unmap(current_mm(), second, PAGE_SIZE));
        finish(&region);
    }
}

TEST(uffd, rule_d16_poison_kills_and_is_replaced_by_a_copy)
{
    struct region region = watched(ANON, 1, MISSING);
    struct fault_info info;

    EXPECT_EQ(PAGE_SIZE, uffd_enter(ctx, UFFD_FILL_POISON, region.addr, 1));
    EXPECT_ERR(-EEXIST, uffd_enter(ctx, UFFD_FILL_POISON, region.addr, 1));
    EXPECT_EQ(FAULT_SIGBUS, handle_mm_fault(current_mm(), region.addr, 0, &info));
    EXPECT_EQ(BUS_MCEERR_AR, info.si_code);
    EXPECT_EQ(PAGE_SIZE, uffd_copy(ctx, region.addr, source_pages(1, WORD), 1));
    EXPECT_EQ(WORD, test_peek(current_mm(), region.addr));
    finish(&region);
}

TEST(uffd, rule_d18_each_vma_must_be_registered)
{
    struct region region = watched(ANON, 3, WP);
    u64 end = region.addr + 3 * PAGE_SIZE;

    for (u64 addr = region.addr; addr < end; addr += PAGE_SIZE) {
        EXPECT_OK(put_user_u64(addr, WORD));
    }
    EXPECT_OK(uffd_unregister(ctx, region.addr + PAGE_SIZE, region.addr + 2 * PAGE_SIZE));
    EXPECT_ERR(-ENOENT, uffd_protect(ctx, region.addr, 3));
    EXPECT_EQ(STATE_PROTECTED, entry_state(current_mm(), region.addr));
    EXPECT_EQ(STATE_PRESENT, entry_state(current_mm(), region.addr + 2 * PAGE_SIZE));
    /* Gaps are passed over. */
    EXPECT_OK(mm_unmap(current_mm(), region.addr + PAGE_SIZE, PAGE_SIZE));
    EXPECT_OK(uffd_protect(ctx, region.addr, 3));
    EXPECT_EQ(STATE_PROTECTED, entry_state(current_mm(), region.addr + 2 * PAGE_SIZE));
    finish(&region);
}

TEST(uffd, rule_d19_the_right_to_write_comes_back_where_it_is_safe)
{
    struct region region = watched(ANON, 2, WP);
    struct mm *child;

    EXPECT_OK(put_user_u64(region.addr, WORD));
    EXPECT_OK(uffd_protect(ctx, region.addr, 1));
    EXPECT_OK(uffd_unprotect(ctx, region.addr, 1));
    EXPECT_TRUE(pte_is_writable(test_entry(current_mm(), region.addr)));
    EXPECT_OK(mm_fork(current_mm(), &child));
    EXPECT_OK(uffd_protect(ctx, region.addr, 1));
    EXPECT_OK(uffd_unprotect(ctx, region.addr, 1));
    EXPECT_FALSE(pte_is_writable(test_entry(current_mm(), region.addr)));
    mm_put(child);
    finish(&region);
}

/* --- MOVE ------------------------------------------------------------------------------------- */

static s64 move_pages(u64 dst, u64 src, u64 nr_pages, bool allows_holes)
{
    struct uffd_move move = {
        .dst = dst, .src = src, .len = nr_pages * PAGE_SIZE, .allows_holes = allows_holes};

    return uffd_move(ctx, &move);
}

TEST(uffd, rule_d21_only_between_private_memory_of_one_kind)
{
    struct region region = watched(ANON, 2, MISSING);
    struct region shared = region_make(SHMEM_SHARED, 1);
    u64 source = source_pages(2, WORD);

    EXPECT_ERR(-EINVAL, move_pages(region.addr, shared.addr, 1, false));
    EXPECT_ERR(-EINVAL, move_pages(source, region.addr, 1, false)); /* not registered */
    EXPECT_ERR(-EINVAL, move_pages(region.addr, source + PAGE_SIZE, 2, false));
    EXPECT_ERR(-ENOENT, move_pages(region.addr, region.addr - 8 * MIB, 1, false));
    EXPECT_OK(mm_protect(current_mm(), source, PAGE_SIZE, PROT_READ));
    EXPECT_ERR(-EINVAL, move_pages(region.addr, source, 1, false));
    region_drop(&shared);
    finish(&region);
}

TEST(uffd, rule_d22_holes_and_what_is_there_already)
{
    struct region region = watched(ANON, 3, MISSING);
    u64 source = test_map(3);

    EXPECT_OK(put_user_u64(source, WORD));
    EXPECT_OK(put_user_u64(source + 2 * PAGE_SIZE, WORD));
    EXPECT_EQ(PAGE_SIZE, move_pages(region.addr, source, 3, false));
    EXPECT_ERR(-ENOENT, move_pages(region.addr + PAGE_SIZE, source + PAGE_SIZE, 2, false));
    EXPECT_EQ(2 * PAGE_SIZE, move_pages(region.addr + PAGE_SIZE, source + PAGE_SIZE, 2, true));
    EXPECT_EQ(STATE_NONE, entry_state(current_mm(), region.addr + PAGE_SIZE));
    EXPECT_EQ(WORD, test_peek(current_mm(), region.addr + 2 * PAGE_SIZE));
    EXPECT_OK(put_user_u64(source, WORD));
    EXPECT_ERR(-EEXIST, move_pages(region.addr, source, 1, false));
    finish(&region);
}

TEST(uffd, rule_d23_a_page_moves_if_it_is_nobody_elses)
{
    struct region region = watched(ANON, 2, MISSING);
    u64 source = source_pages(2, WORD);
    struct page *pinned;
    struct page *moved;
    struct mm *child;

    EXPECT_EQ(1, pin_user_pages(source, 1, FOLL_WRITE, &pinned));
    EXPECT_ERR(-EBUSY, move_pages(region.addr, source, 1, false));
    EXPECT_EQ(pinned, test_page(current_mm(), source));
    unpin_user_page(pinned);
    moved = test_page(current_mm(), source);
    EXPECT_EQ(PAGE_SIZE, move_pages(region.addr, source, 1, false));
    EXPECT_EQ(moved, test_page(current_mm(), region.addr));
    EXPECT_EQ(STATE_NONE, entry_state(current_mm(), source));
    EXPECT_OK(mm_fork(current_mm(), &child));
    EXPECT_ERR(-EBUSY, move_pages(region.addr + PAGE_SIZE, source + PAGE_SIZE, 1, false));
    mm_put(child);
    finish(&region);
}

/* The page can be found from where it is now: a fork shares it, a write of the child copies. */
TEST(uffd, rule_d23_a_moved_page_belongs_to_its_new_place)
{
    struct region region = watched(ANON, 1, MISSING);
    u64 source = source_pages(1, WORD);
    struct mm *child;

    EXPECT_EQ(PAGE_SIZE, move_pages(region.addr, source, 1, false));
    EXPECT_OK(mm_unmap(current_mm(), source, PAGE_SIZE));
    EXPECT_EQ(vma_find_at(current_mm(), region.addr)->anon_vma,
              test_page(current_mm(), region.addr)->owner);
    EXPECT_OK(mm_fork(current_mm(), &child));
    EXPECT_TRUE(test_poke(child, region.addr, WORD + 1));
    EXPECT_EQ(WORD, test_peek(current_mm(), region.addr));
    mm_put(child);
    finish(&region);
}
