/*
 * A heap with two generations whose write barrier costs the program nothing but page faults: which
 * old objects may point to young ones is found by asynchronous write-protection of the old
 * generation. A page of it is a card; a card is dirty if it was written since the last collection.
 *
 * README.md explains generations, cards and barriers.
 */
#ifndef COWBELL_PAGERS_HEAP_H
#define COWBELL_PAGERS_HEAP_H

#include <stddef.h>
#include <stdint.h>

/** struct object - 32 bytes: two references, what the program keeps in it, and the heap's mark. */
struct object {
    struct object *refs[2];
    uint64_t value;
    struct object *moved_to; /* the heap's: where a young object is now, NULL otherwise */
};

/** struct heap_stats - what the collections took. */
struct heap_stats {
    uint64_t nr_collections;
    uint64_t nr_cards;      /* that were looked at, in all collections */
    uint64_t nr_cards_ever; /* that would have been without a barrier */
    uint64_t nr_promoted;   /* objects that moved to the old generation */
    uint64_t nr_missed;     /* references that only a look at every card found: never any */
};

struct heap;

/**
 * heap_create() - @old_pages and @young_pages of memory.
 *
 * Return: 0, or a negative errno.
 */
int heap_create(size_t old_pages, size_t young_pages, struct heap **out);
void heap_destroy(struct heap *heap);

/**
 * heap_new() - a young object without references; collects if the young generation is full.
 *
 * A collection moves young objects: the program finds them again through its roots only.
 * Return: the object, or NULL if the old generation is full.
 */
struct object *heap_new(struct heap *heap, uint64_t value);
/** heap_root() - the place of a root: a reference of the program's that a collection knows. */
struct object **heap_root(struct heap *heap, size_t number);
#define HEAP_NR_ROOTS 64

/** heap_collect() - promote every young object that is reachable; forget the others. */
void heap_collect(struct heap *heap);
struct heap_stats heap_get_stats(const struct heap *heap);
/** heap_check_barrier() - from now on every collection looks at all cards too, and compares. */
void heap_check_barrier(struct heap *heap);

#endif
