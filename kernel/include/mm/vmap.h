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
#include <mm/kasan.h>

/*
 * At least twice what a thread uses, an interrupt on top included: the suites check that of every
 * thread (thread_verify_stacks()). The address sanitizer makes frames larger, and gives a shadow to
 * 32 KiB at a time.
 */
#define KSTACK_SIZE (KASAN_ENABLED ? 16 * KIB : 8 * KIB)

/**
 * vmap_init() - once, after slab_init().
 */
void vmap_init(void);

/**
 * vmap_alloc_stack() - a kernel stack.
 *
 * Return: its lowest address, KSTACK_SIZE bytes, as it is aligned; NULL if there is no memory.
 */
MUST_CHECK void *vmap_alloc_stack(void);

/**
 * vmap_free_stack() - give a stack back. The caller does not run on it.
 */
void vmap_free_stack(void *stack);

/**
 * vmap_stack_used() - how many bytes of a stack have been written since it was allocated, from its
 * top down. Debug builds only; the others leave new stacks as they are.
 */
u32 vmap_stack_used(const void *stack);

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
