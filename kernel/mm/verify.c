/*
 * The invariants of address spaces, each a function that panics with its number and text.
 *
 * The page tables are the truth: everything counted elsewhere is compared with what a walk over
 * them finds. The system must be quiet, so that no count is on its way from one value to another.
 */
#include <arch/cpu.h>
#include <arch/kernel_map.h>
#include <lib/assert.h>
#include <mm/cursor.h>
#include <mm/direct.h>
#include <mm/fault.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/slab.h>
#include <mm/uffd.h>
#include <mm/verify.h>
#include <mm/vma.h>

/* Entries found in one address space. */
struct entry_counts {
    u64 rss[MM_RSS_NR];
    u64 nr_entries; /* that are not none */
};

/* Entries that map each frame of [first_pfn, first_pfn + nr_frames), over all address spaces. */
struct map_counts {
    u64 first_pfn;
    u64 nr_frames;
    u32 *nr_entries;
};

/* Frames counted in one round; the counters take 256 KiB. */
#define COUNT_WINDOW_FRAMES (64 * KIB)

static void verify_vma(const struct vma *vma, struct entry_counts *counts);
static void verify_entry(const struct vma *vma, struct pte entry, struct entry_counts *counts);
static void verify_nothing_outside(struct mm *mm, u64 nr_inside);
static void verify_counters(struct mm *mm, const struct entry_counts *counts);
static void count_range(u64 start_pfn, u64 end_pfn, void *arg);

/* I1. */
static void verify_writable_is_exclusive(const struct page *page, struct pte entry)
{
    ASSERT(!pte_is_writable(entry) || !page_is_anon(page) || page_is_anon_exclusive(page),
           "I1: a writable entry of an anonymous page maps an exclusive one");
}

/* I2. */
static void verify_exclusive_is_mapped_once(const struct page *page)
{
    ASSERT(!page_is_anon_exclusive(page) || page_is_anon(page),
           "I2: only anonymous pages are exclusive");
    ASSERT(!page_is_anon_exclusive(page) || page_mapcount(page) == 1,
           "I2: an exclusive page is mapped once");
}

/* I3, I4: what is pinned and still mapped has not been shared since. */
static void verify_pinned_is_exclusive(const struct page *page)
{
    ASSERT(page_pincount(page) == 0 || !page_is_anon(page) || page_is_anon_exclusive(page),
           "I4: only exclusive anonymous pages are pinned");
}

/* I5, for one page: every entry and every pin holds a reference. */
static void verify_references_cover(const struct page *page)
{
    u64 nr_holders = (u64)page_mapcount(page) + page_pincount(page) +
                     page_has_flag(page, PG_object) + page_is_device(page);

    ASSERT(page_mapcount(page) >= 0, "I5: no page is mapped less than not at all");
    ASSERT(page_refcount(page) >= nr_holders, "I5: entries, pins and the object hold references");
}

/* I8, as far as it shows: whoever may hold translations is told of changes. */
static void verify_cpumask(struct mm *mm)
{
    for (u32 id = 0; id < cpu_count(); id++) {
        if (READ_ONCE(cpu_at(id)->loaded_mm) == mm) {
            ASSERT(atomic_u64_load(&mm->cpumask) & BIT(id),
                   "I8: a processor that has an address space loaded is in its cpumask");
        }
    }
}

/* I11: the memory of an address space without users is gone, but for its root table. */
static void verify_empty_without_users(struct mm *mm, u64 nr_entries)
{
    if (refcount_read(&mm->users) == 0) {
        ASSERT(nr_entries == 0 && vma_first(mm) == NULL, "I11: without users nothing is mapped");
        ASSERT(atomic_u64_load(&mm->pgtable_bytes) == PAGE_SIZE,
               "I11: without users only the root table is left");
    }
}

/* I12: frames that the kernel uses for itself are never a user's. */
static void verify_is_users_frame(struct pte entry)
{
    ASSERT(pfn_is_usable(pte_pfn(entry)), "I12: a user's entry maps memory");
    ASSERT((atomic_u32_load(&pfn_to_page(pte_pfn(entry))->flags) & PAGE_TYPE_MASK) == 0,
           "I12: no user's entry maps a free page or one of the kernel's");
}

void mm_verify(struct mm *mm)
{
    struct entry_counts counts = {.nr_entries = 0};
    struct vma *vma;

    mm_read_lock(mm);
    vma_tree_check(mm);
    for_each_vma (vma, mm) {
        verify_vma(vma, &counts);
    }
    verify_nothing_outside(mm, counts.nr_entries);
    verify_counters(mm, &counts);
    verify_cpumask(mm);
    verify_empty_without_users(mm, counts.nr_entries);
    mm_read_unlock(mm);
}

/* I6: protection takes the right to write away, and stands only where a pager hears of it. */
static void verify_protection(const struct vma *vma, struct pte entry)
{
    bool is_marked =
        pte_kind(entry) == PTE_KIND_MARKER && (pte_markers(entry) & PTE_MARKER_UFFD_WP) != 0;

    ASSERT(!pte_is_uffd_wp(entry) || !pte_is_writable(entry), "I6: uffd_wp implies not writable");
    ASSERT((!pte_is_uffd_wp(entry) && !is_marked) || (vma->flags & VM_UFFD_WP) != 0,
           "I6: only a VMA that is registered for it has protected entries");
}

/* I7: what a pager is asked for page by page is not entered by the dozen. */
void mm_verify_fault_around(const struct vma *vma, struct pte replaced)
{
    ASSERT((vma->flags & VM_UFFD_FLAGS) == 0, "I7: nothing is mapped around in a watched VMA");
    ASSERT(pte_is_none(replaced), "I7: only entries that are none are mapped around");
}

static void verify_vma(const struct vma *vma, struct entry_counts *counts)
{
    struct pt_cursor cursor;

    ASSERT(vma->uffd == NULL || (vma->flags & VM_UFFD_FLAGS) != 0,
           "U1: a VMA has a pager only for something");

    ASSERT(vma->anon_vma == NULL || list_is_linked(&vma->anon_link),
           "a VMA with a generation is one of its members");
    if (!cursor_first(&cursor, vma->mm, vma->start, vma->end)) {
        return;
    }
    do {
        u64 end = cursor_table_end(&cursor, vma->end);

        for (; cursor.addr < end; cursor_step(&cursor)) {
            struct pte entry = cursor_pte(&cursor);

            if (!pte_is_none(entry)) {
                counts->nr_entries++;
                verify_entry(vma, entry, counts);
            }
        }
    } while (cursor_resume(&cursor, vma->end));
}

static void verify_entry(const struct vma *vma, struct pte entry, struct entry_counts *counts)
{
    const struct page *page;

    ASSERT(pte_kind(entry) != PTE_KIND_CORRUPT,
           "an entry is of one of the kinds of arch/pgtable.h");
    verify_protection(vma, entry);
    if (!pte_is_present(entry)) {
        return;
    }
    ASSERT(!pte_is_writable(entry) || (vma->flags & VM_WRITE),
           "I8: no entry grants writing that its VMA denies");
    ASSERT(!pte_is_executable(entry) || (vma->flags & VM_EXEC),
           "I8: no entry grants execution that its VMA denies");
    verify_is_users_frame(entry);
    page = pte_page(entry);
    if (page == NULL) {
        ASSERT(!pte_is_writable(entry), "I1: the zero page is never writable");
        return;
    }
    ASSERT(page_mapcount(page) > 0, "I5: mapcount counts the entries");
    ASSERT(!page_is_anon(page) || vma->anon_vma != NULL,
           "a VMA with anonymous pages has a reverse map");
    counts->rss[page_rss_kind(page)]++;
    verify_writable_is_exclusive(page, entry);
    verify_exclusive_is_mapped_once(page);
    verify_pinned_is_exclusive(page);
    verify_references_cover(page);
}

static void verify_nothing_outside(struct mm *mm, u64 nr_inside)
{
    struct pt_cursor cursor;
    u64 nr_entries = 0;
    bool has_table = cursor_first(&cursor, mm, 0, TASK_SIZE);

    while (has_table) {
        u64 end = cursor_table_end(&cursor, TASK_SIZE);

        for (; cursor.addr < end; cursor_step(&cursor)) {
            nr_entries += !pte_is_none(cursor_pte(&cursor));
        }
        has_table = cursor_resume(&cursor, TASK_SIZE);
    }
    ASSERT(nr_entries == nr_inside, "I11: no entry is left outside the VMAs");
}

static void verify_counters(struct mm *mm, const struct entry_counts *counts)
{
    for (int kind = 0; kind < MM_RSS_NR; kind++) {
        ASSERT(mm_rss(mm, kind) == counts->rss[kind], "I9: rss is the number of pages mapped");
    }
}

static void verify_one(struct mm *mm, void *arg)
{
    mm_verify(mm);
}

void mm_verify_all(void)
{
    struct map_counts counts;

    ASSERT(kernel_map_is_wx_free(), "I12: no kernel mapping is both writable and executable");
    mm_for_each(verify_one, NULL);
    direct_verify();
    uffd_verify_all();
    counts.nr_entries = kmalloc(COUNT_WINDOW_FRAMES * sizeof(u32), ALLOC_NOFAIL_TEST);
    if (counts.nr_entries == NULL) {
        return; /* So little memory is left that the counts of single frames cannot be taken. */
    }
    frames_for_each_awake(count_range, &counts);
    kfree(counts.nr_entries);
}

static void count_entries(struct mm *mm, void *arg)
{
    struct map_counts *counts = arg;
    struct pt_cursor cursor;
    bool has_table = cursor_first(&cursor, mm, 0, TASK_SIZE);

    while (has_table) {
        u64 end = cursor_table_end(&cursor, TASK_SIZE);

        for (; cursor.addr < end; cursor_step(&cursor)) {
            struct pte entry = cursor_pte(&cursor);
            u64 offset = pte_pfn(entry) - counts->first_pfn;

            if (pte_is_present(entry) && pte_page(entry) != NULL && offset < counts->nr_frames) {
                counts->nr_entries[offset]++;
            }
        }
        has_table = cursor_resume(&cursor, TASK_SIZE);
    }
}

/* I5, exactly: what stands in a frame's counts is what the page tables and its flags say. */
static void verify_frame(const struct page *page, u32 nr_entries)
{
    u64 nr_holders =
        nr_entries + page_pincount(page) + page_has_flag(page, PG_object) + page_is_device(page);

    ASSERT((u32)page_mapcount(page) == nr_entries, "I5: mapcount is the number of entries");
    if (page_has_flag(page, PG_anon) || page_has_flag(page, PG_object) || page_is_device(page)) {
        ASSERT(page_refcount(page) == nr_holders,
               "I5: refcount is entries, pins, the object and the device together");
    }
}

static void count_range(u64 start_pfn, u64 end_pfn, void *arg)
{
    struct map_counts *counts = arg;

    for (u64 pfn = start_pfn; pfn < end_pfn; pfn += counts->nr_frames) {
        counts->first_pfn = pfn;
        counts->nr_frames = min(end_pfn - pfn, COUNT_WINDOW_FRAMES);
        for (u64 i = 0; i < counts->nr_frames; i++) {
            counts->nr_entries[i] = 0;
        }
        mm_for_each(count_entries, counts);
        for (u64 i = 0; i < counts->nr_frames; i++) {
            const struct page *page = pfn_to_page(pfn + i);

            if (!page_is_reserved(page) && !page_is_table(page) && !page_is_slab(page)) {
                verify_frame(page, counts->nr_entries[i]);
            }
        }
    }
}
