#ifndef MM_FORK_H
#define MM_FORK_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <mm/cursor.h>
#include <mm/mm.h>

struct vma;

/* The state of copying an address space. */
struct fork_copy {
    struct mm *parent;
    struct mm *child;
    struct pt_cursor from;
    struct pt_cursor to;
    struct page *spare; /* for the child's copy of a pinned page; NULL if none is at hand */
    s64 rss[MM_RSS_NR]; /* what the child has got */
};

/**
 * fork_copy_begin() - pins taken without a lock fail from here on (I1).
 * fork_copy_end() - flushes the parent's translations that lost their write permission, then lets
 *                   lock-free pins succeed again. Also runs after a failure.
 *
 * Context: thread; both mmap_locks held for writing from before begin until after end.
 */
void fork_copy_begin(struct fork_copy *copy, struct mm *parent, struct mm *child);
void fork_copy_end(struct fork_copy *copy);

/**
 * fork_copy_page_range() - give a child's VMA what its parent's maps.
 * @dst: VMA of the child, already attached by anon_vma_fork() if the parent's has an anon_vma
 * @src: VMA of the parent over the same range
 *
 * Private pages become shared and read-only in both; a pinned exclusive page stays with the parent
 * and the child gets a copy of its own (I3). File mappings without private pages copy nothing.
 *
 * Context: between fork_copy_begin() and fork_copy_end().
 * Return:  0, -ENOMEM, or -EINTR (a fatal signal came); the child's entries made so far are whole
 *          and removed by the child's mm_exit().
 */
MUST_CHECK int fork_copy_page_range(struct fork_copy *copy, struct vma *dst, struct vma *src);

#endif
