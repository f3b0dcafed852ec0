/* Radix trees against a list of pairs. */
#include <host_test.h>

#include <fake_kernel.h>
#include <lib/errno.h>
#include <lib/radix.h>
#include <mm/slab.h>

#define MAX_PAIRS 300

static struct {
    u64 index;
    bool is_used;
} pairs[MAX_PAIRS];

static struct radix tree;

__attribute__((constructor)) static void setup(void)
{
    radix_lib_init();
}

static void *item_of(size_t i)
{
    return &pairs[i];
}

/* Small, medium and huge ones, so that trees of every height occur. */
static u64 random_index(void)
{
    return host_random(U64_MAX) >> host_random(64);
}

static int find_pair(u64 index)
{
    for (int i = 0; i < MAX_PAIRS; i++) {
        if (pairs[i].is_used && pairs[i].index == index) {
            return i;
        }
    }
    return -1;
}

static void check_next(u64 from)
{
    u64 found = from;
    u64 best = U64_MAX;
    void *expected = NULL;

    for (size_t i = 0; i < MAX_PAIRS; i++) {
        if (pairs[i].is_used && pairs[i].index >= from && pairs[i].index <= best) {
            best = pairs[i].index;
            expected = item_of(i);
        }
    }
    EXPECT_TRUE(radix_next(&tree, &found) == expected);
    EXPECT_EQ(expected == NULL ? from : best, found);
}

static void clear(void)
{
    for (size_t i = 0; i < MAX_PAIRS; i++) {
        if (pairs[i].is_used) {
            EXPECT_TRUE(radix_erase(&tree, pairs[i].index) == item_of(i));
            pairs[i].is_used = false;
        }
    }
    EXPECT_TRUE(radix_is_empty(&tree));
    EXPECT_EQ(0, tree.nr_nodes);
    EXPECT_EQ(0, slab_objects_in_use());
}

TEST(random_operations_agree_with_a_list)
{
    radix_init(&tree);
    for (int round = 0; round < 20000; round++) {
        size_t i = host_random(MAX_PAIRS);

        if (pairs[i].is_used) {
            EXPECT_TRUE(radix_erase(&tree, pairs[i].index) == item_of(i));
            pairs[i].is_used = false;
        } else {
            u64 index = random_index();
            int other = find_pair(index);
            int expected = other >= 0 ? -EEXIST : 0;

            EXPECT_EQ(expected, radix_insert(&tree, index, item_of(i)));
            pairs[i].index = index;
            pairs[i].is_used = other < 0;
        }
        u64 probe = random_index();
        int pair = find_pair(probe);
        EXPECT_TRUE(radix_lookup(&tree, probe) == (pair < 0 ? NULL : item_of((size_t)pair)));
        if (round % 8 == 0) {
            check_next(probe);
        }
    }
    clear();
}

#define PEEK_NR 100

static void check_peek(u64 first)
{
    void *items[PEEK_NR];

    EXPECT_TRUE(radix_peek(&tree, first, PEEK_NR, items));
    for (u64 i = 0; i < PEEK_NR; i++) {
        void *item;

        EXPECT_TRUE(items[i] == radix_lookup(&tree, first + i));
        EXPECT_TRUE(radix_peek_one(&tree, first + i, &item));
        EXPECT_TRUE(items[i] == item);
    }
}

TEST(peek_sees_what_lookup_sees)
{
    radix_init(&tree);
    check_peek(0);
    for (size_t i = 0; i < MAX_PAIRS; i++) {
        u64 index = host_random(2) == 0 ? host_random(1000) : random_index();

        if (find_pair(index) < 0) {
            EXPECT_EQ(0, radix_insert(&tree, index, item_of(i)));
            pairs[i].index = index;
            pairs[i].is_used = true;
        }
        check_peek(host_random(1100));
        check_peek(min(index, U64_MAX - PEEK_NR));
    }
    for (size_t i = 0; i < MAX_PAIRS; i++) {
        if (pairs[i].is_used) {
            EXPECT_TRUE(radix_erase(&tree, pairs[i].index) == item_of(i));
            pairs[i].is_used = false;
        }
        check_peek(host_random(1100));
    }
    EXPECT_EQ(0, slab_objects_in_use());
}

TEST(peek_refuses_while_the_shape_changes)
{
    void *item = NULL;

    radix_init(&tree);
    EXPECT_EQ(0, radix_insert(&tree, 5, item_of(0)));
    seqcount_write_begin(&tree.shape);
    EXPECT_FALSE(radix_peek(&tree, 5, 1, &item));
    EXPECT_FALSE(radix_peek_one(&tree, 5, &item));
    EXPECT_TRUE(item == NULL);
    seqcount_write_end(&tree.shape);
    EXPECT_TRUE(radix_peek(&tree, 5, 1, &item));
    EXPECT_TRUE(item == item_of(0));
    EXPECT_TRUE(radix_erase(&tree, 5) == item_of(0));
}

TEST(first_and_last_index_are_ordinary)
{
    radix_init(&tree);
    pairs[0].index = 0;
    pairs[1].index = U64_MAX;
    for (size_t i = 0; i < 2; i++) {
        EXPECT_EQ(0, radix_insert(&tree, pairs[i].index, item_of(i)));
        pairs[i].is_used = true;
    }
    EXPECT_TRUE(radix_lookup(&tree, U64_MAX) == item_of(1));
    check_next(0);
    check_next(1);
    check_next(U64_MAX);
    clear();
}

TEST(for_each_visits_all_in_order_and_may_erase)
{
    void *item;
    u64 index;
    u64 expected = 0;

    radix_init(&tree);
    for (u64 i = 0; i < 200; i++) {
        EXPECT_EQ(0, radix_insert(&tree, i * 37, item_of(i)));
    }
    EXPECT_EQ(200, tree.nr_entries);
    radix_for_each (item, index, &tree) {
        EXPECT_EQ(expected * 37, index);
        EXPECT_TRUE(radix_erase(&tree, index) == item);
        expected++;
    }
    EXPECT_EQ(200, expected);
    EXPECT_EQ(0, tree.nr_nodes);
}

TEST(tree_shrinks_when_high_entries_leave)
{
    radix_init(&tree);
    EXPECT_EQ(0, radix_insert(&tree, 1, item_of(0)));
    EXPECT_EQ(1, tree.nr_nodes);
    EXPECT_EQ(0, radix_insert(&tree, 1UL << 40, item_of(1)));
    EXPECT_TRUE(tree.nr_nodes > 5);
    EXPECT_TRUE(radix_erase(&tree, 1UL << 40) == item_of(1));
    EXPECT_EQ(1, tree.nr_nodes);
    EXPECT_EQ(1, tree.height);
    EXPECT_TRUE(radix_erase(&tree, 1) == item_of(0));
    EXPECT_TRUE(radix_erase(&tree, 1) == NULL);
    EXPECT_EQ(0, slab_objects_in_use());
}

TEST(insert_without_memory_changes_nothing)
{
    static const u64 indexes[] = {0, 70, 5000, 1UL << 30, U64_MAX};

    radix_init(&tree);
    EXPECT_EQ(0, radix_insert(&tree, 3, item_of(0)));
    for (size_t i = 0; i < ARRAY_SIZE(indexes); i++) {
        u32 nr_nodes = tree.nr_nodes;
        u64 nth = 0;
        int error;

        do {
            fake_fail_nth = ++nth;
            error = radix_insert(&tree, indexes[i], item_of(1));
            if (error != 0) {
                EXPECT_EQ(-ENOMEM, error);
                EXPECT_EQ(nr_nodes, tree.nr_nodes);
                EXPECT_TRUE(radix_lookup(&tree, indexes[i]) == NULL);
                EXPECT_TRUE(radix_lookup(&tree, 3) == item_of(0));
            }
        } while (error != 0);
        fake_fail_nth = 0;
        EXPECT_TRUE(radix_erase(&tree, indexes[i]) == item_of(1));
        EXPECT_EQ(nr_nodes, tree.nr_nodes);
    }
    EXPECT_TRUE(radix_erase(&tree, 3) == item_of(0));
    EXPECT_EQ(0, slab_objects_in_use());
}

TEST(replace_returns_the_old_entry)
{
    radix_init(&tree);
    EXPECT_EQ(0, radix_insert(&tree, 9, item_of(0)));
    EXPECT_TRUE(radix_replace(&tree, 9, item_of(1)) == item_of(0));
    EXPECT_TRUE(radix_erase(&tree, 9) == item_of(1));
    EXPECT_PANIC("replaced only where there is one", radix_replace(&tree, 9, item_of(0)));
}
