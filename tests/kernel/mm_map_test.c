/*
 * The shape of address spaces under want of memory and under faults of other threads. What each
 * operation does to a range is tested on the host (tests/host/test_vma*.c).
 */
#include <lib/atomic.h>
#include "mm_test.h"
#include "sched_test.h"

#define NR_RACERS 3
#define NR_ROUNDS 200

#define RACE_BASE 0x20000000ul
#define RACE_STEP (2 * MIB)

static bool is_mapped(u64 addr)
{
    bool result;

    mm_read_lock(current_mm());
    result = vma_find_at(current_mm(), addr) != NULL;
    mm_read_unlock(current_mm());
    return result;
}

/* The result of an operation that fails exactly if an allocation of it failed. */
static bool expect_done(int error)
{
    EXPECT_TRUE(error == 0 || ktest_alloc_failed());
    EXPECT_TRUE(error == 0 || error == -ENOMEM || error == -EAGAIN);
    return error == 0;
}

TEST_EACH_ALLOC(mm, map_unmap_of_the_middle_fails_cleanly)
{
    u64 addr = test_map(5);
    u64 value = 0;

    if (addr == 0) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    if (put_user_u64(addr + 2 * PAGE_SIZE, 7) == 0) {
        if (!expect_done(mm_unmap(current_mm(), addr + 2 * PAGE_SIZE, PAGE_SIZE))) {
            EXPECT_OK(get_user_u64(&value, addr + 2 * PAGE_SIZE));
            EXPECT_EQ(7, value);
        }
    }
    EXPECT_OK(mm_unmap(current_mm(), addr, 5 * PAGE_SIZE));
}

TEST_EACH_ALLOC(mm, map_over_another_mapping_fails_cleanly)
{
    u64 addr = test_map(5);
    struct map_request req = {.addr = addr + PAGE_SIZE,
                              .len = 3 * PAGE_SIZE,
                              .prot = PROT_READ,
                              .flags = MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS};
    u64 value = 0;

    if (addr == 0) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    if (put_user_u64(addr + 2 * PAGE_SIZE, 7) == 0) {
        bool replaced = expect_done(mm_map(current_mm(), &req, &value));
        int error = get_user_u64(&value, addr + 2 * PAGE_SIZE);

        EXPECT_TRUE(error == 0 || ktest_alloc_failed());
        EXPECT_TRUE(error != 0 || value == (replaced ? 0 : 7));
    }
    EXPECT_OK(mm_unmap(current_mm(), addr, 5 * PAGE_SIZE));
}

TEST_EACH_ALLOC(mm, map_protect_and_move_fail_cleanly)
{
    u64 addr = test_map(6);
    u64 moved = 0;
    u64 value = 0;

    if (addr == 0) {
        EXPECT_TRUE(ktest_alloc_failed());
        return;
    }
    if (put_user_u64(addr + 3 * PAGE_SIZE, 9) == 0) {
        expect_done(mm_protect(current_mm(), addr + 2 * PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ));
        if (expect_done(mm_remap(current_mm(), addr + 3 * PAGE_SIZE, PAGE_SIZE, 4 * PAGE_SIZE,
                                 MREMAP_MAYMOVE, 0, &moved))) {
            EXPECT_FALSE(is_mapped(addr + 3 * PAGE_SIZE));
            EXPECT_OK(get_user_u64(&value, moved));
            EXPECT_OK(mm_unmap(current_mm(), moved, 4 * PAGE_SIZE));
        } else {
            EXPECT_OK(get_user_u64(&value, addr + 3 * PAGE_SIZE));
        }
        EXPECT_EQ(9, value);
    }
    EXPECT_OK(mm_unmap(current_mm(), addr, 6 * PAGE_SIZE));
}

TEST(mm, map_heap_grows_and_shrinks)
{
    struct mm *mm = current_mm();
    u64 start = 0x10000000;
    u64 value = 1;

    mm_set_brk(mm, start);
    EXPECT_EQ(start, mm_brk(mm, 0));
    EXPECT_EQ(start + 5000, mm_brk(mm, start + 5000));
    EXPECT_OK(put_user_u64(start + PAGE_SIZE, 5));
    EXPECT_ERR(-EFAULT, get_user_u64(&value, start + 2 * PAGE_SIZE));
    EXPECT_EQ(start + 10, mm_brk(mm, start + 10));
    EXPECT_ERR(-EFAULT, get_user_u64(&value, start + PAGE_SIZE));
    EXPECT_EQ(start + 2 * PAGE_SIZE, mm_brk(mm, start + 2 * PAGE_SIZE));
    EXPECT_OK(get_user_u64(&value, start + PAGE_SIZE));
    EXPECT_EQ(0, value);
    EXPECT_EQ(start + 2 * PAGE_SIZE, mm_brk(mm, start - 1));
    EXPECT_EQ(start, mm_brk(mm, start));
}

TEST(mm, map_stack_grows_by_access_only_above_the_gap)
{
    struct mm *mm = current_mm();
    u64 top, low, value;
    struct vma *stack;

    EXPECT_OK(mm_setup_stack(mm, PAGE_SIZE, 0, &top));
    stack = vma_last(mm);
    low = stack->start;
    EXPECT_OK(put_user_u64(low - 8, 3));
    EXPECT_EQ(low - PAGE_SIZE, stack->start);
    EXPECT_OK(get_user_u64(&value, low - 8));
    EXPECT_EQ(3, value);
}

/* --- races ----------------------------------------------------------------------------------- */

struct racer {
    struct mm *mm;
    u64 addr;
    u64 nr_pages;
    u64 nr_errors;
    bool stop;
};

/* Writes and reads back its own pages, through faults, until told to stop. */
static void keep_touching(void *arg)
{
    struct racer *racer = arg;
    u64 round = 1;

    while (!READ_ONCE(racer->stop)) {
        for (u64 i = 0; i < racer->nr_pages; i++) {
            racer->nr_errors += !test_poke(racer->mm, racer->addr + i * PAGE_SIZE, round);
        }
        for (u64 i = 0; i < racer->nr_pages; i++) {
            racer->nr_errors += test_peek(racer->mm, racer->addr + i * PAGE_SIZE) != round;
        }
        round++;
        sched_point();
    }
}

/* Each racer has its own page table, so that it shares no lock with anybody but by mistake. */
static void start_racers(struct crew *crew, struct racer *racers, u32 nr_racers)
{
    for (u32 i = 0; i < nr_racers; i++) {
        struct map_request req = {.addr = RACE_BASE + i * RACE_STEP,
                                  .len = 4 * PAGE_SIZE,
                                  .prot = PROT_READ | PROT_WRITE,
                                  .flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS};

        racers[i] = (struct racer){.mm = current_mm(), .nr_pages = 4};
        EXPECT_OK(mm_map(current_mm(), &req, &racers[i].addr));
        (void)crew_add(crew, keep_touching, &racers[i]);
    }
}

static void stop_racers(struct crew *crew, struct racer *racers, u32 nr_racers)
{
    for (u32 i = 0; i < nr_racers; i++) {
        WRITE_ONCE(racers[i].stop, true);
    }
    crew_join(crew);
    for (u32 i = 0; i < nr_racers; i++) {
        EXPECT_EQ(0, racers[i].nr_errors);
    }
}

TEST(mm, map_faults_go_on_while_other_mappings_change)
{
    struct racer racers[NR_RACERS];
    struct crew crew = {.nr_threads = 0};

    start_racers(&crew, racers, NR_RACERS);
    for (u32 round = 0; round < NR_ROUNDS; round++) {
        u64 addr = test_map(6);

        EXPECT_OK(put_user_u64(addr + 2 * PAGE_SIZE, round));
        EXPECT_OK(mm_protect(current_mm(), addr + PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ));
        EXPECT_OK(mm_unmap(current_mm(), addr + 3 * PAGE_SIZE, PAGE_SIZE));
        EXPECT_OK(mm_unmap(current_mm(), addr, 6 * PAGE_SIZE));
        sched_point();
    }
    stop_racers(&crew, racers, NR_RACERS);
}

/* O1. */
TEST(mm, map_faults_survive_splits_and_merges_of_their_own_vma)
{
    struct racer racer;
    struct crew crew = {.nr_threads = 0};

    start_racers(&crew, &racer, 1);
    for (u32 round = 0; round < NR_ROUNDS; round++) {
        EXPECT_OK(mm_advise(current_mm(), racer.addr + PAGE_SIZE, 2 * PAGE_SIZE, MADV_RANDOM));
        sched_point();
        EXPECT_OK(mm_advise(current_mm(), racer.addr, 4 * PAGE_SIZE, MADV_SEQUENTIAL));
        EXPECT_OK(mm_advise(current_mm(), racer.addr, 4 * PAGE_SIZE, MADV_NORMAL));
    }
    stop_racers(&crew, &racer, 1);
}

/* Looks an address up without a lock; what is found covers it, whatever the writer does. */
static void keep_looking(void *arg)
{
    struct racer *racer = arg;

    while (!READ_ONCE(racer->stop)) {
        u64 addr = racer->addr + (racer->nr_pages++ % 64) * PAGE_SIZE;
        struct vma *vma;

        if (vma_lock_lookup(racer->mm, addr, &vma)) {
            racer->nr_errors += addr < vma->start || addr >= vma->end || vma->mm != racer->mm;
            vma_read_unlock(vma);
        }
        sched_point();
    }
}

/* O1. */
TEST(mm, map_lookup_without_a_lock_is_right_while_the_tree_turns)
{
    struct racer racers[NR_RACERS];
    struct crew crew = {.nr_threads = 0};
    u64 addr = test_map_prot(64, PROT_READ);

    ASSERT_TRUE(addr != 0);
    for (u32 i = 0; i < NR_RACERS; i++) {
        racers[i] = (struct racer){.mm = current_mm(), .addr = addr};
        (void)crew_add(&crew, keep_looking, &racers[i]);
    }
    for (u32 round = 0; round < NR_ROUNDS; round++) {
        u64 first = round * 7 % 60;

        EXPECT_OK(mm_protect(current_mm(), addr + first * PAGE_SIZE, 3 * PAGE_SIZE,
                             round % 2 != 0 ? PROT_READ : PROT_NONE));
        EXPECT_OK(mm_advise(current_mm(), addr + (63 - first) * PAGE_SIZE, PAGE_SIZE,
                            round % 3 != 0 ? MADV_RANDOM : MADV_NORMAL));
        sched_point();
    }
    stop_racers(&crew, racers, NR_RACERS);
}
