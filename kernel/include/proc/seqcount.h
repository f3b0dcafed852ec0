/*
 * Sequence counts: readers that take no lock notice that a writer came between.
 *
 * A writer, which holds a lock against other writers, makes the count odd, changes the data, and
 * makes it even again. A reader reads the data between seqcount_read_begin() and
 * seqcount_read_retry() and uses it only if the latter is false.
 */
#ifndef PROC_SEQCOUNT_H
#define PROC_SEQCOUNT_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <arch/cpu.h>

struct seqcount {
    u32 sequence; /* [x] odd while a writer is inside */
};

static inline void seqcount_init(struct seqcount *count)
{
    count->sequence = 0;
}

/** seqcount_read_begin() - wait for a writer to leave; the value for seqcount_read_retry(). */
static inline u32 seqcount_read_begin(const struct seqcount *count)
{
    for (;;) {
        u32 sequence = __atomic_load_n(&count->sequence, __ATOMIC_ACQUIRE);

        if ((sequence & 1) == 0) {
            return sequence;
        }
        cpu_relax();
    }
}

/** seqcount_read_raw() - the count as it is, odd while a writer is inside. */
static inline u32 seqcount_read_raw(const struct seqcount *count)
{
    return __atomic_load_n(&count->sequence, __ATOMIC_ACQUIRE);
}

/** seqcount_read_retry() - whether what was read since @start may be torn. */
static inline bool seqcount_read_retry(const struct seqcount *count, u32 start)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&count->sequence, __ATOMIC_RELAXED) != start;
}

/** seqcount_write_begin() - enter as the only writer. */
static inline void seqcount_write_begin(struct seqcount *count)
{
    __atomic_store_n(&count->sequence, count->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/** seqcount_write_end() - leave; everything written before is visible to the next reader. */
static inline void seqcount_write_end(struct seqcount *count)
{
    __atomic_store_n(&count->sequence, count->sequence + 1, __ATOMIC_RELEASE);
}

#endif
