/*
 * Pages of an object that are found without its lock, while others make them and take them away.
 */
#include <debug/explore.h>
#include <proc/sched.h>
#include "mm_test.h"

#define OLD 0x1111111111111111ul
#define NEW 0x2222222222222222ul

/* --- every order ------------------------------------------------------------------------------ */

static struct {
    struct vm_object *object;
    struct page *page; /* found by an operation */
    s64 error;
} race;

static void set_word(struct vm_object *object, u64 index, u64 value)
{
    struct page *page;

    EXPECT_OK(object_get_page(object, index, OBJECT_CREATE, &page));
    *(u64 *)page_to_virt(page) = value;
    page_put(page);
}

static void prepare_one_page(void)
{
    EXPECT_OK(object_create_shmem(2 * PAGE_SIZE, &race.object));
    set_word(race.object, 0, OLD);
    race.page = NULL;
}

static void op_find(void)
{
    race.error = object_get_page(race.object, 0, OBJECT_FIND, &race.page);
}

/* The frame that the first page had becomes the second one: the allocator gives the last first. */
static void op_reuse_frame(void)
{
    EXPECT_OK(object_truncate(race.object, 0));
    EXPECT_OK(object_truncate(race.object, 2 * PAGE_SIZE));
    set_word(race.object, 1, NEW);
}

static void check_found(void)
{
    EXPECT_TRUE(race.error == 0 || race.error == -ENOENT || race.error == -ERANGE);
    if (race.error == 0) {
        EXPECT_EQ(OLD, *(u64 *)page_to_virt(race.page));
        page_put(race.page);
    }
}

static void cleanup_object(void)
{
    object_put(race.object);
}

TEST_EXPLORE(race, lookup_finds_no_frame_that_became_another_page)
{
    static const struct explore lookup = {
        .nr_ops = 2,
        .prepare = prepare_one_page,
        .ops = {op_find, op_reuse_frame},
        .check = check_found,
        .cleanup = cleanup_object,
    };

    EXPECT_NE(0, explore_run(&lookup));
}

/* The only page stands where a tree of several levels was before, or is to be. */
static void op_change_height(void)
{
    EXPECT_OK(object_truncate(race.object, 5000 * PAGE_SIZE));
    set_word(race.object, 4999, NEW);
    EXPECT_OK(object_truncate(race.object, 2 * PAGE_SIZE));
}

static void check_still_there(void)
{
    EXPECT_EQ(0, race.error);
    check_found();
}

TEST_EXPLORE(race, lookup_finds_a_page_while_its_tree_grows_and_shrinks)
{
    static const struct explore lookup = {
        .nr_ops = 2,
        .prepare = prepare_one_page,
        .ops = {op_find, op_change_height},
        .check = check_still_there,
        .cleanup = cleanup_object,
    };

    EXPECT_NE(0, explore_run(&lookup));
}

/* A page that is only reserved, used by a writer and taken away by truncation. */
static void prepare_reserved_page(void)
{
    EXPECT_OK(object_create_shmem(2 * PAGE_SIZE, &race.object));
    EXPECT_OK(object_allocate(race.object, 0, 2 * PAGE_SIZE, OBJECT_ALLOCATE_KEEP_SIZE));
    race.page = NULL;
}

static void op_use(void)
{
    set_word(race.object, 0, OLD);
}

static void op_use_for_a_pager(void)
{
    race.error = object_get_page(race.object, 0, OBJECT_USE, &race.page);
}

static void op_truncate_and_reserve(void)
{
    EXPECT_OK(object_truncate(race.object, PAGE_SIZE));
    EXPECT_OK(object_punch_hole(race.object, 0, PAGE_SIZE));
    EXPECT_OK(object_allocate(race.object, 0, PAGE_SIZE, OBJECT_ALLOCATE_KEEP_SIZE));
}

/* Whoever was told to use a page owns it, if the object still has it. */
static void check_used(void)
{
    struct page *page = NULL;

    EXPECT_EQ(0, object_get_page(race.object, 0, OBJECT_FIND, &page));
    if (race.page != NULL) {
        EXPECT_EQ(0, race.error);
        EXPECT_TRUE(race.page != page || object_owns_page(race.object, 0, page));
        page_put(race.page);
    }
    page_put(page);
}

TEST_EXPLORE(race, reserved_page_is_used_or_taken_away)
{
    static const struct explore use = {
        .nr_ops = 3,
        .prepare = prepare_reserved_page,
        .ops = {op_use, op_use_for_a_pager, op_truncate_and_reserve},
        .check = check_used,
        .cleanup = cleanup_object,
    };

    EXPECT_NE(0, explore_run(&use));
}

/* --- on several processors -------------------------------------------------------------------- */

#define NR_FINDERS 3
#define NR_ROUNDS  4000
#define NR_PAGES   200

static struct {
    struct vm_object *object;
    u32 nr_ready;    /* [x] finders that have begun */
    u32 is_over;     /* [x] */
    u64 nr_found;    /* [x] */
    u64 nr_mistaken; /* [x] */
} crowd;

/* A page holds its index, or zero for a moment after it was made. */
static void find_one(u64 index)
{
    struct page *page;
    u64 word;

    if (object_get_page(crowd.object, index, OBJECT_FIND, &page) != 0) {
        return;
    }
    word = READ_ONCE(*(u64 *)page_to_virt(page));
    if (word != 0 && word != index) {
        __atomic_fetch_add(&crowd.nr_mistaken, 1, __ATOMIC_RELAXED);
    }
    __atomic_fetch_add(&crowd.nr_found, 1, __ATOMIC_RELAXED);
    page_put(page);
}

static void finder_main(void *arg)
{
    u64 seed = (u64)arg;

    __atomic_fetch_add(&crowd.nr_ready, 1, __ATOMIC_SEQ_CST);
    while (READ_ONCE(crowd.is_over) == 0) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        find_one(1 + (seed >> 33) % NR_PAGES);
        cpu_relax();
        sched_point();
    }
}

static void truncate_and_fill(void)
{
    u64 seed = 4711;

    for (u32 i = 0; i < NR_ROUNDS; i++) {
        u64 index;

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        index = 1 + (seed >> 33) % NR_PAGES;
        if (i % 8 == 0) {
            EXPECT_OK(object_truncate(crowd.object, index * PAGE_SIZE));
            EXPECT_OK(object_truncate(crowd.object, (NR_PAGES + 1) * PAGE_SIZE));
        }
        set_word(crowd.object, index, index);
        cpu_relax();
        if (i % 64 == 0) {
            sched_yield_current();
        }
    }
}

TEST_LIMIT(mm, race_of_lookups_and_truncations, 60)
{
    struct thread *finders[NR_FINDERS];

    crowd.nr_ready = 0;
    crowd.is_over = 0;
    crowd.nr_found = 0;
    crowd.nr_mistaken = 0;
    ASSERT_OK(object_create_shmem((NR_PAGES + 1) * PAGE_SIZE, &crowd.object));
    for (u64 i = 0; i < NR_FINDERS; i++) {
        finders[i] = thread_create_kernel(finder_main, (void *)(i * 7919), "finder");
        EXPECT_TRUE(finders[i] != NULL);
    }
    while (READ_ONCE(crowd.nr_ready) < NR_FINDERS) {
        sched_yield_current();
        cpu_relax();
    }
    truncate_and_fill();
    WRITE_ONCE(crowd.is_over, 1);
    for (u64 i = 0; i < NR_FINDERS; i++) {
        if (finders[i] != NULL) {
            thread_join_kernel(finders[i]);
        }
    }
    object_put(crowd.object);
    EXPECT_EQ(0, crowd.nr_mistaken);
    EXPECT_NE(0, crowd.nr_found);
}

/* --- which lock that takes -------------------------------------------------------------------- */

#define NR_MAPPED 64

/* A read fault and its surroundings get along without the object's lock, so a writer may hold it.
 */
TEST(mm, pages_in_memory_are_mapped_without_the_object_lock)
{
    struct vm_object *object;
    u64 value = 0;
    u64 addr;

    ASSERT_OK(object_create_shmem(NR_MAPPED * PAGE_SIZE, &object));
    for (u64 i = 0; i < NR_MAPPED; i++) {
        set_word(object, i, i);
    }
    addr = test_map_object(object, NR_MAPPED, MAP_SHARED);
    ASSERT_TRUE(addr != 0);
    object_lock(object);
    for (u64 i = 0; i < NR_MAPPED; i++) {
        EXPECT_EQ(FAULT_OK, test_fault(current_mm(), addr + i * PAGE_SIZE, FAULT_FLAG_USER));
    }
    object_unlock(object);
    EXPECT_OK(get_user_u64(&value, addr + 17 * PAGE_SIZE));
    EXPECT_EQ(17, value);
    object_put(object);
}
