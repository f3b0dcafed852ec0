/* The reader of cpio archives: good ones, and every way in which one can be bad. */
#include <host_test.h>

#include <errno.h>

#include <lib/cpio.h>

static char archive[8192];
static size_t archive_size;

static void start(void)
{
    archive_size = 0;
    memset(archive, 0, sizeof(archive));
}

static void add_member(const char *name, uint32_t mode, const void *data, size_t size)
{
    archive_size += (size_t)sprintf(
        archive + archive_size, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 7,
        mode, 1, 2, 3, 4, (unsigned)size, 5, 6, 7, 8, (unsigned)strlen(name) + 1, 0);
    strcpy(archive + archive_size, name);
    archive_size = (archive_size + strlen(name) + 1 + 3) & ~3UL;
    memcpy(archive + archive_size, data, size);
    archive_size = (archive_size + size + 3) & ~3UL;
}

/* In a block of exactly that size, so that the sanitizer sees a read beyond it. */
static int read_all(size_t size, int *nr_members)
{
    uint8_t *copy = malloc(size + 1) + 1;
    struct cpio_reader reader;
    struct cpio_entry entry;
    int result;

    memcpy(copy, archive, size);
    cpio_init(&reader, copy, size);
    *nr_members = 0;
    do {
        result = cpio_next(&reader, &entry);
        *nr_members += result == 1;
    } while (result == 1);
    free(copy - 1);
    return result;
}

TEST(members_come_in_order_with_all_their_fields)
{
    struct cpio_reader reader;
    struct cpio_entry entry;

    start();
    add_member("etc", 040755, "", 0);
    add_member("etc/motd", 0100644, "hello\n", 6);
    add_member("TRAILER!!!", 0, "", 0);
    cpio_init(&reader, archive, archive_size);
    EXPECT_EQ(1, cpio_next(&reader, &entry));
    EXPECT_STR("etc", entry.name);
    EXPECT_EQ(040755, entry.mode);
    EXPECT_EQ(1, cpio_next(&reader, &entry));
    EXPECT_STR("etc/motd", entry.name);
    EXPECT_EQ(8, entry.name_len);
    EXPECT_EQ(6, entry.size);
    EXPECT_EQ(0, memcmp(entry.data, "hello\n", 6));
    EXPECT_EQ(7, entry.ino);
    EXPECT_EQ(1, entry.uid);
    EXPECT_EQ(2, entry.gid);
    EXPECT_EQ(3, entry.nlink);
    EXPECT_EQ(4, entry.mtime);
    EXPECT_EQ(5, entry.dev_major);
    EXPECT_EQ(6, entry.dev_minor);
    EXPECT_EQ(7, entry.rdev_major);
    EXPECT_EQ(8, entry.rdev_minor);
    EXPECT_EQ(0, cpio_next(&reader, &entry));
    EXPECT_EQ(0, cpio_next(&reader, &entry));
}

TEST(leading_slashes_and_dots_are_dropped_from_names)
{
    static const char *const names[][2] = {
        {"./bin/sh", "bin/sh"},
        {"/bin/sh", "bin/sh"},
        {".", "."},
        {"./", "."},
        {"/", "."},
        {".//./a", "a"},
        {"..", ".."},
        {".profile", ".profile"},
    };
    struct cpio_reader reader;
    struct cpio_entry entry;

    start();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        add_member(names[i][0], 0100644, "", 0);
    }
    cpio_init(&reader, archive, archive_size);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        EXPECT_EQ(1, cpio_next(&reader, &entry));
        EXPECT_STR(names[i][1], entry.name);
        EXPECT_EQ(strlen(names[i][1]), entry.name_len);
    }
}

TEST(concatenated_archives_are_read_on_after_the_trailer)
{
    int nr_members;

    start();
    add_member("a", 0100644, "1", 1);
    add_member("TRAILER!!!", 0, "", 0);
    archive_size += 400;
    add_member("b", 0100644, "2", 1);
    add_member("TRAILER!!!", 0, "", 0);
    archive_size += 100;
    EXPECT_EQ(0, read_all(archive_size, &nr_members));
    EXPECT_EQ(2, nr_members);
}

TEST(a_cut_archive_is_malformed_wherever_it_is_cut)
{
    int nr_members;

    start();
    add_member("name", 0100644, "contents", 8);
    for (size_t size = 1; size < archive_size; size++) {
        EXPECT_EQ(-EINVAL, read_all(size, &nr_members));
        EXPECT_EQ(0, nr_members);
    }
    EXPECT_EQ(0, read_all(archive_size, &nr_members));
    EXPECT_EQ(0, read_all(0, &nr_members));
}

TEST(bad_magic_digits_and_lengths_are_malformed)
{
    static const struct {
        size_t offset;
        const char *text;
    } faults[] = {
        {0, "070707"},    {5, "3"},         {6, "0000000g"},   {94, "00000000"},
        {94, "FFFFFFFF"}, {94, "00000004"}, {94, "7FFFFFFF"},  {54, "FFFFFFFF"},
        {54, "00001000"}, {54, "80000000"}, {102, "0000 000"},
    };
    int nr_members;

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        start();
        add_member("name", 0100644, "contents", 8);
        memcpy(archive + faults[i].offset, faults[i].text, strlen(faults[i].text));
        EXPECT_EQ(-EINVAL, read_all(archive_size, &nr_members));
    }
}

TEST(find_tells_absent_from_malformed)
{
    struct cpio_entry entry;

    start();
    add_member("./sbin/init", 0100755, "\177ELF", 4);
    EXPECT_EQ(1, cpio_find(archive, archive_size, "sbin/init", &entry));
    EXPECT_EQ(4, entry.size);
    EXPECT_EQ(0, cpio_find(archive, archive_size, "sbin/ini", &entry));
    EXPECT_EQ(0, cpio_find(archive, archive_size, "sbin/init2", &entry));
    strcpy(archive + archive_size, "junk");
    EXPECT_EQ(1, cpio_find(archive, archive_size + 4, "sbin/init", &entry));
    EXPECT_EQ(-EINVAL, cpio_find(archive, archive_size + 4, "absent", &entry));
}
