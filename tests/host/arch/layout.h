/* The address-space layout for host tests: regions are anonymous mappings of the host process. */
#ifndef HOST_ARCH_LAYOUT_H
#define HOST_ARCH_LAYOUT_H

#include <lib/types.h>

extern u8 *fake_direct_map;
extern u8 *fake_vmemmap;

#define DIRECT_MAP_BASE ((u64)fake_direct_map)
#define VMEMMAP_BASE    ((u64)fake_vmemmap)
#define DIRECT_MAP_SIZE (512 * GIB)

#define USER_SPACE_START 0x0000000000001000ULL
#define USER_SPACE_END   0x00007ffffffff000ULL

static inline void *phys_to_virt(u64 phys)
{
    return fake_direct_map + phys;
}

static inline u64 virt_to_phys(const void *virt)
{
    return (u64)((const u8 *)virt - fake_direct_map);
}

#endif
