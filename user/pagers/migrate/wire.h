/*
 * What goes through the pipes of a migration: whole records, whatever a read(2) or write(2) takes.
 *
 *   source to destination   struct page_record…   each page once, in order
 *                           the bytes of the stale map, one a page
 *   destination to source   uint32_t number of a page that is wanted, or ALL_HERE
 *   source to destination   struct page_record    the answer
 */
#ifndef COWBELL_PAGERS_WIRE_H
#define COWBELL_PAGERS_WIRE_H

#include "migrate.h"

#include <errno.h>
#include <unistd.h>

#define ALL_HERE UINT32_MAX

struct page_record {
    uint32_t number;
    char bytes[MIGRATE_PAGE];
};

static inline int wire_write(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0) {
            return -errno;
        }
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static inline int wire_read(int fd, void *data, size_t len)
{
    char *p = data;

    while (len > 0) {
        ssize_t n = read(fd, p, len);

        if (n <= 0) {
            return n < 0 ? -errno : -EPIPE;
        }
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

#endif
