/* Interval trees against a search through all intervals. */
#include <host_test.h>
#include <lib/interval_tree.h>

#define MAX_INTERVALS 200
#define SPACE         1000

static struct interval_node nodes[MAX_INTERVALS];
static bool is_in_tree[MAX_INTERVALS];

static bool meets(const struct interval_node *node, u64 start, u64 end)
{
    return node->start < end && node->end > start;
}

static void check_query(struct interval_tree *tree, u64 start, u64 end)
{
    struct interval_node *node;
    int expected = 0;
    int actual = 0;
    u64 last_start = 0;

    for (int i = 0; i < MAX_INTERVALS; i++) {
        expected += is_in_tree[i] && meets(&nodes[i], start, end);
    }
    interval_tree_for_each (node, tree, start, end) {
        EXPECT_TRUE(is_in_tree[node - nodes]);
        EXPECT_TRUE(meets(node, start, end));
        EXPECT_TRUE(node->start >= last_start);
        last_start = node->start;
        actual++;
    }
    EXPECT_EQ(expected, actual);
}

TEST(neighbours_do_not_meet)
{
    struct interval_tree tree = INTERVAL_TREE_INIT;
    struct interval_node a = {.start = 10, .end = 20};

    interval_tree_insert(&tree, &a);
    EXPECT_TRUE(interval_tree_first(&tree, 0, 10) == NULL);
    EXPECT_TRUE(interval_tree_first(&tree, 20, 30) == NULL);
    EXPECT_TRUE(interval_tree_first(&tree, 19, 20) == &a);
    EXPECT_TRUE(interval_tree_first(&tree, 0, 11) == &a);
    interval_tree_remove(&tree, &a);
    EXPECT_TRUE(interval_tree_is_empty(&tree));
}

TEST(random_sets_answer_every_query_as_a_linear_search_does)
{
    struct interval_tree tree = INTERVAL_TREE_INIT;

    for (int round = 0; round < 3000; round++) {
        size_t i = host_random(MAX_INTERVALS);

        size_t twin = host_random(MAX_INTERVALS);

        if (is_in_tree[i]) {
            interval_tree_remove(&tree, &nodes[i]);
        } else if (is_in_tree[twin] && host_random(2) == 0) {
            nodes[i].start = nodes[twin].start;
            nodes[i].end = nodes[twin].end;
            interval_tree_insert_twin(&nodes[i], &nodes[twin]);
        } else {
            nodes[i].start = host_random(SPACE);
            nodes[i].end = nodes[i].start + 1 + host_random(round % 3 == 0 ? SPACE : 20);
            interval_tree_insert(&tree, &nodes[i]);
        }
        is_in_tree[i] = !is_in_tree[i];
        u64 start = host_random(SPACE);
        check_query(&tree, start, start + 1 + host_random(50));
    }
    check_query(&tree, 0, 3 * SPACE);
    EXPECT_TRUE(rb_check(&tree.root) >= 0);
}

TEST(a_twin_comes_later_than_the_one_it_was_made_from)
{
    struct interval_tree tree = INTERVAL_TREE_INIT;
    struct interval_node first = {.start = 1, .end = 4};
    struct interval_node second = first;
    struct interval_node third = first;
    struct interval_node after = {.start = 2, .end = 3};

    interval_tree_insert(&tree, &first);
    interval_tree_insert(&tree, &after);
    interval_tree_insert_twin(&second, &first);
    interval_tree_insert_twin(&third, &second);
    EXPECT_TRUE(interval_tree_first(&tree, 2, 3) == &first);
    EXPECT_TRUE(interval_tree_next(&first, 2, 3) == &second);
    EXPECT_TRUE(interval_tree_next(&second, 2, 3) == &third);
    EXPECT_TRUE(interval_tree_next(&third, 2, 3) == &after);
    EXPECT_TRUE(interval_tree_next(&after, 2, 3) == NULL);
    interval_tree_remove(&tree, &first);
    EXPECT_TRUE(interval_tree_first(&tree, 2, 3) == &second);
    EXPECT_TRUE(interval_tree_next(&third, 2, 3) == &after);
    interval_tree_remove(&tree, &third);
    interval_tree_remove(&tree, &second);
    EXPECT_TRUE(interval_tree_first(&tree, 1, 4) == &after);
    interval_tree_remove(&tree, &after);
    EXPECT_TRUE(interval_tree_is_empty(&tree));
}

TEST(a_twin_has_the_same_interval)
{
    struct interval_tree tree = INTERVAL_TREE_INIT;
    struct interval_node node = {.start = 1, .end = 4};
    struct interval_node longer = {.start = 1, .end = 5};

    interval_tree_insert(&tree, &node);
    EXPECT_PANIC("twins have the same interval", interval_tree_insert_twin(&longer, &node));
    interval_tree_remove(&tree, &node);
}

TEST(empty_interval_is_refused)
{
    struct interval_tree tree = INTERVAL_TREE_INIT;
    struct interval_node empty = {.start = 5, .end = 5};

    EXPECT_PANIC("an interval is not empty", interval_tree_insert(&tree, &empty));
}
