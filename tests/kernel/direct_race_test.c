/*
 * Races of direct (DAX) objects, in every order: what is taken from a file, while somebody faults
 * on it, is neither seen afterwards nor mapped once it belongs to somebody else.
 */
#include <debug/explore.h>
#include "direct_test.h"

#define FRAME  7
#define OLD    0x1111111111111111ul /* what the file holds */
#define NEW    0x2222222222222222ul /* what is in the frame when it belongs to somebody else */
#define WRITE  0x3333333333333333ul /* what the fault is for */
#define SECOND 512                  /* where that goes */

/** DIRECT_RACE(name) - race.dax_name_fills and race.dax_name_installs. */
#define DIRECT_RACE(name)                                                                          \
    static void direct_race_##name(void);                                                          \
    KTEST_DEFINE(race, dax_##name##_fills, KTEST_DIRECT | KTEST_ONE_CPU, KTEST_EXPLORE_LIMIT_NS)   \
    {                                                                                              \
        race.cow = DIRECT_COW_FILLS;                                                               \
        direct_race_##name();                                                                      \
    }                                                                                              \
    KTEST_DEFINE(race, dax_##name##_installs, KTEST_DIRECT | KTEST_ONE_CPU,                        \
                 KTEST_EXPLORE_LIMIT_NS)                                                           \
    {                                                                                              \
        race.cow = DIRECT_COW_INSTALLS;                                                            \
        direct_race_##name();                                                                      \
    }                                                                                              \
    static void direct_race_##name(void)

static struct {
    enum direct_cow cow;
    struct mm *mm;
    struct vm_object *file;
    struct vm_object *taker; /* another file, which gets the frame */
    u64 addr;
    u64 device_addr; /* of the frame in a mapping of the device; 0: none */
    struct page *page;
    u64 value;
    s64 taken;    /* what the grant to the taker said */
    s64 accessed; /* what the access said */
    bool had_copy;
} race;

/* --- what races are prepared with ------------------------------------------------------------ */

static void prepare(u32 sharing)
{
    race.mm = current_mm();
    race.device_addr = 0;
    race.page = NULL;
    race.file = test_direct_file(race.cow, 1);
    race.taker = test_direct_file(race.cow, 1);
    EXPECT_TRUE(race.file != NULL && race.taker != NULL);
    race.addr = test_map_object(race.file, 1, sharing);
    EXPECT_NE(0, race.addr);
    *test_frame_word(FRAME) = OLD;
    test_frame_word(FRAME)[SECOND / 8] = OLD;
}

static void prepare_private(void)
{
    prepare(MAP_PRIVATE);
    EXPECT_EQ(1, test_grant(race.file, 0, FRAME, 1));
}

static void prepare_shared(void)
{
    prepare(MAP_SHARED);
    EXPECT_EQ(1, test_grant(race.file, 0, FRAME, 1));
}

static void prepare_mapped(void)
{
    prepare_shared();
    EXPECT_OK(put_user_u64(race.addr, OLD));
}

/* The file's page is a hole. */
static void prepare_hole(void)
{
    prepare(MAP_SHARED);
}

static void prepare_device(void)
{
    u64 value, done;

    prepare(MAP_SHARED);
    /* The device has taken back what former orders gave away: every order begins alike. */
    for (u64 frame = 0; frame <= FRAME; frame++) {
        EXPECT_OK(object_read_kernel(test_device()->object, frame * PAGE_SIZE, &value, 8, &done));
    }
    race.device_addr = test_map_object(test_device()->object, FRAME + 1, MAP_SHARED);
    EXPECT_NE(0, race.device_addr);
}

static void cleanup(void)
{
    if (race.page != NULL) {
        unpin_user_page(race.page);
    }
    if (race.device_addr != 0) {
        EXPECT_OK(mm_unmap(race.mm, race.device_addr, (FRAME + 1) * PAGE_SIZE));
    }
    EXPECT_OK(mm_unmap(race.mm, race.addr, PAGE_SIZE));
    object_put(race.file);
    object_put(race.taker);
    EXPECT_EQ(1, page_refcount(pfn_to_page(test_frame_pfn(FRAME))) -
                     page_is_object(pfn_to_page(test_frame_pfn(FRAME))));
}

/* --- operations ------------------------------------------------------------------------------ */

static void give_frame_to_taker(void)
{
    race.taken = test_grant_zeroed(race.taker, 0, FRAME, 1);
    if (race.taken == 1) {
        *test_frame_word(FRAME) = NEW;
    }
}

static void op_truncate_and_give(void)
{
    EXPECT_OK(object_truncate(race.file, 0));
    give_frame_to_taker();
}

static void op_revoke_and_give(void)
{
    EXPECT_OK(object_revoke(race.file, 0, PAGE_SIZE));
    race.had_copy = pte_is_present(test_entry(race.mm, race.addr)) &&
                    test_page(race.mm, race.addr) != zero_page();
    give_frame_to_taker();
}

static void op_fill_hole(void)
{
    race.taken = test_grant(race.file, 0, FRAME, 1);
}

static void op_write(void)
{
    race.accessed = put_user_u64(race.addr + SECOND, WRITE);
}

static void op_read(void)
{
    race.accessed = get_user_u64(&race.value, race.addr);
}

static void op_write_device(void)
{
    race.accessed = put_user_u64(race.device_addr + FRAME * PAGE_SIZE + SECOND, WRITE);
}

static void op_pin(void)
{
    race.accessed = pin_user_pages_fast(race.addr, 1, FOLL_WRITE, &race.page);
    if (race.accessed == 1) {
        ((u64 *)page_to_virt(race.page))[SECOND / 8] = WRITE;
    } else {
        race.page = NULL;
    }
}

/* --- checks ---------------------------------------------------------------------------------- */

/* The frame was given away, with nothing of the old owner's reaching it, or it was not. */
static void check_taken(void)
{
    EXPECT_TRUE(race.taken == 1 || race.taken == -EBUSY);
    if (race.taken == 1) {
        EXPECT_EQ(NEW, *test_frame_word(FRAME));
        EXPECT_EQ(0, test_frame_word(FRAME)[SECOND / 8]);
    }
}

/* Nothing of the file can be seen any more, private copies included. */
static void check_truncated(void)
{
    u64 value;

    check_taken();
    EXPECT_TRUE(race.accessed == 0 || race.accessed == -EFAULT);
    EXPECT_TRUE(pte_is_none(test_entry(race.mm, race.addr)));
    EXPECT_ERR(-EFAULT, get_user_u64(&value, race.addr));
}

DIRECT_RACE(truncate_against_private_write)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_truncate_and_give, op_write},
                                    .prepare = prepare_private,
                                    .check = check_truncated,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

DIRECT_RACE(truncate_against_shared_write)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_truncate_and_give, op_write},
                                    .prepare = prepare_shared,
                                    .check = check_truncated,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

/* A copy that was there soon after the revocation may be older and stay; a later one is a hole's.
 */
static void check_revoked(void)
{
    u64 value = ~0ul;

    check_taken();
    EXPECT_EQ(0, race.accessed);
    EXPECT_OK(get_user_u64(&value, race.addr));
    EXPECT_TRUE(value == 0 || (value == OLD && race.had_copy));
    EXPECT_OK(get_user_u64(&value, race.addr + SECOND));
    EXPECT_EQ(WRITE, value);
}

DIRECT_RACE(revoke_against_private_write)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_revoke_and_give, op_write},
                                    .prepare = prepare_private,
                                    .check = check_revoked,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

/* Whoever read the hole's zeros reads the frame once it is there. */
static void check_filled(void)
{
    EXPECT_EQ(1, race.taken);
    EXPECT_EQ(0, race.accessed);
    EXPECT_TRUE(race.value == 0 || race.value == OLD);
    EXPECT_OK(get_user_u64(&race.value, race.addr));
    EXPECT_EQ(OLD, race.value);
}

DIRECT_RACE(filling_a_hole_against_read)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_fill_hole, op_read},
                                    .prepare = prepare_hole,
                                    .check = check_filled,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

/* The frame is the device's or the taker's; what is written through the one does not reach both. */
static void check_device(void)
{
    u64 value;

    check_taken();
    if (race.taken == 1) {
        EXPECT_TRUE(race.accessed == 0 || race.accessed == -EFAULT);
        EXPECT_ERR(-EFAULT, get_user_u64(&value, race.device_addr + FRAME * PAGE_SIZE));
    } else {
        EXPECT_EQ(0, race.accessed);
        EXPECT_EQ(WRITE, test_frame_word(FRAME)[SECOND / 8]);
    }
}

DIRECT_RACE(grant_against_write_of_the_device)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {give_frame_to_taker, op_write_device},
                                    .prepare = prepare_device,
                                    .check = check_device,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}

/* A pin that came in time keeps the frame from everybody else. */
static void check_pinned(void)
{
    EXPECT_TRUE(race.accessed == 1 || race.accessed == -EFAULT);
    if (race.page != NULL) {
        EXPECT_ERR(-EBUSY, race.taken);
        EXPECT_EQ(test_frame_pfn(FRAME), page_to_pfn(race.page));
        EXPECT_EQ(WRITE, test_frame_word(FRAME)[SECOND / 8]);
    } else {
        check_taken();
    }
}

DIRECT_RACE(truncate_against_pin_fast)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_truncate_and_give, op_pin},
                                    .prepare = prepare_mapped,
                                    .check = check_pinned,
                                    .cleanup = cleanup};

    EXPECT_NE(0, explore_run(&explore));
}
