/*
 * Shared by frames.c, frames_init.c and frames_verify.c alone: the pool of free blocks, and the
 * free frames of each CPU.
 */
#ifndef MM_FRAMES_INTERNAL_H
#define MM_FRAMES_INTERNAL_H

#include <arch/cpu.h>
#include <mm/frames.h>

/* Free single frames, linked by next_free. In the depot all are chain_frames long. */
struct frame_chain {
    struct page *head;
    u32 count;
};

/* Free single frames of one CPU, which alone touches them; a cache line each. */
struct cpu_frames {
    struct frame_chain current; /* where frames come from and go to */
    struct frame_chain other;   /* empty or full: stands in when the one above is full or empty */
    struct frame_chain zeroed;  /* frames that need no clearing (F5) */
} ALIGNED(64);

extern struct cpu_frames cpu_frames[MAX_CPUS];

/* [f] lock, [I] immutable after frames_init() */
struct frame_pool {
    struct spinlock lock;
    struct list_node free[NR_PAGE_ORDERS]; /* [f] blocks of 2^order frames */
    u64 nr_free;                           /* [f] frames in the lists above */
    u64 nr_dormant;                        /* [f] free frames without struct pages as yet */
    u64 nr_total;                          /* [f] frames that the allocator manages */
    u64 nr_reserved;                       /* [f] frames of RAM that it does not */
    u64 reserve;                           /* [I] frames that only the kernel may take */
    u32 chain_frames;                      /* [I] frames on a full chain; a power of two */
    u32 depot_max;                         /* [I] chains that the depot keeps */
    u32 nr_depot;                          /* [f] chains in it */
    struct page *depot;                    /* [f] first frames of full chains, by next_chain */
};

extern struct frame_pool frame_pool;

/**
 * frame_pool_wake() - turn some dormant frames into free blocks; some of them hold the struct pages
 *                     of the others then.
 *
 * Context: as page_alloc(); frame_pool.lock not held. Return: were there any?
 */
MUST_CHECK bool frame_pool_wake(void);

/**
 * frame_pool_free() - add a block to the lists, merged with its buddies.
 *
 * Context: frame_pool.lock held, or nobody else is there yet.
 */
void frame_pool_free(u64 pfn, u32 order);

#endif
