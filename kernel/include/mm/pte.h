#ifndef MM_PTE_H
#define MM_PTE_H

#include <arch/pgtable.h>
#include <mm/page.h>
#include <mm/vma.h>

/*
 * What entries mean to address spaces: the encodings are arch/pgtable.h's, the frames page.h's.
 */

/** vma_pte_access() - what entries of @vma permit besides writing. Any right includes reading. */
static inline enum pte_access vma_pte_access(const struct vma *vma)
{
    if (vma->flags & VM_EXEC) {
        return PTE_ACCESS_READ_EXEC;
    }
    return vma->flags & VM_ACCESS_FLAGS ? PTE_ACCESS_READ : PTE_ACCESS_NONE;
}

/**
 * pte_page() - the page behind a present entry whose counts follow it.
 * Return: NULL for a special entry: the zero page, or a frame that belongs to a device.
 */
static inline struct page *pte_page(struct pte pte)
{
    return pte_is_special(pte) ? NULL : pfn_to_page(pte_pfn(pte));
}

/** pte_rss_kind() - under which counter of the mm an entry for @page stands. */
static inline enum mm_rss_kind page_rss_kind(const struct page *page)
{
    return page_is_anon(page) ? MM_RSS_ANON : MM_RSS_SHMEM;
}

#endif
