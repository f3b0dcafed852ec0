/*
 * Kernel stacks: each in a slot of the vmap area, with unmapped guard pages below it.
 *
 * A stack overflow hits the guard and becomes a double fault on a stack of its own instead of
 * silent damage. A freed stack stays mapped for the next thread, so that making a thread needs
 * neither page-table work nor a TLB flush.
 */
#ifndef MM_VMAP_H
#define MM_VMAP_H

#include <lib/types.h>

#define KSTACK_SIZE (16 * KIB)

/**
 * vmap_init() - once, after slab_init().
 */
void vmap_init(void);

/**
 * vmap_alloc_stack() - a kernel stack.
 *
 * Return: its lowest address, KSTACK_SIZE bytes, 16 KiB aligned; NULL if there is no memory.
 */
MUST_CHECK void *vmap_alloc_stack(void);

/**
 * vmap_free_stack() - give a stack back. The caller does not run on it.
 */
void vmap_free_stack(void *stack);

/**
 * vmap_is_guard() - whether a faulting address is the guard below a kernel stack.
 */
bool vmap_is_guard(u64 addr);

/**
 * vmap_is_stack() - whether an address lies in a mapped kernel stack; backtraces ask before
 * reading.
 */
bool vmap_is_stack(u64 addr);

#endif
