/*
 * Races of the address space, in every order: each test names two operations and what must hold
 * afterwards whichever came first. Between the orders everything is made anew.
 */
#include <debug/explore.h>
#include <mm/frames.h>
#include "mm_test.h"

#define OLD    0x1111111111111111ul /* what memory holds before the race */
#define NEW    0x2222222222222222ul /* what an operation writes */
#define LATER  0x3333333333333333ul /* what the check writes afterwards */
#define SECOND 512                  /* a word of the same page that another operation writes */

/* What the operations of a test work on and have found. */
static struct {
    struct mm *mm;
    u64 addr;
    u64 target;    /* where mremap moves to */
    u64 neighbour; /* a page of the same table, which stays */
    struct mm *child;
    struct page *page; /* pinned by an operation */
    u64 value;         /* read by an operation */
    s64 results[EXPLORE_MAX_OPS];
} race;

static u64 peek(u64 addr)
{
    return test_peek(race.mm, addr);
}

static u64 *pinned_word(void)
{
    return page_to_virt(race.page);
}

/* --- what races are prepared with ------------------------------------------------------------- */

static void prepare_untouched(void)
{
    race.mm = current_mm();
    race.child = NULL;
    race.page = NULL;
    race.addr = test_map(1);
    EXPECT_NE(0, race.addr);
}

static void prepare_written(void)
{
    prepare_untouched();
    EXPECT_OK(put_user_u64(race.addr, OLD));
}

/* Its table is there, the page is not. */
static void prepare_dropped(void)
{
    prepare_written();
    EXPECT_OK(mm_advise(race.mm, race.addr, PAGE_SIZE, MADV_DONTNEED));
}

/* The page is shared with a child, read-only in both. */
static void prepare_shared(void)
{
    prepare_written();
    EXPECT_OK(mm_fork(race.mm, &race.child));
}

static void cleanup(void)
{
    if (race.child != NULL) {
        mm_put(race.child);
    }
    EXPECT_OK(mm_unmap(race.mm, race.addr, PAGE_SIZE));
}

/* --- operations ------------------------------------------------------------------------------- */

static void op_fork(void)
{
    race.results[0] = mm_fork(race.mm, &race.child);
}

static void op_write(void)
{
    race.results[1] = put_user_u64(race.addr, NEW);
}

static void op_write_second(void)
{
    race.results[0] = put_user_u64(race.addr + SECOND, NEW);
}

static void op_read(void)
{
    race.value = 0;
    race.results[1] = get_user_u64(&race.value, race.addr);
}

static void op_unmap(void)
{
    race.results[0] = mm_unmap(race.mm, race.addr, PAGE_SIZE);
}

static void op_protect(void)
{
    race.results[0] = mm_protect(race.mm, race.addr, PAGE_SIZE, PROT_READ);
}

static void op_drop(void)
{
    race.results[0] = mm_advise(race.mm, race.addr, PAGE_SIZE, MADV_DONTNEED);
}

static void op_pin_fast(void)
{
    race.results[1] = pin_user_pages_fast(race.addr, 1, FOLL_WRITE, &race.page);
    if (race.results[1] == 1) {
        *pinned_word() = NEW;
    }
}

static void op_pin_fast_to_read(void)
{
    race.results[1] = pin_user_pages_fast(race.addr, 1, FOLL_LONGTERM, &race.page);
}

/* --- fork ------------------------------------------------------------------------------------- */

/* What the parent writes from now on is its own; what it has pinned stays its own. */
static void check_fork(u64 parent, u64 child_first, u64 child_second)
{
    u64 child = test_peek(race.child, race.addr);

    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(parent, peek(race.addr));
    EXPECT_TRUE(child == child_first || child == child_second);
    EXPECT_OK(put_user_u64(race.addr, LATER));
    EXPECT_EQ(LATER, peek(race.addr));
    EXPECT_EQ(child, test_peek(race.child, race.addr));
}

static void check_fork_and_pin(void)
{
    EXPECT_EQ(1, race.results[1]);
    EXPECT_EQ(race.page, test_page(race.mm, race.addr));
    check_fork(NEW, OLD, NEW);
    EXPECT_EQ(race.page, test_page(race.mm, race.addr));
    EXPECT_EQ(LATER, *pinned_word());
    EXPECT_EQ(1, page_pincount(race.page));
    unpin_user_page(race.page);
}

/* J11, H5, rule I1. */
TEST_EXPLORE(race, fork_against_pin_fast)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_fork, op_pin_fast},
                                    .prepare = prepare_written,
                                    .check = check_fork_and_pin,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

static void check_fork_and_read_pin(void)
{
    EXPECT_EQ(1, race.results[1]);
    EXPECT_EQ(race.page, test_page(race.mm, race.addr));
    check_fork(OLD, OLD, OLD);
    EXPECT_EQ(LATER, *pinned_word());
    unpin_user_page(race.page);
}

/* J11, H5. */
TEST_EXPLORE(race, fork_against_read_pin_fast)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_fork, op_pin_fast_to_read},
                                    .prepare = prepare_written,
                                    .check = check_fork_and_read_pin,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

static void check_fork_and_write(void)
{
    EXPECT_EQ(0, race.results[1]);
    check_fork(NEW, OLD, NEW);
}

TEST_EXPLORE(race, fork_against_write_fault)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_fork, op_write},
                                    .prepare = prepare_written,
                                    .check = check_fork_and_write,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

static void check_fork_and_first_write(void)
{
    EXPECT_EQ(0, race.results[1]);
    check_fork(NEW, 0, NEW);
}

TEST_EXPLORE(race, fork_against_first_fault)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_fork, op_write},
                                    .prepare = prepare_untouched,
                                    .check = check_fork_and_first_write,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

/* --- faults against faults -------------------------------------------------------------------- */

static void check_both_writes(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(NEW, peek(race.addr));
    EXPECT_EQ(NEW, peek(race.addr + SECOND));
    if (race.child != NULL) {
        EXPECT_EQ(OLD, test_peek(race.child, race.addr));
        EXPECT_EQ(0, test_peek(race.child, race.addr + SECOND));
    }
    EXPECT_EQ(1, page_refcount(test_page(race.mm, race.addr)));
}

/* K1, O3. */
TEST_EXPLORE(race, write_fault_against_write_fault_on_untouched_memory)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_write_second, op_write},
                                    .prepare = prepare_untouched,
                                    .check = check_both_writes,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

/* K1, K2. */
TEST_EXPLORE(race, write_fault_against_write_fault_on_a_shared_page)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_write_second, op_write},
                                    .prepare = prepare_shared,
                                    .check = check_both_writes,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

static void prepare_shared_for_both(void)
{
    prepare_shared();
    explore_use_mm(0, race.child);
}

static void check_parent_and_child(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(NEW, peek(race.addr));
    EXPECT_EQ(0, peek(race.addr + SECOND));
    EXPECT_EQ(OLD, test_peek(race.child, race.addr));
    EXPECT_EQ(NEW, test_peek(race.child, race.addr + SECOND));
}

TEST_EXPLORE(race, write_fault_of_the_parent_against_that_of_the_child)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_write_second, op_write},
                                    .prepare = prepare_shared_for_both,
                                    .check = check_parent_and_child,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

/* --- munmap ----------------------------------------------------------------------------------- */

static void check_unmapped(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_TRUE(race.results[1] == 0 || race.results[1] == -EFAULT);
    EXPECT_TRUE(pte_is_none(test_entry(race.mm, race.addr)));
    EXPECT_ERR(-EFAULT, put_user_u64(race.addr, LATER));
}

static void check_unmapped_and_read(void)
{
    EXPECT_EQ(race.results[1] == 0 ? OLD : 0, race.value);
    check_unmapped();
}

TEST_EXPLORE(race, munmap_against_read_fault)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_unmap, op_read},
                                    .prepare = prepare_written,
                                    .check = check_unmapped_and_read};

    EXPECT_NE(0, explore_run(&explore));
}

TEST_EXPLORE(race, munmap_against_first_fault)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_unmap, op_write},
                                    .prepare = prepare_untouched,
                                    .check = check_unmapped};

    EXPECT_NE(0, explore_run(&explore));
}

TEST_EXPLORE(race, munmap_against_fault_on_dropped_memory)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_unmap, op_write},
                                    .prepare = prepare_dropped,
                                    .check = check_unmapped};

    EXPECT_NE(0, explore_run(&explore));
}

/* The tables go with the mapping, while a pin walks them without a lock. */
static void check_unmapped_and_pinned(void)
{
    if (race.results[1] == 1) {
        EXPECT_EQ(NEW, *pinned_word());
        EXPECT_EQ(1, page_refcount(race.page));
        unpin_user_page(race.page);
        race.results[1] = 0;
    }
    check_unmapped();
}

TEST_EXPLORE(race, munmap_against_pin_fast)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_unmap, op_pin_fast},
                                    .prepare = prepare_written,
                                    .check = check_unmapped_and_pinned};

    EXPECT_NE(0, explore_run(&explore));
}

/* --- mprotect --------------------------------------------------------------------------------- */

static void check_protected(u64 before)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_TRUE(race.results[1] == 0 || race.results[1] == -EFAULT);
    EXPECT_EQ(race.results[1] == 0 ? NEW : before, peek(race.addr));
    EXPECT_ERR(-EFAULT, put_user_u64(race.addr, LATER));
    EXPECT_FALSE(pte_is_writable(test_entry(race.mm, race.addr)));
}

static void check_protected_page(void)
{
    check_protected(OLD);
}

TEST_EXPLORE(race, mprotect_against_write)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_protect, op_write},
                                    .prepare = prepare_written,
                                    .check = check_protected_page,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

/* K1, H2. */
TEST_EXPLORE(race, mprotect_against_write_fault_on_a_shared_page)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_protect, op_write},
                                    .prepare = prepare_shared,
                                    .check = check_protected_page,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

static void check_protected_untouched(void)
{
    check_protected(0);
}

TEST_EXPLORE(race, mprotect_against_first_fault)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_protect, op_write},
                                    .prepare = prepare_untouched,
                                    .check = check_protected_untouched,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

/* --- MADV_DONTNEED ---------------------------------------------------------------------------- */

/* The holder of the pin keeps the page that it got, mapped or not. */
static void check_dropped_and_pinned(void)
{
    u64 pinned = *pinned_word();
    bool is_mapped = test_page(race.mm, race.addr) == race.page;

    EXPECT_EQ(0, race.results[0]);
    EXPECT_EQ(1, race.results[1]);
    EXPECT_EQ(NEW, pinned);
    EXPECT_EQ(is_mapped ? 2 : 1, page_refcount(race.page));
    EXPECT_EQ(is_mapped ? NEW : 0, peek(race.addr));
    EXPECT_OK(put_user_u64(race.addr, LATER));
    EXPECT_EQ(is_mapped ? LATER : NEW, *pinned_word());
    unpin_user_page(race.page);
}

TEST_EXPLORE(race, dontneed_against_pin_fast)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_drop, op_pin_fast},
                                    .prepare = prepare_written,
                                    .check = check_dropped_and_pinned,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

static void op_pin_slow(void)
{
    race.results[1] = pin_user_pages(race.addr, 1, FOLL_WRITE, &race.page);
    if (race.results[1] == 1) {
        *pinned_word() = NEW;
    }
}

TEST_EXPLORE(race, dontneed_against_pin_with_locks)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_drop, op_pin_slow},
                                    .prepare = prepare_written,
                                    .check = check_dropped_and_pinned,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

/* --- mremap ----------------------------------------------------------------------------------- */

static void op_move(void)
{
    race.results[0] = mm_remap(race.mm, race.addr, PAGE_SIZE, PAGE_SIZE,
                               MREMAP_MAYMOVE | MREMAP_FIXED, race.target, &race.target);
}

/* The page behind stays, and with it the table, whose end would flush what the move must flush. */
static void prepare_move(void)
{
    race.mm = current_mm();
    race.child = NULL;
    race.addr = test_map(2);
    EXPECT_OK(put_user_u64(race.addr, OLD));
    EXPECT_OK(put_user_u64(race.addr + PAGE_SIZE, OLD));
    race.neighbour = race.addr + PAGE_SIZE;
    /* Another table, so that both are locked. */
    race.target = race.addr - 8 * MIB;
}

static void cleanup_move(void)
{
    cleanup();
    EXPECT_OK(mm_unmap(race.mm, race.neighbour, PAGE_SIZE));
}

static void check_moved(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_TRUE(race.results[1] == 0 || race.results[1] == -EFAULT);
    EXPECT_EQ(race.results[1] == 0 ? NEW : OLD, peek(race.target));
    EXPECT_ERR(-EFAULT, put_user_u64(race.addr, LATER));
    race.addr = race.target;
}

TEST_EXPLORE(race, mremap_against_write)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_move, op_write},
                                    .prepare = prepare_move,
                                    .check = check_moved,
                                    .cleanup = cleanup_move};

    EXPECT_NE(0, explore_run(&explore));
}

/* Two mebibytes that lie as a table does are moved by moving the table. */
static void op_move_table(void)
{
    race.results[0] = mm_remap(race.mm, race.addr, 2 * MIB, 2 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED,
                               race.target, &race.target);
}

static void prepare_move_table(void)
{
    race.mm = current_mm();
    race.child = NULL;
    race.neighbour = test_map(6 * MIB / PAGE_SIZE);
    race.addr = ALIGN_UP(race.neighbour, 2 * MIB);
    EXPECT_OK(put_user_u64(race.addr, OLD));
    race.target = race.addr + 2 * MIB;
}

static void cleanup_move_table(void)
{
    EXPECT_OK(mm_unmap(race.mm, race.neighbour, 6 * MIB));
}

TEST_EXPLORE(race, mremap_of_a_table_against_write)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_move_table, op_write},
                                    .prepare = prepare_move_table,
                                    .check = check_moved,
                                    .cleanup = cleanup_move_table};

    EXPECT_NE(0, explore_run(&explore));
}

/* --- the end of an address space -------------------------------------------------------------- */

static void prepare_exit(void)
{
    prepare_shared();
    mm_count_get(race.child);
    EXPECT_TRUE(test_poke(race.child, race.addr, OLD));
}

static void op_exit(void)
{
    mm_put(race.child);
}

static void op_pin_remote(void)
{
    race.results[1] = -ESRCH;
    if (mm_get_not_zero(race.child)) {
        race.results[1] = pin_user_pages_remote(race.child, race.addr, 1, FOLL_WRITE, &race.page);
        mm_put(race.child);
    }
}

static void check_exit(void)
{
    EXPECT_TRUE(race.results[1] == 1 || race.results[1] == -ESRCH);
    if (race.results[1] == 1) {
        EXPECT_EQ(OLD, *pinned_word());
        EXPECT_EQ(1, page_refcount(race.page));
        unpin_user_page(race.page);
    }
    EXPECT_EQ(OLD, peek(race.addr));
    mm_count_put(race.child);
    race.child = NULL;
}

TEST_EXPLORE(race, exit_against_remote_pin)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_exit, op_pin_remote},
                                    .prepare = prepare_exit,
                                    .check = check_exit,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}
