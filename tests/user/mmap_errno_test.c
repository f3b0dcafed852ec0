/*
 * What mmap(2) says to every kind of file, sharing and protection, and to every flag, as Linux 6.12
 * says it; and which pages are there afterwards.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "mmap_errno"
#include "utest.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

enum { NR_TYPES = 6, NR_PROTS = 5 };

static const int types[NR_TYPES] = {0, MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE, 4, 15};
static const int prots[NR_PROTS] = {PROT_NONE, PROT_READ, PROT_WRITE, RW, PROT_READ | PROT_EXEC};

#define ALL(error)                                                                                 \
    {                                                                                              \
        error, error, error, error, error                                                          \
    }
/* What cannot be had without the right to write, and what with it. */
#define WRITING(error, otherwise)                                                                  \
    {                                                                                              \
        otherwise, otherwise, error, error, otherwise                                              \
    }
#define BAD_TYPES ALL(EINVAL), ALL(EINVAL)

struct kind {
    const char *name;
    int fd;
    int expected[NR_TYPES][NR_PROTS];
};

static struct kind kinds[] = {
    {"no descriptor", -1, {ALL(EBADF), ALL(EBADF), ALL(EBADF), ALL(EBADF), ALL(EBADF), ALL(EBADF)}},
    {"file", 0, {ALL(EINVAL), ALL(0), ALL(0), ALL(0), BAD_TYPES}},
    {"file to be read",
     0,
     {ALL(EINVAL), WRITING(EACCES, 0), ALL(0), WRITING(EACCES, 0), BAD_TYPES}},
    {"file to be written", 0, {ALL(EINVAL), ALL(EACCES), ALL(EACCES), ALL(EACCES), BAD_TYPES}},
    {"path", 0, {ALL(EBADF), ALL(EBADF), ALL(EBADF), ALL(EBADF), ALL(EBADF), ALL(EBADF)}},
    {"directory",
     0,
     {ALL(EINVAL), WRITING(EACCES, ENODEV), ALL(ENODEV), WRITING(EACCES, ENODEV), BAD_TYPES}},
    {"pipe",
     0,
     {ALL(EINVAL), WRITING(EACCES, ENODEV), ALL(ENODEV), WRITING(EACCES, ENODEV), BAD_TYPES}},
    {"memfd", 0, {ALL(EINVAL), ALL(0), ALL(0), ALL(0), BAD_TYPES}},
    {"/dev/zero", 0, {ALL(EINVAL), ALL(0), ALL(0), ALL(0), BAD_TYPES}},
    {"/dev/null", 0, {ALL(EINVAL), ALL(ENODEV), ALL(ENODEV), ALL(ENODEV), BAD_TYPES}},
};

static int new_file(void)
{
    char name[] = "/tmp/mmapXXXXXX";
    int fd = mkstemp(name);

    EXPECT_EQ(0, ftruncate(fd, 4 * PAGE));
    kinds[2].fd = open(name, O_RDONLY);
    kinds[3].fd = open(name, O_WRONLY);
    kinds[4].fd = open(name, O_PATH);
    unlink(name);
    return fd;
}

static void open_kinds(void)
{
    int ends[2] = {-1, -1};

    kinds[1].fd = new_file();
    kinds[5].fd = open("/tmp", O_RDONLY);
    EXPECT_EQ(0, pipe(ends));
    kinds[6].fd = ends[0];
    kinds[7].fd = memfd_create("kind", 0);
    EXPECT_EQ(0, ftruncate(kinds[7].fd, 4 * PAGE));
    kinds[8].fd = open("/dev/zero", O_RDWR);
    kinds[9].fd = open("/dev/null", O_RDWR);
}

/* The error of a mapping that is undone at once. */
static int map_error(unsigned long len, int prot, int flags, int fd, unsigned long offset)
{
    long p = syscall(SYS_mmap, 0, len, prot, flags, fd, offset);
    int error = p == -1 ? errno : 0;

    if (p != -1) {
        munmap((void *)p, len);
    }
    return error;
}

TEST(each_kind_of_file_has_its_errors)
{
    open_kinds();
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (int t = 0; t < NR_TYPES; t++) {
            for (int p = 0; p < NR_PROTS; p++) {
                int error = map_error(PAGE, prots[p], types[t], kinds[k].fd, 0);

                if (error != kinds[k].expected[t][p]) {
                    printf("# %s, type %d, protection %d\n", kinds[k].name, types[t], prots[p]);
                }
                EXPECT_EQ(kinds[k].expected[t][p], error);
            }
        }
    }
}

/* MAP_ANONYMOUS asks for no file, whatever is passed. */
TEST(anonymous_memory_is_shared_or_private)
{
    open_kinds();
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (int t = 0; t < NR_TYPES; t++) {
            int is_known = types[t] == MAP_SHARED || types[t] == MAP_PRIVATE;

            EXPECT_EQ(is_known ? 0 : EINVAL,
                      map_error(PAGE, RW, types[t] | MAP_ANONYMOUS, kinds[k].fd, 0));
        }
    }
}

TEST(protection_bits_that_mean_nothing_are_passed_over)
{
    EXPECT_EQ(0, map_error(PAGE, 8, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_EQ(0, map_error(PAGE, 0x10, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_EQ(0, map_error(PAGE, PROT_GROWSDOWN, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_EQ(0, map_error(PAGE, PROT_GROWSUP, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

TEST(offsets_are_whole_pages_and_do_not_wrap)
{
    static const struct {
        unsigned long offset;
        int error;
    } rows[] = {
        {1, EINVAL},
        {PAGE - 1, EINVAL},
        {3 * PAGE, 0},
        {100 * PAGE, 0},
        {1ul << 62, 0},
        {(1ul << 63) - PAGE, EOVERFLOW},
        {1ul << 63, EOVERFLOW},
        {-PAGE, EOVERFLOW},
    };

    open_kinds();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EXPECT_EQ(rows[i].error,
                  map_error(2 * PAGE, PROT_READ, MAP_SHARED, kinds[1].fd, rows[i].offset));
    }
}

TEST(lengths_are_rounded_up_and_bounded)
{
    static const struct {
        unsigned long len;
        int error;
    } rows[] = {
        {0, EINVAL},         {1, 0},
        {PAGE - 1, 0},       {1ul << 46, 0},
        {1ul << 47, ENOMEM}, {(1ul << 47) - PAGE, ENOMEM},
        {1ul << 63, ENOMEM}, {-1ul, ENOMEM},
        {-PAGE, ENOMEM},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EXPECT_EQ(rows[i].error, map_error(rows[i].len, PROT_NONE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    }
}

TEST(fixed_addresses_are_checked)
{
    static const struct {
        unsigned long addr;
        int error;
    } rows[] = {
        {1, EINVAL},
        {PAGE - 1, EINVAL},
        {0x10000, 0},
        {0x700000000000, 0},
        {0x7ffffffff000, ENOMEM},
        {0x800000000000, ENOMEM},
        {-PAGE, ENOMEM},
        {-1ul, EPERM},
        {-2ul, ENOENT},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int flag = 0; flag < 2; flag++) {
            long p = syscall(SYS_mmap, rows[i].addr, PAGE, RW,
                             MAP_PRIVATE | MAP_ANONYMOUS | (flag ? MAP_FIXED_NOREPLACE : MAP_FIXED),
                             -1, 0);

            EXPECT_EQ(rows[i].error, p == -1 ? errno : 0);
            if (p != -1) {
                EXPECT_EQ(0, munmap((void *)p, PAGE));
            }
        }
    }
}

/* How many of two pages are in memory after mmap() with the flags, or -errno. */
static int resident(int flags, int fd)
{
    unsigned char there[2] = {0, 0};
    char *p = mmap(NULL, 2 * PAGE, RW, flags, fd, 0);

    if (p == MAP_FAILED) {
        return -errno;
    }
    EXPECT_EQ(0, mincore(p, 2 * PAGE, there));
    EXPECT_EQ(0, munmap(p, 2 * PAGE));
    return (there[0] & 1) + (there[1] & 1);
}

TEST(populate_and_locked_bring_pages_in_and_nonblock_does_not)
{
    int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    int shared = MAP_SHARED | MAP_ANONYMOUS;

    open_kinds();
    EXPECT_EQ(0, resident(anonymous, -1));
    EXPECT_EQ(2, resident(anonymous | MAP_POPULATE, -1));
    EXPECT_EQ(0, resident(anonymous | MAP_POPULATE | MAP_NONBLOCK, -1));
    EXPECT_EQ(2, resident(anonymous | MAP_LOCKED, -1));
    EXPECT_EQ(2, resident(anonymous | MAP_LOCKED | MAP_NONBLOCK, -1));
    EXPECT_EQ(2, resident(shared | MAP_POPULATE, -1));
    EXPECT_EQ(2, resident(shared | MAP_LOCKED, -1));
    EXPECT_EQ(2, resident(MAP_SHARED | MAP_POPULATE, kinds[7].fd));
    EXPECT_EQ(2, resident(MAP_PRIVATE | MAP_POPULATE, kinds[7].fd));
    EXPECT_EQ(0, resident(anonymous | MAP_STACK | MAP_NORESERVE | MAP_DENYWRITE, -1));
}

TEST(flags_that_a_file_does_not_know_are_refused_if_they_are_to_be_checked)
{
    int unknown = 0x200000;

    open_kinds();
    EXPECT_EQ(0, map_error(PAGE, RW, MAP_SHARED | unknown, kinds[1].fd, 0));
    EXPECT_EQ(0, map_error(PAGE, RW, MAP_PRIVATE | unknown, kinds[1].fd, 0));
    EXPECT_EQ(EOPNOTSUPP, map_error(PAGE, RW, MAP_SHARED_VALIDATE | unknown, kinds[1].fd, 0));
    EXPECT_EQ(EOPNOTSUPP, map_error(PAGE, RW, MAP_SHARED_VALIDATE | MAP_SYNC, kinds[1].fd, 0));
    EXPECT_EQ(0, map_error(PAGE, RW, MAP_SHARED | MAP_SYNC, kinds[1].fd, 0));
    EXPECT_EQ(EINVAL, map_error(PAGE, RW, MAP_SHARED | MAP_GROWSDOWN, kinds[1].fd, 0));
    EXPECT_EQ(EINVAL, map_error(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
}

UTEST_MAIN
