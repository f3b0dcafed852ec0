/*
 * What the pages of a VMA use, for /proc/pid/smaps. A page counts as dirty if it differs from what
 * it was filled with, as its entry or the page itself knows; as shared if several entries map it.
 */
#include <mm/cursor.h>
#include <mm/smaps.h>
#include <mm/vma.h>

/* Adds the page of one entry. */
static void add_page(struct vm_usage *usage, struct pte entry, const struct page *page)
{
    u64 nr_entries = (u64)max(page_mapcount(page), 1);
    u64 share = (PAGE_SIZE << SMAPS_SHARE_SHIFT) / nr_entries;
    bool is_dirty = pte_is_dirty(entry) || page_is_dirty(page);
    bool is_anon = page_is_anon(page);

    usage->rss += PAGE_SIZE;
    usage->share += share;
    usage->share_dirty += is_dirty ? share : 0;
    usage->share_anon += is_anon ? share : 0;
    usage->share_shmem += is_anon ? 0 : share;
    usage->anonymous += is_anon ? PAGE_SIZE : 0;
    usage->lazy_free += page_is_lazyfree(page) && !is_dirty ? PAGE_SIZE : 0;
    usage->referenced += pte_is_accessed(entry) || page_is_referenced(page) ? PAGE_SIZE : 0;
    if (nr_entries > 1) {
        *(is_dirty ? &usage->shared_dirty : &usage->shared_clean) += PAGE_SIZE;
    } else {
        *(is_dirty ? &usage->private_dirty : &usage->private_clean) += PAGE_SIZE;
    }
}

void smaps_gather(const struct vma *vma, struct vm_usage *usage)
{
    struct pt_cursor cursor;

    *usage = (struct vm_usage){.rss = 0};
    if (!cursor_first(&cursor, vma->mm, vma->start, vma->end)) {
        return;
    }
    do {
        u64 end = cursor_table_end(&cursor, vma->end);

        cursor_lock(&cursor);
        cursor_skip_none(&cursor, end);
        for (; cursor.addr < end; cursor_step(&cursor)) {
            struct pte entry = cursor_pte(&cursor);

            if (pte_is_present(entry) && pte_page(entry) != NULL) {
                add_page(usage, entry, pte_page(entry));
            }
        }
        cursor_unlock(&cursor);
    } while (cursor_resume(&cursor, vma->end));
}
