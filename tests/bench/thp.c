/* Huge pages under anonymous memory. Without them every row is NA. */
#define _GNU_SOURCE
#include "bench.h"

#include <sys/wait.h>
#include <unistd.h>

enum { NR_HUGE = 16 };
#define HUGE_SIZE (2 * MIB)
#define LENGTH    (NR_HUGE * HUGE_SIZE)

#define ADVICE_COLLAPSE 25

static char *map_huge(size_t len)
{
    char *p = map_rw(len);

    madvise(p, len, MADV_HUGEPAGE);
    return p;
}

static void touch_each(char *p)
{
    for (size_t i = 0; i < NR_HUGE; i++) {
        ((volatile char *)p)[i * HUGE_SIZE] = 1;
    }
}

static int has_huge_pages(void)
{
    long before = meminfo_kib("AnonHugePages:");
    char *p = map_huge(LENGTH);
    long after;

    write_pages(p, LENGTH / PAGE);
    after = meminfo_kib("AnonHugePages:");
    munmap(p, LENGTH);
    return after > before;
}

static void faults(struct row *rows)
{
    if (!has_huge_pages()) {
        return;
    }
    for (int r = 0; r < bench_repeats; r++) {
        long before = meminfo_kib("AnonHugePages:");
        char *p = map_huge(LENGTH);

        TIMED(&rows[1], NR_HUGE)
        {
            touch_each(p);
        }
        row_value(&rows[0], (double)(meminfo_kib("AnonHugePages:") - before), "KiB");
        TIMED(&rows[2], NR_HUGE)
        {
            munmap(p, LENGTH);
        }
    }
}

static void splits(struct row *rows)
{
    if (!has_huge_pages()) {
        return;
    }
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_huge(LENGTH);

        write_pages(p, LENGTH / PAGE);
        TIMED(&rows[0], NR_HUGE)
        {
            for (size_t i = 0; i < NR_HUGE; i++) {
                mprotect(p + i * HUGE_SIZE, PAGE, PROT_READ);
            }
        }
        munmap(p, LENGTH);
        p = map_huge(LENGTH);
        write_pages(p, LENGTH / PAGE);
        TIMED(&rows[1], NR_HUGE)
        {
            for (size_t i = 0; i < NR_HUGE; i++) {
                madvise(p + i * HUGE_SIZE, PAGE, MADV_DONTNEED);
            }
        }
        munmap(p, LENGTH);
    }
}

static void first_write_after_fork(struct row *rows)
{
    if (!has_huge_pages()) {
        return;
    }
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_huge(LENGTH);
        pid_t pid;

        write_pages(p, LENGTH / PAGE);
        pid = fork();
        if (pid == 0) {
            TIMED(&rows[0], NR_HUGE)
            {
                touch_each(p);
            }
            _exit(0);
        }
        waitpid(pid, NULL, 0);
        munmap(p, LENGTH);
    }
}

static void collapse(struct row *rows)
{
    if (!has_huge_pages()) {
        return;
    }
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(HUGE_SIZE);
        struct watch watch = watch_of(&rows[0]);
        int error;

        write_pages(p, HUGE_SIZE / PAGE);
        madvise(p, HUGE_SIZE, MADV_HUGEPAGE);
        watch_start(&watch);
        error = madvise(p, HUGE_SIZE, ADVICE_COLLAPSE);
        watch_stop(&watch);
        if (error != 0) {
            row_fail(&rows[0]);
            return;
        }
        row_add(&rows[0], &watch, 1);
        munmap(p, HUGE_SIZE);
    }
}

const struct bench bench_thp[] = {
    {faults, {"thp_kb_obtained_of_32768", "thp_write_fault_per_2M", "thp_munmap_per_2M"}},
    {splits, {"thp_mprotect_4K_split_per_2M", "thp_dontneed_4K_split_per_2M"}},
    {first_write_after_fork, {"thp_cow_first_write_per_2M"}},
    {collapse, {"madv_collapse_2M"}},
    {0},
};
