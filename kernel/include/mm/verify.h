#ifndef MM_VERIFY_H
#define MM_VERIFY_H

#include <lib/compiler.h>
#include <lib/types.h>

#include <arch/pgtable.h>

struct mm;
struct vma;

/**
 * mm_verify() - check the invariants that concern one address space; a broken one panics with its
 *               number and text.
 *
 * Context: thread; nobody else changes @mm (the caller runs on it or it is idle).
 */
void mm_verify(struct mm *mm);

/**
 * mm_verify_all() - mm_verify() for every address space, and the counts of every frame (I5).
 * Context: the system is quiet: no other thread faults, maps or pins.
 */
void mm_verify_all(void);

/** mm_verify_fault_around() - I7, for one page that fault-around enters in place of @replaced. */
void mm_verify_fault_around(const struct vma *vma, struct pte replaced);

#endif
