/*
 * Red-black trees.
 *
 * Rules: the root is black; a red node has black children; every way from a node down to a missing
 * child meets equally many black nodes. So no way is more than twice as long as another.
 * rb_check() verifies the rules. Source: Cormen et al., "Introduction to Algorithms", chapter 13.
 *
 * Augmented values are recomputed in two ways: a rotation recomputes the two nodes it turned, and
 * rb_propagate() goes up from the deepest changed node until a value stays what it was.
 */
#include <lib/assert.h>
#include <lib/rbtree.h>

#define RB_BLACK 1UL

static bool is_black(const struct rb_node *node)
{
    return node == NULL || (node->parent_color & RB_BLACK) != 0;
}

static bool is_red(const struct rb_node *node)
{
    return !is_black(node);
}

static void set_black(struct rb_node *node)
{
    node->parent_color |= RB_BLACK;
}

static void set_red(struct rb_node *node)
{
    node->parent_color &= ~RB_BLACK;
}

static void set_parent(struct rb_node *node, struct rb_node *parent)
{
    node->parent_color = (u64)parent | (node->parent_color & RB_BLACK);
}

static void copy_color(struct rb_node *to, const struct rb_node *from)
{
    to->parent_color = (to->parent_color & ~RB_BLACK) | (from->parent_color & RB_BLACK);
}

static void update(struct rb_node *node, const struct rb_augment_ops *ops)
{
    if (ops != NULL) {
        (void)ops->update(node);
    }
}

void rb_propagate(struct rb_node *node, const struct rb_augment_ops *ops)
{
    while (node != NULL && ops->update(node)) {
        node = rb_parent(node);
    }
}

/* Lets @parent (or the root, if it is NULL) point to @new_child instead of @old_child. */
static void replace_child(struct rb_root *root, struct rb_node *parent, struct rb_node *old_child,
                          struct rb_node *new_child)
{
    if (parent == NULL) {
        root->node = new_child;
    } else if (parent->left == old_child) {
        parent->left = new_child;
    } else {
        parent->right = new_child;
    }
}

/* The right child of @node comes up in its place. */
static void rotate_left(struct rb_root *root, struct rb_node *node,
                        const struct rb_augment_ops *ops)
{
    struct rb_node *up = node->right;
    struct rb_node *parent = rb_parent(node);

    node->right = up->left;
    if (up->left != NULL) {
        set_parent(up->left, node);
    }
    up->left = node;
    set_parent(up, parent);
    replace_child(root, parent, node, up);
    set_parent(node, up);
    update(node, ops);
    update(up, ops);
}

/* The left child of @node comes up in its place. */
static void rotate_right(struct rb_root *root, struct rb_node *node,
                         const struct rb_augment_ops *ops)
{
    struct rb_node *up = node->left;
    struct rb_node *parent = rb_parent(node);

    node->left = up->right;
    if (up->right != NULL) {
        set_parent(up->right, node);
    }
    up->right = node;
    set_parent(up, parent);
    replace_child(root, parent, node, up);
    set_parent(node, up);
    update(node, ops);
    update(up, ops);
}

/* @node is red, and so may be its parent: the only rule that can be broken. */
static void balance_insert(struct rb_root *root, struct rb_node *node,
                           const struct rb_augment_ops *ops)
{
    while (is_red(rb_parent(node))) {
        struct rb_node *parent = rb_parent(node);
        struct rb_node *grand = rb_parent(parent);
        bool is_left = parent == grand->left;
        struct rb_node *uncle = is_left ? grand->right : grand->left;

        if (is_red(uncle)) {
            set_black(parent);
            set_black(uncle);
            set_red(grand);
            node = grand;
            continue;
        }
        if (is_left && node == parent->right) {
            rotate_left(root, parent, ops);
            parent = node;
        } else if (!is_left && node == parent->left) {
            rotate_right(root, parent, ops);
            parent = node;
        }
        set_black(parent);
        set_red(grand);
        if (is_left) {
            rotate_right(root, grand, ops);
        } else {
            rotate_left(root, grand, ops);
        }
        break;
    }
    set_black(root->node);
}

void rb_insert_at(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
                  struct rb_node **link, const struct rb_augment_ops *ops)
{
    ASSERT(*link == NULL, "a tree node is linked where the descent ended");
    node->left = NULL;
    node->right = NULL;
    node->parent_color = (u64)parent;
    *link = node;
    if (ops != NULL) {
        /* The value that the node happens to hold says nothing about its ancestors. */
        (void)ops->update(node);
        rb_propagate(parent, ops);
    }
    balance_insert(root, node, ops);
}

/*
 * The next @count nodes of the chain, one at least, as a tree. Its halves differ by one node at
 * most, so only the lowest level can be incomplete. Nodes at depth @red_depth, that level, are red;
 * then every way down meets the same number of black ones.
 */
static struct rb_node *build_subtree(struct rb_node **next, u64 count, u32 red_depth,
                                     const struct rb_augment_ops *ops)
{
    struct rb_node *left = NULL;
    struct rb_node *right = NULL;
    struct rb_node *node;

    if (count > 1) {
        left = build_subtree(next, count / 2, red_depth - 1, ops);
    }
    node = *next;
    *next = node->right;
    node->left = left;
    node->parent_color = red_depth == 0 ? 0 : RB_BLACK;
    if (count > 1) {
        set_parent(left, node);
        if (count > 2) {
            right = build_subtree(next, (count - 1) / 2, red_depth - 1, ops);
            set_parent(right, node);
        }
    }
    node->right = right;
    update(node, ops);
    return node;
}

void rb_build(struct rb_root *root, struct rb_node *first, u64 count,
              const struct rb_augment_ops *ops)
{
    u32 height = count == 0 ? 0 : 64 - (u32)__builtin_clzl(count);
    bool is_complete = (count & (count + 1)) == 0;

    ASSERT(root->node == NULL, "a tree is built where there is none");
    if (count != 0) {
        root->node = build_subtree(&first, count, is_complete ? height : height - 1, ops);
    }
}

/*
 * One black node is missing on every way through @node, which may be NULL, a child of @parent.
 * Paints a red one black, or moves the lack up.
 */
static void balance_erase(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
                          const struct rb_augment_ops *ops)
{
    while (is_black(node) && node != root->node) {
        bool is_left = node == parent->left;
        struct rb_node *sibling = is_left ? parent->right : parent->left;

        if (is_red(sibling)) {
            set_black(sibling);
            set_red(parent);
            if (is_left) {
                rotate_left(root, parent, ops);
            } else {
                rotate_right(root, parent, ops);
            }
            sibling = is_left ? parent->right : parent->left;
        }
        struct rb_node *near = is_left ? sibling->left : sibling->right;
        struct rb_node *far = is_left ? sibling->right : sibling->left;
        if (is_black(near) && is_black(far)) {
            set_red(sibling);
            node = parent;
            parent = rb_parent(node);
            continue;
        }
        if (is_black(far)) {
            set_black(near);
            set_red(sibling);
            if (is_left) {
                rotate_right(root, sibling, ops);
            } else {
                rotate_left(root, sibling, ops);
            }
            sibling = near;
            far = is_left ? sibling->right : sibling->left;
        }
        copy_color(sibling, parent);
        set_black(parent);
        set_black(far);
        if (is_left) {
            rotate_left(root, parent, ops);
        } else {
            rotate_right(root, parent, ops);
        }
        return;
    }
    if (node != NULL) {
        set_black(node);
    }
}

/* Puts @successor, the leftmost node of @node's right subtree, in @node's place. */
static void take_place(struct rb_root *root, struct rb_node *node, struct rb_node *successor)
{
    struct rb_node *parent = rb_parent(node);

    successor->left = node->left;
    set_parent(successor->left, successor);
    successor->right = node->right;
    if (successor->right != NULL) {
        set_parent(successor->right, successor);
    }
    successor->parent_color = node->parent_color;
    replace_child(root, parent, node, successor);
}

void rb_erase(struct rb_root *root, struct rb_node *node, const struct rb_augment_ops *ops)
{
    /* The node that leaves its position: @node itself, or its successor if it has two children. */
    struct rb_node *leaving = node;

    if (node->left != NULL && node->right != NULL) {
        leaving = node->right;
        while (leaving->left != NULL) {
            leaving = leaving->left;
        }
    }
    struct rb_node *child = leaving->left != NULL ? leaving->left : leaving->right;
    struct rb_node *parent = rb_parent(leaving);
    bool was_black = is_black(leaving);

    if (child != NULL) {
        set_parent(child, parent);
    }
    replace_child(root, parent, leaving, child);
    if (leaving != node) {
        take_place(root, node, leaving);
        if (parent == node) {
            parent = leaving;
        }
    }
    if (ops != NULL && parent != NULL) {
        rb_propagate(parent, ops);
        if (leaving != node) {
            /* It holds a value for where it stood. */
            (void)ops->update(leaving);
            rb_propagate(rb_parent(leaving), ops);
        }
    }
    if (was_black && root->node != NULL) {
        balance_erase(root, child, parent, ops);
    }
    node->left = NULL;
    node->right = NULL;
    node->parent_color = 0;
}

void rb_replace(struct rb_root *root, struct rb_node *victim, struct rb_node *replacement)
{
    *replacement = *victim;
    replace_child(root, rb_parent(victim), victim, replacement);
    if (replacement->left != NULL) {
        set_parent(replacement->left, replacement);
    }
    if (replacement->right != NULL) {
        set_parent(replacement->right, replacement);
    }
}

struct rb_node *rb_first(const struct rb_root *root)
{
    struct rb_node *node = root->node;

    while (node != NULL && node->left != NULL) {
        node = node->left;
    }
    return node;
}

struct rb_node *rb_last(const struct rb_root *root)
{
    struct rb_node *node = root->node;

    while (node != NULL && node->right != NULL) {
        node = node->right;
    }
    return node;
}

struct rb_node *rb_next(const struct rb_node *node)
{
    if (node->right != NULL) {
        struct rb_root right = {.node = node->right};
        return rb_first(&right);
    }
    struct rb_node *parent = rb_parent(node);
    while (parent != NULL && node == parent->right) {
        node = parent;
        parent = rb_parent(node);
    }
    return parent;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
    if (node->left != NULL) {
        struct rb_root left = {.node = node->left};
        return rb_last(&left);
    }
    struct rb_node *parent = rb_parent(node);
    while (parent != NULL && node == parent->left) {
        node = parent;
        parent = rb_parent(node);
    }
    return parent;
}

/* Black nodes from @node down to any leaf, or -1 if the rules are broken below it. */
static long check_subtree(const struct rb_node *node, const struct rb_node *parent, long *count)
{
    if (node == NULL) {
        return 0;
    }
    if (rb_parent(node) != parent) {
        return -1;
    }
    if (is_red(node) && (is_red(node->left) || is_red(node->right))) {
        return -1;
    }
    long left = check_subtree(node->left, node, count);
    long right = check_subtree(node->right, node, count);
    if (left < 0 || left != right) {
        return -1;
    }
    (*count)++;
    return left + (is_black(node) ? 1 : 0);
}

long rb_check(const struct rb_root *root)
{
    long count = 0;

    if (is_red(root->node) || check_subtree(root->node, NULL, &count) < 0) {
        return -1;
    }
    return count;
}
