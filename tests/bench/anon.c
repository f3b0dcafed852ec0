/* Faults on anonymous and shared memory, and giving it back. */
#define _GNU_SOURCE
#include "bench.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { NR_PAGES = 4096 };
#define LENGTH (NR_PAGES * PAGE)

static struct samples s0, s1, s2, s3;

static double since(uint64_t start)
{
    return (double)(bench_now() - start);
}

static void read_faults(void)
{
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);
        uint64_t start = bench_now();

        read_pages(p, NR_PAGES);
        samples_add(&s0, since(start) / NR_PAGES);
        start = bench_now();
        write_pages(p, NR_PAGES);
        samples_add(&s1, since(start) / NR_PAGES);
        madvise(p, LENGTH, MADV_DONTNEED);
        start = bench_now();
        read_pages(p, NR_PAGES);
        samples_add(&s2, since(start) / NR_PAGES);
        munmap(p, LENGTH);
    }
    samples_print("anon_read_fault_zeropage", &s0);
    samples_print("anon_write_after_zeropage", &s1);
    samples_print("anon_read_fault_zeropage_pt_present", &s2);
}

static void write_faults(void)
{
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);
        uint64_t start = bench_now();

        write_pages(p, NR_PAGES);
        samples_add(&s0, since(start) / NR_PAGES);
        start = bench_now();
        madvise(p, LENGTH, MADV_DONTNEED);
        samples_add(&s2, since(start));
        start = bench_now();
        write_pages(p, NR_PAGES);
        samples_add(&s1, since(start) / NR_PAGES);
        start = bench_now();
        munmap(p, LENGTH);
        samples_add(&s3, since(start));
    }
    samples_print("anon_write_fault", &s0);
    samples_print("anon_write_fault_pt_present", &s1);
    samples_print("madv_dontneed_16M_touched", &s2);
    samples_print("munmap_16M_touched", &s3);
}

void bench_anon(void)
{
    read_faults();
    write_faults();
    for (int r = 0; r < bench_repeats; r++) {
        uint64_t start = bench_now();
        char *p = mmap(BASE, LENGTH, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

        munmap(p, LENGTH);
        samples_add(&s0, since(start));
        p = map_rw(LENGTH);
        start = bench_now();
        if (madvise(p, LENGTH, 23 /* MADV_POPULATE_WRITE */) == 0) {
            samples_add(&s1, since(start) / NR_PAGES);
        }
        munmap(p, LENGTH);
    }
    samples_print("mmap_munmap_16M_untouched", &s0);
    samples_print("madv_populate_write_per_page", &s1);
}

static int filled_memfd(size_t len)
{
    static char block[65536];
    int fd = memfd_create("bench", 0);

    memset(block, 7, sizeof(block));
    for (size_t at = 0; at < len; at += sizeof(block)) {
        if (pwrite(fd, block, sizeof(block), (off_t)at) != (ssize_t)sizeof(block)) {
            row_error("pwrite");
            _exit(1);
        }
    }
    return fd;
}

static char *map_file(int fd, int flags)
{
    char *p = mmap(BASE, LENGTH, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);

    if (p == MAP_FAILED) {
        row_error("mmap of a memfd");
        _exit(1);
    }
    return p;
}

void bench_shmem(void)
{
    int fd = filled_memfd(LENGTH);
    uint64_t start;

    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_file(fd, MAP_SHARED);

        start = bench_now();
        read_pages(p, NR_PAGES);
        samples_add(&s0, since(start) / NR_PAGES);
        start = bench_now();
        munmap(p, LENGTH);
        samples_add(&s1, since(start));
        p = map_file(fd, MAP_SHARED);
        start = bench_now();
        write_pages(p, NR_PAGES);
        samples_add(&s2, since(start) / NR_PAGES);
        munmap(p, LENGTH);
        p = map_file(fd, MAP_PRIVATE);
        start = bench_now();
        write_pages(p, NR_PAGES);
        samples_add(&s3, since(start) / NR_PAGES);
        munmap(p, LENGTH);
    }
    samples_print("shmem_read_fault_faultaround_per_page", &s0);
    samples_print("munmap_16M_shmem_mapped", &s1);
    samples_print("shmem_write_fault_present", &s2);
    samples_print("file_private_cow_fault_direct", &s3);
    close(fd);
}
