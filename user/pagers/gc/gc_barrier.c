/*
 * A program that builds lists in the heap, hangs young objects onto old ones, and drops others. A
 * collection that looks at dirty cards only must find what one that looks at all cards finds, and
 * the lists must be whole at the end.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "gc_barrier"
#include "utest.h"
#include "heap.h"

enum { OLD_PAGES = 400, YOUNG_PAGES = 4, NR_LISTS = 48, NR_STEPS = 20000 };

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

/* Each list counts down to zero: the value of its head is its length less one. */
static void check_lists(struct heap *heap, const uint64_t *lengths)
{
    for (size_t i = 0; i < NR_LISTS; i++) {
        struct object *object = *heap_root(heap, i);
        uint64_t n = lengths[i];

        for (; object != NULL && n > 0; object = object->refs[0]) {
            n--;
            if (object->value != n) {
                break;
            }
        }
        EXPECT_EQ(0, n);
        EXPECT_TRUE(object == NULL);
    }
}

TEST(dirty_cards_are_all_that_is_looked_at)
{
    static uint64_t lengths[NR_LISTS];
    struct heap_stats stats;
    struct heap *heap;
    uint64_t state = 5;

    ASSERT_EQ(0, heap_create(OLD_PAGES, YOUNG_PAGES, &heap));
    heap_check_barrier(heap);
    for (int step = 0; step < NR_STEPS; step++) {
        size_t list = next_random(&state) % NR_LISTS;
        struct object *object;

        if (next_random(&state) % 4 != 0) {
            EXPECT_TRUE(heap_new(heap, 1) != NULL); /* nobody refers to it */
            continue;
        }
        object = heap_new(heap, lengths[list]);
        ASSERT_TRUE(object != NULL);
        object->refs[0] = *heap_root(heap, list);
        *heap_root(heap, list) = object;
        lengths[list]++;
    }
    heap_collect(heap);
    check_lists(heap, lengths);
    stats = heap_get_stats(heap);
    EXPECT_EQ(0, stats.nr_missed);
    heap_destroy(heap);
}

TEST(an_old_object_may_refer_to_a_young_one)
{
    struct heap_stats stats;
    struct object *object;
    struct heap *heap;
    uint64_t state = 9;

    ASSERT_EQ(0, heap_create(OLD_PAGES, YOUNG_PAGES, &heap));
    heap_check_barrier(heap);
    /* A thousand old objects in a chain, to which nothing but the first is a root. */
    for (uint64_t i = 0; i < 1000; i++) {
        object = heap_new(heap, i);
        object->refs[0] = *heap_root(heap, 0);
        *heap_root(heap, 0) = object;
    }
    for (int round = 0; round < 200; round++) {
        uint64_t steps = next_random(&state) % 1000;

        heap_collect(heap);
        object = *heap_root(heap, 0);
        for (uint64_t i = 0; i < steps && object->refs[0] != NULL; i++) {
            object = object->refs[0];
        }
        /* The only way to the young object is a card that was clean. */
        object->refs[1] = heap_new(heap, object->value + 5000);
    }
    heap_collect(heap);
    for (object = *heap_root(heap, 0); object != NULL; object = object->refs[0]) {
        if (object->refs[1] != NULL) {
            EXPECT_EQ(object->value + 5000, object->refs[1]->value);
        }
    }
    stats = heap_get_stats(heap);
    printf("# %llu collections looked at %llu cards of %llu, promoted %llu objects\n",
           (unsigned long long)stats.nr_collections, (unsigned long long)stats.nr_cards,
           (unsigned long long)stats.nr_cards_ever, (unsigned long long)stats.nr_promoted);
    EXPECT_EQ(0, stats.nr_missed);
    EXPECT_LE(1200, stats.nr_promoted);
    EXPECT_LE(stats.nr_cards * 2, stats.nr_cards_ever);
    heap_destroy(heap);
}

TEST(a_full_old_generation_says_so)
{
    struct heap *heap;
    int n = 0;

    ASSERT_EQ(0, heap_create(2, 1, &heap));
    for (; n < 100000; n++) {
        struct object *object = heap_new(heap, 0);

        if (object == NULL) {
            break;
        }
        object->refs[0] = *heap_root(heap, 0);
        *heap_root(heap, 0) = object;
    }
    EXPECT_LE(256, n);
    EXPECT_LE(n, 512);
    heap_destroy(heap);
}

UTEST_MAIN
