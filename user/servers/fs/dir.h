/*
 * Directories of the tree: named entries in an order that stays put.
 *
 * Every entry gets a sequence number that only grows within its directory. Listing goes from the
 * youngest to the oldest, as tmpfs does, and a position is a sequence number: removing entries
 * while somebody lists the directory neither repeats nor loses another entry.
 */
#ifndef FS_DIR_H
#define FS_DIR_H

#include "node.h"

#define DIR_FIRST_POSITION 2u /* 0 is ".", 1 is "..", 2 the youngest entry */
#define DIR_FIRST_SEQUENCE 3u

struct entry {
    struct node *dir;  /* owner; not held: a directory in use outlives its entries */
    struct node *node; /* held */
    struct entry *hash_next;
    uint64_t sequence;
    size_t slot;
    uint32_t hash;
    uint32_t len;
    char name[];
};

/** dir_find() - the entry with this name, or NULL. */
struct entry *dir_find(const struct node *dir, const char *name, size_t len);

/**
 * dir_prepare() - memory for one more entry, so that dir_add() cannot fail.
 * Return: an entry not yet in any directory, or NULL. Free it with dir_discard() if not added.
 */
struct entry *dir_prepare(struct node *dir, const char *name, size_t len);
void dir_discard(struct entry *entry);

/** dir_add() - put a prepared entry in its directory, naming @node; counts links and sizes. */
void dir_add(struct entry *entry, struct node *node);

/** dir_remove() - take an entry out and free it; counts links and sizes. */
void dir_remove(struct entry *entry);

/**
 * dir_exchange() - two entries swap the nodes they name, and become the youngest of their
 * directories, @second the younger. Return: 0 or -ENOSPC, with nothing changed.
 */
int dir_exchange(struct entry *first, struct entry *second);

/** dir_is_empty() - has no entries besides "." and "..". */
static inline bool dir_is_empty(const struct node *dir)
{
    return dir->dir.nr_entries == 0;
}

/** dir_list() - node_ops.list of the tree. */
void dir_list(struct node *dir, uint64_t *position, struct name_sink *sink);

/** dir_release() - free a directory without entries. */
void dir_release(struct node *dir);

#endif
