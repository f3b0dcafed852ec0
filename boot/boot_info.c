/*
 * The memory map in the form that struct boot_info promises: sorted, disjoint, RAM in whole pages.
 *
 * Pure functions over the structure; host tests feed them maps that no firmware would write.
 */
#include "boot_parse.h"
#include <arch/layout.h>
#include <lib/errno.h>
#include <lib/string.h>

#define LOW_MEMORY_END (1 * MIB)
/* Start code and three page tables for the other CPUs, where real mode can reach them. */
#define TRAMPOLINE_BYTES (4 * PAGE_SIZE)
#define TRAMPOLINE_LIMIT 0x9f000ul
/* A machine of 16 MiB has about 15 left above the first one and beside the firmware's tables. */
#define MINIMUM_RAM (14 * MIB)

const void *boot_view_at(const struct boot_view *view, u64 phys, u64 len)
{
    if (phys < view->start || phys - view->start > view->size ||
        len > view->size - (phys - view->start)) {
        return NULL;
    }
    return view->bytes + (phys - view->start);
}

int boot_view_read(const struct boot_view *view, u64 phys, void *out, u64 len)
{
    const void *bytes = boot_view_at(view, phys, len);

    if (bytes == NULL) {
        return -EINVAL;
    }
    memcpy(out, bytes, len);
    return 0;
}

int boot_view_string(const struct boot_view *view, u64 phys, char *out, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const char *byte = boot_view_at(view, phys + i, 1);

        if (byte == NULL || phys + i < phys) {
            return -EINVAL;
        }
        if (*byte == '\0') {
            memcpy(out, boot_view_at(view, phys, i + 1), i + 1);
            return 0;
        }
    }
    return -EINVAL;
}

int boot_info_add_range(struct boot_info *info, u64 start, u64 size, u32 type)
{
    if (size == 0) {
        return 0;
    }
    if (info->nr_ranges == BOOT_MAX_RANGES || size > U64_MAX - start) {
        return -ENOSPC;
    }
    if (type < BOOT_MEMORY_RAM || type > BOOT_MEMORY_BAD) {
        type = BOOT_MEMORY_RESERVED;
    }
    info->ranges[info->nr_ranges++] = (struct boot_range){start, start + size, type};
    return 0;
}

static void sort_ranges(struct boot_info *info)
{
    for (u32 i = 1; i < info->nr_ranges; i++) {
        struct boot_range range = info->ranges[i];
        u32 at = i;

        for (; at > 0 && info->ranges[at - 1].start > range.start; at--) {
            info->ranges[at] = info->ranges[at - 1];
        }
        info->ranges[at] = range;
    }
}

/* Of two ranges that overlap, which one decides? What must not be used does. */
static bool is_stronger(const struct boot_range *a, const struct boot_range *b)
{
    return (a->type != BOOT_MEMORY_RAM) > (b->type != BOOT_MEMORY_RAM);
}

/*
 * Make the overlap of @at and a later range disjoint. The weaker one loses the overlap; if the
 * stronger one lies in its middle, its tail becomes a range of its own.
 */
static int cut_overlap(struct boot_info *info, u32 at, u32 other)
{
    struct boot_range *low = &info->ranges[at];
    struct boot_range *high = &info->ranges[other];

    if (is_stronger(high, low)) {
        u64 tail_start = high->end;
        u64 tail_end = low->end;

        low->end = high->start;
        if (tail_end > tail_start) {
            return boot_info_add_range(info, tail_start, tail_end - tail_start, low->type);
        }
        return 0;
    }
    high->start = min(low->end, high->end);
    return 0;
}

static void drop_empty_ranges(struct boot_info *info)
{
    u32 kept = 0;

    for (u32 i = 0; i < info->nr_ranges; i++) {
        if (info->ranges[i].start < info->ranges[i].end) {
            info->ranges[kept++] = info->ranges[i];
        }
    }
    info->nr_ranges = kept;
}

/* Return: 1 if an overlap was removed, 0 if there is none, -ENOSPC. */
static int remove_one_overlap(struct boot_info *info)
{
    for (u32 i = 0; i + 1 < info->nr_ranges; i++) {
        if (info->ranges[i].end > info->ranges[i + 1].start) {
            int error = cut_overlap(info, i, i + 1);

            return error != 0 ? error : 1;
        }
    }
    return 0;
}

static int make_disjoint(struct boot_info *info)
{
    int result = 1;

    /* Each step shortens the total overlap, so it ends whatever the map says. */
    while (result == 1) {
        drop_empty_ranges(info);
        sort_ranges(info);
        result = remove_one_overlap(info);
    }
    return result;
}

static void merge_neighbours(struct boot_info *info)
{
    u32 kept = 0;

    if (info->nr_ranges == 0) {
        return;
    }
    for (u32 i = 1; i < info->nr_ranges; i++) {
        struct boot_range *last = &info->ranges[kept];
        const struct boot_range *next = &info->ranges[i];

        if (last->end == next->start && last->type == next->type) {
            last->end = next->end;
        } else {
            info->ranges[++kept] = *next;
        }
    }
    info->nr_ranges = kept + 1;
}

static bool overlaps_module(const struct boot_info *info, u64 start, u64 end)
{
    for (u32 i = 0; i < info->nr_modules; i++) {
        if (info->modules[i].start < end && start < info->modules[i].end) {
            return true;
        }
    }
    return false;
}

/* The highest place that fits: firmware likes the lowest pages. */
static void choose_trampoline(struct boot_info *info)
{
    for (u32 i = 0; i < info->nr_ranges; i++) {
        const struct boot_range *range = &info->ranges[i];
        u64 end = ALIGN_DOWN(min(range->end, TRAMPOLINE_LIMIT), PAGE_SIZE);
        u64 start = end - TRAMPOLINE_BYTES;

        if (range->type == BOOT_MEMORY_RAM && end > TRAMPOLINE_BYTES + PAGE_SIZE &&
            start >= range->start && !overlaps_module(info, start, end)) {
            info->trampoline = start;
        }
    }
}

static void trim_ram_to_pages(struct boot_info *info)
{
    for (u32 i = 0; i < info->nr_ranges; i++) {
        struct boot_range *range = &info->ranges[i];
        u64 start, end;

        if (range->type != BOOT_MEMORY_RAM) {
            continue;
        }
        start = max(PAGE_ALIGN_UP(min(range->start, DIRECT_MAP_SIZE)), (u64)LOW_MEMORY_END);
        end = PAGE_ALIGN_DOWN(min(range->end, DIRECT_MAP_SIZE));
        range->start = start;
        range->end = max(start, end);
    }
    drop_empty_ranges(info);
}

static bool is_within_ram(const struct boot_info *info, u64 start, u64 end)
{
    for (u32 i = 0; i < info->nr_ranges; i++) {
        const struct boot_range *range = &info->ranges[i];

        if (range->type == BOOT_MEMORY_RAM && range->start <= start && end <= range->end) {
            return true;
        }
    }
    return false;
}

u64 boot_info_ram_bytes(const struct boot_info *info)
{
    u64 sum = 0;

    for (u32 i = 0; i < info->nr_ranges; i++) {
        if (info->ranges[i].type == BOOT_MEMORY_RAM) {
            sum += info->ranges[i].end - info->ranges[i].start;
        }
    }
    return sum;
}

static int check_modules(const struct boot_info *info, const char **reason)
{
    for (u32 i = 0; i < info->nr_modules; i++) {
        const struct boot_module *module = &info->modules[i];

        if (module->start == module->end) {
            continue;
        }
        if (!is_within_ram(info, module->start, module->end) || module->end > DIRECT_MAP_SIZE) {
            *reason = "a boot module (the initrd) lies outside the machine's memory.";
            return -EINVAL;
        }
        if (module->start < info->kernel_end && info->kernel_start < module->end) {
            *reason = "a boot module (the initrd) overlaps the kernel.";
            return -EINVAL;
        }
    }
    return 0;
}

int boot_info_finish(struct boot_info *info, const char **reason)
{
    if (make_disjoint(info) != 0) {
        *reason = "the memory map has more pieces than the kernel can hold.";
        return -EINVAL;
    }
    merge_neighbours(info);
    /* A small module may lie below 1 MiB, where RAM is not counted but can be read. */
    if (check_modules(info, reason) != 0) {
        return -EINVAL;
    }
    choose_trampoline(info);
    trim_ram_to_pages(info);
    if (info->nr_ranges == 0 || boot_info_ram_bytes(info) < MINIMUM_RAM) {
        *reason = "this machine has too little memory; 16 MiB is the least that will do.";
        return -ENOMEM;
    }
    if (!is_within_ram(info, info->kernel_start, info->kernel_end)) {
        *reason = "the kernel does not lie within the memory that the firmware reports.";
        return -EINVAL;
    }
    return 0;
}
