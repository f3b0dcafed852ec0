/*
 * What the boot loader told us, in one form whichever protocol it spoke.
 *
 * Owns: struct boot_info, filled once by boot/ and read by everybody afterwards. Read next:
 * boot/boot_main.c.
 */
#ifndef COWBELL_BOOT_INFO_H
#define COWBELL_BOOT_INFO_H

#include <lib/types.h>
#include <lib/compiler.h>

#define BOOT_MAX_RANGES  128
#define BOOT_MAX_MODULES 8
#define BOOT_CMDLINE_MAX 2048
#define BOOT_RSDP_MAX    36

/* The values are those of the firmware's own map (ACPI 6.4, table 15.11). */
enum boot_memory_type {
    BOOT_MEMORY_RAM = 1,
    BOOT_MEMORY_RESERVED = 2,
    BOOT_MEMORY_ACPI = 3, /* tables: readable, to be left alone */
    BOOT_MEMORY_NVS = 4,
    BOOT_MEMORY_BAD = 5,
};

/** struct boot_range - physical memory [start, end) of one type. */
struct boot_range {
    u64 start;
    u64 end;
    u32 type; /* enum boot_memory_type */
};

/** struct boot_module - a file the boot loader put into RAM, [start, end). */
struct boot_module {
    u64 start;
    u64 end;
    char name[64];
};

/**
 * struct boot_info - sorted, disjoint ranges; RAM is page aligned and begins above 1 MiB (below it
 * firmware and the start of other CPUs have their data). Modules and the kernel lie inside RAM and
 * are not taken out of it. All [I] after boot.
 */
struct boot_info {
    const char *protocol; /* "multiboot2" or "PVH" */
    u32 nr_ranges;
    u32 nr_modules;
    struct boot_range ranges[BOOT_MAX_RANGES];
    struct boot_module modules[BOOT_MAX_MODULES];
    u64 kernel_start; /* physical, page aligned; the image with its bss */
    u64 kernel_end;
    u64 trampoline; /* physical, below 1 MiB: where other CPUs start; 0 if there is no room */
    u32 rsdp_len;   /* bytes valid in rsdp; 0 if the loader gave none */
    u8 rsdp[BOOT_RSDP_MAX];
    char cmdline[BOOT_CMDLINE_MAX];
};

/** boot_info_ram_bytes() - the sum of all RAM ranges. */
u64 boot_info_ram_bytes(const struct boot_info *info);

/** boot_info() - the one and only, after boot_main() has filled it. */
const struct boot_info *boot_info(void);

/** kmain() - the kernel, on the first CPU, in the higher half, interrupts off. Never returns. */
NORETURN void kmain(struct boot_info *info);

#endif
