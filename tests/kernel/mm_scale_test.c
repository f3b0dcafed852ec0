/*
 * What must not grow: the locks that faults on several processors share, and the work of a fault,
 * an unmap, a look through the reverse map and a write-protection with the number of processes.
 */
#include <arch/thread.h>
#include <debug/lockstat.h>
#include <lib/printk.h>
#include <mm/frames_internal.h>
#include <mm/rmap.h>
#include <mm/shmem.h>
#include <proc/clock.h>
#include "mm_test.h"
#include "pager_test.h"
#include "sched_test.h"

/* --- faults on several processors ------------------------------------------------------------- */

#define NR_FAULTERS 4
#define NR_PHASES   60
#define TABLE_BYTES (2 * MIB) /* what one page table maps, and so one split lock protects */

/* The main thread opens a phase by its number; the faulters count themselves out of it. */
static struct {
    struct mm *mm;
    u64 base;
    u64 nr_pages; /* that each touches in a phase */
    u32 phase;    /* [x] */
    u32 nr_done;  /* [x] in all phases */
    u32 nr_failed;
} faulting;

static void leave_mm(void)
{
    u64 flags = irq_save();

    current_thread()->mm = NULL;
    arch_mm_switch(NULL);
    irq_restore(flags);
}

static void enter_mm(struct mm *mm)
{
    u64 flags = irq_save();

    current_thread()->mm = mm;
    arch_mm_switch(mm);
    irq_restore(flags);
}

static void fault_own_pages(u64 start)
{
    for (u64 i = 0; i < faulting.nr_pages; i++) {
        if (put_user_u64(start + i * PAGE_SIZE, i) != 0) {
            __atomic_fetch_add(&faulting.nr_failed, 1, __ATOMIC_RELAXED);
        }
    }
}

static void wait_for_phase(u32 phase)
{
    while (__atomic_load_n(&faulting.phase, __ATOMIC_ACQUIRE) != phase) {
        cpu_relax();
        sched_yield_current();
    }
}

/* Odd phases fault; in even ones each gives its own frames back to its own processor's list. */
static void faulter_main(void *arg)
{
    u64 start = faulting.base + (u64)arg * TABLE_BYTES;

    enter_mm(faulting.mm);
    for (u32 phase = 1; phase <= 2 * NR_PHASES; phase++) {
        wait_for_phase(phase);
        if (phase % 2 == 1) {
            fault_own_pages(start);
        } else if (mm_advise(faulting.mm, start, faulting.nr_pages * PAGE_SIZE, MADV_DONTNEED) !=
                   0) {
            __atomic_fetch_add(&faulting.nr_failed, 1, __ATOMIC_RELAXED);
        }
        __atomic_fetch_add(&faulting.nr_done, 1, __ATOMIC_RELEASE);
    }
    leave_mm();
}

static void run_phase(u32 phase)
{
    __atomic_store_n(&faulting.phase, phase, __ATOMIC_RELEASE);
    while (__atomic_load_n(&faulting.nr_done, __ATOMIC_ACQUIRE) != phase * NR_FAULTERS) {
        cpu_relax();
        sched_yield_current();
    }
}

/* The ranks that a fault could take. Yielding takes run-queue locks, ticks take timers' locks. */
#define FIRST_FAULT_RANK RANK_MMAP
#define LAST_FAULT_RANK  RANK_SWAP
static const enum lock_rank allocation_ranks[] = {RANK_SLAB_CACHES, RANK_SLAB,        RANK_VMAP,
                                                  RANK_KERNEL_PT,   RANK_FRAMES_WAKE, RANK_FRAMES,
                                                  RANK_TLB};

struct lock_counts {
    u64 contended;
    u64 acquired; /* all but the split locks of page tables */
    u64 acquired_pt;
};

static struct lock_counts count_locks(void)
{
    struct lock_counts counts = {.acquired_pt = lockstat_read_acquired(RANK_PT)};

    for (u32 rank = FIRST_FAULT_RANK; rank <= LAST_FAULT_RANK; rank++) {
        counts.contended += lockstat_read(rank);
        counts.acquired += lockstat_read_acquired(rank);
    }
    for (u32 i = 0; i < ARRAY_SIZE(allocation_ranks); i++) {
        counts.contended += lockstat_read(allocation_ranks[i]);
        counts.acquired += lockstat_read_acquired(allocation_ranks[i]);
    }
    counts.acquired -= counts.acquired_pt;
    return counts;
}

/*
 * Bound to different processors, each in a table's range of its own: a fault takes its VMA's lock,
 * which is a count and no lock that one could wait for, and once the lock of its own table. What is
 * counted is not only that nobody had to wait, but that there was nothing to wait for.
 */
static void fault_disjoint_ranges(bool is_one_vma)
{
    struct crew crew = {.nr_threads = 0};
    u64 nr_bytes = (NR_FAULTERS + 1) * TABLE_BYTES;
    struct lock_counts sum = {.contended = 0};

    faulting.mm = current_mm();
    faulting.phase = 0;
    faulting.nr_done = 0;
    faulting.nr_failed = 0;
    faulting.nr_pages = frame_pool.chain_frames * 2 / (2 * NR_FAULTERS);
    faulting.base = ALIGN_UP(test_map(nr_bytes >> PAGE_SHIFT), TABLE_BYTES);
    for (u64 i = 0; i < NR_FAULTERS; i++) {
        if (!is_one_vma && i % 2 == 0) {
            EXPECT_OK(
                mm_advise(current_mm(), faulting.base + i * TABLE_BYTES, TABLE_BYTES, MADV_RANDOM));
        }
        (void)crew_add_on(&crew, faulter_main, (void *)i, BIT(i % cpu_count()));
    }
    /* The first phases make the tables and the generation, and stock the processors' lists. */
    for (u32 phase = 1; phase <= 2 * NR_PHASES; phase++) {
        struct lock_counts before = count_locks();
        struct lock_counts after;

        run_phase(phase);
        after = count_locks();
        if (phase % 2 == 1 && phase > 4) {
            sum.contended += after.contended - before.contended;
            sum.acquired += after.acquired - before.acquired;
            sum.acquired_pt += after.acquired_pt - before.acquired_pt;
        }
    }
    crew_join(&crew);
    EXPECT_EQ(0, faulting.nr_failed);
    EXPECT_EQ(0, sum.contended);
    EXPECT_EQ(0, sum.acquired);
    EXPECT_EQ((NR_PHASES - 2) * NR_FAULTERS * faulting.nr_pages, sum.acquired_pt);
}

TEST_LIMIT(scale, faults_in_disjoint_ranges_of_one_vma_share_no_lock, 60)
{
    fault_disjoint_ranges(true);
}

TEST_LIMIT(scale, faults_in_different_vmas_share_no_lock, 60)
{
    fault_disjoint_ranges(false);
}

/* --- a chain of forks --------------------------------------------------------------------------
 */

#define CHAIN_LENGTH 1000
#define FIRST        1
#define LAST         (CHAIN_LENGTH - 1)

static struct mm *chain[CHAIN_LENGTH];

/* Each is the child of the one before it. Return: how many there are. */
static u32 make_chain(void)
{
    u32 nr = 1;

    chain[0] = current_mm();
    for (; nr < CHAIN_LENGTH; nr++) {
        if (mm_fork(chain[nr - 1], &chain[nr]) != 0) {
            break;
        }
    }
    EXPECT_EQ(CHAIN_LENGTH, nr);
    return nr;
}

static void end_chain(u32 nr)
{
    for (u32 i = 1; i < nr; i++) {
        mm_put(chain[i]);
    }
}

/* What a copy and an unmap by one member cost: steps through the reverse map, and guest time. */
struct work {
    u64 rmap_steps;
    u64 ns;
};

static struct work copy_and_unmap(struct mm *mm, u64 addr)
{
    u64 steps = rmap_nr_steps();
    u64 start = clock_monotonic_ns();

    EXPECT_EQ(FAULT_OK, test_fault(mm, addr, FAULT_FLAG_WRITE | FAULT_FLAG_REMOTE));
    EXPECT_OK(mm_unmap(mm, addr, PAGE_SIZE));
    return (struct work){rmap_nr_steps() - steps, clock_monotonic_ns() - start};
}

static bool count_visit(struct vma *vma, u64 addr, void *arg)
{
    (*(u64 *)arg)++;
    return true;
}

static u64 count_visits(const struct page *page)
{
    u64 nr = 0;

    rmap_walk_anon(page, count_visit, &nr);
    return nr;
}

TEST_LIMIT(scale, fault_and_unmap_at_the_end_of_a_chain_of_forks_visit_nobody_else, 60)
{
    u64 addr = test_map(3);
    struct work first, last;
    u32 nr;

    ASSERT_OK(put_user_u64(addr, 1));
    ASSERT_OK(put_user_u64(addr + PAGE_SIZE, 2));
    nr = make_chain();
    if (nr == CHAIN_LENGTH) {
        first = copy_and_unmap(chain[FIRST], addr);
        last = copy_and_unmap(chain[LAST], addr);
        EXPECT_EQ(0, first.rmap_steps);
        EXPECT_EQ(0, last.rmap_steps);
    }
    end_chain(nr);
}

/* The clock counts instructions here; what neighbours in memory cost may differ a little. */
KTEST_DEFINE(scale, fault_and_unmap_at_the_end_of_a_chain_of_forks_cost_no_more, KTEST_COUNTED,
             60ull * NSEC_PER_SEC)
{
    u64 addr = test_map(CHAIN_LENGTH);
    u64 nr_first = 0;
    u64 nr_last = 0;
    u32 nr;

    for (u64 i = 0; i < 2; i++) {
        ASSERT_OK(put_user_u64(addr + i * PAGE_SIZE, 1));
    }
    nr = make_chain();
    if (nr == CHAIN_LENGTH) {
        /* Once before it counts: slab pages and tables are there afterwards. */
        (void)copy_and_unmap(chain[FIRST], addr);
        (void)copy_and_unmap(chain[LAST], addr);
        nr_first = copy_and_unmap(chain[FIRST], addr + PAGE_SIZE).ns;
        nr_last = copy_and_unmap(chain[LAST], addr + PAGE_SIZE).ns;
        printk("# guest instructions of a copy and an unmap: %lu in the first, %lu in the last\n",
               nr_first, nr_last);
        EXPECT_LE(nr_last, nr_first + nr_first / 4);
    }
    end_chain(nr);
}

TEST_LIMIT(scale, reverse_map_visits_those_who_may_map_a_page_and_nobody_else, 60)
{
    u64 addr = test_map(2);
    u64 steps;
    u32 nr;

    ASSERT_OK(put_user_u64(addr, 1));
    nr = make_chain();
    if (nr == CHAIN_LENGTH) {
        /* The first page is everybody's. */
        EXPECT_EQ(CHAIN_LENGTH, count_visits(test_page(chain[LAST], addr)));
        /* What the last one wrote is its own, and is found in one step. */
        EXPECT_EQ(FAULT_OK, test_fault(chain[LAST], addr, FAULT_FLAG_WRITE | FAULT_FLAG_REMOTE));
        steps = rmap_nr_steps();
        EXPECT_EQ(1, count_visits(test_page(chain[LAST], addr)));
        EXPECT_EQ(1, rmap_nr_steps() - steps);
    }
    end_chain(nr);
}

/* --- many mappings of one object ----------------------------------------------------------------
 */

#define NR_MAPPERS 1000

/* Maps every page of an object on its own, which no two mappings share, and page 0 once more. */
static u64 map_each_page(struct vm_object *object)
{
    struct map_request req = {
        .prot = PROT_READ | PROT_WRITE, .flags = MAP_SHARED, .object = object, .len = PAGE_SIZE};
    u64 addr = 0;

    /* Downwards by index, so that no mapping continues the one before it. */
    for (u64 i = 0; i < NR_MAPPERS; i++) {
        req.pgoff = i;
        if (mm_map(current_mm(), &req, &addr) != 0 || put_user_u64(addr, i) != 0) {
            return 0;
        }
    }
    return addr;
}

static u64 punch_steps(struct vm_object *object, u64 index)
{
    u64 steps = object_nr_zap_steps();

    EXPECT_OK(object_punch_hole(object, index * PAGE_SIZE, (index + 1) * PAGE_SIZE));
    return object_nr_zap_steps() - steps;
}

TEST_LIMIT(scale, a_hole_is_punched_in_the_mappings_of_its_pages_alone, 60)
{
    struct vm_object *object;
    u64 addr;
    u64 value = 0;
    u64 steps;

    ASSERT_OK(object_create_shmem(NR_MAPPERS * PAGE_SIZE, &object));
    addr = map_each_page(object);
    EXPECT_NE(0, addr);
    EXPECT_EQ(1, punch_steps(object, NR_MAPPERS - 1));
    EXPECT_EQ(1, punch_steps(object, NR_MAPPERS / 2));
    EXPECT_OK(get_user_u64(&value, addr));
    EXPECT_EQ(0, value);
    /* Truncation meets those behind the new end. */
    steps = object_nr_zap_steps();
    EXPECT_OK(object_truncate(object, (NR_MAPPERS - 10) * PAGE_SIZE));
    EXPECT_EQ(10, object_nr_zap_steps() - steps);
    object_put(object);
}

TEST_LIMIT(scale, a_page_of_a_thousand_processes_is_taken_from_each_once, 60)
{
    struct vm_object *object;
    u64 addr;
    u32 nr;

    ASSERT_OK(object_create_shmem(2 * PAGE_SIZE, &object));
    addr = test_map_object(object, 1, MAP_SHARED);
    ASSERT_OK(put_user_u64(addr, 1));
    nr = make_chain();
    for (u32 i = 1; i < nr; i++) {
        EXPECT_EQ(FAULT_OK, test_fault(chain[i], addr, FAULT_FLAG_REMOTE));
    }
    EXPECT_EQ(nr, punch_steps(object, 0));
    EXPECT_EQ(0, punch_steps(object, 1));
    EXPECT_TRUE(pte_is_none(test_entry(chain[nr - 1], addr)));
    end_chain(nr);
    object_put(object);
}

static u64 protect_steps(u64 index)
{
    u64 steps = object_nr_protect_steps();

    EXPECT_OK(object_write_back(fake.object, index * PAGE_SIZE, (index + 1) * PAGE_SIZE));
    return object_nr_protect_steps() - steps;
}

TEST_LIMIT(scale, a_page_is_write_protected_in_its_own_mappings_alone, 60)
{
    u64 addr;

    ASSERT_TRUE(fake_start(NR_MAPPERS, PAGER_TRACKS));
    addr = map_each_page(fake.object);
    EXPECT_NE(0, addr);
    EXPECT_TRUE(pte_is_writable(test_entry(current_mm(), addr)));
    EXPECT_EQ(1, protect_steps(FAKE_PAGES - 1));
    EXPECT_EQ(1, protect_steps(FAKE_PAGES / 2));
    /* Nothing is written any more, so nobody is visited. */
    EXPECT_EQ(0, protect_steps(FAKE_PAGES / 2));
    EXPECT_TRUE(pte_is_writable(test_entry(current_mm(), addr)));
    object_put(fake.object);
}

TEST_LIMIT(scale, a_page_of_a_thousand_processes_is_write_protected_in_each_once, 60)
{
    u64 addr;
    u32 nr;

    ASSERT_TRUE(fake_start(2, PAGER_TRACKS));
    addr = test_map_object(fake.object, 2, MAP_SHARED);
    ASSERT_OK(put_user_u64(addr, 1));
    nr = make_chain();
    for (u32 i = 1; i < nr; i++) {
        EXPECT_EQ(FAULT_OK, test_fault(chain[i], addr, FAULT_FLAG_WRITE | FAULT_FLAG_REMOTE));
    }
    EXPECT_TRUE(pte_is_writable(test_entry(chain[nr - 1], addr)));
    EXPECT_EQ(nr, protect_steps(0));
    EXPECT_FALSE(pte_is_writable(test_entry(chain[nr - 1], addr)));
    EXPECT_FALSE(pte_is_writable(test_entry(chain[0], addr)));
    EXPECT_EQ(0, protect_steps(1));
    end_chain(nr);
    object_put(fake.object);
}
