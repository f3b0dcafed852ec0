#ifndef MM_CURSOR_H
#define MM_CURSOR_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <debug/explore.h>
#include <mm/pte.h>

/*
 * A position in the page tables of one address space. The only way to reach an entry: nobody else
 * forms a pointer into a table.
 *
 * A cursor stands at an address, over the lowest table that serves it. Entries are changed only
 * between cursor_lock() and cursor_unlock(), which hold that table's lock. Without the lock an
 * entry may be read as a hint. The table itself stays for as long as the caller keeps its VMA from
 * being unmapped (VMA lock, mmap_lock, or the object's mapping lock), or keeps interrupts off on a
 * processor that runs the address space (free_page_tables() waits for it).
 */
struct pt_cursor {
    struct mm *mm;
    u64 addr;         /* page aligned; the entry that the cursor stands at */
    struct pte *slot; /* that entry; NULL if no table serves the address */
    struct page *table;
};

/**
 * cursor_find() - stand at @addr.
 * Return: true if a table serves the address; false leaves only cursor_prepare() to be called.
 */
bool cursor_find(struct pt_cursor *cursor, struct mm *mm, u64 addr);

/**
 * cursor_prepare() - stand at @addr, making the tables that are missing.
 * Context: thread; no spin lock held; the address lies in a VMA that the caller holds.
 * Return:  0 or -ENOMEM.
 */
MUST_CHECK int cursor_prepare(struct pt_cursor *cursor, struct mm *mm, u64 addr);

/**
 * cursor_first() - stand at the first address of [start, end) that a table serves.
 * Return: false if none does.
 */
bool cursor_first(struct pt_cursor *cursor, struct mm *mm, u64 start, u64 end);

/** cursor_resume() - from the cursor's address on, stand at the first below @end with a table. */
static inline bool cursor_resume(struct pt_cursor *cursor, u64 end)
{
    return cursor->addr < end && cursor_first(cursor, cursor->mm, cursor->addr, end);
}

/** cursor_table_end() - the first address above the cursor's that another table serves, or @end. */
static inline u64 cursor_table_end(const struct pt_cursor *cursor, u64 end)
{
    u64 table_end = (cursor->addr | (pt_level_size(1) - 1)) + 1;

    return table_end < end ? table_end : end;
}

/* The lock is taken in one function of a fault and released in another, as its resolver decides,
 * which the compiler's analysis cannot follow; the ranks at run time check it. */

static inline void cursor_lock(struct pt_cursor *cursor) NO_THREAD_SAFETY_ANALYSIS
{
    spin_lock(&cursor->table->ptl);
}

/** cursor_lock_nested() - with another table's lock held; see fork.c and move_page_tables.c. */
static inline void cursor_lock_nested(struct pt_cursor *cursor) NO_THREAD_SAFETY_ANALYSIS
{
    spin_lock_nested(&cursor->table->ptl);
}

static inline void cursor_unlock(struct pt_cursor *cursor) NO_THREAD_SAFETY_ANALYSIS
{
    spin_unlock(&cursor->table->ptl);
}

/** cursor_pte() - the entry; may be stale by now unless the table is locked. */
static inline struct pte cursor_pte(const struct pt_cursor *cursor)
{
    return pte_load(cursor->slot);
}

/** cursor_set() - enter @pte where the processor cannot be using an entry. Table locked. */
static inline void cursor_set(struct pt_cursor *cursor, struct pte pte)
{
    explore_point(EXPLORE_ENTRY);
    pte_store(cursor->slot, pte);
}

/** cursor_exchange() - replace an entry that may be in use. Table locked. Return: the old one. */
static inline struct pte cursor_exchange(struct pt_cursor *cursor, struct pte pte)
{
    explore_point(EXPLORE_ENTRY);
    return pte_exchange(cursor->slot, pte);
}

/** cursor_replace() - enter @desired if @expected still stands there. Table locked. */
static inline MUST_CHECK bool cursor_replace(struct pt_cursor *cursor, struct pte expected,
                                             struct pte desired)
{
    explore_point(EXPLORE_ENTRY);
    return pte_compare_exchange(cursor->slot, expected, desired);
}

/** cursor_clear_write() - make the entry read-only, whatever the processor does. Table locked. */
static inline void cursor_clear_write(struct pt_cursor *cursor)
{
    explore_point(EXPLORE_ENTRY);
    pte_clear_write(cursor->slot);
}

/** cursor_clear_tracked() - take write and soft_dirty away. Table locked; the caller flushes. */
static inline void cursor_clear_tracked(struct pt_cursor *cursor)
{
    explore_point(EXPLORE_ENTRY);
    pte_clear_tracked(cursor->slot);
}

/** cursor_clear_accessed() - as if nobody had used the page yet. Table locked. */
static inline void cursor_clear_accessed(struct pt_cursor *cursor)
{
    pte_clear_accessed(cursor->slot);
}

/** cursor_step() - go to the next page of the same table; at its end the slot is not valid. */
static inline void cursor_step(struct pt_cursor *cursor)
{
    cursor->addr += PAGE_SIZE;
    cursor->slot++;
}

/**
 * cursor_serves() - does the cursor stand over the table of @addr?
 *
 * A cursor that never stood anywhere, all zero, serves nothing.
 */
static inline bool cursor_serves(const struct pt_cursor *cursor, u64 addr)
{
    return cursor->slot != NULL && addr - cursor->table->table_addr < pt_level_size(1);
}

/** cursor_seek() - go to any page that the cursor's table serves. */
static inline void cursor_seek(struct pt_cursor *cursor, u64 addr)
{
    cursor->slot += (s64)(addr - cursor->addr) >> PAGE_SHIFT;
    cursor->addr = addr;
}

enum { CURSOR_STRIDE = 8 };

/**
 * cursor_skip_none() - go on over entries that are none, some at a time.
 * @end: within the cursor's table
 *
 * Stops at the latest at @end; it may stop at an entry that is none.
 */
static inline void cursor_skip_none(struct pt_cursor *cursor, u64 end)
{
    while (cursor->addr + CURSOR_STRIDE * PAGE_SIZE <= end) {
        struct pte seen = pte_none();

#pragma GCC unroll 8
        for (u32 i = 0; i < CURSOR_STRIDE; i++) {
            seen = pte_union(seen, pte_load(cursor->slot + i));
        }
        if (!pte_is_none(seen)) {
            return;
        }
        cursor->addr += CURSOR_STRIDE * PAGE_SIZE;
        cursor->slot += CURSOR_STRIDE;
    }
}

/** cursor_skip_none_behind() - the same for what follows the entry that the cursor stands at. */
static inline void cursor_skip_none_behind(struct pt_cursor *cursor, u64 end)
{
    struct pt_cursor next = *cursor;

    cursor_step(&next);
    if (IS_ALIGNED(next.addr, CURSOR_STRIDE * PAGE_SIZE)) {
        cursor_skip_none(&next, end);
        cursor_seek(cursor, next.addr - PAGE_SIZE);
    }
}

#endif
