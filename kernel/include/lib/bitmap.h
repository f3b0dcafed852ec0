/* Arrays of bits in u64 words. Not atomic: the owner's lock protects them. */
#ifndef LIB_BITMAP_H
#define LIB_BITMAP_H

#include <lib/types.h>

#define BITS_PER_WORD      64UL
#define BITMAP_WORDS(bits) (((bits) + BITS_PER_WORD - 1) / BITS_PER_WORD)

/* Defines or declares a bitmap variable or field. */
#define BITMAP(name, bits) u64 name[BITMAP_WORDS(bits)]

static inline bool bitmap_test(const u64 *map, size_t bit)
{
    return (map[bit / BITS_PER_WORD] >> (bit % BITS_PER_WORD)) & 1;
}

static inline void bitmap_set(u64 *map, size_t bit)
{
    map[bit / BITS_PER_WORD] |= 1UL << (bit % BITS_PER_WORD);
}

static inline void bitmap_clear(u64 *map, size_t bit)
{
    map[bit / BITS_PER_WORD] &= ~(1UL << (bit % BITS_PER_WORD));
}

/**
 * bitmap_zero() - clear all words of a bitmap.
 */
void bitmap_zero(u64 *map, size_t nr_bits);

/**
 * bitmap_set_range() - set the bits [start, start + count).
 */
void bitmap_set_range(u64 *map, size_t start, size_t count);

/**
 * bitmap_clear_range() - clear the bits [start, start + count).
 */
void bitmap_clear_range(u64 *map, size_t start, size_t count);

/**
 * bitmap_next_set() - the first set bit at or after @start.
 *
 * Return: @nr_bits if there is none.
 */
size_t bitmap_next_set(const u64 *map, size_t nr_bits, size_t start);

/**
 * bitmap_next_clear() - the first clear bit at or after @start.
 *
 * Return: @nr_bits if there is none.
 */
size_t bitmap_next_clear(const u64 *map, size_t nr_bits, size_t start);

/**
 * bitmap_find_clear_run() - the first run of @count clear bits.
 *
 * Return: its first bit, or @nr_bits if there is none.
 */
size_t bitmap_find_clear_run(const u64 *map, size_t nr_bits, size_t count);

/**
 * bitmap_count() - how many of the first @nr_bits bits are set.
 */
size_t bitmap_count(const u64 *map, size_t nr_bits);

#define bitmap_for_each_set(bit, map, nr_bits)                                                     \
    for (bit = bitmap_next_set(map, nr_bits, 0); bit < (nr_bits);                                  \
         bit = bitmap_next_set(map, nr_bits, bit + 1))

/** word_count_bits() - bits set in one word, without the compiler's run-time library. */
static inline u32 word_count_bits(u64 word)
{
    u32 count = 0;

    for (; word != 0; word &= word - 1) {
        count++;
    }
    return count;
}

#endif
