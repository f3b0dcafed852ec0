/*
 * memfd_create(2) and its seals; extents of files: fallocate(2), holes, truncation under mappings;
 * what the settings of /proc/sys/vm do to both. As on Linux 6.12.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "seal"
#include "utest.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif
#define NOEXEC_SEAL    8u
#define EXEC           0x10u
#define ALL_WRITE      (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
#define COLLAPSE_RANGE 8
#define ZERO_RANGE     0x10

static int new_memfd(unsigned flags)
{
    return (int)syscall(SYS_memfd_create, "seal", flags);
}

static int sealed(int seals)
{
    int fd = new_memfd(MFD_ALLOW_SEALING);

    EXPECT_EQ(0, ftruncate(fd, 4 * PAGE));
    EXPECT_EQ(3, pwrite(fd, "abc", 3, 0));
    EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, seals));
    return fd;
}

#define EXPECT_ALLOWED(is_allowed, call) EXPECT_EQ((is_allowed) ? 0 : EPERM, (call) < 0 ? errno : 0)

static void *map_error(void *p)
{
    return p == MAP_FAILED ? (void *)-1 : NULL;
}

TEST(each_set_of_seals_forbids_what_it_says)
{
    for (int seals = 0; seals < F_SEAL_EXEC; seals++) {
        int fd = sealed(seals);
        int may_write = (seals & ALL_WRITE) == 0;
        int may_grow = (seals & F_SEAL_GROW) == 0;
        char *p;

        EXPECT_EQ(seals, fcntl(fd, F_GET_SEALS));
        EXPECT_ALLOWED(may_write, pwrite(fd, "x", 1, 10));
        EXPECT_ALLOWED(may_write && may_grow, pwrite(fd, "x", 1, 4 * PAGE));
        EXPECT_ALLOWED((seals & F_SEAL_SHRINK) == 0, ftruncate(fd, 3 * PAGE));
        EXPECT_ALLOWED(may_grow, ftruncate(fd, 5 * PAGE));
        EXPECT_ALLOWED(1, ftruncate(fd, lseek(fd, 0, SEEK_END)));
        EXPECT_ALLOWED(may_write,
                       fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
        EXPECT_ALLOWED(1, fallocate(fd, 0, 0, PAGE));
        EXPECT_ALLOWED(may_grow, fallocate(fd, 0, 0, 9 * PAGE));
        EXPECT_ALLOWED(may_grow, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 12 * PAGE));
        EXPECT_ALLOWED(may_write, (long)map_error(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0)));
        EXPECT_ALLOWED(1, (long)map_error(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0)));
        p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
        EXPECT_EQ(may_write ? 0 : EACCES, mprotect(p, PAGE, RW) < 0 ? errno : 0);
        EXPECT_ALLOWED((seals & F_SEAL_SEAL) == 0, fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
        close(fd);
    }
}

TEST(a_writable_mapping_keeps_the_write_seal_away)
{
    int fd = sealed(0);
    char *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);

    EXPECT_ERRNO(EBUSY, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    EXPECT_ERRNO(EPERM, pwrite(fd, "a", 1, 0));
    p[0] = 'm';
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_READ));
    EXPECT_ERRNO(EBUSY, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    EXPECT_EQ(0, munmap(p, PAGE));
    EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
}

TEST(a_sealed_mode_stays_and_seals_the_contents_of_programs)
{
    struct stat st;
    int fd = new_memfd(NOEXEC_SEAL);

    EXPECT_EQ(F_SEAL_EXEC, fcntl(fd, F_GET_SEALS));
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ(0666, st.st_mode & 07777);
    EXPECT_ERRNO(EPERM, fchmod(fd, 0777));
    EXPECT_EQ(0, fchmod(fd, 0600));
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ(0600, st.st_mode & 07777);
    EXPECT_EQ(0, st.st_nlink);
    fd = sealed(0);
    EXPECT_EQ(0, fchmod(fd, 0700));
    EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC));
    EXPECT_EQ(F_SEAL_EXEC | F_SEAL_SHRINK | F_SEAL_GROW | ALL_WRITE, fcntl(fd, F_GET_SEALS));
    EXPECT_ERRNO(EPERM, fchmod(fd, 0600));
    EXPECT_EQ(0, fchmod(fd, 0700));
    fd = sealed(0);
    EXPECT_TRUE(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0) != MAP_FAILED);
    EXPECT_ERRNO(EBUSY, fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC));
    EXPECT_EQ(0, fcntl(fd, F_GET_SEALS));
}

TEST(memfd_create_checks_flags_and_name)
{
    char name[251];

    memset(name, 'n', sizeof(name));
    name[250] = '\0';
    EXPECT_ERRNO(EINVAL, syscall(SYS_memfd_create, name, 0));
    name[249] = '\0';
    EXPECT_TRUE(syscall(SYS_memfd_create, name, 0) >= 0);
    EXPECT_ERRNO(EFAULT, syscall(SYS_memfd_create, 1ul, 0));
    EXPECT_ERRNO(EINVAL, new_memfd(EXEC | NOEXEC_SEAL));
    EXPECT_ERRNO(EINVAL, new_memfd(0x20));
    EXPECT_ERRNO(EINVAL, new_memfd(0x80000000));
    EXPECT_EQ(F_SEAL_SEAL, fcntl(new_memfd(0), F_GET_SEALS));
    EXPECT_EQ(F_SEAL_SEAL, fcntl(new_memfd(EXEC), F_GET_SEALS));
    EXPECT_EQ(0, fcntl(new_memfd(EXEC | MFD_ALLOW_SEALING), F_GET_SEALS));
    EXPECT_EQ(FD_CLOEXEC, fcntl(new_memfd(MFD_CLOEXEC), F_GETFD));
}

TEST(seals_are_added_through_a_writable_descriptor)
{
    int fd = sealed(0);
    int ends[2];
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int reader = open(path, O_RDONLY);
    EXPECT_ERRNO(EPERM, fcntl(reader, F_ADD_SEALS, F_SEAL_GROW));
    EXPECT_EQ(0, fcntl(reader, F_GET_SEALS));
    EXPECT_ERRNO(EINVAL, fcntl(fd, F_ADD_SEALS, 0x40));
    EXPECT_ERRNO(EINVAL, fcntl(fd, F_ADD_SEALS, -1));
    EXPECT_EQ(0, pipe(ends));
    EXPECT_ERRNO(EINVAL, fcntl(ends[0], F_GET_SEALS));
}

/* --- extents ---------------------------------------------------------------------------------- */

static int new_file(unsigned long nr_pages)
{
    char name[] = "/tmp/extentXXXXXX";
    int fd = mkstemp(name);

    unlink(name);
    EXPECT_EQ(0, ftruncate(fd, (off_t)(nr_pages * PAGE)));
    return fd;
}

static void check_fallocate(int fd)
{
    struct stat st;

    EXPECT_ERRNO(EINVAL, fallocate(fd, 0, -1, PAGE));
    EXPECT_ERRNO(EINVAL, fallocate(fd, 0, 0, 0));
    EXPECT_ERRNO(EINVAL, fallocate(fd, 0, PAGE, -1));
    EXPECT_ERRNO(EFBIG, fallocate(fd, 0, 0x7fffffffffffffff, 1));
    EXPECT_ERRNO(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE));
    EXPECT_ERRNO(EOPNOTSUPP, fallocate(fd, COLLAPSE_RANGE, 0, PAGE));
    EXPECT_ERRNO(EOPNOTSUPP, fallocate(fd, ZERO_RANGE, 0, PAGE));
    EXPECT_EQ(0, fallocate(fd, 0, PAGE, PAGE));
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ(4 * PAGE, st.st_size);
    EXPECT_EQ(8, st.st_blocks);
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 4 * PAGE, PAGE));
    EXPECT_EQ(0, fallocate(fd, 0, 5 * PAGE, 1));
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ(5 * PAGE + 1, st.st_size);
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1ul << 40));
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ(0, st.st_blocks);
}

static long blocks(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? (long)st.st_blocks : -1;
}

/* What was allocated behind the end waits there, empty, until the file grows or is cut off. */
static void check_kept(int fd)
{
    char byte = 'x';

    EXPECT_EQ(0, ftruncate(fd, PAGE));
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 2 * PAGE, 2 * PAGE));
    EXPECT_EQ(16, blocks(fd));
    EXPECT_EQ(PAGE, lseek(fd, 0, SEEK_END));
    EXPECT_EQ(0, pread(fd, &byte, 1, 2 * PAGE));
    EXPECT_ERRNO(ENXIO, lseek(fd, 2 * PAGE, SEEK_DATA));
    EXPECT_EQ(1, pwrite(fd, &byte, 1, PAGE));
    EXPECT_EQ(24, blocks(fd));
    EXPECT_EQ(0, ftruncate(fd, 3 * PAGE));
    EXPECT_EQ(24, blocks(fd));
    EXPECT_EQ(1, pread(fd, &byte, 1, 2 * PAGE));
    EXPECT_EQ(0, byte);
    EXPECT_ERRNO(EFAULT, pwrite(fd, (void *)8, 1, 5 * PAGE));
    EXPECT_EQ(24, blocks(fd));
    EXPECT_EQ(0, ftruncate(fd, 3 * PAGE));
    EXPECT_EQ(16, blocks(fd));
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 8 * PAGE, PAGE));
    EXPECT_EQ(24, blocks(fd));
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8 * PAGE, PAGE));
    EXPECT_EQ(16, blocks(fd));
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 8 * PAGE, PAGE));
    EXPECT_EQ(0, ftruncate(fd, 0));
    EXPECT_EQ(0, blocks(fd));
}

TEST(fallocate_keeps_pages_behind_the_end)
{
    check_kept(new_file(0));
    check_kept(new_memfd(0));
}

TEST(fallocate_does_what_its_mode_says)
{
    check_fallocate(new_file(4));
    check_fallocate(sealed(0) >= 0 ? ({
        int fd = new_memfd(0);
        EXPECT_EQ(0, ftruncate(fd, 4 * PAGE));
        fd;
    })
                                   : -1);
    EXPECT_ERRNO(EBADF, fallocate(-1, 0, 0, PAGE));
    EXPECT_ERRNO(EBADF, fallocate(open("/etc/passwd", O_RDONLY), 0, 0, PAGE));
}

static void check_holes(int fd)
{
    EXPECT_EQ(0, ftruncate(fd, 16 * PAGE));
    EXPECT_EQ(1, pwrite(fd, "x", 1, 3 * PAGE + 5));
    EXPECT_EQ(1, pwrite(fd, "x", 1, 9 * PAGE));
    EXPECT_EQ(3 * PAGE, lseek(fd, 0, SEEK_DATA));
    EXPECT_EQ(3 * PAGE + 7, lseek(fd, 3 * PAGE + 7, SEEK_DATA));
    EXPECT_EQ(9 * PAGE, lseek(fd, 4 * PAGE, SEEK_DATA));
    EXPECT_ERRNO(ENXIO, lseek(fd, 10 * PAGE, SEEK_DATA));
    EXPECT_EQ(3, lseek(fd, 3, SEEK_HOLE));
    EXPECT_EQ(4 * PAGE, lseek(fd, 3 * PAGE + 7, SEEK_HOLE));
    EXPECT_EQ(10 * PAGE, lseek(fd, 9 * PAGE, SEEK_HOLE));
    EXPECT_EQ(0, ftruncate(fd, 9 * PAGE + 1));
    EXPECT_EQ(9 * PAGE + 1, lseek(fd, 9 * PAGE, SEEK_HOLE));
    EXPECT_ERRNO(ENXIO, lseek(fd, 16 * PAGE, SEEK_HOLE));
    EXPECT_ERRNO(ENXIO, lseek(fd, -1, SEEK_DATA));
}

TEST(data_and_holes_are_found)
{
    int empty = new_file(2);

    check_holes(new_file(0));
    check_holes(new_memfd(0));
    EXPECT_ERRNO(ENXIO, lseek(empty, 0, SEEK_DATA));
    EXPECT_EQ(5, lseek(empty, 5, SEEK_HOLE));
}

static int is_in_memory(char *p)
{
    unsigned char byte = 0;

    EXPECT_EQ(0, mincore(p, PAGE, &byte));
    return byte & 1;
}

/* Pages 2 to 9 of a file are allocated, and count as holes until somebody uses them. */
static void check_allocated_holes(int fd)
{
    volatile char *p = mmap(NULL, 16 * PAGE, RW, MAP_SHARED, fd, 0);
    volatile char *private = mmap(NULL, 16 * PAGE, RW, MAP_PRIVATE, fd, 0);
    struct stat st;
    char byte = 1;

    EXPECT_EQ(0, ftruncate(fd, 16 * PAGE));
    EXPECT_EQ(0, fallocate(fd, 0, 2 * PAGE, 8 * PAGE));
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ((long)(8 * PAGE / 512), st.st_blocks);
    EXPECT_ERRNO(ENXIO, lseek(fd, 0, SEEK_DATA));
    EXPECT_EQ(2 * PAGE, lseek(fd, 2 * PAGE, SEEK_HOLE));
    EXPECT_EQ(1, pread(fd, &byte, 1, 3 * PAGE));
    EXPECT_EQ(0, byte);
    EXPECT_ERRNO(ENXIO, lseek(fd, 0, SEEK_DATA));
    EXPECT_FALSE(is_in_memory((char *)p + 3 * PAGE));

    EXPECT_EQ(1, pwrite(fd, "x", 1, 4 * PAGE + 9));
    EXPECT_EQ(4 * PAGE, lseek(fd, 0, SEEK_DATA));
    EXPECT_EQ(5 * PAGE, lseek(fd, 4 * PAGE, SEEK_HOLE));
    EXPECT_TRUE(is_in_memory((char *)p + 4 * PAGE));
    /* What is not used yet does not come along with what is read beside it. */
    byte = p[6 * PAGE];
    EXPECT_EQ(0, byte);
    EXPECT_EQ(6 * PAGE, lseek(fd, 5 * PAGE, SEEK_DATA));
    EXPECT_EQ(7 * PAGE, lseek(fd, 6 * PAGE, SEEK_HOLE));
    EXPECT_FALSE(is_in_memory((char *)p + 7 * PAGE));
    byte = private[2 * PAGE];
    EXPECT_EQ(2 * PAGE, lseek(fd, 0, SEEK_DATA));
    private[9 * PAGE] = 1;
    EXPECT_EQ(9 * PAGE, lseek(fd, 7 * PAGE, SEEK_DATA));
    EXPECT_EQ(0, p[9 * PAGE]);

    /* A second allocation makes what the first one left data, a punched hole is one again. */
    EXPECT_EQ(0, fallocate(fd, 0, 7 * PAGE, 4 * PAGE));
    EXPECT_EQ(6 * PAGE, lseek(fd, 6 * PAGE, SEEK_DATA));
    EXPECT_EQ(10 * PAGE, lseek(fd, 6 * PAGE, SEEK_HOLE));
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 6 * PAGE, 2 * PAGE));
    EXPECT_EQ(8 * PAGE, lseek(fd, 6 * PAGE, SEEK_DATA));
    EXPECT_EQ(0, ftruncate(fd, 3 * PAGE));
    EXPECT_EQ(3 * PAGE, lseek(fd, 2 * PAGE, SEEK_HOLE));
    munmap((char *)p, 16 * PAGE);
    munmap((char *)private, 16 * PAGE);
    close(fd);
}

TEST(what_is_allocated_is_a_hole_until_it_is_used)
{
    check_allocated_holes(new_file(0));
    check_allocated_holes(new_memfd(0));
}

/* --- settings --------------------------------------------------------------------------------- */

static int set(const char *name, const char *value)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/sys/vm/%s", name);
    int fd = open(path, O_WRONLY);
    int error = fd < 0 || write(fd, value, strlen(value)) < 0 ? errno : 0;
    close(fd);
    return error;
}

TEST(memfd_noexec_decides_for_those_who_do_not_say)
{
    struct stat st;

    if (set("memfd_noexec", "1") == ENOENT) {
        SKIP("this kernel has no such setting");
    }
    int fd = new_memfd(0);
    EXPECT_EQ(F_SEAL_EXEC, fcntl(fd, F_GET_SEALS));
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ(0666, st.st_mode & 07777);
    EXPECT_EQ(F_SEAL_SEAL, fcntl(new_memfd(EXEC), F_GET_SEALS));
    EXPECT_EQ(0, set("memfd_noexec", "2"));
    EXPECT_ERRNO(EACCES, new_memfd(EXEC));
    EXPECT_TRUE(new_memfd(0) >= 0);
    EXPECT_EQ(EINVAL, set("memfd_noexec", "3"));
    EXPECT_EQ(0, set("memfd_noexec", "0"));
}

TEST(max_map_count_bounds_the_mappings)
{
    int nr = 0;

    EXPECT_EQ(0, set("max_map_count", "100"));
    EXPECT_EQ(EINVAL, set("max_map_count", "-1"));
    while (nr < 200 && mmap(NULL, PAGE, nr & 1 ? PROT_READ : RW, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                            0) != MAP_FAILED) {
        nr++;
    }
    EXPECT_EQ(ENOMEM, errno);
    EXPECT_LE(80, nr);
    EXPECT_LE(nr, 100);
    EXPECT_EQ(0, set("max_map_count", "65530"));
}

static int big_map(unsigned long bytes, int flags)
{
    void *p = mmap(NULL, bytes, RW, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

    if (p == MAP_FAILED) {
        return errno;
    }
    munmap(p, bytes);
    return 0;
}

TEST(overcommit_modes_say_what_may_be_promised)
{
    unsigned long much = 1ul << 34;
    char *p;

    EXPECT_EQ(0, set("overcommit_memory", "0"));
    EXPECT_EQ(ENOMEM, big_map(1ul << 40, 0));
    EXPECT_EQ(0, big_map(1ul << 40, MAP_NORESERVE));
    EXPECT_EQ(0, set("overcommit_memory", "1"));
    EXPECT_EQ(0, big_map(1ul << 40, 0));
    EXPECT_EQ(0, set("overcommit_memory", "2"));
    EXPECT_EQ(ENOMEM, big_map(much, 0));
    EXPECT_EQ(ENOMEM, big_map(much, MAP_NORESERVE));
    p = mmap(NULL, much, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_TRUE(p != MAP_FAILED);
    EXPECT_ERRNO(ENOMEM, mprotect(p, much, RW));
    EXPECT_TRUE(mmap(NULL, much, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    EXPECT_EQ(0, set("overcommit_kbytes", "33554432"));
    EXPECT_EQ(0, big_map(much, 0));
    EXPECT_EQ(0, set("overcommit_ratio", "50"));
    EXPECT_EQ(ENOMEM, big_map(much, 0));
    EXPECT_EQ(0, set("overcommit_memory", " 0 \n"));
    EXPECT_EQ(EINVAL, set("overcommit_memory", "3"));
    EXPECT_EQ(EINVAL, set("overcommit_memory", "x"));
}

UTEST_MAIN
