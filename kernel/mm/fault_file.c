/*
 * Faults on mappings of an object: enter its page, enter a private copy, let a shared one be
 * written.
 *
 * The object is asked without any spin lock. Truncation may come between the answer and the entry;
 * it shrinks the size and disowns pages before it zaps, so an installer that still finds the page
 * owned, or the hole inside, under the table's lock, is seen by the zap.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/anon.h>
#include <mm/frames.h>
#include <mm/object.h>
#include <mm/pager.h>
#include <mm/tlb.h>
#include <mm/verify.h>
#include <mm/vm_fault.h>
#include <uapi/linux/signal.h>
#include <uapi/linux/userfaultfd.h>

u64 fault_around_bytes = 64 * KIB;

/* Fault-around asks the object for this much at a time. */
#define AROUND_BATCH_BYTES (64 * KIB)
#define AROUND_BATCH_PAGES (AROUND_BATCH_BYTES / PAGE_SIZE)

/* What the entries of one mapping have in common. */
struct file_entry {
    struct pte blank;
    const struct vm_object *object;
    bool is_born_writable; /* unless a pager has to hear of the first write */
};

static ALWAYS_INLINE bool is_watched(const struct vm_fault *vmf);
static bool asks_uffd(const struct vm_fault *vmf, u64 index, u32 *reason);
static enum fault_step map_hole(struct vm_fault *vmf);
static enum fault_step fault_object_error(struct vm_fault *vmf, int error);
static enum fault_step must_announce(struct vm_fault *vmf);
static ALWAYS_INLINE struct file_entry file_entry(const struct vma *vma);
static ALWAYS_INLINE struct pte file_pte(struct file_entry common, const struct page *page);
static void mark_written(struct page *page);
static void enter_file_page(struct pt_cursor *cursor, struct page *page, struct pte entry);
static bool may_fault_around(const struct vm_fault *vmf);
static bool fault_around(struct vm_fault *vmf);
static ALWAYS_INLINE void enter_present(struct vm_fault *vmf, u64 start, u64 end);
static enum fault_step handler_copy(struct vm_fault *vmf);
static enum fault_step install_copy(struct vm_fault *vmf, struct page *page,
                                    const struct page *source);

enum fault_step fault_file_map(struct vm_fault *vmf)
{
    struct vm_object *object = vmf->vma->object;
    u64 index = vma_page_index(vmf->vma, vmf->addr);
    struct page *page;
    struct pte entry;
    enum fault_step step;
    u32 reason;
    int error;

    vmf->generation = object_generation(object);
    if (is_watched(vmf) && asks_uffd(vmf, index, &reason)) {
        return fault_uffd(vmf, reason);
    }
    if (may_fault_around(vmf)) {
        if (vmf->cursor.slot == NULL && cursor_prepare(&vmf->cursor, vmf->mm, vmf->addr) != 0) {
            return FAULT_STEP_OOM;
        }
        if (fault_around(vmf)) {
            return FAULT_STEP_DONE;
        }
    }
    error = object_get_page(object, index, OBJECT_CREATE, &page);
    if (error == -ENOENT && !(vmf->flags & FAULT_FLAG_WRITE)) {
        return map_hole(vmf);
    }
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
    if ((vmf->flags & FAULT_FLAG_WRITE) && !object_lets_write(object, page)) {
        cursor_unlock(&vmf->cursor);
        page_put(page);
        return must_announce(vmf);
    }
    entry = file_pte(file_entry(vmf->vma), page);
    if (!pte_is_none(vmf->entry)) {
        entry = vm_fault_inherit(entry, vmf->entry);
    }
    if ((vmf->flags & FAULT_FLAG_WRITE) && !pte_is_uffd_wp(entry)) {
        entry = pte_with_write(pte_with_dirty(entry));
        mark_written(page);
    }
    enter_file_page(&vmf->cursor, page, entry);
    mm_rss_add(vmf->mm, page_rss_kind(page), 1);
    cursor_unlock(&vmf->cursor);
    return FAULT_STEP_DONE;
}

static ALWAYS_INLINE bool is_watched(const struct vm_fault *vmf)
{
    return unlikely((vmf->vma->flags & (VM_UFFD_MISSING | VM_UFFD_MINOR)) != 0);
}

/* C18: a userfaultfd hears of a page that is not there, and of one that is. */
static bool asks_uffd(const struct vm_fault *vmf, u64 index, u32 *reason)
{
    u64 flags = vmf->vma->flags;
    struct page *page;
    int error = object_get_page(vmf->vma->object, index, OBJECT_FIND, &page);

    if (error == 0) {
        page_put(page);
        *reason = UFFD_PAGEFAULT_FLAG_MINOR;
        return flags & VM_UFFD_MINOR;
    }
    *reason = 0;
    return error == -ENOENT && (flags & VM_UFFD_MISSING);
}

/* N8. Whoever fills the hole, or cuts the object off in front of it, zaps the entry. */
static enum fault_step map_hole(struct vm_fault *vmf)
{
    struct pte entry = pte_make_page(page_to_pfn(zero_page()), vma_pte_access(vmf->vma));
    enum fault_step step = vm_fault_lock(vmf);

    if (step != FAULT_STEP_DONE) {
        return step;
    }
    if (object_generation(vmf->vma->object) == vmf->generation) {
        entry = pte_with_special(entry);
        entry = pte_is_none(vmf->entry) ? entry : vm_fault_inherit(entry, vmf->entry);
        cursor_set(&vmf->cursor, entry);
    } else {
        step = FAULT_STEP_AGAIN;
    }
    cursor_unlock(&vmf->cursor);
    return step;
}

/* The pager hears of the first write to a clean page before it can happen (G1). */
static enum fault_step must_announce(struct vm_fault *vmf)
{
    vmf->nr_wanted = 0;
    return FAULT_STEP_PAGER;
}

/* How much is brought in at once: only what is asked for, where pages are watched one by one. */
static u32 pages_wanted(const struct vma *vma)
{
    return vma->flags & (VM_UFFD_FLAGS | VM_RAND_READ) ? 1 : PAGER_WINDOW_PAGES;
}

static enum fault_step fault_object_error(struct vm_fault *vmf, int error)
{
    if (error == -ENOMEM) {
        return FAULT_STEP_OOM;
    }
    if (error == -EINPROGRESS) {
        vmf->nr_wanted = pages_wanted(vmf->vma);
        return FAULT_STEP_PAGER;
    }
    vmf->si_code = BUS_ADRERR;
    return FAULT_STEP_SIGBUS;
}

/*
 * Nobody has to hear of the first write to a page of a memory object, so a shared mapping that may
 * be written gets a writable entry at once, unless a pager protects pages in it (B12) or has to
 * hear of it (G1), or it is watched which pages are written (clear_refs.c).
 */
static ALWAYS_INLINE struct file_entry file_entry(const struct vma *vma)
{
    u64 needed = VM_SHARED | VM_WRITE | VM_SOFTDIRTY;

    return (struct file_entry){
        .blank = pte_make_page(0, vma_pte_access(vma)),
        .object = vma->object,
        .is_born_writable = (vma->flags & (needed | VM_UFFD_WP)) == needed,
    };
}

static ALWAYS_INLINE struct pte file_pte(struct file_entry common, const struct page *page)
{
    struct pte entry = pte_with_pfn(common.blank, page_to_pfn(page));

    if (unlikely(common.is_born_writable) && object_lets_write(common.object, page)) {
        entry = pte_with_write(entry);
    }
    return entry;
}

/* The page differs from what it was filled with; its entry may be gone before anybody asks. */
static void mark_written(struct page *page)
{
    if (!page_is_dirty(page)) {
        page_set_dirty(page);
    }
}

/* The caller's reference becomes the entry's. Table locked. */
static void enter_file_page(struct pt_cursor *cursor, struct page *page, struct pte entry)
{
    page_add_mapping(page);
    cursor_set(cursor, entry);
}

/*
 * Only for readers: a write is rarely followed by writes around it. Advice to read at random keeps
 * a pager from bringing in more (pages_wanted()); what is in memory anyway costs only its entry.
 */
static bool may_fault_around(const struct vm_fault *vmf)
{
    return !(vmf->flags & FAULT_FLAG_WRITE) && !(vmf->vma->flags & VM_UFFD_FLAGS) &&
           pte_is_none(vmf->entry) && READ_ONCE(fault_around_bytes) != PAGE_SIZE;
}

/*
 * Enters what the object has of the window, which is aligned and no larger than what one table
 * serves: it lies in the fault's, which is there. Return: has that resolved the fault?
 */
static bool fault_around(struct vm_fault *vmf)
{
    u64 window = READ_ONCE(fault_around_bytes);
    u64 first = ALIGN_DOWN(vmf->addr, window);
    u64 start = max(first, vmf->vma->start);
    u64 end = min(first + window, vmf->vma->end);

    do {
        u64 next = min(ALIGN_DOWN(start, AROUND_BATCH_BYTES) + AROUND_BATCH_BYTES, end);

        enter_present(vmf, start, next);
        start = next;
    } while (unlikely(start < end));
    return !pte_is_none(cursor_pte(&vmf->cursor));
}

/* Enter what the object has of a part of the window. */
static ALWAYS_INLINE void enter_present(struct vm_fault *vmf, u64 start, u64 end)
{
    struct vma *vma = vmf->vma;
    struct vm_object *object = vma->object;
    struct file_entry common = file_entry(vma);
    u64 index = vma_page_index(vma, start);
    struct page *pages[AROUND_BATCH_PAGES];
    struct page **next = pages;
    struct pt_cursor cursor = vmf->cursor;
    u64 nr_entered = 0;
    u64 index_end;

    object_peek_pages(object, index, (u32)((end - start) >> PAGE_SHIFT), pages);
    cursor_seek(&cursor, start);
    cursor_lock(&cursor);
    /* A truncation that has not shrunk the size by now zaps after the table is unlocked. */
    index_end =
        min(index + ((end - start) >> PAGE_SHIFT), DIV_ROUND_UP(object_size(object), PAGE_SIZE));
    for (; index < index_end; index++, next++, cursor_step(&cursor)) {
        struct page *page = *next;

        if (page != NULL && pte_is_none(cursor_pte(&cursor)) &&
            object_take_owned_page(object, index, page)) {
            if (DEBUG_ENABLED) {
                mm_verify_fault_around(vma, cursor_pte(&cursor));
            }
            enter_file_page(&cursor, page, file_pte(common, page));
            nr_entered++;
        }
    }
    mm_rss_add(vmf->mm, MM_RSS_SHMEM, (s64)nr_entered);
    cursor_unlock(&cursor);
}

enum fault_step fault_file_copy(struct vm_fault *vmf)
{
    u64 index = vma_page_index(vmf->vma, vmf->addr);
    struct page *source;
    struct page *page;
    enum fault_step step = FAULT_STEP_OOM;
    u32 reason;
    int error;

    if (vmf->vma->object->ops->cow_fault != NULL) {
        return handler_copy(vmf);
    }
    /* Before the pager is asked: what the fault comes to does not matter for fork and for merging.
     */
    if (!vm_fault_prepare_anon(vmf)) {
        return FAULT_STEP_OOM;
    }
    if (is_watched(vmf) && asks_uffd(vmf, index, &reason)) {
        return fault_uffd(vmf, reason);
    }
    /* A hole of shared memory gets its page, as by any other access: others may see that. */
    error = object_get_page(vmf->vma->object, index, OBJECT_CREATE, &source);
    if (error != 0) {
        return fault_object_error(vmf, error);
    }
    page = vm_fault_new_page(vmf, NEW_PAGE_RAW);
    if (page != NULL) {
        page_copy(page, source);
        step = install_copy(vmf, page, source);
    }
    page_put(source);
    return step;
}

/* Truncation takes private copies along, so a copy of what it took away must not follow it. */
static enum fault_step install_copy(struct vm_fault *vmf, struct page *page,
                                    const struct page *source)
{
    struct vm_object *object = vmf->vma->object;
    u64 index = vma_page_index(vmf->vma, vmf->addr);
    enum fault_step step = vm_fault_lock(vmf);

    if (step == FAULT_STEP_DONE) {
        if (object_owns_page(object, index, source)) {
            return vm_fault_enter_anon(vmf, page);
        }
        cursor_unlock(&vmf->cursor);
        step = FAULT_STEP_AGAIN;
    }
    page_put(page);
    return step;
}

/*
 * The object's handler makes the copy (rules N1 to N4). It gets the fresh page and gives back
 * nothing but an outcome: no lock of either side is held when the other one runs.
 */
static enum fault_step handler_copy(struct vm_fault *vmf)
{
    struct vm_object *object = vmf->vma->object;
    enum fault_step step = FAULT_STEP_AGAIN;

    vmf->cow_page = vm_fault_new_page(vmf, NEW_PAGE_RAW);
    if (vmf->cow_page == NULL) {
        return FAULT_STEP_OOM;
    }
    switch (object->ops->cow_fault(object, vma_page_index(vmf->vma, vmf->addr), vmf)) {
    case COW_INSTALLED:
        /* The page belongs to its entry, and may even be gone again. */
        ASSERT(vmf->cow_page == NULL, "N3: an installed page is not the fault's any more");
        return FAULT_STEP_DONE;
    case COW_FILLED:
        step = vm_fault_finish_cow(vmf);
        break;
    case COW_AGAIN:
        break;
    case COW_SIGBUS:
        step = fault_object_error(vmf, -ERANGE);
        break;
    case COW_OOM:
        step = FAULT_STEP_OOM;
        break;
    }
    if (vmf->cow_page != NULL) {
        page_put(vmf->cow_page);
    }
    return step;
}

enum fault_step fault_file_hole(struct vm_fault *vmf)
{
    /* Nobody may go on reading zeros through a stale translation once the hole has a page. */
    (void)cursor_exchange(&vmf->cursor, pte_none());
    tlb_flush_page(vmf->mm, vmf->addr);
    cursor_unlock(&vmf->cursor);
    return FAULT_STEP_AGAIN;
}

enum fault_step fault_file_dirty(struct vm_fault *vmf)
{
    struct pte entry = pte_change_access(vmf->entry, vma_pte_access(vmf->vma));
    const struct page *page = pte_page(entry);
    bool is_entered;

    if (page != NULL && !object_lets_write(vmf->vma->object, page)) {
        cursor_unlock(&vmf->cursor);
        return must_announce(vmf);
    }
    entry = pte_with_write(pte_with_dirty(pte_with_accessed(entry)));
    is_entered = cursor_replace(&vmf->cursor, vmf->entry, entry);
    if (is_entered && pte_page(entry) != NULL) {
        mark_written(pte_page(entry));
    }
    cursor_unlock(&vmf->cursor);
    return is_entered ? FAULT_STEP_DONE : FAULT_STEP_AGAIN;
}
