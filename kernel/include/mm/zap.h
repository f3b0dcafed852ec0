#ifndef MM_ZAP_H
#define MM_ZAP_H

#include <lib/compiler.h>
#include <lib/types.h>

struct mm;
struct tlb_batch;
struct vma;

/**
 * zap_range() - remove every entry of [start, end), a part of @vma, and give up the pages.
 *
 * The pages go into @batch and are freed by its flush; the caller finishes the batch before it
 * reports success. Tables stay. Private copies of file pages are removed too.
 *
 * Context: mmap_lock held for writing, or for reading with the VMA locked, or the object's mapping
 *          lock held (truncation). May flush the batch on the way.
 */
void zap_range(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch);

/**
 * zap_keeping_markers() - zap_range() of a mapping that stays: what its pager has protected in it
 * is remembered by markers, unless it is anonymous memory (F5).
 */
void zap_keeping_markers(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch);

/** zap_file_pages() - zap_keeping_markers() that leaves private (anonymous) copies alone: hole
 * punching. */
void zap_file_pages(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch);

/**
 * zap_dead_range() - zap_range() of an address space that no processor runs or will run again.
 *
 * There is nothing to flush, so the pages are freed on the way, and the range may span VMAs.
 *
 * Context: the last user of @mm is gone, and arch_mm_forget() has run since.
 */
void zap_dead_range(struct mm *mm, u64 start, u64 end);

/*
 * Tables that [start, end) made needless, and how far around it nothing else is mapped.
 * floor <= start, end <= ceiling; floor is the end of the VMA below or 0, ceiling the start of the
 * VMA above or TASK_SIZE. When a whole address space goes, VMA after VMA upwards, floor is 0.
 */
struct table_range {
    u64 start;
    u64 end;
    u64 floor;
    u64 ceiling;
};

/**
 * free_page_tables() - free the tables that serve a part of [start, end) and nothing outside
 *                      [floor, ceiling).
 * @batch: frees them after its flush; NULL, as for zap_dead_range(): they are freed at once
 *
 * Every entry of the range has been zapped, no VMA intersects [floor, ceiling) any more, and those
 * that did are out of the tree, of their object's mappings and of their anon_vma. So nobody can
 * walk there but a lock-free pin on a processor that runs @mm, which the flush waits for.
 *
 * Context: mmap_lock held for writing, or the last user of the mm is gone.
 */
void free_page_tables(struct mm *mm, const struct table_range *range, struct tlb_batch *batch);

#endif
