/* Asking what is mapped and what was written: mincore, pagemap, soft-dirty; and giving back the
 * zero page. */
#define _GNU_SOURCE
#include "bench.h"

#include <fcntl.h>
#include <unistd.h>

enum { NR_PAGES = 4096 };
#define LENGTH (NR_PAGES * PAGE)

static void zero_pages(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);

        read_pages(p, NR_PAGES);
        TIMED(&rows[0], 1)
        {
            munmap(p, LENGTH);
        }
    }
}

static void residency(struct row *rows)
{
    static unsigned char resident[NR_PAGES];

    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(LENGTH);
        struct watch watch = watch_of(&rows[0]);
        int error;

        write_pages(p, NR_PAGES);
        watch_start(&watch);
        error = mincore(p, LENGTH, resident);
        watch_stop(&watch);
        if (error != 0) {
            rows_fail(rows);
            return;
        }
        row_add(&rows[0], &watch, NR_PAGES);
        munmap(p, LENGTH);
    }
}

static void pagemap(struct row *rows)
{
    static uint64_t entries[NR_PAGES];
    int fd = open("/proc/self/pagemap", O_RDONLY);
    char *p = map_rw(LENGTH);

    write_pages(p, NR_PAGES);
    for (int r = 0; r < bench_repeats; r++) {
        ssize_t n;

        TIMED(&rows[0], NR_PAGES)
        {
            n = pread(fd, entries, sizeof(entries), (off_t)((uintptr_t)p / PAGE * 8));
        }
        if (n != (ssize_t)sizeof(entries)) {
            row_fail(&rows[0]);
            return;
        }
    }
}

static void soft_dirty(struct row *rows)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY);
    char *p = map_rw(LENGTH);

    for (int r = 0; r < bench_repeats; r++) {
        ssize_t n;

        write_pages(p, NR_PAGES);
        TIMED(&rows[0], NR_PAGES)
        {
            n = write(fd, "4", 1);
        }
        if (n != 1) {
            row_fail(&rows[0]);
            row_fail(&rows[1]);
            return;
        }
        TIMED(&rows[1], NR_PAGES)
        {
            write_pages(p, NR_PAGES);
        }
    }
}

const struct bench bench_inspect[] = {
    {zero_pages, {"munmap_16M_zeropages"}},
    {residency, {"mincore_per_page"}},
    {pagemap, {"pagemap_read_per_page"}},
    {soft_dirty, {"clear_refs_softdirty_per_page", "softdirty_refault"}},
    {0},
};
