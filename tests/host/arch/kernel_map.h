/* Kernel mappings for host tests: recorded and checked, nothing is mapped. */
#ifndef HOST_ARCH_KERNEL_MAP_H
#define HOST_ARCH_KERNEL_MAP_H

#include <lib/compiler.h>
#include <lib/types.h>

enum kernel_map_prot { KERNEL_MAP_RO, KERNEL_MAP_RW, KERNEL_MAP_RX, KERNEL_MAP_MMIO };

MUST_CHECK int kernel_map(u64 va, u64 phys, u64 size, enum kernel_map_prot prot);
void kernel_map_use_frames(void);
bool kernel_map_lookup(u64 va, u64 *phys);

#endif
