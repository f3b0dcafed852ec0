/*
 * Post-copy migration: a program's memory moves to another address space while the program runs,
 * first here, then there. Two processes, connected by two pipes:
 *
 * - the *source* has the memory. It sends every page once while its program still runs, then the
 *   program stops, then it says which pages have become stale meanwhile, and sends those on demand;
 * - the *destination* has the same memory in a file of memory that is mapped twice. The program
 *   runs in one mapping, where what is not there faults; the pages are written through the other.
 *
 * README.md has the picture.
 */
#ifndef COWBELL_PAGERS_MIGRATE_H
#define COWBELL_PAGERS_MIGRATE_H

#include <stddef.h>
#include <stdint.h>

/** struct link - one side's ends of the pipes. */
struct link {
    int in;
    int out;
};

enum { MIGRATE_PAGE = 4096, MIGRATE_MAX_PAGES = 4096 };

/* ---- the source ---- */

/**
 * source_begin() - send every page once, while the program goes on writing to them.
 *
 * Return: a descriptor that knows what is written from now on, or a negative errno.
 */
int source_begin(const struct link *link, const void *memory, size_t nr_pages);
/**
 * source_serve() - the program has stopped: tell what is stale, and answer until all has been sent.
 * @watch: of source_begin(); it is closed
 *
 * Return: how many pages were stale, or a negative errno.
 */
long source_serve(const struct link *link, int watch, const void *memory, size_t nr_pages);

/* ---- the destination ---- */

struct destination;

/** struct destination_stats - how the pages arrived. */
struct destination_stats {
    size_t nr_before;        /* sent while the program still ran at the source */
    size_t nr_stale;         /* of those, written there afterwards */
    size_t nr_on_demand;     /* of those, fetched because the program touched them */
    size_t nr_in_background; /* and fetched in passing */
};

/** destination_begin() - take what source_begin() sends. Return: 0, or a negative errno. */
int destination_begin(const struct link *link, size_t nr_pages, struct destination **out);
/**
 * destination_run() - from now on the program may run here.
 *
 * Return: the memory, or NULL. Call it when source_serve() has been or will be called there.
 */
void *destination_run(struct destination *destination);
/** destination_fetch_rest() - and fetch in passing what it does not touch. Return: 0, or an errno.
 */
int destination_fetch_rest(struct destination *destination);
/** destination_finish() - after destination_fetch_rest(): wait until everything is here. The memory
 * stays mapped. */
struct destination_stats destination_finish(struct destination *destination);

#endif
