/*
 * How much a read fault on a mapped object brings along, and the debugging setting that says so:
 * /sys/kernel/debug/fault_around_bytes, on Cowbell as on Linux.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "fault_around"
#include "utest.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define DEBUGFS "/sys/kernel/debug"
#define SETTING DEBUGFS "/fault_around_bytes"
#define DEFAULT "65536\n"
#define PAGE    4096ul
#define TABLE   (512 * PAGE) /* what one page table serves */

/* Linux shows its debugfs only where it is mounted. */
static int setting_open(int flags)
{
    int fd = open(SETTING, flags);

    if (fd < 0 && errno == ENOENT && mount("debugfs", DEBUGFS, "debugfs", 0, NULL) == 0) {
        fd = open(SETTING, flags);
    }
    return fd;
}

static const char *setting(void)
{
    static char text[64];
    int fd = setting_open(O_RDONLY);
    ssize_t len = read(fd, text, sizeof(text) - 1);

    text[len > 0 ? len : 0] = '\0';
    close(fd);
    return text;
}

/* Return: what write() does, with its errno. */
static long set(const char *text)
{
    int fd = setting_open(O_WRONLY);
    long result = write(fd, text, strlen(text));
    int error = errno;

    close(fd);
    errno = error;
    return result;
}

/* Run a test that changes the setting, which is that of everybody, and give it back. */
static void with_setting(void (*body)(void))
{
    EXPECT_EQ(0, strcmp(DEFAULT, setting()));
    EXPECT_EQ(0, utest_in_child(body));
    EXPECT_EQ((long)strlen(DEFAULT), set(DEFAULT));
    EXPECT_EQ(0, strcmp(DEFAULT, setting()));
}

static long minor_faults(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_minflt : -1;
}

static char *new_mapping(int flags)
{
    static const char page[PAGE] = {1};
    int fd = memfd_create("around", 0);
    char *space = mmap(NULL, 2 * TABLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *start = (char *)(((uintptr_t)space + TABLE - 1) & ~(TABLE - 1));

    for (unsigned long at = 0; at < TABLE; at += PAGE) {
        if (pwrite(fd, page, PAGE, (off_t)at) != (ssize_t)PAGE) {
            return MAP_FAILED;
        }
    }
    start = mmap(start, TABLE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
    close(fd);
    return start;
}

/* The faults of reading 512 pages that are in memory, one after the other. */
static long faults_of_reading(int flags)
{
    char *p = new_mapping(flags);
    volatile char byte = 0;
    long before;
    long after;

    if (p == MAP_FAILED) {
        return -1;
    }
    before = minor_faults();
    before = minor_faults();
    for (unsigned long at = 0; at < TABLE; at += PAGE) {
        byte += p[at];
    }
    after = minor_faults();
    munmap(p, TABLE);
    return after - before;
}

TEST(sixteen_pages_by_default)
{
    EXPECT_EQ(0, strcmp(DEFAULT, setting()));
    EXPECT_EQ(512 / 16, faults_of_reading(MAP_SHARED));
    EXPECT_EQ(512 / 16, faults_of_reading(MAP_PRIVATE));
}

static void expect_faults(void)
{
    EXPECT_EQ(4, set("4096"));
    EXPECT_EQ(512, faults_of_reading(MAP_SHARED));
    EXPECT_EQ(512, faults_of_reading(MAP_PRIVATE));
    EXPECT_EQ(4, set("8192"));
    EXPECT_EQ(256, faults_of_reading(MAP_SHARED));
    EXPECT_EQ(6, set("131072"));
    EXPECT_EQ(512 / 32, faults_of_reading(MAP_SHARED));
    EXPECT_EQ(7, set("2097152"));
    EXPECT_EQ(1, faults_of_reading(MAP_SHARED));
    EXPECT_EQ(1, faults_of_reading(MAP_PRIVATE));
}

TEST(the_setting_decides_how_many_faults_a_reader_takes)
{
    with_setting(expect_faults);
}

static void expect_window(void)
{
    char *p = new_mapping(MAP_SHARED);
    volatile char byte;
    long before;

    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_EQ(7, set("2097152"));
    /* The window ends with the mapping and is aligned: only what lies in both comes along. */
    EXPECT_EQ(0, munmap(p, 100 * PAGE));
    EXPECT_EQ(0, munmap(p + 400 * PAGE, 112 * PAGE));
    before = minor_faults();
    before = minor_faults();
    byte = p[250 * PAGE];
    byte = p[100 * PAGE];
    byte = p[399 * PAGE];
    (void)byte;
    EXPECT_EQ(1, minor_faults() - before);
}

TEST(the_window_is_cut_by_the_mapping)
{
    with_setting(expect_window);
}

static void expect_write_faults(void)
{
    char *p = new_mapping(MAP_SHARED);
    long before;

    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_EQ(7, set("2097152"));
    before = minor_faults();
    before = minor_faults();
    for (unsigned long at = 0; at < TABLE; at += PAGE) {
        ((volatile char *)p)[at] = 1;
    }
    EXPECT_EQ(512, minor_faults() - before);
}

TEST(a_writer_brings_nothing_along)
{
    with_setting(expect_write_faults);
}

static void expect_rounding(void)
{
    static const struct {
        const char *written;
        const char *read;
    } cases[] = {
        {"0", "4096\n"},          {"1", "4096\n"},
        {"4095\n", "4096\n"},     {"8191", "4096\n"},
        {"12288", "8192\n"},      {"65535", "32768\n"},
        {"2097151", "1048576\n"}, {"2097152\n", "2097152\n"},
        {"2101247", "2097152\n"}, {"0x10000", "65536\n"},
        {"010000", "4096\n"},     {"+16384", "16384\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EXPECT_EQ((long)strlen(cases[i].written), set(cases[i].written));
        EXPECT_EQ(0, strcmp(cases[i].read, setting()));
    }
}

TEST(a_value_is_rounded_down_to_a_power_of_two_of_pages)
{
    with_setting(expect_rounding);
}

static void expect_refusals(void)
{
    static const char *const wrong[] = {"2101248", "18446744073709551615",
                                        "-1",      "abc",
                                        "4096x",   "4096\n\n",
                                        " 4096",   "4096 ",
                                        "64K",     "\n",
                                        "0x",      "09"};

    EXPECT_EQ(5, set("16384"));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        EXPECT_ERRNO(EINVAL, set(wrong[i]));
    }
    EXPECT_ERRNO(ERANGE, set("18446744073709551616"));
    EXPECT_EQ(0, strcmp("16384\n", setting()));
}

TEST(what_is_no_number_or_too_large_is_refused)
{
    with_setting(expect_refusals);
}

TEST(it_is_for_user_0_alone)
{
    struct stat st;

    EXPECT_EQ(0, strcmp(DEFAULT, setting()));
    EXPECT_EQ(0, stat(SETTING, &st));
    EXPECT_EQ(S_IFREG | 0644, st.st_mode);
    EXPECT_EQ(0, stat(DEBUGFS, &st));
    EXPECT_EQ(S_IFDIR | 0700, st.st_mode);
    EXPECT_EQ(0, setuid(1000));
    EXPECT_ERRNO(EACCES, open(SETTING, O_RDONLY));
    EXPECT_ERRNO(EACCES, open(SETTING, O_WRONLY));
}

TEST(a_second_debugfs_shows_the_same)
{
    static const char place[] = "/tmp/fault_around";
    struct stat st;

    EXPECT_EQ(0, strcmp(DEFAULT, setting()));
    ASSERT_EQ(0, mkdir(place, 0700));
    EXPECT_EQ(0, mount("debugfs", place, "debugfs", 0, NULL));
    EXPECT_EQ(0, stat("/tmp/fault_around/fault_around_bytes", &st));
    EXPECT_EQ(0, umount(place));
    EXPECT_EQ(0, rmdir(place));
    EXPECT_ERRNO(EBUSY, mount("debugfs", DEBUGFS, "debugfs", 0, NULL));
    EXPECT_EQ(0, strcmp(DEFAULT, setting()));
}

UTEST_MAIN
