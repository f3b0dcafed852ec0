/*
 * From the entry code to the kernel: makes the CPU fit to run C with traps, reads what the boot
 * loader left, refuses what makes no sense, and calls kmain().
 *
 * Owns: the one struct boot_info. Read next: boot/multiboot2.c, boot/pvh.c, kernel/main.c.
 */
#include "boot_parse.h"
#include <arch/cpu.h>
#include <arch/layout.h>
#include <arch/platform.h>
#include <lib/printk.h>

/* entry.S maps this much physical memory before the memory map is known. */
#define EARLY_DIRECT_MAP_BYTES (4 * GIB)

static struct boot_info the_boot_info;

const struct boot_info *boot_info(void)
{
    return &the_boot_info;
}

NORETURN static void refuse_to_boot(const char *reason)
{
    printk("Cowbell cannot start: %s\n", reason);
    /* A test run learns of it by QEMU's status; where the device is absent this halts. */
    platform_exit_debug(DEBUG_EXIT_FAILED);
}

static int parse_protocol(u32 protocol, u64 info_phys, const char **reason)
{
    const struct boot_view view = {
        .bytes = phys_to_virt(0),
        .start = 0,
        .size = EARLY_DIRECT_MAP_BYTES,
    };

    switch (protocol) {
    case BOOT_PROTOCOL_MULTIBOOT2:
        return multiboot2_parse(&view, info_phys, &the_boot_info, reason);
    case BOOT_PROTOCOL_PVH:
        return pvh_parse(&view, info_phys, &the_boot_info, reason);
    default:
        *reason = "the boot loader speaks neither multiboot2 nor PVH.";
        return -1;
    }
}

NORETURN void boot_main(u32 protocol, u64 info_phys);

void boot_main(u32 protocol, u64 info_phys)
{
    const char *reason = NULL;

    platform_serial_early_init();
    platform_cpu_init();
    the_boot_info.kernel_start = image_to_phys(__kernel_start);
    the_boot_info.kernel_end = image_to_phys(__kernel_end);
    if (parse_protocol(protocol, info_phys, &reason) != 0) {
        refuse_to_boot(reason);
    }
    if (boot_info_finish(&the_boot_info, &reason) != 0) {
        refuse_to_boot(reason);
    }
    kmain(&the_boot_info);
}
