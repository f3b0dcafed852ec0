/*
 * Taking the current process's pages without a lock.
 *
 * With interrupts off on a processor that runs the address space, no table and no mapped page can
 * be freed: both wait for a shootdown that this processor has not answered yet. So the walk may
 * take a reference first and look afterwards whether the entry is still the same. Against fork
 * there is write_protect_seq: a pin that was taken while it changed is given back (J11).
 */
#include <debug/explore.h>
#include <lib/assert.h>
#include <mm/cursor.h>
#include <mm/gup_internal.h>
#include <proc/thread.h>

static u64 take_tables(const struct gup_request *request);
static ALWAYS_INLINE bool is_usable(u32 flags, struct pte entry);
static ALWAYS_INLINE bool may_hold(u32 flags, bool wants_own, const struct page *page);
static void give_back(struct page *page, enum gup_mode mode);

/* Must an anonymous page be this process's alone? */
static bool request_wants_own(const struct gup_request *request)
{
    return request->mode == GUP_PIN || (request->flags & FOLL_BREAK_COW);
}

u64 gup_fast(const struct gup_request *request)
{
    struct mm *mm = request->mm;
    u32 sequence;
    u64 irq_flags;
    u64 nr_taken;

    ASSERT(mm == current_mm(), "only the running address space is safe to walk without a lock");
    gup_note_pinner(mm, request->mode);
    sequence = seqcount_read_raw(&mm->write_protect_seq);
    if (sequence & 1) {
        return 0;
    }
    explore_point(EXPLORE_COUNT);
    irq_flags = irq_save();
    nr_taken = take_tables(request);
    irq_restore(irq_flags);
    explore_point(EXPLORE_COUNT);
    if (request_wants_own(request) && seqcount_read_retry(&mm->write_protect_seq, sequence)) {
        for (u64 i = 0; i < nr_taken; i++) {
            give_back(request->pages[i], request->mode);
        }
        return 0;
    }
    return nr_taken;
}

/*
 * The count goes up first and the entry is read again afterwards: if it is still the same, whoever
 * changes it next sees the count. That the page is still exclusive is what the sequence says.
 */
static u64 take_tables(const struct gup_request *request)
{
    u64 end = request->start + (request->nr_pages << PAGE_SHIFT);
    struct pt_cursor found = {.addr = request->start};
    bool wants_own = request_wants_own(request);
    enum gup_mode mode = request->mode;
    u32 flags = request->flags;
    struct page **out = request->pages;

    while (found.addr < end && cursor_find(&found, request->mm, found.addr)) {
        u64 table_end = cursor_table_end(&found, end);
        struct pt_cursor at = found;

        for (; at.addr < table_end; cursor_step(&at)) {
            struct pte entry = cursor_pte(&at);
            struct page *page = pfn_to_page(pte_pfn(entry));

            if (!is_usable(flags, entry)) {
                return (u64)(out - request->pages);
            }
            explore_point(EXPLORE_COUNT);
            page_get(page);
            if (mode == GUP_PIN) {
                atomic_u32_add(&page->pincount, 1);
            }
            explore_point(EXPLORE_COUNT);
            if (unlikely(!pte_is_same(cursor_pte(&at), entry) ||
                         !may_hold(flags, wants_own, page))) {
                give_back(page, mode);
                return (u64)(out - request->pages);
            }
            *out++ = page;
        }
        found.addr = at.addr;
    }
    return (u64)(out - request->pages);
}

/* What needs the VMA, a fault, or a decision is left to gup_slow(). */
static ALWAYS_INLINE bool is_usable(u32 flags, struct pte entry)
{
    if (!pte_is_accessible(entry) || pte_is_special(entry)) {
        return false;
    }
    return !(flags & FOLL_WRITE) || pte_is_writable(entry);
}

/*
 * Asked with the count already up: whoever takes exclusivity away looks at the count first. Pages
 * of objects are held for long, or instead of a private copy, only as their VMA says.
 */
static ALWAYS_INLINE bool may_hold(u32 flags, bool wants_own, const struct page *page)
{
    if (!page_is_anon(page)) {
        return !(flags & (FOLL_LONGTERM | FOLL_BREAK_COW));
    }
    return !wants_own || page_is_anon_exclusive(page);
}

static void give_back(struct page *page, enum gup_mode mode)
{
    if (mode == GUP_PIN) {
        unpin_user_page(page);
    } else {
        page_put(page);
    }
}
