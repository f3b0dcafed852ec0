/*
 * The side that the program comes to. Its memory is a file of memory, mapped twice: `active`, where
 * the program runs and where every page that is not mapped yet faults, and `back`, where the pages
 * are written. A page that is in the file and up to date makes a minor fault, answered by
 * UFFDIO_CONTINUE alone; a stale one is fetched, written through `back`, and then continued.
 *
 * A page becomes HERE once, under the lock, so that a page that the program has begun to change is
 * never overwritten by a late answer.
 */
#define _GNU_SOURCE
#include "migrate.h"
#include "uffd.h"
#include "wire.h"

#include <pthread.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/mman.h>

struct destination {
    struct link link;
    size_t nr_pages;
    char *active;
    char *back;
    int uffd;
    int stop[2];
    pthread_t answerer;
    pthread_t fetcher;
    pthread_mutex_t lock; /* of the pipes, the map and the numbers */
    char is_stale[MIGRATE_MAX_PAGES];
    struct destination_stats stats;
};

static size_t len_of(const struct destination *d)
{
    return d->nr_pages * PAGE;
}

int destination_begin(const struct link *link, size_t nr_pages, struct destination **out)
{
    struct destination *d = calloc(1, sizeof(*d));
    struct page_record record;
    int error = 0;
    int fd;

    if (d == NULL) {
        return -ENOMEM;
    }
    d->link = *link;
    d->nr_pages = nr_pages;
    pthread_mutex_init(&d->lock, NULL);
    fd = memfd_create("migrated", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)len_of(d)) != 0) {
        free(d);
        return -errno;
    }
    d->active = mmap(NULL, len_of(d), RW, MAP_SHARED, fd, 0);
    d->back = mmap(NULL, len_of(d), RW, MAP_SHARED, fd, 0);
    close(fd);
    if (d->active == MAP_FAILED || d->back == MAP_FAILED) {
        error = -ENOMEM;
    }
    for (size_t i = 0; error == 0 && i < nr_pages; i++) {
        error = wire_read(link->in, &record, sizeof(record));
        memcpy(d->back + (size_t)record.number * PAGE, record.bytes, PAGE);
        d->stats.nr_before++;
    }
    *out = d;
    return error;
}

/* With the lock. Return: 1 if the page had to be fetched and now is HERE. */
static size_t fetch(struct destination *d, uint32_t number)
{
    struct page_record record;

    if (!d->is_stale[number] || wire_write(d->link.out, &number, sizeof(number)) != 0 ||
        wire_read(d->link.in, &record, sizeof(record)) != 0) {
        return 0;
    }
    memcpy(d->back + (size_t)number * PAGE, record.bytes, PAGE);
    d->is_stale[number] = 0;
    return 1;
}

/* Maps the page where the program runs. Somebody else may have done that: all the same, whoever
 * waits is to look again. */
static void let_through(struct destination *d, uint32_t number)
{
    char *p = d->active + (size_t)number * PAGE;

    if (uffd_continue(d->uffd, p, 1, 0) == -EEXIST) {
        uffd_wake(d->uffd, p, 1);
    }
}

static void *answer_faults(void *argument)
{
    struct destination *d = argument;
    struct pollfd waiting[] = {{d->uffd, POLLIN, 0}, {d->stop[0], POLLIN, 0}};
    struct uffd_msg message;

    while (poll(waiting, 2, -1) >= 0 && waiting[1].revents == 0) {
        if (uffd_read(d->uffd, &message) == UFFD_EVENT_PAGEFAULT) {
            uint32_t number =
                (uint32_t)((message.arg.pagefault.address - (uintptr_t)d->active) / PAGE);

            pthread_mutex_lock(&d->lock);
            d->stats.nr_on_demand += fetch(d, number);
            pthread_mutex_unlock(&d->lock);
            let_through(d, number);
        }
    }
    return NULL;
}

static void *fetch_the_rest(void *argument)
{
    struct destination *d = argument;

    for (uint32_t i = 0; i < d->nr_pages; i++) {
        pthread_mutex_lock(&d->lock);
        d->stats.nr_in_background += fetch(d, i);
        pthread_mutex_unlock(&d->lock);
        let_through(d, i);
        sched_yield(); /* those who wait come first */
    }
    return NULL;
}

static int watch_active(struct destination *d)
{
    d->uffd = uffd_open(O_CLOEXEC | O_NONBLOCK, UFFD_FEATURE_MINOR_SHMEM);
    if (d->uffd < 0) {
        return d->uffd;
    }
    return uffd_register(d->uffd, d->active, d->nr_pages, UFFDIO_REGISTER_MODE_MINOR);
}

void *destination_run(struct destination *d)
{
    if (wire_read(d->link.in, d->is_stale, d->nr_pages) != 0 || pipe2(d->stop, O_CLOEXEC) != 0 ||
        watch_active(d) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < d->nr_pages; i++) {
        d->stats.nr_stale += (size_t)d->is_stale[i];
    }
    return pthread_create(&d->answerer, NULL, answer_faults, d) == 0 ? d->active : NULL;
}

int destination_fetch_rest(struct destination *d)
{
    return -pthread_create(&d->fetcher, NULL, fetch_the_rest, d);
}

struct destination_stats destination_finish(struct destination *d)
{
    struct destination_stats stats;
    uint32_t all_here = ALL_HERE;

    /* When the fetcher is through, every page is mapped: no fault comes any more. */
    pthread_join(d->fetcher, NULL);
    close(d->stop[1]);
    pthread_join(d->answerer, NULL);
    close(d->stop[0]);
    wire_write(d->link.out, &all_here, sizeof(all_here));
    close(d->uffd);
    munmap(d->back, len_of(d));
    stats = d->stats;
    free(d);
    return stats;
}
