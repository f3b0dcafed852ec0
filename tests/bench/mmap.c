/* The calls that shape an address space, and how they fare with many VMAs. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RW (PROT_READ | PROT_WRITE)

static struct samples s0, s1, s2, s3;

static double since(uint64_t start)
{
    return (double)(bench_now() - start);
}

static void map_and_unmap(const char *name, size_t len, int is_touched)
{
    for (int r = 0; r < bench_repeats; r++) {
        uint64_t start = bench_now();

        for (int i = 0; i < 1000; i++) {
            char *p = mmap(NULL, len, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

            if (is_touched) {
                *p = 1;
            }
            munmap(p, len);
        }
        samples_add(&s0, since(start) / 1000);
    }
    samples_print(name, &s0);
}

static void toggle(const char *name, char *p, size_t len, int rounds)
{
    for (int r = 0; r < bench_repeats; r++) {
        uint64_t start = bench_now();

        for (int i = 0; i < rounds; i++) {
            mprotect(p, len, PROT_READ);
            mprotect(p, len, RW);
        }
        samples_add(&s0, since(start) / rounds / 2);
    }
    samples_print(name, &s0);
}

static void move(const char *name, char *target)
{
    size_t len = 16 * MIB;
    char *p = map_rw(len);

    write_pages(p, len / PAGE);
    for (int r = 0; r < bench_repeats; r++) {
        uint64_t start = bench_now();
        char *now = mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, target);

        if (now == MAP_FAILED) {
            row_error(name);
            return;
        }
        samples_add(&s0, since(start));
        target = p;
        p = now;
    }
    samples_print(name, &s0);
    munmap(p, len);
}

void bench_mmap(void)
{
    char *heap = (char *)syscall(SYS_brk, 0);
    char *p;

    map_and_unmap("mmap_munmap_4K", PAGE, 0);
    map_and_unmap("mmap_munmap_1M", MIB, 0);
    map_and_unmap("mmap_touch_munmap_4K", PAGE, 1);
    for (int r = 0; r < bench_repeats; r++) {
        uint64_t start = bench_now();

        for (int i = 0; i < 1000; i++) {
            syscall(SYS_brk, heap + PAGE);
            syscall(SYS_brk, heap);
        }
        samples_add(&s0, since(start) / 1000);
    }
    samples_print("brk_grow_shrink_4K", &s0);
    p = map_rw(PAGE);
    *p = 1;
    toggle("mprotect_1p_whole_vma_per_call", p, PAGE, 1000);
    munmap(p, PAGE);
    p = map_rw(1024 * PAGE);
    write_pages(p, 1024);
    toggle("mprotect_1024p_per_call", p, 1024 * PAGE, 20);
    toggle("mprotect_1p_split_merge_per_call", p + 500 * PAGE, PAGE, 500);
    munmap(p, 1024 * PAGE);
    move("mremap_move_16M_2Maligned", BASE2);
    move("mremap_move_16M_unaligned", BASE2 + PAGE);
}

static void with_vmas(int count)
{
    int half = count / 2;
    size_t len = (size_t)count * PAGE;
    char *p = map_at(BASE, len + PAGE, PROT_NONE);
    unsigned seed = 12345;
    char name[96];

    for (int i = 0; i < half; i++) {
        if (mprotect(p + (2 * (size_t)i + 1) * PAGE, PAGE, RW) != 0) {
            row_error("mprotect");
            return;
        }
        p[(2 * (size_t)i + 1) * PAGE] = 1;
    }
    for (int r = 0; r < bench_repeats; r++) {
        double unmap = 0, map = 0, fault = 0;
        uint64_t start = bench_now();

        for (int i = 0; i < 200; i++) {
            munmap(mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
        }
        samples_add(&s0, since(start) / 200);
        for (int i = 0; i < 200; i++) {
            char *q;

            seed = seed * 1103515245u + 12345u;
            q = p + (2ul * ((seed >> 8) % (unsigned)half) + 1) * PAGE;
            start = bench_now();
            munmap(q, PAGE);
            unmap += since(start);
            start = bench_now();
            mmap(q, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            map += since(start);
            start = bench_now();
            *(volatile char *)q = 1;
            fault += since(start);
        }
        samples_add(&s1, unmap / 200);
        samples_add(&s2, map / 200);
        samples_add(&s3, fault / 200);
    }
    snprintf(name, sizeof(name), "vma%d_mmap_munmap_4K_pair", count);
    samples_print(name, &s0);
    snprintf(name, sizeof(name), "vma%d_munmap_mid_touched", count);
    samples_print(name, &s1);
    snprintf(name, sizeof(name), "vma%d_mmap_fixed_mid", count);
    samples_print(name, &s2);
    snprintf(name, sizeof(name), "vma%d_write_fault_mid", count);
    samples_print(name, &s3);
    munmap(p, len + PAGE);
}

void bench_vma(void)
{
    static const int counts[] = {10, 1000, 10000, 60000};

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        with_vmas(counts[i]);
    }
}
