/*
 * Arrays of bits, searched a word at a time. Owns no state; the caller's lock protects the bits.
 */
#include <lib/bitmap.h>

/* Bits [from, BITS_PER_WORD) of a word. */
static u64 mask_from(size_t from)
{
    return ~0UL << from;
}

/* Bits [0, to) of a word, 1 <= @to <= BITS_PER_WORD. */
static u64 mask_below(size_t to)
{
    return ~0UL >> (BITS_PER_WORD - to);
}

void bitmap_zero(u64 *map, size_t nr_bits)
{
    for (size_t i = 0; i < BITMAP_WORDS(nr_bits); i++) {
        map[i] = 0;
    }
}

/* The bits of [start, end) that lie in the word of bit @start, and where the next word begins. */
static u64 range_mask(size_t start, size_t end, size_t *next)
{
    size_t word_start = ALIGN_DOWN(start, BITS_PER_WORD);
    size_t word_end = min(word_start + BITS_PER_WORD, end);

    *next = word_end;
    return mask_from(start - word_start) & mask_below(word_end - word_start);
}

void bitmap_set_range(u64 *map, size_t start, size_t count)
{
    size_t end = start + count;
    size_t next;

    for (size_t pos = start; pos < end; pos = next) {
        map[pos / BITS_PER_WORD] |= range_mask(pos, end, &next);
    }
}

void bitmap_clear_range(u64 *map, size_t start, size_t count)
{
    size_t end = start + count;
    size_t next;

    for (size_t pos = start; pos < end; pos = next) {
        map[pos / BITS_PER_WORD] &= ~range_mask(pos, end, &next);
    }
}

/* The first bit at or after @start whose word, after flipping by @flip, has it set. */
static size_t next_bit(const u64 *map, size_t nr_bits, size_t start, u64 flip)
{
    size_t next;

    for (size_t pos = start; pos < nr_bits; pos = next) {
        u64 word = (map[pos / BITS_PER_WORD] ^ flip) & range_mask(pos, nr_bits, &next);
        if (word != 0) {
            return ALIGN_DOWN(pos, BITS_PER_WORD) + (size_t)__builtin_ctzl(word);
        }
    }
    return nr_bits;
}

size_t bitmap_next_set(const u64 *map, size_t nr_bits, size_t start)
{
    return next_bit(map, nr_bits, start, 0);
}

size_t bitmap_next_clear(const u64 *map, size_t nr_bits, size_t start)
{
    return next_bit(map, nr_bits, start, ~0UL);
}

size_t bitmap_find_clear_run(const u64 *map, size_t nr_bits, size_t count)
{
    size_t start = bitmap_next_clear(map, nr_bits, 0);

    while (start < nr_bits && count <= nr_bits - start) {
        size_t end = bitmap_next_set(map, start + count, start);
        if (end == start + count) {
            return start;
        }
        start = bitmap_next_clear(map, nr_bits, end);
    }
    return nr_bits;
}

size_t bitmap_count(const u64 *map, size_t nr_bits)
{
    size_t count = 0;
    size_t next;

    for (size_t pos = 0; pos < nr_bits; pos = next) {
        u64 mask = range_mask(pos, nr_bits, &next);
        count += word_count_bits(map[pos / BITS_PER_WORD] & mask);
    }
    return count;
}
