/* The floor: reading the counter, entering the kernel and leaving it, touching mapped pages; and
 * what the system took to come this far. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void print_value(const char *name, double value, const char *unit)
{
    struct row row = {.name = name};

    row_value(&row, value, unit);
    row_print(&row);
}

void bench_boot(uint64_t ticks_at_start)
{
    static const char *const keys[] = {
        "MemTotal:", "MemFree:",   "MemAvailable:", "Slab:",  "KernelStack:", "PageTables:",
        "Percpu:",   "AnonPages:", "Cached:",       "Shmem:", "VmallocUsed:"};
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    if (bench_is_counted) {
        print_value("boot_to_init_insn_since_reset", (double)ticks_at_start, "insn");
    }
    print_value("boot_monotonic_at_init_us", (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3,
                "us");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        long value = meminfo_kib(keys[i]);
        char name[64];

        snprintf(name, sizeof(name), "boot_%.*s", (int)strlen(keys[i]) - 1, keys[i]);
        if (value >= 0) {
            print_value(name, (double)value, "KiB");
        } else {
            printf("B %s NA\n", name);
        }
    }
}

static void timer(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        TIMED(&rows[0], 1000)
        {
            for (int i = 0; i < 1000; i++) {
                bench_now();
            }
        }
    }
}

static void null_calls(struct row *rows)
{
    static const long numbers[] = {SYS_getppid, 1000};

    for (int kind = 0; kind < 2; kind++) {
        for (int r = 0; r < bench_repeats; r++) {
            TIMED(&rows[kind], 20000)
            {
                for (int i = 0; i < 20000; i++) {
                    bench_call(numbers[kind]);
                }
            }
        }
    }
}

static void touch_loop(struct row *rows)
{
    char *p = map_rw(16 * MIB);

    write_pages(p, 4096);
    for (int r = 0; r < bench_repeats; r++) {
        TIMED(&rows[0], 4096)
        {
            write_pages(p, 4096);
        }
    }
    munmap(p, 16 * MIB);
}

const struct bench bench_base[] = {
    {timer, {"timer_read"}},
    {null_calls, {"null_syscall_getppid", "null_syscall_enosys"}},
    {touch_loop, {"touch_loop_overhead_per_page"}},
    {0},
};
