/*
 * Steps on ranges that several operations share; mmap_lock is held for writing in all of them.
 */
#ifndef MM_RANGES_H
#define MM_RANGES_H

#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/types.h>
#include <mm/uffd.h>

struct mm;
struct vma;

/** PROT_* as VM_READ, VM_WRITE, VM_EXEC. */
u64 vm_flags_from_prot(u32 prot);

/** mm_check_mapped() - is every page of [start, end) mapped? 0 or -ENOMEM. Takes mmap_lock. */
int MUST_CHECK mm_check_mapped(struct mm *mm, u64 start, u64 end);

/** mm_choose_address() - where a mapping goes. */
struct place_request {
    u64 addr;      /* hint, or the place with MAP_FIXED */
    u64 len;       /* bytes, page aligned */
    u32 map_flags; /* MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_32BIT, MAP_ABOVE4G count */
};

/** Return: 0 with *addr_out, -ENOMEM (no room), -EINVAL (unaligned), -EPERM (too low). */
int MUST_CHECK mm_choose_address(struct mm *mm, const struct place_request *req, u64 *addr_out);

/** What removals under one hold of mmap_lock leave to be done without it. */
struct unmapped {
    struct list_node detached; /* VMAs that are in no tree any more */
    struct uffd_unmaps pagers; /* who is to be told */
};

#define UNMAPPED_INIT(name)                                                                        \
    {                                                                                              \
        .detached = LIST_INIT((name).detached), .pagers = UFFD_UNMAPS_INIT((name).pagers)          \
    }

/** unmapped_finish() - free the VMAs, tell the pagers. Context: no lock held; waits killably. */
void unmapped_finish(struct unmapped *unmapped);

/**
 * unmap_range() - remove whatever is mapped in [start, end).
 * @unmapped: gets what is left to be done after the lock is dropped, by unmapped_finish()
 *
 * Return: 0, or -ENOMEM with nothing changed (one VMA would have to become two, or no pager can be
 *         told).
 */
int MUST_CHECK unmap_range(struct mm *mm, u64 start, u64 end, struct unmapped *unmapped);

/**
 * unmap_emptied_range() - the same for a range whose entries have all been moved away.
 * Its pagers are noted by the caller, so that it cannot fail where no VMA is cut in two.
 */
int MUST_CHECK unmap_emptied_range(struct mm *mm, u64 start, u64 end, struct unmapped *unmapped);

/** unmap_everything() - end of an address space that has no users. */
void unmap_everything(struct mm *mm);

#endif
