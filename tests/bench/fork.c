/* Making processes and threads, and ending them. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SMALL_PAGES, HUGE_PAGES };

/* The first round warms up and is not counted. */
static void fork_with(struct row *rows, size_t mib, int kind, int rounds)
{
    if (mib != 0) {
        char *p = map_rw(mib * MIB);

        if (kind == HUGE_PAGES) {
            madvise(p, mib * MIB, MADV_HUGEPAGE);
        }
        write_pages(p, mib * MIB / PAGE);
        if (kind == HUGE_PAGES && meminfo_kib("AnonHugePages:") <= 0) {
            return;
        }
    }
    for (int i = 0; i <= rounds; i++) {
        struct watch call = watch_of(&rows[0]);
        struct watch whole = watch_of(&rows[1]);
        pid_t pid;

        call.is_profiled |= whole.is_profiled;
        watch_start(&call);
        pid = fork();
        if (pid == 0) {
            _exit(0);
        }
        watch_stop(&call);
        if (pid < 0) {
            rows_fail(rows);
            return;
        }
        watch_start(&whole);
        waitpid(pid, NULL, 0);
        watch_stop(&whole);
        whole.ticks += call.ticks;
        counters_add(&whole.counted, &call.counted, &(struct counters){{0}});
        if (i > 0) {
            row_add(&rows[0], &call, 1);
            row_add(&rows[1], &whole, 1);
        }
    }
}

static void fork_0m(struct row *rows)
{
    fork_with(rows, 0, SMALL_PAGES, 20);
}

static void fork_4m(struct row *rows)
{
    fork_with(rows, 4, SMALL_PAGES, 20);
}

static void fork_64m(struct row *rows)
{
    fork_with(rows, 64, SMALL_PAGES, 9);
}

static void fork_512m(struct row *rows)
{
    fork_with(rows, 512, SMALL_PAGES, 5);
}

static void fork_4m_thp(struct row *rows)
{
    fork_with(rows, 4, HUGE_PAGES, 20);
}

static void fork_64m_thp(struct row *rows)
{
    fork_with(rows, 64, HUGE_PAGES, 9);
}

static void fork_512m_thp(struct row *rows)
{
    fork_with(rows, 512, HUGE_PAGES, 5);
}

static void vfork_and_exit(struct row *rows)
{
    for (int i = 0; i < 20; i++) {
        TIMED(&rows[0], 1)
        {
            pid_t pid = vfork();

            if (pid == 0) {
                _exit(0);
            }
            waitpid(pid, NULL, 0);
        }
    }
}

static void exec_with(struct row *row, int is_vfork)
{
    static char *const argv[] = {"/tests/bench", "selfexit", NULL};
    static char *const environment[] = {NULL};

    for (int i = 0; i < 10; i++) {
        int status = 0;

        TIMED(row, 1)
        {
            pid_t pid = is_vfork ? vfork() : fork();

            if (pid == 0) {
                execve(argv[0], argv, environment);
                _exit(9);
            }
            waitpid(pid, &status, 0);
        }
        if (status != 0) {
            row_fail(row);
            return;
        }
    }
}

static void fork_and_exec(struct row *rows)
{
    exec_with(&rows[0], 0);
}

static void vfork_and_exec(struct row *rows)
{
    exec_with(&rows[0], 1);
}

static void *do_nothing(void *argument)
{
    return argument;
}

static void threads(struct row *rows)
{
    for (int i = 0; i < 20; i++) {
        TIMED(&rows[0], 1)
        {
            pthread_t thread;

            pthread_create(&thread, NULL, do_nothing, NULL);
            pthread_join(thread, NULL);
        }
    }
}

const struct bench bench_fork[] = {
    {fork_0m, {"fork_call_0M", "fork_exit_wait_0M"}},
    {fork_4m, {"fork_call_4M", "fork_exit_wait_4M"}},
    {fork_64m, {"fork_call_64M", "fork_exit_wait_64M"}},
    {fork_512m, {"fork_call_512M", "fork_exit_wait_512M"}},
    {fork_4m_thp, {"fork_call_4M_thp", "fork_exit_wait_4M_thp"}},
    {fork_64m_thp, {"fork_call_64M_thp", "fork_exit_wait_64M_thp"}},
    {fork_512m_thp, {"fork_call_512M_thp", "fork_exit_wait_512M_thp"}},
    {vfork_and_exit, {"vfork_exit_wait"}},
    {fork_and_exec, {"fork_exec_exit_wait"}},
    {vfork_and_exec, {"vfork_exec_exit_wait"}},
    {threads, {"pthread_create_join"}},
    {0},
};

/* The child starts the watch on the shared page, and the parent stops it. */
static void exit_of_1g(struct row *rows)
{
    enum { NR_PAGES = 262144 };
    struct watch *watch = (struct watch *)bench_shared;

    for (int r = 0; r < 3; r++) {
        struct watch copy;
        int status = 0;
        pid_t pid;

        *watch = watch_of(&rows[0]);
        watch->is_profiled |= rows[1].is_profiled;
        pid = fork();
        if (pid == 0) {
            write_pages(map_rw(NR_PAGES * PAGE), NR_PAGES);
            watch_start(watch);
            _exit(0);
        }
        waitpid(pid, &status, 0);
        watch_stop(watch);
        if (pid < 0 || status != 0) {
            errno = ENOMEM;
            rows_fail(rows);
            return;
        }
        copy = *watch;
        row_add(&rows[0], &copy, 1);
        row_add(&rows[1], watch, NR_PAGES);
    }
}

const struct bench bench_exit[] = {
    {exit_of_1g, {"exit_1G_touched_to_wait", "exit_1G_per_page"}},
    {0},
};
