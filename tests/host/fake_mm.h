/*
 * What host tests of address spaces stand on: caches with constructors, sleeping locks that only
 * count, page tables that are an array, and generations that are a number.
 */
#ifndef HOST_FAKE_MM_H
#define HOST_FAKE_MM_H

#include <lib/types.h>

struct mm;
struct vma;

/* The pages that tests look at. Others can be mapped, but not touched. */
#define FAKE_BASE     0x10000UL
#define FAKE_NR_PAGES 96
#define FAKE_END      (FAKE_BASE + FAKE_NR_PAGES * PAGE_SIZE)

/* The entry of one page: what was put there, and by which generation. */
struct fake_entry {
    u64 tag;                   /* 0: none */
    struct anon_vma *anon_vma; /* of a private page */
    u64 index;                 /* number of the page in its generation */
};

extern struct fake_entry fake_entries[FAKE_NR_PAGES];

/* RLIMIT_* of the only process there is. */
extern u64 fake_limits[16];

/** fake_mm_init() - an empty address space with the window's end as mmap_base. */
void fake_mm_init(struct mm *mm);

/** fake_mm_clear() - unmap everything and check that nothing is left. */
void fake_mm_clear(struct mm *mm);

/** fake_touch() - what a write fault does. Return: false if the page may not be written. */
bool fake_touch(struct mm *mm, u64 addr, u64 tag);

/** fake_check_entries() - every page is where the reverse map will look for it. */
void fake_check_entries(struct mm *mm);

#endif
