/*
 * What programs are told about single frames. Each word is read without a lock and may be out of
 * date when it is told.
 */
#include <lib/compiler.h>
#include <mm/frames.h>
#include <mm/kpage.h>
#include <mm/page.h>
#include <uapi/linux/kernel-page-flags.h>

struct flag_name {
    enum page_flag ours;
    u32 told;
};

static const struct flag_name flag_names[] = {
    {PG_reserved, KPF_RESERVED}, {PG_buddy, KPF_BUDDY},
    {PG_slab, KPF_SLAB},         {PG_table, KPF_PGTABLE},
    {PG_anon, KPF_ANON},         {PG_dirty, KPF_DIRTY},
    {PG_uptodate, KPF_UPTODATE}, {PG_locked, KPF_LOCKED},
    {PG_zero, KPF_ZERO_PAGE},    {PG_referenced, KPF_REFERENCED},
    {PG_lru, KPF_LRU},           {PG_swapcache, KPF_SWAPCACHE},
    {PG_mlocked, KPF_MLOCKED},   {PG_mlocked, KPF_UNEVICTABLE},
};

static void find_end(u64 start_pfn, u64 end_pfn, void *arg)
{
    u64 *end = arg;

    *end = max(*end, end_pfn);
}

u64 kpage_end(void)
{
    u64 end = 0;

    frames_for_each_range(find_end, &end);
    return end;
}

u64 kpage_flags(u64 pfn)
{
    const struct page *page = pfn_to_page(pfn);
    u64 flags = 0;
    u32 ours;

    if (!pfn_is_ram(pfn)) {
        return BIT(KPF_NOPAGE);
    }
    if (pfn_is_dormant(pfn)) {
        return 0;
    }
    ours = atomic_u32_load(&page->flags);
    for (u32 i = 0; i < ARRAY_SIZE(flag_names); i++) {
        flags |= ours & BIT(flag_names[i].ours) ? BIT(flag_names[i].told) : 0;
    }
    if (ours & PAGE_TYPE_MASK) {
        return flags;
    }
    flags |= page_mapcount(page) > 0 ? BIT(KPF_MMAP) : 0;
    if (ours & (BIT(PG_anon) | BIT(PG_object))) {
        /* Anonymous pages hold their data from the first; all of them could only go to swap. */
        flags |= BIT(KPF_UPTODATE);
        flags |= ours & BIT(PG_lazyfree) ? 0 : BIT(KPF_SWAPBACKED);
    }
    return flags;
}

u64 kpage_count(u64 pfn)
{
    const struct page *page = pfn_to_page(pfn);
    s32 count;

    if (!pfn_is_ram(pfn) || pfn_is_dormant(pfn) ||
        (atomic_u32_load(&page->flags) & PAGE_TYPE_MASK)) {
        return 0;
    }
    count = page_mapcount(page);
    return count > 0 ? (u64)count : 0;
}
