/*
 * Much of everything: 32 GiB mapped, 4,000 processes, 60,000 VMAs, 100,000 registrations with
 * userfaultfd. Each test works with what it made, has the kernel verify the whole memory while it
 * stands, and says what it took:
 *     # scale <what> total <MiB> <name> <number> …
 * Run by `make scale`, in a machine that is large enough.
 */
#define _GNU_SOURCE
#define UTEST_SUITE   "scale"
#define UTEST_LIMIT_S 600
#include "utest.h"
#include "cowbell.h"
#include "uffd.h"

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define MIB 1048576ul
#define GIB (1024 * MIB)

enum {
    NR_PROCESSES = 4000,
    NR_VMAS = 60000,
    NR_REGISTRATIONS = 100000,
    NR_FAULTING = 16, /* threads that fault at the same time */
    KIB = 1024,
};

/* What the test's own rows mean is told by their names. */
struct row {
    const char *name;
    uint64_t value;
};

static struct cb_mem_info before;
static uint64_t started;

static uint64_t ticks(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return ((uint64_t)high << 32) | low;
}

static struct cb_mem_info memory(void)
{
    struct cb_mem_info info = {0};

    EXPECT_EQ(sizeof(info), cb_kinfo(CB_KINFO_MEM, 0, &info, sizeof(info)));
    return info;
}

static void begin(void)
{
    need_cowbell();
    before = memory();
    started = ticks();
}

static uint64_t grown(uint64_t now, uint64_t then)
{
    return now > then ? (now - then) / KIB : 0;
}

/* While everything stands: what it took, and whether all of it is as it must be. */
static void tell(const char *what, const struct row *rows, int nr_rows)
{
    uint64_t passed = ticks() - started;
    struct cb_mem_info now = memory();

    printf("# scale %s machine_MiB %llu used_KiB %llu anon_KiB %llu tables_KiB %llu slab_KiB %llu "
           "stacks_KiB %llu ticks %llu",
           what, (unsigned long long)(now.total / MIB),
           (unsigned long long)grown(before.free, now.free),
           (unsigned long long)grown(now.anon, before.anon),
           (unsigned long long)grown(now.page_tables, before.page_tables),
           (unsigned long long)grown(now.slab, before.slab),
           (unsigned long long)grown(now.kernel_stacks, before.kernel_stacks),
           (unsigned long long)passed);
    for (int i = 0; i < nr_rows; i++) {
        printf(" %s %llu", rows[i].name, (unsigned long long)rows[i].value);
    }
    printf("\n");
    fflush(stdout);
    EXPECT_EQ(0, cb_kinfo(CB_KINFO_VERIFY, 0, NULL, 0));
}

static long nr_cpus(void)
{
    struct cb_cpu_stats cpus[CB_CPUS_MAX];

    return cb_kinfo(CB_KINFO_CPU_STATS, 0, cpus, sizeof(cpus)) / (long)sizeof(cpus[0]);
}

static _Atomic long nr_in_place;

static void *stand_on(void *cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((long)(intptr_t)cpu, &set);
    nr_in_place +=
        sched_setaffinity(0, sizeof(set), &set) == 0 && sched_getcpu() == (int)(intptr_t)cpu;
    return NULL;
}

TEST(every_processor_runs_threads)
{
    long count = nr_cpus();
    struct row rows[] = {{"cpus", (uint64_t)count}};
    pthread_t threads[CB_CPUS_MAX];

    begin();
    for (long cpu = 0; cpu < count; cpu++) {
        ASSERT_EQ(0, pthread_create(&threads[cpu], NULL, stand_on, (void *)cpu));
    }
    for (long cpu = 0; cpu < count; cpu++) {
        pthread_join(threads[cpu], NULL);
    }
    EXPECT_EQ(count, nr_in_place);
    tell("processors", rows, 1);
}

/* One page in each 2 MiB: as many page tables as pages. A child shares it, and changes a part. */
TEST(half_of_the_memory_is_mapped_and_touched_here_and_there)
{
    struct cb_mem_info info;
    uint64_t size, nr_touched;
    pid_t pid;
    int status = -1;

    begin();
    info = memory();
    size = (info.total / 2 + GIB - 1) / GIB * GIB;
    nr_touched = size / (2 * MIB);
    ASSERT_TRUE(size >= GIB);
    char *base = mmap(NULL, size, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT_TRUE(base != MAP_FAILED);
    for (uint64_t i = 0; i < nr_touched; i++) {
        *(uint64_t *)(base + i * 2 * MIB) = i + 1;
    }
    struct row rows[] = {{"mapped_GiB", size / GIB}, {"touched_pages", nr_touched}};
    tell("memory", rows, 2);
    pid = fork();
    if (pid == 0) {
        uint64_t nr_wrong = 0;

        for (uint64_t i = 0; i < nr_touched; i++) {
            nr_wrong += *(uint64_t *)(base + i * 2 * MIB) != i + 1;
            if (i % 16 == 0) {
                *(uint64_t *)(base + i * 2 * MIB) = 0;
            }
        }
        _exit(nr_wrong != 0);
    }
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, status);
    for (uint64_t i = 0; i < nr_touched; i++) {
        ASSERT_EQ(i + 1, *(uint64_t *)(base + i * 2 * MIB));
    }
    EXPECT_EQ(0, munmap(base, size));
}

/* Each child has said that it runs, and waits to be told to end. */
TEST(thousands_of_processes)
{
    struct row rows[] = {{"processes", NR_PROCESSES}};
    struct rlimit limit = {2 * NR_PROCESSES, 2 * NR_PROCESSES};
    int up[2], down[2];
    long nr_ended = 0;
    char byte = 0;

    begin();
    (void)setrlimit(RLIMIT_NPROC, &limit);
    ASSERT_EQ(0, pipe(up));
    ASSERT_EQ(0, pipe(down));
    for (int i = 0; i < NR_PROCESSES; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            close(down[1]);
            (void)write(up[1], &byte, 1);
            _exit(read(down[0], &byte, 1) == 0 ? 7 : 1);
        }
        ASSERT_TRUE(pid > 0);
        ASSERT_EQ(1, read(up[0], &byte, 1));
    }
    tell("processes", rows, 1);
    close(down[1]);
    for (int i = 0; i < NR_PROCESSES; i++) {
        int status = 0;

        if (wait(&status) > 0) {
            nr_ended += WIFEXITED(status) && WEXITSTATUS(status) == 7;
        }
    }
    EXPECT_EQ(NR_PROCESSES, nr_ended);
}

/* Neighbours differ in what they permit, so each page is a VMA. All are in use, and are forked. */
TEST(tens_of_thousands_of_vmas_in_one_address_space)
{
    struct row rows[] = {{"vmas", NR_VMAS}};
    char *base;
    pid_t pid;
    int status = -1;

    begin();
    base = mmap(NULL, NR_VMAS * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_TRUE(base != MAP_FAILED);
    memset(base, 1, NR_VMAS * PAGE);
    for (long i = 0; i < NR_VMAS; i += 2) {
        ASSERT_EQ(0, mprotect(base + i * PAGE, PAGE, PROT_READ));
    }
    tell("vmas", rows, 1);
    pid = fork();
    if (pid == 0) {
        for (long i = 1; i < NR_VMAS; i += 2) {
            base[i * PAGE]++;
        }
        _exit(cb_kinfo(CB_KINFO_VERIFY, 0, NULL, 0) != 0);
    }
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, status);
    for (long i = 0; i < NR_VMAS; i += 2) {
        ASSERT_EQ(0, mprotect(base + i * PAGE, PAGE, RW));
    }
    for (long i = 0; i < NR_VMAS; i++) {
        ASSERT_EQ(1, base[i * PAGE]);
    }
    EXPECT_EQ(0, munmap(base, NR_VMAS * PAGE));
}

static struct {
    int fd;
    char *base;
    _Atomic long nr_missing;
    _Atomic long nr_protected;
    _Atomic int is_over;
} pager;

/* Answers a missing page with its number, and a write to a protected page by leave to go on. */
static void answer(const struct uffd_msg *message)
{
    uint64_t address = message->arg.pagefault.address & ~(PAGE - 1);

    if (message->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
        struct uffdio_writeprotect leave = {.range = {address, PAGE}};

        pager.nr_protected += ioctl(pager.fd, UFFDIO_WRITEPROTECT, &leave) == 0;
        return;
    }
    static _Thread_local uint64_t page[PAGE / sizeof(uint64_t)];
    struct uffdio_copy copy = {.dst = address, .src = (uintptr_t)page, .len = PAGE};

    page[0] = (address - (uintptr_t)pager.base) / PAGE;
    pager.nr_missing += ioctl(pager.fd, UFFDIO_COPY, &copy) == 0;
}

static void *serve(void *unused)
{
    (void)unused;
    while (!pager.is_over) {
        struct pollfd wait = {.fd = pager.fd, .events = POLLIN};
        struct uffd_msg messages[NR_FAULTING];
        long size;

        if (poll(&wait, 1, 10) <= 0) {
            continue;
        }
        size = read(pager.fd, messages, sizeof(messages));
        for (long i = 0; i < size / (long)sizeof(messages[0]); i++) {
            answer(&messages[i]);
        }
    }
    return NULL;
}

/* Looks at each page of its part, or adds one to it. Return: how many held something else. */
static void *look_at_part(void *part)
{
    long nr_wrong = 0;

    for (long i = (intptr_t)part; i < NR_REGISTRATIONS; i += NR_FAULTING) {
        nr_wrong += *(volatile uint64_t *)(pager.base + i * PAGE) != (uint64_t)i;
    }
    return (void *)nr_wrong;
}

static void *add_to_part(void *part)
{
    for (long i = (intptr_t)part; i < NR_REGISTRATIONS; i += NR_FAULTING) {
        ++*(volatile uint64_t *)(pager.base + i * PAGE);
    }
    return NULL;
}

static long in_parts(void *(*work)(void *))
{
    pthread_t threads[NR_FAULTING];
    long sum = 0;

    for (long i = 0; i < NR_FAULTING; i++) {
        EXPECT_EQ(0, pthread_create(&threads[i], NULL, work, (void *)i));
    }
    for (long i = 0; i < NR_FAULTING; i++) {
        void *result;

        pthread_join(threads[i], &result);
        sum += (intptr_t)result;
    }
    return sum;
}

TEST(a_hundred_thousand_registrations_with_userfaultfd)
{
    struct row rows[] = {{"registrations", NR_REGISTRATIONS}, {"missing", 0}, {"protected", 0}};
    struct uffdio_writeprotect protect = {.mode = UFFDIO_WRITEPROTECT_MODE_WP};
    pthread_t server;

    begin();
    pager.fd = uffd_open(O_CLOEXEC | O_NONBLOCK, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    ASSERT_TRUE(pager.fd >= 0);
    pager.base = mmap(NULL, NR_REGISTRATIONS * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_TRUE(pager.base != MAP_FAILED);
    for (long i = 0; i < NR_REGISTRATIONS; i++) {
        ASSERT_EQ(0, uffd_register(pager.fd, pager.base + i * PAGE, 1, MISSING | WP));
    }
    ASSERT_EQ(0, pthread_create(&server, NULL, serve, NULL));
    EXPECT_EQ(0, in_parts(look_at_part));
    EXPECT_EQ(NR_REGISTRATIONS, pager.nr_missing);
    protect.range = (struct uffdio_range){(uintptr_t)pager.base, NR_REGISTRATIONS * PAGE};
    EXPECT_EQ(0, uffd_command(pager.fd, UFFDIO_WRITEPROTECT, &protect));
    EXPECT_EQ(0, in_parts(add_to_part));
    EXPECT_EQ(NR_REGISTRATIONS, pager.nr_protected);
    pager.is_over = 1;
    pthread_join(server, NULL);
    rows[1].value = (uint64_t)pager.nr_missing;
    rows[2].value = (uint64_t)pager.nr_protected;
    tell("userfaultfd", rows, 3);
    for (long i = 0; i < NR_REGISTRATIONS; i++) {
        ASSERT_EQ(i + 1, *(uint64_t *)(pager.base + i * PAGE));
    }
    close(pager.fd);
}

UTEST_MAIN
