/*
 * The few ACPI tables the kernel reads: which CPUs and interrupt controllers there are (MADT), how
 * to switch off and reset (FADT, and the \_S5 package in the DSDT), and where persistent memory is
 * (NFIT, in acpi_nfit.c).
 *
 * Every table is checked (length, checksum) before it is believed, and a broken one is left out
 * with a message: the machine then runs with less, on one CPU if need be. Source: ACPI 6.4,
 * chapters 5.2 and 20.2.
 */
#include "machine.h"
#include <arch/kernel_map.h>
#include <boot_info.h>
#include <lib/printk.h>
#include <lib/string.h>

#define BIOS_AREA_START    0xe0000ul
#define BIOS_AREA_END      0x100000ul
#define RSDP_V1_SIZE       20
#define TABLE_MAX_SIZE     (16 * MIB)
#define LOCAL_APIC_DEFAULT 0xfee00000ul

struct PACKED rsdp {
    char signature[8];
    u8 checksum;
    char oem[6];
    u8 revision;
    u32 rsdt;
    u32 length;
    u64 xsdt;
    u8 extended_checksum;
    u8 reserved[3];
};

struct PACKED table_header {
    char signature[4];
    u32 length;
    u8 revision;
    u8 checksum;
    char oem[6];
    char oem_table[8];
    u32 oem_revision;
    u32 creator;
    u32 creator_revision;
};

struct PACKED madt {
    struct table_header header;
    u32 local_apic;
    u32 flags;
};

struct PACKED madt_entry {
    u8 type;
    u8 length;
    union {
        struct PACKED {
            u8 processor;
            u8 apic_id;
            u32 flags;
        } local_apic;
        struct PACKED {
            u8 id;
            u8 reserved;
            u32 address;
            u32 gsi_base;
        } io_apic;
        struct PACKED {
            u8 bus;
            u8 source;
            u32 gsi;
            u16 flags;
        } override;
        struct PACKED {
            u16 reserved;
            u64 address;
        } apic_address;
        struct PACKED {
            u16 reserved;
            u32 x2apic_id;
            u32 flags;
            u32 processor;
        } x2apic;
    };
};

enum madt_type {
    MADT_LOCAL_APIC = 0,
    MADT_IO_APIC = 1,
    MADT_OVERRIDE = 2,
    MADT_APIC_ADDRESS = 5,
    MADT_X2APIC = 9,
};

#define MADT_CPU_ENABLED         BIT(0)
#define OVERRIDE_POLARITY(flags) ((flags)&3)
#define OVERRIDE_TRIGGER(flags)  (((flags) >> 2) & 3)
#define OVERRIDE_LOW_OR_LEVEL    3

struct PACKED generic_address {
    u8 space;
    u8 bit_width;
    u8 bit_offset;
    u8 access_size;
    u64 address;
};

struct PACKED fadt {
    struct table_header header;
    u32 facs;
    u32 dsdt;
    u8 reserved0[4];
    u32 smi_command;
    u8 acpi_enable;
    u8 acpi_disable;
    u8 reserved1[10];
    u32 pm1a_control;
    u32 pm1b_control;
    u32 pm2_control;
    u32 pm_timer;
    u8 reserved2[28];
    u8 century;
    u16 boot_flags;
    u8 reserved3;
    u32 flags;
    struct generic_address reset;
    u8 reset_value;
    u8 reserved4[3];
    u64 x_facs;
    u64 x_dsdt;
};

_Static_assert(offsetof(struct fadt, pm1a_control) == 64, "ACPI 6.4 table 5.9");
_Static_assert(offsetof(struct fadt, pm_timer) == 76, "ACPI 6.4 table 5.9");
_Static_assert(offsetof(struct fadt, century) == 108, "ACPI 6.4 table 5.9");
_Static_assert(offsetof(struct fadt, reset) == 116, "ACPI 6.4 table 5.9");
_Static_assert(offsetof(struct fadt, x_dsdt) == 140, "ACPI 6.4 table 5.9");

#define FADT_FLAG_TIMER_32BIT BIT(8)
#define FADT_FLAG_RESET       BIT(10)

static struct acpi_info acpi;

const struct acpi_info *acpi_info(void)
{
    return &acpi;
}

static bool has_zero_sum(const void *bytes, size_t len)
{
    u8 sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum = (u8)(sum + ((const u8 *)bytes)[i]);
    }
    return sum == 0;
}

/* Return: the whole table, mapped and checked, or NULL. */
static const struct table_header *table_at(u64 phys)
{
    const struct table_header *table;

    if (phys == 0) {
        return NULL;
    }
    table = kernel_map_firmware(phys, sizeof(*table));
    if (table == NULL || table->length < sizeof(*table) || table->length > TABLE_MAX_SIZE) {
        return NULL;
    }
    table = kernel_map_firmware(phys, table->length);
    if (table == NULL || !has_zero_sum(table, table->length)) {
        printk("acpi: the table at %#lx is damaged and left out\n", phys);
        return NULL;
    }
    return table;
}

static void add_cpu(u32 apic_id, u32 flags)
{
    if ((flags & MADT_CPU_ENABLED) == 0) {
        return;
    }
    if (acpi.nr_cpus == MAX_CPUS) {
        acpi.nr_cpus_ignored++;
        return;
    }
    acpi.apic_ids[acpi.nr_cpus++] = apic_id;
}

static void add_override(const struct madt_entry *entry)
{
    struct acpi_isa_route *route;
    u16 flags = entry->override.flags;

    if (entry->override.source >= NR_ISA_LINES) {
        return;
    }
    route = &acpi.isa[entry->override.source];
    route->gsi = entry->override.gsi;
    route->is_active_low = OVERRIDE_POLARITY(flags) == OVERRIDE_LOW_OR_LEVEL;
    route->is_level = OVERRIDE_TRIGGER(flags) == OVERRIDE_LOW_OR_LEVEL;
}

static void parse_madt_entry(const struct madt_entry *entry)
{
    switch (entry->type) {
    case MADT_LOCAL_APIC:
        add_cpu(entry->local_apic.apic_id, entry->local_apic.flags);
        return;
    case MADT_X2APIC:
        add_cpu(entry->x2apic.x2apic_id, entry->x2apic.flags);
        return;
    case MADT_IO_APIC:
        if (acpi.nr_ioapics < MAX_IOAPICS) {
            acpi.ioapics[acpi.nr_ioapics].phys = entry->io_apic.address;
            acpi.ioapics[acpi.nr_ioapics++].gsi_base = entry->io_apic.gsi_base;
        }
        return;
    case MADT_OVERRIDE:
        add_override(entry);
        return;
    case MADT_APIC_ADDRESS:
        acpi.local_apic_phys = entry->apic_address.address;
        return;
    default:
        return;
    }
}

/* The bytes that an entry of each type must have before its fields are read. */
static bool is_long_enough(const struct madt_entry *entry)
{
    static const u8 sizes[] = {
        [MADT_LOCAL_APIC] = 8,    [MADT_IO_APIC] = 12, [MADT_OVERRIDE] = 10,
        [MADT_APIC_ADDRESS] = 12, [MADT_X2APIC] = 16,
    };

    return entry->type >= sizeof(sizes) || entry->length >= sizes[entry->type];
}

static void parse_madt(const struct madt *madt)
{
    const u8 *at = (const u8 *)(madt + 1);
    const u8 *end = (const u8 *)madt + madt->header.length;

    acpi.has_madt = true;
    acpi.local_apic_phys = madt->local_apic;
    while (end - at >= 2) {
        const struct madt_entry *entry = (const struct madt_entry *)at;

        if (entry->length < 2 || entry->length > end - at || !is_long_enough(entry)) {
            printk("acpi: the MADT ends early: an entry has an impossible length\n");
            return;
        }
        parse_madt_entry(entry);
        at += entry->length;
    }
}

/* A small integer in AML: ZeroOp, OneOp, or a byte or word with its prefix (ACPI 6.4, 20.2.3). */
static const u8 *aml_integer(const u8 *at, const u8 *end, u8 *value)
{
    if (at < end && (*at == 0x00 || *at == 0x01)) {
        *value = *at;
        return at + 1;
    }
    if (end - at >= 2 && *at == 0x0a) {
        *value = at[1];
        return at + 2;
    }
    if (end - at >= 3 && *at == 0x0b) {
        *value = at[1];
        return at + 3;
    }
    return NULL;
}

/*
 * The kernel has no AML interpreter. The sleep types of S5 stand in Name(\_S5, Package{a, b, ...}),
 * which every known firmware writes in this plain form.
 */
static bool parse_s5(const u8 *at, const u8 *end)
{
    at += 4;
    if (end - at < 4 || *at++ != 0x12) {
        return false;
    }
    at += 1 + (*at >> 6); /* the package's length, one to four bytes */
    at += 1;              /* the number of elements */
    at = at < end ? aml_integer(at, end, &acpi.s5_type_a) : NULL;
    at = at != NULL ? aml_integer(at, end, &acpi.s5_type_b) : NULL;
    return at != NULL;
}

static void parse_dsdt(const struct table_header *dsdt)
{
    const u8 *at = (const u8 *)(dsdt + 1);
    const u8 *end = (const u8 *)dsdt + dsdt->length;

    for (; end - at > 8; at++) {
        if (*at == '_' && memcmp(at, "_S5_", 4) == 0 && parse_s5(at, end)) {
            acpi.has_s5 = true;
            return;
        }
    }
}

static void parse_fadt(const struct fadt *fadt)
{
    u32 length = fadt->header.length;
    const struct table_header *dsdt;
    u64 dsdt_phys;

    if (length < offsetof(struct fadt, reset)) {
        printk("acpi: the FADT is too short and left out\n");
        return;
    }
    acpi.pm_timer_port = (u16)fadt->pm_timer;
    acpi.pm_timer_is_32bit = fadt->flags & FADT_FLAG_TIMER_32BIT;
    acpi.pm1a_control = (u16)fadt->pm1a_control;
    acpi.pm1b_control = (u16)fadt->pm1b_control;
    acpi.smi_command_port = (u16)fadt->smi_command;
    acpi.acpi_enable_value = fadt->acpi_enable;
    acpi.century_register = fadt->century;
    if (length >= offsetof(struct fadt, x_facs) && (fadt->flags & FADT_FLAG_RESET) != 0) {
        acpi.has_reset = fadt->reset.space <= 1;
        acpi.reset_space = fadt->reset.space;
        acpi.reset_address = fadt->reset.address;
        acpi.reset_value = fadt->reset_value;
    }
    dsdt_phys = length >= sizeof(*fadt) && fadt->x_dsdt != 0 ? fadt->x_dsdt : fadt->dsdt;
    dsdt = table_at(dsdt_phys);
    if (dsdt != NULL) {
        parse_dsdt(dsdt);
    }
}

static void parse_table(u64 phys)
{
    const struct table_header *table = table_at(phys);

    if (table == NULL) {
        return;
    }
    if (memcmp(table->signature, "APIC", 4) == 0 && table->length >= sizeof(struct madt)) {
        parse_madt((const struct madt *)table);
    } else if (memcmp(table->signature, "FACP", 4) == 0) {
        parse_fadt((const struct fadt *)table);
    } else if (memcmp(table->signature, "NFIT", 4) == 0) {
        nfit_parse(table, table->length, &acpi);
    }
}

static bool is_rsdp(const struct rsdp *rsdp)
{
    return memcmp(rsdp->signature, "RSD PTR ", 8) == 0 && has_zero_sum(rsdp, RSDP_V1_SIZE);
}

static const struct rsdp *find_rsdp(const struct boot_info *info)
{
    const u8 *area;

    if (info->rsdp_len >= RSDP_V1_SIZE && is_rsdp((const struct rsdp *)info->rsdp)) {
        return (const struct rsdp *)info->rsdp;
    }
    area = kernel_map_firmware(BIOS_AREA_START, BIOS_AREA_END - BIOS_AREA_START);
    for (u64 offset = 0; area != NULL && offset < BIOS_AREA_END - BIOS_AREA_START; offset += 16) {
        if (is_rsdp((const struct rsdp *)(area + offset))) {
            return (const struct rsdp *)(area + offset);
        }
    }
    return NULL;
}

static void parse_root(const struct rsdp *rsdp)
{
    bool has_xsdt = rsdp->revision >= 2 && rsdp->xsdt != 0;
    const struct table_header *root = table_at(has_xsdt ? rsdp->xsdt : rsdp->rsdt);
    u32 width = has_xsdt ? 8 : 4;
    const u8 *at;

    if (root == NULL) {
        printk("acpi: no usable table of tables\n");
        return;
    }
    at = (const u8 *)(root + 1);
    for (u32 left = root->length - sizeof(*root); left >= width; left -= width, at += width) {
        u64 phys = 0;

        memcpy(&phys, at, width);
        parse_table(phys);
    }
}

void acpi_init(const struct boot_info *info)
{
    const struct rsdp *rsdp = find_rsdp(info);

    acpi.local_apic_phys = LOCAL_APIC_DEFAULT;
    for (u32 line = 0; line < NR_ISA_LINES; line++) {
        acpi.isa[line].gsi = line;
    }
    if (rsdp == NULL) {
        printk("acpi: the firmware has no ACPI tables; one CPU, no power control\n");
        return;
    }
    parse_root(rsdp);
    if (acpi.nr_cpus_ignored > 0) {
        printk("acpi: %u CPUs are left out, the kernel takes %u\n", acpi.nr_cpus_ignored, MAX_CPUS);
    }
}
