/* The floor: reading the counter, entering the kernel and leaving it, touching mapped pages; and what
 * the system took to come this far. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

void bench_boot(uint64_t ticks_at_start)
{
    static const char *const keys[] = {"MemTotal:", "MemFree:", "Slab:", "KernelStack:",
                                       "PageTables:"};
    struct timespec time;
    long total = meminfo_kib("MemTotal:");
    long left = meminfo_kib("MemFree:");

    clock_gettime(CLOCK_MONOTONIC, &time);
    if (bench_is_counted) {
        row_value("boot_to_init_insn_since_reset", (double)ticks_at_start, "insn");
    }
    row_value("boot_monotonic_at_init_us",
              (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3, "us");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char name[64];

        snprintf(name, sizeof(name), "boot_%.*s", (int)strlen(keys[i]) - 1, keys[i]);
        row_value(name, (double)meminfo_kib(keys[i]), "KiB");
    }
    row_value("boot_memory_used", (double)(total - left), "KiB");
}

void bench_base(void)
{
    static struct samples s;
    char *p;

    for (int r = 0; r < bench_repeats; r++) {
        uint64_t start = bench_now();

        for (int i = 0; i < 1000; i++) {
            bench_now();
        }
        samples_add(&s, (double)(bench_now() - start) / 1000);
    }
    samples_print("timer_read", &s);
    for (int r = 0; r < bench_repeats; r++) {
        uint64_t start = bench_now();

        for (int i = 0; i < 20000; i++) {
            bench_call(SYS_getppid);
        }
        samples_add(&s, (double)(bench_now() - start) / 20000);
    }
    samples_print("null_syscall_getppid", &s);
    for (int r = 0; r < bench_repeats; r++) {
        uint64_t start = bench_now();

        for (int i = 0; i < 20000; i++) {
            bench_call(1000);
        }
        samples_add(&s, (double)(bench_now() - start) / 20000);
    }
    samples_print("null_syscall_enosys", &s);
    p = map_rw(16 * MIB);
    write_pages(p, 4096);
    for (int r = 0; r < bench_repeats; r++) {
        uint64_t start = bench_now();

        write_pages(p, 4096);
        samples_add(&s, (double)(bench_now() - start) / 4096);
    }
    samples_print("touch_loop_overhead_per_page", &s);
    munmap(p, 16 * MIB);
}
