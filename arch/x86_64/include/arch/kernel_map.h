/*
 * The kernel's own half of the page tables: direct map, image, device registers, kernel stacks.
 *
 * Owns: the tables below the upper 256 top-level entries, which all address spaces share. User
 * tables belong to kernel/mm/cursor.c. Read next: arch/x86_64/kernel_map.c.
 */
#ifndef COWBELL_ARCH_KERNEL_MAP_H
#define COWBELL_ARCH_KERNEL_MAP_H

#include <lib/types.h>
#include <lib/compiler.h>

struct boot_info;

enum kernel_map_prot {
    KERNEL_MAP_RO,   /* read only, not executable */
    KERNEL_MAP_RW,   /* not executable */
    KERNEL_MAP_RX,   /* executable, not writable; there is no RWX (I12) */
    KERNEL_MAP_MMIO, /* device registers: read, write, uncached */
};

/**
 * kernel_map_init() - build the final tables from the linker's sections and the memory map.
 *
 * Takes its tables from boot_alloc_page(). The image becomes W^X, RAM appears in the direct map by
 * the largest pages that fit, not executable; the kernel's text is read-only there as well.
 */
void kernel_map_init(const struct boot_info *info);

/**
 * kernel_map() - map a range of kernel addresses.
 * @va, @phys, @size:  page aligned; larger pages are used where all three allow it
 *
 * Nothing may be mapped there yet. New tables come from boot_alloc_page() until
 * kernel_map_use_frames() was called, then from page_alloc().
 *
 * Context: thread or start. Return: 0 or -ENOMEM (a part may be mapped then; kernel_unmap() it).
 */
MUST_CHECK int kernel_map(u64 va, u64 phys, u64 size, enum kernel_map_prot prot);

/**
 * kernel_unmap() - take a range of 4 KiB mappings away and flush it on every CPU.
 *
 * Holes are allowed. Tables stay. The frames belong to the caller, who may free them afterwards.
 */
void kernel_unmap(u64 va, u64 size);

/**
 * kernel_unmap_no_flush() - the same without a flush: other CPUs may keep stale translations until
 * the caller flushes (arch_flush_tlb_kernel_range()) before the addresses or frames are used anew.
 */
void kernel_unmap_no_flush(u64 va, u64 size);

/** kernel_map_lookup() - the physical address behind a kernel address. Return: is it mapped? */
bool kernel_map_lookup(u64 va, u64 *phys);

/** kernel_map_is_wx_free() - I12: no kernel mapping is both writable and executable. */
bool kernel_map_is_wx_free(void);

/** kernel_map_use_frames() - the frame allocator works: tables come from it from now on. */
void kernel_map_use_frames(void);

/** kernel_map_mmio() - device registers at a kernel address, uncached; panics if out of memory. */
void *kernel_map_mmio(u64 phys, u64 size);

/** kernel_map_firmware() - make a firmware table readable; the address is in the direct map. */
const void *kernel_map_firmware(u64 phys, u64 size);

/** arch_kernel_root() - the kernel's top-level table; entries 256..511 are the shared half. */
u64 *arch_kernel_root(void);

#endif
