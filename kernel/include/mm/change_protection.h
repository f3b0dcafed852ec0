#ifndef MM_CHANGE_PROTECTION_H
#define MM_CHANGE_PROTECTION_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <arch/pgtable.h>

struct vma;

/**
 * change_protection() - bring the entries of [start, end) in line with @vma's flags.
 *
 * Called after vma->flags changed. Rights taken away are gone on every processor when it returns
 * (I8); rights granted are entered where that cannot skip a copy-on-write or a notification, and
 * left to the next fault elsewhere.
 *
 * Context: mmap_lock held for writing.
 */
void change_protection(struct vma *vma, u64 start, u64 end);

/**
 * entry_may_be_writable() - may a present entry become writable without a fault?
 * Context: table locked; @vma held.
 */
bool entry_may_be_writable(const struct vma *vma, struct pte entry);

/**
 * move_page_tables() - move the entries of [old_start, old_start + len) of @old_vma to @new_start.
 * @new_vma: covers [new_start, new_start + len), whose entries are all none
 *
 * Pages keep their identity: an exclusive or pinned page is the same page at the new address. A
 * table that both addresses let move as it is moves whole. Old translations are flushed on return.
 *
 * Context: mmap_lock held for writing, both VMAs write-locked; the generation and the object of
 *          @old_vma locked (anon_vma_lock(), object_lock()), so that nobody who starts from a page
 *          meets it between the two places, or frees it before the flush.
 * Return:  the number of bytes moved: @len, or less if a table could not be allocated. The caller
 *          moves what was moved back by a second call with the VMAs exchanged.
 */
MUST_CHECK u64 move_page_tables(struct vma *old_vma, u64 old_start, struct vma *new_vma,
                                u64 new_start, u64 len);

#endif
