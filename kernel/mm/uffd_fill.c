/*
 * Resolving faults by entering pages: UFFDIO_COPY, ZEROPAGE, CONTINUE, POISON.
 *
 * The VMA is held for as many pages as can be had without waiting. The source of a copy is read
 * with faults forbidden; where that fails, everything is let go of, the page is filled as any
 * program would, and the work starts over with a new look at the VMA (D10). A page is complete
 * before its entry appears (D9). Read next: uffd_wp.c.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/anon.h>
#include <mm/cursor.h>
#include <mm/frames.h>
#include <mm/fault.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/rmap.h>
#include <mm/shmem.h>
#include <mm/uffd_internal.h>
#include <mm/usercopy.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>

/* Not an error a caller sees: the source must be read with no lock held. */
#define FILL_NEEDS_SOURCE 1

/* One call on its way. */
struct filling {
    struct uffd_ctx *ctx;
    const struct uffd_fill *fill;
    struct vma *vma; /* held */
    struct pt_cursor cursor;
    u64 done;          /* bytes */
    struct page *page; /* for the page at done, read without a lock; or NULL */
};

/* D4 to D6, and D1 once more: this time nothing can change before the VMA is let go of. */
static int check_target(const struct filling *filling)
{
    const struct uffd_fill *fill = filling->fill;
    const struct vma *vma = filling->vma;

    if (vma->uffd == NULL || fill->dst + fill->len > vma->end) {
        return -ENOENT;
    }
    if (atomic_u32_load(&filling->ctx->nr_changing) != 0) {
        return -EAGAIN;
    }
    if (fill->is_protected && !(vma->flags & VM_UFFD_WP)) {
        return -EINVAL;
    }
    if (!vma_is_anonymous(vma) && !uffd_is_shmem(vma)) {
        return -EINVAL;
    }
    return fill->kind == UFFD_FILL_CONTINUE && vma_is_anonymous(vma) ? -EINVAL : 0;
}

static inline u64 current_dst(const struct filling *filling)
{
    return filling->fill->dst + filling->done;
}

/* F2: a marker stands for no page. */
static bool is_without_page(struct pte entry)
{
    return pte_is_none(entry) || pte_kind(entry) == PTE_KIND_MARKER;
}

/* D8. Under the table's lock the answer holds: truncation shrinks before it zaps. */
static bool is_beyond_end(const struct filling *filling)
{
    const struct vma *vma = filling->vma;

    return vma->object != NULL && vma_page_index(vma, current_dst(filling)) >=
                                      DIV_ROUND_UP(object_size(vma->object), PAGE_SIZE);
}

/* D12. */
static struct pte filled_entry(const struct filling *filling, const struct page *page,
                               bool may_write)
{
    const struct vma *vma = filling->vma;
    struct pte entry = pte_make_page(page_to_pfn(page), vma_pte_access(vma));

    entry = pte_with_dirty(entry);
    if (filling->fill->is_protected) {
        return pte_with_uffd_wp(entry);
    }
    return may_write && (vma->flags & VM_WRITE) ? pte_with_write(entry) : entry;
}

/* --- one page --------------------------------------------------------------------------------- */

/* The page to copy: a reference for the caller in *out. */
static int take_source(struct filling *filling, struct page **out)
{
    struct page *page = filling->page;
    int error = 0;

    if (page != NULL) {
        filling->page = NULL;
        *out = page;
        return 0;
    }
    page = page_alloc(0, ALLOC_USER);
    if (page == NULL) {
        return -ENOMEM;
    }
    pagefault_disable();
    error = copy_from_user(page_to_virt(page), filling->fill->src + filling->done, PAGE_SIZE);
    pagefault_enable();
    if (unlikely(error != 0)) {
        filling->page = page;
        return FILL_NEEDS_SOURCE;
    }
    *out = page;
    return 0;
}

/* Private memory, of an object or not, gets a page of its own (D13). Takes @page over. */
static int enter_anon(struct filling *filling, struct page *page)
{
    struct pt_cursor *cursor = &filling->cursor;
    int error = 0;

    cursor_lock(cursor);
    if (unlikely(is_beyond_end(filling))) {
        error = -EFAULT;
    } else if (unlikely(!is_without_page(cursor_pte(cursor)))) {
        error = -EEXIST;
    } else {
        page_make_anon(page, filling->vma, cursor->addr);
        cursor_set(cursor, filled_entry(filling, page, true));
        mm_rss_add(cursor->mm, MM_RSS_ANON, 1);
    }
    cursor_unlock(cursor);
    if (unlikely(error != 0)) {
        page_put(page);
        return error;
    }
    mem_account(MEM_ANON, 1);
    return 0;
}

/* The entry takes the caller's reference over. */
static int enter_shared(struct page *page, void *arg)
{
    struct filling *filling = arg;
    struct pt_cursor *cursor = &filling->cursor;
    int error = 0;

    cursor_lock(cursor);
    if (is_without_page(cursor_pte(cursor))) {
        page_set_dirty(page);
        page_add_mapping(page);
        cursor_set(cursor, filled_entry(filling, page, true));
        mm_rss_add(cursor->mm, page_rss_kind(page), 1);
    } else {
        error = -EEXIST;
    }
    cursor_unlock(cursor);
    return error;
}

/* Takes @page over. */
static int fill_shared(struct filling *filling, struct page *page)
{
    struct vma *vma = filling->vma;
    int error = shmem_fill_page(vma->object, vma_page_index(vma, current_dst(filling)), page,
                                enter_shared, filling);

    if (error != 0) {
        page_put(page);
    }
    return error == -ERANGE ? -EFAULT : error;
}

static int fill_copy(struct filling *filling)
{
    struct page *page;
    int error = take_source(filling, &page);

    if (error != 0) {
        return error;
    }
    return filling->vma->flags & VM_SHARED ? fill_shared(filling, page) : enter_anon(filling, page);
}

/* D14, D16: what is no page is entered only where there is nothing at all. */
static int enter_special(struct filling *filling, struct pte entry)
{
    struct pt_cursor *cursor = &filling->cursor;
    int error = 0;

    cursor_lock(cursor);
    if (is_beyond_end(filling)) {
        error = -EFAULT;
    } else if (!pte_is_none(cursor_pte(cursor))) {
        error = -EEXIST;
    } else {
        cursor_set(cursor, entry);
    }
    cursor_unlock(cursor);
    return error;
}

static int fill_zero(struct filling *filling)
{
    struct page *page;

    if (!(filling->vma->flags & VM_SHARED)) {
        struct pte entry = pte_make_page(page_to_pfn(zero_page()), vma_pte_access(filling->vma));

        return enter_special(filling, pte_with_special(entry));
    }
    page = page_alloc(0, ALLOC_USER | ALLOC_ZERO);
    return page == NULL ? -ENOMEM : fill_shared(filling, page);
}

/* D15. */
static int fill_continue(struct filling *filling)
{
    struct vm_object *object = filling->vma->object;
    struct pt_cursor *cursor = &filling->cursor;
    u64 index = vma_page_index(filling->vma, current_dst(filling));
    struct page *page;
    int error = object_get_page(object, index, OBJECT_USE, &page);

    if (error != 0) {
        return error == -ERANGE ? -EINVAL : -EFAULT;
    }
    cursor_lock(cursor);
    if (!is_without_page(cursor_pte(cursor))) {
        error = -EEXIST;
    } else if (is_beyond_end(filling) || !object_owns_page(object, index, page)) {
        error = -EFAULT; /* truncated meanwhile */
    } else {
        if (!page_is_dirty(page)) {
            page_set_dirty(page);
        }
        page_add_mapping(page);
        cursor_set(cursor, filled_entry(filling, page, filling->vma->flags & VM_SHARED));
        mm_rss_add(cursor->mm, page_rss_kind(page), 1);
    }
    cursor_unlock(cursor);
    if (error != 0) {
        page_put(page);
    }
    return error;
}

/* Stands at the current page, with its table made. Pages in order share one walk. */
static int move_cursor(struct filling *filling)
{
    u64 dst = current_dst(filling);

    if (filling->cursor.slot != NULL && (dst & (pt_level_size(1) - 1)) != 0) {
        ASSERT(filling->cursor.addr == dst, "the cursor goes along with the pages");
        return 0;
    }
    return cursor_find(&filling->cursor, filling->ctx->mm, dst)
               ? 0
               : cursor_prepare(&filling->cursor, filling->ctx->mm, dst);
}

static int fill_page(struct filling *filling)
{
    int error = move_cursor(filling);

    if (error != 0) {
        return error;
    }
    switch (filling->fill->kind) {
    case UFFD_FILL_COPY:
        return fill_copy(filling);
    case UFFD_FILL_ZERO:
        return fill_zero(filling);
    case UFFD_FILL_CONTINUE:
        return fill_continue(filling);
    case UFFD_FILL_POISON:
        return enter_special(filling, pte_make_marker(PTE_MARKER_POISON));
    }
    return -EINVAL;
}

/* --- the range -------------------------------------------------------------------------------- */

/*
 * Private memory is made ready for pages of its own before anything is checked: so a child that is
 * forked later gets entries for what is there, whether the command succeeds or not.
 */
static int prepare_target(struct vma *vma)
{
    return vma->flags & VM_SHARED || vma->anon_vma != NULL ? 0 : anon_vma_prepare(vma);
}

static int fill_held(struct filling *filling)
{
    int error = prepare_target(filling->vma);

    error = error != 0 ? error : check_target(filling);
    filling->cursor.slot = NULL;
    while (error == 0 && filling->done < filling->fill->len) {
        error = fill_page(filling);
        if (error == 0) {
            filling->done += PAGE_SIZE;
            cursor_step(&filling->cursor);
            sched_point();
            /* D7: what is done counts. */
            error = fatal_signal_pending(current_thread()) ? -EINTR : 0;
        }
    }
    return error;
}

/* Reads the source as any program would, with no lock held. */
static int read_source(struct filling *filling)
{
    u64 src = filling->fill->src + filling->done;

    return copy_from_user(page_to_virt(filling->page), src, PAGE_SIZE);
}

s64 uffd_fill(struct uffd_ctx *ctx, const struct uffd_fill *fill)
{
    struct filling filling;
    struct uffd_hold hold;
    int error;

    filling.ctx = ctx;
    filling.fill = fill;
    filling.done = 0;
    filling.page = NULL;
    do {
        error = uffd_hold_vma(ctx->mm, fill->dst, &hold);
        if (error == 0) {
            filling.vma = hold.vma;
            error = fill_held(&filling);
            uffd_release_vma(ctx->mm, &hold);
        }
        if (unlikely(error == FILL_NEEDS_SOURCE)) {
            error = read_source(&filling);
            error = error == 0 ? FILL_NEEDS_SOURCE : error;
        }
    } while (error == FILL_NEEDS_SOURCE);
    if (unlikely(filling.page != NULL)) {
        page_put(filling.page);
    }
    return filling.done != 0 ? (s64)filling.done : error;
}
