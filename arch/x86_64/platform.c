/*
 * The order in which the machine is made ready.
 */
#include "machine.h"
#include <arch/platform.h>

void platform_cpu_init(void)
{
    cpu_detect_features();
    cpu_record_init(0, 0);
    descriptors_init_boot_cpu();
    descriptors_load(0);
    /* The early page tables let the kernel write its text; the final ones do not. */
    cpu_patch_smap_sites();
    cpu_set_control_registers();
    fpu_init_cpu();
    cpu_mark_online();
}

void platform_init(const struct boot_info *info)
{
    fpu_init_cache();
    acpi_init(info);
    apic_init_boot_cpu();
    ioapic_init();
    time_init();
}

bool platform_persistent_memory(u32 nth, u64 *start, u64 *end)
{
    const struct acpi_info *acpi = acpi_info();

    if (nth >= acpi->nr_persistent) {
        return false;
    }
    *start = acpi->persistent[nth].start;
    *end = acpi->persistent[nth].end;
    return true;
}
