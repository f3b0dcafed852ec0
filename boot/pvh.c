/*
 * The PVH start-info structure, as QEMU's -kernel leaves it: one structure with the physical
 * addresses of the others. Source: Xen public headers, arch-x86/hvm/start_info.h.
 */
#include "boot_parse.h"
#include <lib/errno.h>
#include <lib/string.h>

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
    u32 count = start->nr_memory_map;
    const struct start_memory *map = NULL;

    if (count > 0 && count <= MAX_MEMORY_MAP_ENTRIES) {
        map = boot_view_at(view, start->memory_map, count * sizeof(*map));
    }
    if (map == NULL) {
        *reason = "the PVH memory map is missing or malformed.";
        return -EINVAL;
    }
    for (u32 i = 0; i < count; i++) {
        if (boot_info_add_range(info, map[i].start, map[i].size, map[i].type) != 0) {
            *reason = "the PVH memory map has an impossible entry or too many of them.";
            return -EINVAL;
        }
    }
    return 0;
}

static int parse_modules(const struct boot_view *view, const struct start_info *start,
                         struct boot_info *info, const char **reason)
{
    const struct start_module *modules;

    if (start->nr_modules == 0) {
        return 0;
    }
    if (start->nr_modules > BOOT_MAX_MODULES) {
        *reason = "the boot loader passes more modules than the kernel takes.";
        return -EINVAL;
    }
    modules = boot_view_at(view, start->modules, start->nr_modules * sizeof(*modules));
    if (modules == NULL) {
        *reason = "the PVH module list lies outside memory.";
        return -EINVAL;
    }
    for (u32 i = 0; i < start->nr_modules; i++) {
        struct boot_module *out = &info->modules[i];

        if (modules[i].size > U64_MAX - modules[i].start) {
            *reason = "a PVH module has an impossible size.";
            return -EINVAL;
        }
        out->start = modules[i].start;
        out->end = modules[i].start + modules[i].size;
        if (boot_view_string(view, modules[i].cmdline, out->name, sizeof(out->name)) != 0) {
            out->name[0] = '\0';
        }
    }
    info->nr_modules = start->nr_modules;
    return 0;
}

static void parse_rsdp(const struct boot_view *view, u64 phys, struct boot_info *info)
{
    const void *rsdp = phys == 0 ? NULL : boot_view_at(view, phys, BOOT_RSDP_MAX);

    if (rsdp != NULL) {
        memcpy(info->rsdp, rsdp, BOOT_RSDP_MAX);
        info->rsdp_len = BOOT_RSDP_MAX;
    }
}

int pvh_parse(const struct boot_view *view, u64 phys, struct boot_info *info, const char **reason)
{
    const struct start_info *start = boot_view_at(view, phys, sizeof(*start));
    int error;

    info->protocol = "PVH";
    if (start == NULL || start->magic != START_INFO_MAGIC || start->version < START_INFO_V1) {
        *reason = "the PVH start information is malformed.";
        return -EINVAL;
    }
    if (start->cmdline != 0 &&
        boot_view_string(view, start->cmdline, info->cmdline, BOOT_CMDLINE_MAX) != 0) {
        *reason = "the command line is too long or has no end.";
        return -EINVAL;
    }
    error = parse_memory(view, start, info, reason);
    if (error != 0) {
        return error;
    }
    parse_rsdp(view, start->rsdp, info);
    return parse_modules(view, start, info, reason);
}
