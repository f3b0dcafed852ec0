/*
 * Radix trees: 64 slots a node, 6 bits of the index a level.
 *
 * Owns the nodes. The tree is only as high as its largest index needs, and a node without entries
 * is freed at once, so that an empty tree holds no memory. Locking is the caller's.
 *
 * radix_peek() runs beside one writer. Nodes are type-stable memory, so a pointer to one that was
 * freed still leads to a node, perhaps of another tree. It is followed only if the sequence count
 * says that no node had left this tree when it was read, and what it led to counts only if the
 * same holds afterwards. A new node or entry is complete before a pointer to it is stored.
 */
#include <debug/explore.h>
#include <lib/assert.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include <lib/radix.h>
#include <lib/string.h>
#include <mm/slab.h>

/* 11 levels of 6 bits cover 64 bits. */
#define RADIX_MAX_HEIGHT DIV_ROUND_UP(64, RADIX_SHIFT)

struct radix_node {
    struct radix_node *parent;
    /* Which slot of the parent holds this node. */
    u32 parent_slot;
    /* Slots in use; a node with none is freed. */
    u32 count;
    /* Children, or stored pointers in a node of the lowest level. */
    void *slots[RADIX_SLOTS];
};

static struct kmem_cache *radix_node_cache;

static int grow_height(struct radix *tree, u64 index);
static int descend_creating(struct radix *tree, u64 index, struct radix_node **leaf);
static struct radix_node *descend(const struct radix *tree, u64 index);
static void prune(struct radix *tree, struct radix_node *node);
static void free_empty(struct radix *tree, struct radix_node *node);
static void lower_height(struct radix *tree);

/* A free node is one without entries: so it was made, and so it is freed. */
static void node_construct(void *memory)
{
    *(struct radix_node *)memory = (struct radix_node){.parent = NULL};
}

void radix_lib_init(void)
{
    radix_node_cache =
        kmem_cache_create_type_stable("radix_node", sizeof(struct radix_node), 0, node_construct);
}

void radix_init(struct radix *tree)
{
    *tree = (struct radix)RADIX_INIT;
}

/* The greatest index that a tree of @height levels can hold; @height is at least 1. */
static u64 max_index(u32 height)
{
    return height >= RADIX_MAX_HEIGHT ? U64_MAX : BIT(height * RADIX_SHIFT) - 1;
}

/* Which slot of a node at @level (1 is the lowest) leads to @index. */
static u32 slot_of(u64 index, u32 level)
{
    return (u32)(index >> ((level - 1) * RADIX_SHIFT)) & (RADIX_SLOTS - 1);
}

static struct radix_node *node_create(struct radix *tree, struct radix_node *parent, u32 slot)
{
    struct radix_node *node = kmem_cache_alloc(radix_node_cache, ALLOC_KERNEL);

    if (node == NULL) {
        return NULL;
    }
    node->parent = parent;
    node->parent_slot = slot;
    tree->nr_nodes++;
    return node;
}

static void node_free(struct radix *tree, struct radix_node *node)
{
    DEBUG_ASSERT(node->count == 0, "a node is freed without entries");
    tree->nr_nodes--;
    kmem_cache_free(radix_node_cache, node);
}

static void *slot_load(void *const *slot)
{
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

static void slot_store(void **slot, void *value)
{
    __atomic_store_n(slot, value, __ATOMIC_RELEASE);
}

void *radix_lookup(const struct radix *tree, u64 index)
{
    struct radix_node *leaf = descend(tree, index);

    return leaf == NULL ? NULL : leaf->slots[slot_of(index, 1)];
}

int radix_insert(struct radix *tree, u64 index, void *item)
{
    struct radix_node *leaf;

    ASSERT(item != NULL, "a radix tree stores no NULL");
    int error = grow_height(tree, index);
    if (error != 0) {
        return error;
    }
    error = descend_creating(tree, index, &leaf);
    if (error != 0) {
        return error;
    }
    void **slot = &leaf->slots[slot_of(index, 1)];
    if (*slot != NULL) {
        return -EEXIST;
    }
    slot_store(slot, item);
    leaf->count++;
    tree->nr_entries++;
    return 0;
}

void *radix_replace(struct radix *tree, u64 index, void *item)
{
    struct radix_node *leaf = descend(tree, index);

    ASSERT(item != NULL, "a radix tree stores no NULL");
    ASSERT(leaf != NULL && leaf->slots[slot_of(index, 1)] != NULL,
           "an entry is replaced only where there is one");
    void *old = leaf->slots[slot_of(index, 1)];
    slot_store(&leaf->slots[slot_of(index, 1)], item);
    return old;
}

void *radix_erase(struct radix *tree, u64 index)
{
    struct radix_node *leaf = descend(tree, index);

    if (leaf == NULL) {
        return NULL;
    }
    void **slot = &leaf->slots[slot_of(index, 1)];
    void *item = *slot;
    if (item == NULL) {
        return NULL;
    }
    slot_store(slot, NULL);
    leaf->count--;
    tree->nr_entries--;
    prune(tree, leaf);
    return item;
}

/*
 * Looks for a used slot from @index on within one node. On success @index is the first index below
 * that slot, unless it was inside already.
 */
static void *next_in_node(struct radix_node *node, u32 level, u64 *index)
{
    u64 span = BIT((level - 1) * RADIX_SHIFT);

    for (u32 slot = slot_of(*index, level); slot < RADIX_SLOTS; slot++) {
        if (node->slots[slot] != NULL) {
            return node->slots[slot];
        }
        *index = ALIGN_DOWN(*index, span) + span;
    }
    return NULL;
}

void *radix_next(const struct radix *tree, u64 *index)
{
    u64 pos = *index;

    if (tree->height == 0) {
        return NULL;
    }
    while (pos <= max_index(tree->height)) {
        u64 from = pos;
        void *item = tree->root;
        u32 level = tree->height;

        for (; level >= 1 && item != NULL; level--) {
            item = next_in_node(item, level, &pos);
        }
        if (item != NULL) {
            *index = pos;
            return item;
        }
        /* The search left a node at its end: @pos is the next index outside, 0 if none is left. */
        if (pos <= from) {
            return NULL;
        }
    }
    return NULL;
}

static void set_root(struct radix *tree, struct radix_node *root, u32 height)
{
    seqcount_write_begin(&tree->shape);
    WRITE_ONCE(tree->root, root);
    WRITE_ONCE(tree->height, height);
    seqcount_write_end(&tree->shape);
}

static int grow_height(struct radix *tree, u64 index)
{
    struct radix_node *root;

    if (tree->height == 0) {
        u32 height = 1;

        while (max_index(height) < index) {
            height++;
        }
        root = node_create(tree, NULL, 0);
        if (root == NULL) {
            return -ENOMEM;
        }
        set_root(tree, root, height);
        return 0;
    }
    while (max_index(tree->height) < index) {
        root = node_create(tree, NULL, 0);
        if (root == NULL) {
            prune(tree, tree->root);
            return -ENOMEM;
        }
        root->slots[0] = tree->root;
        root->count = 1;
        tree->root->parent = root;
        tree->root->parent_slot = 0;
        set_root(tree, root, tree->height + 1);
    }
    return 0;
}

static int descend_creating(struct radix *tree, u64 index, struct radix_node **leaf)
{
    struct radix_node *node = tree->root;

    for (u32 level = tree->height; level > 1; level--) {
        u32 slot = slot_of(index, level);
        struct radix_node *child = node->slots[slot];

        if (child == NULL) {
            child = node_create(tree, node, slot);
            if (child == NULL) {
                prune(tree, node);
                return -ENOMEM;
            }
            slot_store(&node->slots[slot], child);
            node->count++;
        }
        node = child;
    }
    *leaf = node;
    return 0;
}

static struct radix_node *descend(const struct radix *tree, u64 index)
{
    struct radix_node *node = tree->root;

    if (node == NULL || index > max_index(tree->height)) {
        return NULL;
    }
    for (u32 level = tree->height; level > 1 && node != NULL; level--) {
        node = node->slots[slot_of(index, level)];
    }
    return node;
}

/* Could the tree do with a level less? */
static bool is_too_high(const struct radix *tree)
{
    return tree->height > 1 && tree->root->count == 1 && tree->root->slots[0] != NULL;
}

/* Frees what an erased entry, or a failed insertion, has left without use. */
static void prune(struct radix *tree, struct radix_node *node)
{
    if (node->count != 0 && !is_too_high(tree)) {
        return;
    }
    seqcount_write_begin(&tree->shape);
    free_empty(tree, node);
    lower_height(tree);
    seqcount_write_end(&tree->shape);
}

/* Frees @node and its ancestors as far as they are empty. */
static void free_empty(struct radix *tree, struct radix_node *node)
{
    while (node != NULL && node->count == 0) {
        struct radix_node *parent = node->parent;

        if (parent == NULL) {
            WRITE_ONCE(tree->root, NULL);
            WRITE_ONCE(tree->height, 0);
        } else {
            slot_store(&parent->slots[node->parent_slot], NULL);
            parent->count--;
        }
        node_free(tree, node);
        node = parent;
    }
}

/* Frees levels that only lengthen the way. */
static void lower_height(struct radix *tree)
{
    while (is_too_high(tree)) {
        struct radix_node *old = tree->root;

        WRITE_ONCE(tree->root, old->slots[0]);
        WRITE_ONCE(tree->height, tree->height - 1);
        tree->root->parent = NULL;
        slot_store(&old->slots[0], NULL);
        old->count = 0;
        node_free(tree, old);
    }
}

/* --- without the owner's lock ----------------------------------------------------------------- */

/* The leaf for an index, NULL where nothing is stored. False if the tree changed its shape. */
static ALWAYS_INLINE bool peek_leaf(const struct radix *tree, u64 index, u32 shape,
                                    struct radix_node **leaf)
{
    struct radix_node *node = READ_ONCE(tree->root);
    u32 shift = (READ_ONCE(tree->height) - 1) * RADIX_SHIFT;

    if (seqcount_read_retry(&tree->shape, shape)) {
        return false;
    }
    *leaf = NULL;
    if (node == NULL || index >> shift >= RADIX_SLOTS) {
        return true;
    }
    for (; shift > 0; shift -= RADIX_SHIFT) {
        explore_point(EXPLORE_COUNT);
        node = slot_load(&node->slots[(index >> shift) & (RADIX_SLOTS - 1)]);
        if (seqcount_read_retry(&tree->shape, shape)) {
            return false;
        }
        if (node == NULL) {
            return true;
        }
    }
    *leaf = node;
    return true;
}

bool radix_peek_one(const struct radix *tree, u64 index, void **item)
{
    u32 shape = seqcount_read_raw(&tree->shape);
    struct radix_node *leaf;

    if ((shape & 1) != 0 || !peek_leaf(tree, index, shape, &leaf)) {
        return false;
    }
    explore_point(EXPLORE_COUNT);
    *item = leaf != NULL ? slot_load(&leaf->slots[slot_of(index, 1)]) : NULL;
    return !seqcount_read_retry(&tree->shape, shape);
}

static ALWAYS_INLINE void copy_slots(void **items, void *const *slots, u32 nr)
{
    for (u32 i = 0; i < nr; i++) {
        explore_point(EXPLORE_COUNT);
        items[i] = slot_load(&slots[i]);
    }
}

bool radix_peek(const struct radix *tree, u64 first, u32 nr, void **items)
{
    u32 shape = seqcount_read_raw(&tree->shape);
    struct radix_node *leaf = NULL;

    if ((shape & 1) != 0) {
        return false;
    }
    /* Node by node of the lowest level. */
    while (nr > 0) {
        u32 slot = slot_of(first, 1);
        u32 nr_here = min(nr, RADIX_SLOTS - slot);

        if (!peek_leaf(tree, first, shape, &leaf)) {
            return false;
        }
        if (leaf == NULL) {
            memset(items, 0, nr_here * sizeof(void *));
        } else {
            copy_slots(items, &leaf->slots[slot], nr_here);
        }
        items += nr_here;
        first += nr_here;
        nr -= nr_here;
    }
    return !seqcount_read_retry(&tree->shape, shape);
}
