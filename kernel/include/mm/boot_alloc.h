/*
 * Memory before the frame allocator: takes whole pages from the bottom of RAM up, because that is
 * what the first page tables map, and never gives them back.
 *
 * What is allocated here stays PG_reserved for ever: page tables of the direct map, struct pages.
 */
#ifndef MM_BOOT_ALLOC_H
#define MM_BOOT_ALLOC_H

#include <lib/types.h>

struct boot_info;

/* A range of physical memory, [start, end). */
struct phys_range {
    u64 start;
    u64 end;
};

/* RAM ranges of the firmware's map, each cut once more by the image and by every module. */
#define MAX_PHYS_RANGES 144

/**
 * boot_alloc_init() - learn the RAM, less what holds the kernel image and the modules.
 *
 * Context: boot CPU, before anything is allocated.
 */
void boot_alloc_init(const struct boot_info *info);

/**
 * boot_alloc() - allocate memory, filled with zeros; panics with a clear sentence if there is none.
 * @size:  bytes, rounded up to pages
 * @align: a power of two, at least PAGE_SIZE
 *
 * Context: boot CPU, until frames_init(). The direct map covers the lowest free RAM already.
 * Return:  the physical address.
 */
u64 boot_alloc(u64 size, u64 align);

/** boot_alloc_try() - boot_alloc() that returns 0 if there is none: RAM begins above 1 MiB. */
u64 boot_alloc_try(u64 size, u64 align);

/**
 * boot_alloc_page() - one page from boot_alloc().
 */
u64 boot_alloc_page(void);

/**
 * boot_alloc_ram_ranges() - all RAM, used or not; sorted, disjoint, page-aligned.
 * @count: out: entries
 */
const struct phys_range *boot_alloc_ram_ranges(u32 *count);

/**
 * boot_alloc_free_ranges() - what is left now; sorted, disjoint, page-aligned.
 * @count: out: entries
 */
const struct phys_range *boot_alloc_free_ranges(u32 *count);

/** boot_alloc_exclude() - [start, end) is not given out, nor among the free ranges, any more. */
void boot_alloc_exclude(u64 start, u64 end);

/** boot_alloc_close() - the frame allocator takes over what is left. */
void boot_alloc_close(void);

#endif
