/*
 * What must not grow faster than the logarithm of the number of VMAs: with 1, 1,000 and 60,000 of
 * them a mapping is made and removed, one in the middle changes its protection, and is faulted in.
 */
#include <lib/printk.h>
#include <proc/clock.h>
#include "mm_test.h"

#define NR_ROUNDS 32

enum { OP_MAP, OP_PROTECT, OP_FAULT, NR_OPS };

static const char *const op_names[NR_OPS] = {"map and unmap", "protect", "fault"};

/* Neighbours differ in what they allow, so that each page is a VMA. Return: its start, or 0. */
static u64 make_vmas(u64 nr_vmas)
{
    struct map_request req = {.prot = PROT_READ | PROT_WRITE,
                              .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                              .len = nr_vmas * PAGE_SIZE};
    u64 base = 0;

    EXPECT_OK(mm_map(current_mm(), &req, &base));
    for (u64 i = 1; i < nr_vmas; i += 2) {
        if (mm_protect(current_mm(), base + i * PAGE_SIZE, PAGE_SIZE, PROT_READ) != 0) {
            return 0;
        }
    }
    return base;
}

static void run_map(u64 addr)
{
    struct map_request req = {
        .prot = PROT_READ | PROT_WRITE, .flags = MAP_PRIVATE | MAP_ANONYMOUS, .len = PAGE_SIZE};
    u64 made = 0;

    EXPECT_OK(mm_map(current_mm(), &req, &made));
    EXPECT_OK(mm_unmap(current_mm(), made, PAGE_SIZE));
}

/* Merges three and splits them again, but for a single one. */
static void run_protect(u64 addr)
{
    EXPECT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ));
    EXPECT_OK(mm_protect(current_mm(), addr, PAGE_SIZE, PROT_READ | PROT_WRITE));
}

static void run_fault(u64 addr)
{
    EXPECT_OK(put_user_u64(addr, 1));
}

static void (*const ops[NR_OPS])(u64 addr) = {run_map, run_protect, run_fault};

static u64 cost(void (*op)(u64 addr), u64 addr)
{
    u64 total = 0;

    /* Once before it counts: slab pages and tables are there afterwards. */
    for (u32 round = 0; round <= NR_ROUNDS; round++) {
        u64 start = clock_monotonic_ns();

        op(addr);
        total += round == 0 ? 0 : clock_monotonic_ns() - start;
        EXPECT_OK(mm_advise(current_mm(), addr, PAGE_SIZE, MADV_DONTNEED));
    }
    return total / NR_ROUNDS;
}

static void measure(u64 nr_vmas, u64 *costs)
{
    u64 base = make_vmas(nr_vmas);
    /* In the middle, with an even index. */
    u64 addr = base + (nr_vmas / 4) * 2 * PAGE_SIZE;

    EXPECT_NE(0, base);
    for (u32 i = 0; base != 0 && i < NR_OPS; i++) {
        costs[i] = cost(ops[i], addr);
    }
    EXPECT_OK(mm_unmap(current_mm(), base, nr_vmas * PAGE_SIZE));
}

/* The clock counts instructions here. log2 of 1,000 is 10, that of 60,000 is 16. */
KTEST_DEFINE(scale, calls_and_faults_grow_by_the_logarithm_of_the_vmas, KTEST_COUNTED,
             60ull * NSEC_PER_SEC)
{
    u64 one[NR_OPS], thousand[NR_OPS], most[NR_OPS];

    measure(1, one);
    measure(1000, thousand);
    measure(60000, most);
    for (u32 i = 0; i < NR_OPS; i++) {
        printk("# guest instructions to %s: %lu with 1 VMA, %lu with 1,000, %lu with 60,000\n",
               op_names[i], one[i], thousand[i], most[i]);
        EXPECT_LE(10 * most[i], 16 * thousand[i]);
        EXPECT_LE(thousand[i], 10 * one[i]);
    }
}
