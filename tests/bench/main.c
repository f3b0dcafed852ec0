/*
 * bench: micro-benchmarks of memory, processes and messages.
 *   bench [mode=icount|wall] [g=GROUP,GROUP…] [reps=N]
 */
#define _GNU_SOURCE
#include "bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct group {
    const char *name;
    void (*run)(void);
};

static const struct group groups[] = {
    {"base", bench_base}, {"anon", bench_anon},     {"shmem", bench_shmem},
    {"cow", bench_cow},   {"fork", bench_fork},     {"mmap", bench_mmap},
    {"ipc", bench_ipc},   {"signal", bench_signal}, {"vma", bench_vma},
};

static const char *wanted = "all";

static int is_wanted(const char *name)
{
    size_t len = strlen(name);

    if (strcmp(wanted, "all") == 0) {
        return 1;
    }
    for (const char *p = wanted; p != NULL; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        if (strncmp(p, name, len) == 0 && (p[len] == '\0' || p[len] == ',')) {
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
            wanted = argv[i] + 2;
        } else if (strncmp(argv[i], "reps=", 5) == 0) {
            bench_repeats = atoi(argv[i] + 5);
        } else {
            fprintf(stderr, "bench: unknown argument %s\n", argv[i]);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    uint64_t ticks_at_start;
    uint32_t low, high;
    cpu_set_t one;
    int status;
    pid_t pid;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    ticks_at_start = ((uint64_t)high << 32) | low;
    if (getenv("BOOT_TICKS") != NULL) {
        ticks_at_start = strtoull(getenv("BOOT_TICKS"), NULL, 10); /* when init began */
    }
    if (argc > 1 && strcmp(argv[1], "selfexit") == 0) {
        _exit(0);
    }
    read_arguments(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    bench_boot(ticks_at_start);
    bench_shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset((void *)bench_shared, 0, PAGE);
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof(one), &one);
    fflush(stdout);
    /* Measure in a child: the first process of a system is special. */
    pid = fork();
    if (pid == 0) {
        for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
            if (is_wanted(groups[i].name)) {
                printf("# %s\n", groups[i].name);
                groups[i].run();
            }
        }
        fflush(stdout);
        _exit(0);
    }
    while (waitpid(pid, &status, 0) != pid) {
    }
    printf("DONE status=%x\n", status);
    return status != 0;
}
