/*
 * How often a lock was not free when somebody came for it, by rank.
 *
 * Counted where a taker finds that it must wait, so a lock that is free costs nothing more. What a
 * failed trylock does instead is the caller's affair and not counted, but for a fault that goes
 * from its VMA's lock to mmap_lock.
 */
#ifndef DEBUG_LOCKSTAT_H
#define DEBUG_LOCKSTAT_H

#include <lib/types.h>
#include <proc/lock_rank.h>

/** lockstat_contended() - a lock of this rank had to be waited for. Context: any. */
void lockstat_contended(u16 rank);

/** lockstat_acquired() - a lock of this rank is being taken; called by lockdep alone. Any context.
 */
void lockstat_acquired(u16 rank);

/** lockstat_read_acquired() - how often since boot, on all CPUs; 0 unless lockdep runs. */
u64 lockstat_read_acquired(enum lock_rank rank);

/** lockstat_read() - how often since boot, on all CPUs. */
u64 lockstat_read(enum lock_rank rank);

/** lock_rank_name() - as lock_rank.h has it, in lower case without the prefix. */
const char *lock_rank_name(enum lock_rank rank);

#endif
