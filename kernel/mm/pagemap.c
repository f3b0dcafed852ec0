/*
 * What is mapped where, page by page: the words of /proc/pid/pagemap.
 *
 * Only page tables and VMA flags are looked at, under mmap_lock for reading; nothing is brought in.
 * Read next: pagemap_scan.c.
 */
#include <lib/string.h>
#include <mm/cursor.h>
#include <mm/mm.h>
#include <mm/pagemap.h>
#include <mm/vma.h>
#include <proc/sched.h>

static u64 present_word(struct pte entry, enum pagemap_detail detail)
{
    const struct page *page = pte_page(entry);
    u64 word = PM_PRESENT;

    word |= detail == PAGEMAP_WITH_FRAMES ? pte_pfn(entry) & PM_FRAME_MASK : 0;
    if (page != NULL) {
        word |= page_is_anon(page) ? 0 : PM_FILE;
        word |= page_mapcount(page) == 1 ? PM_MMAP_EXCLUSIVE : 0;
    }
    return word;
}

/* Markers stand where Linux keeps them, among the swap entries. */
static u64 absent_word(struct pte entry, enum pagemap_detail detail)
{
    u64 word = PM_SWAP;

    if (pte_kind(entry) == PTE_KIND_MARKER) {
        word |= pte_markers(entry) & PTE_MARKER_UFFD_WP ? PM_UFFD_WP : 0;
    } else if (detail == PAGEMAP_WITH_FRAMES) {
        word |= pte_pfn(entry) & PM_FRAME_MASK;
    }
    return word;
}

static u64 entry_word(struct pte entry, enum pagemap_detail detail)
{
    u64 word;

    if (pte_is_none(entry)) {
        return 0;
    }
    word = pte_is_present(entry) ? present_word(entry, detail) : absent_word(entry, detail);
    word |= pte_is_soft_dirty(entry) ? PM_SOFT_DIRTY : 0;
    word |= pte_is_uffd_wp(entry) ? PM_UFFD_WP : 0;
    return word;
}

/* What has no table tells only what its VMA does. Return: @end. */
static u64 *fill_common(u64 *word, u64 *end, u64 common)
{
    while (common != 0 && word < end) {
        *word++ = common;
    }
    return end;
}

/* [start, end) of one VMA, whose words are zero. */
static void fill_part(const struct vma *vma, u64 start, u64 end, enum pagemap_detail detail,
                      u64 *words)
{
    u64 common = vma->flags & VM_SOFTDIRTY ? PM_SOFT_DIRTY : 0;
    struct pt_cursor cursor;
    bool is_left = cursor_first(&cursor, vma->mm, start, end);
    u64 *word = words;

    while (is_left) {
        u64 table_end = cursor_table_end(&cursor, end);
        struct pt_cursor at = cursor;

        word = fill_common(word, words + ((at.addr - start) >> PAGE_SHIFT), common);
        cursor_lock(&at);
        for (; at.addr < table_end; cursor_step(&at)) {
            *word++ = common | entry_word(cursor_pte(&at), detail);
        }
        cursor_unlock(&at);
        cursor.addr = table_end;
        is_left = cursor_resume(&cursor, end);
    }
    fill_common(word, words + ((end - start) >> PAGE_SHIFT), common);
}

void mm_pagemap(struct mm *mm, u64 start, u64 nr_pages, enum pagemap_detail detail, u64 *words)
{
    u64 end = start + (nr_pages << PAGE_SHIFT);
    struct vma *vma;

    memset(words, 0, nr_pages * sizeof(*words));
    mm_read_lock(mm);
    for_each_vma_range (vma, mm, start, end) {
        u64 low = max(vma->start, start);

        fill_part(vma, low, min(vma->end, end), detail, words + ((low - start) >> PAGE_SHIFT));
    }
    mm_read_unlock(mm);
}
