/*
 * A program that counts moves to another process. At the source its threads add to counters in
 * every page; while they do, every page is sent; then they stop, and go on at the destination at
 * once, where most of what they need is stale. Each counter must end where it would have ended
 * without the move.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "post_copy"
#include "utest.h"
#include "migrate.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { NR_PAGES = 200, NR_THREADS = 3, PER_PAGE = MIGRATE_PAGE / sizeof(uint64_t) };
enum { TURNS_BEFORE = 2000, TURNS_AFTER = 3000 };

/** struct counter_thread - adds one to the words of its own in a pseudo-random order of pages. */
struct counter_thread {
    pthread_t thread;
    uint64_t *memory;
    uint64_t state;
    uint32_t number;
    uint32_t nr_turns;
};

/* Every page has been sent once. */
static atomic_int is_sent;

/* Most of the work is done in a few pages, which are not the same at the destination. */
static size_t choose_page(struct counter_thread *t)
{
    size_t first = t->nr_turns == TURNS_BEFORE ? 0 : NR_PAGES / 4;

    t->state = t->state * 6364136223846793005ull + 1442695040888963407ull;
    return t->state >> 56 == 0 ? (t->state >> 33) % NR_PAGES
                               : first + (t->state >> 33) % (NR_PAGES / 2);
}

static void *count(void *argument)
{
    struct counter_thread *t = argument;

    for (uint32_t i = 0; i < t->nr_turns; i++) {
        while (i == TURNS_BEFORE / 2 && !is_sent) {
            sched_yield(); /* the second half makes pages stale */
        }
        t->memory[choose_page(t) * PER_PAGE + t->number]++;
        if (i % 32 == 0) {
            sched_yield();
        }
    }
    return NULL;
}

static void start(struct counter_thread *threads, uint64_t *memory, uint32_t nr_turns)
{
    for (uint32_t i = 0; i < NR_THREADS; i++) {
        threads[i].memory = memory;
        threads[i].number = i;
        threads[i].nr_turns = nr_turns;
        EXPECT_EQ(0, pthread_create(&threads[i].thread, NULL, count, &threads[i]));
    }
}

static void join(struct counter_thread *threads)
{
    for (uint32_t i = 0; i < NR_THREADS; i++) {
        pthread_join(threads[i].thread, NULL);
    }
}

/* What the program's threads are, besides memory: where their random numbers are. */
static void set_out(struct counter_thread *threads)
{
    for (uint32_t i = 0; i < NR_THREADS; i++) {
        threads[i].state = i + 1;
    }
}

static void pass_turns(struct counter_thread *threads, uint64_t *memory, uint32_t nr_turns)
{
    for (uint32_t i = 0; i < NR_THREADS; i++) {
        threads[i].memory = memory;
        threads[i].number = i;
        threads[i].nr_turns = nr_turns;
        count(&threads[i]);
    }
}

static int be_source(const struct link *link)
{
    uint64_t *memory = mmap(NULL, NR_PAGES * MIGRATE_PAGE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct counter_thread threads[NR_THREADS];
    int watch;
    long nr_stale;

    for (size_t i = 0; i < NR_PAGES; i++) {
        memory[i * PER_PAGE + PER_PAGE - 1] = i;
    }
    set_out(threads);
    start(threads, memory, TURNS_BEFORE);
    watch = source_begin(link, memory, NR_PAGES);
    EXPECT_LE(0, watch);
    is_sent = 1;
    join(threads);
    /* One page is surely stale. */
    memory[PER_PAGE - 2] = 77;
    /* The rest of the program's state goes first. */
    EXPECT_EQ(sizeof(threads), write(link->out, threads, sizeof(threads)));
    nr_stale = source_serve(link, watch, memory, NR_PAGES);
    EXPECT_LE(1, nr_stale);
    return utest_failures != 0;
}

static void check_memory(const uint64_t *memory)
{
    uint64_t *expected = calloc(NR_PAGES, MIGRATE_PAGE);
    struct counter_thread threads[NR_THREADS];

    for (size_t i = 0; i < NR_PAGES; i++) {
        expected[i * PER_PAGE + PER_PAGE - 1] = i;
    }
    expected[PER_PAGE - 2] = 77;
    set_out(threads);
    pass_turns(threads, expected, TURNS_BEFORE);
    pass_turns(threads, expected, TURNS_AFTER);
    EXPECT_BYTES(expected, memory, NR_PAGES * MIGRATE_PAGE);
}

static struct destination_stats move(int fetches_early)
{
    int there[2];
    int back[2];
    struct counter_thread threads[NR_THREADS];
    struct destination_stats stats = {0};
    struct destination *destination = NULL;
    uint64_t *memory;
    int status = -1;

    EXPECT_EQ(0, pipe(there) | pipe(back));
    fflush(stdout);
    if (fork() == 0) {
        close(there[0]);
        close(back[1]);
        _exit(be_source(&(struct link){.in = back[0], .out = there[1]}));
    }
    close(there[1]);
    close(back[0]);
    is_sent = 1;
    EXPECT_EQ(0, destination_begin(&(struct link){.in = there[0], .out = back[1]}, NR_PAGES,
                                   &destination));
    for (size_t n = 0; n < sizeof(threads);) {
        ssize_t got = read(there[0], (char *)threads + n, sizeof(threads) - n);

        if (got <= 0) {
            return stats;
        }
        n += (size_t)got;
    }
    memory = destination_run(destination);
    EXPECT_TRUE(memory != NULL);
    if (fetches_early) {
        EXPECT_EQ(0, destination_fetch_rest(destination));
    }
    start(threads, memory, TURNS_AFTER);
    join(threads);
    if (!fetches_early) {
        EXPECT_EQ(0, destination_fetch_rest(destination));
    }
    stats = destination_finish(destination);
    printf("# %zu pages sent before, %zu stale: %zu fetched on demand, %zu in the background\n",
           stats.nr_before, stats.nr_stale, stats.nr_on_demand, stats.nr_in_background);
    EXPECT_EQ(NR_PAGES, stats.nr_before);
    /* Each stale page is fetched once. */
    EXPECT_EQ(stats.nr_stale, stats.nr_on_demand + stats.nr_in_background);
    check_memory(memory);
    wait(&status);
    EXPECT_EQ(0, status);
    return stats;
}

TEST(a_running_program_moves)
{
    struct destination_stats stats = move(1);

    EXPECT_LE(NR_PAGES / 2, stats.nr_stale);
}

TEST(what_it_touches_comes_on_demand)
{
    struct destination_stats stats = move(0);

    /* Half of the pages that were busy before are busy afterwards. */
    EXPECT_LE(NR_PAGES / 4, stats.nr_on_demand);
    EXPECT_LE(NR_PAGES / 5, stats.nr_in_background);
}

UTEST_MAIN
