/*
 * Sparse arrays: u64 index to pointer, 64 slots a node, as high as the largest index needs.
 *
 * The tree has no lock; its owner's lock protects it, but for radix_peek(). Nodes come from a slab
 * cache, so inserting may sleep or fail. A stored pointer is never NULL.
 */
#ifndef LIB_RADIX_H
#define LIB_RADIX_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <proc/seqcount.h>

#define RADIX_SHIFT 6
#define RADIX_SLOTS (1UL << RADIX_SHIFT)

struct radix_node;

struct radix {
    struct radix_node *root;
    /* Levels of nodes; 0 while empty. */
    u32 height;
    /* Nodes allocated, for the leak check and memory accounting. */
    u32 nr_nodes;
    u64 nr_entries;
    /* Odd while nodes leave the tree or its height changes. */
    struct seqcount shape;
};

#define RADIX_INIT                                                                                 \
    {                                                                                              \
        .root = NULL                                                                               \
    }

/**
 * radix_lib_init() - create the node cache; once, after slab_init().
 */
void radix_lib_init(void);

/**
 * radix_init() - make an empty tree.
 */
void radix_init(struct radix *tree);

/**
 * radix_lookup() - the pointer at an index, or NULL.
 */
void *radix_lookup(const struct radix *tree, u64 index);

/**
 * radix_peek() - the pointers at @nr indices from @first on, without the owner's lock.
 * @items: out: NULL where nothing is stored; all written, or none
 *
 * Each was there at some moment during the call, and may be gone by its end.
 *
 * Context: any; the tree itself stays. Takes no lock and does not wait.
 * Return:  false if a writer was at work: ask under the lock.
 */
MUST_CHECK bool radix_peek(const struct radix *tree, u64 first, u32 nr, void **items);

/** radix_peek_one() - radix_peek() for one index; @item may be written even if it returns false. */
MUST_CHECK bool radix_peek_one(const struct radix *tree, u64 index, void **item);

/**
 * radix_insert() - store a pointer at an empty index.
 * @item: not NULL
 *
 * Context: may sleep for memory.
 * Return:  0, -EEXIST (something is there already), -ENOMEM. On error the contents are unchanged.
 */
MUST_CHECK int radix_insert(struct radix *tree, u64 index, void *item);

/**
 * radix_replace() - exchange the pointer at an occupied index; needs no memory.
 *
 * Return: the old pointer.
 */
void *radix_replace(struct radix *tree, u64 index, void *item);

/**
 * radix_erase() - empty an index, and free nodes that are empty then.
 *
 * Return: the pointer that was there, or NULL.
 */
void *radix_erase(struct radix *tree, u64 index);

/**
 * radix_next() - the first entry at or after an index.
 * @index: in: where to start; out: where the entry is, unchanged if there is none
 *
 * Return: the pointer, or NULL.
 */
void *radix_next(const struct radix *tree, u64 *index);

/**
 * radix_is_empty() - whether nothing is stored.
 */
static inline bool radix_is_empty(const struct radix *tree)
{
    return tree->nr_entries == 0;
}

/* The body may erase the entry it is at. @item is a pointer variable, @index a u64. */
#define radix_for_each(item, index, tree)                                                          \
    for (index = 0, item = radix_next(tree, &index); item != NULL;                                 \
         item = ++index == 0 ? NULL : radix_next(tree, &index))

#endif
