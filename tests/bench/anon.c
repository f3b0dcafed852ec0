/* Faults on anonymous memory of small pages, and giving it back. */
#define _GNU_SOURCE
#include "bench.h"

enum { NR_PAGES = 4096 };
#define LENGTH (NR_PAGES * PAGE)

#define ADVICE_POPULATE_WRITE 23

static void read_faults(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);

        TIMED(&rows[0], NR_PAGES)
        {
            read_pages(p, NR_PAGES);
        }
        TIMED(&rows[1], NR_PAGES)
        {
            write_pages(p, NR_PAGES);
        }
        madvise(p, LENGTH, MADV_DONTNEED);
        TIMED(&rows[2], NR_PAGES)
        {
            read_pages(p, NR_PAGES);
        }
        munmap(p, LENGTH);
    }
}

static void write_faults(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);

        TIMED(&rows[0], NR_PAGES)
        {
            write_pages(p, NR_PAGES);
        }
        TIMED(&rows[1], 1)
        {
            madvise(p, LENGTH, MADV_DONTNEED);
        }
        TIMED(&rows[2], NR_PAGES)
        {
            write_pages(p, NR_PAGES);
        }
        TIMED(&rows[3], 1)
        {
            munmap(p, LENGTH);
        }
    }
}

static void without_touching(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        TIMED(&rows[0], 1)
        {
            mmap(BASE, LENGTH, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            munmap(BASE, LENGTH);
        }
    }
}

static void advice(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);
        struct watch watch = watch_of(&rows[0]);
        int error;

        watch_start(&watch);
        error = madvise(p, LENGTH, ADVICE_POPULATE_WRITE);
        watch_stop(&watch);
        if (error != 0) {
            rows_fail(rows);
            return;
        }
        row_add(&rows[0], &watch, NR_PAGES);
        watch = watch_of(&rows[1]);
        watch_start(&watch);
        error = madvise(p, LENGTH, MADV_FREE);
        watch_stop(&watch);
        if (error != 0) {
            row_fail(&rows[1]);
        } else {
            row_add(&rows[1], &watch, NR_PAGES);
        }
        munmap(p, LENGTH);
    }
}

static void locking(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);
        struct watch watch = watch_of(&rows[0]);
        int error;

        write_pages(p, NR_PAGES);
        watch_start(&watch);
        error = mlock(p, LENGTH);
        watch_stop(&watch);
        if (error != 0) {
            rows_fail(rows);
            return;
        }
        row_add(&rows[0], &watch, NR_PAGES);
        TIMED(&rows[1], NR_PAGES)
        {
            munlock(p, LENGTH);
        }
        munmap(p, LENGTH);
    }
}

const struct bench bench_anon[] = {
    {read_faults,
     {"anon_read_fault_zeropage", "anon_write_after_zeropage",
      "anon_read_fault_zeropage_pt_present"}},
    {write_faults,
     {"anon_write_fault", "madv_dontneed_16M_touched", "anon_write_fault_pt_present",
      "munmap_16M_touched"}},
    {without_touching, {"mmap_munmap_16M_untouched"}},
    {advice, {"madv_populate_write_per_page", "madv_free_per_page"}},
    {locking, {"mlock_per_page_touched", "munlock_per_page"}},
    {0},
};
