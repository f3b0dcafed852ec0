/* The ACPI table that tells where NVDIMMs are: as QEMU writes it, and as nobody should. */
#include <host_test.h>

#include "arch/x86_64/machine.h"
#include <string.h>

#define HEADER_SIZE 40
#define RANGE_SIZE  56

/* Of byte-addressable persistent memory, as it stands in the table. */
static const u8 persistent[16] = {0x79, 0xd3, 0xf0, 0x66, 0xf3, 0xb4, 0x74, 0x40,
                                  0xac, 0x43, 0x0d, 0x33, 0x18, 0xb7, 0x8c, 0xdb};

static struct {
    u8 *bytes;
    size_t size;
} table;

static void begin(void)
{
    table.size = HEADER_SIZE;
    table.bytes = calloc(1, table.size);
}

static u8 *append(u16 type, u16 length, size_t room)
{
    u8 *at;

    table.bytes = realloc(table.bytes, table.size + room);
    at = table.bytes + table.size;
    memset(at, 0, room);
    if (room >= sizeof(type) + sizeof(length)) {
        memcpy(at, &type, sizeof(type));
        memcpy(at + 2, &length, sizeof(length));
    }
    table.size += room;
    return at;
}

static void append_range(const u8 *guid, u64 base, u64 length)
{
    u8 *at = append(0, RANGE_SIZE, RANGE_SIZE);

    memcpy(at + 16, guid, 16);
    memcpy(at + 32, &base, sizeof(base));
    memcpy(at + 40, &length, sizeof(length));
}

/* The bytes end where the table ends, so that a read behind it is found. */
static struct acpi_info parse(void)
{
    static struct acpi_info acpi;

    memset(&acpi, 0, sizeof(acpi));
    nfit_parse(table.bytes, table.size, &acpi);
    free(table.bytes);
    return acpi;
}

TEST(ranges_of_persistent_memory_are_found)
{
    struct acpi_info acpi;

    begin();
    append(1, 48, 48); /* which module it is: not our business */
    append_range(persistent, 0x100000000, 0x4000000);
    append_range(persistent, 0x200000000, 0x1000);
    acpi = parse();
    EXPECT_EQ(2, acpi.nr_persistent);
    EXPECT_EQ(0x100000000, acpi.persistent[0].start);
    EXPECT_EQ(0x104000000, acpi.persistent[0].end);
    EXPECT_EQ(0x200001000, acpi.persistent[1].end);
}

TEST(other_ranges_are_passed_over)
{
    static const u8 volatile_guid[16] = {0x4f};

    begin();
    append_range(volatile_guid, 0x100000000, 0x4000000);
    append_range(persistent, 0x100000000, 0);
    append_range(persistent, 0xfffffffffffff000, 0x2000);
    EXPECT_EQ(0, parse().nr_persistent);
}

TEST(structures_that_end_early_end_the_table)
{
    begin();
    append_range(persistent, 0x100000000, 0x1000);
    append(0, RANGE_SIZE, RANGE_SIZE - 1);
    EXPECT_EQ(1, parse().nr_persistent);
    begin();
    append(0, 0, 4); /* would never end */
    append_range(persistent, 0x100000000, 0x1000);
    EXPECT_EQ(0, parse().nr_persistent);
    begin();
    append(0, 3, 3);
    EXPECT_EQ(0, parse().nr_persistent);
    begin();
    append(0, 8, 8); /* a range without its fields */
    EXPECT_EQ(0, parse().nr_persistent);
}

TEST(there_are_only_so_many)
{
    begin();
    for (u64 i = 0; i < 100; i++) {
        append_range(persistent, 0x100000000 + i * 0x1000, 0x1000);
    }
    EXPECT_EQ(MAX_PERSISTENT, parse().nr_persistent);
}

static void append_all(void)
{
    begin();
    append_range(persistent, 0x100000000, 0x1000);
    append(1, 48, 48);
    append_range(persistent, 0x200000000, 0x1000);
}

/* Each bit of the table, one after the other. */
TEST(no_bit_disturbs_it)
{
    u32 nr_lost = 0;

    append_all();
    size_t nr_bits = table.size * 8;
    EXPECT_EQ(2, parse().nr_persistent);
    for (size_t bit = HEADER_SIZE * 8; bit < nr_bits; bit++) {
        append_all();
        table.bytes[bit / 8] ^= (u8)(1u << bit % 8);
        u32 nr_found = parse().nr_persistent;
        EXPECT_TRUE(nr_found <= 2);
        nr_lost += nr_found < 2;
    }
    EXPECT_TRUE(nr_lost >= 2 * 16 * 8); /* another bit in either GUID is another kind of memory */
}
