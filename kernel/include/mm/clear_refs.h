#ifndef MM_CLEAR_REFS_H
#define MM_CLEAR_REFS_H

#include <lib/compiler.h>
#include <lib/types.h>

struct mm;

/** What a number written to /proc/pid/clear_refs asks for, with Linux's values. */
enum clear_refs {
    CLEAR_REFS_ALL = 1,        /* no page has been used */
    CLEAR_REFS_ANON = 2,       /* none of mappings without a file */
    CLEAR_REFS_MAPPED = 3,     /* none of mappings of files */
    CLEAR_REFS_SOFT_DIRTY = 4, /* no page has been written */
    CLEAR_REFS_PEAK = 5,       /* the largest resident size is the size now */
};

/**
 * mm_clear_refs() - forget what has been used, or written, so far.
 *
 * After CLEAR_REFS_SOFT_DIRTY each page is read-only until its next write, which sets soft_dirty in
 * its entry; a page that is pinned stays writable and soft-dirty, for who writes through a pin is
 * not seen.
 *
 * Context: thread; takes mmap_lock (write). Return: 0, -EINVAL (no such request), -EINTR.
 */
MUST_CHECK int mm_clear_refs(struct mm *mm, u32 request);

#endif
