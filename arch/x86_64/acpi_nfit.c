/*
 * The NVDIMM firmware interface table: where the memory of NVDIMMs appears.
 *
 * Of its structures only the ranges of system physical addresses are read, and of these only those
 * of byte-addressable persistent memory. Source: ACPI 6.4, chapter 5.2.25.
 */
#include "machine.h"
#include <lib/printk.h>
#include <lib/string.h>

/* The table's header, and four reserved bytes. */
#define NFIT_HEADER_SIZE 40

struct PACKED nfit_structure {
    u16 type;
    u16 length;
};

struct PACKED nfit_range {
    struct nfit_structure head;
    u16 index;
    u16 flags;
    u32 reserved;
    u32 proximity_domain;
    u8 guid[16];
    u64 base;
    u64 length;
    u64 attributes;
};

_Static_assert(sizeof(struct nfit_range) == 56, "ACPI 6.4 table 5.132");

enum nfit_type { NFIT_RANGE = 0 };

/* 66f0d379-b4f3-4074-ac43-0d3318b78cdb: byte-addressable persistent memory (ACPI 6.4, 5.2.25.2). */
static const u8 persistent_guid[16] = {0x79, 0xd3, 0xf0, 0x66, 0xf3, 0xb4, 0x74, 0x40,
                                       0xac, 0x43, 0x0d, 0x33, 0x18, 0xb7, 0x8c, 0xdb};

static void add_range(const struct nfit_range *range, struct acpi_info *acpi)
{
    if (memcmp(range->guid, persistent_guid, sizeof(persistent_guid)) != 0) {
        return;
    }
    if (range->length == 0 || range->length > U64_MAX - range->base) {
        printk("acpi: the NFIT has a range of an impossible size\n");
        return;
    }
    if (acpi->nr_persistent == MAX_PERSISTENT) {
        printk("acpi: the persistent memory at %#lx is one range too many\n", range->base);
        return;
    }
    acpi->persistent[acpi->nr_persistent].start = range->base;
    acpi->persistent[acpi->nr_persistent++].end = range->base + range->length;
}

void nfit_parse(const void *table, size_t size, struct acpi_info *acpi)
{
    const u8 *at = (const u8 *)table + NFIT_HEADER_SIZE;
    size_t left = size > NFIT_HEADER_SIZE ? size - NFIT_HEADER_SIZE : 0;

    while (left >= sizeof(struct nfit_structure)) {
        const struct nfit_structure *structure = (const struct nfit_structure *)at;

        if (structure->length < sizeof(*structure) || structure->length > left) {
            printk("acpi: the NFIT ends early: a structure has an impossible length\n");
            return;
        }
        if (structure->type == NFIT_RANGE && structure->length >= sizeof(struct nfit_range)) {
            add_range((const struct nfit_range *)at, acpi);
        }
        at += structure->length;
        left -= structure->length;
    }
}
