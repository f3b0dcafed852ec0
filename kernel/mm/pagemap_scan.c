/*
 * PAGEMAP_SCAN: ranges of pages that match a condition on their categories.
 *
 * The scan runs in legs: under mmap_lock it fills a buffer of regions, then it copies them out with
 * no lock held and goes on where it stopped. A region that touches the last one and has its
 * categories continues it, across legs too.
 *
 * What Linux shows and a reader would not guess: a page whose entry is none counts as written if a
 * table serves its address, and not if none does.
 */
#include <lib/errno.h>
#include <mm/cursor.h>
#include <mm/mm.h>
#include <mm/pagemap.h>
#include <mm/slab.h>
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
    u64 nr_pages; /* matching, so far */
    u64 at;       /* everything below has been looked at */
};

u32 pagemap_categories(const struct vma *vma, struct pte entry)
{
    u32 categories = vma->flags & VM_SOFTDIRTY ? PAGE_IS_SOFT_DIRTY : 0;
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
static enum scan_step scan_hole(struct scan *scan, const struct vma *vma, u64 end)
{
    u64 categories = vma->flags & VM_SOFTDIRTY ? PAGE_IS_SOFT_DIRTY : 0;
    enum scan_step step = SCAN_GO_ON;

    if (scan->at < end && matches(&scan->arg, categories)) {
        step = add_region(scan, scan->at, end, categories);
    }
    scan->at = step == SCAN_GO_ON ? end : scan->at;
    return step;
}

/* The entries of one table, from scan->at to @end. */
static enum scan_step scan_table(struct scan *scan, const struct vma *vma,
                                 const struct pt_cursor *table, u64 end)
{
    enum scan_step step = SCAN_GO_ON;
    struct pt_cursor cursor = *table;

    cursor_lock(&cursor);
    for (; step == SCAN_GO_ON && cursor.addr < end; cursor_step(&cursor)) {
        u32 categories = pagemap_categories(vma, cursor_pte(&cursor));

        if (matches(&scan->arg, categories)) {
            step = add_region(scan, cursor.addr, cursor.addr + PAGE_SIZE, categories);
        } else {
            scan->at = cursor.addr + PAGE_SIZE;
        }
    }
    cursor_unlock(&cursor);
    return step;
}

static enum scan_step scan_vma(struct scan *scan, const struct vma *vma, u64 end)
{
    enum scan_step step = SCAN_GO_ON;
    struct pt_cursor cursor;
    bool has_table = cursor_first(&cursor, scan->mm, scan->at, end);

    while (step == SCAN_GO_ON && has_table) {
        u64 table_end = cursor_table_end(&cursor, end);

        step = scan_hole(scan, vma, cursor.addr);
        if (step == SCAN_GO_ON) {
            step = scan_table(scan, vma, &cursor, table_end);
        }
        sched_point();
        cursor.addr = table_end;
        has_table = cursor_resume(&cursor, end);
    }
    return step == SCAN_GO_ON ? scan_hole(scan, vma, end) : step;
}

/*
 * One hold of mmap_lock. No memory here can be write-protected without its pager's knowledge, so
 * the flags that ask for that refuse, or pass over, every VMA.
 */
static int scan_leg(struct scan *scan, enum scan_step *step)
{
    int error = 0;
    struct vma *vma;

    *step = SCAN_GO_ON;
    mm_read_lock(scan->mm);
    for_each_vma_range (vma, scan->mm, scan->at, scan->arg.end) {
        if (scan->arg.flags & PM_SCAN_CHECK_WPASYNC) {
            error = -EPERM;
            break;
        }
        if ((scan->arg.flags & PM_SCAN_WP_MATCHING) || (vma->flags & VM_PFNMAP)) {
            continue;
        }
        scan->at = max(scan->at, vma->start);
        *step = scan_vma(scan, vma, min(vma->end, scan->arg.end));
        if (*step != SCAN_GO_ON) {
            break;
        }
    }
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
