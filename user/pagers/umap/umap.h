/*
 * umap: memory that is larger than memory. A file appears as memory of the process; at most so many
 * of its pages are resident, and pager threads of the process bring in and write out the others
 * through userfaultfd.
 *
 *     struct umap *map;
 *     struct umap_config config = {.fd = fd, .nr_pages = 4096, .nr_resident = 512, .nr_pagers = 2};
 *
 *     if (umap_open(&config, &map) == 0) {
 *         uint64_t *numbers = umap_memory(map);
 *         ...
 *         umap_close(map);
 *     }
 *
 * The file is not to be changed otherwise meanwhile. README.md explains how it works.
 */
#ifndef COWBELL_PAGERS_UMAP_H
#define COWBELL_PAGERS_UMAP_H

#include <stddef.h>
#include <stdint.h>

/** struct umap_config - what is mapped and with how much memory. */
struct umap_config {
    int fd; /* the caller's; it stays open until umap_close() */
    size_t nr_pages;
    size_t nr_resident; /* at most so many pages in memory; at least one more than nr_pagers */
    int nr_pagers;      /* threads that serve, 1 to UMAP_MAX_PAGERS */
};

#define UMAP_MAX_PAGERS 16

/** struct umap_stats - what has been done so far. */
struct umap_stats {
    uint64_t nr_read;     /* pages brought in */
    uint64_t nr_written;  /* pages written out */
    uint64_t nr_dirtied;  /* times that a clean page became dirty */
    uint64_t nr_evicted;  /* pages that made room */
    size_t nr_resident;   /* now */
    size_t most_resident; /* ever */
    uint64_t nr_errors;   /* reads and writes of the file that failed, commands that did */
};

struct umap;

/** umap_open() - Return: 0, or a negative errno: ENOMEM, EINVAL, or what userfaultfd(2) said. */
int umap_open(const struct umap_config *config, struct umap **out);
/** umap_memory() - the first byte of config->nr_pages pages. */
void *umap_memory(const struct umap *map);
/** umap_flush() - write out every page that is dirty; it stays resident, clean. */
void umap_flush(struct umap *map);
/** umap_get_stats() - a consistent copy. */
struct umap_stats umap_get_stats(struct umap *map);
/** umap_close() - end the pager threads, flush, unmap. Nobody may touch the memory any more.
 * Return: all that was done. */
struct umap_stats umap_close(struct umap *map);

#endif
