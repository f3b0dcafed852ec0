/*
 * What can be done with one page without its allocator: filling it, and printing its flags.
 *
 * Read next: kernel/mm/frames.c.
 */
#include <arch/memops.h>
#include <lib/fmt.h>
#include <lib/printk.h>
#include <mm/frames.h>
#include <mm/page.h>

static const char *const flag_names[] = {
    [PG_reserved] = "reserved",
    [PG_buddy] = "buddy",
    [PG_cached] = "cached",
    [PG_slab] = "slab",
    [PG_table] = "table",
    [PG_stack] = "stack",
    [PG_zeroed] = "zeroed",
    [PG_anon] = "anon",
    [PG_anon_exclusive] = "anon_exclusive",
    [PG_object] = "object",
    [PG_dirty] = "dirty",
    [PG_uptodate] = "uptodate",
    [PG_locked] = "locked",
    [PG_waiters] = "waiters",
    [PG_zero] = "zero",
    [PG_referenced] = "referenced",
    [PG_lru] = "lru",
    [PG_swapcache] = "swapcache",
    [PG_mlocked] = "mlocked",
    [PG_lazyfree] = "lazyfree",
    [PG_device] = "device",
};

_Static_assert(ARRAY_SIZE(flag_names) == NR_PAGE_FLAGS, "every page flag has a name");

void page_flags_format(const struct page *page, char *buf, size_t size)
{
    u32 flags = atomic_u32_load(&page->flags);
    size_t len = 0;

    buf[0] = '\0';
    for (u32 flag = 0; flag < NR_PAGE_FLAGS; flag++) {
        if ((flags & BIT(flag)) != 0) {
            len += (size_t)scnprintf(buf + len, size - len, "%s%s", len == 0 ? "" : "|",
                                     flag_names[flag]);
        }
    }
}

void page_dump(const struct page *page, const char *why)
{
    char flags[160];

    page_flags_format(page, flags, sizeof(flags));
    printk("page %#lx: %s: flags=%s refcount=%u mapcount=%d pincount=%u owner=%p index=%#lx\n",
           page_to_pfn(page), why, flags, page_refcount(page), page_mapcount(page),
           page_pincount(page), page->owner, page->index);
}

void page_clear(struct page *page)
{
    arch_page_clear(page_to_virt(page));
}

void page_copy(struct page *dst, const struct page *src)
{
    arch_page_copy(page_to_virt(dst), page_to_virt(src));
}
