/*
 * The words of /proc/PID/pagemap, one a page (Linux: Documentation/admin-guide/mm/pagemap.rst).
 */
#ifndef COWBELL_PAGEMAP_H
#define COWBELL_PAGEMAP_H

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#define PM_FRAME      ((1ull << 55) - 1) /* shown to user 0 alone */
#define PM_SOFT_DIRTY (1ull << 55)
#define PM_EXCLUSIVE  (1ull << 56) /* mapped once */
#define PM_UFFD_WP    (1ull << 57)
#define PM_FILE       (1ull << 61) /* or shared anonymous */
#define PM_PRESENT    (1ull << 63)

/** pagemap_entry() - this address's word of /proc/self/pagemap; 0 where it cannot be read. */
static inline uint64_t pagemap_entry(const void *p)
{
    uint64_t entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

    if (pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)p / 4096 * sizeof(entry))) !=
        (ssize_t)sizeof(entry)) {
        entry = 0;
    }
    close(fd);
    return entry;
}

#endif
