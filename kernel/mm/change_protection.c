/*
 * mprotect's part in the page tables: entries follow their VMA's flags.
 *
 * Rights that go are taken from every entry and flushed before the call returns (I8). The right to
 * write is given at once only where a write needs nothing else: an exclusive anonymous page (I1),
 * or a page of a shared object (G1); elsewhere the next write fault decides.
 */
#include <lib/assert.h>
#include <mm/change_protection.h>
#include <mm/cursor.h>
#include <mm/pager.h>
#include <mm/tlb.h>
#include <proc/sched.h>

static void change_table(struct vma *vma, struct pt_cursor *cursor, u64 end,
                         struct tlb_batch *batch);
static ALWAYS_INLINE struct pte changed_entry(const struct vma *vma, struct pte entry);
static ALWAYS_INLINE bool may_be_writable(const struct vma *vma, struct pte entry);
static bool loses_rights(struct pte old, struct pte new);

void change_protection(struct vma *vma, u64 start, u64 end)
{
    struct pt_cursor cursor;
    struct tlb_batch batch;

    ASSERT(start >= vma->start && end <= vma->end, "a changed range lies within its VMA");
    tlb_batch_begin(&batch, vma->mm);
    if (cursor_first(&cursor, vma->mm, start, end)) {
        do {
            change_table(vma, &cursor, cursor_table_end(&cursor, end), &batch);
            sched_point();
        } while (cursor_resume(&cursor, end));
    }
    tlb_batch_finish(&batch);
}

static void change_table(struct vma *vma, struct pt_cursor *cursor, u64 end,
                         struct tlb_batch *batch)
{
    struct pt_cursor at = *cursor;
    u64 first = U64_MAX;
    u64 last = 0;

    cursor_lock(&at);
    while (at.addr < end) {
        struct pte old = cursor_pte(&at);
        struct pte new = pte_is_present(old) ? changed_entry(vma, old) : old;

        if (!pte_is_same(old, new)) {
            /* The processor may have set a bit since the load: look again. */
            if (!cursor_replace(&at, old, new)) {
                continue;
            }
            if (loses_rights(old, new)) {
                first = min(first, at.addr);
                last = at.addr;
            }
        }
        cursor_step(&at);
    }
    cursor_unlock(&at);
    *cursor = at;
    if (first != U64_MAX) {
        tlb_batch_add_range(batch, first, last + PAGE_SIZE);
    }
}

static ALWAYS_INLINE struct pte changed_entry(const struct vma *vma, struct pte entry)
{
    struct pte new = pte_change_access(entry, vma_pte_access(vma));

    return may_be_writable(vma, entry) ? pte_with_write(new) : pte_without_write(new);
}

bool entry_may_be_writable(const struct vma *vma, struct pte entry)
{
    return may_be_writable(vma, entry);
}

static ALWAYS_INLINE bool may_be_writable(const struct vma *vma, struct pte entry)
{
    const struct page *page = pte_page(entry);

    if (!(vma->flags & VM_WRITE) || pte_is_uffd_wp(entry) || page == NULL) {
        return false;
    }
    if (!(vma->flags & VM_SOFTDIRTY) && !pte_is_soft_dirty(entry)) {
        return false;
    }
    if (vma->flags & VM_SHARED) {
        return vma->object == NULL || object_lets_write(vma->object, page);
    }
    /* A clean page stays read-only, so that the first write is seen by whoever tracks writes. */
    return page_is_anon(page) && page_is_anon_exclusive(page) && pte_is_dirty(entry);
}

/* Could a processor have cached a right that is not there any more? */
static bool loses_rights(struct pte old, struct pte new)
{
    if (!pte_is_accessible(old)) {
        return false;
    }
    return !pte_is_accessible(new) || (pte_is_writable(old) && !pte_is_writable(new)) ||
           (pte_is_executable(old) && !pte_is_executable(new));
}
