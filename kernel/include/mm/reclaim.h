#ifndef MM_RECLAIM_H
#define MM_RECLAIM_H

#include <lib/compiler.h>
#include <lib/types.h>

struct tlb_batch;
struct vma;

/*
 * Pages that their owner can do without. MADV_FREE marks anonymous pages as free to be taken away
 * (PG_lazyfree) and makes their entries clean; one that is still clean when memory is short goes,
 * and its address reads as zero from then on. A write before that keeps it.
 *
 * All of these are called with mmap_lock held (read suffices) for a part of a private anonymous
 * VMA; faults may go on meanwhile.
 */

/**
 * reclaim_allow() - MADV_FREE: whatever is not written again may be taken away.
 *
 * Pages that are pinned, or that another process maps as well, are passed over. The caller
 * finishes the batch: until then a write may go unnoticed.
 */
void reclaim_allow(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch);

/** reclaim_age() - MADV_COLD: the pages count as not used lately. For any kind of VMA. */
void reclaim_age(struct vma *vma, u64 start, u64 end);

/**
 * reclaim_take() - MADV_PAGEOUT: take away what may be taken away now.
 * Return: pages taken; they are free once the batch is finished.
 */
u64 reclaim_take(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch);

/**
 * reclaim_paged() - take clean pages of objects that have pagers, which can bring them in again.
 *
 * Pages that nobody maps go before those that somebody does. What is pinned, locked, dirty, or on
 * its way stays. Context and locks as for reclaim_memory().
 * Return: pages taken, at most @nr_wanted.
 */
u64 reclaim_paged(u64 nr_wanted);

/**
 * reclaim_memory() - memory is short: take pages from any address space, or clean ones of objects.
 *
 * Context: thread, interrupts on; any sleeping lock may be held, no spin lock: whatever is locked
 *          is passed over.
 * Return:  true if frames became free.
 */
bool reclaim_memory(void);

/** reclaim_init() - have the frame allocator call reclaim_memory(); once at boot. */
void reclaim_init(void);

#endif
