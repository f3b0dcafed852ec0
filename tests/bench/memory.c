/* What one more idle process or thread costs in memory: the slope between 200 and 1000 of them. */
#define _GNU_SOURCE
#include "bench.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NR_FIRST = 200, NR_ALL = 1000 };
enum { NR_VALUES = 6 };

struct usage {
    double kib[NR_VALUES];
};

static struct usage usage_now(void)
{
    static const char *const keys[] = {
        "KernelStack:", "PageTables:", "Slab:", "AnonPages:", "Percpu:"};
    struct usage usage;
    struct sysinfo info;

    sysinfo(&info);
    usage.kib[0] = -(double)info.freeram * info.mem_unit / 1024;
    for (int i = 1; i < NR_VALUES; i++) {
        usage.kib[i] = (double)meminfo_kib(keys[i - 1]);
    }
    return usage;
}

static void report(struct row *rows, const struct usage usages[3])
{
    row_value(&rows[0], (usages[1].kib[0] - usages[0].kib[0]) / NR_FIRST, "KiB");
    for (int i = 0; i < NR_VALUES; i++) {
        if (usages[2].kib[i] == -1) {
            continue; /* this system does not tell it */
        }
        row_value(&rows[i + 1], (usages[2].kib[i] - usages[1].kib[i]) / (NR_ALL - NR_FIRST), "KiB");
    }
}

static void settle(void)
{
    usleep(500000);
}

static void processes(struct row *rows, int is_exec)
{
    static char *const argv[] = {"/tests/bench", "selfpause", NULL};
    static char *const environment[] = {NULL};
    static pid_t pids[NR_ALL];
    struct usage usages[3];
    int count = 0;

    settle();
    usages[0] = usage_now();
    for (; count < NR_ALL; count++) {
        if (count == NR_FIRST) {
            settle();
            usages[1] = usage_now();
        }
        pids[count] = is_exec ? vfork() : fork();
        if (pids[count] == 0) {
            if (is_exec) {
                execve(argv[0], argv, environment);
                _exit(9);
            }
            for (;;) {
                pause();
            }
        }
        if (pids[count] < 0) {
            rows_fail(rows);
            break;
        }
    }
    settle();
    usages[2] = usage_now();
    if (count == NR_ALL) {
        report(rows, usages);
    }
    for (int i = 0; i < count; i++) {
        kill(pids[i], SIGKILL);
    }
    for (int i = 0; i < count; i++) {
        waitpid(pids[i], NULL, 0);
    }
}

static void forked(struct row *rows)
{
    processes(rows, 0);
}

static void execed(struct row *rows)
{
    processes(rows, 1);
}

static volatile int may_end;

static void *sleep_until_end(void *argument)
{
    while (!may_end) {
        syscall(SYS_futex, &may_end, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    return argument;
}

static void threads(struct row *rows)
{
    static pthread_t all[NR_ALL];
    struct usage usages[3];
    int count = 0;

    settle();
    usages[0] = usage_now();
    for (; count < NR_ALL; count++) {
        if (count == NR_FIRST) {
            settle();
            usages[1] = usage_now();
        }
        if (pthread_create(&all[count], NULL, sleep_until_end, NULL) != 0) {
            rows_fail(rows);
            break;
        }
    }
    settle();
    usages[2] = usage_now();
    if (count == NR_ALL) {
        report(rows, usages);
    }
    may_end = 1;
    syscall(SYS_futex, &may_end, FUTEX_WAKE_PRIVATE, NR_ALL, NULL, NULL, 0);
    for (int i = 0; i < count; i++) {
        pthread_join(all[i], NULL);
    }
}

#define ROWS_OF(run_, name_)                                                                       \
    {                                                                                              \
        run_,                                                                                      \
        {                                                                                          \
            "mem_per_" name_ "_memfree_first200", "mem_per_" name_ "_memfree_slope200to1000",      \
                "mem_per_" name_ "_kstack_slope200to1000",                                         \
                "mem_per_" name_ "_pagetables_slope200to1000",                                     \
                "mem_per_" name_ "_slab_slope200to1000", "mem_per_" name_ "_anon_slope200to1000",  \
                "mem_per_" name_ "_percpu_slope200to1000"                                          \
        }                                                                                          \
    }

const struct bench bench_mem[] = {
    ROWS_OF(forked, "idle_forked_child"),
    ROWS_OF(execed, "idle_execed_child"),
    ROWS_OF(threads, "idle_thread"),
    {0},
};
