/* The switch between two that only yield, under the usual policy and under FIFO, where every yield
 * switches. */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NR_YIELDS = 4000, NR_FIFO_YIELDS = 2000 };

static long switches(void)
{
    struct rusage own, children;

    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    return own.ru_nvcsw + own.ru_nivcsw + children.ru_nvcsw + children.ru_nivcsw;
}

static void yield_often(int count)
{
    for (int i = 0; i < count; i++) {
        bench_call(SYS_sched_yield);
    }
}

static void usual_policy(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        struct watch watch = watch_of(&rows[1]);
        long before = switches();
        pid_t pid = fork();
        long count;

        if (pid == 0) {
            yield_often(NR_YIELDS);
            _exit(0);
        }
        watch_start(&watch);
        yield_often(NR_YIELDS);
        watch_stop(&watch);
        waitpid(pid, NULL, 0);
        count = switches() - before;
        row_value(&rows[0], (double)count, "count");
        row_add(&rows[1], &watch, count > 0 ? (double)count : 1);
        TIMED(&rows[2], NR_YIELDS)
        {
            yield_often(NR_YIELDS);
        }
    }
}

static void *yield_thread(void *argument)
{
    (void)argument;
    yield_often(NR_FIFO_YIELDS);
    return NULL;
}

static void fifo_processes(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        struct watch watch = watch_of(&rows[1]);
        long before = switches();
        pid_t pid = fork();

        if (pid == 0) {
            yield_often(NR_FIFO_YIELDS);
            _exit(0);
        }
        watch_start(&watch);
        yield_often(NR_FIFO_YIELDS);
        watch_stop(&watch);
        waitpid(pid, NULL, 0);
        row_value(&rows[0], (double)(switches() - before), "count");
        row_add(&rows[1], &watch, 2 * NR_FIFO_YIELDS);
    }
}

static void fifo_threads(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        struct watch watch = watch_of(&rows[3]);
        long before = switches();
        pthread_t thread;

        pthread_create(&thread, NULL, yield_thread, NULL);
        sched_yield();
        watch_start(&watch);
        yield_often(NR_FIFO_YIELDS);
        watch_stop(&watch);
        pthread_join(thread, NULL);
        row_value(&rows[2], (double)(switches() - before), "count");
        row_add(&rows[3], &watch, 2 * NR_FIFO_YIELDS);
    }
}

static void fifo_policy(struct row *rows)
{
    struct sched_param param = {.sched_priority = 1};

    /* musl's sched_setscheduler() only says ENOSYS. */
    if (syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param) != 0) {
        rows_fail(rows);
        return;
    }
    fifo_processes(rows);
    fifo_threads(rows);
}

const struct bench bench_yield[] = {
    {usual_policy,
     {"yield_2proc_switches_of_8000", "cfs_yield_per_switch_2proc", "sched_yield_alone"}},
    {fifo_policy,
     {"fifo_2proc_switches_of_4000", "ctxswitch_fifo_yield_2proc", "fifo_2thr_switches_of_4000",
      "ctxswitch_fifo_yield_2thr"}},
    {0},
};
