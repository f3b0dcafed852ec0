/* /proc/pid/pagemap: its entries, and PAGEMAP_SCAN. */
#ifndef UAPI_LINUX_PAGEMAP_H
#define UAPI_LINUX_PAGEMAP_H

#include <uapi/linux/ioctl.h>
#include <lib/types.h>

/* One entry a page: the frame number below, or of a page in swap its place there. */
#define PM_FRAME_MASK     ((1ull << 55) - 1)
#define PM_SOFT_DIRTY     (1ull << 55)
#define PM_MMAP_EXCLUSIVE (1ull << 56) /* no other entry maps the page */
#define PM_UFFD_WP        (1ull << 57)
#define PM_FILE           (1ull << 61) /* of a file, or shared anonymous memory */
#define PM_SWAP           (1ull << 62)
#define PM_PRESENT        (1ull << 63)

/* Categories of pages. */
#define PAGE_IS_WPALLOWED  (1u << 0) /* may be write-protected by PM_SCAN_WP_MATCHING */
#define PAGE_IS_WRITTEN    (1u << 1) /* not write-protected */
#define PAGE_IS_FILE       (1u << 2)
#define PAGE_IS_PRESENT    (1u << 3)
#define PAGE_IS_SWAPPED    (1u << 4)
#define PAGE_IS_PFNZERO    (1u << 5)
#define PAGE_IS_HUGE       (1u << 6)
#define PAGE_IS_SOFT_DIRTY (1u << 7)
#define PAGE_IS_MASK       ((1u << 8) - 1)

struct page_region {
    u64 start;
    u64 end;
    u64 categories;
};

#define PM_SCAN_WP_MATCHING   (1u << 0) /* write-protect what matches */
#define PM_SCAN_CHECK_WPASYNC (1u << 1) /* EPERM for memory that cannot be */
#define PM_SCAN_FLAGS_MASK    (PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC)

struct pm_scan_arg {
    u64 size; /* of this structure */
    u64 flags;
    u64 start;
    u64 end;
    u64 walk_end; /* out: where the scan stopped */
    u64 vec;      /* address of struct page_region[vec_len] */
    u64 vec_len;
    u64 max_pages; /* 0: no bound */
    u64 category_inverted;
    u64 category_mask;
    u64 category_anyof_mask;
    u64 return_mask;
};

#define PAGEMAP_SCAN IOC_MAKE(IOC_READ | IOC_WRITE, 'f', 16, sizeof(struct pm_scan_arg))

_Static_assert(sizeof(struct page_region) == 24, "ABI");
_Static_assert(sizeof(struct pm_scan_arg) == 96, "ABI");

#endif
