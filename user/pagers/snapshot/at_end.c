/*
 * The snapshot whose image is the memory as it was at the end: asynchronous write-protection. A
 * write to a protected page ends the protection and goes on; PAGEMAP_SCAN finds where that happened
 * and protects anew in the same step, so no write falls between the two.
 *
 * A page is copied after it was protected: what is written during the copy is found by the next
 * scan, and copied again.
 */
#define _GNU_SOURCE
#include "pagemap_scan.h"
#include "snapshot.h"
#include "uffd.h"

#include <sys/mman.h>

enum {
    NR_RUNS = 64,
    ENOUGH = 8,     /* so few pages are left to be copied while the program stands */
    MOST_ROUNDS = 8 /* or so often it was tried */
};

struct copier {
    char *memory;
    char *image;
    size_t nr_pages;
};

/* Copy what was written since the last time. Return: how many pages, or a negative errno. */
static long copy_written(struct copier *c)
{
    struct page_region runs[NR_RUNS];
    size_t page = 0;
    long nr_copied = 0;

    while (page < c->nr_pages) {
        long nr = scan_written(c->memory + page * PAGE, c->nr_pages - page, runs, NR_RUNS,
                               PM_SCAN_WP_MATCHING);

        if (nr < 0) {
            return nr;
        }
        for (long i = 0; i < nr; i++) {
            size_t offset = runs[i].start - (uintptr_t)c->memory;
            size_t len = runs[i].end - runs[i].start;

            memcpy(c->image + offset, c->memory + offset, len);
            nr_copied += (long)(len / PAGE);
            page = (offset + len) / PAGE;
        }
        if (nr < NR_RUNS) {
            break;
        }
    }
    return nr_copied;
}

static int copy_in_rounds(struct copier *c, const struct snapshot_stop *stop,
                          struct snapshot_stats *stats)
{
    long nr;

    do {
        nr = copy_written(c);
        stats->nr_rounds++;
        stats->nr_in_background += nr > 0 ? (size_t)nr : 0;
    } while (nr > ENOUGH && stats->nr_rounds < MOST_ROUNDS);
    if (nr < 0) {
        return (int)nr;
    }
    stop->stop(stop->argument);
    nr = copy_written(c);
    stop->go_on(stop->argument);
    stats->nr_rounds++;
    stats->nr_while_stopped = nr > 0 ? (size_t)nr : 0;
    return nr < 0 ? (int)nr : 0;
}

int snapshot_at_end(void *memory, size_t nr_pages, void *image, const struct snapshot_stop *stop,
                    struct snapshot_stats *stats)
{
    struct copier c = {.memory = memory, .image = image, .nr_pages = nr_pages};
    int uffd = uffd_open(O_CLOEXEC, UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_ASYNC);
    int error;

    memset(stats, 0, sizeof(*stats));
    if (uffd < 0) {
        return uffd;
    }
    /* Nothing is protected yet, so the first scan finds everything. */
    error = uffd_register(uffd, memory, nr_pages, UFFDIO_REGISTER_MODE_WP);
    if (error == 0) {
        error = copy_in_rounds(&c, stop, stats);
    }
    close(uffd);
    return error;
}
