/*
 * Shared by frames.c and frames_init.c alone: the pool of free blocks.
 */
#ifndef MM_FRAMES_INTERNAL_H
#define MM_FRAMES_INTERNAL_H

#include <mm/frames.h>

/* [f] lock, [I] immutable after frames_init() */
struct frame_pool {
    struct spinlock lock;
    struct list_node free[NR_PAGE_ORDERS]; /* [f] blocks of 2^order frames */
    u64 nr_free;                           /* [f] frames in the lists above */
    u64 nr_total;                          /* [f] frames that the allocator manages */
    u64 nr_reserved;                       /* [f] frames of RAM that it does not */
    u64 reserve;                           /* [I] frames that only the kernel may take */
    u32 cpu_list_max;                      /* [I] frames on one CPU's list */
};

extern struct frame_pool frame_pool;

/**
 * frame_pool_free() - add a block to the lists, merged with its buddies.
 *
 * Context: frame_pool.lock held, or nobody else is there yet.
 */
void frame_pool_free(u64 pfn, u32 order);

#endif
