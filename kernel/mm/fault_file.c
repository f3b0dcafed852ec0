/*
 * Faults on mappings of an object: enter its page, enter a private copy, let a shared one be
 * written.
 *
 * The object is asked without any spin lock. Truncation may come between the answer and the entry;
 * it disowns a page before it zaps, so an installer that still finds the page owned, under the
 * table's lock, is seen by the zap.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/anon.h>
#include <mm/frames.h>
#include <mm/object.h>
#include <mm/vm_fault.h>
#include <uapi/linux/signal.h>

/* A read fault enters the pages of this many bytes around it, where the object has them already. */
#define FAULT_AROUND_BYTES (64 * KIB)
#define FAULT_AROUND_PAGES (FAULT_AROUND_BYTES / PAGE_SIZE)

static enum fault_step fault_object_error(struct vm_fault *vmf, int error);
static struct pte file_pte(const struct vma *vma, const struct page *page);
static void enter_file_page(struct pt_cursor *cursor, struct page *page, struct pte entry);
static bool may_fault_around(const struct vm_fault *vmf);
static void fault_around(struct vm_fault *vmf);

enum fault_step fault_file_map(struct vm_fault *vmf)
{
    struct vm_object *object = vmf->vma->object;
    u64 index = vma_page_index(vmf->vma, vmf->addr);
    struct page *page;
    struct pte entry;
    enum fault_step step;
    int error = object_get_page(object, index, OBJECT_CREATE, &page);

    if (error != 0) {
        return fault_object_error(vmf, error);
    }
    step = vm_fault_lock(vmf);
    if (step != FAULT_STEP_DONE) {
        page_put(page);
        return step;
    }
    if (!object_owns_page(object, index, page)) {
        cursor_unlock(&vmf->cursor);
        page_put(page);
        return FAULT_STEP_AGAIN;
    }
    entry = file_pte(vmf->vma, page);
    if (vmf->flags & FAULT_FLAG_WRITE) {
        entry = pte_with_dirty(entry);
    }
    enter_file_page(&vmf->cursor, page, entry);
    mm_rss_add(vmf->mm, page_rss_kind(page), 1);
    cursor_unlock(&vmf->cursor);
    if (may_fault_around(vmf)) {
        fault_around(vmf);
    }
    return FAULT_STEP_DONE;
}

static enum fault_step fault_object_error(struct vm_fault *vmf, int error)
{
    if (error == -ENOMEM) {
        return FAULT_STEP_OOM;
    }
    vmf->si_code = BUS_ADRERR;
    return FAULT_STEP_SIGBUS;
}

/*
 * Nobody has to hear of the first write to a page of a memory object, so a shared mapping that may
 * be written gets a writable entry at once, unless a pager protects pages in it (B12).
 */
static struct pte file_pte(const struct vma *vma, const struct page *page)
{
    struct pte entry = pte_make_page(page_to_pfn(page), vma_pte_access(vma));
    u64 needed = VM_SHARED | VM_WRITE;

    if ((vma->flags & (needed | VM_UFFD_WP)) == needed) {
        entry = pte_with_write(entry);
    }
    return entry;
}

/* The caller's reference becomes the entry's. Table locked. */
static void enter_file_page(struct pt_cursor *cursor, struct page *page, struct pte entry)
{
    page_add_mapping(page);
    cursor_set(cursor, entry);
}

/* Only for readers: a write is rarely followed by writes around it. */
static bool may_fault_around(const struct vm_fault *vmf)
{
    u64 unwanted = VM_UFFD_FLAGS | VM_RAND_READ;

    return !(vmf->flags & FAULT_FLAG_WRITE) && !(vmf->vma->flags & unwanted);
}

/* The window is aligned and smaller than what one table serves, so it lies in one table. */
static void fault_around(struct vm_fault *vmf)
{
    struct vma *vma = vmf->vma;
    u64 start = max(ALIGN_DOWN(vmf->addr, FAULT_AROUND_BYTES), vma->start);
    u64 end = min(ALIGN_DOWN(vmf->addr, FAULT_AROUND_BYTES) + FAULT_AROUND_BYTES, vma->end);
    struct page *pages[FAULT_AROUND_PAGES] = {NULL};
    struct pt_cursor cursor;
    u64 nr_entered = 0;

    if (!cursor_find(&cursor, vmf->mm, start)) {
        return;
    }
    for (u32 i = 0; cursor.addr < end; i++, cursor_step(&cursor)) {
        u64 index = vma_page_index(vma, cursor.addr);

        if (!pte_is_none(cursor_pte(&cursor)) ||
            object_get_page(vma->object, index, OBJECT_FIND, &pages[i]) != 0) {
            pages[i] = NULL;
        }
    }
    if (!cursor_find(&cursor, vmf->mm, start)) {
        BUG("a table stays while its VMA is held");
    }
    cursor_lock(&cursor);
    for (u32 i = 0; cursor.addr < end; i++, cursor_step(&cursor)) {
        struct page *page = pages[i];

        if (page != NULL && pte_is_none(cursor_pte(&cursor)) &&
            object_owns_page(vma->object, vma_page_index(vma, cursor.addr), page)) {
            enter_file_page(&cursor, page, pte_without_accessed(file_pte(vma, page)));
            pages[i] = NULL;
            nr_entered++;
        }
    }
    mm_rss_add(vmf->mm, MM_RSS_SHMEM, (s64)nr_entered);
    cursor_unlock(&cursor);
    for (u32 i = 0; i < FAULT_AROUND_PAGES; i++) {
        if (pages[i] != NULL) {
            page_put(pages[i]);
        }
    }
}

enum fault_step fault_file_copy(struct vm_fault *vmf)
{
    u64 index = vma_page_index(vmf->vma, vmf->addr);
    struct page *source = NULL;
    struct page *page;
    enum fault_step step = FAULT_STEP_OOM;
    int error = object_get_page(vmf->vma->object, index, OBJECT_FIND, &source);

    /* A hole reads as zeros and need not get a page just to be copied. */
    if (error != 0 && error != -ENOENT) {
        return fault_object_error(vmf, error);
    }
    page = vm_fault_new_page(vmf, error == 0 ? NEW_PAGE_RAW : NEW_PAGE_ZEROED);
    if (page != NULL) {
        if (error == 0) {
            page_copy(page, source);
        }
        step = vm_fault_install_anon(vmf, page);
    }
    if (error == 0) {
        page_put(source);
    }
    return step;
}

enum fault_step fault_file_dirty(struct vm_fault *vmf)
{
    struct pte entry = pte_change_access(vmf->entry, vma_pte_access(vmf->vma));
    bool is_entered;

    entry = pte_with_write(pte_with_dirty(pte_with_accessed(entry)));
    is_entered = cursor_replace(&vmf->cursor, vmf->entry, entry);
    cursor_unlock(&vmf->cursor);
    return is_entered ? FAULT_STEP_DONE : FAULT_STEP_AGAIN;
}
