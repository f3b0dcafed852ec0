/*
 * PAGEMAP_SCAN for programs: newer than the C library's headers.
 */
#ifndef COWBELL_PAGEMAP_SCAN_H
#define COWBELL_PAGEMAP_SCAN_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct page_region {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
};

struct pm_scan_arg {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t vec;
    uint64_t vec_len;
    uint64_t max_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_anyof_mask;
    uint64_t return_mask;
};

#define PAGEMAP_SCAN          _IOWR('f', 16, struct pm_scan_arg)
#define PM_SCAN_WP_MATCHING   1
#define PM_SCAN_CHECK_WPASYNC 2
#define PAGE_IS_WRITTEN       2

/**
 * scan_written() - the runs of pages written since they were last write-protected.
 * @found: out: at most @nr_found runs, in address order
 * @flags: PM_SCAN_WP_MATCHING: and protect them, in the same step
 *
 * Return: how many runs, or a negative errno.
 */
static inline long scan_written(const void *p, size_t nr_pages, struct page_region *found,
                                size_t nr_found, uint64_t flags)
{
    struct pm_scan_arg arg = {.size = sizeof(arg),
                              .flags = flags,
                              .start = (uintptr_t)p,
                              .end = (uintptr_t)p + nr_pages * 4096,
                              .vec = (uintptr_t)found,
                              .vec_len = nr_found,
                              .category_mask = PAGE_IS_WRITTEN,
                              .return_mask = PAGE_IS_WRITTEN};
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    long n = ioctl(fd, PAGEMAP_SCAN, &arg);
    int error = errno;

    close(fd);
    return n < 0 ? -error : n;
}

#endif
