/*
 * What every group of the benchmark shares: reading the counter, collecting samples, printing a row.
 *
 * The program is one static binary for Cowbell and Linux. A row is
 *     B <name> <median> <unit> <min> <max> <samples>
 * In counted mode the unit is guest instructions: TSC ticks, valid under `-icount shift=0`. In wall
 * mode it is nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef COWBELL_BENCH_H
#define COWBELL_BENCH_H

#include <stddef.h>
#include <stdint.h>

#define PAGE  4096ul
#define MIB   (1024ul * 1024)
#define BASE  ((char *)0x100000000000ul)
#define BASE2 ((char *)0x110000000000ul)

enum { MAX_SAMPLES = 256 };

/** struct samples - measurements of one row, until samples_print() empties it. */
struct samples {
    double values[MAX_SAMPLES];
    int count;
};

extern int bench_is_counted;
extern int bench_repeats;
/* One page that children share with the measuring process, for their results. */
extern volatile char *bench_shared;

uint64_t bench_now(void);
/** bench_call() - a system call without arguments, without the C library around it. */
long bench_call(long number);
void samples_add(struct samples *samples, double value);
void samples_print(const char *name, struct samples *samples);
/** row_value() - a row of one value with a unit of its own. */
void row_value(const char *name, double value, const char *unit);
/** row_error() - a row that could not be measured; prints errno. */
void row_error(const char *name);

/** map_at() - private anonymous memory of small pages at a fixed place; ends the program on error. */
char *map_at(char *address, size_t len, int prot);
/** map_rw() - map_at(BASE) readable and writable. */
char *map_rw(size_t len);
void write_pages(char *base, size_t nr_pages);
void read_pages(char *base, size_t nr_pages);
/** meminfo_kib() - a line of /proc/meminfo, by its name with the colon; -1 if absent. */
long meminfo_kib(const char *key);

void bench_boot(uint64_t ticks_at_start);
void bench_base(void);
void bench_anon(void);
void bench_shmem(void);
void bench_cow(void);
void bench_fork(void);
void bench_mmap(void);
void bench_ipc(void);
void bench_signal(void);
void bench_vma(void);

#endif
