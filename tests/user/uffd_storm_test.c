/*
 * Sixty-four threads fault at once, and every fault is told exactly once: each page counts the
 * messages about it, and must have as many as there were touches. A million faults in both, unless
 * the clock says that this machine is too slow for it; how many it were is printed.
 *
 * Each thread owns a slice of the memory, touches its pages in turn, drops or protects them, and
 * begins again; four pager threads read as many messages as there are and answer each.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "uffd_storm"
#include "utest.h"
#include "uffd_tools.h"

#include <time.h>

enum { NR_THREADS = 64, NR_PAGERS = 4, SLICE = 32, BATCH = 32 };
enum { NR_PAGES = NR_THREADS * SLICE, NR_ROUNDS = 500000 / NR_PAGES + 1, LEAST_ROUNDS = 2 };
enum { PATIENCE_S = 20 };

/** struct storm - what all threads of a run share. */
struct storm {
    int fd;
    char *p;
    time_t end;
    int is_protection; /* of pages that are there, instead of missing ones */
    atomic_int nr_told[NR_PAGES];
    atomic_int nr_bad;
    atomic_int is_over;
    pthread_barrier_t start;
};

struct worker {
    struct storm *storm;
    int number;
    int nr_rounds;
};

static time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static void *fault_again_and_again(void *argument)
{
    struct worker *w = argument;
    struct storm *s = w->storm;
    volatile char *p = s->p + (size_t)w->number * SLICE * PAGE;

    pthread_barrier_wait(&s->start);
    for (int round = 0; round < NR_ROUNDS; round++) {
        if (round >= LEAST_ROUNDS && now() >= s->end) {
            break;
        }
        if (s->is_protection) {
            s->nr_bad += uffd_protect(s->fd, (char *)p, SLICE) != 0;
        }
        for (int page = 0; page < SLICE; page++) {
            if (s->is_protection) {
                p[page * PAGE] = (char)round;
            } else {
                s->nr_bad += p[page * PAGE] != 0;
            }
        }
        if (!s->is_protection) {
            s->nr_bad += madvise((char *)p, SLICE * PAGE, MADV_DONTNEED) != 0;
        }
        w->nr_rounds++;
    }
    return NULL;
}

static void *answer(void *argument)
{
    struct storm *s = argument;
    struct uffd_msg messages[BATCH];

    for (;;) {
        ssize_t n = read(s->fd, messages, sizeof(messages));

        if (n <= 0 || s->is_over) {
            return NULL;
        }
        for (int i = 0; i < (int)(n / (ssize_t)sizeof(messages[0])); i++) {
            char *page = (char *)(uintptr_t)messages[i].arg.pagefault.address;

            s->nr_told[(page - s->p) / (long)PAGE]++;
            s->nr_bad += (s->is_protection ? uffd_unprotect(s->fd, page, 1)
                                           : uffd_zeropage(s->fd, page, 1, 0)) != 0;
        }
    }
}

static void run(struct storm *s)
{
    static struct worker workers[NR_THREADS];
    pthread_t threads[NR_THREADS];
    pthread_t pagers[NR_PAGERS];
    long nr_faults = 0;
    long nr_wrong = 0;

    s->end = now() + PATIENCE_S;
    s->fd = uffd_open(0, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    s->p = map_anonymous(NR_PAGES);
    madvise(s->p, NR_PAGES * PAGE, MADV_NOHUGEPAGE);
    if (s->is_protection) {
        memset(s->p, 0, NR_PAGES * PAGE);
    }
    EXPECT_EQ(0, uffd_register(s->fd, s->p, NR_PAGES, s->is_protection ? WP : MISSING));
    EXPECT_EQ(0, pthread_barrier_init(&s->start, NULL, NR_THREADS));
    for (int i = 0; i < NR_PAGERS; i++) {
        EXPECT_EQ(0, pthread_create(&pagers[i], NULL, answer, s));
    }
    for (int i = 0; i < NR_THREADS; i++) {
        workers[i] = (struct worker){.storm = s, .number = i};
        EXPECT_EQ(0, pthread_create(&threads[i], NULL, fault_again_and_again, &workers[i]));
    }
    for (int i = 0; i < NR_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < NR_PAGES; i++) {
        nr_faults += s->nr_told[i];
        nr_wrong += s->nr_told[i] != workers[i / SLICE].nr_rounds;
    }
    printf("# %ld faults\n", nr_faults);
    EXPECT_LE(LEAST_ROUNDS * NR_PAGES, nr_faults);
    EXPECT_EQ(0, nr_wrong);
    EXPECT_EQ(0, s->nr_bad);
    s->is_over = 1;
    for (int i = 0; i < NR_PAGERS; i++) {
        pthread_cancel(pagers[i]);
        pthread_join(pagers[i], NULL);
    }
}

static struct storm storm;

TEST(missing_pages)
{
    run(&storm);
}

TEST(protected_pages)
{
    storm.is_protection = 1;
    run(&storm);
}

UTEST_MAIN
