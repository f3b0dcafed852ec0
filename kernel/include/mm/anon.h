#ifndef MM_ANON_H
#define MM_ANON_H

#include <lib/types.h>
#include <mm/page.h>
#include <mm/vma.h>

/*
 * The counts of a page that an entry maps. Adding and removing an entry change them under the
 * table's lock, together with the entry, so that they are exact whenever no table is locked (I5).
 */

/**
 * page_make_anon() - a fresh page, known to nobody, becomes an exclusive page of @vma (H4).
 * It is counted as mapped once; the caller enters it or gives it up with page_unmake_anon().
 */
static inline void page_make_anon(struct page *page, const struct vma *vma, u64 addr)
{
    page->owner = vma->anon_vma;
    page->index = vma_page_index(vma, addr);
    atomic_s32_store(&page->mapcount, 1);
    atomic_u32_store(&page->flags, (u32)(BIT(PG_anon) | BIT(PG_anon_exclusive)));
}

/** page_add_mapping() - one more entry maps @page; the entry holds a reference of its own. */
static inline void page_add_mapping(struct page *page)
{
    __atomic_fetch_add(&page->mapcount.value, 1, __ATOMIC_RELAXED);
}

/** page_get_mapping() - page_get() and page_add_mapping() in one step. */
static inline void page_get_mapping(struct page *page)
{
    u64 old = atomic_u64_fetch_add(&page->counts, PAGE_MAPPED_ONCE);

    ASSERT((u32)old - 1 < REFCOUNT_LIMIT, "I5: a reference is taken only from a live page");
}

/**
 * page_remove_mapping() - one entry less maps @page; its reference is the caller's now.
 * Return: was it the last one?
 */
static inline bool page_remove_mapping(struct page *page)
{
    s32 old = __atomic_fetch_sub(&page->mapcount.value, 1, __ATOMIC_RELEASE);

    ASSERT(old > 0, "I5: an entry that goes was counted when it came");
    return old == 1;
}

/**
 * page_put_mapping() - page_remove_mapping() and page_put() in one step.
 * Return: was it the last entry that maps the page?
 */
static inline bool page_put_mapping(struct page *page)
{
    u64 old = atomic_u64_fetch_sub(&page->counts, PAGE_MAPPED_ONCE);

    ASSERT((s64)old >= (s64)PAGE_MAPPED_ONCE && (u32)old - 1 < REFCOUNT_LIMIT,
           "I5: an entry that goes was counted when it came");
    if ((u32)old == 1) {
        page_free_unreferenced(page);
    }
    return old >> 32 == 1;
}

#endif
