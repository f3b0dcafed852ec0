/* The same work on one, two and four CPUs at once: time that passes from the first start to the
 * last end, divided by all operations. Rows that need more CPUs than there are say NA. */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORKERS = 4, NR_PAGES = 4096, NR_MAPS = 40, MAP_ROUNDS = 200, STAGGER_MOST = 4096 };
#define AREA (64 * MIB)

/* When each worker was at work; on shared memory where the workers are processes. */
struct period {
    uint64_t start;
    uint64_t end;
};

static void hold_on_cpu(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

/* From the first start to the last end. */
static uint64_t span_of(const struct period *periods, int nr)
{
    uint64_t start = UINT64_MAX;
    uint64_t end = 0;

    for (int i = 0; i < nr; i++) {
        start = periods[i].start < start ? periods[i].start : start;
        end = periods[i].end > end ? periods[i].end : end;
    }
    return end - start;
}

/* Work of several threads at once: @rounds times @operations for each of them. */
struct work {
    void (*run)(int worker);
    int operations;
    int rounds;
};

struct worker {
    int number;
    const struct work *work;
};

static pthread_barrier_t barrier;
static struct period periods_of[MAP_ROUNDS][MAX_WORKERS]; /* of the threads, round by round */

static void fault_in(int worker)
{
    write_pages(BASE + (size_t)worker * AREA, NR_PAGES);
}

static void map_touch_unmap(int worker)
{
    (void)worker;
    for (int i = 0; i < NR_MAPS; i++) {
        char *p = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        *p = 1;
        munmap(p, PAGE);
    }
}

/*
 * A few instructions decide in which order workers meet at a lock, and they then keep that order:
 * so each round begins with steps apart that look random, and the mean of many is measured.
 */
static void stagger(int round, int worker)
{
    uint32_t steps = (uint32_t)(round * MAX_WORKERS + worker) * 2654435761u >> 8;

    for (volatile uint32_t left = steps % (STAGGER_MOST / 4); left > 0; left--) {}
}

static void *work_thread(void *argument)
{
    struct worker *worker = argument;

    hold_on_cpu(worker->number);
    for (int round = 0; round < worker->work->rounds; round++) {
        struct period *period = &periods_of[round][worker->number];

        pthread_barrier_wait(&barrier);
        stagger(round, worker->number);
        period->start = bench_now();
        worker->work->run(worker->number);
        period->end = bench_now();
    }
    return NULL;
}

static void threads(struct row *row, int nr, const struct work *work)
{
    for (int r = 0; r < bench_repeats && nr <= get_nprocs(); r++) {
        struct worker workers[MAX_WORKERS];
        struct watch watch = watch_of(row);
        pthread_t ids[MAX_WORKERS];
        char *p = map_rw(MAX_WORKERS * AREA);

        pthread_barrier_init(&barrier, NULL, (unsigned)nr);
        watch_start(&watch);
        for (int i = 0; i < nr; i++) {
            workers[i] = (struct worker){.number = i, .work = work};
            pthread_create(&ids[i], NULL, work_thread, &workers[i]);
        }
        for (int i = 0; i < nr; i++) {
            pthread_join(ids[i], NULL);
        }
        watch_stop(&watch);
        watch.ticks = 0;
        for (int round = 0; round < work->rounds; round++) {
            watch.ticks += span_of(periods_of[round], nr);
        }
        row_add(row, &watch, (double)work->operations * work->rounds * nr);
        munmap(p, MAX_WORKERS * AREA);
    }
}

static void thread_faults(struct row *rows)
{
    static const struct work work = {fault_in, NR_PAGES, 1};

    for (int i = 0; i < 3; i++) {
        threads(&rows[i], 1 << i, &work);
    }
}

static void thread_maps(struct row *rows)
{
    /* By the clock no two rounds are alike anyway. */
    int rounds = bench_is_counted ? MAP_ROUNDS : MAP_ROUNDS / 10;
    const struct work work = {map_touch_unmap, NR_MAPS, rounds};

    for (int i = 0; i < 3; i++) {
        threads(&rows[i], 1 << i, &work);
    }
}

static void processes(struct row *row, int nr)
{
    struct period *periods = (struct period *)(bench_shared + 512);

    for (int r = 0; r < bench_repeats && nr <= get_nprocs(); r++) {
        struct watch watch = watch_of(row);
        int gate[2];

        if (pipe(gate) != 0) {
            row_fail(row);
            return;
        }
        for (int i = 0; i < nr; i++) {
            if (fork() == 0) {
                char *p = map_rw(NR_PAGES * PAGE);
                char byte;

                hold_on_cpu(i);
                close(gate[1]);
                periods[i].start = periods[i].end = 0;
                if (read(gate[0], &byte, 1) == 0) {
                    periods[i].start = bench_now();
                    write_pages(p, NR_PAGES);
                    periods[i].end = bench_now();
                }
                _exit(0);
            }
        }
        usleep(20000);
        watch_start(&watch);
        close(gate[1]);
        close(gate[0]);
        while (waitpid(-1, NULL, 0) > 0) {}
        watch_stop(&watch);
        watch.ticks = span_of(periods, nr);
        row_add(row, &watch, (double)NR_PAGES * nr);
    }
}

static void process_faults(struct row *rows)
{
    for (int i = 0; i < 3; i++) {
        processes(&rows[i], 1 << i);
    }
}

const struct bench bench_scale[] = {
    {thread_faults,
     {"scale_write_fault_1thr_wall_per_op", "scale_write_fault_2thr_wall_per_op",
      "scale_write_fault_4thr_wall_per_op"}},
    {thread_maps,
     {"scale_mmap_touch_munmap_1thr_wall_per_op", "scale_mmap_touch_munmap_2thr_wall_per_op",
      "scale_mmap_touch_munmap_4thr_wall_per_op"}},
    {process_faults,
     {"scale_write_fault_1proc_wall_per_op", "scale_write_fault_2proc_wall_per_op",
      "scale_write_fault_4proc_wall_per_op"}},
    {0},
};
