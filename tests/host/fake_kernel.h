/*
 * What host tests of kernel code stand on: memory, CPUs, locks, panic, messages.
 */
#ifndef HOST_FAKE_KERNEL_H
#define HOST_FAKE_KERNEL_H

#include <boot_info.h>
#include <lib/types.h>

/* Allocations that ask for failure injection fail when this counts down to zero; 0: none. */
extern u64 fake_fail_nth;

/* Bytes passed to kernel_map() by the kernel code. */
extern u64 fake_mapped_bytes;

/**
 * fake_memory_init() - reserve a direct map and an array of struct pages; nothing is touched.
 * @size: bytes of physical address space
 */
void fake_memory_init(u64 size);

/**
 * fake_boot_info_add() - append a range of RAM to a memory map.
 */
void fake_boot_info_add(struct boot_info *info, u64 start, u64 end);

#endif
