/*
 * /dev/gup_test: each command, what it tells, what it refuses, and that a long-term pin stays in
 * step with its address whatever becomes of it.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "gup"
#include "utest.h"
#include "gup_device.h"

#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static const unsigned long commands[] = {GUP_FAST_BENCHMARK,     PIN_FAST_BENCHMARK,
                                         PIN_LONGTERM_BENCHMARK, GUP_BASIC_TEST,
                                         PIN_BASIC_TEST,         DUMP_USER_PAGES_TEST};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static char *map(size_t nr_pages)
{
    char *p = mmap(NULL, nr_pages * PAGE, RW, ANON, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static struct gup_test test_of(const void *p, size_t nr_pages, unsigned per_call, unsigned flags)
{
    struct gup_test test = {.addr = (uintptr_t)p,
                            .size = nr_pages * PAGE,
                            .nr_pages_per_call = per_call,
                            .gup_flags = flags};

    return test;
}

TEST(each_command_takes_all_pages)
{
    int fd = gup_open();

    for (size_t i = 0; i < NR_COMMANDS; i++) {
        for (unsigned flags = 0; flags <= FOLL_WRITE; flags++) {
            char *p = map(100);
            struct gup_test test = test_of(p, 100, 7, flags);

            EXPECT_EQ(0, ioctl(fd, commands[i], &test));
            EXPECT_EQ(100 * PAGE, test.size);
            EXPECT_EQ((uintptr_t)p, test.addr);
            EXPECT_EQ(0, munmap(p, 100 * PAGE));
        }
    }
}

TEST(memory_is_the_same_afterwards)
{
    int fd = gup_open();
    char *p = map(10);

    for (size_t i = 0; i < 10 * PAGE; i++) {
        p[i] = (char)(i * 7);
    }
    for (size_t i = 0; i < NR_COMMANDS; i++) {
        struct gup_test test = test_of(p, 10, 3, FOLL_WRITE);

        EXPECT_EQ(0, ioctl(fd, commands[i], &test));
    }
    for (size_t i = 0; i < 10 * PAGE; i += 61) {
        EXPECT_EQ((char)(i * 7), p[i]);
    }
}

/* J14. */
TEST(a_hole_ends_the_run_and_the_size_tells_where)
{
    int fd = gup_open();

    for (size_t i = 0; i < NR_COMMANDS; i++) {
        char *p = map(8);
        struct gup_test test = test_of(p, 8, 1, 0);

        EXPECT_EQ(0, munmap(p + 5 * PAGE, PAGE));
        EXPECT_EQ(0, ioctl(fd, commands[i], &test));
        EXPECT_EQ(5 * PAGE, test.size);
        /* A call that gets fewer pages than it wanted counts whole, and is the last one. */
        test = test_of(p, 8, 2, 0);
        EXPECT_EQ(0, ioctl(fd, commands[i], &test));
        EXPECT_EQ(6 * PAGE, test.size);
        test = test_of(p + 5 * PAGE, 1, 1, 0);
        EXPECT_EQ(0, ioctl(fd, commands[i], &test));
        EXPECT_EQ(0, test.size);
    }
}

/* J5. */
TEST(protection_counts)
{
    int fd = gup_open();
    char *p = map(2);
    struct gup_test test = test_of(p, 1, 1, FOLL_WRITE);

    EXPECT_EQ(0, mprotect(p, PAGE, PROT_READ));
    EXPECT_EQ(0, ioctl(fd, PIN_FAST_BENCHMARK, &test));
    EXPECT_EQ(0, test.size);
    test = test_of(p, 1, 1, 0);
    EXPECT_EQ(0, ioctl(fd, PIN_BASIC_TEST, &test));
    EXPECT_EQ(PAGE, test.size);
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_NONE));
    test = test_of(p, 1, 1, 0);
    EXPECT_EQ(0, ioctl(fd, PIN_FAST_BENCHMARK, &test));
    EXPECT_EQ(0, test.size);
}

/* J1. */
TEST(flags_that_are_the_kernels_own_take_nothing)
{
    int fd = gup_open();
    char *p = map(1);
    struct gup_test test = test_of(p, 1, 1, 1u << 18);

    EXPECT_EQ(0, ioctl(fd, PIN_BASIC_TEST, &test));
    EXPECT_EQ(0, test.size);
    test = test_of(p, 1, 1, 1u << 8); /* FOLL_LONGTERM without a pin */
    EXPECT_EQ(0, ioctl(fd, GUP_BASIC_TEST, &test));
    EXPECT_EQ(0, test.size);
}

TEST(breaking_cow_can_be_asked_for)
{
    int fd = gup_open();
    char *p = map(1);
    struct gup_test test = test_of(p, 1, 1, FOLL_BREAK_COW);

    p[0] = 1;
    if (fork() == 0) {
        int is_ok = ioctl(fd, GUP_BASIC_TEST, &test) == 0 && test.size == PAGE && p[0] == 1;

        p[0] = 2;
        _exit(is_ok ? 0 : 1);
    }
    EXPECT_EQ(0, ioctl(fd, GUP_FAST_BENCHMARK, &test));
    EXPECT_EQ(PAGE, test.size);
    EXPECT_EQ(1, p[0]);
    int status = -1;
    wait(&status);
    EXPECT_EQ(0, status);
    EXPECT_EQ(1, p[0]);
}

TEST(dumping_forgets_pages_that_were_not_taken)
{
    int fd = gup_open();
    char *p = map(3);
    struct gup_test test = test_of(p, 3, 3, 0);

    test.which_pages[0] = 1;
    test.which_pages[1] = 3;
    test.which_pages[2] = 4;
    test.test_flags = DUMP_PAGES_USE_PIN;
    EXPECT_EQ(0, ioctl(fd, DUMP_USER_PAGES_TEST, &test));
    EXPECT_EQ(1, test.which_pages[0]);
    EXPECT_EQ(3, test.which_pages[1]);
    EXPECT_EQ(0, test.which_pages[2]);
}

TEST(commands_check_their_argument)
{
    int fd = gup_open();
    char *p = map(1);
    struct gup_test test = test_of(p, 1, 1, 0);

    EXPECT_ERRNO(EFAULT, ioctl(fd, GUP_FAST_BENCHMARK, 16));
    EXPECT_ERRNO(EINVAL, ioctl(fd, _IOWR('g', 77, struct gup_test), &test));
    EXPECT_ERRNO(EINVAL, ioctl(fd, 0, &test));
    test.size = ~0ull;
    EXPECT_ERRNO(EINVAL, ioctl(fd, PIN_FAST_BENCHMARK, &test));
    test.size = 1ull << 46;
    EXPECT_ERRNO(ENOMEM, ioctl(fd, PIN_FAST_BENCHMARK, &test));
    test.size = 0;
    EXPECT_EQ(0, ioctl(fd, PIN_FAST_BENCHMARK, &test));
    EXPECT_EQ(0, test.size);
    /* Only the result cannot be told. */
    struct gup_test *read_only = mmap(NULL, PAGE, RW, ANON, -1, 0);

    *read_only = test_of(p, 1, 1, 0);
    EXPECT_EQ(0, mprotect(read_only, PAGE, PROT_READ));
    EXPECT_ERRNO(EFAULT, ioctl(fd, GUP_BASIC_TEST, read_only));
}

TEST(the_device_can_do_nothing_but_ioctl)
{
    int fd = gup_open();
    char byte;

    EXPECT_ERRNO(EINVAL, read(fd, &byte, 1));
    EXPECT_ERRNO(EINVAL, write(fd, &byte, 1));
    EXPECT_ERRNO(ESPIPE, lseek(fd, 0, SEEK_SET));
    EXPECT_ERRNO(ENODEV, (long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
}

TEST(the_device_is_for_the_superuser)
{
    int status = -1;

    close(gup_open());
    if (fork() == 0) {
        setuid(1000);
        _exit(gup_open_flags(O_RDWR) < 0 ? errno : 0);
    }
    wait(&status);
    EXPECT_EQ(EACCES, WEXITSTATUS(status));
}

TEST(it_has_linux_s_path_too)
{
    struct pin_longterm_test pin = {(uintptr_t)map(1), PAGE, 0};
    int fd = gup_open();
    int other = open(GUP_DEBUGFS "/gup_test", O_RDWR);
    struct stat st;

    ASSERT_TRUE(other >= 0);
    EXPECT_EQ(0, fstat(other, &st));
    EXPECT_EQ(0600, st.st_mode & 07777);
    EXPECT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_START, &pin));
    EXPECT_ERRNO(EINVAL, ioctl(other, PIN_LONGTERM_TEST_START, &pin));
    EXPECT_EQ(0, ioctl(other, PIN_LONGTERM_TEST_STOP));
}

/* Long-term pins. */

static char shown[8 * PAGE];

static int start(int fd, void *p, size_t nr_pages, unsigned flags)
{
    struct pin_longterm_test pin = {(uintptr_t)p, nr_pages * PAGE, flags};

    return ioctl(fd, PIN_LONGTERM_TEST_START, &pin);
}

static const char *pinned(int fd)
{
    uint64_t to = (uintptr_t)shown;

    memset(shown, 0, sizeof(shown));
    EXPECT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_READ, &to));
    return shown;
}

TEST(long_pins_check_their_arguments)
{
    int fd = gup_open();
    char *p = map(2);
    uint64_t to = (uintptr_t)shown;

    EXPECT_ERRNO(EINVAL, ioctl(fd, PIN_LONGTERM_TEST_READ, &to));
    EXPECT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_STOP));
    EXPECT_ERRNO(EFAULT, ioctl(fd, PIN_LONGTERM_TEST_START, 16));
    EXPECT_ERRNO(EINVAL, start(fd, p + 1, 1, 0));
    EXPECT_ERRNO(EINVAL, start(fd, p, 0, 0));
    EXPECT_ERRNO(EINVAL, start(fd, p, 1, 4));
    EXPECT_ERRNO(EINVAL, start(fd, p, 1ul << 51, 0));
    EXPECT_EQ(0, start(fd, p, 1, 0));
    EXPECT_ERRNO(EINVAL, start(fd, p, 1, 0));
    EXPECT_ERRNO(EFAULT, ioctl(fd, PIN_LONGTERM_TEST_READ, 16));
    to = 16;
    EXPECT_ERRNO(EFAULT, ioctl(fd, PIN_LONGTERM_TEST_READ, &to));
    EXPECT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_STOP));
}

/* J13. */
TEST(a_long_pin_of_a_hole_fails_whole)
{
    int fd = gup_open();
    char *p = map(3);

    EXPECT_EQ(0, munmap(p + PAGE, PAGE));
    for (unsigned flags = 0; flags < 4; flags++) {
        EXPECT_ERRNO(EFAULT, start(fd, p, 3, flags));
        EXPECT_EQ(0, start(fd, p, 1, flags));
        EXPECT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_STOP));
    }
}

TEST(the_last_close_ends_the_pins)
{
    int fd = gup_open();
    char *p = map(1);

    EXPECT_EQ(0, start(fd, p, 1, LONGTERM_USE_WRITE));
    close(fd);
    fd = gup_open();
    EXPECT_EQ(0, start(fd, p, 1, LONGTERM_USE_WRITE));
    EXPECT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_STOP));
}

/* H3, HT4. */
TEST(a_long_pin_sees_and_shows_every_write)
{
    for (unsigned flags = 0; flags < 4; flags++) {
        int fd = gup_open();
        char *p = map(2);

        EXPECT_EQ(0, start(fd, p, 2, flags));
        EXPECT_EQ(0, pinned(fd)[0]);
        strcpy(p + PAGE, "written");
        EXPECT_EQ(0, strcmp(pinned(fd) + PAGE, "written"));
        if (fork() == 0) {
            strcpy(p + PAGE, "child's");
            _exit(0);
        }
        wait(NULL);
        EXPECT_EQ(0, strcmp(pinned(fd) + PAGE, "written"));
        strcpy(p + PAGE, "again");
        EXPECT_EQ(0, strcmp(pinned(fd) + PAGE, "again"));
        close(fd);
    }
}

TEST(a_long_pin_outlives_its_mapping)
{
    int fd = gup_open();
    char *p = map(1);

    strcpy(p, "still here");
    EXPECT_EQ(0, start(fd, p, 1, 0));
    EXPECT_EQ(0, munmap(p, PAGE));
    EXPECT_EQ(0, strcmp(pinned(fd), "still here"));
    EXPECT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_STOP));
}

TEST(a_pin_of_dropped_memory_is_out_of_step)
{
    int fd = gup_open();
    char *p = map(1);

    strcpy(p, "old");
    EXPECT_EQ(0, start(fd, p, 1, LONGTERM_USE_WRITE));
    EXPECT_EQ(0, madvise(p, PAGE, MADV_DONTNEED));
    strcpy(p, "new");
    EXPECT_EQ(0, strcmp(pinned(fd), "old"));
    EXPECT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_STOP));
}

/* J8. */
TEST(a_long_read_pin_of_a_private_file_page_is_a_copy)
{
    int device = gup_open();
    int fd = memfd_create("file", 0);
    char *p;

    EXPECT_EQ(5, write(fd, "file.", 5));
    EXPECT_EQ(0, ftruncate(fd, PAGE));
    p = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
    EXPECT_EQ('f', p[0]);
    EXPECT_EQ(0, start(device, p, 1, 0));
    EXPECT_EQ(5, pwrite(fd, "FILE.", 5, 0));
    EXPECT_EQ(0, strcmp(pinned(device), "file."));
    EXPECT_EQ(0, strcmp(p, "file."));
    strcpy(p, "mine");
    EXPECT_EQ(0, strcmp(pinned(device), "mine"));
    EXPECT_EQ(0, ioctl(device, PIN_LONGTERM_TEST_STOP));
}

TEST(a_long_pin_of_shared_file_memory_is_the_file)
{
    int device = gup_open();
    int fd = memfd_create("file", 0);
    char *p;

    EXPECT_EQ(0, ftruncate(fd, PAGE));
    p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    EXPECT_EQ(0, start(device, p, 1, LONGTERM_USE_WRITE | LONGTERM_USE_FAST));
    EXPECT_EQ(4, pwrite(fd, "file", 4, 0));
    EXPECT_EQ(0, strcmp(pinned(device), "file"));
    /* A hole takes the page away from the file, not from the holder. */
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
    EXPECT_EQ(0, strcmp(pinned(device), "file"));
    EXPECT_EQ(0, p[0]);
    EXPECT_EQ(0, ioctl(device, PIN_LONGTERM_TEST_STOP));
}

UTEST_MAIN
