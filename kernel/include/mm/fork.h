#ifndef MM_FORK_H
#define MM_FORK_H

#include <lib/compiler.h>
#include <lib/types.h>

struct mm;
struct vma;

/**
 * fork_copy_begin() - pins taken without a lock fail from here on (I1).
 * fork_copy_end() - flushes the parent's translations that lost their write permission, then lets
 *                   lock-free pins succeed again. Also runs after a failure.
 *
 * Context: thread; parent's mmap_lock held for writing from before begin until after end.
 */
void fork_copy_begin(struct mm *parent);
void fork_copy_end(struct mm *parent);

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
MUST_CHECK int fork_copy_page_range(struct vma *dst, struct vma *src);

#endif
