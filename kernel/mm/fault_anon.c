/*
 * Faults on anonymous memory that has no page yet, and the entry of a fresh anonymous page.
 *
 * Owns the shared zero page: every read of untouched memory maps it, always read-only, and no
 * count is kept for those entries. Read fault_cow.c next for what a write to it becomes.
 */
#include <lib/assert.h>
#include <mm/anon.h>
#include <mm/frames.h>
#include <mm/object.h>
#include <mm/rmap.h>
#include <mm/tlb.h>
#include <mm/vm_fault.h>

static struct page *the_zero_page;

void fault_init(void)
{
    the_zero_page = page_alloc(0, ALLOC_ZERO | ALLOC_NOFAIL_TEST);
    ASSERT(the_zero_page != NULL, "memory suffices for the first page of the kernel");
    page_set_zero(the_zero_page);
}

struct page *zero_page(void)
{
    return the_zero_page;
}

enum fault_step fault_anon_zero_read(struct vm_fault *vmf)
{
    struct pte entry = pte_make_page(page_to_pfn(the_zero_page), vma_pte_access(vmf->vma));
    enum fault_step step = vm_fault_lock(vmf);

    if (step == FAULT_STEP_DONE) {
        entry = pte_with_special(entry);
        entry = pte_is_none(vmf->entry) ? entry : vm_fault_inherit(entry, vmf->entry);
        cursor_set(&vmf->cursor, entry);
        cursor_unlock(&vmf->cursor);
    }
    return step;
}

enum fault_step fault_anon_zero(struct vm_fault *vmf)
{
    struct page *page = vm_fault_new_page(vmf, NEW_PAGE_ZEROED);

    if (unlikely(page == NULL)) {
        return FAULT_STEP_OOM;
    }
    return vm_fault_install_anon(vmf, page);
}

enum fault_step fault_anon_missing(struct vm_fault *vmf)
{
    if ((vmf->flags & FAULT_FLAG_WRITE) && !vm_fault_prepare_anon(vmf)) {
        return FAULT_STEP_OOM;
    }
    return fault_uffd(vmf, 0);
}

bool vm_fault_prepare_anon(struct vm_fault *vmf)
{
    return likely(vmf->vma->anon_vma != NULL) || anon_vma_prepare(vmf->vma) == 0;
}

struct page *vm_fault_new_page(struct vm_fault *vmf, enum new_page_content content)
{
    if (!vm_fault_prepare_anon(vmf)) {
        return NULL;
    }
    return page_alloc(0, content == NEW_PAGE_ZEROED ? ALLOC_USER | ALLOC_ZERO : ALLOC_USER);
}

enum fault_step vm_fault_install_anon(struct vm_fault *vmf, struct page *page)
{
    enum fault_step step = vm_fault_lock(vmf);

    if (unlikely(step != FAULT_STEP_DONE)) {
        page_put(page);
        return step;
    }
    return vm_fault_enter_anon(vmf, page);
}

enum fault_step vm_fault_finish_cow(struct vm_fault *vmf)
{
    struct page *page = vmf->cow_page;
    enum fault_step step = vm_fault_lock(vmf);

    if (step != FAULT_STEP_DONE) {
        return step;
    }
    if (object_generation(vmf->vma->object) != vmf->generation) {
        cursor_unlock(&vmf->cursor);
        return FAULT_STEP_AGAIN;
    }
    vmf->cow_page = NULL;
    return vm_fault_enter_anon(vmf, page);
}

enum fault_step vm_fault_enter_anon(struct vm_fault *vmf, struct page *page)
{
    struct vma *vma = vmf->vma;
    struct pte entry = pte_make_page(page_to_pfn(page), vma_pte_access(vma));
    struct page *old_page = NULL;

    if (!pte_is_none(vmf->entry)) {
        entry = vm_fault_inherit(entry, vmf->entry);
    }
    if (vmf->flags & FAULT_FLAG_WRITE) {
        bool may_write = (vma->flags & VM_WRITE) && !pte_is_uffd_wp(entry);

        entry = pte_with_dirty(entry);
        entry = may_write ? pte_with_write(entry) : entry;
    }
    if (pte_is_present(vmf->entry)) {
        old_page = pte_page(vmf->entry);
        /* Nobody may see the old page through a stale translation once the new one is written. */
        (void)cursor_exchange(&vmf->cursor, pte_none());
        tlb_flush_page(vmf->mm, vmf->addr);
    }
    page_make_anon(page, vma, vmf->addr);
    cursor_set(&vmf->cursor, entry);
    if (old_page == NULL) {
        mm_rss_add(vmf->mm, MM_RSS_ANON, 1);
        cursor_unlock(&vmf->cursor);
        mem_account(MEM_ANON, 1);
        return FAULT_STEP_DONE;
    }
    return vm_fault_replaced(vmf, old_page);
}
