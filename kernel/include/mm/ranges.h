/*
 * Steps on ranges that several operations share; mmap_lock is held for writing in all of them.
 */
#ifndef MM_RANGES_H
#define MM_RANGES_H

#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/types.h>

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

/**
 * unmap_range() - remove whatever is mapped in [start, end).
 * @detached: the VMAs removed are added here, for vma_free_list() after the lock is dropped
 *
 * Return: 0, or -ENOMEM with nothing changed (one VMA would have to become two).
 */
int MUST_CHECK unmap_range(struct mm *mm, u64 start, u64 end, struct list_node *detached);

/** unmap_emptied_range() - the same for a range whose entries have all been moved away. */
int MUST_CHECK unmap_emptied_range(struct mm *mm, u64 start, u64 end, struct list_node *detached);

/** unmap_everything() - end of an address space that has no users. */
void unmap_everything(struct mm *mm);

#endif
