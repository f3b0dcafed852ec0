/*
 * Fork: the child gets the parent's private pages, shared and read-only in both.
 *
 * Owns the transitions "fork" of section H: an exclusive page loses that mark and both entries
 * their write permission, unless it is pinned; then the parent keeps it untouched and the child
 * gets its own copy at once. What tells the two apart is the exact pin count, read after
 * write_protect_seq became odd: a lock-free pin either is counted by then or sees the sequence
 * change and gives up (J11).
 */
#include <debug/explore.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/anon.h>
#include <mm/cursor.h>
#include <mm/fork.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/tlb.h>
#include <proc/sched.h>
#include <proc/signal.h>

enum fork_step { FORK_STEP_TABLE_DONE, FORK_STEP_NEED_PAGE };

static bool vma_needs_copy(const struct vma *dst, const struct vma *src);
static NOINLINE int copy_range(struct fork_copy *copy, struct vma *dst, struct vma *src);
static int copy_table(struct fork_copy *copy, struct vma *dst, u64 end);
static NOINLINE enum fork_step copy_entries(struct fork_copy *copy, const struct vma *dst, u64 end);
static ALWAYS_INLINE void copy_absent(const struct vma *dst, struct pt_cursor *to,
                                      struct pte entry);
static struct pte inherited_marker(const struct vma *dst, struct pte entry);
static struct pte child_entry(const struct vma *dst, struct pte entry);
static bool must_stay(const struct page *page);
static ALWAYS_INLINE bool share_page(struct page *page);
static struct pte copy_pinned(struct fork_copy *copy, const struct vma *dst, struct pte entry,
                              u64 addr);

void fork_copy_begin(struct fork_copy *copy, struct mm *parent, struct mm *child)
{
    ASSERT(rwsem_is_write_held(&parent->mmap_lock), "I1: fork holds mmap_lock for writing");
    *copy = (struct fork_copy){.parent = parent, .child = child};
    seqcount_write_begin(&parent->write_protect_seq);
    explore_point(EXPLORE_COUNT);
}

void fork_copy_end(struct fork_copy *copy)
{
    /* Before the sequence is even again no processor may write through an old translation (I8). */
    tlb_flush_range(copy->parent, 0, TASK_SIZE);
    explore_point(EXPLORE_COUNT);
    seqcount_write_end(&copy->parent->write_protect_seq);
    if (copy->spare != NULL) {
        page_put(copy->spare);
    }
    for (int kind = 0; kind < MM_RSS_NR; kind++) {
        if (copy->rss[kind] != 0) {
            mm_rss_add(copy->child, kind, copy->rss[kind]);
        }
    }
}

int fork_copy_page_range(struct fork_copy *copy, struct vma *dst, struct vma *src)
{
    ASSERT(dst->start == src->start && dst->end == src->end,
           "a child's VMA is where its parent's is");
    ASSERT(vma_is_write_locked(src), "no fault of the parent runs in a VMA that fork copies");
    return vma_needs_copy(dst, src) ? copy_range(copy, dst, src) : 0;
}

/*
 * Without private pages a fault of the child finds all that the parent's entries say (I4), but for
 * what a pager has protected (F10).
 */
static bool vma_needs_copy(const struct vma *dst, const struct vma *src)
{
    return src->anon_vma != NULL || (dst->flags & VM_UFFD_WP) != 0;
}

/* Small VMAs share a table with the one before; no table goes while mmap_lock is held. */
static NOINLINE int copy_range(struct fork_copy *copy, struct vma *dst, struct vma *src)
{
    bool has_table = cursor_serves(&copy->from, src->start);
    int error = 0;

    if (has_table) {
        cursor_seek(&copy->from, src->start);
    } else {
        has_table = cursor_first(&copy->from, src->mm, src->start, src->end);
    }
    while (has_table && error == 0) {
        error = copy_table(copy, dst, cursor_table_end(&copy->from, src->end));
        if (error == 0 && fatal_signal_pending(current_thread())) {
            error = -EINTR;
        }
        sched_point();
        has_table = cursor_resume(&copy->from, src->end);
    }
    return error;
}

static int copy_table(struct fork_copy *copy, struct vma *dst, u64 end)
{
    enum fork_step step;

    if (cursor_serves(&copy->to, copy->from.addr)) {
        cursor_seek(&copy->to, copy->from.addr);
    } else if (cursor_prepare(&copy->to, dst->mm, copy->from.addr) != 0) {
        return -ENOMEM;
    }
    for (;;) {
        /* Parent before child; the child's table is known to truncation at most, which comes to the
         * parent's first (vma_append_copy()), so nothing that it took there is copied after it has
         * been here. */
        cursor_lock(&copy->from);
        cursor_lock_nested(&copy->to);
        step = copy_entries(copy, dst, end);
        cursor_unlock(&copy->to);
        cursor_unlock(&copy->from);
        if (step == FORK_STEP_TABLE_DONE) {
            return 0;
        }
        copy->spare = page_alloc(0, ALLOC_USER);
        if (copy->spare == NULL) {
            return -ENOMEM;
        }
    }
}

/*
 * Copies until @end or until a page is needed; the cursors stand where to go on. The loop works on
 * copies of the cursors, which the compiler keeps in registers.
 */
static NOINLINE enum fork_step copy_entries(struct fork_copy *copy, const struct vma *dst, u64 end)
{
    struct pt_cursor from = copy->from;
    struct pt_cursor to = copy->to;
    struct pte inherited = child_entry(dst, pte_without_write(pte_all()));
    bool has_pins = atomic_u32_load(&from.mm->has_pinned) != 0;
    bool is_shared = dst->flags & VM_SHARED;
    enum fork_step step = FORK_STEP_TABLE_DONE;
    s64 nr_anon = 0;

    /* A stack is in use at its end. */
    cursor_skip_none(&from, end);
    cursor_seek(&to, from.addr);
    for (; from.addr < end; cursor_step(&from), cursor_step(&to)) {
        struct pte entry = cursor_pte(&from);
        struct page *page;

        if (unlikely(!pte_is_present(entry))) {
            copy_absent(dst, &to, entry);
            continue;
        }
        page = pte_page(entry);
        if (unlikely(has_pins) && page != NULL && must_stay(page)) {
            if (copy->spare == NULL) {
                step = FORK_STEP_NEED_PAGE;
                break;
            }
            cursor_set(&to, copy_pinned(copy, dst, entry, from.addr));
            continue;
        }
        explore_point(EXPLORE_COUNT);
        if (likely(page != NULL)) {
            if (likely(share_page(page))) {
                nr_anon++;
            } else {
                copy->rss[page_rss_kind(page)]++;
            }
        }
        if (unlikely(is_shared)) {
            cursor_set(&to, child_entry(dst, pte_without_dirty(entry)));
            continue;
        }
        /* The processor may be setting its own bits meanwhile. */
        if (pte_is_writable(entry)) {
            cursor_clear_write(&from);
        }
        cursor_set(&to, pte_intersection(entry, inherited));
    }
    copy->rss[MM_RSS_ANON] += nr_anon;
    to.addr = from.addr;
    copy->from = from;
    copy->to = to;
    return step;
}

static ALWAYS_INLINE void copy_absent(const struct vma *dst, struct pt_cursor *to, struct pte entry)
{
    if (!pte_is_none(entry)) {
        cursor_set(to, inherited_marker(dst, entry));
    }
}

/* A pager's protection is inherited only with its registration; other markers always are (F10). */
static struct pte inherited_marker(const struct vma *dst, struct pte entry)
{
    u32 markers = pte_markers(entry);

    ASSERT(pte_kind(entry) == PTE_KIND_MARKER, "no page is away in swap or migration");
    if (!(dst->flags & VM_UFFD_WP)) {
        markers &= ~(u32)PTE_MARKER_UFFD_WP;
    }
    return markers != 0 ? pte_make_marker(markers) : pte_none();
}

static struct pte child_entry(const struct vma *dst, struct pte entry)
{
    if (!(dst->flags & VM_UFFD_WP)) {
        entry = pte_without_uffd_wp(entry);
    }
    return pte_without_accessed(entry);
}

/* I3. Read after write_protect_seq became odd, so no pin can come between. */
static bool must_stay(const struct page *page)
{
    return page_is_anon_exclusive(page) && page_pincount(page) != 0;
}

/* One entry more maps the page, which is nobody's alone any longer. Return: is it anonymous? */
static ALWAYS_INLINE bool share_page(struct page *page)
{
    u32 flags = atomic_u32_load(&page->flags);

    page_get_mapping(page);
    if ((flags & BIT(PG_anon_exclusive)) != 0) {
        page_clear_anon_exclusive(page);
    }
    return (flags & BIT(PG_anon)) != 0;
}

/* The child's copy of a page that stays with its parent, whose entry remains as it is (I3). */
static struct pte copy_pinned(struct fork_copy *copy, const struct vma *dst, struct pte entry,
                              u64 addr)
{
    struct page *own = copy->spare;
    struct pte child = pte_make_page(page_to_pfn(own), vma_pte_access(dst));

    copy->spare = NULL;
    page_copy(own, pte_page(entry));
    page_make_anon(own, dst, addr);
    copy->rss[MM_RSS_ANON]++;
    mem_account(MEM_ANON, 1);
    child = child_entry(dst, pte_carry(child, entry));
    child = pte_with_accessed(pte_with_dirty(child));
    if ((dst->flags & VM_WRITE) && !pte_is_uffd_wp(child)) {
        child = pte_with_write(child);
    }
    return child;
}
