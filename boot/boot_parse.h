/*
 * The pure part of booting: from bytes in memory to struct boot_info, without touching the machine,
 * so that host tests can feed it anything.
 */
#ifndef COWBELL_BOOT_PARSE_H
#define COWBELL_BOOT_PARSE_H

#include <boot_info.h>

/* Which entry was taken; the numbers are shared with entry.S. */
#define BOOT_PROTOCOL_UNKNOWN    0
#define BOOT_PROTOCOL_MULTIBOOT2 1
#define BOOT_PROTOCOL_PVH        2

/** struct boot_view - physical memory [start, start + size), readable at @bytes. */
struct boot_view {
    const u8 *bytes;
    u64 start;
    u64 size;
};

/** boot_view_at() - where @len bytes at a physical address can be read, or NULL if outside. */
const void *boot_view_at(const struct boot_view *view, u64 phys, u64 len);

/** boot_view_read() - copy @len bytes at any alignment. Return: 0, or -EINVAL if outside. */
MUST_CHECK int boot_view_read(const struct boot_view *view, u64 phys, void *out, u64 len);

/**
 * boot_view_string() - copy a NUL-terminated string.
 * @out:  @size bytes
 *
 * Return: 0, or -EINVAL (outside the view, or no NUL within @size bytes).
 */
MUST_CHECK int boot_view_string(const struct boot_view *view, u64 phys, char *out, size_t size);

/**
 * multiboot2_parse() - read a multiboot2 information structure.
 * @view:   the memory that holds it
 * @phys:   its physical address
 * @info:   zeroed; filled as far as the tags go
 * @reason: out, on failure: one sentence for the console
 *
 * Return: 0 or -EINVAL. Nothing outside @view is read, whatever the bytes are.
 */
MUST_CHECK int multiboot2_parse(const struct boot_view *view, u64 phys, struct boot_info *info,
                                const char **reason);

/** pvh_parse() - the same for a PVH start-info structure. */
MUST_CHECK int pvh_parse(const struct boot_view *view, u64 phys, struct boot_info *info,
                         const char **reason);

/** boot_info_add_range() - append one entry of the firmware's map. Return: 0 or -ENOSPC. */
MUST_CHECK int boot_info_add_range(struct boot_info *info, u64 start, u64 size, u32 type);

/**
 * boot_info_finish() - turn the firmware's map into the promised form and check the whole.
 * @info:  ranges in any order, overlapping; kernel_start and kernel_end set
 *
 * Where types overlap, the one that is not RAM wins.
 *
 * Return: 0, -EINVAL, -ENOMEM (too little memory); @reason as above.
 */
MUST_CHECK int boot_info_finish(struct boot_info *info, const char **reason);

#endif
