/*
 * The tables themselves: made here, freed here. Walking is cursor.c's.
 *
 * A table is installed without a lock, by one atomic exchange of the entry above it; it is removed
 * only when nobody can need it (free_page_tables() in mm/zap.h states when). Its struct page holds
 * the lock for its entries.
 */
#include <debug/explore.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/page.h>
#include <mm/pagetable.h>
#include <mm/tlb.h>
#include <mm/zap.h>

#define ROOT_LEVEL (PT_LEVELS - 1)
_Static_assert(ROOT_LEVEL == 3, "free_level() knows the levels one by one");

static struct page *table_alloc(struct mm *mm, unsigned level, u64 addr);
static void table_retire(struct mm *mm, struct page *page);
static void table_free(struct mm *mm, struct page *table, u64 start, u64 end,
                       struct tlb_batch *batch);
static bool table_is_empty(const struct page *table);
static ALWAYS_INLINE void free_level(struct mm *mm, struct pte *entries, const unsigned level,
                                     u64 base, const struct table_range *range,
                                     struct tlb_batch *batch);
static void free_level_1(struct mm *mm, struct pte *entries, u64 base,
                         const struct table_range *range, struct tlb_batch *batch);
static void free_level_2(struct mm *mm, struct pte *entries, u64 base,
                         const struct table_range *range, struct tlb_batch *batch);

int page_table_create(struct mm *mm)
{
    struct page *root = table_alloc(mm, ROOT_LEVEL, 0);

    if (root == NULL) {
        return -ENOMEM;
    }
    arch_init_user_root(page_to_virt(root));
    mm->pgd = page_to_phys(root);
    return 0;
}

void page_table_destroy(struct mm *mm)
{
    struct page *root = phys_to_page(mm->pgd);

    ASSERT(atomic_u64_load(&mm->cpumask) == 0, "I8: no CPU keeps a dead address space loaded");
    arch_clear_user_root(page_to_virt(root));
    table_retire(mm, root);
    ASSERT(atomic_u64_load(&mm->pgtable_bytes) == 0, "I11: the root is the last table to go");
    page_free_zeroed(root);
    mm->pgd = 0;
}

static struct page *table_alloc(struct mm *mm, unsigned level, u64 addr)
{
    struct page *page = page_alloc(0, ALLOC_ZERO);

    if (page == NULL) {
        return NULL;
    }
    page_set_type(page, PG_table);
    spin_init(&page->ptl, RANK_PT);
    page->table_mm = mm;
    page->table_level = level;
    page->table_addr = ALIGN_DOWN(addr, pt_level_size(level + 1));
    atomic_u64_add(&mm->pgtable_bytes, PAGE_SIZE);
    mem_account(MEM_PAGE_TABLES, 1);
    return page;
}

/* The page, which is empty, is to be freed once no processor can walk it any more. */
static void table_retire(struct mm *mm, struct page *page)
{
    ASSERT(page_is_table(page) && page->table_mm == mm, "a table is freed by its address space");
    DEBUG_ASSERT(table_is_empty(page), "I11: a table that goes has no entry left");
    page_clear_type(page, PG_table);
    atomic_u64_sub(&mm->pgtable_bytes, PAGE_SIZE);
    mem_account(MEM_PAGE_TABLES, -1);
}

int page_table_extend(struct mm *mm, struct pte *entry, unsigned level, u64 addr)
{
    struct page *page;

    if (pte_is_table(pte_load(entry))) {
        return 0;
    }
    page = table_alloc(mm, level, addr);
    if (page == NULL) {
        return -ENOMEM;
    }
    explore_point(EXPLORE_ENTRY);
    if (!pte_compare_exchange(entry, pte_none(), pte_make_table(page_to_phys(page)))) {
        table_retire(mm, page);
        page_free_zeroed(page);
    }
    return 0;
}

/* The entry of a table of level 1 for an address, or NULL if a table above it is missing. */
static struct pte *find_lowest_table(struct mm *mm, u64 addr)
{
    struct pte *entries = page_table_root(mm);

    for (unsigned level = ROOT_LEVEL; level > 1; level--) {
        struct pte entry = pte_load(&entries[pt_index(addr, level)]);

        if (!pte_is_table(entry)) {
            return NULL;
        }
        entries = page_table_entries(entry);
    }
    return &entries[pt_index(addr, 1)];
}

static int make_upper_tables(struct mm *mm, u64 addr)
{
    struct pte *entries = page_table_root(mm);

    for (unsigned level = ROOT_LEVEL; level > 1; level--) {
        struct pte *entry = &entries[pt_index(addr, level)];
        int error = page_table_extend(mm, entry, level - 1, addr);

        if (error != 0) {
            return error;
        }
        entries = page_table_entries(pte_load(entry));
    }
    return 0;
}

int page_table_move(struct mm *mm, u64 from, u64 to)
{
    struct pte *source = find_lowest_table(mm, from);
    struct pte *target;
    struct pte entry;
    int error = make_upper_tables(mm, to);

    if (error != 0) {
        return error;
    }
    target = find_lowest_table(mm, to);
    ASSERT(source != NULL && target != NULL, "a table that a VMA needs is not freed under it");
    if (pte_is_table(pte_load(target))) {
        return -EEXIST;
    }
    entry = pte_exchange(source, pte_none());
    ASSERT(pte_is_table(entry), "a table that moves serves its address");
    phys_to_page(pte_table_phys(entry))->table_addr = to;
    pte_store(target, entry);
    return 0;
}

void free_page_tables(struct mm *mm, const struct table_range *range, struct tlb_batch *batch)
{
    struct table_range whole = *range;

    /* The last page below the hole is never mapped, so the end of user space is the hole's start.
     */
    if (whole.ceiling == TASK_SIZE) {
        whole.ceiling += PAGE_SIZE;
    }
    if (whole.start < whole.end) {
        free_level(mm, page_table_root(mm), ROOT_LEVEL, 0, &whole, batch);
    }
}

/*
 * Frees the tables below one table, from the bottom up. Only entries for [start, end) are looked
 * at: a table that serves none of that went when the last VMA that it served did.
 *
 * A walk without a lock may have read an entry before it was cleared, so the frames wait for the
 * flush. The compiler makes one function a level of it, with the sizes as constants.
 */
static ALWAYS_INLINE void free_level(struct mm *mm, struct pte *entries, const unsigned level,
                                     u64 base, const struct table_range *range,
                                     struct tlb_batch *batch)
{
    u64 size = pt_level_size(level);
    u64 addr = max(ALIGN_DOWN(range->start, size), base);
    u64 end = min(range->end, base + size * PT_ENTRIES);

    for (; addr < end; addr += size) {
        struct pte *entry = &entries[pt_index(addr, level)];
        struct pte old = pte_load(entry);

        if (!pte_is_table(old)) {
            continue;
        }
        if (level == 3) {
            free_level_2(mm, page_table_entries(old), addr, range, batch);
        } else if (level == 2) {
            free_level_1(mm, page_table_entries(old), addr, range, batch);
        }
        if (addr >= range->floor && addr + size <= range->ceiling) {
            explore_point(EXPLORE_ENTRY);
            pte_store(entry, pte_none());
            table_free(mm, phys_to_page(pte_table_phys(old)), addr, addr + size, batch);
        }
    }
}

static void free_level_1(struct mm *mm, struct pte *entries, u64 base,
                         const struct table_range *range, struct tlb_batch *batch)
{
    free_level(mm, entries, 1, base, range, batch);
}

static void free_level_2(struct mm *mm, struct pte *entries, u64 base,
                         const struct table_range *range, struct tlb_batch *batch)
{
    free_level(mm, entries, 2, base, range, batch);
}

/* The table served [start, end). */
static void table_free(struct mm *mm, struct page *table, u64 start, u64 end,
                       struct tlb_batch *batch)
{
    table_retire(mm, table);
    if (batch == NULL) {
        page_free_zeroed(table);
        return;
    }
    page_set_type(table, PG_zeroed);
    tlb_batch_add_range(batch, start, end);
    if (tlb_batch_is_full(batch)) {
        tlb_batch_make_room(batch);
    }
    tlb_batch_add_page(batch, table);
}

static bool table_is_empty(const struct page *table)
{
    const struct pte *entries = page_to_virt(table);

    for (unsigned i = 0; i < PT_ENTRIES; i++) {
        if (!pte_is_none(pte_load(&entries[i]))) {
            return false;
        }
    }
    return true;
}
