/*
 * The PVH start-info structure, as QEMU's -kernel leaves it: one structure with the physical
 * addresses of the others. Source: Xen public headers, arch-x86/hvm/start_info.h.
 */
#include "boot_parse.h"
#include <lib/errno.h>

#define START_INFO_MAGIC       0x336ec578
#define START_INFO_V1          1 /* the first version with a memory map */
#define MAX_MEMORY_MAP_ENTRIES 4096

struct start_info {
    u32 magic;
    u32 version;
    u32 flags;
    u32 nr_modules;
    u64 modules;
    u64 cmdline;
    u64 rsdp;
    u64 memory_map;
    u32 nr_memory_map;
    u32 reserved;
};

struct start_module {
    u64 start;
    u64 size;
    u64 cmdline;
    u64 reserved;
};

struct start_memory {
    u64 start;
    u64 size;
    u32 type;
    u32 reserved;
};

_Static_assert(sizeof(struct start_info) == 56, "layout of the PVH start info");
_Static_assert(sizeof(struct start_module) == 32, "layout of the PVH start info");
_Static_assert(sizeof(struct start_memory) == 24, "layout of the PVH start info");

static int parse_memory(const struct boot_view *view, const struct start_info *start,
                        struct boot_info *info, const char **reason)
{
    if (start->nr_memory_map == 0 || start->nr_memory_map > MAX_MEMORY_MAP_ENTRIES) {
        *reason = "the PVH memory map is missing or malformed.";
        return -EINVAL;
    }
    for (u32 i = 0; i < start->nr_memory_map; i++) {
        struct start_memory entry;

        if (boot_view_read(view, start->memory_map + i * sizeof(entry), &entry, sizeof(entry))) {
            *reason = "the PVH memory map lies outside memory.";
            return -EINVAL;
        }
        if (boot_info_add_range(info, entry.start, entry.size, entry.type) != 0) {
            *reason = "the PVH memory map has an impossible entry or too many of them.";
            return -EINVAL;
        }
    }
    return 0;
}

static int parse_modules(const struct boot_view *view, const struct start_info *start,
                         struct boot_info *info, const char **reason)
{
    if (start->nr_modules > BOOT_MAX_MODULES) {
        *reason = "the boot loader passes more modules than the kernel takes.";
        return -EINVAL;
    }
    for (u32 i = 0; i < start->nr_modules; i++) {
        struct boot_module *out = &info->modules[i];
        struct start_module module;

        if (boot_view_read(view, start->modules + i * sizeof(module), &module, sizeof(module))) {
            *reason = "the PVH module list lies outside memory.";
            return -EINVAL;
        }
        if (module.size > U64_MAX - module.start) {
            *reason = "a PVH module has an impossible size.";
            return -EINVAL;
        }
        out->start = module.start;
        out->end = module.start + module.size;
        if (boot_view_string(view, module.cmdline, out->name, sizeof(out->name)) != 0) {
            out->name[0] = '\0';
        }
    }
    info->nr_modules = start->nr_modules;
    return 0;
}

static void parse_rsdp(const struct boot_view *view, u64 phys, struct boot_info *info)
{
    if (phys != 0 && boot_view_read(view, phys, info->rsdp, BOOT_RSDP_MAX) == 0) {
        info->rsdp_len = BOOT_RSDP_MAX;
    }
}

int pvh_parse(const struct boot_view *view, u64 phys, struct boot_info *info, const char **reason)
{
    struct start_info start;
    int error;

    info->protocol = "PVH";
    if (boot_view_read(view, phys, &start, sizeof(start)) != 0 || start.magic != START_INFO_MAGIC ||
        start.version < START_INFO_V1) {
        *reason = "the PVH start information is malformed.";
        return -EINVAL;
    }
    if (start.cmdline != 0 &&
        boot_view_string(view, start.cmdline, info->cmdline, BOOT_CMDLINE_MAX) != 0) {
        *reason = "the command line is too long or has no end.";
        return -EINVAL;
    }
    error = parse_memory(view, &start, info, reason);
    if (error != 0) {
        return error;
    }
    parse_rsdp(view, start.rsdp, info);
    return parse_modules(view, &start, info, reason);
}
