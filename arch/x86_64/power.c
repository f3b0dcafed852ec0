/*
 * Off, reset, and the way out of QEMU.
 */
#include "machine.h"
#include "io.h"
#include <arch/kernel_map.h>
#include <arch/platform.h>
#include <lib/printk.h>

#define DEBUG_EXIT_PORT      0xf4
#define RESET_PORT           0xcf9
#define RESET_FULL           0x06
#define KEYBOARD_COMMAND     0x64
#define KEYBOARD_RESET       0xfe
#define PM1_ACPI_ENABLED     BIT(0)
#define PM1_SLEEP_TYPE_SHIFT 10
#define PM1_SLEEP_ENABLE     BIT(13)
#define POWER_WAIT_NS        (100 * NSEC_PER_MSEC)

static void write_sleep(u16 port, u8 type)
{
    u16 value;

    if (port == 0) {
        return;
    }
    value = (u16)(port_read16(port) & ~(7u << PM1_SLEEP_TYPE_SHIFT));
    port_write16(port, (u16)(value | (type << PM1_SLEEP_TYPE_SHIFT) | PM1_SLEEP_ENABLE));
}

static void acpi_poweroff(void)
{
    const struct acpi_info *acpi = acpi_info();

    if (!acpi->has_s5 || acpi->pm1a_control == 0) {
        return;
    }
    if ((port_read16(acpi->pm1a_control) & PM1_ACPI_ENABLED) == 0 && acpi->smi_command_port != 0) {
        port_write8((u16)acpi->smi_command_port, acpi->acpi_enable_value);
    }
    write_sleep(acpi->pm1a_control, acpi->s5_type_a);
    write_sleep(acpi->pm1b_control, acpi->s5_type_b);
    time_busy_wait_ns(POWER_WAIT_NS);
}

void platform_halt(void)
{
    irq_disable();
    serial_drain();
    nmi_stop_others_silently();
    cpu_halt_forever();
}

void platform_poweroff(void)
{
    irq_disable();
    serial_drain();
    acpi_poweroff();
    printk("The machine cannot be switched off by the kernel; it is halted.\n");
    platform_halt();
}

static void acpi_reset(void)
{
    const struct acpi_info *acpi = acpi_info();

    if (!acpi->has_reset) {
        return;
    }
    if (acpi->reset_space == 1) {
        port_write8((u16)acpi->reset_address, acpi->reset_value);
    } else {
        *(volatile u8 *)kernel_map_mmio(acpi->reset_address, 1) = acpi->reset_value;
    }
    time_busy_wait_ns(POWER_WAIT_NS);
}

void platform_reboot(void)
{
    static const struct {
        u16 limit;
        u64 base;
    } PACKED no_idt = {0, 0};

    irq_disable();
    serial_drain();
    acpi_reset();
    port_write8(RESET_PORT, RESET_FULL);
    port_write8(KEYBOARD_COMMAND, KEYBOARD_RESET);
    /* No handler for any exception: the CPU shuts down, and the board resets it. */
    __asm__ volatile("lidt %0; int3" : : "m"(no_idt));
    cpu_halt_forever();
}

void platform_exit_debug(u32 code)
{
    irq_disable();
    serial_drain();
    port_write32(DEBUG_EXIT_PORT, code);
    platform_poweroff();
}
