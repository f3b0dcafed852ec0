/*
 * PAGEMAP_SCAN: ranges of pages that match a condition on their categories.
 *
 * The scan runs in legs: under mmap_lock it fills a buffer of regions, then it copies them out with
 * no lock held and goes on where it stopped. A region that touches the last one and has its
 * categories continues it, across legs too. What is to be write-protected is so before its region
 * is copied out: a write after that is noticed, and one before it is in the report (F16, I8).
 *
 * What Linux shows and a reader would not guess: a page whose entry is none counts as written if a
 * table serves its address; if none does, only where a pager watches for writes.
 */
#include <lib/errno.h>
#include <mm/cursor.h>
#include <mm/mm.h>
#include <mm/pagemap.h>
#include <mm/slab.h>
#include <mm/tlb.h>
#include <mm/uffd.h>
#include <mm/usercopy.h>
#include <mm/vma.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>

#define REGIONS_PER_LEG (PAGE_SIZE / sizeof(struct page_region))

enum scan_step {
    SCAN_GO_ON,
    SCAN_FULL,   /* the buffer of a leg is full */
    SCAN_ENOUGH, /* the caller wants no more */
};

struct scan {
    struct mm *mm;
    struct pm_scan_arg arg;
    struct page_region *regions; /* of this leg; NULL if the caller wants none */
    u64 nr_regions;              /* in the buffer; the last one may still grow */
    u64 nr_copied;
    u64 nr_pages;           /* matching, so far */
    u64 at;                 /* everything below has been looked at */
    struct tlb_batch batch; /* of this leg: translations that write-protection made stale */
};

/* May the scan itself write-protect pages of this VMA? */
static bool is_wp_allowed(const struct vma *vma)
{
    return uffd_is_wp_async(vma) && uffd_uses_markers(vma);
}

/* What every page of the VMA is. */
static u32 vma_categories(const struct vma *vma)
{
    return (vma->flags & VM_SOFTDIRTY ? PAGE_IS_SOFT_DIRTY : 0) |
           (is_wp_allowed(vma) ? PAGE_IS_WPALLOWED : 0);
}

u32 pagemap_categories(const struct vma *vma, struct pte entry)
{
    u32 categories = vma_categories(vma);
    bool is_protected = pte_is_uffd_wp(entry);

    if (pte_is_present(entry)) {
        const struct page *page = pte_page(entry);

        categories |= PAGE_IS_PRESENT;
        categories |= page != NULL && !page_is_anon(page) ? PAGE_IS_FILE : 0;
        categories |= page_is_zero(pfn_to_page(pte_pfn(entry))) ? PAGE_IS_PFNZERO : 0;
    } else if (!pte_is_none(entry)) {
        categories |= PAGE_IS_SWAPPED;
        is_protected |=
            pte_kind(entry) == PTE_KIND_MARKER && (pte_markers(entry) & PTE_MARKER_UFFD_WP);
    }
    categories |= is_protected ? 0 : PAGE_IS_WRITTEN;
    categories |= pte_is_soft_dirty(entry) ? PAGE_IS_SOFT_DIRTY : 0;
    return categories;
}

static bool matches(const struct pm_scan_arg *arg, u64 categories)
{
    categories ^= arg->category_inverted;
    return (categories & arg->category_mask) == arg->category_mask &&
           (arg->category_anyof_mask == 0 || (categories & arg->category_anyof_mask) != 0);
}

/* Adds [start, end), which match. May take only the first part; scan->at tells how far it came. */
static enum scan_step add_region(struct scan *scan, u64 start, u64 end, u64 categories)
{
    struct page_region *last = scan->nr_regions > 0 ? &scan->regions[scan->nr_regions - 1] : NULL;
    u64 room = scan->arg.max_pages - scan->nr_pages;
    u64 nr_pages = min((end - start) >> PAGE_SHIFT, room);
    u64 part_end = start + (nr_pages << PAGE_SHIFT);

    categories &= scan->arg.return_mask;
    if (scan->regions == NULL) {
        /* Nobody wants to know; nor is anything counted. */
        scan->at = end;
        return SCAN_GO_ON;
    }
    if (nr_pages == 0) {
        return SCAN_ENOUGH;
    }
    if (last != NULL && last->end == start && last->categories == categories) {
        last->end = part_end;
    } else if (scan->nr_copied + scan->nr_regions == scan->arg.vec_len) {
        return SCAN_ENOUGH;
    } else if (scan->nr_regions == REGIONS_PER_LEG) {
        return SCAN_FULL;
    } else {
        scan->regions[scan->nr_regions++] =
            (struct page_region){.start = start, .end = part_end, .categories = categories};
    }
    scan->nr_pages += nr_pages;
    scan->at = part_end;
    return part_end == end ? SCAN_GO_ON : SCAN_ENOUGH;
}

/* Where no table serves the addresses there is nothing but what the VMA says. */
static int scan_hole(struct scan *scan, struct vma *vma, u64 end, enum scan_step *step)
{
    u64 categories = vma_categories(vma) | (vma->flags & VM_UFFD_WP ? PAGE_IS_WRITTEN : 0);
    u64 start = scan->at;
    int error = 0;

    *step = SCAN_GO_ON;
    if (start < end && matches(&scan->arg, categories)) {
        *step = add_region(scan, start, end, categories);
        if ((scan->arg.flags & PM_SCAN_WP_MATCHING) && scan->at > start) {
            error = uffd_protect_range(vma, start, scan->at, UFFD_PROTECT, &scan->batch);
        }
    }
    scan->at = *step == SCAN_GO_ON ? end : scan->at;
    return error;
}

/* Table locked. */
static void protect_page(struct scan *scan, struct pt_cursor *cursor)
{
    if (uffd_protect_entry(cursor)) {
        tlb_batch_add_range(&scan->batch, cursor->addr, cursor->addr + PAGE_SIZE);
    }
}

/* The page under the cursor, which matches. */
static enum scan_step scan_page(struct scan *scan, struct pt_cursor *cursor, u32 categories)
{
    enum scan_step step = add_region(scan, cursor->addr, cursor->addr + PAGE_SIZE, categories);

    if ((scan->arg.flags & PM_SCAN_WP_MATCHING) && (categories & PAGE_IS_WRITTEN) &&
        scan->at > cursor->addr) {
        protect_page(scan, cursor);
    }
    return step;
}

/*
 * The entries of one table, from scan->at to @end. Who asks for protection and for no report gets
 * all of them protected, whatever their categories.
 */
static enum scan_step scan_table(struct scan *scan, const struct vma *vma,
                                 const struct pt_cursor *table, u64 end)
{
    bool protects_all = (scan->arg.flags & PM_SCAN_WP_MATCHING) && scan->regions == NULL;
    enum scan_step step = SCAN_GO_ON;
    struct pt_cursor cursor = *table;

    cursor_lock(&cursor);
    for (; step == SCAN_GO_ON && cursor.addr < end; cursor_step(&cursor)) {
        u32 categories = pagemap_categories(vma, cursor_pte(&cursor));

        if (protects_all) {
            protect_page(scan, &cursor);
            scan->at = cursor.addr + PAGE_SIZE;
        } else if (matches(&scan->arg, categories)) {
            step = scan_page(scan, &cursor, categories);
        } else {
            scan->at = cursor.addr + PAGE_SIZE;
        }
    }
    cursor_unlock(&cursor);
    return step;
}

static int scan_vma(struct scan *scan, struct vma *vma, u64 end, enum scan_step *step)
{
    struct pt_cursor cursor;
    bool has_table = cursor_first(&cursor, scan->mm, scan->at, end);

    while (has_table) {
        u64 table_end = cursor_table_end(&cursor, end);
        int error = scan_hole(scan, vma, cursor.addr, step);

        if (error == 0 && *step == SCAN_GO_ON) {
            *step = scan_table(scan, vma, &cursor, table_end);
        }
        if (error != 0 || *step != SCAN_GO_ON) {
            return error;
        }
        sched_point();
        cursor.addr = table_end;
        has_table = cursor_resume(&cursor, end);
    }
    return scan_hole(scan, vma, end, step);
}

enum vma_verdict { VMA_SCAN, VMA_PASS_OVER, VMA_REFUSE };

static enum vma_verdict judge_vma(const struct scan *scan, const struct vma *vma)
{
    u64 required = scan->arg.category_mask & PAGE_IS_WPALLOWED;

    if (!is_wp_allowed(vma)) {
        if (scan->arg.flags & PM_SCAN_CHECK_WPASYNC) {
            return VMA_REFUSE;
        }
        if (scan->arg.flags & PM_SCAN_WP_MATCHING) {
            return VMA_PASS_OVER;
        }
    }
    if (vma->flags & VM_PFNMAP) {
        return VMA_PASS_OVER;
    }
    return ((vma_categories(vma) ^ scan->arg.category_inverted) & required) == required
               ? VMA_SCAN
               : VMA_PASS_OVER;
}

/* One hold of mmap_lock. */
static int scan_leg(struct scan *scan, enum scan_step *step)
{
    int error = 0;
    struct vma *vma;

    *step = SCAN_GO_ON;
    mm_read_lock(scan->mm);
    tlb_batch_begin(&scan->batch, scan->mm);
    for_each_vma_range (vma, scan->mm, scan->at, scan->arg.end) {
        enum vma_verdict verdict = judge_vma(scan, vma);

        if (verdict == VMA_PASS_OVER) {
            continue;
        }
        scan->at = max(scan->at, vma->start);
        error = verdict == VMA_REFUSE ? -EPERM
                                      : scan_vma(scan, vma, min(vma->end, scan->arg.end), step);
        if (error != 0 || *step != SCAN_GO_ON) {
            break;
        }
    }
    tlb_batch_finish(&scan->batch);
    mm_read_unlock(scan->mm);
    return error;
}

/* Copies the regions of a leg out, but for the last one if the next leg may continue it. */
static int copy_out(struct scan *scan, enum scan_step step)
{
    u64 nr_kept = step == SCAN_FULL ? 1 : 0;
    u64 nr = scan->nr_regions - nr_kept;
    u64 to = scan->arg.vec + scan->nr_copied * sizeof(*scan->regions);

    if (scan->nr_regions == 0) {
        return 0;
    }
    if (copy_to_user(to, scan->regions, nr * sizeof(*scan->regions)) != 0) {
        return -EFAULT;
    }
    scan->nr_copied += nr;
    scan->regions[0] = scan->regions[scan->nr_regions - 1];
    scan->nr_regions = nr_kept;
    return 0;
}

static int run(struct scan *scan)
{
    enum scan_step step;
    int error;

    scan->at = scan->arg.start;
    if (scan->arg.start == scan->arg.end) {
        scan->arg.walk_end = scan->arg.end;
        return 0; /* Not even the VMA there is looked at. */
    }
    do {
        int copy_error;

        if (fatal_signal_pending(current_thread())) {
            return -EINTR;
        }
        error = scan_leg(scan, &step);
        copy_error = copy_out(scan, step);
        error = error != 0 ? error : copy_error;
    } while (error == 0 && step == SCAN_FULL);
    scan->arg.walk_end = error == 0 && step == SCAN_ENOUGH ? scan->at : scan->arg.end;
    return error;
}

/* Linux's checks, in Linux's order. */
static int check_arguments(struct pm_scan_arg *arg)
{
    u64 masks =
        arg->category_inverted | arg->category_mask | arg->category_anyof_mask | arg->return_mask;

    if (arg->size != sizeof(*arg) || (arg->flags & ~(u64)PM_SCAN_FLAGS_MASK) != 0 ||
        (masks & ~(u64)PAGE_IS_MASK) != 0 || !PAGE_ALIGNED(arg->start)) {
        return -EINVAL;
    }
    if (!user_access_ok(arg->start, arg->end - arg->start)) {
        return -EFAULT;
    }
    if (arg->vec == 0 && arg->vec_len != 0) {
        return -EINVAL;
    }
    if (arg->vec != 0 && (arg->vec_len > TASK_SIZE / sizeof(struct page_region) ||
                          !user_access_ok(arg->vec, arg->vec_len * sizeof(struct page_region)))) {
        return -EFAULT;
    }
    arg->end = PAGE_ALIGN_UP(arg->end);
    arg->walk_end = 0;
    arg->max_pages = arg->max_pages == 0 ? U64_MAX : arg->max_pages;
    return 0;
}

s64 mm_pagemap_scan(struct mm *mm, u64 arg)
{
    struct scan scan = {.mm = mm};
    int error = copy_from_user(&scan.arg, arg, sizeof(scan.arg));

    if (error == 0) {
        error = check_arguments(&scan.arg);
    }
    if (error != 0) {
        return error;
    }
    if (scan.arg.vec_len != 0) {
        scan.regions = kmalloc(REGIONS_PER_LEG * sizeof(*scan.regions), ALLOC_KERNEL);
        if (scan.regions == NULL) {
            return -ENOMEM;
        }
    }
    error = run(&scan);
    kfree(scan.regions);
    if (put_user_u64(arg + offsetof(struct pm_scan_arg, walk_end), scan.arg.walk_end) != 0) {
        return -EFAULT;
    }
    return error != 0 ? error : (s64)scan.nr_copied;
}
