/* openat2(2): what it refuses, and how RESOLVE_ flags restrict the way of a path. */
#define _GNU_SOURCE
#define UTEST_SUITE "resolve"
#include "utest.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CALL_OPENAT2 437

#define NO_XDEV       0x01
#define NO_MAGICLINKS 0x02
#define NO_SYMLINKS   0x04
#define BENEATH       0x08
#define IN_ROOT       0x10
#define CACHED        0x20

/* With room for what a later system may have added. */
struct how {
    unsigned long flags;
    unsigned long mode;
    unsigned long resolve;
    unsigned long later;
};

#define HOW_SIZE 24ul

static int dir = AT_FDCWD;

static int open2(int at, const char *path, unsigned long flags, unsigned long mode,
                 unsigned long resolve, unsigned long size)
{
    struct how how = {.flags = flags, .mode = mode, .resolve = resolve};

    return (int)syscall(CALL_OPENAT2, at, path, &how, size);
}

/* Opened for reading: 0 or the error. */
static int try(int at, const char *path, unsigned long resolve)
{
    int fd = open2(at, path, O_RDONLY, 0, resolve, HOW_SIZE);

    if (fd < 0) {
        return errno;
    }
    close(fd);
    return 0;
}

/*
 * /tmp/resolve/
 *   file, sub/file, sub/up -> ../file, sub/out -> ../../resolve_out, sub/root -> /file,
 *   here -> sub, away -> /tmp
 * /tmp/resolve_out
 */
static void make_tree(void)
{
    close(open("/tmp/resolve_out", O_CREAT | O_WRONLY, 0600));
    (void)mkdir("/tmp/resolve", 0700);
    (void)mkdir("/tmp/resolve/sub", 0700);
    close(open("/tmp/resolve/file", O_CREAT | O_WRONLY, 0600));
    close(open("/tmp/resolve/sub/file", O_CREAT | O_WRONLY, 0600));
    (void)!symlink("../file", "/tmp/resolve/sub/up");
    (void)!symlink("../../resolve_out", "/tmp/resolve/sub/out");
    (void)!symlink("/file", "/tmp/resolve/sub/root");
    (void)!symlink("sub", "/tmp/resolve/here");
    (void)!symlink("/tmp", "/tmp/resolve/away");
    dir = open("/tmp/resolve", O_RDONLY | O_DIRECTORY);
}

TEST(without_restrictions_it_is_openat)
{
    make_tree();
    EXPECT_EQ(0, try(dir, "file", 0));
    EXPECT_EQ(0, try(dir, "sub/out", 0));
    EXPECT_EQ(ENOENT, try(dir, "sub/root", 0));
    EXPECT_EQ(ENOENT, try(dir, "", 0));
    EXPECT_EQ(EBADF, try(-1, "file", 0));
}

TEST(what_openat_passes_over_is_refused)
{
    struct how how = {.later = 1};

    make_tree();
    EXPECT_ERRNO(EINVAL, open2(dir, "file", O_RDONLY, 0, 0, HOW_SIZE - 1));
    EXPECT_ERRNO(E2BIG, open2(dir, "file", O_RDONLY, 0, 0, 4097));
    EXPECT_TRUE(open2(dir, "file", O_RDONLY, 0, 0, sizeof(how)) >= 0);
    EXPECT_ERRNO(E2BIG, syscall(CALL_OPENAT2, dir, "file", &how, sizeof(how)));
    EXPECT_ERRNO(EFAULT, syscall(CALL_OPENAT2, dir, "file", (void *)8, HOW_SIZE));
    EXPECT_ERRNO(EINVAL, open2(dir, "file", 1ul << 40, 0, 0, HOW_SIZE));
    EXPECT_ERRNO(EINVAL, open2(dir, "file", O_RDONLY, 0600, 0, HOW_SIZE));
    EXPECT_ERRNO(EINVAL, open2(dir, "new", O_RDWR | O_CREAT, 010600, 0, HOW_SIZE));
    EXPECT_ERRNO(EINVAL, open2(dir, "file", O_PATH | O_RDWR, 0, 0, HOW_SIZE));
    EXPECT_ERRNO(EINVAL, open2(dir, "file", O_RDONLY, 0, 0x40, HOW_SIZE));
    EXPECT_ERRNO(EINVAL, open2(dir, "file", O_RDONLY, 0, BENEATH | IN_ROOT, HOW_SIZE));
}

TEST(no_symlinks_follows_none)
{
    make_tree();
    EXPECT_EQ(0, try(dir, "sub/../file", NO_SYMLINKS));
    EXPECT_EQ(ELOOP, try(dir, "sub/up", NO_SYMLINKS));
    EXPECT_EQ(ELOOP, try(dir, "here/file", NO_SYMLINKS));
    EXPECT_EQ(ELOOP, try(AT_FDCWD, "/proc/self/fd/0", NO_SYMLINKS));
    /* A link that is itself wanted is not followed. */
    EXPECT_TRUE(open2(dir, "here", O_PATH | O_NOFOLLOW, 0, NO_SYMLINKS, HOW_SIZE) >= 0);
    EXPECT_ERRNO(ELOOP, open2(dir, "here/file", O_PATH | O_NOFOLLOW, 0, NO_SYMLINKS, HOW_SIZE));
}

TEST(beneath_never_leaves_its_start)
{
    make_tree();
    EXPECT_EQ(0, try(dir, "sub/../file", BENEATH));
    EXPECT_EQ(0, try(dir, "sub/up", BENEATH));
    EXPECT_EQ(0, try(dir, "here/file", BENEATH));
    EXPECT_EQ(EXDEV, try(dir, "..", BENEATH));
    EXPECT_EQ(EXDEV, try(dir, "sub/../../resolve/file", BENEATH));
    EXPECT_EQ(EXDEV, try(dir, "sub/out", BENEATH));
    EXPECT_EQ(EXDEV, try(dir, "sub/root", BENEATH));
    EXPECT_EQ(EXDEV, try(dir, "/tmp/resolve/file", BENEATH));
    EXPECT_EQ(ENOENT, try(dir, "sub/none", BENEATH));
    /* What is created stays below as well. */
    EXPECT_ERRNO(EXDEV, open2(dir, "../new", O_RDWR | O_CREAT, 0600, BENEATH, HOW_SIZE));
    EXPECT_ERRNO(ENOENT, access("/tmp/new", F_OK));
}

TEST(in_root_takes_its_start_for_the_root)
{
    struct stat inside;
    struct stat found;
    int fd;

    make_tree();
    EXPECT_EQ(0, fstatat(dir, "file", &inside, 0));
    fd = open2(dir, "sub/root", O_RDONLY, 0, IN_ROOT, HOW_SIZE);
    EXPECT_EQ(0, fstat(fd, &found));
    EXPECT_EQ(inside.st_ino, found.st_ino);
    fd = open2(dir, "/../../file", O_RDONLY, 0, IN_ROOT, HOW_SIZE);
    EXPECT_EQ(0, fstat(fd, &found));
    EXPECT_EQ(inside.st_ino, found.st_ino);
    EXPECT_EQ(ENOENT, try(dir, "sub/out", IN_ROOT));
    EXPECT_EQ(ENOENT, try(dir, "away", IN_ROOT));
    EXPECT_EQ(EBADF, try(-1, "/file", IN_ROOT));
    EXPECT_EQ(0, chdir("/tmp/resolve/sub"));
    EXPECT_EQ(0, try(AT_FDCWD, "/file", IN_ROOT));
    EXPECT_EQ(ENOENT, try(AT_FDCWD, "/sub/file", IN_ROOT));
}

TEST(no_xdev_stays_in_its_mount)
{
    int proc = open("/proc", O_RDONLY | O_DIRECTORY);

    make_tree();
    EXPECT_EQ(0, try(dir, "sub/up", NO_XDEV));
    EXPECT_EQ(0, try(AT_FDCWD, "/etc/passwd", NO_XDEV));
    EXPECT_EQ(EXDEV, try(AT_FDCWD, "/proc/uptime", NO_XDEV));
    EXPECT_EQ(EXDEV, try(AT_FDCWD, "/proc", NO_XDEV));
    EXPECT_EQ(0, try(proc, "uptime", NO_XDEV));
    EXPECT_EQ(0, try(proc, "self/status", NO_XDEV));
    EXPECT_EQ(EXDEV, try(proc, "..", NO_XDEV));
    EXPECT_EQ(EXDEV, try(proc, "self/cwd", NO_XDEV));
}

TEST(no_magiclinks_follows_only_those_that_are_paths)
{
    char path[64];
    int proc = open("/proc", O_RDONLY | O_DIRECTORY);
    int ends[2];

    make_tree();
    EXPECT_EQ(0, pipe(ends));
    EXPECT_EQ(0, try(dir, "here/up", NO_MAGICLINKS));
    EXPECT_EQ(0, try(AT_FDCWD, "/proc/self/status", NO_MAGICLINKS));
    EXPECT_EQ(ELOOP, try(AT_FDCWD, "/proc/self/exe", NO_MAGICLINKS));
    EXPECT_EQ(ELOOP, try(AT_FDCWD, "/proc/self/cwd", NO_MAGICLINKS));
    EXPECT_EQ(ELOOP, try(AT_FDCWD, "/proc/self/root/etc", NO_MAGICLINKS));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
    EXPECT_EQ(0, try(AT_FDCWD, path, 0));
    EXPECT_EQ(ELOOP, try(AT_FDCWD, path, NO_MAGICLINKS));
    EXPECT_EQ(EXDEV, try(proc, path + 6, BENEATH));
    EXPECT_EQ(EXDEV, try(proc, path + 6, IN_ROOT));
    EXPECT_EQ(EXDEV, try(proc, path + 6, NO_XDEV));
    snprintf(path, sizeof(path), "/proc/self/fd/%d/file", dir);
    EXPECT_EQ(0, try(AT_FDCWD, path, 0));
    EXPECT_EQ(ELOOP, try(AT_FDCWD, path, NO_MAGICLINKS));
    EXPECT_EQ(EXDEV, try(proc, path + 6, BENEATH));
}

TEST(cached_does_not_make_anything)
{
    make_tree();
    EXPECT_EQ(0, try(dir, "file", CACHED));
    EXPECT_ERRNO(EAGAIN, open2(dir, "new", O_RDWR | O_CREAT, 0600, CACHED, HOW_SIZE));
    EXPECT_ERRNO(EAGAIN, open2(dir, "file", O_RDWR | O_TRUNC, 0, CACHED, HOW_SIZE));
}

UTEST_MAIN
