/*
 * Races of a fault with whatever may end its wait, and of write protection with whatever changes an
 * entry, in every order. A wait that nobody ends is a deadlock, which the explorer reports.
 */
#include <debug/explore.h>
#include <mm/verify.h>
#include "uffd_test.h"

#define OLD    0x1111111111111111ul /* what memory holds before the race */
#define NEW    0x2222222222222222ul /* what the faulting thread writes */
#define FILLED 0x3333333333333333ul /* what the pager puts there */

static struct {
    struct mm *mm;
    struct uffd_ctx *ctx;
    struct region region;
    u64 source;
    u64 value;
    u64 before, after; /* what an operation saw while it relied on protection */
    u32 nr_messages;
    struct mm *child;
    struct page *page;
    s64 results[EXPLORE_MAX_OPS];
} race;

static void explore_two(void (*prepare)(void), void (*first)(void), void (*second)(void),
                        void (*check)(void), void (*cleanup)(void))
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {first, second},
                                    .prepare = prepare,
                                    .check = check,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

/* --- what races are prepared with ------------------------------------------------------------- */

static void prepare(enum memory memory, u64 features, u64 vm_flags)
{
    race.mm = current_mm();
    race.child = NULL;
    race.page = NULL;
    race.value = 0;
    race.nr_messages = 0;
    race.source = source_pages(1, FILLED);
    race.region = region_make(memory, 1);
    race.ctx = uffd_make(features);
    EXPECT_OK(uffd_watch(race.ctx, race.region.addr, 1, vm_flags));
}

static void prepare_missing(void)
{
    prepare(ANON, 0, MISSING);
}

static void prepare_missing_shared(void)
{
    prepare(SHMEM_SHARED, 0, MISSING);
}

static void fill_object(void)
{
    u64 second = test_map_object(race.region.object, 1, MAP_SHARED);

    EXPECT_OK(put_user_u64(second, OLD));
    EXPECT_OK(mm_unmap(current_mm(), second, PAGE_SIZE));
}

static void prepare_minor(void)
{
    prepare(SHMEM_SHARED, 0, MINOR);
    fill_object();
}

static void prepare_written(void)
{
    prepare(ANON, 0, WP);
    EXPECT_OK(put_user_u64(race.region.addr, OLD));
}

static void prepare_written_shared(void)
{
    prepare(SHMEM_SHARED, 0, WP);
    EXPECT_OK(put_user_u64(race.region.addr, OLD));
}

static void prepare_protected(void)
{
    prepare_written();
    EXPECT_OK(uffd_protect(race.ctx, race.region.addr, 1));
}

/* The page is shared with a child, read-only in both. */
static void prepare_forked(void)
{
    prepare_written();
    EXPECT_OK(mm_fork(race.mm, &race.child));
}

static void check_nobody_waits(void)
{
    if (race.ctx != NULL) {
        EXPECT_EQ(0, race.ctx->nr_waiters);
        EXPECT_TRUE(list_is_empty(&race.ctx->pending) && list_is_empty(&race.ctx->delivered));
    }
}

static void cleanup(void)
{
    if (race.child != NULL) {
        mm_put(race.child);
    }
    if (race.ctx != NULL) {
        uffd_release(race.ctx);
    }
    region_drop(&race.region);
    EXPECT_OK(mm_unmap(race.mm, race.source, PAGE_SIZE));
}

static void explore_three(u32 nr_preemptions, void (*prepare)(void), void (*first)(void),
                          void (*second)(void), void (*third)(void), void (*check)(void))
{
    const struct explore explore = {.nr_ops = 3,
                                    .nr_preemptions = nr_preemptions,
                                    .ops = {first, second, third},
                                    .prepare = prepare,
                                    .check = check,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

/* --- operations ------------------------------------------------------------------------------- */

static void op_read(void)
{
    race.results[0] = get_user_u64(&race.value, race.region.addr);
}

static void op_write(void)
{
    race.results[0] = put_user_u64(race.region.addr, NEW);
}

/* The first write leaves a writable translation in the processor. */
static void op_write_twice(void)
{
    race.results[0] = put_user_u64(race.region.addr, NEW - 1);
    explore_point(EXPLORE_COUNT);
    race.results[0] += put_user_u64(race.region.addr, NEW);
}

static void op_copy(void)
{
    race.results[1] = uffd_copy(race.ctx, race.region.addr, race.source, 1);
    uffd_wake(race.ctx, race.region.addr, race.region.addr + PAGE_SIZE);
}

static void op_copy_too(void)
{
    race.results[2] = uffd_copy(race.ctx, race.region.addr, race.source, 1);
    uffd_wake(race.ctx, race.region.addr, race.region.addr + PAGE_SIZE);
}

static void op_continue(void)
{
    race.results[1] = uffd_enter(race.ctx, UFFD_FILL_CONTINUE, race.region.addr, 1);
    uffd_wake(race.ctx, race.region.addr, race.region.addr + PAGE_SIZE);
}

static void op_poison(void)
{
    race.results[1] = uffd_enter(race.ctx, UFFD_FILL_POISON, race.region.addr, 1);
    uffd_wake(race.ctx, race.region.addr, race.region.addr + PAGE_SIZE);
}

/* A pager as it should be: it reads the message, if there is one, and fills the page. */
static void op_serve(void)
{
    struct uffd_msg msg = uffd_next(race.ctx);

    race.nr_messages += msg.event == UFFD_EVENT_PAGEFAULT;
    op_copy();
}

static void op_unregister(void)
{
    race.results[1] = uffd_unregister(race.ctx, race.region.addr, race.region.addr + PAGE_SIZE);
}

static void op_close(void)
{
    race.results[1] = 0;
    uffd_release(race.ctx);
    race.ctx = NULL;
}

static void op_unmap(void)
{
    race.results[1] = mm_unmap(race.mm, race.region.addr, PAGE_SIZE);
}

static void op_remap(void)
{
    u64 target = race.region.addr - 8 * MIB;

    race.results[1] = mm_remap(race.mm, race.region.addr, PAGE_SIZE, PAGE_SIZE,
                               MREMAP_MAYMOVE | MREMAP_FIXED, target, &race.after);
}

static void op_unprotect(void)
{
    race.results[1] = uffd_unprotect(race.ctx, race.region.addr, 1);
}

static void op_protect(void)
{
    race.results[1] = uffd_protect(race.ctx, race.region.addr, 1);
}

/* A pager that writes the page out: what it reads cannot change while it is protected. */
static void op_protect_for_a_while(void)
{
    race.results[1] = uffd_protect(race.ctx, race.region.addr, 1);
    EXPECT_OK(get_user_u64(&race.before, race.region.addr));
    explore_point(EXPLORE_COUNT);
    EXPECT_OK(get_user_u64(&race.after, race.region.addr));
    EXPECT_OK(uffd_unprotect(race.ctx, race.region.addr, 1));
}

static void op_fork(void)
{
    race.results[0] = mm_fork(race.mm, &race.child);
}

static void op_truncate(void)
{
    race.results[0] = object_truncate(race.region.object, 0);
}

static void op_drop(void)
{
    race.results[0] = mm_advise(race.mm, race.region.addr, PAGE_SIZE, MADV_DONTNEED);
}

/* --- a missing page --------------------------------------------------------------------------- */

static void check_filled(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(PAGE_SIZE, race.results[1]);
    EXPECT_EQ(FILLED, race.value);
    check_nobody_waits();
}

TEST_EXPLORE(race, uffd_fault_against_copy)
{
    explore_two(prepare_missing, op_read, op_copy, check_filled, cleanup);
}

TEST_EXPLORE(race, uffd_fault_against_copy_into_shared_memory)
{
    explore_two(prepare_missing_shared, op_read, op_copy, check_filled, cleanup);
}

static void check_served(void)
{
    EXPECT_EQ(1, race.nr_messages);
    check_filled();
}

/* I10: a fault is delivered once. */
TEST_EXPLORE(race, uffd_fault_against_its_pager)
{
    explore_two(prepare_missing, op_read, op_serve, check_served, cleanup);
}

/* The page is there already, and only the wake is left. */
static void op_wake_later(void)
{
    race.results[1] = uffd_copy(race.ctx, race.region.addr, race.source, 1);
    uffd_wake(race.ctx, race.region.addr + PAGE_SIZE, race.region.addr + 2 * PAGE_SIZE);
    uffd_wake(race.ctx, race.region.addr, race.region.addr + PAGE_SIZE);
}

TEST_EXPLORE(race, uffd_fault_against_wake)
{
    explore_two(prepare_missing, op_read, op_wake_later, check_filled, cleanup);
}

static void check_poisoned(void)
{
    EXPECT_EQ(-EFAULT, race.results[0]);
    EXPECT_EQ(PAGE_SIZE, race.results[1]);
    check_nobody_waits();
}

TEST_EXPLORE(race, uffd_fault_against_poison)
{
    explore_two(prepare_missing, op_read, op_poison, check_poisoned, cleanup);
}

static void check_without_pager(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(0, race.value);
    check_nobody_waits();
}

TEST_EXPLORE(race, uffd_fault_against_unregister)
{
    explore_two(prepare_missing, op_read, op_unregister, check_without_pager, cleanup);
}

TEST_EXPLORE(race, uffd_fault_against_close)
{
    explore_two(prepare_missing, op_read, op_close, check_without_pager, cleanup);
}

static void check_gone(void)
{
    EXPECT_EQ(-EFAULT, race.results[0]);
    EXPECT_EQ(0, race.results[1]);
    check_nobody_waits();
}

TEST_EXPLORE(race, uffd_fault_against_munmap)
{
    explore_two(prepare_missing, op_read, op_unmap, check_gone, cleanup);
}

static void check_moved(void)
{
    check_gone();
    race.region.addr = race.after;
    /* G4: nobody asked to hear of moves, so the pager stays behind. */
    EXPECT_OK(get_user_u64(&race.value, race.after));
}

TEST_EXPLORE(race, uffd_fault_against_mremap)
{
    explore_two(prepare_missing, op_read, op_remap, check_moved, cleanup);
}

/* A write replaces the zero page; what is being replaced is not missing. */
static void prepare_zero_page(void)
{
    prepare_missing();
    EXPECT_EQ(PAGE_SIZE, uffd_enter(race.ctx, UFFD_FILL_ZERO, race.region.addr, 1));
}

static void op_read_after(void)
{
    race.results[1] = get_user_u64(&race.after, race.region.addr);
}

static void check_nobody_asked(void)
{
    EXPECT_TRUE(race.results[0] == 0 && race.results[1] == 0);
    EXPECT_TRUE(race.after == 0 || race.after == NEW);
    check_nobody_waits();
}

TEST_EXPLORE(race, uffd_fault_against_copy_on_write)
{
    explore_two(prepare_zero_page, op_write, op_read_after, check_nobody_asked, cleanup);
}

static void op_enter_zero(void)
{
    race.results[2] = uffd_enter(race.ctx, UFFD_FILL_ZERO, race.region.addr, 1);
    uffd_wake(race.ctx, race.region.addr, race.region.addr + PAGE_SIZE);
}

/* One wake is enough. */
TEST_EXPLORE(race, uffd_two_faults_against_zeropage)
{
    explore_three(2, prepare_missing, op_write, op_read_after, op_enter_zero, check_nobody_asked);
}

static void check_two_pagers(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(PAGE_SIZE - EEXIST, race.results[1] + race.results[2]);
    EXPECT_EQ(FILLED, race.value);
    check_nobody_waits();
}

TEST_EXPLORE(race, uffd_two_pagers_on_one_page)
{
    explore_three(1, prepare_missing, op_read, op_copy, op_copy_too, check_two_pagers);
}

TEST_EXPLORE(race, uffd_two_pagers_on_one_shared_page)
{
    explore_three(1, prepare_missing_shared, op_read, op_copy, op_copy_too, check_two_pagers);
}

/* --- pages of an object ----------------------------------------------------------------------- */

static void check_continued(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(PAGE_SIZE, race.results[1]);
    EXPECT_EQ(OLD, race.value);
    check_nobody_waits();
}

TEST_EXPLORE(race, uffd_minor_fault_against_continue)
{
    explore_two(prepare_minor, op_read, op_continue, check_continued, cleanup);
}

static void check_cut_off(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_TRUE(race.results[1] == PAGE_SIZE || race.results[1] == -EINVAL ||
                race.results[1] == -EFAULT);
    EXPECT_EQ(STATE_NONE, entry_state(race.mm, race.region.addr));
    EXPECT_EQ(0, object_nr_pages(race.region.object));
}

TEST_EXPLORE(race, uffd_continue_against_truncation)
{
    explore_two(prepare_minor, op_truncate, op_continue, check_cut_off, cleanup);
}

TEST_EXPLORE(race, uffd_copy_against_truncation)
{
    explore_two(prepare_missing_shared, op_truncate, op_copy, check_cut_off, cleanup);
}

static void prepare_missing_private(void)
{
    prepare(SHMEM_PRIVATE, 0, MISSING);
}

TEST_EXPLORE(race, uffd_private_copy_against_truncation)
{
    explore_two(prepare_missing_private, op_truncate, op_copy, check_cut_off, cleanup);
}

static void check_dropped_copy(void)
{
    enum entry_state state = entry_state(race.mm, race.region.addr);

    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(PAGE_SIZE, race.results[1]);
    EXPECT_TRUE(state == STATE_NONE || state == STATE_PRESENT);
    EXPECT_EQ(1, object_nr_pages(race.region.object));
}

/* The entry may be gone before the object owns the page for everybody to see. */
TEST_EXPLORE(race, uffd_copy_against_the_loss_of_its_entry)
{
    explore_two(prepare_missing_shared, op_drop, op_copy, check_dropped_copy, cleanup);
}

/* --- write protection ------------------------------------------------------------------------- */

static void check_written(void)
{
    u64 value = 0;

    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(0, race.results[1]);
    EXPECT_OK(get_user_u64(&value, race.region.addr));
    EXPECT_EQ(NEW, value);
    EXPECT_EQ(STATE_PRESENT, entry_state(race.mm, race.region.addr));
    check_nobody_waits();
}

TEST_EXPLORE(race, uffd_write_fault_against_unprotect)
{
    explore_two(prepare_protected, op_write, op_unprotect, check_written, cleanup);
}

TEST_EXPLORE(race, uffd_write_fault_against_unregister)
{
    explore_two(prepare_protected, op_write, op_unregister, check_written, cleanup);
}

TEST_EXPLORE(race, uffd_write_fault_against_close)
{
    explore_two(prepare_protected, op_write, op_close, check_written, cleanup);
}

/* I8: once protection has returned, nothing is written until it is taken off. */
static void check_written_around(void)
{
    EXPECT_EQ(race.before, race.after);
    check_written();
}

TEST_EXPLORE(race, uffd_protect_against_write_fault)
{
    explore_two(prepare_written, op_write, op_protect_for_a_while, check_written_around, cleanup);
}

TEST_EXPLORE(race, uffd_protect_against_a_cached_translation)
{
    explore_two(prepare_written, op_write_twice, op_protect_for_a_while, check_written_around,
                cleanup);
}

TEST_EXPLORE(race, uffd_protect_against_cow)
{
    explore_two(prepare_forked, op_write, op_protect_for_a_while, check_written_around, cleanup);
}

TEST_EXPLORE(race, uffd_protect_against_write_fault_on_shared_memory)
{
    explore_two(prepare_written_shared, op_write, op_protect_for_a_while, check_written_around,
                cleanup);
}

static void check_protected_and_forked(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(STATE_PROTECTED, entry_state(race.mm, race.region.addr));
    EXPECT_TRUE(asks_pager(race.region.addr, FAULT_FLAG_WRITE));
    /* G1: the child has no pager, and writes what is its own. */
    EXPECT_EQ(STATE_PRESENT, entry_state(race.child, race.region.addr));
    EXPECT_TRUE(test_poke(race.child, race.region.addr, NEW));
    EXPECT_OK(get_user_u64(&race.value, race.region.addr));
    EXPECT_EQ(OLD, race.value);
}

TEST_EXPLORE(race, uffd_protect_against_fork)
{
    explore_two(prepare_written, op_fork, op_protect, check_protected_and_forked, cleanup);
}

static void check_marked(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(STATE_MARKER, entry_state(race.mm, race.region.addr));
}

TEST_EXPLORE(race, uffd_protect_against_truncation)
{
    explore_two(prepare_written_shared, op_truncate, op_protect, check_marked, cleanup);
}

/* F5: whichever comes first, the protection is there afterwards. */
TEST_EXPLORE(race, uffd_protect_against_drop)
{
    explore_two(prepare_written_shared, op_drop, op_protect, check_marked, cleanup);
}

static void check_unregistered_and_dropped(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(STATE_NONE, entry_state(race.mm, race.region.addr));
}

static void prepare_protected_shared(void)
{
    prepare_written_shared();
    EXPECT_OK(uffd_protect(race.ctx, race.region.addr, 1));
}

/* I6: no marker outlives the registration. */
TEST_EXPLORE(race, uffd_unregister_against_truncation)
{
    explore_two(prepare_protected_shared, op_truncate, op_unregister,
                check_unregistered_and_dropped, cleanup);
}

static void prepare_async(void)
{
    prepare(ANON, UFFD_FEATURE_WP_ASYNC, WP);
    EXPECT_OK(put_user_u64(race.region.addr, OLD));
}

/* C21: a write is either before the protection, which then stands, or takes it off. */
static void check_async(void)
{
    enum entry_state state = entry_state(race.mm, race.region.addr);

    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(0, race.results[1]);
    EXPECT_TRUE(state == STATE_PROTECTED || state == STATE_PRESENT);
    EXPECT_OK(get_user_u64(&race.value, race.region.addr));
    EXPECT_EQ(NEW, race.value);
    EXPECT_OK(put_user_u64(race.region.addr, OLD));
    EXPECT_EQ(STATE_PRESENT, entry_state(race.mm, race.region.addr));
}

TEST_EXPLORE(race, uffd_async_write_against_protect)
{
    explore_two(prepare_async, op_write, op_protect, check_async, cleanup);
}
