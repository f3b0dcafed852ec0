/*
 * The benchmark's tools: counter, samples, rows, memory. Read next: main.c, then a group.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int bench_is_counted = 1;
int bench_repeats = 5;
volatile char *bench_shared;

uint64_t bench_now(void)
{
    struct timespec time;

    if (bench_is_counted) {
        uint32_t low, high;

        __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
        return ((uint64_t)high << 32) | low;
    }
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

long bench_call(long number)
{
    long result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");
    return result;
}

void samples_add(struct samples *samples, double value)
{
    if (samples->count < MAX_SAMPLES) {
        samples->values[samples->count++] = value;
    }
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

void samples_print(const char *name, struct samples *samples)
{
    int n = samples->count;
    double *v = samples->values;

    if (n == 0) {
        printf("B %s NA\n", name);
        return;
    }
    qsort(v, (size_t)n, sizeof(*v), compare_doubles);
    printf("B %s %.1f %s %.1f %.1f %d\n", name, (v[(n - 1) / 2] + v[n / 2]) / 2,
           bench_is_counted ? "insn" : "ns", v[0], v[n - 1], n);
    fflush(stdout);
    samples->count = 0;
}

void row_value(const char *name, double value, const char *unit)
{
    printf("B %s %.1f %s %.1f %.1f 1\n", name, value, unit, value, value);
    fflush(stdout);
}

void row_error(const char *name)
{
    printf("B %s ERR errno=%d\n", name, errno);
    fflush(stdout);
}

char *map_at(char *address, size_t len, int prot)
{
    char *p = mmap(address, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
                   0);

    if (p == MAP_FAILED) {
        row_error("mmap");
        exit(1);
    }
    madvise(p, len, MADV_NOHUGEPAGE);
    return p;
}

char *map_rw(size_t len)
{
    return map_at(BASE, len, PROT_READ | PROT_WRITE);
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
