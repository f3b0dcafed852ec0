/* Write faults after fork: copying, and reusing what nobody else has any more. */
#define _GNU_SOURCE
#include "bench.h"

#include <sys/wait.h>
#include <unistd.h>

enum { NR_PAGES = 4096 };

static void child_writes(struct row *row, char *p)
{
    pid_t pid = fork();

    if (pid == 0) {
        TIMED(row, NR_PAGES)
        {
            write_pages(p, NR_PAGES);
        }
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

/* The child lives on and never touches the pages. */
static void parent_writes(struct row *row, char *p)
{
    int fds[2];
    pid_t pid;

    if (pipe(fds) != 0) {
        row_fail(row);
        return;
    }
    pid = fork();
    if (pid == 0) {
        char byte;

        close(fds[1]);
        _exit(read(fds[0], &byte, 1) < 0);
    }
    TIMED(row, NR_PAGES)
    {
        write_pages(p, NR_PAGES);
    }
    close(fds[0]);
    close(fds[1]);
    waitpid(pid, NULL, 0);
}

static void write_faults(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(NR_PAGES * PAGE);

        write_pages(p, NR_PAGES);
        child_writes(&rows[0], p);
        TIMED(&rows[1], NR_PAGES)
        {
            write_pages(p, NR_PAGES);
        }
        child_exit();
        TIMED(&rows[2], NR_PAGES)
        {
            write_pages(p, NR_PAGES);
        }
        parent_writes(&rows[3], p);
        munmap(p, NR_PAGES * PAGE);
    }
}

const struct bench bench_cow[] = {
    {write_faults,
     {"cow_copy_fault_child", "cow_reuse_fault_after_child_copied",
      "cow_reuse_fault_after_child_exit", "cow_copy_fault_parent"}},
    {0},
};
