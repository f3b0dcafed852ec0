/*
 * userfaultfd: what the rest of the kernel knows of it. kernel/mm/uffd.c says how it works.
 */
#ifndef MM_UFFD_H
#define MM_UFFD_H

#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/types.h>
#include <mm/vma.h>

struct mm;
struct file;
struct tlb_batch;
struct pt_cursor;
struct uffd_ctx;

/* --- who watches a VMA, and how --------------------------------------------------------------- */

/** uffd_features() - what the pager of a VMA has asked for; 0 without one. UFFD_FEATURE_*. */
u64 uffd_features(const struct vma *vma);

/** uffd_is_wp_async() - does a write to a protected page of @vma just take the protection off? */
bool uffd_is_wp_async(const struct vma *vma);

/** uffd_uses_markers() - F3: does @vma remember protection where there is no page? */
bool uffd_uses_markers(const struct vma *vma);

/* --- write protection ------------------------------------------------------------------------- */

/**
 * uffd_protect_range() - set or take off the write protection of [start, end), a part of @vma.
 *
 * Taking it off gives the right to write back where no fault is needed to decide (D19).
 * Context: mmap_lock or the VMA's lock held; @batch is finished by the caller before it lets go.
 * Return:  0, or -ENOMEM without memory for the tables of markers; what lies before that is done.
 */
enum uffd_protection { UFFD_UNPROTECT, UFFD_PROTECT };
MUST_CHECK int uffd_protect_range(struct vma *vma, u64 start, u64 end,
                                  enum uffd_protection protection, struct tlb_batch *batch);

/**
 * uffd_protect_entry() - protect the one entry under a cursor.
 * Context: table locked; the VMA uses markers. Return: must the translation be flushed?
 */
bool uffd_protect_entry(struct pt_cursor *cursor);

/* --- changes of the address space ------------------------------------------------------------- */

/*
 * Each change comes in two halves: one under mmap_lock, which notes who must hear of it and makes
 * fills of such a pager fail from then on; and one without a lock, which tells them and waits until
 * they have read it. Between the two, the struct holds references.
 */

/** struct uffd_unmaps - pagers that a removal concerns, with the ranges. */
struct uffd_unmaps {
    struct list_node list;
};

#define UFFD_UNMAPS_INIT(name)                                                                     \
    {                                                                                              \
        .list = LIST_INIT((name).list)                                                             \
    }

/**
 * uffd_unmap_prepare() - [start, end) is about to be removed: note the pagers to tell.
 * Context: mmap_lock held for writing. Return: 0, or -ENOMEM with nothing noted of this range.
 */
MUST_CHECK int uffd_unmap_prepare(struct mm *mm, u64 start, u64 end, struct uffd_unmaps *unmaps);

/** uffd_unmap_cancel() - nothing was removed after all. */
void uffd_unmap_cancel(struct uffd_unmaps *unmaps);

/** uffd_unmap_complete() - tell them. Context: no lock held; waits for user code, killably. */
void uffd_unmap_complete(struct uffd_unmaps *unmaps);

/** uffd_wake_gone() - [start, end) of @vma goes: who waits there looks again, and finds nothing. */
void uffd_wake_gone(const struct vma *vma, u64 start, u64 end);

/** struct uffd_remap - the pager to tell of an mremap. */
struct uffd_remap {
    struct uffd_ctx *ctx; /* NULL: nobody */
};

/**
 * uffd_remap_prepare() - a VMA moves: does its pager go with it?
 * @props: in: of the VMA; out: of the one at the new place
 * Context: mmap_lock held for writing, the VMA write-locked.
 */
void uffd_remap_prepare(struct vma_props *props, struct uffd_remap *remap);

/** uffd_remap_complete() - tell the pager. Context: no lock held; waits for user code, killably. */
void uffd_remap_complete(struct uffd_remap *remap, u64 from, u64 to, u64 len);

/** uffd_remap_cancel() - the move has failed. */
void uffd_remap_cancel(struct uffd_remap *remap);

/**
 * uffd_wants_remove() - pages of [start, end) of @vma are about to go: must its pager hear of it?
 * Context: mmap_lock held for reading, at least.
 */
bool uffd_wants_remove(const struct vma *vma);

/**
 * uffd_tell_remove() - tell the pager of the VMA at @start that [start, end) loses its pages.
 * Context: no lock held; waits for user code, killably. The caller looks its VMA up again.
 */
void uffd_tell_remove(struct mm *mm, u64 start, u64 end);

/** struct uffd_forks - pagers that hear of a fork, and the child's side of each. */
struct uffd_forks {
    struct list_node list;
};

#define UFFD_FORKS_INIT(name)                                                                      \
    {                                                                                              \
        .list = LIST_INIT((name).list)                                                             \
    }

/**
 * uffd_fork_vma() - what of a VMA's registration the child's copy has.
 * @props: in: of the parent's VMA; out: of the child's
 * Context: the parent's mmap_lock held for writing, @vma write-locked. Return: 0 or -ENOMEM.
 */
MUST_CHECK int uffd_fork_vma(struct mm *child, const struct vma *vma, struct vma_props *props,
                             struct uffd_forks *forks);

/** uffd_fork_complete() - tell them. Context: no lock held; waits for user code, killably. */
void uffd_fork_complete(struct uffd_forks *forks);

/** uffd_fork_cancel() - the fork has failed, and the child's memory is gone. */
void uffd_fork_cancel(struct uffd_forks *forks);

/** uffd_verify_all() - I10: who waits for a pager can still be woken by it. The system is quiet. */
void uffd_verify_all(void);

/** uffd_init() - the cache of contexts; once, at boot. */
void uffd_init(void);

/* --- for kernel/ipc/userfaultfd_file.c -------------------------------------------------------- */

/** vm.unprivileged_userfaultfd: may anybody have faults of the kernel handled? */
extern bool uffd_unprivileged;

#endif
