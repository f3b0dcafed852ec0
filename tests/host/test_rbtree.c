/* Red-black trees against a sorted array, with an augmentation that every change must keep right.
 */
#include <host_test.h>
#include <lib/rbtree.h>

#define MAX_ITEMS 600

struct item {
    struct rb_node node;
    u64 key;
    bool is_in_tree;
    /* Augmentation: items below, and the sum of their keys. */
    u64 subtree_count;
    u64 subtree_sum;
};

static struct item items[MAX_ITEMS];
static struct rb_root tree;

static struct item *to_item(struct rb_node *node)
{
    return rb_entry_or_null(node, struct item, node);
}

static bool update_item(struct rb_node *node)
{
    struct item *item = to_item(node);
    struct item former = *item;

    item->subtree_count = 1;
    item->subtree_sum = item->key;
    struct rb_node *children[] = {node->left, node->right};
    for (int i = 0; i < 2; i++) {
        if (children[i] != NULL) {
            item->subtree_count += to_item(children[i])->subtree_count;
            item->subtree_sum += to_item(children[i])->subtree_sum;
        }
    }
    return item->subtree_count != former.subtree_count || item->subtree_sum != former.subtree_sum;
}

static const struct rb_augment_ops ops = {.update = update_item};

static void insert(struct item *item)
{
    struct rb_node *parent = NULL;
    struct rb_node **link = &tree.node;

    while (*link != NULL) {
        parent = *link;
        link = item->key < to_item(parent)->key ? &parent->left : &parent->right;
    }
    rb_insert_at(&tree, &item->node, parent, link, &ops);
    item->is_in_tree = true;
}

static void erase(struct item *item)
{
    rb_erase(&tree, &item->node, &ops);
    item->is_in_tree = false;
}

static u64 check_augmentation(struct rb_node *node, u64 *count)
{
    u64 left_count = 0;
    u64 right_count = 0;

    if (node == NULL) {
        *count = 0;
        return 0;
    }
    u64 sum = to_item(node)->key + check_augmentation(node->left, &left_count) +
              check_augmentation(node->right, &right_count);
    *count = 1 + left_count + right_count;
    EXPECT_EQ(*count, to_item(node)->subtree_count);
    EXPECT_EQ(sum, to_item(node)->subtree_sum);
    return sum;
}

static void check_tree(void)
{
    long expected = 0;
    long forward = 0;
    long backward = 0;
    u64 last = 0;
    u64 count;
    struct item *item;

    for (int i = 0; i < MAX_ITEMS; i++) {
        expected += items[i].is_in_tree;
    }
    EXPECT_EQ(expected, rb_check(&tree));
    rb_for_each_entry (item, &tree, node) {
        EXPECT_TRUE(item->is_in_tree);
        EXPECT_TRUE(item->key >= last);
        last = item->key;
        forward++;
    }
    for (struct rb_node *node = rb_last(&tree); node != NULL; node = rb_prev(node)) {
        EXPECT_TRUE(to_item(node)->key <= last);
        last = to_item(node)->key;
        backward++;
    }
    EXPECT_EQ(expected, forward);
    EXPECT_EQ(expected, backward);
    check_augmentation(tree.node, &count);
}

static void start(void)
{
    tree = (struct rb_root)RB_ROOT_INIT;
    memset(items, 0, sizeof(items));
}

TEST(empty_tree_has_no_first_and_no_last)
{
    start();
    EXPECT_TRUE(rb_first(&tree) == NULL);
    EXPECT_TRUE(rb_last(&tree) == NULL);
    EXPECT_TRUE(rb_is_empty(&tree));
    EXPECT_EQ(0, rb_check(&tree));
}

TEST(ascending_insertion_stays_balanced)
{
    start();
    for (int i = 0; i < MAX_ITEMS; i++) {
        items[i].key = (u64)i;
        insert(&items[i]);
        EXPECT_EQ(i + 1, rb_check(&tree));
    }
    check_tree();
    for (int i = 0; i < MAX_ITEMS; i++) {
        erase(&items[i]);
        EXPECT_EQ(MAX_ITEMS - 1 - i, rb_check(&tree));
    }
    EXPECT_TRUE(rb_is_empty(&tree));
}

TEST(a_tree_built_of_any_number_of_nodes_is_balanced_and_goes_on)
{
    for (int count = 0; count <= 200; count++) {
        start();
        for (int i = 0; i < count; i++) {
            items[i].key = 2 * (u64)i;
            items[i].is_in_tree = true;
            items[i].node.right = i + 1 < count ? &items[i + 1].node : NULL;
        }
        rb_build(&tree, count > 0 ? &items[0].node : NULL, (u64)count, &ops);
        check_tree();
        items[count].key = (u64)count;
        insert(&items[count]);
        check_tree();
        for (int i = 0; i < count; i += 3) {
            erase(&items[i]);
        }
        check_tree();
    }
}

TEST(random_insertions_and_erasures_keep_order_balance_and_augmentation)
{
    start();
    for (int round = 0; round < 4000; round++) {
        struct item *item = &items[host_random(round < 2000 ? 40 : MAX_ITEMS)];

        if (item->is_in_tree) {
            erase(item);
        } else {
            item->key = host_random(300);
            insert(item);
        }
        if (round % 16 == 0) {
            check_tree();
        }
    }
    check_tree();
}

TEST(propagate_after_a_change_of_data_updates_all_ancestors)
{
    start();
    for (int i = 0; i < 100; i++) {
        items[i].key = (u64)i * 10;
        insert(&items[i]);
    }
    for (int i = 0; i < 100; i++) {
        items[i].key += 5;
        rb_propagate(&items[i].node, &ops);
    }
    check_tree();
}

TEST(replace_puts_another_node_in_the_same_place)
{
    start();
    for (int i = 0; i < 64; i++) {
        items[i].key = (u64)i;
        insert(&items[i]);
    }
    for (int i = 0; i < 64; i++) {
        struct item *substitute = &items[100 + i];

        *substitute = items[i];
        rb_replace(&tree, &items[i].node, &substitute->node);
        items[i].is_in_tree = false;
        EXPECT_EQ(64, rb_check(&tree));
    }
    check_tree();
}
