/*
 * The multiboot2 information structure, as GRUB leaves it: a list of tags, each with its size.
 * Every length is checked before it is believed. Source: Multiboot2 specification 3.6.
 */
#include "boot_parse.h"
#include <lib/errno.h>
#include <lib/string.h>

#define INFO_ALIGN    8
#define INFO_MAX_SIZE (1 * MIB)

enum info_tag {
    TAG_END = 0,
    TAG_CMDLINE = 1,
    TAG_MODULE = 3,
    TAG_MEMORY_MAP = 6,
    TAG_ACPI_OLD = 14,
    TAG_ACPI_NEW = 15,
};

struct info_header {
    u32 total_size;
    u32 reserved;
};

struct tag_header {
    u32 type;
    u32 size; /* with this header, without the padding behind */
};

struct tag_module {
    struct tag_header header;
    u32 start;
    u32 end;
    char name[];
};

struct tag_memory_map {
    struct tag_header header;
    u32 entry_size;
    u32 entry_version;
};

struct memory_map_entry {
    u64 base;
    u64 length;
    u32 type;
    u32 reserved;
};

_Static_assert(sizeof(struct tag_module) == 16, "layout of the multiboot2 specification");
_Static_assert(sizeof(struct memory_map_entry) == 24, "layout of the multiboot2 specification");

/* Copy a string that must end within its tag. */
static int copy_tag_string(const char *text, size_t room, char *out, size_t size)
{
    size_t len = strnlen(text, room);

    if (len == room || len >= size) {
        return -EINVAL;
    }
    memcpy(out, text, len + 1);
    return 0;
}

static int parse_cmdline(const struct tag_header *tag, struct boot_info *info, const char **reason)
{
    const char *text = (const char *)(tag + 1);

    if (copy_tag_string(text, tag->size - sizeof(*tag), info->cmdline, BOOT_CMDLINE_MAX) != 0) {
        *reason = "the command line is too long or has no end.";
        return -EINVAL;
    }
    return 0;
}

static int parse_module(const struct tag_header *tag, struct boot_info *info, const char **reason)
{
    const struct tag_module *module = (const struct tag_module *)tag;
    struct boot_module *out;
    size_t room;

    if (tag->size < sizeof(*module) || module->end < module->start) {
        *reason = "a multiboot2 module tag is malformed.";
        return -EINVAL;
    }
    if (info->nr_modules == BOOT_MAX_MODULES) {
        *reason = "the boot loader passes more modules than the kernel takes.";
        return -EINVAL;
    }
    out = &info->modules[info->nr_modules];
    room = tag->size - sizeof(*module);
    /* The name is only for messages: one that is too long is dropped, not refused. */
    if (copy_tag_string(module->name, room, out->name, sizeof(out->name)) != 0) {
        out->name[0] = '\0';
    }
    out->start = module->start;
    out->end = module->end;
    info->nr_modules++;
    return 0;
}

static int parse_memory_map(const struct tag_header *tag, struct boot_info *info,
                            const char **reason)
{
    const struct tag_memory_map *map = (const struct tag_memory_map *)tag;
    const u8 *at = (const u8 *)(map + 1);
    const u8 *end = (const u8 *)tag + tag->size;

    if (tag->size < sizeof(*map) || map->entry_size < sizeof(struct memory_map_entry) ||
        map->entry_size % INFO_ALIGN != 0) {
        *reason = "the multiboot2 memory map is malformed.";
        return -EINVAL;
    }
    for (; (size_t)(end - at) >= map->entry_size; at += map->entry_size) {
        const struct memory_map_entry *entry = (const struct memory_map_entry *)at;

        if (boot_info_add_range(info, entry->base, entry->length, entry->type) != 0) {
            *reason = "the multiboot2 memory map has an impossible entry or too many of them.";
            return -EINVAL;
        }
    }
    return 0;
}

static void parse_acpi(const struct tag_header *tag, struct boot_info *info)
{
    u32 len = min(tag->size - (u32)sizeof(*tag), (u32)BOOT_RSDP_MAX);

    /* The newer structure has more in it: it is kept whichever order the tags come in. */
    if (len > info->rsdp_len) {
        memcpy(info->rsdp, tag + 1, len);
        info->rsdp_len = len;
    }
}

static int parse_tag(const struct tag_header *tag, struct boot_info *info, const char **reason)
{
    switch (tag->type) {
    case TAG_CMDLINE:
        return parse_cmdline(tag, info, reason);
    case TAG_MODULE:
        return parse_module(tag, info, reason);
    case TAG_MEMORY_MAP:
        return parse_memory_map(tag, info, reason);
    case TAG_ACPI_OLD:
    case TAG_ACPI_NEW:
        parse_acpi(tag, info);
        return 0;
    default:
        return 0;
    }
}

/* The tags within [offset, total): each begins on 8 bytes, the last is the end tag. */
static int parse_tags(const u8 *base, u64 total, struct boot_info *info, const char **reason)
{
    u64 offset = sizeof(struct info_header);

    while (total - offset >= sizeof(struct tag_header)) {
        const struct tag_header *tag = (const struct tag_header *)(base + offset);
        int error;

        if (tag->size < sizeof(*tag) || tag->size > total - offset) {
            *reason = "a multiboot2 tag has an impossible size.";
            return -EINVAL;
        }
        if (tag->type == TAG_END) {
            return 0;
        }
        error = parse_tag(tag, info, reason);
        if (error != 0) {
            return error;
        }
        offset += ALIGN_UP((u64)tag->size, INFO_ALIGN);
        if (offset > total) {
            break;
        }
    }
    *reason = "the multiboot2 information has no end tag.";
    return -EINVAL;
}

int multiboot2_parse(const struct boot_view *view, u64 phys, struct boot_info *info,
                     const char **reason)
{
    const struct info_header *header = boot_view_at(view, phys, sizeof(*header));
    const u8 *base;

    info->protocol = "multiboot2";
    if (header == NULL || phys % INFO_ALIGN != 0 || header->total_size < sizeof(*header) ||
        header->total_size > INFO_MAX_SIZE) {
        *reason = "the multiboot2 information structure is malformed.";
        return -EINVAL;
    }
    base = boot_view_at(view, phys, header->total_size);
    if (base == NULL) {
        *reason = "the multiboot2 information structure lies outside memory.";
        return -EINVAL;
    }
    return parse_tags(base, header->total_size, info, reason);
}
