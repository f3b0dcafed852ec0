/*
 * The snapshot whose image is the memory as it was at the start: synchronous write-protection.
 *
 * A page is saved by whoever takes it first: the thread that answers faults, or the one that goes
 * through the memory. It is saved while it is protected, and unprotected afterwards, so the image
 * never holds a byte that was written later.
 */
#define _GNU_SOURCE
#include "snapshot.h"
#include "uffd.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

struct snapshot {
    char *memory;
    char *image;
    size_t nr_pages;
    int uffd;
    int stop[2]; /* a pipe: its end of file ends the thread that answers */
    pthread_t answerer;
    pthread_t saver;
    atomic_char *is_taken; /* of each page: somebody saves it */
    struct snapshot_stats stats;
};

/* Return: 1 if this call saved the page. Whoever finds it taken leaves it to the other. */
static int save(struct snapshot *s, size_t page)
{
    if (atomic_exchange(&s->is_taken[page], 1)) {
        return 0;
    }
    memcpy(s->image + page * PAGE, s->memory + page * PAGE, PAGE);
    /* Wakes who waits to write. */
    uffd_unprotect(s->uffd, s->memory + page * PAGE, 1);
    return 1;
}

static void *answer_faults(void *argument)
{
    struct snapshot *s = argument;
    struct pollfd waiting[] = {{s->uffd, POLLIN, 0}, {s->stop[0], POLLIN, 0}};
    struct uffd_msg message;

    while (poll(waiting, 2, -1) >= 0 && waiting[1].revents == 0) {
        if (uffd_read(s->uffd, &message) == UFFD_EVENT_PAGEFAULT) {
            s->stats.nr_by_fault +=
                (size_t)save(s, (message.arg.pagefault.address - (uintptr_t)s->memory) / PAGE);
        }
    }
    return NULL;
}

static void *save_the_rest(void *argument)
{
    struct snapshot *s = argument;

    for (size_t page = 0; page < s->nr_pages; page++) {
        s->stats.nr_in_background += (size_t)save(s, page);
        if (page % 16 == 0) {
            sched_yield(); /* those who wait come first */
        }
    }
    return NULL;
}

static void drop(struct snapshot *s)
{
    close(s->uffd);
    close(s->stop[0]);
    close(s->stop[1]);
    free(s->is_taken);
    free(s);
}

/* Protection of pages that are not there yet needs a place to be kept: WP_UNPOPULATED. */
static int protect(struct snapshot *s)
{
    int error;

    s->uffd = uffd_open(O_CLOEXEC | O_NONBLOCK,
                        UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_UNPOPULATED);
    if (s->uffd < 0) {
        return s->uffd;
    }
    error = uffd_register(s->uffd, s->memory, s->nr_pages, UFFDIO_REGISTER_MODE_WP);
    return error != 0 ? error : uffd_protect(s->uffd, s->memory, s->nr_pages);
}

int snapshot_at_start(void *memory, size_t nr_pages, void *image, struct snapshot **out)
{
    struct snapshot *s = calloc(1, sizeof(*s));
    int error = -ENOMEM;

    if (s == NULL) {
        return error;
    }
    s->memory = memory;
    s->image = image;
    s->nr_pages = nr_pages;
    s->uffd = s->stop[0] = s->stop[1] = -1;
    s->is_taken = calloc(nr_pages, sizeof(*s->is_taken));
    if (s->is_taken != NULL && pipe2(s->stop, O_CLOEXEC) == 0) {
        error = protect(s);
    }
    if (error == 0) {
        error = -pthread_create(&s->answerer, NULL, answer_faults, s);
    }
    if (error != 0) {
        drop(s);
        return error;
    }
    if (pthread_create(&s->saver, NULL, save_the_rest, s) != 0) {
        s->saver = pthread_self();
    }
    *out = s;
    return 0;
}

struct snapshot_stats snapshot_finish(struct snapshot *s)
{
    struct snapshot_stats stats;

    if (pthread_equal(s->saver, pthread_self())) {
        save_the_rest(s);
    } else {
        pthread_join(s->saver, NULL);
    }
    /* The saver has met every page; the answerer may be saving one still. */
    close(s->stop[1]);
    s->stop[1] = -1;
    pthread_join(s->answerer, NULL);
    stats = s->stats;
    stats.nr_rounds = 1;
    drop(s);
    return stats;
}
