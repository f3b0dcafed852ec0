/*
 * The operations of fuzz_ops that need more than the calls of every kernel: userfaultfd and
 * pagemap; and what they share with the rest: the arena, the reply, the buffer.
 */
#ifndef COWBELL_TESTS_FUZZ_HOOKS_H
#define COWBELL_TESTS_FUZZ_HOOKS_H

#include "fuzz_fault.h"
#include "pagemap.h"
#include "pagemap_scan.h"
#include "uffd.h"

#define ARENA_PAGES 288
/* A page table ends in the middle of the arena, and so does a directory of them. */
#define ARENA     ((char *)(0x100040000000ul - 128 * PAGE))
#define ARENA_END (ARENA + ARENA_PAGES * PAGE)

enum { BUFFER_MAX = 64 * 4096, SCAN_REGIONS_MAX = 64 };

/** struct reply - what one step did in its process. */
struct reply {
    long result;
    int error;
    int signal;
    int code;
    long fault_offset;
    uint64_t hash;
    int pid;
    char pages[ARENA_PAGES + 1]; /* that were looked at: a letter each, or "" */
};

static char buffer[BUFFER_MAX];
static int uffd = -1;

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    return hash ^ (hash >> 29);
}

static void fill(char *p, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        p[i] = (char)(seed + i * 7 + (i >> 12));
    }
}

/*
 * Looks at pages in /proc/self/pagemap. Which are present and soft-dirty is noted for each, since
 * the systems may differ in that as tools/fuzz/known.py says; what is said besides goes into the
 * hash: swapped, file page or shared, exclusively mapped, write-protected. Return: as pread().
 */
static long look_at_pages(struct reply *reply, size_t page, size_t nr_pages)
{
    static uint64_t entries[ARENA_PAGES];
    int fd = open("/proc/self/pagemap", O_RDONLY);
    long n = pread(fd, entries, nr_pages * 8, (off_t)(((uintptr_t)ARENA / PAGE + page) * 8));

    for (long i = 0; i < n / 8; i++) {
        int is_dirty = (entries[i] & PM_SOFT_DIRTY) != 0;

        reply->pages[i] = (entries[i] & PM_PRESENT ? "pD" : "-d")[is_dirty];
        reply->hash = mix(reply->hash, entries[i] >> 56 & ~(PM_PRESENT >> 56));
    }
    close(fd);
    return n;
}

/*
 * PAGEMAP_SCAN: the flags; inverted, required, any-of and returned categories, a byte each; the
 * regions that there is room for, or no report at all; and the pages that are wanted.
 */
static void scan(struct reply *reply, const long *a)
{
    static struct page_region regions[SCAN_REGIONS_MAX];
    struct pm_scan_arg arg = {.size = sizeof(arg),
                              .flags = (uint64_t)a[2],
                              .start = (uintptr_t)ARENA + (uint64_t)a[0],
                              .end = (uintptr_t)ARENA + (uint64_t)(a[0] + a[1]),
                              .vec = a[4] > 0 ? (uintptr_t)regions : 0,
                              .vec_len = (uint64_t)a[4],
                              .max_pages = (uint64_t)a[5],
                              .category_inverted = a[3] & 0xff,
                              .category_mask = a[3] >> 8 & 0xff,
                              .category_anyof_mask = a[3] >> 16 & 0xff,
                              .return_mask = a[3] >> 24 & 0xff};
    int fd = open("/proc/self/pagemap", O_RDONLY);

    look_at_pages(reply, (size_t)a[0] / PAGE, ((size_t)a[1] + PAGE - 1) / PAGE);
    reply->result = ioctl(fd, PAGEMAP_SCAN, &arg);
    /* Of what the scan told alone. */
    reply->hash = arg.walk_end == 0 ? 0 : mix(0, arg.walk_end - arg.start);
    for (long i = 0; i < reply->result; i++) {
        reply->hash = mix(reply->hash, regions[i].start - arg.start);
        reply->hash = mix(reply->hash, regions[i].end - arg.start);
        reply->hash = mix(reply->hash, regions[i].categories);
    }
    close(fd);
}

static void run_pagemap(struct reply *reply, const char *name, const long *a)
{
    if (strcmp(name, "pagemap") == 0) {
        reply->result = look_at_pages(reply, (size_t)a[0], (size_t)a[1]);
    } else if (strcmp(name, "pagemap_scan") == 0) {
        scan(reply, a);
    }
}

static long open_uffd(long features)
{
    struct uffdio_api api = {.api = UFFD_API, .features = (uint64_t)features};

    uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    return uffd < 0 ? -1 : ioctl(uffd, UFFDIO_API, &api);
}

/* The range and the page; how it is touched: bit 0 a store, bit 1 write-protected; the wake. */
static void wait_in_uffd(struct reply *reply, const long *a)
{
    struct wait wait = {.start = (uintptr_t)ARENA + (uint64_t)a[0],
                        .len = (uint64_t)a[1],
                        .page = ARENA + a[2],
                        .is_write = (a[3] & 1) != 0,
                        .is_protected = (a[3] & 2) != 0,
                        .wake_start = (uintptr_t)ARENA + (uint64_t)a[4],
                        .wake_len = (uint64_t)a[5]};

    reply->result = wait_for_page(&wait);
    reply->signal = wait.signal;
    reply->hash = mix(mix(mix(0, (uint64_t)wait.nr_messages), wait.flags), (uint64_t)wait.woken);
}

static void run_uffd(struct reply *reply, const char *name, const long *a)
{
    uint64_t start = (uintptr_t)ARENA + (uint64_t)a[0];
    struct uffdio_range range = {start, (uint64_t)a[1]};

    if (strcmp(name, "uffd_open") == 0) {
        reply->result = open_uffd(a[0]);
    } else if (strcmp(name, "uffd_close") == 0) {
        reply->result = close(uffd);
        uffd = -1;
    } else if (strcmp(name, "uffd_wait") == 0) {
        wait_in_uffd(reply, a);
    } else if (strcmp(name, "uffd_wake") == 0) {
        reply->result = ioctl(uffd, UFFDIO_WAKE, &range);
    } else if (strcmp(name, "uffd_register") == 0) {
        struct uffdio_register request = {.range = range, .mode = (uint64_t)a[2]};

        reply->result = ioctl(uffd, UFFDIO_REGISTER, &request);
        reply->hash = request.ioctls;
    } else if (strcmp(name, "uffd_unregister") == 0) {
        reply->result = ioctl(uffd, UFFDIO_UNREGISTER, &range);
    } else if (strcmp(name, "uffd_copy") == 0) {
        struct uffdio_copy request = {
            .dst = start, .src = (uintptr_t)buffer, .len = (uint64_t)a[1], .mode = (uint64_t)a[2]};

        fill(buffer, (size_t)a[1] < BUFFER_MAX ? (size_t)a[1] : BUFFER_MAX, (uint64_t)a[3]);
        reply->result = ioctl(uffd, UFFDIO_COPY, &request);
        reply->hash = (uint64_t)request.copy;
    } else if (strcmp(name, "uffd_zero") == 0) {
        struct uffdio_zeropage request = {.range = range, .mode = (uint64_t)a[2]};

        reply->result = ioctl(uffd, UFFDIO_ZEROPAGE, &request);
        reply->hash = (uint64_t)request.zeropage;
    } else if (strcmp(name, "uffd_protect") == 0) {
        struct uffdio_writeprotect request = {.range = range, .mode = (uint64_t)a[2]};

        reply->result = ioctl(uffd, UFFDIO_WRITEPROTECT, &request);
    } else if (strcmp(name, "uffd_poison") == 0) {
        struct uffdio_poison request = {.range = range, .mode = (uint64_t)a[2]};

        reply->result = ioctl(uffd, UFFDIO_POISON, &request);
        reply->hash = (uint64_t)request.updated;
    } else if (strcmp(name, "uffd_move") == 0) {
        struct uffdio_move request = {.dst = start,
                                      .src = (uintptr_t)ARENA + (uint64_t)a[3],
                                      .len = (uint64_t)a[1],
                                      .mode = (uint64_t)a[2]};

        reply->result = ioctl(uffd, UFFDIO_MOVE, &request);
        reply->hash = (uint64_t)request.move;
    } else if (strcmp(name, "uffd_continue") == 0) {
        struct uffdio_continue request = {.range = range, .mode = (uint64_t)a[2]};

        reply->result = ioctl(uffd, UFFDIO_CONTINUE, &request);
        reply->hash = (uint64_t)request.mapped;
    }
}

#endif
