/* How the calls fare in an address space of many mappings: none may grow worse than by the
 * logarithm. */
#define _GNU_SOURCE
#include "bench.h"

enum { ROUNDS = 200 };
enum { ROW_SPLIT, ROW_PAIR, ROW_UNMAP, ROW_MAP, ROW_FAULT, ROW_FORK, ROW_UNMAP_ALL };

/* What only the first call of a process costs, such as a fault on its code, is not the row's. */
static void split_once(void)
{
    char *p = map_at(BASE2, 2 * PAGE, PROT_NONE);

    mprotect(p + PAGE, PAGE, RW);
    munmap(p, 2 * PAGE);
}

static int make_vmas(struct row *rows, char *p, int half)
{
    int error = 0;

    TIMED(&rows[ROW_SPLIT], half)
    {
        for (size_t i = 0; i < (size_t)half; i++) {
            error |= mprotect(p + (2 * i + 1) * PAGE, PAGE, RW);
        }
    }
    if (error != 0) {
        rows_fail(rows);
        row_fail(&rows[ROW_SPLIT]);
        return -1;
    }
    for (size_t i = 0; i < (size_t)half; i++) {
        p[(2 * i + 1) * PAGE] = 1;
    }
    return 0;
}

/* Unmap a page somewhere in the middle (of two: the second), map it again, touch it. */
static void replace_pages(struct row *rows, char *p, int half, unsigned seed)
{
    struct watch unmap = watch_of(&rows[ROW_UNMAP]);
    struct watch map = watch_of(&rows[ROW_MAP]);
    struct watch fault = watch_of(&rows[ROW_FAULT]);

    for (int i = 0; i < ROUNDS; i++) {
        char *q;

        seed = seed * 1103515245u + 12345u;
        q = p + (2ul * ((seed >> 8) % (unsigned)half) + 1) * PAGE;
        watch_start(&unmap);
        munmap(q, PAGE);
        watch_stop(&unmap);
        watch_start(&map);
        mmap(q, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        watch_stop(&map);
        watch_start(&fault);
        *(volatile char *)q = 1;
        watch_stop(&fault);
    }
    row_add(&rows[ROW_UNMAP], &unmap, ROUNDS);
    row_add(&rows[ROW_MAP], &map, ROUNDS);
    row_add(&rows[ROW_FAULT], &fault, ROUNDS);
}

/* One more VMA than @count, a page each: every other one may be written, and the first may not. */
static void with_vmas(struct row *rows, int count)
{
    int half = (count + 1) / 2;
    size_t len = ((size_t)count + 1) * PAGE;
    char *p = map_at(BASE, len, PROT_NONE);

    split_once();
    if (make_vmas(rows, p, half) != 0) {
        return;
    }
    for (int r = 0; r < bench_repeats; r++) {
        TIMED(&rows[ROW_PAIR], ROUNDS)
        {
            for (int i = 0; i < ROUNDS; i++) {
                munmap(mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
            }
        }
        replace_pages(rows, p, half, 12345u + (unsigned)r);
    }
    for (int i = 0; i < (count > 10000 ? 3 : 5); i++) {
        TIMED(&rows[ROW_FORK], 1)
        {
            child_exit();
        }
    }
    TIMED(&rows[ROW_UNMAP_ALL], 1)
    {
        munmap(p, len);
    }
}

#define BENCH_OF(count_)                                                                           \
    static void with_##count_(struct row *rows)                                                    \
    {                                                                                              \
        with_vmas(rows, count_);                                                                   \
    }
#define ROWS_OF(count_)                                                                            \
    {                                                                                              \
        with_##count_,                                                                             \
        {                                                                                          \
            "vma" #count_ "_split_mprotect_per_vma", "vma" #count_ "_mmap_munmap_4K_pair",         \
                "vma" #count_ "_munmap_mid_touched", "vma" #count_ "_mmap_fixed_mid",              \
                "vma" #count_ "_write_fault_mid", "vma" #count_ "_fork_exit_wait",                 \
                "vma" #count_ "_munmap_all"                                                        \
        }                                                                                          \
    }

BENCH_OF(1)
BENCH_OF(10)
BENCH_OF(1000)
BENCH_OF(10000)
BENCH_OF(60000)

const struct bench bench_vma[] = {ROWS_OF(1),     ROWS_OF(10),    ROWS_OF(1000),
                                  ROWS_OF(10000), ROWS_OF(60000), {0}};
