/* Changing the protection of mappings, and moving them. */
#define _GNU_SOURCE
#include "bench.h"

static void toggle(struct row *row, char *p, size_t len, int rounds)
{
    for (int r = 0; r < bench_repeats; r++) {
        TIMED(row, 2 * rounds)
        {
            for (int i = 0; i < rounds; i++) {
                mprotect(p, len, PROT_READ);
                mprotect(p, len, RW);
            }
        }
    }
}

static void one_page(struct row *rows)
{
    char *p = map_rw(PAGE);

    *p = 1;
    toggle(&rows[0], p, PAGE, 1000);
    munmap(p, PAGE);
}

static void many_pages(struct row *rows)
{
    char *p = map_rw(1024 * PAGE);

    write_pages(p, 1024);
    toggle(&rows[0], p, 1024 * PAGE, 20);
    toggle(&rows[1], p + 500 * PAGE, PAGE, 500);
    for (int i = 0; i < MAX_SAMPLES; i++) {
        mprotect(p, 4 * PAGE, PROT_READ);
        mprotect(p, 4 * PAGE, RW);
        TIMED(&rows[2], 1)
        {
            *(volatile char *)p = 1;
        }
    }
    munmap(p, 1024 * PAGE);
}

static void move(struct row *row, char *target)
{
    size_t len = 16 * MIB;
    char *p = map_rw(len);

    write_pages(p, len / PAGE);
    for (int r = 0; r < bench_repeats; r++) {
        char *now;

        TIMED(row, 1)
        {
            now = mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, target);
        }
        if (now == MAP_FAILED) {
            row_fail(row);
            return;
        }
        target = p;
        p = now;
    }
    munmap(p, len);
}

static void moves(struct row *rows)
{
    move(&rows[0], BASE2);
    move(&rows[1], BASE2 + PAGE);
}

const struct bench bench_protect[] = {
    {one_page, {"mprotect_1p_whole_vma_per_call"}},
    {many_pages,
     {"mprotect_1024p_per_call", "mprotect_1p_split_merge_per_call", "mprotect_then_write_fault"}},
    {moves, {"mremap_move_16M_2Maligned", "mremap_move_16M_unaligned"}},
    {0},
};
