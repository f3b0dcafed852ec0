/*
 * Descriptors and what waits on them: pipes, eventfd, memfd, dup, poll, select.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "pipe"
#include "utest.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>

static int fds[2];

TEST(bytes_arrive_in_order_and_end_with_zero)
{
    static char out[200000], in[200000];
    size_t done = 0;
    pid_t pid;

    for (size_t i = 0; i < sizeof(out); i++) {
        out[i] = (char)(i * 7 + i / 251);
    }
    ASSERT_EQ(0, pipe(fds));
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        _exit(write(fds[1], out, sizeof(out)) == (ssize_t)sizeof(out) ? 0 : 1);
    }
    close(fds[1]);
    while (done < sizeof(in)) {
        ssize_t n = read(fds[0], in + done, 7777);

        ASSERT_TRUE(n > 0);
        done += (size_t)n;
    }
    EXPECT_BYTES(out, in, sizeof(in));
    EXPECT_EQ(0, read(fds[0], in, 1));
    waitpid(pid, NULL, 0);
}

TEST(write_without_a_reader_gets_epipe_and_sigpipe)
{
    ASSERT_EQ(0, pipe(fds));
    close(fds[0]);
    signal(SIGPIPE, SIG_IGN);
    EXPECT_ERRNO(EPIPE, write(fds[1], "x", 1));
}

static void write_to_closed(void)
{
    pipe(fds);
    close(fds[0]);
    write(fds[1], "x", 1);
}

TEST(sigpipe_ends_a_careless_writer)
{
    int status = utest_in_child(write_to_closed);

    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGPIPE, WTERMSIG(status));
}

TEST(nonblocking_pipe_holds_65536_bytes)
{
    static char data[100000];
    int ready = -1;

    ASSERT_EQ(0, pipe2(fds, O_NONBLOCK | O_CLOEXEC));
    EXPECT_EQ(FD_CLOEXEC, fcntl(fds[0], F_GETFD));
    EXPECT_ERRNO(EAGAIN, read(fds[0], data, 1));
    EXPECT_EQ(65536, write(fds[1], data, sizeof(data)));
    EXPECT_ERRNO(EAGAIN, write(fds[1], data, 1));
    EXPECT_EQ(0, ioctl(fds[0], FIONREAD, &ready));
    EXPECT_EQ(65536, ready);
    EXPECT_EQ(4096, read(fds[0], data, 4096));
    EXPECT_ERRNO(EINVAL, pipe2(fds, 0x1234567));
    EXPECT_ERRNO(EFAULT, syscall(SYS_pipe, 8));
}

TEST(small_writes_are_atomic)
{
    enum { WRITERS = 4, EACH = 200, SIZE = 512 };
    char block[SIZE];

    ASSERT_EQ(0, pipe(fds));
    for (int w = 0; w < WRITERS; w++) {
        if (fork() == 0) {
            memset(block, 'a' + w, sizeof(block));
            for (int i = 0; i < EACH; i++) {
                if (write(fds[1], block, sizeof(block)) != SIZE) {
                    _exit(1);
                }
            }
            _exit(0);
        }
    }
    close(fds[1]);
    for (int i = 0; i < WRITERS * EACH; i++) {
        size_t have = 0;

        while (have < SIZE) {
            ssize_t n = read(fds[0], block + have, SIZE - have);

            if (n <= 0) {
                EXPECT_EQ(WRITERS * EACH, i);
                EXPECT_EQ(0, n < 0 ? errno : 0);
                return;
            }
            have += (size_t)n;
        }
        for (int k = 1; k < SIZE; k++) {
            ASSERT_EQ(block[0], block[k]);
        }
    }
    EXPECT_EQ(0, read(fds[0], block, 1));
}

TEST(poll_sees_readiness_and_hangup)
{
    struct pollfd both[2];

    ASSERT_EQ(0, pipe(fds));
    both[0] = (struct pollfd){fds[0], POLLIN, 0};
    both[1] = (struct pollfd){fds[1], POLLOUT, 0};
    EXPECT_EQ(1, poll(both, 2, 0));
    EXPECT_EQ(0, both[0].revents);
    EXPECT_EQ(POLLOUT, both[1].revents);
    EXPECT_EQ(1, write(fds[1], "x", 1));
    EXPECT_EQ(2, poll(both, 2, -1));
    EXPECT_EQ(POLLIN, both[0].revents);
    close(fds[1]);
    EXPECT_EQ(2, poll(both, 2, -1));
    EXPECT_EQ(POLLIN | POLLHUP, both[0].revents);
    EXPECT_EQ(POLLNVAL, both[1].revents);
    EXPECT_EQ(0, poll(NULL, 0, 5));
    EXPECT_ERRNO(EFAULT, poll((void *)8, 1, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_poll, both, UINT_MAX, 0));
}

TEST(poll_wakes_when_another_process_writes)
{
    struct pollfd one;
    pid_t pid;

    ASSERT_EQ(0, pipe(fds));
    pid = fork();
    if (pid == 0) {
        usleep(10000);
        write(fds[1], "x", 1);
        _exit(0);
    }
    one = (struct pollfd){fds[0], POLLIN, 0};
    EXPECT_EQ(1, poll(&one, 1, 10000));
    EXPECT_EQ(POLLIN, one.revents);
    waitpid(pid, NULL, 0);
}

TEST(select_reports_sets_and_time_left)
{
    fd_set readable, writable;
    struct timeval limit = {5, 0};

    ASSERT_EQ(0, pipe(fds));
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(fds[0], &readable);
    FD_SET(fds[1], &writable);
    EXPECT_EQ(1, select(fds[1] + 1, &readable, &writable, NULL, &limit));
    EXPECT_FALSE(FD_ISSET(fds[0], &readable));
    EXPECT_TRUE(FD_ISSET(fds[1], &writable));
    FD_ZERO(&readable);
    FD_SET(fds[0], &readable);
    limit = (struct timeval){0, 3000};
    EXPECT_EQ(0, select(fds[0] + 1, &readable, NULL, NULL, &limit));
    close(fds[0]);
    FD_ZERO(&readable);
    FD_SET(fds[0], &readable);
    EXPECT_ERRNO(EBADF, select(fds[0] + 1, &readable, NULL, NULL, NULL));
    FD_ZERO(&readable);
    FD_SET(40, &readable); /* more than this table holds so far, but the smallest one has room */
    EXPECT_ERRNO(EBADF, select(41, &readable, NULL, NULL, NULL));
    EXPECT_ERRNO(EINVAL, select(-1, NULL, NULL, NULL, NULL));
}

TEST(eventfd_counts_and_blocks)
{
    uint64_t value = 0;
    int fd = eventfd(3, EFD_NONBLOCK);

    ASSERT_TRUE(fd >= 0);
    EXPECT_EQ(8, read(fd, &value, 8));
    EXPECT_EQ(3, value);
    EXPECT_ERRNO(EAGAIN, read(fd, &value, 8));
    value = 5;
    EXPECT_EQ(8, write(fd, &value, 8));
    EXPECT_EQ(8, write(fd, &value, 8));
    EXPECT_EQ(8, read(fd, &value, 8));
    EXPECT_EQ(10, value);
    EXPECT_ERRNO(EINVAL, read(fd, &value, 4));
    value = ~0ull;
    EXPECT_ERRNO(EINVAL, write(fd, &value, 8));
    value = ~0ull - 1;
    EXPECT_EQ(8, write(fd, &value, 8));
    value = 1;
    EXPECT_ERRNO(EAGAIN, write(fd, &value, 8));
    fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    EXPECT_EQ(8, read(fd, &value, 8));
    EXPECT_EQ(1, value);
    EXPECT_EQ(8, read(fd, &value, 8));
    EXPECT_ERRNO(EAGAIN, read(fd, &value, 8));
    EXPECT_ERRNO(EINVAL, eventfd(0, 0x12345));
}

TEST(dup_shares_and_finds_the_lowest_number)
{
    int flags;

    ASSERT_EQ(0, pipe(fds));
    EXPECT_EQ(100, dup2(fds[0], 100));
    EXPECT_EQ(0, close(fds[0]));
    EXPECT_EQ(fds[0], dup(100));
    EXPECT_EQ(101, fcntl(100, F_DUPFD, 100));
    EXPECT_EQ(102, fcntl(100, F_DUPFD_CLOEXEC, 100));
    EXPECT_EQ(FD_CLOEXEC, fcntl(102, F_GETFD));
    flags = fcntl(100, F_GETFL);
    EXPECT_EQ(O_RDONLY, flags & O_ACCMODE);
    EXPECT_EQ(0, fcntl(100, F_SETFL, flags | O_NONBLOCK));
    EXPECT_TRUE(fcntl(101, F_GETFL) & O_NONBLOCK);
    EXPECT_ERRNO(EBADF, dup(999));
    EXPECT_ERRNO(EBADF, dup2(999, 5));
    EXPECT_ERRNO(EINVAL, dup3(100, 100, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_dup3, 100, 103, 1));
    EXPECT_ERRNO(EBADF, close(999));
    EXPECT_ERRNO(EBADF, read(-1, &flags, 1));
    EXPECT_ERRNO(EBADF, write(100, "x", 1));
    EXPECT_ERRNO(EINVAL, fcntl(100, 9999, 0));
}

TEST(vectors_gather_and_scatter)
{
    char a[3] = "", b[5] = "";
    struct iovec out[3] = {{"one", 3}, {"", 0}, {"two45", 5}};
    struct iovec in[2] = {{a, 3}, {b, 5}};

    ASSERT_EQ(0, pipe(fds));
    EXPECT_EQ(8, writev(fds[1], out, 3));
    EXPECT_EQ(8, readv(fds[0], in, 2));
    EXPECT_BYTES("one", a, 3);
    EXPECT_BYTES("two45", b, 5);
    EXPECT_ERRNO(EINVAL, writev(fds[1], out, -1));
    EXPECT_ERRNO(EINVAL, writev(fds[1], out, 1025));
    EXPECT_ERRNO(EFAULT, writev(fds[1], (void *)8, 1));
    EXPECT_EQ(0, writev(fds[1], out, 0));
    EXPECT_ERRNO(ESPIPE, lseek(fds[0], 0, SEEK_SET));
    EXPECT_ERRNO(ESPIPE, pread(fds[0], a, 1, 0));
}

TEST(packets_keep_their_ends)
{
    char in[8] = "";

    ASSERT_EQ(0, pipe2(fds, O_DIRECT | O_NONBLOCK));
    EXPECT_EQ(3, write(fds[1], "one", 3));
    EXPECT_EQ(5, write(fds[1], "three", 5));
    EXPECT_EQ(3, write(fds[1], "end", 3));
    EXPECT_EQ(3, read(fds[0], in, sizeof(in)));
    EXPECT_BYTES("one", in, 3);
    /* What a read leaves of a packet is gone. */
    EXPECT_EQ(2, read(fds[0], in, 2));
    EXPECT_BYTES("th", in, 2);
    EXPECT_EQ(0, fcntl(fds[1], F_SETFL, O_NONBLOCK));
    EXPECT_EQ(2, write(fds[1], "ab", 2));
    EXPECT_EQ(2, write(fds[1], "cd", 2));
    EXPECT_EQ(3, read(fds[0], in, sizeof(in)));
    EXPECT_BYTES("end", in, 3);
    EXPECT_EQ(4, read(fds[0], in, sizeof(in)));
    EXPECT_BYTES("abcd", in, 4);
    EXPECT_ERRNO(EAGAIN, read(fds[0], in, 1));
}

TEST(long_packets_are_split_and_fill_slots)
{
    static char page[3 * 4096];

    ASSERT_EQ(0, pipe2(fds, O_DIRECT | O_NONBLOCK));
    EXPECT_EQ(4097, write(fds[1], page, 4097));
    EXPECT_EQ(4096, read(fds[0], page, sizeof(page)));
    EXPECT_EQ(1, read(fds[0], page, sizeof(page)));
    for (int i = 0; i < 16; i++) {
        EXPECT_EQ(1, write(fds[1], "x", 1));
    }
    EXPECT_ERRNO(EAGAIN, write(fds[1], "x", 1));
}

TEST(sequenced_packet_sockets_keep_boundaries)
{
    char in[8] = "";

    ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds));
    EXPECT_EQ(3, write(fds[0], "one", 3));
    EXPECT_EQ(3, write(fds[0], "two", 3));
    EXPECT_EQ(1, write(fds[1], "a", 1));
    EXPECT_EQ(1, read(fds[0], in, sizeof(in)));
    EXPECT_EQ(2, read(fds[1], in, 2));
    EXPECT_EQ(3, read(fds[1], in, sizeof(in)));
    EXPECT_BYTES("two", in, 3);
    EXPECT_ERRNO(EAGAIN, read(fds[1], in, sizeof(in)));
    close(fds[0]);
    EXPECT_EQ(0, read(fds[1], in, sizeof(in)));
    signal(SIGPIPE, SIG_IGN);
    EXPECT_ERRNO(EPIPE, write(fds[1], "x", 1));
}

TEST(memfd_is_memory_and_a_file)
{
    char text[8] = "";
    int fd = memfd_create("cow", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char *p;

    ASSERT_TRUE(fd >= 0);
    EXPECT_EQ(0, ftruncate(fd, 8192));
    EXPECT_EQ(4, pwrite(fd, "milk", 4, 5000));
    p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_BYTES("milk", p + 5000, 4);
    p[5001] = 'u';
    EXPECT_EQ(4, pread(fd, text, 4, 5000));
    EXPECT_BYTES("mulk", text, 4);
    EXPECT_EQ(8192, lseek(fd, 0, SEEK_END));
    EXPECT_EQ(0, munmap(p, 8192));
    EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
    EXPECT_ERRNO(EPERM, pwrite(fd, "x", 1, 0));
    EXPECT_ERRNO(EPERM, ftruncate(fd, 0));
    EXPECT_ERRNO(EPERM, (long)mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0));
    EXPECT_EQ(F_SEAL_WRITE | F_SEAL_SHRINK, fcntl(fd, F_GET_SEALS));
    EXPECT_ERRNO(EINVAL, memfd_create("x", 0x8000));
    EXPECT_ERRNO(EFAULT, syscall(SYS_memfd_create, 8, 0));
}

TEST(memfd_of_huge_pages_has_no_memory)
{
    size_t huge = 2ul << 20;
    char byte = 1;
    struct statfs fs;
    int fd = memfd_create("huge", MFD_HUGETLB | MFD_ALLOW_SEALING);

    ASSERT_TRUE(fd >= 0);
    EXPECT_EQ(0, fstatfs(fd, &fs));
    EXPECT_EQ(0x958458f6, (unsigned)fs.f_type);
    EXPECT_EQ(huge, fs.f_bsize);
    EXPECT_ERRNO(EINVAL, ftruncate(fd, 4096));
    EXPECT_EQ(0, ftruncate(fd, 2 * huge));
    EXPECT_ERRNO(EINVAL, write(fd, &byte, 1));
    EXPECT_EQ(1, read(fd, &byte, 1));
    EXPECT_EQ(0, byte);
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, huge));
    EXPECT_ERRNO(ENOSPC, fallocate(fd, 0, 0, huge));
    EXPECT_ERRNO(ENOMEM, (long)mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    EXPECT_ERRNO(ENOMEM, (long)mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    EXPECT_ERRNO(ENODEV, memfd_create("huge", MFD_HUGETLB | (16u << 26)));
    EXPECT_ERRNO(EINVAL, memfd_create("huge", 21u << 26));
    fd = memfd_create("huge", MFD_HUGETLB | (30u << 26));
    EXPECT_TRUE(fd >= 0);
    EXPECT_ERRNO(EINVAL, ftruncate(fd, huge));
}

TEST(private_file_memory_is_copied_on_write)
{
    int fd = memfd_create("private", 0);
    char *shared, *private;

    ASSERT_EQ(0, ftruncate(fd, 4096));
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    ASSERT_TRUE(shared != MAP_FAILED && private != MAP_FAILED);
    shared[0] = 1;
    EXPECT_EQ(1, private[0]);
    private[0] = 2;
    EXPECT_EQ(1, shared[0]);
    shared[0] = 3;
    EXPECT_EQ(2, private[0]);
}

UTEST_MAIN
