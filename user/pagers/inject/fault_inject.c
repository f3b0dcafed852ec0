/*
 * A store of records that keeps each page twice, the second time in a file, and a test that breaks
 * its pages at random: the store must go on as if nothing had happened.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "fault_inject"
#include "utest.h"
#include "inject.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { PAGE_BYTES = 4096, NR_PAGES = 32, PER_PAGE = PAGE_BYTES / sizeof(uint64_t) };
enum { NR_STEPS = 4000 };

/** struct store - records in memory and in a file. */
struct store {
    uint64_t *records;
    int fd;
    struct injector *injector;
    long nr_broken; /* pages that failed as broken memory does */
    long nr_taken;
    long nr_forbidden;
    long nr_unknown;
};

static struct store store;

/* Everything that a failing page takes is done here, and the instruction is run again. */
static void repair(int signal, siginfo_t *info, void *context)
{
    static char contents[PAGE_BYTES] __attribute__((aligned(4096)));
    size_t page = ((uintptr_t)info->si_addr - (uintptr_t)store.records) / PAGE_BYTES;

    (void)signal;
    (void)context;
    if (page >= NR_PAGES) {
        _exit(9);
    }
    if (injector_allow_writes(store.injector, page) != 0 ||
        pread(store.fd, contents, PAGE_BYTES, (off_t)page * PAGE_BYTES) != PAGE_BYTES) {
        _exit(10);
    }
    if (injector_give(store.injector, page, contents) == -EEXIST) {
        store.nr_forbidden++; /* it was there, and protected */
    } else if (info->si_code == BUS_MCEERR_AR) {
        store.nr_broken++;
    } else if (info->si_code == BUS_ADRERR) {
        store.nr_taken++;
    } else {
        store.nr_unknown++;
    }
}

static void store_open(void)
{
    struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO | SA_NODEFER};

    EXPECT_EQ(0, sigaction(SIGBUS, &action, NULL));
    store.fd = open("/tmp/fault_inject", O_RDWR | O_CREAT | O_TRUNC, 0600);
    unlink("/tmp/fault_inject");
    store.records = mmap(NULL, NR_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(store.records, 0, NR_PAGES * PAGE_BYTES);
    EXPECT_EQ(0, ftruncate(store.fd, NR_PAGES * PAGE_BYTES));
    EXPECT_EQ(0, injector_create(store.records, NR_PAGES, &store.injector));
}

/* In the file first: memory may fail at any time. */
static void store_put(size_t number, uint64_t value)
{
    EXPECT_EQ(sizeof(value),
              pwrite(store.fd, &value, sizeof(value), (off_t)(number * sizeof(value))));
    ((volatile uint64_t *)store.records)[number] = value;
}

static uint64_t store_get(size_t number)
{
    return ((volatile uint64_t *)store.records)[number];
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

static void inject(uint64_t *state)
{
    size_t page = next_random(state) % NR_PAGES;

    switch (next_random(state) % 3) {
    case 0:
        EXPECT_EQ(0, injector_break(store.injector, page));
        break;
    case 1:
        EXPECT_EQ(0, injector_take(store.injector, page));
        break;
    default:
        EXPECT_EQ(0, injector_forbid_writes(store.injector, page));
        break;
    }
}

TEST(a_store_with_two_copies_survives)
{
    static uint64_t model[NR_PAGES * PER_PAGE];
    uint64_t state = 3;

    store_open();
    for (int step = 0; step < NR_STEPS; step++) {
        size_t number = next_random(&state) % (NR_PAGES * PER_PAGE);

        if (step % 3 == 0) {
            inject(&state);
        }
        if (next_random(&state) % 2 == 0) {
            model[number] = next_random(&state);
            store_put(number, model[number]);
        } else {
            EXPECT_EQ(model[number], store_get(number));
        }
    }
    for (size_t i = 0; i < NR_PAGES * PER_PAGE; i++) {
        EXPECT_EQ(model[i], store_get(i));
    }
    printf("# repaired: %ld broken, %ld taken, %ld forbidden\n", store.nr_broken, store.nr_taken,
           store.nr_forbidden);
    EXPECT_LE(1, store.nr_broken);
    EXPECT_LE(1, store.nr_taken);
    EXPECT_LE(1, store.nr_forbidden);
    EXPECT_EQ(0, store.nr_unknown);
    injector_destroy(store.injector);
}

TEST(a_system_call_gets_an_error_instead_of_a_signal)
{
    int ends[2];

    store_open();
    store_put(0, 5);
    store_put(PER_PAGE, 6);
    EXPECT_EQ(0, pipe(ends));
    EXPECT_EQ(0, injector_break(store.injector, 0));
    EXPECT_ERRNO(EFAULT, write(ends[1], store.records, 8));
    EXPECT_EQ(0, injector_take(store.injector, 1));
    EXPECT_ERRNO(EFAULT, write(ends[1], store.records + PER_PAGE, 8));
    EXPECT_EQ(0, injector_forbid_writes(store.injector, 2));
    EXPECT_EQ(8, write(ends[1], store.records + 2 * PER_PAGE, 8));
    EXPECT_ERRNO(EFAULT, read(ends[0], store.records + 2 * PER_PAGE, 8));
    EXPECT_EQ(0, store.nr_broken + store.nr_taken + store.nr_forbidden);
    /* The program itself finds everything where it was. */
    EXPECT_EQ(5, store_get(0));
    EXPECT_EQ(6, store_get(PER_PAGE));
    store_put(2 * PER_PAGE, 7);
    EXPECT_EQ(7, store_get(2 * PER_PAGE));
}

TEST(without_a_handler_the_program_ends)
{
    for (int way = 0; way < 3; way++) {
        int status = 0;

        fflush(stdout);
        if (fork() == 0) {
            store_open();
            signal(SIGBUS, SIG_DFL);
            way == 0   ? injector_break(store.injector, 3)
            : way == 1 ? injector_take(store.injector, 3)
                       : injector_forbid_writes(store.injector, 3);
            ((volatile uint64_t *)store.records)[3 * PER_PAGE] = 1;
            _exit(0);
        }
        wait(&status);
        EXPECT_TRUE(WIFSIGNALED(status));
        EXPECT_EQ(SIGBUS, WTERMSIG(status));
    }
}

UTEST_MAIN
