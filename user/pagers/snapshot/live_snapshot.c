/*
 * Both kinds of snapshot of a bank whose clerks do not stop working, compared with a copy that was
 * made while they stood; and money is neither lost nor made in any image.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "live_snapshot"
#include "utest.h"
#include "snapshot.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { PAGE_BYTES = 4096, NR_PAGES = 256, NR_CLERKS = 3, NR_TURNS = 3000 };
enum { NR_ACCOUNTS = NR_PAGES * PAGE_BYTES / sizeof(uint64_t), START_MONEY = 1000 };

/** struct bank - accounts, and the clerks: clerk i keeps those whose number is i modulo NR_CLERKS.
 */
struct bank {
    uint64_t *accounts;
    pthread_rwlock_t open; /* a clerk holds it for reading during each transfer */
    atomic_int is_closing;
    atomic_long nr_transfers;
};

struct clerk {
    struct bank *bank;
    pthread_t thread;
    uint32_t number;
};

/* Of the three quarters of the bank that are in use, a few pages see nearly all of the business. */
static uint64_t *choose_account(const struct clerk *clerk, uint64_t *state)
{
    size_t nr;

    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    nr = (*state >> 20) % 4096 != 0 ? (size_t)NR_ACCOUNTS / 64 : (size_t)NR_ACCOUNTS / 4 * 3;
    return &clerk->bank->accounts[(*state >> 33) % (nr / NR_CLERKS) * NR_CLERKS + clerk->number];
}

static void *work(void *argument)
{
    struct clerk *clerk = argument;
    struct bank *bank = clerk->bank;
    uint64_t state = clerk->number + 1;

    while (!bank->is_closing) {
        uint64_t *from = choose_account(clerk, &state);
        uint64_t *to = choose_account(clerk, &state);

        pthread_rwlock_rdlock(&bank->open);
        if (*from > 0) {
            --*from;
            ++*to;
        }
        pthread_rwlock_unlock(&bank->open);
        bank->nr_transfers++;
        if (bank->nr_transfers % 64 == 0) {
            sched_yield();
        }
    }
    return NULL;
}

static void stop_work(void *argument)
{
    pthread_rwlock_wrlock(&((struct bank *)argument)->open);
}

static void go_on(void *argument)
{
    pthread_rwlock_unlock(&((struct bank *)argument)->open);
}

static void *map(void)
{
    return mmap(NULL, NR_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0);
}

/* The last quarter of the memory is not there yet, and stays so. */
static void open_bank(struct bank *bank, struct clerk *clerks)
{
    bank->accounts = map();
    for (size_t i = 0; i < NR_ACCOUNTS / 4 * 3; i++) {
        bank->accounts[i] = START_MONEY;
    }
    pthread_rwlock_init(&bank->open, NULL);
    for (uint32_t i = 0; i < NR_CLERKS; i++) {
        clerks[i] = (struct clerk){.bank = bank, .number = i};
        EXPECT_EQ(0, pthread_create(&clerks[i].thread, NULL, work, &clerks[i]));
    }
}

static void close_bank(struct bank *bank, struct clerk *clerks)
{
    bank->is_closing = 1;
    for (int i = 0; i < NR_CLERKS; i++) {
        pthread_join(clerks[i].thread, NULL);
    }
    munmap(bank->accounts, NR_PAGES * PAGE_BYTES);
}

/* The clerks have done something since. */
static void wait_for_work(struct bank *bank)
{
    long before = bank->nr_transfers;

    while (bank->nr_transfers < before + NR_TURNS) {
        sched_yield();
    }
}

static void check_image(const uint64_t *image, const uint64_t *stopped_copy)
{
    uint64_t money = 0;

    EXPECT_BYTES(stopped_copy, image, NR_PAGES * PAGE_BYTES);
    for (size_t i = 0; i < NR_ACCOUNTS; i++) {
        money += image[i];
    }
    EXPECT_EQ(NR_ACCOUNTS / 4 * 3 * (uint64_t)START_MONEY, money);
}

TEST(the_image_is_the_memory_at_the_start)
{
    struct bank bank = {0};
    struct clerk clerks[NR_CLERKS];
    uint64_t *image = map();
    uint64_t *stopped_copy = map();

    open_bank(&bank, clerks);
    for (int round = 0; round < 3; round++) {
        struct snapshot_stats stats;
        struct snapshot *snapshot = NULL;

        wait_for_work(&bank);
        stop_work(&bank);
        memcpy(stopped_copy, bank.accounts, NR_PAGES * PAGE_BYTES);
        EXPECT_EQ(0, snapshot_at_start(bank.accounts, NR_PAGES, image, &snapshot));
        go_on(&bank);
        wait_for_work(&bank);
        stats = snapshot_finish(snapshot);
        printf("# %zu pages saved by faults, %zu in the background\n", stats.nr_by_fault,
               stats.nr_in_background);
        EXPECT_EQ(NR_PAGES, stats.nr_by_fault + stats.nr_in_background);
        check_image(image, stopped_copy);
    }
    close_bank(&bank, clerks);
}

/** struct stopper - keeps a copy of the memory as it was when the bank stood. */
struct stopper {
    struct bank *bank;
    uint64_t *copy;
};

static void stop_and_copy(void *argument)
{
    struct stopper *stopper = argument;

    stop_work(stopper->bank);
    memcpy(stopper->copy, stopper->bank->accounts, NR_PAGES * PAGE_BYTES);
}

static void let_go_on(void *argument)
{
    go_on(((struct stopper *)argument)->bank);
}

TEST(the_image_is_the_memory_at_the_end)
{
    struct bank bank = {0};
    struct clerk clerks[NR_CLERKS];
    struct stopper stopper = {.bank = &bank, .copy = map()};
    struct snapshot_stop stop = {stop_and_copy, let_go_on, &stopper};
    uint64_t *image = map();

    open_bank(&bank, clerks);
    for (int round = 0; round < 3; round++) {
        struct snapshot_stats stats;

        wait_for_work(&bank);
        EXPECT_EQ(0, snapshot_at_end(bank.accounts, NR_PAGES, image, &stop, &stats));
        printf("# %zu pages copied in %zu rounds, %zu while the bank stood\n",
               stats.nr_in_background, stats.nr_rounds, stats.nr_while_stopped);
        EXPECT_LE(NR_PAGES, stats.nr_in_background);
        EXPECT_LE(stats.nr_while_stopped, NR_PAGES);
        check_image(image, stopper.copy);
    }
    close_bank(&bank, clerks);
}

UTEST_MAIN
