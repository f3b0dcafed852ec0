/*
 * The kernel's half of the page tables.
 *
 * Built once from the linker's sections and the memory map, then extended for device registers,
 * struct pages, kernel stacks and the sanitizer's shadow. The top-level entries of the regions that
 * grow are made at the start, because every address space copies them when it is created.
 */
#include "machine.h"
#include "io.h"
#include <arch/kernel_map.h>
#include <arch/layout.h>
#include <arch/pgtable.h>
#include <arch/tlb.h>
#include <boot_info.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/boot_alloc.h>
#include <mm/frames.h>
#include <proc/spinlock.h>

#define ROOT_LEVEL  (PT_LEVELS - 1)
#define LOW_MEMORY  (1 * MIB)
#define KERNEL_HALF 256 /* the first top-level entry of the shared half */

extern char __boot_stack_guard[], __boot_stack_base[];

/* Six regions, and the sanitizer's shadow, which has an eighth of the upper half. */
#define MAX_TOP_LEVEL (KERNEL_HALF / 8 + 16)

static u64 kernel_root[PT_ENTRIES] ALIGNED(4096);
/* The entries of the shared half that are used, in the order in which they were made. */
static u16 top_level[MAX_TOP_LEVEL];
static u32 nr_top_level;
static struct spinlock kernel_pt_lock = SPINLOCK_INIT(RANK_KERNEL_PT);
static bool tables_from_frames;
static bool top_level_is_copied;
static u64 mmio_next = MMIO_BASE;

u64 *arch_kernel_root(void)
{
    return kernel_root;
}

static void note_top_level(u64 va)
{
    u32 index = pt_index(va, ROOT_LEVEL);

    ASSERT(!top_level_is_copied,
           "the kernel's top-level entries are complete before address spaces copy them");
    ASSERT(index >= KERNEL_HALF && nr_top_level < MAX_TOP_LEVEL,
           "the kernel's regions have few top-level entries");
    top_level[nr_top_level++] = (u16)index;
}

void arch_init_user_root(struct pte *root)
{
    WRITE_ONCE(top_level_is_copied, true);
    for (u32 i = 0; i < nr_top_level; i++) {
        root[top_level[i]].bits = kernel_root[top_level[i]];
    }
}

void arch_clear_user_root(struct pte *root)
{
    for (u32 i = 0; i < nr_top_level; i++) {
        root[top_level[i]].bits = 0;
    }
}

void kernel_map_use_frames(void)
{
    tables_from_frames = true;
}

/* Return: the physical address of a zeroed table, or 0. */
static u64 table_alloc(void)
{
    struct page *page;

    if (!tables_from_frames) {
        return boot_alloc_page();
    }
    page = page_alloc(0, ALLOC_ZERO | ALLOC_ATOMIC | ALLOC_NOFAIL_TEST);
    if (page == NULL) {
        return 0;
    }
    mem_account(MEM_KERNEL_TABLES, 1);
    return page_to_phys(page);
}

static u64 prot_bits(enum kernel_map_prot prot)
{
    u64 nx = cpu_features()->has_nx ? PTE_BIT_NX : 0;
    u64 bits = PTE_BIT_PRESENT | PTE_BIT_ACCESSED | PTE_BIT_DIRTY;

    bits |= cpu_features()->has_global_pages ? PTE_BIT_GLOBAL : 0;
    switch (prot) {
    case KERNEL_MAP_RO:
        return bits | nx;
    case KERNEL_MAP_RW:
        return bits | nx | PTE_BIT_WRITE;
    case KERNEL_MAP_RX:
        return bits;
    case KERNEL_MAP_MMIO:
        return bits | nx | PTE_BIT_WRITE | PTE_BIT_PCD | PTE_BIT_PWT;
    }
    BUG("a kernel mapping has one of four kinds of access");
}

static bool is_large(u64 entry)
{
    return (entry & (PTE_BIT_PRESENT | PTE_BIT_HUGE)) == (PTE_BIT_PRESENT | PTE_BIT_HUGE);
}

static u64 *table_of(u64 entry)
{
    return phys_to_virt(entry & PTE_PAYLOAD_MASK);
}

/*
 * The slot for @va in the table of @level, making the tables above it. A large page that covers
 * @va ends the walk early: @level is then the level found.
 * Return: NULL if there is no memory for a table.
 */
static u64 *slot_make(u64 va, u32 *level)
{
    u64 *table = kernel_root;

    for (u32 at = ROOT_LEVEL; at > *level; at--) {
        u64 *slot = &table[pt_index(va, at)];

        if (*slot == 0) {
            u64 phys = table_alloc();

            if (phys == 0) {
                return NULL;
            }
            if (at == ROOT_LEVEL) {
                note_top_level(va);
            }
            __atomic_store_n(slot, phys | PTE_BIT_PRESENT | PTE_BIT_WRITE | PTE_BIT_ACCESSED,
                             __ATOMIC_RELEASE);
        }
        if (is_large(*slot)) {
            *level = at;
            return slot;
        }
        table = table_of(*slot);
    }
    return &table[pt_index(va, *level)];
}

/* The entry that maps @va, or NULL; nothing is made. */
static u64 *slot_find(u64 va, u32 *level)
{
    u64 *table = kernel_root;

    for (u32 at = ROOT_LEVEL;; at--) {
        u64 *slot = &table[pt_index(va, at)];

        if ((*slot & PTE_BIT_PRESENT) == 0) {
            return NULL;
        }
        if (at == 0 || is_large(*slot)) {
            *level = at;
            return slot;
        }
        table = table_of(*slot);
    }
}

/* The largest page that starts at @va and @phys and ends within @size. */
static u32 largest_level(u64 va, u64 phys, u64 size)
{
    u32 level = cpu_features()->has_1g_pages ? 2 : 1;

    while (level > 0 &&
           (((va | phys) & (pt_level_size(level) - 1)) != 0 || size < pt_level_size(level))) {
        level--;
    }
    return level;
}

/* @keep_old: what is mapped already stays as it is (firmware ranges may share a page). */
static int map_range(u64 va, u64 phys, u64 size, u64 bits, bool keep_old)
{
    while (size > 0) {
        u32 level = largest_level(va, phys, size);
        u32 wanted = level;
        u64 *slot = slot_make(va, &level);
        u64 step;

        if (slot == NULL) {
            return -ENOMEM;
        }
        while (level > 0 && *slot != 0 && !is_large(*slot)) {
            slot = &table_of(*slot)[pt_index(va, --level)];
        }
        ASSERT(keep_old || (*slot == 0 && level == wanted), "nothing is mapped over a mapping");
        if (*slot == 0) {
            u64 large = level > 0 ? PTE_BIT_HUGE : 0;

            __atomic_store_n(slot, phys | bits | large, __ATOMIC_RELEASE);
        }
        step = min(pt_level_size(level) - (va & (pt_level_size(level) - 1)), size);
        va += step;
        phys += step;
        size -= step;
    }
    return 0;
}

int kernel_map(u64 va, u64 phys, u64 size, enum kernel_map_prot prot)
{
    u64 flags;
    int error;

    ASSERT(PAGE_ALIGNED(va | phys | size), "kernel mappings are whole pages");
    flags = spin_lock_irqsave(&kernel_pt_lock);
    error = map_range(va, phys, size, prot_bits(prot), false);
    spin_unlock_irqrestore(&kernel_pt_lock, flags);
    return error;
}

void kernel_unmap_no_flush(u64 va, u64 size)
{
    u64 flags = spin_lock_irqsave(&kernel_pt_lock);

    for (u64 end = va + size; va < end; va += PAGE_SIZE) {
        u32 level;
        u64 *slot = slot_find(va, &level);

        if (slot == NULL) {
            continue;
        }
        ASSERT(level == 0, "only 4 KiB kernel mappings are taken away");
        __atomic_store_n(slot, 0, __ATOMIC_RELEASE);
    }
    spin_unlock_irqrestore(&kernel_pt_lock, flags);
}

void kernel_unmap(u64 va, u64 size)
{
    kernel_unmap_no_flush(va, size);
    arch_flush_tlb_kernel_range(va, va + size);
}

bool kernel_map_lookup(u64 va, u64 *phys)
{
    u32 level;
    u64 *slot;

    if (va < DIRECT_MAP_BASE) {
        return false;
    }
    slot = slot_find(va, &level);
    if (slot == NULL) {
        return false;
    }
    *phys = (*slot & PTE_PAYLOAD_MASK & ~(pt_level_size(level) - 1)) |
            (va & (pt_level_size(level) - 1));
    return true;
}

static bool table_is_wx_free(const u64 *table, u32 level)
{
    for (u32 i = 0; i < PT_ENTRIES; i++) {
        u64 entry = table[i];

        if ((entry & PTE_BIT_PRESENT) == 0) {
            continue;
        }
        if (level > 0 && !is_large(entry)) {
            if (!table_is_wx_free(table_of(entry), level - 1)) {
                return false;
            }
        } else if ((entry & PTE_BIT_WRITE) != 0 && (entry & PTE_BIT_NX) == 0) {
            return false;
        }
    }
    return true;
}

bool kernel_map_is_wx_free(void)
{
    if (!cpu_features()->has_nx) {
        return true;
    }
    for (u32 i = KERNEL_HALF; i < PT_ENTRIES; i++) {
        if (kernel_root[i] != 0 && !table_is_wx_free(table_of(kernel_root[i]), ROOT_LEVEL - 1)) {
            return false;
        }
    }
    return true;
}

static void map_or_panic(u64 va, u64 phys, u64 size, enum kernel_map_prot prot, bool keep_old)
{
    if (map_range(va, phys, size, prot_bits(prot), keep_old) != 0) {
        panic("there is too little memory for the kernel's page tables");
    }
}

static void map_image_part(const char *start, const char *end, enum kernel_map_prot prot)
{
    u64 from = PAGE_ALIGN_DOWN((u64)start);
    u64 to = PAGE_ALIGN_UP((u64)end);

    map_or_panic(from, image_to_phys((void *)from), to - from, prot, false);
}

/* The tables of the start, and the page below the first stack, get no mapping here. */
static void map_image(void)
{
    map_image_part(__text_start, __text_end, KERNEL_MAP_RX);
    map_image_part(__rodata_start, __rodata_end, KERNEL_MAP_RO);
    map_image_part(__data_start, __boot_stack_guard, KERNEL_MAP_RW);
    map_image_part(__boot_stack_base, __init_start, KERNEL_MAP_RW);
}

/* A piece of the direct map, with the kernel's text and constants read-only there too. */
static void map_direct(u64 start, u64 end)
{
    u64 fixed_start = image_to_phys(__text_start);
    u64 fixed_end = image_to_phys(__rodata_end);
    u64 cuts[] = {start, clamp(fixed_start, start, end), clamp(fixed_end, start, end), end};

    for (u32 i = 0; i < 3; i++) {
        enum kernel_map_prot prot = i == 1 ? KERNEL_MAP_RO : KERNEL_MAP_RW;

        map_or_panic(DIRECT_MAP_BASE + cuts[i], cuts[i], cuts[i + 1] - cuts[i], prot, true);
    }
}

static void make_top_level(u64 va)
{
    u64 *slot = &kernel_root[pt_index(va, ROOT_LEVEL)];

    if (*slot == 0) {
        note_top_level(va);
        *slot = table_alloc() | PTE_BIT_PRESENT | PTE_BIT_WRITE | PTE_BIT_ACCESSED;
    }
}

/* Tables come from the lowest free memory, which the tables of the start map. */
void kernel_map_init(const struct boot_info *info)
{
    make_top_level(VMAP_BASE);
    make_top_level(MMIO_BASE);
    make_top_level(VMEMMAP_BASE);
    map_image();
    map_direct(0, LOW_MEMORY);
    for (u32 i = 0; i < info->nr_ranges; i++) {
        const struct boot_range *range = &info->ranges[i];

        if (range->type == BOOT_MEMORY_RAM) {
            map_direct(range->start, range->end);
        } else if (range->type == BOOT_MEMORY_ACPI || range->type == BOOT_MEMORY_NVS) {
            map_direct(PAGE_ALIGN_DOWN(range->start), PAGE_ALIGN_UP(range->end));
        }
    }
    cr3_write(image_to_phys(kernel_root));
}

void *kernel_map_mmio(u64 phys, u64 size)
{
    u64 offset = PAGE_OFFSET(phys);
    u64 bytes = PAGE_ALIGN_UP(size + offset);
    u64 va = mmio_next;

    ASSERT(bytes <= MMIO_BASE + MMIO_SIZE - va, "the region for device registers is large enough");
    mmio_next += bytes;
    if (kernel_map(va, phys - offset, bytes, KERNEL_MAP_MMIO) != 0) {
        panic("there is too little memory to map device registers");
    }
    return (void *)(va + offset);
}

const void *kernel_map_firmware(u64 phys, u64 size)
{
    u64 start = PAGE_ALIGN_DOWN(phys);
    u64 end = PAGE_ALIGN_UP(phys + size);
    u64 flags;
    int error;

    if (size > DIRECT_MAP_SIZE || phys > DIRECT_MAP_SIZE - size) {
        return NULL;
    }
    flags = spin_lock_irqsave(&kernel_pt_lock);
    error = map_range(DIRECT_MAP_BASE + start, start, end - start, prot_bits(KERNEL_MAP_RO), true);
    spin_unlock_irqrestore(&kernel_pt_lock, flags);
    return error == 0 ? phys_to_virt(phys) : NULL;
}
