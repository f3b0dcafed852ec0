/* What the programs share that look at memory from outside: /proc/pid/{maps,smaps,pagemap,...}. */
#ifndef COWBELL_TESTS_INSPECT_H
#define COWBELL_TESTS_INSPECT_H

#include "pagemap.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PAGE ((size_t)4096)
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

#define IS_WRITTEN    (1u << 1)
#define IS_FILE       (1u << 2)
#define IS_PRESENT    (1u << 3)
#define IS_ZERO       (1u << 5)
#define IS_SOFT_DIRTY (1u << 7)

struct region {
    uint64_t start, end, categories;
};

struct scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t inverted, mask, anyof, returned;
};

#define SCAN _IOWR('f', 16, struct scan)

/* Small pages only, so that both systems map alike. */
static inline char *map(size_t nr_pages)
{
    char *p = mmap(NULL, nr_pages * PAGE, RW, ANON, -1, 0);

    if (p == MAP_FAILED) {
        return NULL;
    }
    madvise(p, nr_pages * PAGE, MADV_NOHUGEPAGE);
    return p;
}

static inline int new_memfd(size_t size)
{
    int fd = memfd_create("inspected", 0);

    return fd >= 0 && ftruncate(fd, (off_t)size) == 0 ? fd : -1;
}

/* Two pages of a private mapping next to nothing alike: a mapping of its own in maps. */
static inline char *map_alone(size_t nr_pages, int prot)
{
    char *room = mmap(NULL, (nr_pages + 2) * PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (room == MAP_FAILED) {
        return NULL;
    }
    return mmap(room + PAGE, nr_pages * PAGE, prot, ANON | MAP_FIXED, -1, 0);
}

static inline int is_soft_dirty(const void *address)
{
    return (pagemap_entry(address) & PM_SOFT_DIRTY) != 0;
}

static inline void clear_refs(const char *request)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY);

    EXPECT_EQ((long)strlen(request), write(fd, request, strlen(request)));
    close(fd);
}

/* The value of a field of the mapping at an address, in KiB; -1 if there is none. */
static inline long smaps_kib(const void *address, const char *field)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    int is_there = 0;
    long value = -1;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        unsigned long start, end;

        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            is_there = (uintptr_t)address >= start && (uintptr_t)address < end;
        } else if (is_there && strncmp(line, field, strlen(field)) == 0) {
            value = strtol(line + strlen(field), NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return value;
}

#endif
