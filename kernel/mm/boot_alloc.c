/*
 * Memory before the frame allocator.
 *
 * Owns the list of RAM and the list of what is free of it, until boot_alloc_close(). Allocations
 * come from the bottom up. Read next: kernel/mm/frames.c.
 */
#include <arch/layout.h>
#include <boot_info.h>
#include <lib/assert.h>
#include <lib/string.h>
#include <mm/boot_alloc.h>

/* Sorted, disjoint, page-aligned. */
struct range_list {
    u32 count;
    struct phys_range ranges[MAX_PHYS_RANGES];
};

static struct range_list ram;
static struct range_list available;
static bool is_closed;

static void list_append(struct range_list *list, u64 start, u64 end)
{
    if (start >= end) {
        return;
    }
    if (list->count > 0 && list->ranges[list->count - 1].end == start) {
        list->ranges[list->count - 1].end = end;
        return;
    }
    ASSERT(list->count < MAX_PHYS_RANGES, "the memory map has room for every boot-time range");
    list->ranges[list->count++] = (struct phys_range){.start = start, .end = end};
}

/* Takes [start, end), rounded out to pages, out of a list. */
static void list_remove(struct range_list *list, u64 start, u64 end)
{
    struct range_list old = *list;

    start = PAGE_ALIGN_DOWN(start);
    end = PAGE_ALIGN_UP(end);
    list->count = 0;
    for (u32 i = 0; i < old.count; i++) {
        const struct phys_range *range = &old.ranges[i];

        list_append(list, range->start, min(range->end, start));
        list_append(list, max(range->start, end), range->end);
    }
}

void boot_alloc_init(const struct boot_info *info)
{
    for (u32 i = 0; i < info->nr_ranges; i++) {
        const struct boot_range *range = &info->ranges[i];

        if (range->type == BOOT_MEMORY_RAM) {
            list_append(&ram, PAGE_ALIGN_UP(range->start), PAGE_ALIGN_DOWN(range->end));
        }
    }
    available = ram;
    list_remove(&available, info->kernel_start, info->kernel_end);
    for (u32 i = 0; i < info->nr_modules; i++) {
        list_remove(&available, info->modules[i].start, info->modules[i].end);
    }
}

u64 boot_alloc_try(u64 size, u64 align)
{
    ASSERT(!is_closed, "boot-time memory is allocated before the frame allocator starts");
    ASSERT(is_power_of_two(align) && align >= PAGE_SIZE, "boot-time memory comes in pages");
    size = PAGE_ALIGN_UP(size);
    for (u32 i = 0; i < available.count; i++) {
        u64 start = ALIGN_UP(available.ranges[i].start, align);

        if (start >= available.ranges[i].end || size > available.ranges[i].end - start) {
            continue;
        }
        list_remove(&available, start, start + size);
        memset(phys_to_virt(start), 0, size);
        return start;
    }
    return 0;
}

u64 boot_alloc(u64 size, u64 align)
{
    u64 start = boot_alloc_try(size, align);

    if (start == 0) {
        panic("too little memory: the kernel's own tables need %lu KiB more",
              PAGE_ALIGN_UP(size) / KIB);
    }
    return start;
}

u64 boot_alloc_page(void)
{
    return boot_alloc(PAGE_SIZE, PAGE_SIZE);
}

const struct phys_range *boot_alloc_ram_ranges(u32 *count)
{
    *count = ram.count;
    return ram.ranges;
}

const struct phys_range *boot_alloc_free_ranges(u32 *count)
{
    *count = available.count;
    return available.ranges;
}

void boot_alloc_exclude(u64 start, u64 end)
{
    list_remove(&available, start, end);
}

void boot_alloc_close(void)
{
    is_closed = true;
}
