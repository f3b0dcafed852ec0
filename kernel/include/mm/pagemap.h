#ifndef MM_PAGEMAP_H
#define MM_PAGEMAP_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <mm/pte.h>
#include <uapi/linux/pagemap.h>

struct mm;
struct vma;

enum pagemap_detail { PAGEMAP_WITHOUT_FRAMES, PAGEMAP_WITH_FRAMES };

/**
 * mm_pagemap() - what is mapped at each page of a range, as /proc/pid/pagemap tells it.
 * @start:   page-aligned; the range may leave user space, where nothing is mapped
 * @entries: out: @nr_pages words of PM_ bits
 *
 * Context: thread; takes mmap_lock (read).
 */
void mm_pagemap(struct mm *mm, u64 start, u64 nr_pages, enum pagemap_detail detail, u64 *entries);

/**
 * pagemap_categories() - the PAGE_IS_ bits of an entry in a table.
 * Context: table locked, or the answer may be stale.
 */
u32 pagemap_categories(const struct vma *vma, struct pte entry);

/**
 * mm_pagemap_scan() - PAGEMAP_SCAN: the ranges of pages whose categories match.
 * @arg: user address of a struct pm_scan_arg; its walk_end is filled
 *
 * Context: thread; takes mmap_lock (read); copies to the caller's memory without a lock.
 * Return:  regions written, -EINVAL, -EFAULT, -EPERM (PM_SCAN_CHECK_WPASYNC), -ENOMEM, -EINTR.
 */
MUST_CHECK s64 mm_pagemap_scan(struct mm *mm, u64 arg);

#endif
