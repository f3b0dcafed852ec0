/*
 * The frame allocator: a buddy system with chains of single frames in front of it.
 *
 * Blocks are 2^order frames, aligned to their size, 0 <= order < NR_PAGE_ORDERS. Single frames come
 * from and go to a list of the current CPU without a lock: kernel code is not preempted and
 * interrupt handlers neither allocate nor free.
 */
#ifndef MM_FRAMES_H
#define MM_FRAMES_H

#include <mm/page.h>

struct boot_info;

#define NR_PAGE_ORDERS 11
#define MAX_PAGE_ORDER (NR_PAGE_ORDERS - 1)

/* What an allocation asks for; page_alloc(), kmalloc() and kmem_cache_alloc() share these. */
enum alloc_flags {
    ALLOC_KERNEL = 0,           /* for the kernel's own use; may sleep */
    ALLOC_ZERO = 1 << 0,        /* filled with zeros */
    ALLOC_ATOMIC = 1 << 1,      /* the caller holds a spin lock: never sleep; may use the reserve */
    ALLOC_USER = 1 << 2,        /* a user's page: leaves the reserve alone */
    ALLOC_NOFAIL_TEST = 1 << 3, /* not a candidate for failure injection */
};

#define ALLOC_FLAGS_VALID (ALLOC_ZERO | ALLOC_ATOMIC | ALLOC_USER | ALLOC_NOFAIL_TEST)

/* What memory is used for; each owner reports its own pages with mem_account(). */
enum mem_counter {
    MEM_SLAB,
    MEM_PAGE_TABLES,
    MEM_KERNEL_TABLES, /* tables of the kernel half; they are never freed */
    MEM_STRUCT_PAGES,  /* of frames that have left their sleep; they are never freed */
    MEM_KERNEL_STACKS, /* stacks in use and stacks kept for the next thread */
    MEM_STACK_CACHE,   /* of these, the ones kept */
    MEM_ANON,
    MEM_SHMEM,
    MEM_SHADOW, /* the address sanitizer's shadow */
    NR_MEM_COUNTERS,
};

/* All in pages. */
struct mem_stats {
    u64 total; /* frames the allocator manages */
    u64 free;
    u64 reserved; /* RAM that it does not: kernel image, struct pages, boot-time tables */
    u64 counters[NR_MEM_COUNTERS];
};

/**
 * frames_init() - make struct pages for all RAM and take over what boot_alloc has left.
 *
 * Context: boot CPU, once, with the direct map in place.
 */
void frames_init(const struct boot_info *info);

/**
 * page_alloc() - allocate 2^order frames in a row, aligned to their size.
 * @order: < NR_PAGE_ORDERS
 * @flags: enum alloc_flags
 *
 * The first page has one reference; flags, other counts, owner and index are clear. The pages
 * after the first of a block have no reference (see page_split_block()).
 *
 * Context: thread, spin locks allowed; never an interrupt handler.
 * Return:  the first page, or NULL.
 */
MUST_CHECK struct page *page_alloc(u32 order, u32 flags);

/**
 * page_free() - free a block whose only lasting reference the caller holds.
 * @order: as it was allocated
 *
 * A look-up without a lock may hold the first frame for a moment (page_get_not_zero()) until it
 * sees that it is not the page it wanted; then that frame is freed by it.
 *
 * Context: as page_alloc().
 */
void page_free(struct page *page, u32 order);

/**
 * page_free_zeroed() - page_put() of a single frame that holds zeros alone, as a page table does
 * when it goes: the next table is made of it as it is (F5).
 */
void page_free_zeroed(struct page *page);

/**
 * frames_release_reserved() - give boot-time memory to the allocator.
 * @start: physical, page-aligned, with @end: a range of RAM that is PG_reserved, such as a boot
 *         module that nobody needs any more
 */
void frames_release_reserved(u64 start, u64 end);

/**
 * page_split_block() - turn a block into single pages, each with a reference of its own.
 */
void page_split_block(struct page *page, u32 order);

/**
 * page_put_many() - page_put() for each of an array of single frames, in less time.
 *
 * Context: as page_alloc().
 */
void page_put_many(struct page *const *pages, u32 nr_pages);

/**
 * page_clear() - fill a frame with zeros.
 */
void page_clear(struct page *page);

/**
 * page_copy() - copy a frame.
 */
void page_copy(struct page *dst, const struct page *src);

/**
 * frames_free_count() - free frames, per-CPU lists included; exact when no CPU is allocating.
 */
u64 frames_free_count(void);

/** frames_nr_dormant() - of these, the ones that nobody has needed yet. */
u64 frames_nr_dormant(void);

/**
 * frames_total_count() - frames that the allocator manages, free or not.
 */
u64 frames_total_count(void);

/**
 * frames_held_count() - frames that somebody holds, for the leak check.
 *
 * Caches that keep frames for their next use are not counted: slabs (their objects are counted by
 * slab_objects_in_use()), idle kernel stacks, the kernel's own page tables, the shadow.
 */
u64 frames_held_count(void);

/**
 * frames_drain() - give the current CPU's single frames, and those that no CPU has, back to the
 *                  buddy lists, so that they merge.
 */
void frames_drain(void);

/**
 * frames_set_reclaim() - whom to ask for frames when none are left; once at boot.
 * @reclaim: called without a spin lock where the allocation may sleep; true if it freed some
 */
void frames_set_reclaim(bool (*reclaim)(void));

/**
 * frames_are_low() - whether only the reserve for the kernel is left.
 */
bool frames_are_low(void);

/**
 * frames_verify() - check all free lists against the struct pages; panics on a difference.
 *
 * Context: no CPU may be allocating.
 */
void frames_verify(void);

/**
 * frames_adopt_device() - give the frames of a direct device their struct pages.
 * @start: physical, page-aligned, with @end: RAM that boot_alloc() set aside, or memory outside
 *         RAM, which is mapped into the direct map as well
 *
 * Every frame becomes PG_device with one reference, the device's. They are never freed.
 *
 * Context: boot CPU, before the first address space.
 * Return:  0, -ERANGE (beyond the direct map), -ENOSPC (too many devices), -ENOMEM.
 */
MUST_CHECK int frames_adopt_device(u64 start, u64 end);

/**
 * frames_for_each_range() - call @visit for each range of frame numbers [start, end) of RAM, and
 *                           of direct devices outside RAM.
 */
void frames_for_each_range(void (*visit)(u64 start_pfn, u64 end_pfn, void *arg), void *arg);

/**
 * frames_for_each_awake() - the same without the dormant frames, which have no struct pages.
 */
void frames_for_each_awake(void (*visit)(u64 start_pfn, u64 end_pfn, void *arg), void *arg);

/**
 * mem_account() - add pages, or take them away, under one heading of the statistics.
 */
void mem_account(enum mem_counter counter, s64 nr_pages);

/**
 * mem_counter_read() - the sum over all CPUs.
 */
u64 mem_counter_read(enum mem_counter counter);

/**
 * mem_stats_get() - all counters at once.
 */
struct mem_stats mem_stats_get(void);

#endif
