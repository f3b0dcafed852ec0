/*
 * Intrusive red-black trees, optionally augmented.
 *
 * The caller descends by its own key and says where the node goes; the tree only balances:
 *
 *     struct rb_node *parent = NULL, **link = &root->node;
 *     while (*link) { parent = *link; link = key < ... ? &parent->left : &parent->right; }
 *     rb_insert_at(root, node, parent, link, ops);
 *
 * An augmented tree keeps in each node a value computed from the node and its two children (for
 * example the largest gap below it). `update` computes it anew; the tree calls it bottom-up for
 * every node whose subtree changed. A caller that changes a node's own data calls rb_propagate().
 */
#ifndef LIB_RBTREE_H
#define LIB_RBTREE_H

#include <lib/types.h>

struct rb_node {
    struct rb_node *left;
    struct rb_node *right;
    /* The parent's address; bit 0 is set while the node is black. */
    u64 parent_color;
};

struct rb_root {
    struct rb_node *node;
};

#define RB_ROOT_INIT                                                                               \
    {                                                                                              \
        .node = NULL                                                                               \
    }

struct rb_augment_ops {
    /* Recomputes @node's value from itself and its children. Return: is it another one now? */
    bool (*update)(struct rb_node *node);
};

#define rb_entry(ptr, type, member) container_of(ptr, type, member)

/* NULL stays NULL. */
#define rb_entry_or_null(ptr, type, member)                                                        \
    ({                                                                                             \
        struct rb_node *rb_ptr_ = (ptr);                                                           \
        rb_ptr_ != NULL ? container_of(rb_ptr_, type, member) : NULL;                              \
    })

static inline struct rb_node *rb_parent(const struct rb_node *node)
{
    return (struct rb_node *)(node->parent_color & ~1UL);
}

static inline bool rb_is_empty(const struct rb_root *root)
{
    return root->node == NULL;
}

/**
 * rb_insert_at() - link a node where the caller's descent ended, and rebalance.
 * @parent: the last node of the descent; NULL in an empty tree
 * @link:   &parent->left or &parent->right, NULL there; &root->node in an empty tree
 * @ops:    the augmentation, or NULL
 */
void rb_insert_at(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
                  struct rb_node **link, const struct rb_augment_ops *ops);

/**
 * rb_erase() - unlink a node and rebalance.
 * @ops: the augmentation, or NULL
 */
void rb_erase(struct rb_root *root, struct rb_node *node, const struct rb_augment_ops *ops);

/**
 * rb_build() - make a balanced tree of nodes that come in order, in one pass.
 * @root:  an empty tree
 * @first: the first of @count nodes, chained by `right`
 */
void rb_build(struct rb_root *root, struct rb_node *first, u64 count,
              const struct rb_augment_ops *ops);

/**
 * rb_propagate() - recompute a node after its own data changed, and its ancestors as far as that
 *                  makes a difference to them.
 */
void rb_propagate(struct rb_node *node, const struct rb_augment_ops *ops);

/**
 * rb_replace() - put @replacement, which sorts alike, in the place of @victim.
 *
 * Augmented values are not recomputed; copy them or call rb_propagate().
 */
void rb_replace(struct rb_root *root, struct rb_node *victim, struct rb_node *replacement);

/* In order; NULL at the end. */
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

/**
 * rb_check() - verify colours, black heights and parent links.
 *
 * Return: the number of nodes, or -1 if a rule of red-black trees is broken.
 */
long rb_check(const struct rb_root *root);

#define rb_for_each_entry(entry, root, member)                                                     \
    for (entry = rb_entry_or_null(rb_first(root), __typeof__(*entry), member); entry != NULL;      \
         entry = rb_entry_or_null(rb_next(&entry->member), __typeof__(*entry), member))

#endif
