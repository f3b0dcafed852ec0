/*
 * Files on a direct (DAX) device: who holds their frames, truncation while others look, and what is
 * there after the next mount.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "dax_file"
#include "utest.h"
#include "dax.h"
#include "gup_device.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

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

/* N8, J5. */
TEST(longterm_pins_of_files_are_refused)
{
    int fd = make_file(DIR "/pinned", 1, 'a');
    int gup = gup_open();
    struct pin_longterm_test test = {.size = PAGE};
    char *device;
    off_t offset;

    test.addr = (uintptr_t)map(fd, 1, MAP_SHARED);
    EXPECT_ERRNO(EOPNOTSUPP, ioctl(gup, PIN_LONGTERM_TEST_START, &test));
    test.flags = LONGTERM_USE_WRITE;
    EXPECT_ERRNO(EOPNOTSUPP, ioctl(gup, PIN_LONGTERM_TEST_START, &test));
    test.addr = (uintptr_t)map(fd, 1, MAP_PRIVATE);
    EXPECT_ERRNO(EOPNOTSUPP, ioctl(gup, PIN_LONGTERM_TEST_START, &test));
    /* Nobody truncates the device itself. */
    device = map_device_end(open_device(), 1, MAP_SHARED, &offset);
    ASSERT_TRUE(device != NULL);
    test.addr = (uintptr_t)device;
    EXPECT_EQ(0, ioctl(gup, PIN_LONGTERM_TEST_START, &test));
    EXPECT_EQ(0, ioctl(gup, PIN_LONGTERM_TEST_STOP));
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
