/* Making and removing mappings. */
#define _GNU_SOURCE
#include "bench.h"

#include <sys/syscall.h>
#include <unistd.h>

enum { ROUNDS = 1000 };

static void map_and_unmap(struct row *row, size_t len, int is_touched)
{
    for (int r = 0; r < bench_repeats; r++) {
        TIMED(row, ROUNDS)
        {
            for (int i = 0; i < ROUNDS; i++) {
                char *p = mmap(NULL, len, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                if (is_touched) {
                    *p = 1;
                }
                munmap(p, len);
            }
        }
    }
}

static void anywhere(struct row *rows)
{
    map_and_unmap(&rows[0], PAGE, 0);
    map_and_unmap(&rows[1], MIB, 0);
    map_and_unmap(&rows[2], PAGE, 1);
}

static void fixed(struct row *rows)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

    for (int r = 0; r < bench_repeats; r++) {
        char *p;

        TIMED(&rows[0], ROUNDS)
        {
            for (int i = 0; i < ROUNDS; i++) {
                p = mmap(BASE, PAGE, RW, flags, -1, 0);
                munmap(p, PAGE);
            }
        }
        p = map_rw(4 * PAGE);
        TIMED(&rows[1], ROUNDS)
        {
            for (int i = 0; i < ROUNDS; i++) {
                mmap(BASE + PAGE, PAGE, RW, flags, -1, 0);
            }
        }
        munmap(p, 4 * PAGE);
    }
}

static void heap(struct row *rows)
{
    char *start = (char *)syscall(SYS_brk, 0);

    for (int r = 0; r < bench_repeats; r++) {
        TIMED(&rows[0], ROUNDS)
        {
            for (int i = 0; i < ROUNDS; i++) {
                syscall(SYS_brk, start + PAGE);
                syscall(SYS_brk, start);
            }
        }
    }
}

const struct bench bench_mmap[] = {
    {anywhere, {"mmap_munmap_4K", "mmap_munmap_1M", "mmap_touch_munmap_4K"}},
    {fixed, {"mmap_munmap_4K_fixed", "mmap_fixed_replace_4K"}},
    {heap, {"brk_grow_shrink_4K"}},
    {0},
};
