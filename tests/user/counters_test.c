/*
 * What operations cost in page-table root loads, flushes of translations and interrupts between
 * CPUs, by the kernel's own counters: no more than correctness asks for.
 *
 * Other threads of the system run meanwhile, so each cost is the least of many tries.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "counters"
#include "utest.h"
#include "cowbell.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE 4096ul

enum { NR_TRIES = 20 };

struct costs {
    uint64_t root_loads;
    uint64_t page_flushes;
    uint64_t full_flushes;
    uint64_t ipis;
};

static struct costs counted(void)
{
    struct cb_cpu_stats cpus[CB_CPUS_MAX];
    long size = cb_kinfo(CB_KINFO_CPU_STATS, 0, cpus, sizeof(cpus));
    struct costs sum = {0};

    for (long i = 0; i < size / (long)sizeof(cpus[0]); i++) {
        sum.root_loads += cpus[i].root_loads;
        sum.page_flushes += cpus[i].tlb_page_flushes;
        sum.full_flushes += cpus[i].tlb_full_flushes;
        sum.ipis += cpus[i].ipis_sent;
    }
    return sum;
}

static void keep_least(uint64_t *least, uint64_t before, uint64_t after)
{
    *least = after - before < *least ? after - before : *least;
}

/* The least that @work costs on one CPU; @prepare runs before each try and is not counted. */
static struct costs least_cost(void (*prepare)(void), void (*work)(void))
{
    struct costs least = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    cpu_set_t first;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first);
    for (int i = 0; i < NR_TRIES; i++) {
        struct costs before, after;

        prepare();
        before = counted();
        work();
        after = counted();
        keep_least(&least.root_loads, before.root_loads, after.root_loads);
        keep_least(&least.page_flushes, before.page_flushes, after.page_flushes);
        keep_least(&least.full_flushes, before.full_flushes, after.full_flushes);
        keep_least(&least.ipis, before.ipis, after.ipis);
    }
    return least;
}

#define EXPECT_COST(loads_, pages_, full_, ipis_, costs_)                                          \
    do {                                                                                           \
        struct costs c_ = (costs_);                                                                \
        EXPECT_EQ(loads_, c_.root_loads);                                                          \
        EXPECT_EQ(pages_, c_.page_flushes);                                                        \
        EXPECT_EQ(full_, c_.full_flushes);                                                         \
        EXPECT_EQ(ipis_, c_.ipis);                                                                 \
    } while (0)

static char *page;

static void map_page(void)
{
    if (page != NULL) {
        munmap(page, PAGE);
    }
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void write_page(void)
{
    *(volatile char *)page = 1;
}

static void map_and_write_page(void)
{
    map_page();
    write_page();
}

static void protect_page(void)
{
    mprotect(page, PAGE, PROT_READ);
}

static void protect_written_page(void)
{
    map_and_write_page();
    protect_page();
}

static void unprotect_page(void)
{
    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
}

static void drop_page(void)
{
    madvise(page, PAGE, MADV_DONTNEED);
}

static void read_zero_page(void)
{
    map_page();
    (void)*(volatile char *)page;
}

static void share_page_with_dead_child(void)
{
    pid_t pid;

    map_and_write_page();
    pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void nothing(void)
{
}

TEST(there_is_one_element_for_each_cpu)
{
    struct cb_cpu_stats cpus[CB_CPUS_MAX];

    need_cowbell();
    EXPECT_EQ(sysconf(_SC_NPROCESSORS_ONLN) * (long)sizeof(cpus[0]),
              cb_kinfo(CB_KINFO_CPU_STATS, 0, cpus, sizeof(cpus)));
    EXPECT_EQ(sizeof(cpus[0]), cb_kinfo(CB_KINFO_CPU_STATS, 0, cpus, sizeof(cpus[0])));
    EXPECT_TRUE(cpus[0].interrupts >= cpus[0].timer_interrupts);
    EXPECT_NE(0, cpus[0].root_loads);
}

TEST(bad_buffers_are_refused)
{
    struct cb_cpu_stats one;

    need_cowbell();
    EXPECT_ERRNO(EINVAL, cb_kinfo(CB_KINFO_CPU_STATS, 0, &one, sizeof(one) - 1));
    EXPECT_ERRNO(EFAULT, cb_kinfo(CB_KINFO_CPU_STATS, 0, (void *)8, sizeof(one)));
}

TEST(asking_costs_nothing)
{
    need_cowbell();
    EXPECT_COST(0, 0, 0, 0, least_cost(nothing, nothing));
}

TEST(first_write_flushes_nothing)
{
    need_cowbell();
    EXPECT_COST(0, 0, 0, 0, least_cost(map_page, write_page));
}

TEST(replacing_the_zero_page_flushes_one_page)
{
    need_cowbell();
    EXPECT_COST(0, 1, 0, 0, least_cost(read_zero_page, write_page));
}

TEST(taking_write_permission_flushes_one_page)
{
    need_cowbell();
    EXPECT_COST(0, 1, 0, 0, least_cost(map_and_write_page, protect_page));
}

TEST(protecting_an_untouched_page_flushes_nothing)
{
    need_cowbell();
    EXPECT_COST(0, 0, 0, 0, least_cost(map_page, protect_page));
}

TEST(giving_write_permission_flushes_nothing)
{
    need_cowbell();
    EXPECT_COST(0, 0, 0, 0, least_cost(protect_written_page, unprotect_page));
}

TEST(dropping_a_page_flushes_one_page)
{
    need_cowbell();
    EXPECT_COST(0, 1, 0, 0, least_cost(map_and_write_page, drop_page));
}

TEST(dropping_an_untouched_page_flushes_nothing)
{
    need_cowbell();
    EXPECT_COST(0, 0, 0, 0, least_cost(map_page, drop_page));
}

TEST(reusing_a_page_after_fork_flushes_nothing)
{
    need_cowbell();
    EXPECT_COST(0, 0, 0, 0, least_cost(share_page_with_dead_child, write_page));
}

static int to_child[2], from_child[2];

static void pass_byte_and_back(void)
{
    char byte = 0;

    if (write(to_child[1], &byte, 1) != 1 || read(from_child[0], &byte, 1) != 1) {
        _exit(UTEST_STATUS_FAIL);
    }
}

TEST(round_trip_to_another_process_loads_two_roots)
{
    cpu_set_t first;
    pid_t pid;

    need_cowbell();
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first);
    ASSERT_EQ(0, pipe(to_child) | pipe(from_child));
    pid = fork();
    if (pid == 0) {
        char byte;

        while (read(to_child[0], &byte, 1) == 1 && write(from_child[1], &byte, 1) == 1) {}
        _exit(0);
    }
    EXPECT_COST(2, 0, 0, 0, least_cost(nothing, pass_byte_and_back));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void ask_the_file_server(void)
{
    struct stat status;

    if (stat("/", &status) != 0) {
        _exit(UTEST_STATUS_FAIL);
    }
}

/* The server is woken where its client is about to sleep, and the client where the server is. */
TEST(message_and_reply_load_two_roots_and_interrupt_nobody)
{
    need_cowbell();
    EXPECT_COST(2, 0, 0, 0, least_cost(nothing, ask_the_file_server));
}

UTEST_MAIN
