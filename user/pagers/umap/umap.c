/*
 * The pager of umap.h: one table of pages, one lock, and threads that all run serve().
 *
 * A page is OUT, CLEAN (resident, write-protected), DIRTY (resident, writable), or BUSY: one thread
 * is bringing it in or putting it out, without the lock. Rules:
 *
 * - U1. Whoever makes a page BUSY gives it its next state and then wakes everybody at the page.
 *   So a message about a BUSY page needs no answer: its thread will ask again if it must.
 * - U2. A page goes out protected: DIRTY is protected first, so that no write is lost between the
 *   copy in the file and the end of the page in memory.
 * - U3. A page is written once for each time it became dirty.
 * - U4. No more than nr_resident pages are CLEAN, DIRTY or BUSY.
 *
 * The page that goes out is the one whose last fault is longest ago: the program's reads and writes
 * of resident pages are not seen, which is the price of not interrupting them.
 */
#define _GNU_SOURCE
#include "umap.h"
#include "uffd.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

enum page_state { OUT, CLEAN, DIRTY, BUSY };

/* A page of the file, linked with the others that are CLEAN or DIRTY by the age of their faults. */
struct page {
    enum page_state state;
    struct page *older;
    struct page *newer;
};

struct umap {
    struct umap_config config;
    char *memory;
    int uffd;
    pthread_mutex_t lock;       /* of everything below */
    pthread_cond_t has_changed; /* a page is BUSY no more */
    struct page *pages;
    struct page *oldest;
    struct page *newest;
    struct umap_stats stats;
    pthread_t pagers[UMAP_MAX_PAGERS];
    int nr_started;
    int stop[2]; /* a pipe: its end of file ends the pager threads */
};

static char *address_of(const struct umap *map, const struct page *page)
{
    return map->memory + (size_t)(page - map->pages) * PAGE;
}

static off_t offset_of(const struct umap *map, const struct page *page)
{
    return (off_t)((size_t)(page - map->pages) * PAGE);
}

static void note_error(struct umap *map, bool has_failed)
{
    if (has_failed) {
        __atomic_fetch_add(&map->stats.nr_errors, 1, __ATOMIC_RELAXED);
    }
}

/* --- age; with the lock ----------------------------------------------------------------------- */

static void unlink_page(struct umap *map, struct page *page)
{
    *(page->older != NULL ? &page->older->newer : &map->oldest) = page->newer;
    *(page->newer != NULL ? &page->newer->older : &map->newest) = page->older;
    page->older = page->newer = NULL;
}

static void link_as_newest(struct umap *map, struct page *page)
{
    page->older = map->newest;
    page->newer = NULL;
    *(map->newest != NULL ? &map->newest->newer : &map->oldest) = page;
    map->newest = page;
}

/* --- BUSY pages; the lock is let go of -------------------------------------------------------- */

/* U1: whoever touched the page meanwhile waits still. With the lock. */
static void no_longer_busy(struct umap *map, struct page *page)
{
    pthread_cond_broadcast(&map->has_changed);
    note_error(map, uffd_wake(map->uffd, address_of(map, page), 1) != 0);
}

/* Protect, write, and tell whether it worked. The pager's own write(2) reads the page like any
 * other program's: it is there, so nobody is asked, and its protection concerns writers only. */
static void write_out(struct umap *map, struct page *page)
{
    char *p = address_of(map, page);

    note_error(map, uffd_protect(map->uffd, p, 1) != 0);
    note_error(map, pwrite(map->config.fd, p, PAGE, offset_of(map, page)) != (ssize_t)PAGE);
}

/* Makes room for one page, which is the caller's then. Lets go of the lock meanwhile. */
static void evict_oldest(struct umap *map)
{
    struct page *page = map->oldest;
    char *p = address_of(map, page);
    bool is_dirty = page->state == DIRTY;

    unlink_page(map, page);
    page->state = BUSY;
    map->stats.nr_evicted++;
    map->stats.nr_written += is_dirty;
    pthread_mutex_unlock(&map->lock);
    if (is_dirty) {
        write_out(map, page);
    }
    note_error(map, madvise(p, PAGE, MADV_DONTNEED) != 0);
    pthread_mutex_lock(&map->lock);
    page->state = OUT;
    no_longer_busy(map, page);
}

/* Brings a page in, for a fault that reads or writes. With the lock, which it lets go of. */
static void bring_in(struct umap *map, struct page *page, bool is_write)
{
    char buffer[4096] __attribute__((aligned(4096)));
    char *p = address_of(map, page);
    ssize_t n;

    page->state = BUSY;
    while (map->stats.nr_resident == map->config.nr_resident && map->oldest == NULL) {
        pthread_cond_wait(&map->has_changed, &map->lock);
    }
    if (map->stats.nr_resident == map->config.nr_resident) {
        evict_oldest(map);
    } else {
        map->stats.nr_resident++;
    }
    if (map->stats.most_resident < map->stats.nr_resident) {
        map->stats.most_resident = map->stats.nr_resident;
    }
    pthread_mutex_unlock(&map->lock);
    n = pread(map->config.fd, buffer, PAGE, offset_of(map, page));
    memset(buffer + (n > 0 ? n : 0), 0, PAGE - (size_t)(n > 0 ? n : 0));
    note_error(map, n < 0);
    /* Nobody goes on before the state says what the page is: a write fault would find it BUSY. */
    note_error(map,
               uffd_copy(map->uffd, p, buffer, 1,
                         UFFDIO_COPY_MODE_DONTWAKE | (is_write ? 0 : UFFDIO_COPY_MODE_WP)) != 0);
    pthread_mutex_lock(&map->lock);
    page->state = is_write ? DIRTY : CLEAN;
    map->stats.nr_read++;
    map->stats.nr_dirtied += is_write;
    link_as_newest(map, page);
    no_longer_busy(map, page);
}

/* --- messages --------------------------------------------------------------------------------- */

static void handle_missing(struct umap *map, struct page *page, bool is_write)
{
    if (page->state == OUT) {
        bring_in(map, page, is_write);
    } else if (page->state != BUSY) {
        /* Asked before the page came. */
        note_error(map, uffd_wake(map->uffd, address_of(map, page), 1) != 0);
    }
}

static void handle_write(struct umap *map, struct page *page)
{
    if (page->state == CLEAN) {
        page->state = DIRTY;
        map->stats.nr_dirtied++;
        unlink_page(map, page);
        link_as_newest(map, page);
    }
    if (page->state == DIRTY) {
        note_error(map, uffd_unprotect(map->uffd, address_of(map, page), 1) != 0);
    } else if (page->state == OUT) {
        note_error(map, uffd_wake(map->uffd, address_of(map, page), 1) != 0);
    }
}

static void handle(struct umap *map, const struct uffd_msg *message)
{
    uint64_t flags = message->arg.pagefault.flags;
    struct page *page =
        &map->pages[(message->arg.pagefault.address - (uintptr_t)map->memory) / PAGE];

    pthread_mutex_lock(&map->lock);
    if (flags & UFFD_PAGEFAULT_FLAG_WP) {
        handle_write(map, page);
    } else {
        handle_missing(map, page, (flags & UFFD_PAGEFAULT_FLAG_WRITE) != 0);
    }
    pthread_mutex_unlock(&map->lock);
}

static void *serve(void *argument)
{
    struct umap *map = argument;
    struct pollfd waiting[] = {{map->uffd, POLLIN, 0}, {map->stop[0], POLLIN, 0}};
    struct uffd_msg message;

    while (poll(waiting, 2, -1) >= 0 && waiting[1].revents == 0) {
        /* Another pager thread may have been faster: then there is nothing to read. */
        if (uffd_read(map->uffd, &message) == UFFD_EVENT_PAGEFAULT) {
            handle(map, &message);
        }
    }
    return NULL;
}

/* --- open and close --------------------------------------------------------------------------- */

static int start_pagers(struct umap *map)
{
    int error = 0;

    while (error == 0 && map->nr_started < map->config.nr_pagers) {
        error = pthread_create(&map->pagers[map->nr_started], NULL, serve, map);
        map->nr_started += error == 0;
    }
    return -error;
}

static int map_memory(struct umap *map)
{
    size_t nr_pages = map->config.nr_pages;

    map->memory = mmap(NULL, nr_pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map->memory == MAP_FAILED) {
        map->memory = NULL;
        return -ENOMEM;
    }
    /* A page comes and goes by itself. */
    madvise(map->memory, nr_pages * PAGE, MADV_NOHUGEPAGE);
    map->uffd = uffd_open(O_CLOEXEC | O_NONBLOCK, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    if (map->uffd < 0) {
        return map->uffd;
    }
    return uffd_register(map->uffd, map->memory, nr_pages,
                         UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP);
}

static void end_pagers(struct umap *map)
{
    close(map->stop[1]);
    for (int i = 0; i < map->nr_started; i++) {
        pthread_join(map->pagers[i], NULL);
    }
    close(map->stop[0]);
}

static void release(struct umap *map)
{
    close(map->uffd);
    if (map->memory != NULL) {
        munmap(map->memory, map->config.nr_pages * PAGE);
    }
    free(map->pages);
    free(map);
}

int umap_open(const struct umap_config *config, struct umap **out)
{
    struct umap *map;
    int error;

    if (config->nr_pages == 0 || config->nr_pagers < 1 || config->nr_pagers > UMAP_MAX_PAGERS ||
        config->nr_resident <= (size_t)config->nr_pagers) {
        return -EINVAL;
    }
    map = calloc(1, sizeof(*map));
    if (map == NULL) {
        return -ENOMEM;
    }
    map->config = *config;
    map->uffd = map->stop[0] = map->stop[1] = -1;
    map->pages = calloc(config->nr_pages, sizeof(*map->pages));
    pthread_mutex_init(&map->lock, NULL);
    pthread_cond_init(&map->has_changed, NULL);
    error = map->pages == NULL || pipe2(map->stop, O_CLOEXEC) != 0 ? -ENOMEM : map_memory(map);
    if (error == 0) {
        error = start_pagers(map);
    }
    if (error != 0) {
        end_pagers(map);
        release(map);
        return error;
    }
    *out = map;
    return 0;
}

void *umap_memory(const struct umap *map)
{
    return map->memory;
}

void umap_flush(struct umap *map)
{
    pthread_mutex_lock(&map->lock);
    for (size_t i = 0; i < map->config.nr_pages; i++) {
        struct page *page = &map->pages[i];

        while (page->state == BUSY) {
            pthread_cond_wait(&map->has_changed, &map->lock);
        }
        if (page->state != DIRTY) {
            continue;
        }
        unlink_page(map, page);
        page->state = BUSY;
        map->stats.nr_written++;
        pthread_mutex_unlock(&map->lock);
        write_out(map, page);
        pthread_mutex_lock(&map->lock);
        page->state = CLEAN;
        link_as_newest(map, page);
        no_longer_busy(map, page);
    }
    pthread_mutex_unlock(&map->lock);
}

struct umap_stats umap_get_stats(struct umap *map)
{
    struct umap_stats stats;

    pthread_mutex_lock(&map->lock);
    stats = map->stats;
    pthread_mutex_unlock(&map->lock);
    return stats;
}

/* A pager thread may still hold a message that somebody else's wake-up has answered, and bring in a
 * page for it. Only without pager threads what is counted is final. */
struct umap_stats umap_close(struct umap *map)
{
    struct umap_stats stats;

    end_pagers(map);
    umap_flush(map);
    stats = umap_get_stats(map);
    release(map);
    return stats;
}
