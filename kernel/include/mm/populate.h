/* Touching pages in advance, with the access stated. */
#ifndef MM_POPULATE_H
#define MM_POPULATE_H

#include <lib/compiler.h>
#include <lib/types.h>

struct mm;

enum populate_mode {
    POPULATE_NATURAL, /* as mm_populate(): what each VMA permits, private pages made writable */
    POPULATE_LOCKED,  /* the same, but only where the VMA is locked (mlock) */
    POPULATE_READ,    /* as reading would, and only where reading is permitted */
    POPULATE_WRITE,   /* as writing would, and only where writing is permitted */
};

/**
 * mm_populate_range() - touch every page of [start, end).
 *
 * Context: thread; no lock held; may sleep.
 * Return:  0, -ENOMEM (a hole, or no memory), -EINVAL (READ, WRITE: not permitted), -EHWPOISON
 *          (READ, WRITE: poison), -EFAULT (no access at all is permitted, or a SIGBUS), -EINTR.
 */
int MUST_CHECK mm_populate_range(struct mm *mm, u64 start, u64 end, enum populate_mode mode);

/**
 * mm_bring_in() - have those pages of a range in memory for which a pager may have to be waited
 * for.
 * @addr: of the current process; bad addresses are passed over
 *
 * For memory that somebody is to copy who must not wait (mm_copy_remote()). It may be gone again
 * by then.
 *
 * Context: thread; no lock held; may sleep. Return: 0 or -EINTR (fatal signal).
 */
enum bring_in_access { BRING_IN_TO_READ, BRING_IN_TO_WRITE };
int MUST_CHECK mm_bring_in(u64 addr, u64 len, enum bring_in_access access);

#endif
