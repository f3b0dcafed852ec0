/*
 * What every group of the benchmark shares: rows, stopwatches, memory, and what a group is.
 *
 * The program is one static binary for Cowbell and Linux. It prints for each row
 *     B <name> <median> <unit> <min> <max> <samples>
 * or `B <name> NA`, if this system does not have what the row measures, or `B <name> ERR <why>`;
 * and on Cowbell `C <name> <root loads> <page flushes> <full flushes> <IPIs>`, each for one
 * operation. In counted mode the unit is guest instructions: TSC ticks, valid under `-icount
 * shift=0`. In wall mode it is nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef COWBELL_BENCH_H
#define COWBELL_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE  4096ul
#define MIB   (1024ul * 1024)
#define BASE  ((char *)0x100000000000ul)
#define BASE2 ((char *)0x110000000000ul)
#define RW    (PROT_READ | PROT_WRITE)

enum { MAX_ROWS = 16, MAX_SAMPLES = 256, NR_COUNTERS = 4 };

/** struct counters - the kernel's own: root loads, page flushes, full flushes, IPIs; all CPUs. */
struct counters {
    uint64_t of[NR_COUNTERS];
};

/** struct row - one line of the result. Rows stand in memory that children share. */
struct row {
    const char *name; /* NULL ends an array of rows */
    const char *unit; /* NULL: instructions or nanoseconds */
    double samples[MAX_SAMPLES];
    int count;
    double counted[NR_COUNTERS]; /* over all operations */
    double operations;
    int error; /* errno if it could not be measured */
    int is_profiled;
};

/** struct watch - a stopwatch: what passed between its starts and stops, summed. */
struct watch {
    uint64_t ticks;
    uint64_t started;
    struct counters counted;
    struct counters at_start;
    int is_profiled;
};

/** struct bench - some rows that are measured together, in a process of their own. */
struct bench {
    void (*run)(struct row *rows);
    const char *rows[MAX_ROWS]; /* their names, in the order in which run() knows them */
};

extern int bench_is_counted;
extern int bench_repeats;
extern int bench_has_counters;
/* One page that forked children share with the measuring process. */
extern volatile char *bench_shared;

static inline uint64_t bench_ticks(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return ((uint64_t)high << 32) | low;
}

static inline uint64_t bench_now(void)
{
    struct timespec time;

    if (bench_is_counted) {
        return bench_ticks();
    }
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

/* tools/profile/plugin.c looks for these two: no-operations whose displacement nobody else uses. */
static inline void profile_on(void)
{
    __asm__ volatile(".byte 0x0f,0x1f,0x80; .long 0x0cbe11a0" : : : "memory");
}

static inline void profile_off(void)
{
    __asm__ volatile(".byte 0x0f,0x1f,0x80; .long 0x0cbe11a1" : : : "memory");
}

/** counters_find() - set bench_has_counters if this kernel tells them. */
void counters_find(void);
/** counters_read() - the kernel's counters as they are now; only if bench_has_counters. */
void counters_read(struct counters *counters);
/** counters_add() - @sum += @now - @before. */
void counters_add(struct counters *sum, const struct counters *now, const struct counters *before);

/** watch_of() - a watch at zero; a profile of @row covers what it measures. */
static inline struct watch watch_of(const struct row *row)
{
    return (struct watch){.is_profiled = row->is_profiled};
}

static inline void watch_start(struct watch *watch)
{
    if (bench_has_counters) {
        counters_read(&watch->at_start);
    }
    if (watch->is_profiled) {
        profile_on();
    }
    watch->started = bench_now();
}

static inline void watch_stop(struct watch *watch)
{
    uint64_t now = bench_now();
    struct counters counters;

    watch->ticks += now - watch->started;
    if (watch->is_profiled) {
        profile_off();
    }
    if (bench_has_counters) {
        counters_read(&counters);
        counters_add(&watch->counted, &counters, &watch->at_start);
    }
}

/** row_add() - one sample: what @watch shows, divided by @operations. The watch goes to zero. */
void row_add(struct row *row, struct watch *watch, double operations);
/** row_value() - the row is one value with a unit of its own, and nothing was timed. */
void row_value(struct row *row, double value, const char *unit);
/** row_fail() - the row could not be measured: errno says why. */
void row_fail(struct row *row);
/** rows_fail() - row_fail() for each row of the array that has no sample yet. */
void rows_fail(struct row *rows);
void row_print(const struct row *row);

/**
 * TIMED() - one sample of @row: the statement or block that follows, @operations of them.
 *
 * The block is left at its end only.
 */
#define TIMED(row_, operations_)                                                                   \
    for (struct watch watch_ = watch_of(row_), *once_ = (watch_start(&watch_), &watch_);           \
         once_ != NULL; watch_stop(&watch_), row_add(row_, &watch_, (operations_)), once_ = NULL)

/** bench_call() - a system call without arguments, without the C library around it. */
long bench_call(long number);
/** map_at() - private anonymous memory of small pages at a fixed place; ends the process on error.
 */
char *map_at(char *address, size_t len, int prot);
/** map_rw() - map_at(BASE) readable and writable. */
char *map_rw(size_t len);
/** memfd_of() - a memfd of @len bytes, with contents if @is_filled; ends the process on error. */
int memfd_of(size_t len, int is_filled);
/** map_fd() - a memfd at BASE; ends the process on error. @flags: MAP_SHARED or MAP_PRIVATE. */
char *map_fd(int fd, size_t len, int flags);
void write_pages(char *base, size_t nr_pages);
void read_pages(char *base, size_t nr_pages);
/** meminfo_kib() - a line of /proc/meminfo, by its name with the colon; -1 if absent. */
long meminfo_kib(const char *key);
/** write_text() - to a file of /proc or /sys. Return: 0, or -1 with errno. */
int write_text(const char *path, const char *text);
/** child_exit() - fork a child that ends at once, and wait for it. */
void child_exit(void);

/** bench_boot() - the rows about how the system came up, printed at once. */
void bench_boot(uint64_t ticks_at_start);

/* The groups: arrays that end with an element without run(). */
extern const struct bench bench_base[], bench_anon[], bench_thp[], bench_shmem[], bench_cow[],
    bench_fork[], bench_exit[], bench_mmap[], bench_protect[], bench_inspect[], bench_ipc[],
    bench_message[], bench_yield[], bench_signal[], bench_uffd[], bench_gup[], bench_vma[],
    bench_mem[], bench_scale[];

#endif
