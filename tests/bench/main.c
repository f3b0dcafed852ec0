/*
 * bench: micro-benchmarks of memory, processes and messages.
 *   bench [mode=icount|wall] [g=GROUP,…] [rows=GLOB,…] [reps=N] [profile]
 *
 * Each bench runs in a child: what goes wrong there costs its rows, and not the program.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fnmatch.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { LIMIT_S = 100 };

struct group {
    const char *name;
    const struct bench *benches;
    int is_parallel; /* not held on the first CPU */
};

static const struct group groups[] = {
    {"base", bench_base, 0},     {"anon", bench_anon, 0},    {"thp", bench_thp, 0},
    {"shmem", bench_shmem, 0},   {"cow", bench_cow, 0},      {"fork", bench_fork, 0},
    {"mmap", bench_mmap, 0},     {"mmap", bench_protect, 0}, {"mmap", bench_inspect, 0},
    {"ipc", bench_ipc, 0},       {"ipc", bench_message, 0},  {"ipc", bench_yield, 0},
    {"signal", bench_signal, 0}, {"uffd", bench_uffd, 0},    {"gup", bench_gup, 0},
    {"vma", bench_vma, 0},       {"mem", bench_mem, 0},      {"exit", bench_exit, 0},
    {"scale", bench_scale, 1},
};

static const char *wanted_groups = "*";
static const char *wanted_rows = "*";
static int is_profiling;

/* Is @name matched by a pattern of the comma-separated @list? */
static int is_in(const char *list, const char *name)
{
    char patterns[512];
    char *rest = patterns;

    snprintf(patterns, sizeof(patterns), "%s", list);
    for (char *pattern = strsep(&rest, ","); pattern != NULL; pattern = strsep(&rest, ",")) {
        if (fnmatch(pattern, name, 0) == 0) {
            return 1;
        }
    }
    return 0;
}

static void read_arguments(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "mode=", 5) == 0) {
            bench_is_counted = strcmp(argv[i] + 5, "icount") == 0;
        } else if (strncmp(argv[i], "g=", 2) == 0) {
            wanted_groups = argv[i] + 2;
        } else if (strncmp(argv[i], "rows=", 5) == 0) {
            wanted_rows = argv[i] + 5;
        } else if (strncmp(argv[i], "reps=", 5) == 0) {
            bench_repeats = atoi(argv[i] + 5);
        } else if (strcmp(argv[i], "profile") == 0) {
            is_profiling = 1;
        } else {
            fprintf(stderr, "bench: unknown argument %s\n", argv[i]);
            exit(2);
        }
    }
}

static void on_alarm(int signal)
{
    (void)signal;
    kill(0, SIGKILL);
}

static void in_child(const struct group *group, const struct bench *bench, struct row *rows)
{
    cpu_set_t first;

    setpgid(0, 0);
    signal(SIGALRM, on_alarm);
    alarm(LIMIT_S);
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    if (!group->is_parallel) {
        sched_setaffinity(0, sizeof(first), &first);
    }
    bench->run(rows);
    _exit(0);
}

static void run_bench(const struct group *group, const struct bench *bench, struct row *rows)
{
    int nr_wanted = 0;
    int status = -1;
    pid_t pid;

    memset(rows, 0, sizeof(*rows) * (MAX_ROWS + 1));
    for (int i = 0; i < MAX_ROWS && bench->rows[i] != NULL; i++) {
        rows[i].name = bench->rows[i];
        rows[i].is_profiled = is_profiling && is_in(wanted_rows, bench->rows[i]);
        nr_wanted += is_in(wanted_rows, bench->rows[i]);
    }
    if (nr_wanted == 0) {
        return;
    }
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        in_child(group, bench, rows);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    for (struct row *row = rows; row->name != NULL; row++) {
        if (!is_in(wanted_rows, row->name)) {
            continue;
        }
        if (status != 0 && row->count == 0 && row->error == 0) {
            printf("B %s ERR status=%x\n", row->name, (unsigned)status);
            continue;
        }
        row_print(row);
    }
}

int main(int argc, char **argv)
{
    uint64_t ticks_at_start = bench_ticks();
    struct row *rows;

    if (getenv("BOOT_TICKS") != NULL) {
        ticks_at_start = strtoull(getenv("BOOT_TICKS"), NULL, 10); /* when init began */
    }
    if (argc > 1 && strcmp(argv[1], "selfexit") == 0) {
        _exit(0);
    }
    if (argc > 1 && strcmp(argv[1], "selfpause") == 0) {
        for (;;) {
            pause();
        }
    }
    read_arguments(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    counters_find();
    bench_boot(ticks_at_start);
    rows = mmap(NULL, sizeof(*rows) * (MAX_ROWS + 1), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bench_shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rows == MAP_FAILED || bench_shared == MAP_FAILED) {
        perror("bench: shared memory");
        return 1;
    }
    memset((void *)bench_shared, 0, PAGE);
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (is_in(wanted_groups, groups[i].name)) {
            printf("# %s\n", groups[i].name);
            for (const struct bench *bench = groups[i].benches; bench->run != NULL; bench++) {
                run_bench(&groups[i], bench, rows);
            }
        }
    }
    printf("DONE\n");
    fflush(stdout);
    /* Where this program leads the session, its end hangs the line up: what is not sent is lost. */
    tcdrain(STDOUT_FILENO);
    return 0;
}
