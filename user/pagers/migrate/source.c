/*
 * The side that the program leaves. Which pages it wrote to after they had been sent is found by
 * asynchronous write-protection: no write waits, and one scan at the end tells.
 */
#define _GNU_SOURCE
#include "migrate.h"
#include "pagemap_scan.h"
#include "uffd.h"
#include "wire.h"

#include <sys/mman.h>

static int send_page(const struct link *link, const void *memory, uint32_t number)
{
    struct page_record record = {.number = number};

    memcpy(record.bytes, (const char *)memory + (size_t)number * PAGE, PAGE);
    return wire_write(link->out, &record, sizeof(record));
}

int source_begin(const struct link *link, const void *memory, size_t nr_pages)
{
    int watch = uffd_open(O_CLOEXEC, UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_ASYNC);
    int error;

    if (watch < 0) {
        return watch;
    }
    error = uffd_register(watch, memory, nr_pages, UFFDIO_REGISTER_MODE_WP);
    /* Protected before it is sent: a write during the sending makes the page stale. */
    error = error != 0 ? error : uffd_protect(watch, memory, nr_pages);
    for (uint32_t i = 0; error == 0 && i < nr_pages; i++) {
        error = send_page(link, memory, i);
    }
    if (error != 0) {
        close(watch);
        return error;
    }
    return watch;
}

/* Return: how many bytes of the map were set, or a negative errno. */
static long find_stale(const void *memory, size_t nr_pages, char *map)
{
    struct page_region runs[64];
    size_t page = 0;
    long nr_stale = 0;

    while (page < nr_pages) {
        long nr = scan_written((const char *)memory + page * PAGE, nr_pages - page, runs, 64, 0);

        if (nr < 0) {
            return nr;
        }
        for (long i = 0; i < nr; i++) {
            for (uint64_t p = runs[i].start; p < runs[i].end; p += PAGE) {
                page = (p - (uintptr_t)memory) / PAGE;
                map[page++] = 1;
                nr_stale++;
            }
        }
        if (nr < 64) {
            break;
        }
    }
    return nr_stale;
}

long source_serve(const struct link *link, int watch, const void *memory, size_t nr_pages)
{
    static char map[MIGRATE_MAX_PAGES];
    long nr_stale = find_stale(memory, nr_pages, map);
    uint32_t number;
    int error;

    close(watch);
    if (nr_stale < 0) {
        return nr_stale;
    }
    error = wire_write(link->out, map, nr_pages);
    while (error == 0) {
        error = wire_read(link->in, &number, sizeof(number));
        if (error != 0 || number == ALL_HERE) {
            break;
        }
        error = number < nr_pages ? send_page(link, memory, number) : -EINVAL;
    }
    return error != 0 ? error : nr_stale;
}
