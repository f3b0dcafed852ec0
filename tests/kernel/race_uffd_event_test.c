/*
 * Races of pages that move, and of events with their readers and with the end of the context, in
 * every order.
 */
#include <debug/explore.h>
#include <mm/verify.h>
#include "uffd_test.h"

#define OLD 0x1111111111111111ul /* what memory holds before the race */
#define NEW 0x2222222222222222ul /* what another thread writes */

static struct {
    struct mm *mm;
    struct uffd_ctx *ctx;
    u64 addr;   /* a watched page */
    u64 source; /* a written one, to be moved there */
    u64 target; /* of mremap */
    struct mm *child;
    struct uffd_ctx *child_ctx;
    struct page *page;
    u8 event;
    u64 start, end; /* what the event said */
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

static void prepare(u64 features, u64 vm_flags)
{
    race.mm = current_mm();
    race.child = NULL;
    race.child_ctx = NULL;
    race.page = NULL;
    race.event = 0;
    race.addr = test_map(1);
    race.source = source_pages(1, OLD);
    race.ctx = uffd_make(features);
    EXPECT_OK(uffd_watch(race.ctx, race.addr, 1, vm_flags));
}

static void cleanup(void)
{
    if (race.child != NULL) {
        mm_put(race.child);
    }
    if (race.child_ctx != NULL) {
        uffd_release(race.child_ctx);
    }
    if (race.ctx != NULL) {
        EXPECT_EQ(0, atomic_u32_load(&race.ctx->nr_changing));
        uffd_release(race.ctx);
    }
    EXPECT_OK(mm_unmap(race.mm, race.addr, PAGE_SIZE));
    EXPECT_OK(mm_unmap(race.mm, race.source, PAGE_SIZE));
}

/* --- MOVE ------------------------------------------------------------------------------------- */

static void prepare_move(void)
{
    prepare(0, MISSING);
}

static void op_move(void)
{
    struct uffd_move move = {.dst = race.addr, .src = race.source, .len = PAGE_SIZE};

    race.results[0] = uffd_move(race.ctx, &move);
    uffd_wake(race.ctx, race.addr, race.addr + PAGE_SIZE);
}

static void op_pin(void)
{
    race.results[1] = pin_user_pages_fast(race.source, 1, FOLL_WRITE, &race.page);
}

/* I3: the pinned page is at its address, or was not there any more when it was pinned. */
static void check_moved_or_pinned(void)
{
    EXPECT_EQ(1, race.results[1]);
    EXPECT_EQ(race.page, test_page(race.mm, race.source));
    if (race.results[0] == PAGE_SIZE) {
        EXPECT_EQ(OLD, test_peek(race.mm, race.addr));
        EXPECT_EQ(0, test_peek(race.mm, race.source));
    } else {
        EXPECT_EQ(-EBUSY, race.results[0]);
        EXPECT_EQ(STATE_NONE, entry_state(race.mm, race.addr));
        EXPECT_EQ(OLD, test_peek(race.mm, race.source));
    }
    unpin_user_page(race.page);
}

TEST_EXPLORE(race, uffd_move_against_pin_fast)
{
    explore_two(prepare_move, op_move, op_pin, check_moved_or_pinned, cleanup);
}

static void op_fork(void)
{
    race.results[1] = mm_fork(race.mm, &race.child);
}

/* The child has the page in one of the two places, and it is its own. */
static void check_moved_and_forked(void)
{
    bool is_moved = race.results[0] == PAGE_SIZE;

    EXPECT_EQ(0, race.results[1]);
    EXPECT_TRUE(is_moved || race.results[0] == -EBUSY);
    EXPECT_EQ(OLD, test_peek(race.mm, is_moved ? race.addr : race.source));
    EXPECT_TRUE(test_peek(race.child, race.addr) == OLD ||
                test_peek(race.child, race.source) == OLD);
    EXPECT_EQ(OLD, test_peek(race.child, race.addr) + test_peek(race.child, race.source));
    EXPECT_OK(put_user_u64(is_moved ? race.addr : race.source, NEW));
    EXPECT_EQ(OLD, test_peek(race.child, race.addr) + test_peek(race.child, race.source));
}

TEST_EXPLORE(race, uffd_move_against_fork)
{
    explore_two(prepare_move, op_move, op_fork, check_moved_and_forked, cleanup);
}

static void op_write_source(void)
{
    race.results[1] = put_user_u64(race.source, NEW);
}

/* The write is in the page that has moved, or in a fresh one behind it. */
static void check_moved_and_written(void)
{
    u64 moved = test_peek(race.mm, race.addr);

    EXPECT_EQ(PAGE_SIZE, race.results[0]);
    EXPECT_EQ(0, race.results[1]);
    EXPECT_TRUE(moved == NEW || moved == OLD);
    EXPECT_EQ(moved == NEW ? 0 : NEW, test_peek(race.mm, race.source));
}

TEST_EXPLORE(race, uffd_move_against_write)
{
    explore_two(prepare_move, op_move, op_write_source, check_moved_and_written, cleanup);
}

static void op_read(void)
{
    u64 value = 0;

    race.results[1] = get_user_u64(&value, race.addr);
    EXPECT_EQ(OLD, value);
}

static void check_moved_and_read(void)
{
    EXPECT_EQ(PAGE_SIZE, race.results[0]);
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(0, race.ctx->nr_waiters);
}

TEST_EXPLORE(race, uffd_move_against_fault)
{
    explore_two(prepare_move, op_move, op_read, check_moved_and_read, cleanup);
}

/* --- events ----------------------------------------------------------------------------------- */

static void op_take(void)
{
    struct uffd_event *fork = NULL;
    struct uffd_msg msg;

    while (race.event == 0) {
        wait_event(&race.ctx->readers, uffd_has_message(race.ctx));
        if (uffd_take_message(race.ctx, &msg, &fork)) {
            race.event = msg.event;
            race.start = msg.arg.remove.start;
            race.end = msg.arg.remove.end;
        }
    }
    if (fork != NULL) {
        race.child_ctx = fork->child;
        uffd_finish_fork(race.ctx, fork, 0);
    }
}

static void op_close(void)
{
    uffd_release(race.ctx);
    race.ctx = NULL;
}

static void prepare_fork(void)
{
    prepare(UFFD_FEATURE_EVENT_FORK, MISSING);
}

static void check_fork_is_told(void)
{
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(UFFD_EVENT_FORK, race.event);
    EXPECT_TRUE(race.child_ctx != NULL && race.child_ctx != race.ctx);
    EXPECT_EQ(race.child_ctx, vma_first(race.child)->uffd != NULL
                                  ? vma_first(race.child)->uffd
                                  : vma_next(vma_first(race.child))->uffd);
}

TEST_EXPLORE(race, uffd_event_fork_against_its_reader)
{
    explore_two(prepare_fork, op_take, op_fork, check_fork_is_told, cleanup);
}

/* Nobody handles the child's faults: they are those of any memory. */
static void check_fork_is_not_told(void)
{
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(0, test_peek(race.child, race.addr));
    EXPECT_EQ(OLD, test_peek(race.child, race.source));
}

TEST_EXPLORE(race, uffd_event_fork_against_close)
{
    explore_two(prepare_fork, op_close, op_fork, check_fork_is_not_told, cleanup);
}

static void prepare_unmap(void)
{
    prepare(UFFD_FEATURE_EVENT_UNMAP, MISSING);
}

static void op_unmap(void)
{
    race.results[1] = mm_unmap(race.mm, race.addr, PAGE_SIZE);
}

static void check_range_is_told(u8 event)
{
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(event, race.event);
    EXPECT_EQ(race.addr, race.start);
    EXPECT_EQ(race.addr + PAGE_SIZE, race.end);
}

static void check_unmap_is_told(void)
{
    check_range_is_told(UFFD_EVENT_UNMAP);
}

TEST_EXPLORE(race, uffd_event_unmap_against_its_reader)
{
    explore_two(prepare_unmap, op_take, op_unmap, check_unmap_is_told, cleanup);
}

static void check_unmapped(void)
{
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(NULL, vma_find_at(race.mm, race.addr));
}

TEST_EXPLORE(race, uffd_event_unmap_against_close)
{
    explore_two(prepare_unmap, op_close, op_unmap, check_unmapped, cleanup);
}

static void prepare_remove(void)
{
    prepare(UFFD_FEATURE_EVENT_REMOVE, MISSING);
    EXPECT_EQ(PAGE_SIZE, uffd_copy(race.ctx, race.addr, race.source, 1));
}

static void op_remove(void)
{
    race.results[1] = mm_advise(race.mm, race.addr, PAGE_SIZE, MADV_DONTNEED);
}

static void check_remove_is_told(void)
{
    check_range_is_told(UFFD_EVENT_REMOVE);
    EXPECT_EQ(STATE_NONE, entry_state(race.mm, race.addr));
}

TEST_EXPLORE(race, uffd_event_remove_against_its_reader)
{
    explore_two(prepare_remove, op_take, op_remove, check_remove_is_told, cleanup);
}

static void check_removed(void)
{
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(STATE_NONE, entry_state(race.mm, race.addr));
}

TEST_EXPLORE(race, uffd_event_remove_against_close)
{
    explore_two(prepare_remove, op_close, op_remove, check_removed, cleanup);
}

static void prepare_remap(void)
{
    prepare(UFFD_FEATURE_EVENT_REMAP, MISSING);
    race.target = race.addr - 8 * MIB;
}

static void op_remap(void)
{
    u64 moved_to;

    race.results[1] = mm_remap(race.mm, race.addr, PAGE_SIZE, PAGE_SIZE,
                               MREMAP_MAYMOVE | MREMAP_FIXED, race.target, &moved_to);
}

static void check_remap_is_told(void)
{
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(UFFD_EVENT_REMAP, race.event);
    EXPECT_EQ(race.addr, race.start);
    EXPECT_EQ(race.target, race.end);
    EXPECT_EQ(race.ctx, vma_find_at(race.mm, race.target)->uffd);
    race.addr = race.target;
}

TEST_EXPLORE(race, uffd_event_remap_against_its_reader)
{
    explore_two(prepare_remap, op_take, op_remap, check_remap_is_told, cleanup);
}

static void check_remapped(void)
{
    EXPECT_EQ(0, race.results[1]);
    EXPECT_EQ(NULL, vma_find_at(race.mm, race.target)->uffd);
    race.addr = race.target;
}

TEST_EXPLORE(race, uffd_event_remap_against_close)
{
    explore_two(prepare_remap, op_close, op_remap, check_remapped, cleanup);
}

/* --- D1: a fill does not come between a change and its pager ---------------------------------- */

static void op_copy(void)
{
    race.results[0] = uffd_copy(race.ctx, race.addr, race.source, 1);
}

static void prepare_emptied(void)
{
    prepare(UFFD_FEATURE_EVENT_REMOVE, MISSING);
}

/*
 * Between the post of an event and its reading the entries stay as they are: a fill that was let in
 * is over by then, another one is not let in.
 */
static void op_look_and_take(void)
{
    enum entry_state state;

    wait_event(&race.ctx->readers, uffd_has_message(race.ctx));
    state = entry_state(race.mm, race.addr);
    explore_point(EXPLORE_COUNT);
    EXPECT_EQ(state, entry_state(race.mm, race.addr));
    op_take();
}

static void check_fill_and_remove(void)
{
    check_range_is_told(UFFD_EVENT_REMOVE);
    EXPECT_TRUE(race.results[0] == PAGE_SIZE || race.results[0] == -EAGAIN);
}

TEST_EXPLORE(race, uffd_copy_against_event_remove)
{
    const struct explore explore = {.nr_ops = 3,
                                    .nr_preemptions = 2,
                                    .ops = {op_copy, op_look_and_take, op_remove},
                                    .prepare = prepare_emptied,
                                    .check = check_fill_and_remove,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}
