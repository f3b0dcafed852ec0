#ifndef MM_VM_FAULT_H
#define MM_VM_FAULT_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <mm/cursor.h>
#include <mm/fault.h>
#include <mm/fault_classify.h>

/*
 * What the resolvers of a fault share. A resolver prepares without a visible effect, then installs
 * under the table's lock if the entry is still the one that was classified.
 */

/* How a fault goes on after one round. */
enum fault_step {
    FAULT_STEP_DONE,    /* the access can be made */
    FAULT_STEP_AGAIN,   /* something changed meanwhile: look again */
    FAULT_STEP_SIGSEGV, /* si_code is set */
    FAULT_STEP_SIGBUS,  /* si_code is set */
    FAULT_STEP_OOM,
    FAULT_STEP_PAGER, /* nr_wanted is set: the object's pager is asked with every lock dropped */
    FAULT_STEP_UFFD,  /* info->wait is set: the thread sleeps when every lock is dropped */
};

struct vm_fault {
    struct vma *vma; /* held by the caller of the resolver: its own lock or mmap_lock */
    struct mm *mm;
    struct fault_info *info;
    u64 addr;       /* page aligned */
    u64 exact_addr; /* as accessed */
    u32 flags;      /* enum fault_flag */
    s32 si_code;    /* out, with FAULT_STEP_SIGSEGV and FAULT_STEP_SIGBUS */
    u32 nr_wanted;  /* out, with FAULT_STEP_PAGER: as fault_wait.nr_pages */
    struct pt_cursor cursor;
    struct pte entry; /* what was classified; a resolver changes no other value */

    /* For a private copy of an object's page. */
    struct page *cow_page; /* fresh, one reference; NULL once an entry has taken it over */
    u64 generation;        /* of the object when its content was looked up */
};

/**
 * vm_fault_lock() - make the missing tables, lock the table, and check the entry.
 * Return: FAULT_STEP_DONE with the table locked; FAULT_STEP_AGAIN if the entry is another one by
 *         now, or FAULT_STEP_OOM, unlocked.
 */
static inline MUST_CHECK enum fault_step vm_fault_lock(struct vm_fault *vmf)
{
    if (unlikely(vmf->cursor.slot == NULL) &&
        cursor_prepare(&vmf->cursor, vmf->mm, vmf->addr) != 0) {
        return FAULT_STEP_OOM;
    }
    cursor_lock(&vmf->cursor);
    if (unlikely(!pte_is_same(cursor_pte(&vmf->cursor), vmf->entry))) {
        cursor_unlock(&vmf->cursor);
        return FAULT_STEP_AGAIN;
    }
    return FAULT_STEP_DONE;
}

/**
 * vm_fault_install_anon() - enter a fresh page that nobody else knows, and unlock.
 * @page: filled, with one reference, which moves to the entry or is dropped
 *
 * The page is born exclusive (H4); the entry is writable if the access is a write that the VMA
 * permits. An entry that was present is flushed everywhere before the new one appears (K2).
 *
 * Context: table not locked; vma->anon_vma is there.
 */
MUST_CHECK enum fault_step vm_fault_install_anon(struct vm_fault *vmf, struct page *page);

/** vm_fault_inherit() - what the old entry says about the address goes over to the new one (N5). */
static inline struct pte vm_fault_inherit(struct pte entry, struct pte old)
{
    if (pte_kind(old) == PTE_KIND_MARKER) {
        return pte_markers(old) & PTE_MARKER_UFFD_WP ? pte_without_write(pte_with_uffd_wp(entry))
                                                     : entry;
    }
    return pte_carry(entry, old);
}

/** vm_fault_enter_anon() - the same after vm_fault_lock(); unlocks the table. */
MUST_CHECK enum fault_step vm_fault_enter_anon(struct vm_fault *vmf, struct page *page);

/**
 * vm_fault_finish_cow() - enter vmf->cow_page, a filled private copy of an object's page.
 *
 * As vm_fault_install_anon(), and the entry is made only if the object is still of vmf->generation:
 * so what truncation took away meanwhile does not come back. For handlers and their callers alike;
 * a handler may hold the object lock, since nothing but the table's lock is taken here.
 *
 * Return: FAULT_STEP_DONE with vmf->cow_page taken over and NULL, or FAULT_STEP_AGAIN or
 *         FAULT_STEP_OOM with the page still the caller's (N4).
 */
MUST_CHECK enum fault_step vm_fault_finish_cow(struct vm_fault *vmf);

/**
 * vm_fault_replaced() - count a fresh anonymous page that stands in @old_page's place, unlock the
 *                       table, and drop the entry's reference on the old page.
 */
MUST_CHECK enum fault_step vm_fault_replaced(struct vm_fault *vmf, struct page *old_page);

/** vm_fault_prepare_anon() - make the VMA ready to hold anonymous pages. Return: is it? */
MUST_CHECK bool vm_fault_prepare_anon(struct vm_fault *vmf);

/**
 * vm_fault_new_page() - a frame for a user's page, and the VMA ready to hold it.
 * @content: NEW_PAGE_ZEROED, or NEW_PAGE_RAW for one that the caller fills
 * Return:   NULL without memory.
 */
enum new_page_content { NEW_PAGE_RAW, NEW_PAGE_ZEROED };
MUST_CHECK struct page *vm_fault_new_page(struct vm_fault *vmf, enum new_page_content content);

/* The families. Those for a present entry are entered with the table locked and unlock it. */
MUST_CHECK enum fault_step fault_anon_zero(struct vm_fault *vmf);
MUST_CHECK enum fault_step fault_anon_zero_read(struct vm_fault *vmf);
/* A write makes the VMA ready for the page before the pager is asked for it. */
MUST_CHECK enum fault_step fault_anon_missing(struct vm_fault *vmf);
MUST_CHECK enum fault_step fault_file_map(struct vm_fault *vmf);
MUST_CHECK enum fault_step fault_file_copy(struct vm_fault *vmf);
MUST_CHECK enum fault_step fault_file_dirty(struct vm_fault *vmf);
MUST_CHECK enum fault_step fault_file_hole(struct vm_fault *vmf);
MUST_CHECK enum fault_step fault_cow_reuse(struct vm_fault *vmf);
MUST_CHECK enum fault_step fault_cow_copy(struct vm_fault *vmf);
MUST_CHECK enum fault_step fault_widen(struct vm_fault *vmf);

/**
 * fault_uffd() - enter the queue of the VMA's userfaultfd.
 * @reason: UFFD_PAGEFAULT_FLAG_WP or _MINOR, or 0: there is no page
 *
 * Context: table not locked. From FAULT_STEP_UFFD on the thread must not sleep for anything else
 *          before fault_uffd_sleep(), or before handle_mm_fault() reports FAULT_WOULD_WAIT.
 * Return:  FAULT_STEP_UFFD, FAULT_STEP_SIGBUS (C3 to C6), or what vm_fault_lock() says.
 */
MUST_CHECK enum fault_step fault_uffd(struct vm_fault *vmf, u32 reason);

/** fault_uffd_write() - the same for a write to a protected page; entered with the table locked. */
MUST_CHECK enum fault_step fault_uffd_write(struct vm_fault *vmf);

/**
 * fault_uffd_sleep() - tell the pager, and sleep until it or somebody else wakes the thread.
 * Context: no lock held. Return: FAULT_OK to look again, or FAULT_RETRY_SIGNAL.
 */
MUST_CHECK enum fault_outcome fault_uffd_sleep(struct fault_wait *wait, u32 flags);

#endif
