#ifndef MM_VERIFY_H
#define MM_VERIFY_H

#include <lib/compiler.h>
#include <lib/types.h>

struct mm;

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

#endif
