#ifndef MM_PROCESS_VM_H
#define MM_PROCESS_VM_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <mm/gup.h>

struct iov_iter;
struct iovec;
struct mm;

/**
 * process_vm_transfer() - copy between the caller's memory and another address space.
 * @mm:     the other one; the caller keeps it alive
 * @remote: @nr ranges of it, not checked
 * @near:   the caller's side; moves on by what was copied
 * @access: REMOTE_READ fills @near, REMOTE_WRITE empties it
 *
 * Goes on until either side is used up or a page of either is missing; bytes in front of the
 * missing page are copied.
 *
 * Context: thread; may sleep; no lock may be held.
 * Return:  bytes copied, or -EFAULT if a missing page came before the first.
 */
MUST_CHECK s64 process_vm_transfer(struct mm *mm, const struct iovec *remote, u32 nr,
                                   struct iov_iter *near, enum remote_access access);

#endif
