/* Faults on shared memory and on private mappings of it, its allocation, and reading and writing it
 * by calls. */
#define _GNU_SOURCE
#include "bench.h"

#include <sys/mount.h>
#include <unistd.h>

enum { NR_PAGES = 4096, NR_CALLS = 2000 };
#define LENGTH (NR_PAGES * PAGE)

#define FAULT_AROUND "/sys/kernel/debug/fault_around_bytes"

static void shared_faults(struct row *rows)
{
    int fd = memfd_of(LENGTH, 1);

    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_fd(fd, LENGTH, MAP_SHARED);

        TIMED(&rows[0], NR_PAGES)
        {
            read_pages(p, NR_PAGES);
        }
        TIMED(&rows[3], 1)
        {
            munmap(p, LENGTH);
        }
        p = map_fd(fd, LENGTH, MAP_SHARED);
        madvise(p, LENGTH, MADV_RANDOM);
        TIMED(&rows[1], NR_PAGES)
        {
            read_pages(p, NR_PAGES);
        }
        munmap(p, LENGTH);
        p = map_fd(fd, LENGTH, MAP_SHARED);
        TIMED(&rows[2], NR_PAGES)
        {
            write_pages(p, NR_PAGES);
        }
        munmap(p, LENGTH);
    }
}

static void without_fault_around(struct row *rows)
{
    int fd = memfd_of(LENGTH, 1);

    mount("debug", "/sys/kernel/debug", "debugfs", 0, NULL);
    if (write_text(FAULT_AROUND, "4096") != 0) {
        rows_fail(rows);
        return;
    }
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_fd(fd, LENGTH, MAP_SHARED);

        TIMED(&rows[0], NR_PAGES)
        {
            read_pages(p, NR_PAGES);
        }
        munmap(p, LENGTH);
    }
    write_text(FAULT_AROUND, "65536");
}

static void private_faults(struct row *rows)
{
    int fd = memfd_of(LENGTH, 1);

    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_fd(fd, LENGTH, MAP_PRIVATE);

        TIMED(&rows[0], NR_PAGES)
        {
            write_pages(p, NR_PAGES);
        }
        munmap(p, LENGTH);
        p = map_fd(fd, LENGTH, MAP_PRIVATE);
        read_pages(p, NR_PAGES);
        TIMED(&rows[1], NR_PAGES)
        {
            write_pages(p, NR_PAGES);
        }
        munmap(p, LENGTH);
    }
}

static void holes(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        int fd = memfd_of(LENGTH, 0);
        char *p = map_fd(fd, LENGTH, MAP_SHARED);

        TIMED(&rows[0], NR_PAGES)
        {
            write_pages(p, NR_PAGES);
        }
        munmap(p, LENGTH);
        TIMED(&rows[1], NR_PAGES)
        {
            close(fd);
        }
        fd = memfd_of(LENGTH, 0);
        p = map_fd(fd, LENGTH, MAP_SHARED);
        TIMED(&rows[2], NR_PAGES)
        {
            read_pages(p, NR_PAGES);
        }
        munmap(p, LENGTH);
        close(fd);
    }
}

static void calls(struct row *rows)
{
    static char page[4096];
    int fd = memfd_of(LENGTH, 1);
    long done = 0;

    for (int r = 0; r < bench_repeats; r++) {
        TIMED(&rows[0], NR_CALLS)
        {
            for (int i = 0; i < NR_CALLS; i++) {
                done += pread(fd, page, sizeof(page), (off_t)(i & 1023) * (off_t)PAGE);
            }
        }
        TIMED(&rows[1], NR_CALLS)
        {
            for (int i = 0; i < NR_CALLS; i++) {
                done += pwrite(fd, page, sizeof(page), (off_t)(i & 1023) * (off_t)PAGE);
            }
        }
    }
    if (done != 2L * NR_CALLS * bench_repeats * (long)sizeof(page)) {
        row_fail(&rows[0]);
        row_fail(&rows[1]);
    }
}

const struct bench bench_shmem[] = {
    {shared_faults,
     {"shmem_read_fault_faultaround_per_page", "shmem_read_fault_madv_random_per_page",
      "shmem_write_fault_present", "munmap_16M_shmem_mapped"}},
    {without_fault_around, {"shmem_read_fault_no_faultaround"}},
    {private_faults, {"file_private_cow_fault_direct", "file_private_cow_fault_after_read"}},
    {holes,
     {"shmem_write_fault_hole_alloc", "shmem_truncate_free_per_page",
      "shmem_read_fault_hole_alloc"}},
    {calls, {"pread_4K_memfd", "pwrite_4K_memfd"}},
    {0},
};
