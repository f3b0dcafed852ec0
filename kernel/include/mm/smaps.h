#ifndef MM_SMAPS_H
#define MM_SMAPS_H

#include <lib/types.h>

struct vma;

/* What a VMA's pages use, in bytes. A share is a page divided by the number of its entries. */
struct vm_usage {
    u64 rss;
    u64 shared_clean; /* mapped by more than one entry */
    u64 shared_dirty;
    u64 private_clean;
    u64 private_dirty;
    u64 referenced;
    u64 anonymous;
    u64 lazy_free;
    /* Shares, in bytes with SMAPS_SHARE_SHIFT bits behind the point. */
    u64 share;
    u64 share_dirty;
    u64 share_anon;
    u64 share_shmem;
};

#define SMAPS_SHARE_SHIFT 12

/**
 * smaps_gather() - what the pages of @vma use now.
 * Context: mmap_lock held (read); takes page-table locks. @usage is overwritten.
 */
void smaps_gather(const struct vma *vma, struct vm_usage *usage);

#endif
