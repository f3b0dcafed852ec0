/*
 * The benchmark's tools: samples, rows, memory. Read next: main.c, then a group.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uapi/cowbell.h>

int bench_is_counted = 1;
int bench_repeats = 5;
int bench_has_counters;
volatile char *bench_shared;

void counters_find(void)
{
    struct cb_cpu_stats one;

    bench_has_counters =
        syscall(CB_SYS_KINFO, CB_KINFO_CPU_STATS, 0, &one, sizeof(one)) == sizeof(one);
}

void counters_read(struct counters *counters)
{
    struct cb_cpu_stats cpus[8];
    long size = syscall(CB_SYS_KINFO, CB_KINFO_CPU_STATS, 0, cpus, sizeof(cpus));

    *counters = (struct counters){{0}};
    for (long i = 0; i < size / (long)sizeof(cpus[0]); i++) {
        counters->of[0] += cpus[i].root_loads;
        counters->of[1] += cpus[i].tlb_page_flushes;
        counters->of[2] += cpus[i].tlb_full_flushes;
        counters->of[3] += cpus[i].ipis_sent;
    }
}

void counters_add(struct counters *sum, const struct counters *now, const struct counters *before)
{
    for (int i = 0; i < NR_COUNTERS; i++) {
        sum->of[i] += now->of[i] - before->of[i];
    }
}

void row_add(struct row *row, struct watch *watch, double operations)
{
    if (row->count < MAX_SAMPLES) {
        row->samples[row->count++] = (double)watch->ticks / operations;
    }
    for (int i = 0; i < NR_COUNTERS; i++) {
        row->counted[i] += (double)watch->counted.of[i];
    }
    row->operations += operations;
    *watch = (struct watch){.is_profiled = watch->is_profiled};
}

void row_value(struct row *row, double value, const char *unit)
{
    row->samples[0] = value;
    row->count = 1;
    row->unit = unit;
}

void row_fail(struct row *row)
{
    row->error = errno;
}

void rows_fail(struct row *rows)
{
    for (; rows->name != NULL; rows++) {
        if (rows->count == 0) {
            row_fail(rows);
        }
    }
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

void row_print(const struct row *row)
{
    double v[MAX_SAMPLES];
    int n = row->count;

    if (row->error != 0) {
        printf("B %s ERR errno=%d\n", row->name, row->error);
        return;
    }
    if (n == 0) {
        printf("B %s NA\n", row->name);
        return;
    }
    memcpy(v, row->samples, (size_t)n * sizeof(v[0]));
    qsort(v, (size_t)n, sizeof(*v), compare_doubles);
    printf("B %s %.1f %s %.1f %.1f %d\n", row->name, (v[(n - 1) / 2] + v[n / 2]) / 2,
           row->unit != NULL  ? row->unit
           : bench_is_counted ? "insn"
                              : "ns",
           v[0], v[n - 1], n);
    if (row->is_profiled) {
        printf("P %s %.0f\n", row->name, row->operations);
    }
    if (bench_has_counters && row->operations > 0) {
        printf("C %s", row->name);
        for (int i = 0; i < NR_COUNTERS; i++) {
            printf(" %.4f", row->counted[i] / row->operations);
        }
        printf("\n");
    }
    fflush(stdout);
}

long bench_call(long number)
{
    long result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");
    return result;
}

static void must(int is_ok, const char *what)
{
    if (!is_ok) {
        printf("# %s: %s\n", what, strerror(errno));
        fflush(stdout);
        _exit(1);
    }
}

char *map_at(char *address, size_t len, int prot)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    char *p = mmap(address, len, prot, flags, -1, 0);

    must(p != MAP_FAILED, "mmap");
    madvise(p, len, MADV_NOHUGEPAGE);
    return p;
}

char *map_rw(size_t len)
{
    return map_at(BASE, len, RW);
}

int memfd_of(size_t len, int is_filled)
{
    static char block[65536];
    int fd = memfd_create("bench", 0);

    must(fd >= 0 && ftruncate(fd, (off_t)len) == 0, "memfd");
    memset(block, 7, sizeof(block));
    for (size_t at = 0; is_filled && at < len; at += sizeof(block)) {
        must(pwrite(fd, block, sizeof(block), (off_t)at) == (ssize_t)sizeof(block), "pwrite");
    }
    return fd;
}

char *map_fd(int fd, size_t len, int flags)
{
    char *p = mmap(BASE, len, RW, flags | MAP_FIXED, fd, 0);

    must(p != MAP_FAILED, "mmap of a memfd");
    return p;
}

__attribute__((noinline)) void write_pages(char *base, size_t nr_pages)
{
    for (size_t i = 0; i < nr_pages; i++) {
        ((volatile char *)base)[i * PAGE] = 1;
    }
}

__attribute__((noinline)) void read_pages(char *base, size_t nr_pages)
{
    for (size_t i = 0; i < nr_pages; i++) {
        (void)((volatile char *)base)[i * PAGE];
    }
}

long meminfo_kib(const char *key)
{
    static char text[8192];
    int fd = open("/proc/meminfo", O_RDONLY);
    ssize_t n;
    char *found;

    if (fd < 0) {
        return -1;
    }
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n < 0) {
        return -1;
    }
    text[n] = '\0';
    found = strstr(text, key);
    return found == NULL ? -1 : atol(found + strlen(key));
}

int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    ssize_t n;

    if (fd < 0) {
        return -1;
    }
    n = write(fd, text, strlen(text));
    close(fd);
    return n < 0 ? -1 : 0;
}

void child_exit(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}
