/* What the boot loader hands over: sound information of both protocols, and every way to be wrong.
 */
#include <host_test.h>

#include "boot/boot_parse.h"
#include <lib/errno.h>

#define MEMORY_SIZE 65536
#define MIB_        (1024ull * 1024)

static _Alignas(8) u8 memory[MEMORY_SIZE];
static struct boot_info info;
static const char *reason;

static struct boot_view view_of(u64 size)
{
    return (struct boot_view){.bytes = memory, .start = 0, .size = size};
}

static void clear(void)
{
    memset(memory, 0, sizeof(memory));
    memset(&info, 0, sizeof(info));
    reason = NULL;
}

/* --- multiboot2 ------------------------------------------------------------------------------- */

static u32 tags_end;

static void put32(u32 at, u32 value)
{
    memcpy(memory + at, &value, sizeof(value));
}

static void put64(u32 at, u64 value)
{
    memcpy(memory + at, &value, sizeof(value));
}

static void begin_tags(void)
{
    clear();
    tags_end = 8;
}

/* Return: where the tag's contents begin. */
static u32 add_tag(u32 type, u32 size)
{
    u32 at = tags_end;

    put32(at, type);
    put32(at + 4, size);
    tags_end = (at + size + 7) & ~7u;
    return at + 8;
}

static void end_tags(void)
{
    add_tag(0, 8);
    put32(0, tags_end);
}

static int parse_multiboot(void)
{
    struct boot_view view = view_of(MEMORY_SIZE);

    return multiboot2_parse(&view, 0, &info, &reason);
}

static void add_memory_tag(u64 start, u64 size, u32 type)
{
    u32 at = add_tag(6, 16 + 24);

    put32(at, 24);
    put64(at + 8, start);
    put64(at + 16, size);
    put32(at + 24, type);
}

TEST(multiboot_tags_are_read)
{
    u32 at;

    begin_tags();
    at = add_tag(1, 8 + 10);
    memcpy(memory + at, "test=mm.*", 10);
    at = add_tag(3, 16 + 7);
    put32(at, 0x400000);
    put32(at + 4, 0x500000);
    memcpy(memory + at + 8, "initrd", 7);
    add_memory_tag(0x100000, 64 * MIB_, 1);
    at = add_tag(14, 8 + 20);
    memcpy(memory + at, "RSD PTR old", 11);
    at = add_tag(15, 8 + 36);
    memcpy(memory + at, "RSD PTR new", 11);
    end_tags();
    EXPECT_EQ(0, parse_multiboot());
    EXPECT_STR("multiboot2", info.protocol);
    EXPECT_STR("test=mm.*", info.cmdline);
    EXPECT_EQ(1, info.nr_modules);
    EXPECT_EQ(0x400000, info.modules[0].start);
    EXPECT_EQ(0x500000, info.modules[0].end);
    EXPECT_STR("initrd", info.modules[0].name);
    EXPECT_EQ(1, info.nr_ranges);
    EXPECT_EQ(0x100000 + 64 * MIB_, info.ranges[0].end);
    EXPECT_EQ(36, info.rsdp_len);
    EXPECT_EQ(0, memcmp("RSD PTR new", info.rsdp, 11));
}

TEST(multiboot_unknown_tags_are_skipped)
{
    begin_tags();
    add_tag(99, 8 + 5);
    add_memory_tag(0x100000, 64 * MIB_, 1);
    end_tags();
    EXPECT_EQ(0, parse_multiboot());
    EXPECT_EQ(1, info.nr_ranges);
}

TEST(multiboot_tag_sizes_are_checked)
{
    static const u32 sizes[] = {0, 1, 7, 0x10000, 0xfffffff8, 0xffffffff};

    for (u32 i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        begin_tags();
        put32(add_tag(1, 16) - 4, sizes[i]);
        end_tags();
        EXPECT_EQ(-EINVAL, parse_multiboot());
        EXPECT_TRUE(reason != NULL);
    }
}

TEST(multiboot_without_an_end_tag_is_refused)
{
    begin_tags();
    add_memory_tag(0x100000, 64 * MIB_, 1);
    put32(0, tags_end);
    EXPECT_EQ(-EINVAL, parse_multiboot());
    EXPECT_STR("the multiboot2 information has no end tag.", reason);
}

TEST(multiboot_strings_must_end_in_their_tag)
{
    u32 at;

    begin_tags();
    at = add_tag(1, 8 + 4);
    memcpy(memory + at, "abcd", 4);
    end_tags();
    EXPECT_EQ(-EINVAL, parse_multiboot());
    EXPECT_STR("the command line is too long or has no end.", reason);
}

TEST(multiboot_command_line_has_a_limit)
{
    u32 at;

    begin_tags();
    at = add_tag(1, 8 + BOOT_CMDLINE_MAX + 1);
    memset(memory + at, 'x', BOOT_CMDLINE_MAX);
    end_tags();
    EXPECT_EQ(-EINVAL, parse_multiboot());
    memory[at + BOOT_CMDLINE_MAX - 1] = 0;
    memset(&info, 0, sizeof(info));
    EXPECT_EQ(0, parse_multiboot());
    EXPECT_EQ(BOOT_CMDLINE_MAX - 1, strlen(info.cmdline));
}

TEST(multiboot_module_that_ends_before_it_starts_is_refused)
{
    u32 at;

    begin_tags();
    at = add_tag(3, 17);
    put32(at, 0x2000);
    put32(at + 4, 0x1000);
    end_tags();
    EXPECT_EQ(-EINVAL, parse_multiboot());
    EXPECT_STR("a multiboot2 module tag is malformed.", reason);
}

TEST(multiboot_modules_have_a_limit)
{
    begin_tags();
    for (u32 i = 0; i < BOOT_MAX_MODULES + 1; i++) {
        add_tag(3, 17);
    }
    end_tags();
    EXPECT_EQ(-EINVAL, parse_multiboot());
}

TEST(multiboot_memory_map_entries_are_checked)
{
    u32 at;

    begin_tags();
    at = add_tag(6, 16 + 24);
    put32(at, 8); /* too small for an entry */
    end_tags();
    EXPECT_EQ(-EINVAL, parse_multiboot());
    begin_tags();
    add_memory_tag(~0ull - 100, 4096, 1); /* wraps around */
    end_tags();
    EXPECT_EQ(-EINVAL, parse_multiboot());
}

TEST(multiboot_total_size_is_checked)
{
    struct boot_view view = view_of(64);

    begin_tags();
    end_tags();
    EXPECT_EQ(0, multiboot2_parse(&view, 0, &info, &reason));
    EXPECT_EQ(-EINVAL, multiboot2_parse(&view, 4, &info, &reason));
    EXPECT_EQ(-EINVAL, multiboot2_parse(&view, 64, &info, &reason));
    put32(0, 72);
    EXPECT_EQ(-EINVAL, multiboot2_parse(&view, 0, &info, &reason));
    put32(0, 4);
    EXPECT_EQ(-EINVAL, multiboot2_parse(&view, 0, &info, &reason));
    put32(0, 0xffffffff);
    EXPECT_EQ(-EINVAL, multiboot2_parse(&view, 0, &info, &reason));
}

/* --- PVH -------------------------------------------------------------------------------------- */

enum { PVH_AT = 64, PVH_MAP = 256, PVH_MODULES = 512, PVH_TEXT = 1024, PVH_RSDP = 2048 };

static void make_pvh(void)
{
    clear();
    put32(PVH_AT, 0x336ec578);
    put32(PVH_AT + 4, 1);
    put32(PVH_AT + 12, 1);
    put64(PVH_AT + 16, PVH_MODULES);
    put64(PVH_AT + 24, PVH_TEXT);
    put64(PVH_AT + 32, PVH_RSDP);
    put64(PVH_AT + 40, PVH_MAP);
    put32(PVH_AT + 48, 2);
    put64(PVH_MAP, 0);
    put64(PVH_MAP + 8, 0x9fc00);
    put32(PVH_MAP + 16, 1);
    put64(PVH_MAP + 24, 0x100000);
    put64(PVH_MAP + 32, 31 * MIB_);
    put32(PVH_MAP + 40, 1);
    put64(PVH_MODULES, 0x800000);
    put64(PVH_MODULES + 8, 0x1234);
    memcpy(memory + PVH_TEXT, "quiet", 6);
    memcpy(memory + PVH_RSDP, "RSD PTR ", 8);
}

static int parse_pvh(void)
{
    struct boot_view view = view_of(MEMORY_SIZE);

    memset(&info, 0, sizeof(info));
    return pvh_parse(&view, PVH_AT, &info, &reason);
}

TEST(pvh_information_is_read)
{
    make_pvh();
    EXPECT_EQ(0, parse_pvh());
    EXPECT_STR("PVH", info.protocol);
    EXPECT_STR("quiet", info.cmdline);
    EXPECT_EQ(2, info.nr_ranges);
    EXPECT_EQ(1, info.nr_modules);
    EXPECT_EQ(0x800000 + 0x1234, info.modules[0].end);
    EXPECT_EQ(36, info.rsdp_len);
}

TEST(pvh_pointers_outside_memory_are_refused)
{
    static const u32 fields[] = {16, 24, 40}; /* modules, command line, memory map */
    static const u64 bad[] = {MEMORY_SIZE - 4, MEMORY_SIZE, ~0ull, ~0ull - 20, 1ull << 52};

    memset(memory, 'x', sizeof(memory));
    for (u32 i = 0; i < 3; i++) {
        for (u32 k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
            make_pvh();
            memset(memory + MEMORY_SIZE - 4, 'x', 4);
            put64(PVH_AT + fields[i], bad[k]);
            EXPECT_EQ(-EINVAL, parse_pvh());
            EXPECT_TRUE(reason != NULL);
        }
    }
}

TEST(pvh_counts_are_checked)
{
    make_pvh();
    put32(PVH_AT + 48, 0);
    EXPECT_EQ(-EINVAL, parse_pvh());
    put32(PVH_AT + 48, 0xffffffff);
    EXPECT_EQ(-EINVAL, parse_pvh());
    make_pvh();
    put32(PVH_AT + 12, 0xffffffff);
    EXPECT_EQ(-EINVAL, parse_pvh());
}

TEST(pvh_of_another_kind_or_version_is_refused)
{
    make_pvh();
    put32(PVH_AT + 4, 0);
    EXPECT_EQ(-EINVAL, parse_pvh());
    make_pvh();
    put32(PVH_AT, 0x12345678);
    EXPECT_EQ(-EINVAL, parse_pvh());
}

TEST(pvh_module_that_wraps_around_is_refused)
{
    make_pvh();
    put64(PVH_MODULES + 8, ~0ull);
    EXPECT_EQ(-EINVAL, parse_pvh());
}

/* --- the memory map --------------------------------------------------------------------------- */

static void begin_map(void)
{
    clear();
    info.kernel_start = 2 * MIB_;
    info.kernel_end = 4 * MIB_;
}

static void add(u64 start, u64 end, u32 type)
{
    EXPECT_EQ(0, boot_info_add_range(&info, start, end - start, type));
}

static int finish(void)
{
    return boot_info_finish(&info, &reason);
}

static void check_promise(void)
{
    u64 last = 0;

    for (u32 i = 0; i < info.nr_ranges; i++) {
        EXPECT_TRUE(info.ranges[i].start < info.ranges[i].end);
        EXPECT_TRUE(info.ranges[i].start >= last);
        last = info.ranges[i].end;
        if (info.ranges[i].type == BOOT_MEMORY_RAM) {
            EXPECT_EQ(0, info.ranges[i].start % 4096);
            EXPECT_EQ(0, info.ranges[i].end % 4096);
            EXPECT_TRUE(info.ranges[i].start >= MIB_);
        }
    }
}

TEST(map_is_sorted_and_merged)
{
    begin_map();
    add(32 * MIB_, 64 * MIB_, 1);
    add(1 * MIB_, 16 * MIB_, 1);
    add(16 * MIB_, 32 * MIB_, 1);
    EXPECT_EQ(0, finish());
    EXPECT_EQ(1, info.nr_ranges);
    EXPECT_EQ(MIB_, info.ranges[0].start);
    EXPECT_EQ(64 * MIB_, info.ranges[0].end);
    EXPECT_EQ(63 * MIB_, boot_info_ram_bytes(&info));
}

TEST(reserved_memory_wins_over_ram)
{
    begin_map();
    add(1 * MIB_, 64 * MIB_, 1);
    add(20 * MIB_, 21 * MIB_, 2);
    add(60 * MIB_, 80 * MIB_, 3);
    EXPECT_EQ(0, finish());
    check_promise();
    EXPECT_EQ(4, info.nr_ranges);
    EXPECT_EQ(58 * MIB_, boot_info_ram_bytes(&info));
    EXPECT_EQ(80 * MIB_, info.ranges[3].end);
}

TEST(ram_is_cut_to_whole_pages)
{
    begin_map();
    add(1 * MIB_ + 1, 64 * MIB_ - 1, 1);
    EXPECT_EQ(0, finish());
    EXPECT_EQ(1 * MIB_ + 4096, info.ranges[0].start);
    EXPECT_EQ(64 * MIB_ - 4096, info.ranges[0].end);
}

TEST(trampoline_lies_in_low_ram)
{
    begin_map();
    add(0, 0x9fc00, 1);
    add(1 * MIB_, 64 * MIB_, 1);
    EXPECT_EQ(0, finish());
    EXPECT_EQ(0x9b000, info.trampoline);
    check_promise();
}

TEST(too_little_memory_is_said)
{
    begin_map();
    add(1 * MIB_, 8 * MIB_, 1);
    EXPECT_EQ(-ENOMEM, finish());
    EXPECT_TRUE(strstr(reason, "too little memory") != NULL);
    begin_map();
    EXPECT_EQ(-ENOMEM, finish());
}

TEST(module_outside_ram_or_over_the_kernel_is_refused)
{
    begin_map();
    add(1 * MIB_, 64 * MIB_, 1);
    info.nr_modules = 1;
    info.modules[0] = (struct boot_module){.start = 63 * MIB_, .end = 65 * MIB_};
    EXPECT_EQ(-EINVAL, finish());
    begin_map();
    add(1 * MIB_, 64 * MIB_, 1);
    info.nr_modules = 1;
    info.modules[0] = (struct boot_module){.start = 3 * MIB_, .end = 5 * MIB_};
    EXPECT_EQ(-EINVAL, finish());
}

TEST(kernel_outside_ram_is_refused)
{
    begin_map();
    add(16 * MIB_, 64 * MIB_, 1);
    EXPECT_EQ(-EINVAL, finish());
}

TEST(too_many_ranges_are_refused)
{
    begin_map();
    for (u64 i = 0; i < BOOT_MAX_RANGES; i++) {
        add((2 * i + 1) * MIB_, (2 * i + 2) * MIB_, 2);
    }
    EXPECT_EQ(-ENOSPC, boot_info_add_range(&info, 0, 4096, 1));
}

/* Whatever the firmware says, the result keeps the promise or is refused. */
TEST(random_maps_keep_the_promise)
{
    for (u32 round = 0; round < 3000; round++) {
        u32 count = 1 + (u32)host_random(40);

        begin_map();
        add(1 * MIB_, 256 * MIB_, 1);
        for (u32 i = 0; i < count; i++) {
            u64 start = host_random(300 * MIB_);

            add(start, start + 1 + host_random(20 * MIB_), (u32)host_random(8));
        }
        if (finish() == 0) {
            check_promise();
        } else {
            EXPECT_TRUE(reason != NULL);
        }
    }
}
