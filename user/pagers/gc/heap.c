/*
 * The two generations of heap.h. Both grow by one pointer. A collection copies what is reachable of
 * the young generation behind the old one's end, and begins the young one anew.
 *
 * It starts from the roots and from the references in dirty cards. G1: a card that is clean holds
 * no reference to a young object, for the collection that cleaned it left no young object, and who
 * has written to it since has made it dirty.
 */
#define _GNU_SOURCE
#include "heap.h"
#include "pagemap_scan.h"
#include "uffd.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { NR_RUNS = 32, PER_CARD = 4096 / sizeof(struct object) };

struct heap {
    struct object *old;
    struct object *young;
    size_t old_pages;
    size_t young_pages;
    size_t nr_old;   /* objects; behind them nothing was ever written */
    size_t nr_young; /* objects */
    int uffd;
    bool checks;
    bool is_full;
    struct object *roots[HEAP_NR_ROOTS];
    struct heap_stats stats;
};

static struct object *map(size_t nr_pages)
{
    void *p = mmap(NULL, nr_pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        return NULL;
    }
    madvise(p, nr_pages * PAGE, MADV_NOHUGEPAGE);
    return p;
}

static int watch(struct heap *heap)
{
    int error;

    heap->uffd = uffd_open(O_CLOEXEC, UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_ASYNC);
    if (heap->uffd < 0) {
        return heap->uffd;
    }
    error = uffd_register(heap->uffd, heap->old, heap->old_pages, UFFDIO_REGISTER_MODE_WP);
    return error != 0 ? error : uffd_protect(heap->uffd, heap->old, heap->old_pages);
}

int heap_create(size_t old_pages, size_t young_pages, struct heap **out)
{
    struct heap *heap = calloc(1, sizeof(*heap));
    int error = -ENOMEM;

    if (heap == NULL) {
        return error;
    }
    heap->uffd = -1;
    heap->old_pages = old_pages;
    heap->young_pages = young_pages;
    heap->old = map(old_pages);
    heap->young = map(young_pages);
    if (heap->old != NULL && heap->young != NULL) {
        error = watch(heap);
    }
    if (error != 0) {
        heap_destroy(heap);
        return error;
    }
    *out = heap;
    return 0;
}

void heap_destroy(struct heap *heap)
{
    if (heap->uffd >= 0) {
        close(heap->uffd);
    }
    if (heap->old != NULL) {
        munmap(heap->old, heap->old_pages * PAGE);
    }
    if (heap->young != NULL) {
        munmap(heap->young, heap->young_pages * PAGE);
    }
    free(heap);
}

struct object *heap_new(struct heap *heap, uint64_t value)
{
    struct object *object;

    if (heap->nr_young == heap->young_pages * PER_CARD) {
        heap_collect(heap);
    }
    if (heap->is_full) {
        return NULL;
    }
    object = &heap->young[heap->nr_young++];
    *object = (struct object){.value = value};
    return object;
}

struct object **heap_root(struct heap *heap, size_t number)
{
    return &heap->roots[number];
}

static bool is_young(const struct heap *heap, const struct object *object)
{
    return object >= heap->young && object < heap->young + heap->young_pages * PER_CARD;
}

/* If the reference is to a young object, make it one to where that is promoted to. */
static void promote(struct heap *heap, struct object **ref)
{
    struct object *object = *ref;

    if (!is_young(heap, object)) {
        return;
    }
    if (object->moved_to == NULL) {
        if (heap->nr_old == heap->old_pages * PER_CARD) {
            heap->is_full = true;
            return;
        }
        object->moved_to = &heap->old[heap->nr_old++];
        *object->moved_to = *object;
        object->moved_to->moved_to = NULL;
        heap->stats.nr_promoted++;
    }
    *ref = object->moved_to;
}

static void promote_refs(struct heap *heap, struct object *object)
{
    promote(heap, &object->refs[0]);
    promote(heap, &object->refs[1]);
}

static void look_at_cards(struct heap *heap, struct object *from, struct object *to)
{
    for (struct object *object = from; object < to; object++) {
        promote_refs(heap, object);
    }
}

static size_t nr_cards(const struct heap *heap)
{
    return (heap->nr_old + PER_CARD - 1) / PER_CARD;
}

/* Every run of dirty cards below the old generation's end. */
static void look_at_dirty_cards(struct heap *heap)
{
    size_t nr = nr_cards(heap);
    struct object *end = heap->old + heap->nr_old;
    size_t card = 0;

    while (card < nr) {
        struct page_region runs[NR_RUNS];
        long n = scan_written((char *)heap->old + card * PAGE, nr - card, runs, NR_RUNS, 0);

        for (long i = 0; i < n; i++) {
            struct object *from = (struct object *)(uintptr_t)runs[i].start;
            struct object *to = (struct object *)(uintptr_t)runs[i].end;

            heap->stats.nr_cards += (runs[i].end - runs[i].start) / PAGE;
            look_at_cards(heap, from, to < end ? to : end);
            card = (runs[i].end - (uintptr_t)heap->old) / PAGE;
        }
        if (n < NR_RUNS) {
            break;
        }
    }
}

/* What the barrier must never miss: a reference to a young object in a card that is clean. */
static void check_all_cards(struct heap *heap, size_t nr_objects)
{
    for (size_t i = 0; i < nr_objects; i++) {
        heap->stats.nr_missed +=
            is_young(heap, heap->old[i].refs[0]) + is_young(heap, heap->old[i].refs[1]);
    }
}

void heap_collect(struct heap *heap)
{
    size_t nr_before = heap->nr_old;

    heap->stats.nr_collections++;
    heap->stats.nr_cards_ever += nr_cards(heap);
    for (size_t i = 0; i < HEAP_NR_ROOTS; i++) {
        promote(heap, &heap->roots[i]);
    }
    look_at_dirty_cards(heap);
    if (heap->checks) {
        check_all_cards(heap, nr_before);
    }
    /* What was promoted refers to young objects itself; that promotes more, and so on. */
    for (size_t i = nr_before; i < heap->nr_old; i++) {
        promote_refs(heap, &heap->old[i]);
    }
    heap->nr_young = 0;
    /* No young object is left: every card is clean, those just written too. */
    uffd_protect(heap->uffd, heap->old, heap->old_pages);
}

struct heap_stats heap_get_stats(const struct heap *heap)
{
    return heap->stats;
}

void heap_check_barrier(struct heap *heap)
{
    heap->checks = true;
}
