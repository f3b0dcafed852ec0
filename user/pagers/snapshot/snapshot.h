/*
 * Snapshots of memory that a program goes on writing to. Two ways, for one mapping each:
 *
 * - *At the start*: snapshot_at_start() protects the memory and returns; the image is what the
 *   memory held then. The first write to each page waits until that page has been saved.
 * - *At the end*: snapshot_at_end() copies while the program writes, again and again what it wrote
 *   meanwhile, and asks for a stop only for the little that is left; the image is what the memory
 *   held at that stop. No write ever waits for the pager.
 *
 * README.md compares them.
 */
#ifndef COWBELL_PAGERS_SNAPSHOT_H
#define COWBELL_PAGERS_SNAPSHOT_H

#include <stddef.h>

struct snapshot;

/** struct snapshot_stats - what the snapshot took. */
struct snapshot_stats {
    size_t nr_by_fault;      /* pages saved because a write waited for them */
    size_t nr_in_background; /* pages saved in passing */
    size_t nr_rounds;        /* passes over the memory, the one while it stood included */
    size_t nr_while_stopped; /* pages copied while it stood */
};

/** struct snapshot_stop - how the program is stopped and let go on. */
struct snapshot_stop {
    void (*stop)(void *argument);
    void (*go_on)(void *argument);
    void *argument;
};

/**
 * snapshot_at_start() - begin an image of @nr_pages at @memory, in @image.
 *
 * Nobody may write to the memory during the call. Return: 0, or a negative errno.
 */
int snapshot_at_start(void *memory, size_t nr_pages, void *image, struct snapshot **out);
/** snapshot_finish() - save what is left, and end it. The image is complete. */
struct snapshot_stats snapshot_finish(struct snapshot *snapshot);

/** snapshot_at_end() - the whole of the second way. Return: 0, or a negative errno. */
int snapshot_at_end(void *memory, size_t nr_pages, void *image, const struct snapshot_stop *stop,
                    struct snapshot_stats *stats);

#endif
