/*
 * A pager that breaks COW for a read of memory that it protects itself: section P of the rules with
 * a real userfaultfd, pins of memory that a pager has yet to fill, and two moves at a time.
 */
#include <debug/explore.h>
#include <mm/verify.h>
#include "uffd_test.h"

#define WORD 0x1111111111111111ul
#define NEW  0x2222222222222222ul

static struct uffd_ctx *ctx;
static u64 addr;
static struct mm *child; /* has the page as well; NULL: nobody */

enum sharing { SOLE, LEFT_ALONE, SHARED, NR_SHARINGS };

/* A protected page that is the process's own, is its own again, or is a child's as well. */
static void protect_page(enum sharing sharing)
{
    addr = test_map(1);
    child = NULL;
    EXPECT_OK(put_user_u64(addr, WORD));
    if (sharing != SOLE) {
        EXPECT_OK(mm_fork(current_mm(), &child));
    }
    if (sharing == LEFT_ALONE) {
        mm_put(child);
        child = NULL;
    }
    ctx = uffd_make(0);
    EXPECT_OK(uffd_watch(ctx, addr, 1, MISSING | WP));
    EXPECT_OK(uffd_protect(ctx, addr, 1));
}

static void end_page(void)
{
    if (child != NULL) {
        EXPECT_EQ(WORD, test_peek(child, addr));
        mm_put(child);
    }
    uffd_release(ctx);
    EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
}

/* Each way in which a server takes a page to read it. */
enum way { REFERENCE, REFERENCE_FAST, PIN, PIN_FAST, LONG_PIN, NR_WAYS };

static s64 take(enum way way, struct page **page)
{
    switch (way) {
    case REFERENCE:
        return get_user_pages(addr, 1, FOLL_BREAK_COW, page);
    case REFERENCE_FAST:
        return get_user_pages_fast(addr, 1, FOLL_BREAK_COW, page);
    case PIN:
        return pin_user_pages(addr, 1, 0, page);
    case PIN_FAST:
        return pin_user_pages_fast(addr, 1, 0, page);
    case LONG_PIN:
        return pin_user_pages(addr, 1, FOLL_LONGTERM, page);
    case NR_WAYS:
        break;
    }
    return -EINVAL;
}

static void give_back(enum way way, struct page *page)
{
    if (way == REFERENCE || way == REFERENCE_FAST) {
        page_put(page);
    } else {
        unpin_user_page(page);
    }
}

/* The page is written out and dropped; whoever needs it asks the pager, who brings it back. */
static void drop_and_refill(u64 written)
{
    struct helper reader;
    struct uffd_msg msg;

    EXPECT_OK(mm_advise(current_mm(), addr, PAGE_SIZE, MADV_DONTNEED));
    helper_start(&reader, help_read, addr, 0);
    msg = uffd_next(ctx);
    EXPECT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
    EXPECT_EQ(addr, msg.arg.pagefault.address);
    EXPECT_EQ(PAGE_SIZE, uffd_copy(ctx, addr, source_pages(1, written), 1));
    uffd_wake(ctx, addr, addr + PAGE_SIZE);
    EXPECT_OK(helper_join(&reader));
    EXPECT_EQ(WORD, reader.word);
}

/*
 * P9, P2, P6: the thread that would have to answer is the one that takes the page. It comes back,
 * nobody was asked, the page is protected still and nobody else's, and what it holds comes back
 * from the pager later.
 */
TEST(break_cow, a_pager_writes_out_what_it_protects_and_never_waits_for_itself)
{
    for (enum sharing sharing = SOLE; sharing < NR_SHARINGS; sharing++) {
        for (enum way way = REFERENCE; way < NR_WAYS; way++) {
            struct page *page = NULL;
            u64 written;

            protect_page(sharing);
            ASSERT_EQ(1, take(way, &page));
            EXPECT_FALSE(uffd_has_message(ctx));
            EXPECT_EQ(STATE_PROTECTED, entry_state(current_mm(), addr));
            EXPECT_EQ(page, test_page(current_mm(), addr));
            EXPECT_TRUE(page_is_anon_exclusive(page));
            written = *(u64 *)page_to_virt(page);
            give_back(way, page);
            drop_and_refill(written);
            end_page();
        }
    }
}

/* P7, P8: whatever was done for the reader, a write asks, and only a write dirties. */
TEST(break_cow, a_write_after_the_break_still_asks_the_pager)
{
    for (enum sharing sharing = SOLE; sharing < NR_SHARINGS; sharing++) {
        struct page *page = NULL;
        struct helper writer;
        struct uffd_msg msg;

        protect_page(sharing);
        ASSERT_EQ(1, take(REFERENCE_FAST, &page));
        page_put(page);
        /* The entry that was written is still there, or a copy for a reader. */
        EXPECT_EQ(sharing != SHARED, pte_is_dirty(test_entry(current_mm(), addr)));
        helper_start(&writer, help_write, addr, NEW);
        msg = uffd_next(ctx);
        EXPECT_TRUE(msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP);
        EXPECT_EQ(WORD, test_peek(current_mm(), addr));
        EXPECT_OK(uffd_unprotect(ctx, addr, 1));
        EXPECT_OK(helper_join(&writer));
        EXPECT_EQ(page, test_page(current_mm(), addr));
        EXPECT_EQ(NEW, test_peek(current_mm(), addr));
        end_page();
    }
}

/* --- pins of what a pager has yet to fill ----------------------------------------------------- */

static void help_pin(struct helper *helper)
{
    struct page *page = NULL;

    helper->result = pin_user_pages_fast(helper->addr, 1, FOLL_WRITE, &page);
    if (helper->result == 1) {
        helper->word = *(u64 *)page_to_virt(page);
        unpin_user_page(page);
    }
}

/* J16, O2: who may drop the lock waits for the pager; nobody else does. */
TEST(gup, a_pin_waits_for_a_pager_only_if_it_may)
{
    struct page *page = NULL;
    struct helper pinner;

    addr = test_map(1);
    ctx = uffd_make(0);
    EXPECT_OK(uffd_watch(ctx, addr, 1, MISSING));
    EXPECT_ERR(-EFAULT, pin_user_pages(addr, 1, FOLL_WRITE, &page));
    EXPECT_EQ(0, pin_user_pages(addr, 1, FOLL_WRITE | FOLL_NOWAIT, &page));
    EXPECT_ERR(-EFAULT, pin_user_pages_fast(addr, 1, FOLL_WRITE | FOLL_NOFAULT, &page));
    EXPECT_FALSE(uffd_has_message(ctx));
    helper_start(&pinner, help_pin, addr, 0);
    EXPECT_EQ(addr, uffd_next(ctx).arg.pagefault.address);
    /* It waits without a lock: memory can be mapped and unmapped meanwhile. */
    EXPECT_OK(mm_unmap(current_mm(), test_map(1), PAGE_SIZE));
    EXPECT_EQ(PAGE_SIZE, uffd_copy(ctx, addr, source_pages(1, WORD), 1));
    uffd_wake(ctx, addr, addr + PAGE_SIZE);
    EXPECT_EQ(1, helper_join(&pinner));
    EXPECT_EQ(WORD, pinner.word);
    uffd_release(ctx);
    EXPECT_OK(mm_unmap(current_mm(), addr, PAGE_SIZE));
}

/* --- two moves -------------------------------------------------------------------------------- */

/* Two areas in tables of their own, each with a page for the other. */
#define AREAS 2

static u64 areas[AREAS];
static s64 moved[AREAS];

static struct page *table_of(u64 at)
{
    struct pt_cursor cursor;

    return cursor_find(&cursor, current_mm(), at) ? cursor.table : NULL;
}

static u64 map_area(u64 at)
{
    struct map_request req = {.addr = at,
                              .len = 2 * PAGE_SIZE,
                              .prot = PROT_READ | PROT_WRITE,
                              .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED};

    EXPECT_OK(mm_map(current_mm(), &req, &at));
    EXPECT_EQ(0, test_peek(current_mm(), at)); /* makes the table */
    EXPECT_OK(mm_advise(current_mm(), at, PAGE_SIZE, MADV_DONTNEED));
    return at;
}

/* Tables are locked in the order of their frames, so the areas have to be in that order as well:
 * otherwise it would differ from one schedule to the next. */
static void prepare_areas(void)
{
    u64 first = map_area(0x50000000);
    u64 second = map_area(0x60000000);
    bool is_ordered = table_of(first) < table_of(second);

    areas[0] = is_ordered ? first : second;
    areas[1] = is_ordered ? second : first;
    ctx = uffd_make(0);
    for (u64 i = 0; i < AREAS; i++) {
        EXPECT_OK(put_user_u64(areas[i] + i * PAGE_SIZE, WORD + i));
        EXPECT_OK(uffd_watch(ctx, areas[i], 2, MISSING));
    }
}

static void move_page(u64 i, u64 from, u64 to)
{
    struct uffd_move move = {
        .dst = to + i * PAGE_SIZE, .src = from + i * PAGE_SIZE, .len = PAGE_SIZE};

    moved[i] = uffd_move(ctx, &move);
}

static void op_move_up(void)
{
    move_page(0, areas[0], areas[1]);
}

static void op_move_down(void)
{
    move_page(1, areas[1], areas[0]);
}

static void check_both_moved(void)
{
    EXPECT_EQ(PAGE_SIZE, moved[0]);
    EXPECT_EQ(PAGE_SIZE, moved[1]);
    EXPECT_EQ(WORD, test_peek(current_mm(), areas[1]));
    EXPECT_EQ(WORD + 1, test_peek(current_mm(), areas[0] + PAGE_SIZE));
    EXPECT_EQ(STATE_NONE, entry_state(current_mm(), areas[0]));
    EXPECT_EQ(STATE_NONE, entry_state(current_mm(), areas[1] + PAGE_SIZE));
}

static void drop_areas(void)
{
    uffd_release(ctx);
    for (u64 i = 0; i < AREAS; i++) {
        EXPECT_OK(mm_unmap(current_mm(), areas[i], 2 * PAGE_SIZE));
    }
}

/* O5, D24: two moves the opposite way never wait for each other. */
TEST_EXPLORE(race, uffd_move_against_move_the_other_way)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_move_up, op_move_down},
                                    .prepare = prepare_areas,
                                    .check = check_both_moved,
                                    .cleanup = drop_areas};

    EXPECT_NE(0, explore_run(&explore));
}
