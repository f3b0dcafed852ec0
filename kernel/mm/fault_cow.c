/*
 * Faults on a present entry of a private mapping: reuse the page, or replace it by a copy.
 *
 * The rule (section H of the semantics): an exclusive page is reused whatever else refers to it; a
 * page that is not is reused only if this entry holds the last reference; everything else is
 * copied. An unshare fault decides alike but leaves the entry read-only and its uffd_wp bit as it
 * is, because it is not a write (J10).
 */
#include <lib/assert.h>
#include <mm/anon.h>
#include <mm/frames.h>
#include <mm/tlb.h>
#include <mm/vm_fault.h>

enum fault_step fault_cow_reuse(struct vm_fault *vmf)
{
    struct page *page = pte_page(vmf->entry);
    struct pte entry = pte_change_access(vmf->entry, vma_pte_access(vmf->vma));

    if (!page_is_anon_exclusive(page)) {
        page_set_anon_exclusive(page);
    }
    if (vmf->flags & FAULT_FLAG_WRITE) {
        entry = pte_with_accessed(pte_with_dirty(entry));
        entry = vmf->vma->flags & VM_WRITE ? pte_with_write(entry) : entry;
    } else {
        entry = vmf->entry;
    }
    /*
     * Rights are only added, so no other processor must be told: one that still has the narrower
     * translation faults and finds this entry. The exchange keeps the processor's own bits.
     */
    bool is_entered = cursor_replace(&vmf->cursor, vmf->entry, entry);

    cursor_unlock(&vmf->cursor);
    return is_entered ? FAULT_STEP_DONE : FAULT_STEP_AGAIN;
}

enum fault_step fault_cow_copy(struct vm_fault *vmf)
{
    struct page *old_page = pte_page(vmf->entry);
    struct page *page;
    enum fault_step step;

    /* The page must stay while it is read without the lock. */
    if (old_page != NULL) {
        page_get(old_page);
    }
    cursor_unlock(&vmf->cursor);
    page = vm_fault_new_page(vmf, old_page != NULL ? NEW_PAGE_RAW : NEW_PAGE_ZEROED);
    if (page == NULL) {
        step = FAULT_STEP_OOM;
    } else {
        if (old_page != NULL) {
            page_copy(page, old_page);
        }
        step = vm_fault_install_anon(vmf, page);
    }
    if (old_page != NULL) {
        page_put(old_page);
    }
    return step;
}

enum fault_step fault_widen(struct vm_fault *vmf)
{
    struct pte entry = pte_change_access(vmf->entry, vma_pte_access(vmf->vma));
    bool is_entered = cursor_replace(&vmf->cursor, vmf->entry, pte_with_accessed(entry));

    cursor_unlock(&vmf->cursor);
    return is_entered ? FAULT_STEP_DONE : FAULT_STEP_AGAIN;
}

enum fault_step vm_fault_replaced(struct vm_fault *vmf, struct page *old_page)
{
    bool was_anon = page_is_anon(old_page);
    bool was_last = page_remove_mapping(old_page);

    if (!was_anon) {
        mm_rss_add(vmf->mm, page_rss_kind(old_page), -1);
        mm_rss_add(vmf->mm, MM_RSS_ANON, 1);
    }
    cursor_unlock(&vmf->cursor);
    if (!was_anon || !was_last) {
        mem_account(MEM_ANON, 1);
    }
    page_put(old_page);
    return FAULT_STEP_DONE;
}
