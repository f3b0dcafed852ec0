/* Bitmaps against an array of bool. */
#include <host_test.h>
#include <lib/bitmap.h>

#define NR_BITS 331

static BITMAP(map, NR_BITS);
static bool model[NR_BITS];

static void check_all(void)
{
    size_t expected = 0;
    size_t bit;
    size_t seen = 0;

    for (size_t i = 0; i < NR_BITS; i++) {
        EXPECT_EQ(model[i], bitmap_test(map, i));
        expected += model[i];
    }
    EXPECT_EQ(expected, bitmap_count(map, NR_BITS));
    bitmap_for_each_set (bit, map, NR_BITS) {
        EXPECT_TRUE(model[bit]);
        seen++;
    }
    EXPECT_EQ(expected, seen);
}

static size_t model_next(size_t start, bool value)
{
    while (start < NR_BITS && model[start] != value) {
        start++;
    }
    return start;
}

static size_t model_clear_run(size_t count)
{
    for (size_t start = 0; start + count <= NR_BITS; start++) {
        if (model_next(start, true) >= start + count) {
            return start;
        }
    }
    return NR_BITS;
}

TEST(ranges_and_searches_agree_with_an_array)
{
    for (int round = 0; round < 3000; round++) {
        size_t start = host_random(NR_BITS);
        size_t count = host_random(NR_BITS - start + 1);
        bool value = host_random(2) != 0;

        if (value) {
            bitmap_set_range(map, start, count);
        } else {
            bitmap_clear_range(map, start, count);
        }
        memset(model + start, value, count);
        size_t from = host_random(NR_BITS);
        EXPECT_EQ(model_next(from, true), bitmap_next_set(map, NR_BITS, from));
        EXPECT_EQ(model_next(from, false), bitmap_next_clear(map, NR_BITS, from));
        size_t run = 1 + host_random(100);
        EXPECT_EQ(model_clear_run(run), bitmap_find_clear_run(map, NR_BITS, run));
        if (round % 50 == 0) {
            check_all();
        }
    }
}

TEST(single_bits_do_not_disturb_their_neighbours)
{
    bitmap_zero(map, NR_BITS);
    memset(model, 0, sizeof(model));
    for (size_t i = 0; i < NR_BITS; i += 3) {
        bitmap_set(map, i);
        model[i] = true;
    }
    check_all();
    for (size_t i = 0; i < NR_BITS; i += 6) {
        bitmap_clear(map, i);
        model[i] = false;
    }
    check_all();
}
