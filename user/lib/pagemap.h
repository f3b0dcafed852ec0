/*
 * The words of /proc/PID/pagemap, one a page (Linux: Documentation/admin-guide/mm/pagemap.rst).
 */
#ifndef COWBELL_PAGEMAP_H
#define COWBELL_PAGEMAP_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PM_FRAME      ((1ull << 55) - 1) /* shown to user 0 alone */
#define PM_SOFT_DIRTY (1ull << 55)
#define PM_EXCLUSIVE  (1ull << 56) /* mapped once */
#define PM_UFFD_WP    (1ull << 57)
#define PM_FILE       (1ull << 61) /* or shared anonymous */
#define PM_PRESENT    (1ull << 63)

/** pagemap_entry_of() - an address's word of /proc/PID/pagemap; who may not read it is aborted. */
static inline uint64_t pagemap_entry_of(pid_t pid, const void *p)
{
    char path[64];
    uint64_t entry;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)p / 4096 * sizeof(entry))) !=
        (ssize_t)sizeof(entry)) {
        perror(path);
        abort();
    }
    close(fd);
    return entry;
}

/** pagemap_entry() - the same of the caller's own memory. */
static inline uint64_t pagemap_entry(const void *p)
{
    return pagemap_entry_of(getpid(), p);
}

#endif
