/*
 * The I/O APICs: they turn interrupt lines into vectors. Only ISA lines are routed; the old 8259
 * controllers are silenced for good. Source: Intel 82093AA data sheet, 3.2.
 */
#include "machine.h"
#include "io.h"
#include <arch/kernel_map.h>
#include <lib/printk.h>
#include <proc/spinlock.h>

#define IOAPIC_SELECT     0x00
#define IOAPIC_WINDOW     0x10
#define IOAPIC_VERSION    0x01
#define IOAPIC_ENTRY(pin) (0x10 + 2 * (pin))
#define ENTRY_NMI         (4u << 8)
#define ENTRY_ACTIVE_LOW  BIT(13)
#define ENTRY_LEVEL       BIT(15)
#define ENTRY_MASKED      BIT(16)
#define DESTINATION_SHIFT 24

#define PIC1_COMMAND 0x20
#define PIC1_DATA    0x21
#define PIC2_COMMAND 0xa0
#define PIC2_DATA    0xa1

struct ioapic {
    volatile u8 *registers;
    u32 gsi_base;
    u32 nr_pins;
};

static struct ioapic ioapics[MAX_IOAPICS];
static u32 nr_ioapics;
static struct spinlock ioapic_lock = SPINLOCK_INIT(RANK_NONE);

static u32 read_ioapic(const struct ioapic *ioapic, u32 index)
{
    *(volatile u32 *)(ioapic->registers + IOAPIC_SELECT) = index;
    return *(volatile u32 *)(ioapic->registers + IOAPIC_WINDOW);
}

static void write_ioapic(const struct ioapic *ioapic, u32 index, u32 value)
{
    *(volatile u32 *)(ioapic->registers + IOAPIC_SELECT) = index;
    *(volatile u32 *)(ioapic->registers + IOAPIC_WINDOW) = value;
}

/* Remap the old controllers away from the exceptions before masking: they may be spurious. */
static void silence_8259(void)
{
    port_write8(PIC1_COMMAND, 0x11);
    port_write8(PIC2_COMMAND, 0x11);
    port_write8(PIC1_DATA, VECTOR_ISA);
    port_write8(PIC2_DATA, VECTOR_ISA + 8);
    port_write8(PIC1_DATA, 4);
    port_write8(PIC2_DATA, 2);
    port_write8(PIC1_DATA, 1);
    port_write8(PIC2_DATA, 1);
    port_write8(PIC1_DATA, 0xff);
    port_write8(PIC2_DATA, 0xff);
}

void ioapic_init(void)
{
    const struct acpi_info *acpi = acpi_info();

    silence_8259();
    for (u32 i = 0; i < acpi->nr_ioapics; i++) {
        struct ioapic *ioapic = &ioapics[i];

        ioapic->registers = kernel_map_mmio(acpi->ioapics[i].phys, PAGE_SIZE);
        ioapic->gsi_base = acpi->ioapics[i].gsi_base;
        ioapic->nr_pins = ((read_ioapic(ioapic, IOAPIC_VERSION) >> 16) & 0xff) + 1;
        for (u32 pin = 0; pin < ioapic->nr_pins; pin++) {
            write_ioapic(ioapic, IOAPIC_ENTRY(pin), ENTRY_MASKED);
        }
        nr_ioapics++;
    }
}

static const struct ioapic *find_ioapic(u32 gsi)
{
    for (u32 i = 0; i < nr_ioapics; i++) {
        if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].nr_pins) {
            return &ioapics[i];
        }
    }
    return NULL;
}

static void route_isa(u32 line, u32 entry, u32 apic_id)
{
    const struct acpi_isa_route *route = &acpi_info()->isa[line];
    const struct ioapic *ioapic = find_ioapic(route->gsi);
    u64 flags;
    u32 pin;

    if (ioapic == NULL) {
        printk("irq: no I/O APIC takes interrupt line %u\n", line);
        return;
    }
    pin = route->gsi - ioapic->gsi_base;
    entry |= route->is_active_low ? ENTRY_ACTIVE_LOW : 0;
    entry |= route->is_level ? ENTRY_LEVEL : 0;
    flags = spin_lock_irqsave(&ioapic_lock);
    /* The destination first: the low word takes the mask away. */
    write_ioapic(ioapic, IOAPIC_ENTRY(pin) + 1, apic_id << DESTINATION_SHIFT);
    write_ioapic(ioapic, IOAPIC_ENTRY(pin), entry);
    spin_unlock_irqrestore(&ioapic_lock, flags);
}

void ioapic_route_isa(u32 line, u8 vector, u32 apic_id)
{
    route_isa(line, vector, apic_id);
}

void ioapic_route_isa_as_nmi(u32 line, u32 apic_id)
{
    route_isa(line, ENTRY_NMI, apic_id);
}
