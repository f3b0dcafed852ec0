/*
 * Rules A to E of userfaultfd, as far as they show inside the kernel: which VMAs have a pager, what
 * a fault may wait for, what a fill enters. What programs see is tests/user/uffd_*_test.c's.
 */
#include <mm/verify.h>
#include <proc/signal.h>
#include "uffd_test.h"

#define WORD 0x5555aaaa5555aaaaul

static struct uffd_ctx *ctx; /* of the running test */

static void open_for(u64 features)
{
    ctx = uffd_make(features);
}

/* --- registration ----------------------------------------------------------------------------- */

TEST(uffd, rule_b6_a_vma_has_one_pager)
{
    u64 addr = test_map(2);
    struct uffd_ctx *other = uffd_make(0);

    open_for(0);
    EXPECT_OK(uffd_watch(ctx, addr, 1, MISSING));
    EXPECT_ERR(-EBUSY, uffd_watch(other, addr, 2, MISSING));
    EXPECT_EQ(NULL, vma_find_at(current_mm(), addr + PAGE_SIZE)->uffd);
    EXPECT_OK(uffd_watch(other, addr + PAGE_SIZE, 1, MISSING));
    EXPECT_EQ(2, current_mm()->map_count);
    uffd_release(other);
    uffd_release(ctx);
    EXPECT_EQ(1, current_mm()->map_count);
}

TEST(uffd, rule_b6_modes_replace_each_other)
{
    u64 addr = test_map(1);

    open_for(0);
    EXPECT_OK(uffd_watch(ctx, addr, 1, MISSING | WP));
    EXPECT_OK(uffd_watch(ctx, addr, 1, MISSING));
    EXPECT_EQ(MISSING | WP, vma_find_at(current_mm(), addr)->flags & VM_UFFD_FLAGS);
    EXPECT_EQ(PAGE_SIZE, uffd_copy(ctx, addr, source_pages(1, WORD), 1));
    EXPECT_OK(uffd_protect(ctx, addr, 1));
    EXPECT_OK(uffd_unregister(ctx, addr, addr + PAGE_SIZE));
    EXPECT_OK(uffd_watch(ctx, addr, 1, WP));
    EXPECT_OK(uffd_protect(ctx, addr, 1));
    /* I6: protection does not outlive its mode. */
    EXPECT_OK(uffd_watch(ctx, addr, 1, MISSING));
    EXPECT_EQ(MISSING, vma_find_at(current_mm(), addr)->flags & VM_UFFD_FLAGS);
    EXPECT_EQ(STATE_PRESENT, entry_state(current_mm(), addr));
    mm_verify(current_mm());
    uffd_release(ctx);
}

TEST(uffd, rule_b7_nothing_changes_if_one_vma_is_not_fit)
{
    u64 addr = test_map(3);
    struct vm_object *device;

    open_for(0);
    EXPECT_OK(mm_protect(current_mm(), addr + PAGE_SIZE, PAGE_SIZE, PROT_READ));
    EXPECT_OK(object_create_shmem(PAGE_SIZE, &device));
    device->kind = OBJECT_PAGED;
    EXPECT_OK(mm_unmap(current_mm(), addr + 2 * PAGE_SIZE, PAGE_SIZE));
    EXPECT_OK(mm_map(current_mm(),
                     &(struct map_request){.addr = addr + 2 * PAGE_SIZE,
                                           .len = PAGE_SIZE,
                                           .prot = PROT_READ,
                                           .flags = MAP_SHARED | MAP_FIXED,
                                           .object = device},
                     &(u64){0}));
    EXPECT_ERR(-EINVAL, uffd_watch(ctx, addr, 3, MISSING)); /* B4 */
    EXPECT_EQ(NULL, vma_find_at(current_mm(), addr)->uffd);
    EXPECT_ERR(-EINVAL, uffd_watch(ctx, addr, 2, MINOR));
    EXPECT_EQ(NULL, vma_find_at(current_mm(), addr)->uffd);
    EXPECT_OK(uffd_watch(ctx, addr, 2, MISSING));
    uffd_release(ctx);
    /* With WP_ASYNC any memory may be write-protected. */
    open_for(UFFD_FEATURE_WP_ASYNC);
    EXPECT_ERR(-EINVAL, uffd_watch(ctx, addr, 3, WP | MISSING));
    EXPECT_OK(uffd_watch(ctx, addr, 3, WP));
    uffd_release(ctx);
    EXPECT_OK(mm_unmap(current_mm(), addr, 3 * PAGE_SIZE));
    device->kind = OBJECT_SHMEM;
    object_put(device);
}

TEST(uffd, rule_b10_registration_cuts_and_joins_vmas)
{
    u64 addr = test_map(4);

    open_for(0);
    EXPECT_OK(uffd_watch(ctx, addr + PAGE_SIZE, 2, MISSING));
    EXPECT_EQ(3, current_mm()->map_count);
    EXPECT_OK(uffd_unregister(ctx, addr + PAGE_SIZE, addr + 2 * PAGE_SIZE));
    EXPECT_EQ(3, current_mm()->map_count);
    EXPECT_EQ(NULL, vma_find_at(current_mm(), addr + PAGE_SIZE)->uffd);
    EXPECT_EQ(ctx, vma_find_at(current_mm(), addr + 2 * PAGE_SIZE)->uffd);
    EXPECT_OK(uffd_unregister(ctx, addr, addr + 4 * PAGE_SIZE));
    EXPECT_EQ(1, current_mm()->map_count);
    /* B15. */
    EXPECT_OK(uffd_unregister(ctx, addr, addr + 4 * PAGE_SIZE));
    EXPECT_ERR(-EINVAL, uffd_unregister(ctx, addr - 8 * MIB, addr - 8 * MIB + PAGE_SIZE));
    uffd_release(ctx);
}

TEST(uffd, rule_b13_unregistering_ends_protection)
{
    struct region region = region_make(SHMEM_SHARED, 2);

    open_for(0);
    EXPECT_OK(put_user_u64(region.addr, WORD));
    EXPECT_OK(uffd_watch(ctx, region.addr, 2, WP));
    EXPECT_OK(uffd_protect(ctx, region.addr, 2));
    EXPECT_EQ(STATE_PROTECTED, entry_state(current_mm(), region.addr));
    EXPECT_EQ(STATE_MARKER, entry_state(current_mm(), region.addr + PAGE_SIZE));
    EXPECT_OK(uffd_unregister(ctx, region.addr, region.addr + 2 * PAGE_SIZE));
    EXPECT_EQ(STATE_PRESENT, entry_state(current_mm(), region.addr));
    EXPECT_EQ(STATE_NONE, entry_state(current_mm(), region.addr + PAGE_SIZE));
    uffd_release(ctx);
    region_drop(&region);
}

/* Linux leaves the second one asleep. */
TEST(uffd, rule_b14_unregistering_wakes_whoever_waits)
{
    u64 addr = test_map(2);
    struct helper missing, writer;

    EXPECT_OK(put_user_u64(addr + PAGE_SIZE, WORD));
    open_for(0);
    EXPECT_OK(uffd_watch(ctx, addr, 1, MISSING));
    EXPECT_OK(uffd_watch(ctx, addr + PAGE_SIZE, 1, WP));
    EXPECT_OK(uffd_protect(ctx, addr + PAGE_SIZE, 1));
    helper_start(&missing, help_read, addr, 0);
    (void)uffd_next(ctx);
    helper_start(&writer, help_write, addr + PAGE_SIZE, WORD + 1);
    (void)uffd_next(ctx);
    EXPECT_OK(uffd_unregister(ctx, addr, addr + 2 * PAGE_SIZE));
    EXPECT_OK(helper_join(&missing));
    EXPECT_OK(helper_join(&writer));
    EXPECT_EQ(WORD + 1, test_peek(current_mm(), addr + PAGE_SIZE));
    uffd_release(ctx);
}

/* I7: a read brings in one page of a watched object, and a dozen of another. */
TEST(uffd, rule_b17_nothing_is_mapped_around)
{
    for (u64 mode = 0; mode < 3; mode++) {
        static const u64 modes[] = {MISSING, WP, MINOR};
        struct region region = region_make(SHMEM_SHARED, 8);
        u64 second = test_map_object(region.object, 8, MAP_SHARED);
        u64 value;

        for (u64 i = 0; i < 8; i++) {
            EXPECT_OK(put_user_u64(second + i * PAGE_SIZE, WORD));
        }
        open_for(0);
        EXPECT_OK(uffd_watch(ctx, region.addr, 8, modes[mode]));
        if (modes[mode] == MINOR) {
            EXPECT_TRUE(asks_pager(region.addr, 0));
        } else {
            EXPECT_OK(get_user_u64(&value, region.addr));
        }
        for (u64 i = 1; i < 8; i++) {
            EXPECT_EQ(STATE_NONE, entry_state(current_mm(), region.addr + i * PAGE_SIZE));
        }
        uffd_release(ctx);
        EXPECT_OK(get_user_u64(&value, region.addr + PAGE_SIZE));
        EXPECT_EQ(STATE_PRESENT, entry_state(current_mm(), region.addr + 7 * PAGE_SIZE));
        EXPECT_OK(mm_unmap(current_mm(), second, 8 * PAGE_SIZE));
        region_drop(&region);
    }
}

/* --- faults ----------------------------------------------------------------------------------- */

static u32 access(u32 flags)
{
    return flags | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE;
}

TEST(uffd, rule_c3_to_c6_who_may_not_wait_gets_a_sigbus)
{
    u64 addr = test_map(1);
    struct uffd_ctx *user_mode;

    open_for(UFFD_FEATURE_SIGBUS);
    EXPECT_OK(uffd_watch(ctx, addr, 1, MISSING));
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), addr, access(FAULT_FLAG_USER)));
    uffd_release(ctx);

    EXPECT_OK(uffd_create(current_mm(), UFFD_USER_MODE_ONLY, &user_mode));
    EXPECT_OK(uffd_enable(user_mode, 0));
    EXPECT_OK(uffd_watch(user_mode, addr, 1, MISSING));
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), addr, access(0)));
    EXPECT_TRUE(asks_pager(addr, FAULT_FLAG_USER));
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), addr, FAULT_FLAG_USER));
    current_thread()->sig.exiting = true;
    EXPECT_EQ(FAULT_SIGBUS, test_fault(current_mm(), addr, access(FAULT_FLAG_USER)));
    current_thread()->sig.exiting = false;
    EXPECT_EQ(0, user_mode->nr_waiters);
    uffd_release(user_mode);
}

static struct uffd_msg message_of(u64 features, u64 vm_flags, struct helper *helper, u64 addr,
                                  void (*run)(struct helper *helper))
{
    struct uffd_msg msg;

    open_for(features);
    EXPECT_OK(uffd_watch(ctx, addr & PAGE_MASK, 1, vm_flags));
    helper_start(helper, run, addr, WORD);
    msg = uffd_next(ctx);
    return msg;
}

TEST(uffd, rule_c1_and_c2_a_message_tells_reason_and_place)
{
    u64 addr = test_map(1) + 8;
    struct helper helper;
    struct uffd_msg msg = message_of(0, MISSING, &helper, addr, help_read);

    EXPECT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
    EXPECT_EQ(0, msg.arg.pagefault.flags);
    EXPECT_EQ(addr & PAGE_MASK, msg.arg.pagefault.address);
    EXPECT_EQ(0, msg.arg.pagefault.ptid);
    uffd_release(ctx);
    EXPECT_OK(helper_join(&helper));

    EXPECT_OK(mm_advise(current_mm(), addr & PAGE_MASK, PAGE_SIZE, MADV_DONTNEED));
    msg = message_of(UFFD_FEATURE_EXACT_ADDRESS, MISSING, &helper, addr, help_write);
    EXPECT_EQ(UFFD_PAGEFAULT_FLAG_WRITE, msg.arg.pagefault.flags);
    EXPECT_EQ(addr, msg.arg.pagefault.address);
    uffd_release(ctx);
    EXPECT_OK(helper_join(&helper));
}

TEST(uffd, rule_c12_a_fault_that_was_read_is_still_woken)
{
    u64 addr = test_map(2);
    struct helper first, second;
    u64 nr_pending, nr_total;

    open_for(0);
    EXPECT_OK(uffd_watch(ctx, addr, 2, MISSING));
    helper_start(&first, help_read, addr, 0);
    EXPECT_EQ(addr, uffd_next(ctx).arg.pagefault.address);
    helper_start(&second, help_read, addr + PAGE_SIZE, 0);
    wait_event(&ctx->readers, uffd_has_message(ctx));
    uffd_count(ctx, &nr_pending, &nr_total);
    EXPECT_EQ(1, nr_pending);
    EXPECT_EQ(2, nr_total);
    uffd_verify_all();
    EXPECT_EQ(2 * PAGE_SIZE, uffd_copy(ctx, addr, source_pages(2, WORD), 2));
    uffd_wake(ctx, addr, addr + 2 * PAGE_SIZE);
    EXPECT_OK(helper_join(&first));
    EXPECT_OK(helper_join(&second));
    EXPECT_EQ(WORD, first.word);
    EXPECT_FALSE(uffd_has_message(ctx));
    uffd_release(ctx);
}

/* P2, C19: a reader's copy-on-write is no write. */
TEST(uffd, rule_c19_unsharing_does_not_ask)
{
    u64 addr = test_map(1);
    struct mm *child;

    EXPECT_OK(put_user_u64(addr, WORD));
    EXPECT_OK(mm_fork(current_mm(), &child));
    open_for(0);
    EXPECT_OK(uffd_watch(ctx, addr, 1, WP));
    EXPECT_OK(uffd_protect(ctx, addr, 1));
    EXPECT_FALSE(asks_pager(addr, FAULT_FLAG_UNSHARE));
    EXPECT_EQ(STATE_PROTECTED, entry_state(current_mm(), addr));
    EXPECT_TRUE(test_is_exclusive(current_mm(), addr));
    EXPECT_TRUE(asks_pager(addr, FAULT_FLAG_WRITE));
    mm_put(child);
    uffd_release(ctx);
}

TEST(uffd, rule_c20_a_write_to_a_protected_hole_takes_two_faults)
{
    struct region region = region_make(SHMEM_SHARED, 1);
    u32 flags = access(FAULT_FLAG_WRITE) | FAULT_FLAG_NOWAIT;

    open_for(0);
    EXPECT_OK(uffd_watch(ctx, region.addr, 1, WP));
    EXPECT_OK(uffd_protect(ctx, region.addr, 1));
    EXPECT_EQ(FAULT_OK, test_fault(current_mm(), region.addr, flags));
    EXPECT_EQ(STATE_PROTECTED, entry_state(current_mm(), region.addr));
    EXPECT_EQ(FAULT_WOULD_WAIT, test_fault(current_mm(), region.addr, flags));
    uffd_release(ctx);
    region_drop(&region);
}

TEST(uffd, rule_c18_both_kinds_of_fault_in_one_mapping)
{
    struct region region = region_make(SHMEM_PRIVATE, 2);
    u64 second = test_map_object(region.object, 1, MAP_SHARED);

    EXPECT_OK(put_user_u64(second, WORD));
    open_for(0);
    EXPECT_OK(uffd_watch(ctx, region.addr, 2, MISSING | MINOR));
    EXPECT_TRUE(asks_pager(region.addr, FAULT_FLAG_WRITE));
    EXPECT_TRUE(asks_pager(region.addr + PAGE_SIZE, 0));
    EXPECT_EQ(PAGE_SIZE, uffd_enter(ctx, UFFD_FILL_CONTINUE, region.addr, 1));
    EXPECT_ERR(-EFAULT, uffd_enter(ctx, UFFD_FILL_CONTINUE, region.addr + PAGE_SIZE, 1));
    EXPECT_EQ(WORD, test_peek(current_mm(), region.addr));
    uffd_release(ctx);
    EXPECT_OK(mm_unmap(current_mm(), second, PAGE_SIZE));
    region_drop(&region);
}
