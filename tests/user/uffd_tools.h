/*
 * For the tests of userfaultfd: memory of each kind, what /proc/self/pagemap says about a page, and
 * threads that touch one. The commands are in user/lib/uffd.h.
 */
#ifndef COWBELL_TESTS_UFFD_TOOLS_H
#define COWBELL_TESTS_UFFD_TOOLS_H

#include "await.h"
#include "pagemap.h"
#include "uffd.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum memory { ANON, SHMEM_PRIVATE, SHMEM_SHARED, NR_MEMORIES };

/** struct region - memory of one kind; a file behind it is mapped a second time at @other. */
struct region {
    char *p;
    char *other;
    int fd;
    size_t nr_pages;
};

static inline char *map_anonymous(size_t nr_pages)
{
    return mmap(NULL, nr_pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/** region_make() - @nr_pages of memory that nothing has touched; a file behind it is all hole. */
static inline struct region region_make(enum memory memory, size_t nr_pages)
{
    struct region r = {.fd = -1, .nr_pages = nr_pages};

    if (memory == ANON) {
        r.p = map_anonymous(nr_pages);
        return r;
    }
    r.fd = memfd_create("region", MFD_CLOEXEC);
    if (r.fd < 0 || ftruncate(r.fd, (off_t)(nr_pages * PAGE)) != 0) {
        perror("region_make");
        return r;
    }
    r.p = mmap(NULL, nr_pages * PAGE, RW, memory == SHMEM_PRIVATE ? MAP_PRIVATE : MAP_SHARED, r.fd,
               0);
    r.other = mmap(NULL, nr_pages * PAGE, RW, MAP_SHARED, r.fd, 0);
    return r;
}

static inline void region_drop(struct region *r)
{
    munmap(r->p, r->nr_pages * PAGE);
    if (r->fd >= 0) {
        munmap(r->other, r->nr_pages * PAGE);
        close(r->fd);
    }
}

/** fill_page() - a page that tells where it is from: @seed in every word, mixed with its index. */
static inline void fill_page(void *page, uint64_t seed)
{
    uint64_t *words = page;

    for (size_t i = 0; i < PAGE / sizeof(*words); i++) {
        words[i] = seed * 0x9e3779b97f4a7c15ull + i;
    }
}

/** page_is() - the page holds what fill_page() with this seed puts there. */
static inline int page_is(const void *page, uint64_t seed)
{
    const volatile uint64_t *words = page;

    for (size_t i = 0; i < PAGE / sizeof(*words); i++) {
        if (words[i] != seed * 0x9e3779b97f4a7c15ull + i) {
            return 0;
        }
    }
    return 1;
}

/** filled_page() - a page of the program's own, filled with @seed; the next call refills it. */
static inline void *filled_page(uint64_t seed)
{
    static char page[4096] __attribute__((aligned(4096)));

    fill_page(page, seed);
    return page;
}

static inline int page_is_protected(const void *p)
{
    return (pagemap_entry(p) & PM_UFFD_WP) != 0;
}

static inline int page_is_present(const void *p)
{
    return (pagemap_entry(p) & PM_PRESENT) != 0;
}

/* ------------------------------------------------------------------------------------------------
 * Threads that touch a page
 */

enum touch { TOUCH_READ, TOUCH_WRITE };

/** struct toucher - a thread that reads or writes one byte, and that it is through. */
struct toucher {
    pthread_t thread;
    volatile char *address;
    enum touch touch;
    char value; /* what is written, or what was read */
    atomic_int is_through;
    atomic_int tid;
};

static inline void *toucher_run(void *argument)
{
    struct toucher *t = argument;

    t->tid = (int)syscall(SYS_gettid);
    if (t->touch == TOUCH_WRITE) {
        *t->address = t->value;
    } else {
        t->value = *t->address;
    }
    t->is_through = 1;
    return NULL;
}

static inline void toucher_start(struct toucher *t, void *address, enum touch touch, char value)
{
    memset(t, 0, sizeof(*t));
    t->address = address;
    t->touch = touch;
    t->value = value;
    if (pthread_create(&t->thread, NULL, toucher_run, t) != 0) {
        perror("toucher_start");
    }
}

static inline void toucher_join(struct toucher *t)
{
    pthread_join(t->thread, NULL);
}

/** toucher_await_sleep() - until the thread sleeps in its fault, which has been told of. */
static inline int toucher_await_sleep(const struct toucher *t)
{
    return await_thread(&t->tid, AWAIT_FAULT);
}

/** uffd_await_pending() - until so many faults wait that nobody has read. */
static inline void uffd_await_pending(int fd, int nr)
{
    char path[64];
    char text[256];
    const char *pending;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    do {
        sched_yield();
        read_small_file(path, text, sizeof(text));
        pending = strstr(text, "pending:");
    } while (pending == NULL || atoi(pending + strlen("pending:")) < nr);
}

/** give_way() - let every other thread come as far as it can come now. */
static inline void give_way(void)
{
    for (int i = 0; i < 50; i++) {
        sched_yield();
    }
}

#endif
