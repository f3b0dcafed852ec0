/*
 * Direct (DAX) devices and the file system on them: what mappings of the device itself see, what
 * truncation takes away, what survives an unmount. Where there is no such device everything is
 * skipped.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "dax"
#include "utest.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>

#define PAGE        ((size_t)4096)
#define RW          (PROT_READ | PROT_WRITE)
#define DEVICE      "/dev/dax0"
#define DIR         "/dax"
#define DAXFS_MAGIC 0x64617831
#define GUP_TEST    "/sys/kernel/debug/gup_test"

/* As in kernel/include/uapi/cowbell.h and gup_test.h. */
struct dax_info {
    uint64_t size;
    uint32_t number;
    uint32_t flags;
};

struct pin_test {
    uint64_t addr;
    uint64_t size;
    uint32_t flags;
    uint32_t pad;
};

#define DAX_INFO  _IOR('D', 1, struct dax_info)
#define PIN_START _IOW('g', 7, struct pin_test)
#define PIN_STOP  _IO('g', 8)
#define PIN_READ  _IOW('g', 9, uint64_t)
#define PIN_WRITE 1u

static sigjmp_buf fault_env;

static void on_fault(int signal)
{
    siglongjmp(fault_env, signal);
}

enum access { READ, WRITE };

/* The signal that an access to a byte gets, or 0. */
static int signal_of(volatile char *p, enum access access)
{
    int signal;

    sigaction(SIGSEGV, &(struct sigaction){.sa_handler = on_fault}, NULL);
    sigaction(SIGBUS, &(struct sigaction){.sa_handler = on_fault}, NULL);
    signal = sigsetjmp(fault_env, 1);
    if (signal == 0 && access == WRITE) {
        *p = 1;
    } else if (signal == 0) {
        (void)*p;
    }
    return signal;
}

static int open_device(void)
{
    int fd = open(DEVICE, O_RDWR);

    if (fd < 0) {
        SKIP("there is no direct device");
    }
    return fd;
}

static void need_file_system(void)
{
    struct statfs st;

    if (statfs(DIR, &st) != 0 || st.f_type != DAXFS_MAGIC) {
        SKIP("no direct device is mounted");
    }
}

/* A new file of some pages, page i filled with letter + i. Return: its descriptor. */
static int make_file(const char *path, size_t nr_pages, char letter)
{
    char bytes[PAGE];
    int fd;

    need_file_system();
    unlink(path);
    fd = open(path, O_CREAT | O_RDWR | O_EXCL, 0644);
    EXPECT_TRUE(fd >= 0);
    for (size_t i = 0; i < nr_pages; i++) {
        memset(bytes, letter + (char)i, PAGE);
        EXPECT_EQ(PAGE, pwrite(fd, bytes, PAGE, (off_t)(i * PAGE)));
    }
    return fd;
}

static char *map(int fd, size_t nr_pages, int flags)
{
    char *p = mmap(NULL, nr_pages * PAGE, RW, flags, fd, 0);

    return p == MAP_FAILED ? NULL : p;
}

static long blocks_of(int fd)
{
    struct stat st = {0};

    EXPECT_EQ(0, fstat(fd, &st));
    return st.st_blocks;
}

static bool is_all(const char *p, char letter, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != letter) {
            return false;
        }
    }
    return true;
}

/* --- the device ------------------------------------------------------------------------------ */

/* The device's last pages, which no file has got yet. */
static char *map_device_end(int fd, size_t nr_pages, int flags, off_t *offset)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *p;

    *offset = size - (off_t)(nr_pages * PAGE);
    p = mmap(NULL, nr_pages * PAGE, RW, flags, fd, *offset);
    return p == MAP_FAILED ? NULL : p;
}

TEST(device_tells_its_size)
{
    struct dax_info info = {0};
    int fd = open_device();
    struct stat st;

    EXPECT_EQ(0, ioctl(fd, DAX_INFO, &info));
    EXPECT_EQ(info.size, lseek(fd, 0, SEEK_END));
    EXPECT_TRUE(info.size > 0 && info.size % PAGE == 0);
    EXPECT_EQ(0, info.number);
    EXPECT_EQ(0, stat(DEVICE, &st));
    EXPECT_TRUE(S_ISCHR(st.st_mode));
    EXPECT_EQ(0600, st.st_mode & 0777);
    EXPECT_ERRNO(ENOTTY, ioctl(fd, PIN_STOP));
    EXPECT_ERRNO(EFAULT, ioctl(fd, DAX_INFO, NULL));
}

TEST(device_is_mapped_and_read_alike)
{
    char back[8] = {0};
    off_t offset;
    int fd = open_device();
    char *first = map_device_end(fd, 2, MAP_SHARED, &offset);
    char *second = map_device_end(fd, 2, MAP_SHARED, &offset);
    char *copy = map_device_end(fd, 2, MAP_PRIVATE, &offset);

    ASSERT_TRUE(first != NULL && second != NULL && copy != NULL);
    strcpy(first, "mapped");
    EXPECT_EQ(6, pread(fd, back, 6, offset));
    EXPECT_BYTES("mapped", back, 6);
    EXPECT_BYTES("mapped", second, 6);
    EXPECT_BYTES("mapped", copy, 6);
    EXPECT_EQ(7, pwrite(fd, "written", 7, offset + (off_t)PAGE));
    EXPECT_BYTES("written", second + PAGE, 7);
    strcpy(copy, "copied");
    EXPECT_BYTES("mapped", first, 6);
    strcpy(first, "again");
    EXPECT_BYTES("copied", copy, 6);
}

TEST(device_ends_where_it_ends)
{
    int fd = open_device();
    off_t size = lseek(fd, 0, SEEK_END);
    char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, size - (off_t)PAGE);
    char bytes[16] = {0};

    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_EQ(0, signal_of(p, WRITE));
    EXPECT_EQ(SIGBUS, signal_of(p + PAGE, READ));
    EXPECT_EQ(SIGBUS, signal_of(p + PAGE, WRITE));
    EXPECT_EQ(4, pwrite(fd, bytes, 16, size - 4));
    EXPECT_ERRNO(ENOSPC, pwrite(fd, bytes, 16, size));
    EXPECT_EQ(4, pread(fd, bytes, 16, size - 4));
    EXPECT_EQ(0, pread(fd, bytes, 16, size));
    EXPECT_ERRNO(EINVAL, ftruncate(fd, 0));
}

TEST(device_keeps_what_files_have_to_itself)
{
    char bytes[16];
    int fd = open_device();
    char *p = map(fd, 1, MAP_SHARED);

    need_file_system();
    ASSERT_TRUE(p != NULL);
    EXPECT_ERRNO(EBUSY, pread(fd, bytes, 16, 0));
    EXPECT_ERRNO(EBUSY, pwrite(fd, bytes, 16, 0));
    EXPECT_EQ(SIGBUS, signal_of(p, READ));
    EXPECT_EQ(SIGBUS, signal_of(p, WRITE));
}

static void open_as_somebody(void)
{
    EXPECT_EQ(0, setuid(1000));
    EXPECT_ERRNO(EACCES, open(DEVICE, O_RDONLY));
}

TEST(device_is_the_superusers)
{
    close(open_device());
    EXPECT_EQ(0, utest_in_child(open_as_somebody));
}

/* --- files ----------------------------------------------------------------------------------- */

TEST(file_is_mapped_and_read_alike)
{
    int fd = make_file(DIR "/alike", 2, 'a');
    char *first = map(fd, 2, MAP_SHARED);
    char *second = map(fd, 2, MAP_SHARED);
    char back[8] = {0};

    ASSERT_TRUE(first != NULL && second != NULL);
    EXPECT_TRUE(is_all(first, 'a', PAGE) && is_all(first + PAGE, 'b', PAGE));
    strcpy(first + PAGE, "mapped");
    EXPECT_BYTES("mapped", second + PAGE, 6);
    EXPECT_EQ(6, pread(fd, back, 6, (off_t)PAGE));
    EXPECT_BYTES("mapped", back, 6);
    EXPECT_EQ(7, pwrite(fd, "written", 7, 100));
    EXPECT_BYTES("written", first + 100, 7);
    EXPECT_EQ(0, msync(first, 2 * PAGE, MS_SYNC));
    EXPECT_EQ(0, fsync(fd));
    unlink(DIR "/alike");
}

TEST(private_write_makes_a_copy)
{
    int fd = make_file(DIR "/private", 2, 'a');
    char *copy = map(fd, 2, MAP_PRIVATE);
    char byte = 0;

    ASSERT_TRUE(copy != NULL);
    copy[0] = 'X';        /* without a look at it first */
    (void)copy[PAGE + 1]; /* and with one */
    copy[PAGE] = 'Y';
    EXPECT_TRUE(is_all(copy + 1, 'a', PAGE - 1) && is_all(copy + PAGE + 1, 'b', PAGE - 1));
    EXPECT_EQ(1, pread(fd, &byte, 1, 0));
    EXPECT_EQ('a', byte);
    EXPECT_EQ(1, pwrite(fd, "Z", 1, 1));
    EXPECT_EQ('a', copy[1]);
    unlink(DIR "/private");
}

TEST(holes_read_as_zero_and_take_no_room)
{
    int fd = make_file(DIR "/holes", 0, 0);
    int reader = open(DIR "/holes", O_RDONLY);
    char *copy, *shared;

    EXPECT_EQ(0, ftruncate(fd, 1 << 20));
    EXPECT_EQ(0, blocks_of(fd));
    shared = mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, reader, 0);
    copy = map(reader, 256, MAP_PRIVATE);
    ASSERT_TRUE(shared != MAP_FAILED && copy != NULL);
    EXPECT_TRUE(is_all(shared, 0, 1 << 20));
    copy[5 * PAGE] = 'x';
    EXPECT_TRUE(is_all(copy + 5 * PAGE + 1, 0, PAGE - 1));
    EXPECT_EQ(0, blocks_of(fd));
    /* A hole that is filled is seen through the zeros that were mapped. */
    EXPECT_EQ(1, pwrite(fd, "y", 1, (off_t)(7 * PAGE + 9)));
    EXPECT_EQ('y', shared[7 * PAGE + 9]);
    EXPECT_EQ(8, blocks_of(fd));
    unlink(DIR "/holes");
}

TEST(shared_mapping_of_a_sparse_file_can_be_written)
{
    int fd = make_file(DIR "/sparse", 0, 0);
    char *p;

    EXPECT_EQ(0, ftruncate(fd, (off_t)(4 * PAGE)));
    p = map(fd, 16, MAP_SHARED);
    ASSERT_TRUE(p != NULL);
    EXPECT_EQ(0, p[2 * PAGE]);
    p[2 * PAGE] = 'a';
    EXPECT_EQ(SIGBUS, signal_of(p + 4 * PAGE, WRITE));
    /* What the file gains is in the mapping, and can be written as well. */
    EXPECT_EQ(0, ftruncate(fd, (off_t)(6 * PAGE)));
    p[5 * PAGE] = 'b';
    EXPECT_EQ(1, pwrite(fd, "c", 1, (off_t)(9 * PAGE)));
    p[8 * PAGE] = 'd';
    EXPECT_EQ(SIGBUS, signal_of(p + 10 * PAGE, WRITE));
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)(3 * PAGE)));
    EXPECT_EQ(0, p[2 * PAGE]);
    p[2 * PAGE] = 'e';
    EXPECT_EQ('b', p[5 * PAGE]);
    unlink(DIR "/sparse");
}

TEST(truncation_revokes_mappings)
{
    int fd = make_file(DIR "/truncated", 3, 'a');
    char *shared = map(fd, 3, MAP_SHARED);
    char *copy = map(fd, 3, MAP_PRIVATE);

    ASSERT_TRUE(shared != NULL && copy != NULL);
    shared[2 * PAGE] = 'X';
    copy[2 * PAGE] = 'Y';
    EXPECT_EQ(0, ftruncate(fd, 100));
    EXPECT_EQ('a', shared[99]);
    EXPECT_EQ(0, shared[100]);
    EXPECT_EQ(SIGBUS, signal_of(shared + 2 * PAGE, READ));
    EXPECT_EQ(SIGBUS, signal_of(copy + 2 * PAGE, READ));
    EXPECT_EQ(SIGBUS, signal_of(copy + PAGE, WRITE));
    EXPECT_EQ(0, ftruncate(fd, (off_t)(3 * PAGE)));
    EXPECT_TRUE(is_all(shared + 100, 0, 3 * PAGE - 100));
    EXPECT_TRUE(is_all(copy + PAGE, 0, 2 * PAGE));
    unlink(DIR "/truncated");
}

TEST(punched_frames_are_given_back)
{
    int fd = make_file(DIR "/punched", 4, 'a');
    char *copy = map(fd, 4, MAP_PRIVATE);

    ASSERT_TRUE(copy != NULL);
    copy[PAGE] = 'X';
    EXPECT_EQ('c', copy[2 * PAGE]);
    EXPECT_EQ(32, blocks_of(fd));
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10, (off_t)(3 * PAGE)));
    EXPECT_EQ(16, blocks_of(fd));
    EXPECT_EQ('X', copy[PAGE]);
    EXPECT_EQ('b', copy[PAGE + 1]);
    EXPECT_TRUE(is_all(copy, 'a', 10) && is_all(copy + 10, 0, PAGE - 10));
    EXPECT_TRUE(is_all(copy + 2 * PAGE, 0, PAGE + 10));
    EXPECT_TRUE(is_all(copy + 3 * PAGE + 10, 'd', PAGE - 10));
    unlink(DIR "/punched");
}

TEST(allocated_frames_are_zero)
{
    int fd = make_file(DIR "/old", 64, 'a');
    char *p;

    close(fd);
    unlink(DIR "/old");
    sync();
    fd = make_file(DIR "/new", 0, 0);
    EXPECT_EQ(0, fallocate(fd, 0, 0, (off_t)(128 * PAGE)));
    EXPECT_EQ(128 * 8, blocks_of(fd));
    p = map(fd, 128, MAP_SHARED);
    ASSERT_TRUE(p != NULL);
    EXPECT_TRUE(is_all(p, 0, 128 * PAGE));
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)(130 * PAGE)));
    EXPECT_EQ(130 * 8, blocks_of(fd));
    EXPECT_EQ(128 * PAGE, lseek(fd, 0, SEEK_END));
    unlink(DIR "/new");
}

TEST(full_device_is_enospc_and_room_comes_back)
{
    int fd = make_file(DIR "/full", 0, 0);
    struct statfs before, after;
    off_t room;

    sync();
    EXPECT_EQ(0, statfs(DIR, &before));
    room = (off_t)(before.f_bfree * PAGE);
    EXPECT_ERRNO(ENOSPC, fallocate(fd, 0, 0, room + (off_t)PAGE));
    EXPECT_EQ(0, statfs(DIR, &after));
    EXPECT_EQ(0, after.f_bfree);
    EXPECT_EQ(100, pwrite(fd, (char[200]){0}, 200, room - 100));
    EXPECT_ERRNO(ENOSPC, pwrite(fd, "x", 1, room));
    EXPECT_EQ(0, ftruncate(fd, 0));
    EXPECT_EQ(0, statfs(DIR, &after));
    EXPECT_EQ(before.f_bfree, after.f_bfree);
    EXPECT_EQ(0, fallocate(fd, 0, 0, room));
    unlink(DIR "/full");
}

/* --- holders --------------------------------------------------------------------------------- */

TEST(unlinked_file_lives_as_long_as_its_mapping)
{
    int fd = make_file(DIR "/unlinked", 2, 'a');
    char *p = map(fd, 2, MAP_SHARED);
    int other;

    ASSERT_TRUE(p != NULL);
    unlink(DIR "/unlinked");
    close(fd);
    sync();
    other = make_file(DIR "/other", 8, 'o');
    EXPECT_TRUE(is_all(p, 'a', PAGE) && is_all(p + PAGE, 'b', PAGE));
    p[0] = 'X';
    EXPECT_EQ(0, munmap(p, 2 * PAGE));
    p = map(other, 8, MAP_SHARED);
    ASSERT_TRUE(p != NULL);
    EXPECT_TRUE(is_all(p, 'o', PAGE));
    unlink(DIR "/other");
}

TEST(longterm_pins_of_files_are_refused)
{
    int fd = make_file(DIR "/pinned", 1, 'a');
    int gup = open(GUP_TEST, O_RDWR);
    struct pin_test test = {.size = PAGE};
    char *device;
    off_t offset;

    if (gup < 0) {
        SKIP("there is no gup_test");
    }
    test.addr = (uintptr_t)map(fd, 1, MAP_SHARED);
    EXPECT_ERRNO(EOPNOTSUPP, ioctl(gup, PIN_START, &test));
    test.flags = PIN_WRITE;
    EXPECT_ERRNO(EOPNOTSUPP, ioctl(gup, PIN_START, &test));
    test.addr = (uintptr_t)map(fd, 1, MAP_PRIVATE);
    EXPECT_ERRNO(EOPNOTSUPP, ioctl(gup, PIN_START, &test));
    /* Nobody truncates the device itself. */
    device = map_device_end(open_device(), 1, MAP_SHARED, &offset);
    ASSERT_TRUE(device != NULL);
    test.addr = (uintptr_t)device;
    EXPECT_EQ(0, ioctl(gup, PIN_START, &test));
    EXPECT_EQ(0, ioctl(gup, PIN_STOP));
    unlink(DIR "/pinned");
}

TEST(other_processes_and_servers_reach_the_frames)
{
    int fd = make_file(DIR "/reached", 2, 'a');
    char *p = map(fd, 2, MAP_SHARED);
    char back[16] = {0};
    struct iovec near = {back, 8};
    struct iovec far;
    int tmp = open("/tmp/dax_reached", O_CREAT | O_RDWR | O_TRUNC, 0600);
    int pipes[2];

    ASSERT_TRUE(p != NULL && tmp >= 0);
    far = (struct iovec){p + PAGE, 8};
    EXPECT_EQ(8, process_vm_readv(getpid(), &near, 1, &far, 1, 0));
    EXPECT_BYTES("bbbbbbbb", back, 8);
    memcpy(back, "12345678", 8);
    EXPECT_EQ(8, process_vm_writev(getpid(), &near, 1, &far, 1, 0));
    EXPECT_BYTES("12345678", p + PAGE, 8);
    /* A server fills the mapping, and reads it. */
    EXPECT_EQ(5, write(tmp, "hello", 5));
    EXPECT_EQ(5, pread(tmp, p + PAGE - 2, 5, 0));
    EXPECT_BYTES("hello", p + PAGE - 2, 5);
    EXPECT_EQ(5, pwrite(tmp, p + PAGE - 2, 5, 100));
    EXPECT_EQ(5, pread(tmp, back, 5, 100));
    EXPECT_BYTES("hello", back, 5);
    EXPECT_EQ(0, pipe(pipes));
    EXPECT_EQ(5, write(pipes[1], p + PAGE - 2, 5));
    EXPECT_EQ(5, read(pipes[0], p, 5));
    EXPECT_BYTES("hello", p, 5);
    unlink("/tmp/dax_reached");
    unlink(DIR "/reached");
}

TEST(fork_shares_and_copies_as_it_should)
{
    int fd = make_file(DIR "/forked", 2, 'a');
    char *shared = map(fd, 2, MAP_SHARED);
    char *copy = map(fd, 2, MAP_PRIVATE);
    int status;

    ASSERT_TRUE(shared != NULL && copy != NULL);
    copy[0] = 'P';
    if (fork() == 0) {
        bool is_right = copy[0] == 'P' && copy[PAGE] == 'b';
        copy[0] = 'C';
        copy[PAGE] = 'C';
        shared[1] = 'C';
        _exit(is_right ? 0 : 1);
    }
    EXPECT_TRUE(wait(&status) > 0);
    EXPECT_EQ(0, status);
    EXPECT_EQ('P', copy[0]);
    EXPECT_EQ('b', copy[PAGE]);
    EXPECT_EQ('C', shared[1]);
    EXPECT_EQ('C', copy[PAGE] == 'b' ? shared[1] : 0);
    unlink(DIR "/forked");
}

TEST(programs_run_from_the_device)
{
    char bytes[8192];
    int from = open("/bin/busybox", O_RDONLY);
    int to = make_file(DIR "/busybox", 0, 0);
    ssize_t len;
    int status = -1;

    ASSERT_TRUE(from >= 0);
    while ((len = read(from, bytes, sizeof(bytes))) > 0) {
        EXPECT_EQ(len, write(to, bytes, (size_t)len));
    }
    EXPECT_EQ(0, fchmod(to, 0755));
    close(to);
    if (fork() == 0) {
        execl(DIR "/busybox", "expr", "6", "-", "6", (char *)NULL);
        _exit(99);
    }
    EXPECT_TRUE(wait(&status) > 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    unlink(DIR "/busybox");
}

/* --- truncation against faults --------------------------------------------------------------- */

#define ROUNDS 300

static _Atomic bool is_over;

/* The frames go from one file to the other and back. */
static void *move_frames(void *arg)
{
    const int *fds = arg;

    for (int i = 0; i < ROUNDS; i++) {
        char letter = i % 2 == 0 ? 'a' : 'b';
        char bytes[PAGE];

        memset(bytes, letter, PAGE);
        if (ftruncate(fds[1 - i % 2], 0) != 0 || pwrite(fds[i % 2], bytes, PAGE, 0) != (int)PAGE) {
            break;
        }
    }
    is_over = true;
    return NULL;
}

/* Is the byte the first file's, or gone? */
static bool is_ours(const volatile char *p)
{
    if (sigsetjmp(fault_env, 1) != 0) {
        return true;
    }
    return *p == 'a' || *p == 0;
}

/* Return: how often something strange was seen. */
static int look_once(int fd, const char *shared)
{
    char *copy = map(fd, 1, MAP_PRIVATE);
    int nr_strange = 0;

    if (copy == NULL) {
        return 1;
    }
    if (signal_of(copy + 100, WRITE) == 0) {
        nr_strange += !is_ours(copy + 200);
    }
    nr_strange += !is_ours(shared + 200);
    munmap(copy, PAGE);
    return nr_strange;
}

TEST(truncation_never_shows_another_files_bytes)
{
    int fds[] = {make_file(DIR "/a", 1, 'a'), make_file(DIR "/b", 0, 0)};
    char *shared = map(fds[0], 1, MAP_SHARED);
    pthread_t mover;
    int nr_strange = 0;

    ASSERT_TRUE(shared != NULL);
    EXPECT_EQ(0, pthread_create(&mover, NULL, move_frames, fds));
    (void)signal_of(shared, READ); /* sets the handlers up */
    while (!is_over) {
        nr_strange += look_once(fds[0], shared);
    }
    pthread_join(mover, NULL);
    EXPECT_EQ(0, nr_strange);
    unlink(DIR "/a");
    unlink(DIR "/b");
}

/* --- what lasts ------------------------------------------------------------------------------ */

static void make_things(void)
{
    int fd = make_file(DIR "/kept", 3, 'k');

    EXPECT_EQ(0, ftruncate(fd, (off_t)(100 * PAGE) + 5));
    EXPECT_EQ(4, pwrite(fd, "tail", 4, (off_t)(100 * PAGE)));
    close(fd);
    EXPECT_EQ(0, chmod(DIR "/kept", 0640));
    EXPECT_EQ(0, chown(DIR "/kept", 7, 8));
    EXPECT_EQ(0, mkdir(DIR "/dir", 0700));
    EXPECT_EQ(0, mkdir(DIR "/dir/below", 0755));
    EXPECT_EQ(0, link(DIR "/kept", DIR "/dir/below/second"));
    EXPECT_EQ(0, symlink("below/second", DIR "/dir/link"));
    close(make_file(DIR "/gone", 2, 'g'));
    EXPECT_EQ(0, unlink(DIR "/gone"));
    EXPECT_EQ(0, rename(DIR "/dir/below", DIR "/dir/renamed"));
}

static void expect_things(void)
{
    struct stat first, second;
    char bytes[8] = {0};
    int fd = open(DIR "/dir/renamed/second", O_RDWR);

    ASSERT_TRUE(fd >= 0);
    EXPECT_EQ(0, stat(DIR "/kept", &first));
    EXPECT_EQ(0, fstat(fd, &second));
    EXPECT_EQ(first.st_ino, second.st_ino);
    EXPECT_EQ(2, first.st_nlink);
    EXPECT_EQ(0100640, first.st_mode);
    EXPECT_EQ(7, first.st_uid);
    EXPECT_EQ(8, first.st_gid);
    EXPECT_EQ(100 * PAGE + 5, first.st_size);
    EXPECT_EQ(4 * 8, first.st_blocks);
    EXPECT_EQ(4, pread(fd, bytes, 4, (off_t)(2 * PAGE)));
    EXPECT_BYTES("mmmm", bytes, 4);
    EXPECT_EQ(5, pread(fd, bytes, 8, (off_t)(100 * PAGE)));
    EXPECT_BYTES("tail", bytes, 5);
    EXPECT_EQ(1, pread(fd, bytes, 1, (off_t)(50 * PAGE)));
    EXPECT_EQ(0, bytes[0]);
    EXPECT_EQ(12, readlink(DIR "/dir/link", bytes, 5) + 7);
    EXPECT_BYTES("below", bytes, 5);
    EXPECT_ERRNO(ENOENT, access(DIR "/gone", F_OK));
    close(fd);
}

static void remove_things(void)
{
    unlink(DIR "/kept");
    unlink(DIR "/dir/renamed/second");
    unlink(DIR "/dir/link");
    EXPECT_EQ(0, rmdir(DIR "/dir/renamed"));
    EXPECT_EQ(0, rmdir(DIR "/dir"));
}

TEST(everything_is_there_after_the_next_mount)
{
    struct statfs before, after;
    int fd;

    make_things();
    sync();
    EXPECT_EQ(0, statfs(DIR, &before));
    fd = open(DIR "/kept", O_RDONLY);
    EXPECT_ERRNO(EBUSY, umount(DIR));
    close(fd);
    EXPECT_EQ(0, umount(DIR));
    EXPECT_ERRNO(ENOENT, access(DIR "/kept", F_OK));
    ASSERT_EQ(0, mount(DEVICE, DIR, "daxfs", 0, NULL));
    EXPECT_ERRNO(ENODEV, mount(DEVICE, "/mnt", "daxfs", 0, NULL));
    EXPECT_EQ(0, statfs(DIR, &after));
    EXPECT_EQ(before.f_bfree, after.f_bfree);
    expect_things();
    remove_things();
}

UTEST_MAIN
