/*
 * The page-table walker, the only one.
 *
 * Owns the way from a root to the lowest table; pagetable.c owns the tables. A walk takes no lock:
 * upper entries change only from none to a table while anybody may walk there (mm/cursor.h states
 * what the walker must hold). Read fault.c next for the largest user.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/cursor.h>
#include <mm/pagetable.h>

/*
 * Goes down as far as there are tables. Returns 0 with the slot set, or the level of the table
 * whose entry for the address is missing. Inline, and its loop unrolled: every fault comes here.
 */
static ALWAYS_INLINE unsigned cursor_walk(struct pt_cursor *cursor)
{
    struct pte *entries = page_table_root(cursor->mm);
    u64 addr = cursor->addr;
    struct pte entry = pte_none();

#pragma GCC unroll 3
    for (unsigned level = PT_LEVELS - 1; level > 0; level--) {
        entry = pte_load(&entries[pt_index(addr, level)]);
        if (unlikely(!pte_is_table(entry))) {
            cursor->slot = NULL;
            return level;
        }
        entries = page_table_entries(entry);
    }
    cursor->table = phys_to_page(pte_table_phys(entry));
    cursor->slot = &entries[pt_index(addr, 0)];
    return 0;
}

bool cursor_find(struct pt_cursor *cursor, struct mm *mm, u64 addr)
{
    cursor->mm = mm;
    cursor->addr = addr;
    return cursor_walk(cursor) == 0;
}

int cursor_prepare(struct pt_cursor *cursor, struct mm *mm, u64 addr)
{
    struct pte *entries = page_table_root(mm);
    struct pte entry = pte_none();

#pragma GCC unroll 3
    for (unsigned level = PT_LEVELS - 1; level > 0; level--) {
        struct pte *slot = &entries[pt_index(addr, level)];

        if (!pte_is_table(pte_load(slot))) {
            int error = page_table_extend(mm, slot, level - 1, addr);

            if (error != 0) {
                return error;
            }
        }
        entry = pte_load(slot);
        ASSERT(pte_is_table(entry), "a table that a VMA needs is not freed under it");
        entries = page_table_entries(entry);
    }
    cursor->mm = mm;
    cursor->addr = addr;
    cursor->table = phys_to_page(pte_table_phys(entry));
    cursor->slot = &entries[pt_index(addr, 0)];
    return 0;
}

bool cursor_first(struct pt_cursor *cursor, struct mm *mm, u64 start, u64 end)
{
    cursor->mm = mm;
    cursor->addr = start;
    while (cursor->addr < end) {
        unsigned level = cursor_walk(cursor);

        if (level == 0) {
            return true;
        }
        cursor->addr = (cursor->addr | (pt_level_size(level) - 1)) + 1;
    }
    return false;
}
