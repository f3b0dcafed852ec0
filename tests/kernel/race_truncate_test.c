/*
 * Races of truncation, in every order: nothing of a file is left in a mapping, not even a copy of
 * what was there. And of a file that grows: nothing is seen of what does not belong to it yet.
 * Direct objects have theirs in direct_race_test.c.
 */
#include <debug/explore.h>
#include "mm_test.h"

#define OLD   0x1111111111111111ul /* what the file holds before the race */
#define NEW   0x2222222222222222ul /* what an operation writes */
#define LATER 0x3333333333333333ul /* what the check writes afterwards */

/* What the operations of a test work on and have found. */
static struct {
    struct mm *mm;
    u64 addr;
    struct vm_object *object;
    struct mm *child; /* made by an operation */
    u64 value;        /* read by an operation */
    s64 results[EXPLORE_MAX_OPS];
} race;

static void op_truncate(void)
{
    race.results[0] = object_truncate(race.object, 0);
}

static void op_read(void)
{
    race.value = 0;
    race.results[1] = get_user_u64(&race.value, race.addr);
}

static void op_write(void)
{
    race.results[1] = put_user_u64(race.addr, NEW);
}

static void op_fork(void)
{
    race.results[1] = mm_fork(race.mm, &race.child);
}

static void prepare_file(u32 sharing)
{
    race.mm = current_mm();
    EXPECT_OK(object_create_shmem(PAGE_SIZE, &race.object));
    race.addr = test_map_object(race.object, 1, MAP_SHARED);
    EXPECT_OK(put_user_u64(race.addr, OLD));
    EXPECT_OK(mm_unmap(race.mm, race.addr, PAGE_SIZE));
    race.addr = test_map_object(race.object, 1, sharing);
}

static void prepare_shared_file(void)
{
    prepare_file(MAP_SHARED);
}

static void prepare_private_file(void)
{
    prepare_file(MAP_PRIVATE);
}

/* The private mapping has read the file's page, which the write then copies. */
static void prepare_read_private_file(void)
{
    u64 value = 0;

    prepare_file(MAP_PRIVATE);
    EXPECT_OK(get_user_u64(&value, race.addr));
    EXPECT_EQ(OLD, value);
}

/* The mapping has a copy of its own, which fork shares, and of which truncation leaves nothing. */
static void prepare_written_private_file(void)
{
    prepare_file(MAP_PRIVATE);
    EXPECT_OK(put_user_u64(race.addr, NEW));
}

/* The file has no page: a hole is copied as zeros. */
static void prepare_private_hole(void)
{
    race.mm = current_mm();
    EXPECT_OK(object_create_shmem(PAGE_SIZE, &race.object));
    race.addr = test_map_object(race.object, 1, MAP_PRIVATE);
}

static void cleanup_file(void)
{
    EXPECT_OK(mm_unmap(race.mm, race.addr, PAGE_SIZE));
    object_put(race.object);
}

/* Nothing of the file is left, not even a private copy of what was there. */
static void check_truncated(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_TRUE(race.results[1] == 0 || race.results[1] == -EFAULT);
    EXPECT_TRUE(pte_is_none(test_entry(race.mm, race.addr)));
    EXPECT_EQ(0, object_nr_pages(race.object));
    EXPECT_ERR(-EFAULT, put_user_u64(race.addr, LATER));
    EXPECT_OK(object_truncate(race.object, PAGE_SIZE));
    EXPECT_EQ(0, test_peek(race.mm, race.addr));
}

static void check_truncated_and_read(void)
{
    EXPECT_EQ(race.results[1] == 0 ? OLD : 0, race.value);
    check_truncated();
}

TEST_EXPLORE(race, truncate_against_read_fault_of_a_shared_mapping)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_truncate, op_read},
                                    .prepare = prepare_shared_file,
                                    .check = check_truncated_and_read,
                                    .cleanup = cleanup_file};

    EXPECT_NE(0, explore_run(&explore));
}

TEST_EXPLORE(race, truncate_against_write_fault_of_a_shared_mapping)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_truncate, op_write},
                                    .prepare = prepare_shared_file,
                                    .check = check_truncated,
                                    .cleanup = cleanup_file};

    EXPECT_NE(0, explore_run(&explore));
}

TEST_EXPLORE(race, truncate_against_read_fault_of_a_private_mapping)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_truncate, op_read},
                                    .prepare = prepare_private_file,
                                    .check = check_truncated_and_read,
                                    .cleanup = cleanup_file};

    EXPECT_NE(0, explore_run(&explore));
}

TEST_EXPLORE(race, truncate_against_first_write_of_a_private_mapping)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_truncate, op_write},
                                    .prepare = prepare_private_file,
                                    .check = check_truncated,
                                    .cleanup = cleanup_file};

    EXPECT_NE(0, explore_run(&explore));
}

TEST_EXPLORE(race, truncate_against_copy_of_a_page_that_was_read)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_truncate, op_write},
                                    .prepare = prepare_read_private_file,
                                    .check = check_truncated,
                                    .cleanup = cleanup_file};

    EXPECT_NE(0, explore_run(&explore));
}

TEST_EXPLORE(race, truncate_against_write_to_a_hole_of_a_private_mapping)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_truncate, op_write},
                                    .prepare = prepare_private_hole,
                                    .check = check_truncated,
                                    .cleanup = cleanup_file};

    EXPECT_NE(0, explore_run(&explore));
}

/* Truncation visits the parent's mapping first: what it took there does not reach the child. */
static void check_truncated_in_both(void)
{
    EXPECT_EQ(0, race.results[1]);
    EXPECT_TRUE(pte_is_none(test_entry(race.child, race.addr)));
    mm_put(race.child);
    check_truncated();
}

TEST_EXPLORE(race, truncate_against_fork)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_truncate, op_fork},
                                    .prepare = prepare_written_private_file,
                                    .check = check_truncated_in_both,
                                    .cleanup = cleanup_file};

    EXPECT_NE(0, explore_run(&explore));
}

/* --- a file that grows ------------------------------------------------------------------------ */

static void op_extend(void)
{
    u64 word = NEW;
    u64 done = 0;

    race.results[0] = object_write_kernel(race.object, PAGE_SIZE, &word, sizeof(word), &done);
    EXPECT_EQ(sizeof(word), done);
}

/* The first access enters what the file has around it, the second is to what comes next. */
static void op_read_around(void)
{
    u64 value;

    race.value = 0;
    EXPECT_OK(get_user_u64(&value, race.addr));
    race.results[1] = get_user_u64(&race.value, race.addr + PAGE_SIZE);
}

static void prepare_file_of_one_page(void)
{
    u64 word = OLD;
    u64 done = 0;

    race.mm = current_mm();
    EXPECT_OK(object_create_shmem(PAGE_SIZE, &race.object));
    EXPECT_OK(object_write_kernel(race.object, 0, &word, sizeof(word), &done));
    race.addr = test_map_object(race.object, 2, MAP_SHARED);
}

/* A page is seen with all that was written to it, or not at all. */
static void check_extended(void)
{
    EXPECT_EQ(0, race.results[0]);
    EXPECT_TRUE(race.results[1] == 0 || race.results[1] == -EFAULT);
    EXPECT_EQ(race.results[1] == 0 ? NEW : 0, race.value);
    EXPECT_EQ(NEW, test_peek(race.mm, race.addr + PAGE_SIZE));
}

static void cleanup_two_pages(void)
{
    EXPECT_OK(mm_unmap(race.mm, race.addr, 2 * PAGE_SIZE));
    object_put(race.object);
}

TEST_EXPLORE(race, extending_write_against_reads_around_the_end)
{
    const struct explore explore = {.nr_ops = 2,
                                    .ops = {op_extend, op_read_around},
                                    .prepare = prepare_file_of_one_page,
                                    .check = check_extended,
                                    .cleanup = cleanup_two_pages};

    EXPECT_NE(0, explore_run(&explore));
}
