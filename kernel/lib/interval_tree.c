/*
 * Interval trees: red-black trees sorted by start, in which each node knows the greatest end below
 * it, so that a search skips subtrees that end before the range begins.
 */
#include <lib/assert.h>
#include <lib/interval_tree.h>

static struct interval_node *to_interval(struct rb_node *node)
{
    return rb_entry_or_null(node, struct interval_node, rb);
}

static bool update_subtree_end(struct rb_node *rb)
{
    struct interval_node *node = to_interval(rb);
    u64 former = node->subtree_end;
    u64 end = node->end;

    if (rb->left != NULL) {
        end = max(end, to_interval(rb->left)->subtree_end);
    }
    if (rb->right != NULL) {
        end = max(end, to_interval(rb->right)->subtree_end);
    }
    node->subtree_end = end;
    return end != former;
}

static const struct rb_augment_ops interval_ops = {.update = update_subtree_end};

void interval_tree_insert(struct interval_tree *tree, struct interval_node *node)
{
    struct rb_node *parent = NULL;
    struct rb_node **link = &tree->root.node;

    ASSERT(node->start < node->end, "an interval is not empty");
    while (*link != NULL) {
        parent = *link;
        link = node->start < to_interval(parent)->start ? &parent->left : &parent->right;
    }
    list_init(&node->twins);
    rb_insert_at(&tree->root, &node->rb, parent, link, &interval_ops);
}

static bool is_in_tree(const struct interval_node *node)
{
    return node->subtree_end != 0;
}

void interval_tree_remove(struct interval_tree *tree, struct interval_node *node)
{
    struct interval_node *next = container_of(node->twins.next, struct interval_node, twins);

    if (next == node) {
        rb_erase(&tree->root, &node->rb, &interval_ops);
        return;
    }
    list_del(&node->twins);
    if (is_in_tree(node)) {
        next->subtree_end = node->subtree_end;
        rb_replace(&tree->root, &node->rb, &next->rb);
    }
}

/* The first node of a subtree, in order, that meets [start, end). */
static struct interval_node *first_in_subtree(struct rb_node *rb, u64 start, u64 end)
{
    while (rb != NULL && to_interval(rb)->subtree_end > start) {
        struct interval_node *node = to_interval(rb);
        struct interval_node *left = to_interval(rb->left);

        /*
         * If something on the left ends after @start, then either it meets the range, or it begins
         * at @end or later, and so does everything to its right.
         */
        if (left != NULL && left->subtree_end > start) {
            rb = rb->left;
            continue;
        }
        if (node->start >= end) {
            return NULL;
        }
        if (node->end > start) {
            return node;
        }
        rb = rb->right;
    }
    return NULL;
}

struct interval_node *interval_tree_first(const struct interval_tree *tree, u64 start, u64 end)
{
    return first_in_subtree(tree->root.node, start, end);
}

struct interval_node *interval_tree_next(struct interval_node *node, u64 start, u64 end)
{
    struct interval_node *twin = container_of(node->twins.next, struct interval_node, twins);
    struct rb_node *rb = &twin->rb;

    if (!is_in_tree(twin)) {
        return twin;
    }
    /* Once around the ring: on from the one in the tree. */
    for (;;) {
        struct interval_node *right = first_in_subtree(rb->right, start, end);
        if (right != NULL) {
            return right;
        }
        /* Climb to the first ancestor that this subtree is left of: it is the next in order. */
        struct rb_node *child;
        do {
            child = rb;
            rb = rb_parent(rb);
            if (rb == NULL) {
                return NULL;
            }
        } while (child == rb->right);
        node = to_interval(rb);
        if (node->start >= end) {
            return NULL;
        }
        if (node->end > start) {
            return node;
        }
    }
}
