/*
 * Sets of intervals [start, end), which may overlap and repeat, with a query for all that meet a
 * range.
 *
 * A red-black tree sorted by start; each node also knows the greatest end below it. Twins, nodes
 * that were said to have the same interval, form a ring; one of them stands in the tree for all.
 */
#ifndef LIB_INTERVAL_TREE_H
#define LIB_INTERVAL_TREE_H

#include <lib/assert.h>
#include <lib/list.h>
#include <lib/rbtree.h>

struct interval_node {
    struct rb_node rb;
    u64 start;
    u64 end;
    /* The greatest end in this node's subtree; 0 while a twin stands in the tree for it. */
    u64 subtree_end;
    struct list_node twins;
};

struct interval_tree {
    struct rb_root root;
};

#define INTERVAL_TREE_INIT                                                                         \
    {                                                                                              \
        .root = RB_ROOT_INIT                                                                       \
    }

static inline void interval_tree_init(struct interval_tree *tree)
{
    tree->root.node = NULL;
}

static inline bool interval_tree_is_empty(const struct interval_tree *tree)
{
    return rb_is_empty(&tree->root);
}

/**
 * interval_tree_insert() - add a node whose start and end are set, start < end.
 */
void interval_tree_insert(struct interval_tree *tree, struct interval_node *node);

/**
 * interval_tree_insert_twin() - add a node with the interval of one that is in the set. O(1).
 *
 * Walks meet @node later than @twin.
 */
static inline void interval_tree_insert_twin(struct interval_node *node, struct interval_node *twin)
{
    ASSERT(node->start == twin->start && node->end == twin->end, "twins have the same interval");
    node->subtree_end = 0;
    list_add_after(&twin->twins, &node->twins);
}

/**
 * interval_tree_remove() - take a node out; its start and end are what they were at insertion.
 */
void interval_tree_remove(struct interval_tree *tree, struct interval_node *node);

/**
 * interval_tree_first() - the intersecting interval that starts first.
 * @start: the range is [start, end)
 *
 * Return: NULL if no interval meets the range.
 */
struct interval_node *interval_tree_first(const struct interval_tree *tree, u64 start, u64 end);

/**
 * interval_tree_next() - the next interval that meets the range, in the order of starts.
 */
struct interval_node *interval_tree_next(struct interval_node *node, u64 start, u64 end);

/* @node may not be removed inside the body. */
#define interval_tree_for_each(node, tree, start, end)                                             \
    for (node = interval_tree_first(tree, start, end); node != NULL;                               \
         node = interval_tree_next(node, start, end))

#endif
