#ifndef MM_RMAP_H
#define MM_RMAP_H

#include <lib/compiler.h>
#include <lib/types.h>

struct anon_vma;
struct page;
struct vma;

/*
 * Finding every entry that may map an anonymous page.
 *
 * An anon_vma is one generation of a VMA: the VMA that first held private pages and the pieces it
 * was split into. Fork gives the child's VMA a new anon_vma below its parent's, so generations
 * form a tree. A page belongs to the generation that made it, and only that generation and those
 * below it can map it. Fork, fault and unmap touch one node each, whatever the depth of the tree.
 *
 * All nodes of one tree share the lock in its root.
 */

/** rmap_init() - create the caches. */
void rmap_init(void);

/**
 * anon_vma_prepare() - make sure that @vma can hold anonymous pages: in the generation of a
 *                      neighbour that it may be merged with one day, else in a new one.
 * Context: VMA lock (read) or mmap_lock held; may allocate.
 * Return:  0 or -ENOMEM.
 */
MUST_CHECK int anon_vma_prepare(struct vma *vma);

/** anon_vma_clone() - @dst, a piece split off or moved from @src, joins its generation, if any. */
void anon_vma_clone(struct vma *dst, struct vma *src);

/**
 * anon_vma_fork() - @child's VMA starts a generation below @parent's, if that one has any.
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int anon_vma_fork(struct vma *child, struct vma *parent);

/**
 * anon_vma_unlink() - @vma leaves its generation; empty generations are freed.
 * Every anonymous page of @vma has been unmapped or belongs to another VMA of the generation now.
 */
void anon_vma_unlink(struct vma *vma);

/**
 * anon_vma_lock() - keep everybody who starts from a page away from @vma's generation; nothing to
 *                   do if it has none.
 * Context: thread; mmap_lock held, so that @vma keeps its generation.
 */
void anon_vma_lock(struct vma *vma);

/** anon_vma_unlock() - the opposite. */
void anon_vma_unlock(struct vma *vma);

/** anon_vma_can_merge() - may neighbours with these generations (NULL: none) become one VMA? */
bool anon_vma_can_merge(const struct anon_vma *a, const struct anon_vma *b);

/**
 * rmap_walk_anon() - call @visit for every VMA that may map @page, with the address it would have.
 * @visit: returns false to end the walk
 *
 * Context: thread; takes the tree's lock, so @visit may take page-table locks but not sleep.
 */
void rmap_walk_anon(const struct page *page, bool (*visit)(struct vma *vma, u64 addr, void *arg),
                    void *arg);

/** rmap_nr_steps() - VMAs that walks have looked at since boot; counted in debug builds alone. */
u64 rmap_nr_steps(void);

#endif
