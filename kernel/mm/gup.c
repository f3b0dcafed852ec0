/*
 * get_user_pages and pin_user_pages: the pages behind a user range, for the kernel to use.
 *
 * A reference (GET) keeps a frame. A pin keeps it at its address as well (I3), which only an
 * exclusive anonymous page can promise (I4): fork copies it for the child and a write fault reuses
 * it. So a read pin of a shared page first breaks COW, by an unshare fault, which is not a write:
 * no notification, no dirty bit, no writable entry (J8-J10). Read gup_fast.c next.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/cursor.h>
#include <mm/fault.h>
#include <mm/gup.h>
#include <mm/gup_internal.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/pager.h>
#include <mm/vma.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <uapi/linux/signal.h>

/* What an entry offers to a holder. */
enum follow {
    FOLLOW_OK,
    FOLLOW_MISS,    /* a fault of the kind wanted makes it usable */
    FOLLOW_UNSHARE, /* an unshare fault does */
    FOLLOW_BAD,     /* nothing does */
};

/* One hold of a VMA. */
struct held_vma {
    struct vma *vma;
    bool is_mmap_locked;
};

static s64 take_all(const struct gup_request *request);
static bool hold_vma(struct mm *mm, u64 addr, struct held_vma *held);
static void release_vma(struct mm *mm, struct held_vma *held);
static int check_vma(const struct vma *vma, const struct gup_request *request);
static enum follow follow_range(const struct gup_request *request, struct vma *vma, u64 *nr_done);
static ALWAYS_INLINE enum follow follow_entry(const struct gup_request *request,
                                              const struct vma *vma, struct pte entry);
static bool may_write_through(const struct vma *vma, struct pte entry, u32 flags);
static ALWAYS_INLINE bool must_unshare(const struct gup_request *request, const struct vma *vma,
                                       struct pte entry);
static ALWAYS_INLINE struct page *take_page(const struct gup_request *request, struct pte entry);
static int fault_in(const struct gup_request *request, u64 addr, enum follow reason);
static u32 fault_flags_of(const struct gup_request *request, enum follow reason);

/* A range that leaves user space has no VMA there: what lies in front of that is taken (J14). */
s64 gup_slow(struct gup_request *request)
{
    if (request->nr_pages == 0) {
        return 0;
    }
    if (request->start >= TASK_SIZE) {
        return -EFAULT;
    }
    request->nr_pages = min(request->nr_pages, (TASK_SIZE - request->start) >> PAGE_SHIFT);
    return take_all(request);
}

static s64 take_all(const struct gup_request *request)
{
    u64 nr_done = 0;
    int error = 0;

    gup_note_pinner(request->mm, request->mode);
    while (nr_done < request->nr_pages && error == 0) {
        u64 addr = request->start + (nr_done << PAGE_SHIFT);
        enum follow follow = FOLLOW_MISS;
        struct held_vma held;

        if (hold_vma(request->mm, addr, &held)) {
            error = check_vma(held.vma, request);
            if (error == 0) {
                follow = follow_range(request, held.vma, &nr_done);
            }
            release_vma(request->mm, &held);
        } else if (!(request->flags & FOLL_GROW_STACK)) {
            error = -EFAULT;
        }
        if (error == 0 && follow != FOLLOW_OK) {
            error = fault_in(request, request->start + (nr_done << PAGE_SHIFT), follow);
        }
        sched_point();
    }
    /* A caller that does not wait gets what could be had without (J16). */
    error = error == -EAGAIN ? 0 : error;
    return nr_done != 0 ? (s64)nr_done : error;
}

static bool hold_vma(struct mm *mm, u64 addr, struct held_vma *held) NO_THREAD_SAFETY_ANALYSIS
{
    held->is_mmap_locked = false;
    if (vma_lock_lookup(mm, addr, &held->vma)) {
        return true;
    }
    mm_read_lock(mm);
    held->vma = vma_find_at(mm, addr);
    held->is_mmap_locked = held->vma != NULL;
    if (held->vma == NULL) {
        mm_read_unlock(mm);
    }
    return held->is_mmap_locked;
}

static void release_vma(struct mm *mm, struct held_vma *held) NO_THREAD_SAFETY_ANALYSIS
{
    if (held->is_mmap_locked) {
        mm_read_unlock(mm);
    } else {
        vma_read_unlock(held->vma);
    }
}

/* J6. Its pager would not hear of what is written through the pin. */
static bool is_longterm_write_to_tracked(const struct gup_request *request, const struct vma *vma)
{
    u32 both = FOLL_LONGTERM | FOLL_WRITE;

    return (request->flags & both) == both && (vma->flags & VM_SHARED) && vma->object != NULL &&
           object_tracks_writes(vma->object);
}

/* J5. Writing by force needs a private mapping, where it lands in a copy. */
static int check_vma(const struct vma *vma, const struct gup_request *request)
{
    bool is_forced = request->flags & FOLL_FORCE;

    if (vma->flags & (VM_IO | VM_PFNMAP)) {
        return -EFAULT;
    }
    if ((request->flags & FOLL_LONGTERM) && vma->object != NULL &&
        object_refuses_longterm(vma->object)) {
        return -EOPNOTSUPP;
    }
    if (is_longterm_write_to_tracked(request, vma)) {
        return -EFAULT;
    }
    if (request->flags & FOLL_WRITE) {
        bool may_write = (vma->flags & VM_WRITE) || (is_forced && vma_is_cow(vma));

        return may_write ? 0 : -EFAULT;
    }
    bool may_read = (vma->flags & VM_READ) || (is_forced && (vma->flags & VM_MAYREAD));

    return may_read ? 0 : -EFAULT;
}

/*
 * Takes pages from *nr_done on, as far as one table and the VMA reach. The loop works on copies of
 * the request and the cursor, which the compiler keeps in registers.
 * Return: FOLLOW_OK, or why it stopped short of that.
 */
static enum follow follow_range(const struct gup_request *request, struct vma *vma, u64 *nr_done)
{
    u64 addr = request->start + (*nr_done << PAGE_SHIFT);
    u64 end = min(request->start + (request->nr_pages << PAGE_SHIFT), vma->end);
    const struct gup_request wanted = *request;
    struct page **out = request->pages + *nr_done;
    enum follow follow = FOLLOW_OK;
    struct pt_cursor cursor, at;

    if (!cursor_find(&cursor, request->mm, addr)) {
        return FOLLOW_MISS;
    }
    end = cursor_table_end(&cursor, end);
    cursor_lock(&cursor);
    for (at = cursor; at.addr < end; cursor_step(&at)) {
        struct pte entry = cursor_pte(&at);

        follow = follow_entry(&wanted, vma, entry);
        if (follow != FOLLOW_OK) {
            break;
        }
        *out++ = take_page(&wanted, entry);
    }
    cursor_unlock(&cursor);
    *nr_done = (u64)(out - request->pages);
    return follow;
}

/* What a writer holds counts as written from now on: its stores set no bit in the entry. */
static ALWAYS_INLINE struct page *take_page(const struct gup_request *request, struct pte entry)
{
    struct page *page = pfn_to_page(pte_pfn(entry));

    DEBUG_ASSERT(request->mode == GUP_GET || !page_is_anon(page) || page_is_anon_exclusive(page),
                 "I4: only exclusive anonymous pages are pinned");
    if ((request->flags & FOLL_WRITE) && !pte_is_dirty(entry) && !page_is_dirty(page)) {
        page_set_dirty(page);
    }
    gup_take(page, request->mode);
    return page;
}

/* By force an entry is used that its VMA makes inaccessible to everybody else. */
static bool may_force_access(const struct gup_request *request, const struct vma *vma,
                             struct pte entry)
{
    return pte_is_present(entry) && (request->flags & FOLL_FORCE) &&
           !(vma->flags & VM_ACCESS_FLAGS);
}

static ALWAYS_INLINE enum follow follow_entry(const struct gup_request *request,
                                              const struct vma *vma, struct pte entry)
{
    if (unlikely(!pte_is_accessible(entry)) && !may_force_access(request, vma, entry)) {
        return FOLLOW_MISS;
    }
    if (pte_is_special(entry) && !page_is_zero(pfn_to_page(pte_pfn(entry)))) {
        return FOLLOW_BAD;
    }
    if (request->flags & FOLL_WRITE) {
        return may_write_through(vma, entry, request->flags) ? FOLLOW_OK : FOLLOW_MISS;
    }
    return must_unshare(request, vma, entry) ? FOLLOW_UNSHARE : FOLLOW_OK;
}

/* J7. */
static bool may_write_through(const struct vma *vma, struct pte entry, u32 flags)
{
    const struct page *page = pte_page(entry);

    if (pte_is_writable(entry)) {
        return true;
    }
    if (!(flags & FOLL_FORCE) || !vma_is_cow(vma) || (vma->flags & VM_WRITE)) {
        return false;
    }
    if (!(vma->flags & VM_SOFTDIRTY) && !pte_is_soft_dirty(entry)) {
        return false;
    }
    return page != NULL && page_is_anon(page) && page_is_anon_exclusive(page) &&
           !pte_is_uffd_wp(entry);
}

/*
 * J8. An anonymous page must be the reader's own; another page of a private mapping only if the
 * reader holds it for long or asked for it, since a later write gives the mapping a copy.
 */
static ALWAYS_INLINE bool must_unshare(const struct gup_request *request, const struct vma *vma,
                                       struct pte entry)
{
    const struct page *page = pte_page(entry);
    bool is_break_cow = request->flags & FOLL_BREAK_COW;

    if (request->mode == GUP_GET && !is_break_cow) {
        return false;
    }
    if (page != NULL && page_is_anon(page)) {
        return !page_is_anon_exclusive(page);
    }
    return (is_break_cow || (request->flags & FOLL_LONGTERM)) && vma_is_cow(vma);
}

static int fault_in(const struct gup_request *request, u64 addr, enum follow reason)
{
    struct fault_info info;
    enum fault_outcome outcome;

    if (reason == FOLLOW_BAD || (request->flags & FOLL_NOFAULT)) {
        return -EFAULT;
    }
    if (fatal_signal_pending(current_thread())) {
        return -EINTR;
    }
    outcome = handle_mm_fault(request->mm, addr, fault_flags_of(request, reason), &info);
    return fault_error(outcome, &info, request->flags);
}

/* P1: breaking COW is a flag of its own, and a reader's fault is never a writer's (J9, J10). */
static u32 fault_flags_of(const struct gup_request *request, enum follow reason)
{
    u32 flags = request->flags & FOLL_GROW_STACK ? 0 : FAULT_FLAG_REMOTE | FAULT_FLAG_NOEXPAND;

    if (request->flags & FOLL_UNLOCKABLE) {
        flags |= FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE;
        flags |= request->flags & FOLL_INTERRUPTIBLE ? FAULT_FLAG_INTERRUPTIBLE : 0;
    }
    if (request->flags & FOLL_NOWAIT) {
        flags |= FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_NOWAIT;
    }
    flags |= request->flags & FOLL_FORCE ? FAULT_FLAG_FORCE : 0;
    flags |= request->flags & FOLL_WRITE ? FAULT_FLAG_WRITE : 0;
    flags |= reason == FOLLOW_UNSHARE ? FAULT_FLAG_UNSHARE : 0;
    return flags;
}

/* J1. */
static bool is_valid(const struct gup_request *request, u32 allowed)
{
    bool is_write = request->flags & FOLL_WRITE;
    bool is_longterm = request->flags & FOLL_LONGTERM;

    if ((request->flags & ~allowed) != 0 || request->pages == NULL) {
        return false;
    }
    return !(is_longterm && request->mode != GUP_PIN) &&
           !(is_write && (request->flags & FOLL_BREAK_COW));
}

static s64 gup_checked(struct gup_request request)
{
    request.start &= PAGE_MASK;
    return is_valid(&request, FOLL_VALID_MASK) ? gup_slow(&request) : -EINVAL;
}

/* Without a lock as far as possible, then from there on with locks. */
static s64 gup_checked_fast(struct gup_request request)
{
    u64 nr_fast;
    s64 rest;

    request.start &= PAGE_MASK;
    if (!is_valid(&request, FOLL_FAST_MASK)) {
        return -EINVAL;
    }
    if (request.nr_pages > (U64_MAX - request.start) >> PAGE_SHIFT) {
        return -EOVERFLOW;
    }
    if (request.start + (request.nr_pages << PAGE_SHIFT) > TASK_SIZE) {
        return -EFAULT;
    }
    nr_fast = gup_fast(&request);
    if (nr_fast == request.nr_pages) {
        return (s64)nr_fast;
    }
    request.start += nr_fast << PAGE_SHIFT;
    request.pages += nr_fast;
    request.nr_pages -= nr_fast;
    request.flags |= FOLL_UNLOCKABLE;
    rest = gup_slow(&request);
    if (rest >= 0) {
        return rest + (s64)nr_fast;
    }
    return nr_fast != 0 ? (s64)nr_fast : rest;
}

s64 get_user_pages_remote(struct mm *mm, u64 start, u64 nr_pages, u32 flags, struct page **pages)
{
    return gup_checked((struct gup_request){mm, start, nr_pages, flags, GUP_GET, pages});
}

s64 get_user_pages(u64 start, u64 nr_pages, u32 flags, struct page **pages)
{
    return get_user_pages_remote(current_mm(), start, nr_pages, flags, pages);
}

s64 get_user_pages_fast(u64 start, u64 nr_pages, u32 flags, struct page **pages)
{
    return gup_checked_fast(
        (struct gup_request){current_mm(), start, nr_pages, flags, GUP_GET, pages});
}

s64 pin_user_pages_remote(struct mm *mm, u64 start, u64 nr_pages, u32 flags, struct page **pages)
{
    return gup_checked((struct gup_request){mm, start, nr_pages, flags, GUP_PIN, pages});
}

s64 pin_user_pages(u64 start, u64 nr_pages, u32 flags, struct page **pages)
{
    return pin_user_pages_remote(current_mm(), start, nr_pages, flags, pages);
}

s64 pin_user_pages_fast(u64 start, u64 nr_pages, u32 flags, struct page **pages)
{
    return gup_checked_fast(
        (struct gup_request){current_mm(), start, nr_pages, flags, GUP_PIN, pages});
}

static ALWAYS_INLINE void unpin(struct page *page)
{
    u32 old;

    if (page_is_zero(page)) {
        return;
    }
    old = atomic_u32_fetch_sub(&page->pincount, 1);
    ASSERT(old != 0, "J4: a page is unpinned as often as it was pinned");
    page_put(page);
}

void unpin_user_page(struct page *page)
{
    unpin(page);
}

void unpin_user_pages(struct page **pages, u64 nr_pages)
{
    for (u64 i = 0; i < nr_pages; i++) {
        unpin(pages[i]);
    }
}

void unpin_user_pages_dirty_lock(struct page **pages, u64 nr_pages)
{
    for (u64 i = 0; i < nr_pages; i++) {
        if (!page_is_zero(pages[i]) && !page_is_dirty(pages[i])) {
            page_set_dirty(pages[i]);
        }
        unpin(pages[i]);
    }
}
