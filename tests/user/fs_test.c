/* Regular files and special files: content, positions, mappings, devices, FIFOs, locks, times. */
#define _GNU_SOURCE
#define UTEST_SUITE "fs"
#include "utest.h"
#include "scratch.h"

#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>

#define TMPFS 0x01021994

#ifndef FALLOC_FL_COLLAPSE_RANGE
#define FALLOC_FL_COLLAPSE_RANGE 0x08
#endif

TEST(what_was_written_is_read)
{
    static char out[300000], in[sizeof(out)];

    enter();
    for (size_t i = 0; i < sizeof(out); i++) {
        out[i] = (char)(i * 31 + i / 4096);
    }
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    EXPECT_EQ(sizeof(out), write(fd, out, sizeof(out)));
    EXPECT_EQ(sizeof(out), lseek(fd, 0, SEEK_CUR));
    EXPECT_EQ(0, read(fd, in, 10));
    EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
    EXPECT_EQ(sizeof(in), read(fd, in, sizeof(in)));
    EXPECT_BYTES(out, in, sizeof(in));
    EXPECT_EQ(100, pread(fd, in, 100, 4090));
    EXPECT_BYTES(out + 4090, in, 100);
    EXPECT_EQ(sizeof(out), lseek(fd, 0, SEEK_CUR));
}

TEST(holes_read_as_zeroes_and_take_no_memory)
{
    struct stat st;
    char buf[8192];

    enter();
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    EXPECT_EQ(1, pwrite(fd, "x", 1, 1 << 20));
    ASSERT_EQ(0, fstat(fd, &st));
    EXPECT_EQ((1 << 20) + 1, st.st_size);
    EXPECT_EQ(8, st.st_blocks);
    memset(buf, 1, sizeof(buf));
    EXPECT_EQ(sizeof(buf), pread(fd, buf, sizeof(buf), 4096));
    for (size_t i = 0; i < sizeof(buf); i += 512) {
        EXPECT_EQ(0, buf[i]);
    }
    EXPECT_EQ(1, pread(fd, buf, 10, 1 << 20));
    EXPECT_EQ('x', buf[0]);
}

TEST(append_goes_to_the_end_whatever_the_position)
{
    char buf[16] = {0};

    enter();
    write_file("f", "12345");
    int first = open("f", O_RDWR | O_APPEND);
    int second = open("f", O_RDWR);
    EXPECT_EQ(2, pwrite(second, "67", 2, 5));
    EXPECT_EQ(1, write(first, "8", 1));
    EXPECT_EQ(8, lseek(first, 0, SEEK_CUR));
    EXPECT_EQ(8, pread(second, buf, sizeof(buf), 0));
    EXPECT_BYTES("12345678", buf, 8);
    EXPECT_EQ(0, fcntl(second, F_SETFL, O_APPEND));
    EXPECT_EQ(1, write(second, "9", 1));
    EXPECT_EQ(9, size_of("f"));
}

TEST(truncate_cuts_and_extends)
{
    char buf[8] = "zzzzzzz";

    enter();
    int fd = make_file("f", "abcdef");
    EXPECT_EQ(0, ftruncate(fd, 3));
    EXPECT_EQ(3, size_of("f"));
    EXPECT_EQ(0, ftruncate(fd, 6));
    EXPECT_EQ(6, pread(fd, buf, 8, 0));
    EXPECT_BYTES("abc\0\0\0", buf, 6);
    EXPECT_EQ(0, truncate("f", 1));
    EXPECT_EQ(1, size_of("f"));
    EXPECT_ERRNO(EINVAL, truncate("f", -1));
    EXPECT_ERRNO(ENOENT, truncate("none", 1));
    mkdir("d", 0755);
    EXPECT_ERRNO(EISDIR, truncate("d", 1));
    close(fd);
    fd = open("f", O_RDONLY);
    EXPECT_ERRNO(EINVAL, ftruncate(fd, 0));
}

TEST(seek_finds_its_places)
{
    enter();
    int fd = make_file("f", "0123456789");

    EXPECT_EQ(7, lseek(fd, -3, SEEK_END));
    EXPECT_EQ(5, lseek(fd, -2, SEEK_CUR));
    EXPECT_ERRNO(EINVAL, lseek(fd, -1, SEEK_SET));
    EXPECT_ERRNO(EINVAL, lseek(fd, -20, SEEK_CUR));
    EXPECT_EQ(5, lseek(fd, 0, SEEK_CUR));
    EXPECT_ERRNO(EINVAL, lseek(fd, 0, 99));
    EXPECT_EQ(1000, lseek(fd, 1000, SEEK_SET));
    EXPECT_EQ(10, size_of("f"));
}

TEST(vectors_gather_and_scatter)
{
    char a[3], b[4], c[10];
    struct iovec out[] = {{"abc", 3}, {"", 0}, {"defgh", 5}};
    struct iovec in[] = {{a, 3}, {b, 4}, {c, 10}};

    enter();
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    EXPECT_EQ(8, writev(fd, out, 3));
    EXPECT_EQ(8, preadv(fd, in, 3, 0));
    EXPECT_BYTES("abc", a, 3);
    EXPECT_BYTES("defg", b, 4);
    EXPECT_EQ('h', c[0]);
    EXPECT_EQ(8, pwritev(fd, out, 3, 2));
    EXPECT_EQ(10, size_of("f"));
    EXPECT_ERRNO(EINVAL, readv(fd, in, -1));
}

TEST(open_flags_decide)
{
    enter();
    mkdir("d", 0755);
    write_file("f", "x");
    EXPECT_EQ(0, symlink("f", "s"));
    EXPECT_ERRNO(ENOENT, open("none", O_RDONLY));
    EXPECT_ERRNO(EEXIST, open("f", O_CREAT | O_EXCL | O_RDWR, 0644));
    EXPECT_ERRNO(EEXIST, open("s", O_CREAT | O_EXCL | O_RDWR, 0644));
    EXPECT_ERRNO(ENOTDIR, open("f", O_DIRECTORY));
    EXPECT_ERRNO(ENOTDIR, open("f/x", O_RDONLY));
    EXPECT_ERRNO(EISDIR, open("d", O_WRONLY));
    EXPECT_ERRNO(EISDIR, open("d", O_CREAT | O_RDONLY, 0644));
    EXPECT_ERRNO(EISDIR, open("n/", O_CREAT | O_RDWR, 0644));
    EXPECT_ERRNO(ELOOP, open("s", O_NOFOLLOW));
    EXPECT_ERRNO(ENOTDIR, open("s", O_NOFOLLOW | O_DIRECTORY));
    EXPECT_ERRNO(EINVAL, open("d", O_CREAT | O_DIRECTORY | O_RDWR, 0644));
    EXPECT_ERRNO(ENOENT, open("", O_RDONLY));
    int fd = open("f", O_WRONLY | O_TRUNC);
    EXPECT_EQ(0, size_of("f"));
    EXPECT_ERRNO(EBADF, read(fd, &fd, 1));
    fd = open("f", O_RDONLY);
    EXPECT_ERRNO(EBADF, write(fd, "x", 1));
}

TEST(dangling_link_is_created_through)
{
    enter();
    EXPECT_EQ(0, mkdir("d", 0755));
    EXPECT_EQ(0, symlink("d/target", "s"));
    int fd = open("s", O_CREAT | O_WRONLY, 0644);
    EXPECT_NE(-1, fd);
    EXPECT_EQ(0, size_of("d/target"));
    EXPECT_ERRNO(ENOENT, open("s2", O_RDONLY));
    EXPECT_EQ(0, symlink("nodir/x", "s3"));
    EXPECT_ERRNO(ENOENT, open("s3", O_CREAT | O_WRONLY, 0644));
}

TEST(o_path_is_a_name_only)
{
    struct stat st;
    char buf[8];

    enter();
    write_file("f", "abc");
    EXPECT_EQ(0, symlink("f", "s"));
    int fd = open("f", O_PATH);
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ(3, st.st_size);
    EXPECT_ERRNO(EBADF, read(fd, buf, 1));
    EXPECT_ERRNO(EBADF, write(fd, buf, 1));
    EXPECT_ERRNO(EBADF, syscall(SYS_fchmod, fd, 0600));
    EXPECT_ERRNO(EBADF, ioctl(fd, FIONREAD, &fd));
    int link = open("s", O_PATH | O_NOFOLLOW);
    EXPECT_EQ(0, fstat(link, &st));
    EXPECT_TRUE(S_ISLNK(st.st_mode));
    EXPECT_EQ(1, readlinkat(link, "", buf, sizeof(buf)));
}

TEST(nameless_file_gets_a_name)
{
    char path[64];
    struct stat st;

    enter();
    int fd = open(".", O_TMPFILE | O_RDWR, 0640);
    ASSERT_TRUE(fd >= 0);
    EXPECT_EQ(5, write(fd, "hello", 5));
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ(0, st.st_nlink);
    EXPECT_EQ(0640, st.st_mode & 07777);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    EXPECT_EQ(0, linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    EXPECT_EQ(5, size_of("named"));
    EXPECT_EQ(1, nlink_of("named"));
    EXPECT_ERRNO(EINVAL, open(".", O_TMPFILE | O_RDONLY, 0644));
}

TEST(unlinked_file_lives_while_open)
{
    struct stat st;
    char buf[8] = {0};

    enter();
    int fd = make_file("f", "alive");
    EXPECT_EQ(0, unlink("f"));
    EXPECT_ERRNO(ENOENT, access("f", F_OK));
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ(0, st.st_nlink);
    EXPECT_EQ(5, pread(fd, buf, sizeof(buf), 0));
    EXPECT_BYTES("alive", buf, 5);
    EXPECT_EQ(1, pwrite(fd, "!", 1, 5));
    EXPECT_ERRNO(ENOENT, unlink("f"));
    EXPECT_ERRNO(EISDIR, unlink("."));
}

static long long ns_of(struct timespec time)
{
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

TEST(time_stamps_move_with_their_events)
{
    struct stat before, after;
    struct timespec pause = {.tv_nsec = 20000000};

    enter();
    int fd = make_file("f", "x");
    EXPECT_EQ(0, stat("f", &before));
    nanosleep(&pause, NULL);
    EXPECT_EQ(1, write(fd, "y", 1));
    EXPECT_EQ(0, stat("f", &after));
    EXPECT_TRUE(ns_of(after.st_mtim) > ns_of(before.st_mtim));
    EXPECT_EQ(ns_of(after.st_ctim), ns_of(after.st_mtim));
    nanosleep(&pause, NULL);
    EXPECT_EQ(0, chmod("f", 0600));
    EXPECT_EQ(0, stat("f", &before));
    EXPECT_EQ(ns_of(after.st_mtim), ns_of(before.st_mtim));
    EXPECT_TRUE(ns_of(before.st_ctim) > ns_of(after.st_ctim));
    EXPECT_EQ(0, stat(".", &before));
    nanosleep(&pause, NULL);
    EXPECT_EQ(0, unlink("f"));
    EXPECT_EQ(0, stat(".", &after));
    EXPECT_TRUE(ns_of(after.st_mtim) > ns_of(before.st_mtim));
}

TEST(time_stamps_are_set_as_told)
{
    struct timespec times[] = {{.tv_sec = 1000, .tv_nsec = 7}, {.tv_sec = -5, .tv_nsec = 9}};
    struct stat st;

    enter();
    write_file("f", "x");
    EXPECT_EQ(0, utimensat(AT_FDCWD, "f", times, 0));
    EXPECT_EQ(0, stat("f", &st));
    EXPECT_EQ(1000, st.st_atim.tv_sec);
    EXPECT_EQ(7, st.st_atim.tv_nsec);
    EXPECT_EQ(-5, st.st_mtim.tv_sec);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_nsec = UTIME_NOW;
    int fd = open("f", O_RDONLY);
    EXPECT_EQ(0, futimens(fd, times));
    EXPECT_EQ(0, stat("f", &st));
    EXPECT_EQ(1000, st.st_atim.tv_sec);
    EXPECT_TRUE(st.st_mtim.tv_sec > 1000);
    times[0].tv_nsec = 1000000000;
    EXPECT_ERRNO(EINVAL, utimensat(AT_FDCWD, "f", times, 0));
    EXPECT_EQ(0, symlink("f", "s"));
    times[0].tv_nsec = 0;
    EXPECT_EQ(0, utimensat(AT_FDCWD, "s", times, AT_SYMLINK_NOFOLLOW));
    EXPECT_EQ(0, lstat("s", &st));
    EXPECT_EQ(1000, st.st_atim.tv_sec);
}

TEST(mapping_and_file_are_one)
{
    char buf[8];

    enter();
    int fd = make_file("f", "0123456789");
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ASSERT_TRUE(map != MAP_FAILED);
    EXPECT_BYTES("0123456789", map, 10);
    map[0] = 'A';
    EXPECT_EQ(3, pread(fd, buf, 3, 0));
    EXPECT_BYTES("A12", buf, 3);
    EXPECT_EQ(1, pwrite(fd, "B", 1, 1));
    EXPECT_EQ('B', map[1]);
    EXPECT_EQ(0, map[100]);
    char *copy = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    ASSERT_TRUE(copy != MAP_FAILED);
    copy[2] = 'C';
    EXPECT_EQ('2', map[2]);
    EXPECT_EQ(0, munmap(copy, 4096));
    int reader = open("f", O_RDONLY);
    EXPECT_ERRNO(EACCES, (long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0));
    EXPECT_EQ(0, close(fd));
    EXPECT_EQ('B', map[1]);
}

static int truncated_fd;

static void touch_beyond_end(void)
{
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, truncated_fd, 0);

    map[4096] = 1;
    ftruncate(truncated_fd, 100);
    map[4096] = 2;
}

TEST(mapping_beyond_the_end_is_sigbus)
{
    enter();
    truncated_fd = make_file("f", "");
    EXPECT_EQ(0, ftruncate(truncated_fd, 8192));
    int status = utest_in_child(touch_beyond_end);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGBUS, WTERMSIG(status));
}

TEST(memory_devices)
{
    char buf[64];

    int null = open("/dev/null", O_RDWR);
    EXPECT_EQ(10, write(null, buf, 10));
    EXPECT_EQ(0, read(null, buf, 10));
    int zero = open("/dev/zero", O_RDWR);
    memset(buf, 1, sizeof(buf));
    EXPECT_EQ(sizeof(buf), read(zero, buf, sizeof(buf)));
    EXPECT_EQ(0, buf[0] | buf[63]);
    EXPECT_EQ(5, write(zero, buf, 5));
    int full = open("/dev/full", O_RDWR);
    EXPECT_ERRNO(ENOSPC, write(full, buf, 1));
    EXPECT_EQ(4, read(full, buf, 4));
    int random = open("/dev/urandom", O_RDONLY);
    EXPECT_EQ(32, read(random, buf, 32));
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    ASSERT_TRUE(map != MAP_FAILED);
    EXPECT_EQ(0, map[17]);
    map[17] = 1;
}

TEST(device_nodes_tell_their_numbers)
{
    struct stat st;

    EXPECT_EQ(0, stat("/dev/null", &st));
    EXPECT_TRUE(S_ISCHR(st.st_mode));
    EXPECT_EQ(makedev(1, 3), st.st_rdev);
    EXPECT_EQ(0666, st.st_mode & 0777);
    enter();
    EXPECT_EQ(0, mknod("null", S_IFCHR | 0600, makedev(1, 3)));
    int fd = open("null", O_RDWR);
    EXPECT_EQ(3, write(fd, "abc", 3));
    EXPECT_EQ(0, mknod("odd", S_IFCHR | 0600, makedev(250, 250)));
    EXPECT_ERRNO(ENXIO, open("odd", O_RDWR));
}

TEST(fifo_joins_two_processes)
{
    static char buf[200000];
    size_t done = 0;

    enter();
    EXPECT_EQ(0, mkfifo("p", 0644));
    EXPECT_ERRNO(ENXIO, open("p", O_WRONLY | O_NONBLOCK));
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open("p", O_WRONLY);
        memset(buf, 'w', sizeof(buf));
        _exit(write(fd, buf, sizeof(buf)) == (ssize_t)sizeof(buf) ? 0 : 1);
    }
    int fd = open("p", O_RDONLY);
    ASSERT_TRUE(fd >= 0);
    ssize_t got;
    while ((got = read(fd, buf, 7000)) > 0) {
        EXPECT_EQ('w', buf[got - 1]);
        done += (size_t)got;
    }
    EXPECT_EQ(0, got);
    EXPECT_EQ(sizeof(buf), done);
    int status;
    waitpid(pid, &status, 0);
    EXPECT_EQ(0, status);
}

TEST(fifo_tells_readiness)
{
    char byte;

    enter();
    EXPECT_EQ(0, mkfifo("p", 0644));
    int reader = open("p", O_RDONLY | O_NONBLOCK);
    int writer = open("p", O_WRONLY | O_NONBLOCK);
    struct pollfd wait = {.fd = reader, .events = POLLIN};
    EXPECT_EQ(0, poll(&wait, 1, 0));
    EXPECT_ERRNO(EAGAIN, read(reader, &byte, 1));
    EXPECT_EQ(1, write(writer, "x", 1));
    EXPECT_EQ(1, poll(&wait, 1, 1000));
    EXPECT_EQ(POLLIN, wait.revents);
    EXPECT_EQ(1, read(reader, &byte, 1));
    close(writer);
    EXPECT_EQ(1, poll(&wait, 1, 1000));
    EXPECT_EQ(POLLHUP, wait.revents);
    EXPECT_EQ(0, read(reader, &byte, 1));
}

TEST(flock_belongs_to_the_open_file)
{
    enter();
    int first = make_file("f", "x");
    int second = open("f", O_RDWR);
    EXPECT_EQ(0, flock(first, LOCK_EX));
    EXPECT_ERRNO(EWOULDBLOCK, flock(second, LOCK_SH | LOCK_NB));
    int copy = dup(first);
    EXPECT_EQ(0, flock(copy, LOCK_UN));
    EXPECT_EQ(0, flock(second, LOCK_SH | LOCK_NB));
    EXPECT_EQ(0, flock(first, LOCK_SH | LOCK_NB));
    EXPECT_ERRNO(EWOULDBLOCK, flock(first, LOCK_EX | LOCK_NB));
    EXPECT_ERRNO(EINVAL, flock(first, 0));
    close(second);
    EXPECT_EQ(0, flock(first, LOCK_EX | LOCK_NB));
}

TEST(fallocate_and_punch)
{
    struct stat st;
    char buf[4];

    enter();
    int fd = make_file("f", "x");
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65536));
    EXPECT_EQ(1, size_of("f"));
    EXPECT_EQ(0, fallocate(fd, 0, 0, 65536));
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ(65536, st.st_size);
    EXPECT_EQ(128, st.st_blocks);
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 32768));
    EXPECT_EQ(0, fstat(fd, &st));
    EXPECT_EQ(64, st.st_blocks);
    EXPECT_EQ(1, pread(fd, buf, 1, 0));
    EXPECT_EQ(0, buf[0]);
    EXPECT_ERRNO(EINVAL, fallocate(fd, 0, 0, 0));
    EXPECT_ERRNO(EOPNOTSUPP, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
}

TEST(file_systems_introduce_themselves)
{
    struct statfs fs;

    EXPECT_EQ(0, statfs("/tmp", &fs));
    EXPECT_EQ(TMPFS, fs.f_type);
    EXPECT_EQ(4096, fs.f_bsize);
    EXPECT_EQ(255, fs.f_namelen);
    EXPECT_TRUE(fs.f_blocks > 0 && fs.f_bfree <= fs.f_blocks);
    EXPECT_EQ(0, statfs("/proc", &fs));
    EXPECT_EQ(0x9fa0, fs.f_type);
    int fd = open("/tmp", O_RDONLY);
    EXPECT_EQ(0, fstatfs(fd, &fs));
    EXPECT_EQ(TMPFS, fs.f_type);
    EXPECT_ERRNO(ENOENT, statfs("/none", &fs));
}

TEST(copies_within_the_kernel)
{
    char buf[64] = {0};
    off_t from = 2;

    enter();
    int in = make_file("in", "0123456789");
    int out = open("out", O_RDWR | O_CREAT, 0644);
    EXPECT_EQ(5, sendfile(out, in, &from, 5));
    EXPECT_EQ(7, from);
    EXPECT_EQ(5, pread(out, buf, sizeof(buf), 0));
    EXPECT_BYTES("23456", buf, 5);
    off64_t at = 0;
    EXPECT_EQ(10, copy_file_range(in, &at, out, NULL, 100, 0));
    EXPECT_EQ(15, size_of("out"));
}

TEST(a_full_file_system_says_so)
{
    static char block[1 << 20];
    struct statfs fs;

    EXPECT_EQ(0, statfs("/dev/shm", &fs));
    if ((uint64_t)fs.f_bfree * fs.f_bsize > (64ull << 20)) {
        SKIP("the file system is too large to fill");
    }
    int fd = open("/dev/shm/fill", O_RDWR | O_CREAT, 0644);
    ssize_t done;
    while ((done = write(fd, block, sizeof(block))) > 0) {
        EXPECT_TRUE(done > 0);
    }
    int error = errno;
    close(fd);
    unlink("/dev/shm/fill");
    EXPECT_EQ(-1, done);
    EXPECT_EQ(ENOSPC, error);
}

UTEST_MAIN
