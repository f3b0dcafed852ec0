/* The same work on one, two and four CPUs at once: time that passes from the first start to the
 * last end, divided by all operations. Rows that need more CPUs than there are say NA. */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORKERS = 4, NR_PAGES = 4096, NR_MAPS = 500 };
#define AREA (64 * MIB)

/* A period each worker has written; on shared memory where the workers are processes. */
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

static void row_add_periods(struct row *row, struct watch *watch, const struct period *periods,
                            int nr, double operations)
{
    uint64_t start = UINT64_MAX;
    uint64_t end = 0;

    for (int i = 0; i < nr; i++) {
        start = periods[i].start < start ? periods[i].start : start;
        end = periods[i].end > end ? periods[i].end : end;
    }
    watch->ticks = end - start;
    row_add(row, watch, operations * nr);
}

struct worker {
    int number;
    void (*work)(struct worker *worker);
    struct period period;
};

static pthread_barrier_t barrier;

static void fault_in(struct worker *worker)
{
    write_pages(BASE + (size_t)worker->number * AREA, NR_PAGES);
}

static void map_touch_unmap(struct worker *worker)
{
    (void)worker;
    for (int i = 0; i < NR_MAPS; i++) {
        char *p = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        *p = 1;
        munmap(p, PAGE);
    }
}

static void *work_thread(void *argument)
{
    struct worker *worker = argument;

    hold_on_cpu(worker->number);
    pthread_barrier_wait(&barrier);
    worker->period.start = bench_now();
    worker->work(worker);
    worker->period.end = bench_now();
    return NULL;
}

static void threads(struct row *row, int nr, void (*work)(struct worker *), int operations)
{
    for (int r = 0; r < bench_repeats && nr <= get_nprocs(); r++) {
        struct worker workers[MAX_WORKERS];
        struct period periods[MAX_WORKERS];
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
            periods[i] = workers[i].period;
        }
        watch_stop(&watch);
        row_add_periods(row, &watch, periods, nr, operations);
        munmap(p, MAX_WORKERS * AREA);
    }
}

static void thread_faults(struct row *rows)
{
    for (int i = 0; i < 3; i++) {
        threads(&rows[i], 1 << i, fault_in, NR_PAGES);
    }
}

static void thread_maps(struct row *rows)
{
    for (int i = 0; i < 3; i++) {
        threads(&rows[i], 1 << i, map_touch_unmap, NR_MAPS);
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
        row_add_periods(row, &watch, periods, nr, NR_PAGES);
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
