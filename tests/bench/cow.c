/* Copy-on-write after fork, and what fork itself costs. */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NR_PAGES = 4096 };

static struct samples s0, s1, s2, s3;

static double since(uint64_t start)
{
    return (double)(bench_now() - start);
}

/* Write every page in a child, which leaves the time on the shared page. */
static double child_writes(char *p)
{
    pid_t pid = fork();

    if (pid == 0) {
        uint64_t start = bench_now();

        write_pages(p, NR_PAGES);
        *(volatile uint64_t *)bench_shared = bench_now() - start;
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    return (double)*(volatile uint64_t *)bench_shared;
}

/* Write every page while a child that never touches them lives. */
static double parent_writes(char *p)
{
    int pipe_fds[2];
    uint64_t start;
    double ticks;
    pid_t pid;

    if (pipe(pipe_fds) != 0) {
        return 0;
    }
    pid = fork();
    if (pid == 0) {
        char byte;

        close(pipe_fds[1]);
        _exit(read(pipe_fds[0], &byte, 1) < 0);
    }
    start = bench_now();
    write_pages(p, NR_PAGES);
    ticks = since(start);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    waitpid(pid, NULL, 0);
    return ticks;
}

void bench_cow(void)
{
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(NR_PAGES * PAGE);
        uint64_t start;
        pid_t pid;

        write_pages(p, NR_PAGES);
        samples_add(&s0, child_writes(p) / NR_PAGES);
        start = bench_now();
        write_pages(p, NR_PAGES);
        samples_add(&s1, since(start) / NR_PAGES);
        pid = fork();
        if (pid == 0) {
            _exit(0);
        }
        waitpid(pid, NULL, 0);
        start = bench_now();
        write_pages(p, NR_PAGES);
        samples_add(&s2, since(start) / NR_PAGES);
        samples_add(&s3, parent_writes(p) / NR_PAGES);
        munmap(p, NR_PAGES * PAGE);
    }
    samples_print("cow_copy_fault_child", &s0);
    samples_print("cow_reuse_fault_after_child_copied", &s1);
    samples_print("cow_reuse_fault_after_child_exit", &s2);
    samples_print("cow_copy_fault_parent", &s3);
}

/* Fork, exit and wait with some memory touched; the first round warms up and is not counted. */
static void fork_with(const char *size, size_t mib, int rounds)
{
    char name[96];
    char *p = NULL;

    if (mib != 0) {
        p = map_rw(mib * MIB);
        write_pages(p, mib * MIB / PAGE);
    }
    for (int i = 0; i <= rounds; i++) {
        uint64_t start = bench_now();
        pid_t pid = fork();
        double forked;

        if (pid == 0) {
            _exit(0);
        }
        forked = since(start);
        if (pid < 0) {
            row_error(size);
            break;
        }
        waitpid(pid, NULL, 0);
        if (i > 0) {
            samples_add(&s0, forked);
            samples_add(&s1, since(start));
        }
    }
    snprintf(name, sizeof(name), "fork_call_%s", size);
    samples_print(name, &s0);
    snprintf(name, sizeof(name), "fork_exit_wait_%s", size);
    samples_print(name, &s1);
    if (p != NULL) {
        munmap(p, mib * MIB);
    }
}

static void *do_nothing(void *argument)
{
    return argument;
}

static void fork_and_exec(void)
{
    char *const argv[] = {"/tests/bench", "selfexit", NULL};
    char *const environment[] = {NULL};

    for (int i = 0; i < 10; i++) {
        uint64_t start = bench_now();
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
            execve(argv[0], argv, environment);
            _exit(9);
        }
        waitpid(pid, &status, 0);
        if (status != 0) {
            row_error("fork_exec_exit_wait");
            return;
        }
        samples_add(&s0, since(start));
    }
    samples_print("fork_exec_exit_wait", &s0);
}

void bench_fork(void)
{
    fork_with("0M", 0, 20);
    fork_with("4M", 4, 20);
    fork_with("64M", 64, 9);
    fork_with("512M", 512, 5);
    for (int i = 0; i < 20; i++) {
        uint64_t start = bench_now();
        pid_t pid = vfork();

        if (pid == 0) {
            _exit(0);
        }
        waitpid(pid, NULL, 0);
        samples_add(&s0, since(start));
    }
    samples_print("vfork_exit_wait", &s0);
    fork_and_exec();
    for (int i = 0; i < 20; i++) {
        uint64_t start = bench_now();
        pthread_t thread;

        pthread_create(&thread, NULL, do_nothing, NULL);
        pthread_join(thread, NULL);
        samples_add(&s0, since(start));
    }
    samples_print("pthread_create_join", &s0);
}
