/*
 * Where things stand in the kernel's half of the virtual address space.
 *
 * Owns: the bases of the kernel's regions and the conversion between physical addresses and the
 * direct map. Also read by the linker script and by assembly. Read next: arch/kernel_map.h.
 */
#ifndef COWBELL_ARCH_LAYOUT_H
#define COWBELL_ARCH_LAYOUT_H

/* Every region lies within one or two top-level entries, which exist from the start: address
 * spaces copy the upper 256 entries once, and never have to learn of a new one. */
#ifdef __ASSEMBLER__
#define LAYOUT_ADDRESS(value) value
#else
#define LAYOUT_ADDRESS(value) value##ull
#endif

#define DIRECT_MAP_BASE   LAYOUT_ADDRESS(0xffff800000000000)
#define DIRECT_MAP_SIZE   LAYOUT_ADDRESS(0x0000008000000000) /* one top-level entry: 512 GiB */
#define VMAP_BASE         LAYOUT_ADDRESS(0xffffc00000000000)
#define VMAP_SIZE         LAYOUT_ADDRESS(0x0000001000000000) /* 64 GiB of kernel stacks */
#define MMIO_BASE         LAYOUT_ADDRESS(0xffffd00000000000)
#define MMIO_SIZE         LAYOUT_ADDRESS(0x0000000040000000)
#define VMEMMAP_BASE      LAYOUT_ADDRESS(0xffffe00000000000)
#define VMEMMAP_SIZE      LAYOUT_ADDRESS(0x0000004000000000)
#define KASAN_SHADOW_BASE LAYOUT_ADDRESS(0xffffec0000000000)
#define KASAN_SHADOW_SIZE LAYOUT_ADDRESS(0x0000100000000000) /* an eighth of the upper half */
#define KERNEL_IMAGE_BASE LAYOUT_ADDRESS(0xffffffff80000000)
#define KERNEL_LOAD_PHYS  LAYOUT_ADDRESS(0x0000000000200000)

/* The user's half. The last page below the hole stays unused, so that a system call in the last
 * mapped bytes never returns to a non-canonical address. */
#define USER_SPACE_START LAYOUT_ADDRESS(0x0000000000001000)
#define USER_SPACE_END   LAYOUT_ADDRESS(0x00007ffffffff000)

#ifndef __ASSEMBLER__

#include <lib/types.h>
#include <lib/compiler.h>

/* Set by linker.ld; the address of each symbol is the value. */
extern char __kernel_start[], __kernel_end[];
extern char __text_start[], __text_end[];
extern char __rodata_start[], __rodata_end[];
extern char __data_start[], __data_end[];
extern char __init_start[], __init_end[];

/** phys_to_virt() - the direct-map address of a physical one; valid for RAM and ACPI tables. */
static inline void *phys_to_virt(u64 phys)
{
    return (void *)(DIRECT_MAP_BASE + phys);
}

/** virt_to_phys() - the inverse of phys_to_virt(); not for addresses in other regions. */
static inline u64 virt_to_phys(const void *virt)
{
    return (u64)virt - DIRECT_MAP_BASE;
}

/** image_to_phys() - the physical address of something in the kernel image (text, data, bss). */
static inline u64 image_to_phys(const void *virt)
{
    return (u64)virt - KERNEL_IMAGE_BASE;
}

/** is_kernel_text() - may this address be executed by the kernel? */
static inline bool is_kernel_text(u64 address)
{
    return address >= (u64)__text_start && address < (u64)__text_end;
}

#endif /* !__ASSEMBLER__ */
#endif
