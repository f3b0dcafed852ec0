#ifndef MM_PAGETABLE_H
#define MM_PAGETABLE_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <arch/layout.h>
#include <arch/layout.h>
#include <arch/pgtable.h>
#include <mm/mm.h>

struct page;

/**
 * page_table_create() - give a new address space its root table, with the kernel's half.
 * Sets mm->pgd. Return: 0 or -ENOMEM.
 */
MUST_CHECK int page_table_create(struct mm *mm);

/**
 * page_table_destroy() - free the root; every other table is gone already and no processor has it
 * loaded.
 */
void page_table_destroy(struct mm *mm);

/**
 * page_table_extend() - make sure that @entry of a table refers to a table one level lower.
 * @level: level of the table wanted, 0..2
 * @addr:  any address that it is to serve
 *
 * Another thread may do the same at the same time; one table wins, the other is freed.
 *
 * Context: thread; no spin lock held.
 * Return:  0 or -ENOMEM.
 */
MUST_CHECK int page_table_extend(struct mm *mm, struct pte *entry, unsigned level, u64 addr);

/**
 * page_table_move() - let the lowest table that serves @from serve @to instead, with its entries.
 * @from, @to: multiples of pt_level_size(1); a table serves @from
 *
 * Translations of @from are stale afterwards, and the caller flushes them before it lets go of what
 * keeps others away from the pages.
 *
 * Context: thread; mmap_lock held for writing, the VMAs of both addresses write-locked, and locked
 *          against the reverse map (anon_vma_lock(), object lock): a walk that starts from a page
 *          would hold a table that serves another address than the one it came for.
 * Return:  0, -EEXIST (a table serves @to already), -ENOMEM; nothing has changed on error.
 */
MUST_CHECK int page_table_move(struct mm *mm, u64 from, u64 to);

/** page_table_entries() - the entries of the table that an upper-level entry refers to. */
static inline struct pte *page_table_entries(struct pte entry)
{
    return phys_to_virt(pte_table_phys(entry));
}

/** page_table_root() - the entries of an address space's root table. */
static inline struct pte *page_table_root(const struct mm *mm)
{
    return phys_to_virt(mm->pgd);
}

#endif
