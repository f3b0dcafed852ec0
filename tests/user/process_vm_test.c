/*
 * Calls on the memory of other processes: process_vm_readv, process_vm_writev, process_madvise, and
 * pidfd_open, which names the process of the last.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "process_vm"
#include "utest.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static char *map(size_t nr_pages)
{
    char *p = mmap(NULL, nr_pages * PAGE, RW, ANON, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static int gate[2];
static int ready[2];

static void tell(int fd)
{
    write(fd, "x", 1);
}

static void await(int fd)
{
    char byte;

    read(fd, &byte, 1);
}

/* A child that does @setup, then waits for its end. */
static pid_t start_child(void (*setup)(void))
{
    pid_t pid;

    if (pipe(gate) != 0 || pipe(ready) != 0) {
        return -1;
    }
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        close(gate[1]);
        if (setup != NULL) {
            setup();
        }
        tell(ready[1]);
        await(gate[0]);
        _exit(0);
    }
    close(gate[0]);
    await(ready[0]);
    return pid;
}

static void end_child(pid_t pid)
{
    close(gate[1]);
    waitpid(pid, NULL, 0);
}

static ssize_t get(pid_t pid, void *to, void *from, size_t len)
{
    struct iovec local = {to, len};
    struct iovec remote = {from, len};

    return process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

static ssize_t put(pid_t pid, void *to, void *from, size_t len)
{
    struct iovec local = {from, len};
    struct iovec remote = {to, len};

    return process_vm_writev(pid, &local, 1, &remote, 1, 0);
}

static char *area;

static void fill_area(void)
{
    for (size_t i = 0; i < 8 * PAGE; i++) {
        area[i] = (char)(i * 7 + i / 4096);
    }
}

TEST(bytes_come_and_go_between_two_processes)
{
    static char expected[8 * PAGE], got[8 * PAGE];
    pid_t pid;

    area = map(8);
    pid = start_child(fill_area);
    EXPECT_EQ((ssize_t)(8 * PAGE), get(pid, got, area, 8 * PAGE));
    EXPECT_EQ(0, area[1]);
    fill_area();
    memcpy(expected, area, sizeof(expected));
    EXPECT_BYTES(expected, got, sizeof(got));
    EXPECT_EQ(5000, put(pid, area + 100, expected, 5000));
    EXPECT_EQ(5000, get(pid, got, area + 100, 5000));
    EXPECT_BYTES(expected, got, 5000);
    end_child(pid);
}

TEST(pieces_of_different_lengths_meet)
{
    char *p = map(4);
    char a[5], b[4000], c[10];
    struct iovec local[4] = {{a, 5}, {NULL, 0}, {b, 4000}, {c, 10}};
    struct iovec remote[4] = {{p + 10, 1}, {p + PAGE - 50, 100}, {(void *)8, 0}, {p + 8000, 5000}};
    char expected[4015];

    for (size_t i = 0; i < 4 * PAGE; i++) {
        p[i] = (char)(i * 3 + i / 256);
    }
    expected[0] = p[10];
    memcpy(expected + 1, p + PAGE - 50, 100);
    memcpy(expected + 101, p + 8000, 4015 - 101);
    EXPECT_EQ(4015, process_vm_readv(getpid(), local, 4, remote, 4, 0));
    EXPECT_BYTES(expected, a, 5);
    EXPECT_BYTES(expected + 5, b, 4000);
    EXPECT_BYTES(expected + 4005, c, 10);
}

TEST(a_transfer_ends_at_the_shorter_side)
{
    char *p = map(2);
    char text[32] = "";
    struct iovec local = {text, 10};
    struct iovec remote = {p, 2 * PAGE};

    strcpy(p, "0123456789abcdef");
    EXPECT_EQ(10, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
    EXPECT_EQ(0, strcmp(text, "0123456789"));
    local.iov_len = 32;
    remote.iov_len = 16;
    EXPECT_EQ(16, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
}

/* J14. */
TEST(bytes_in_front_of_a_hole_arrive)
{
    static char text[4 * PAGE];
    char *p = map(4);
    struct iovec local = {text, sizeof(text)};
    struct iovec remote[2] = {{p, 10}, {p + PAGE, 3 * PAGE}};

    memset(p, 'p', 4 * PAGE);
    EXPECT_EQ(0, munmap(p + 2 * PAGE, PAGE));
    EXPECT_EQ((ssize_t)(2 * PAGE - 5), get(getpid(), text, p + 5, 4 * PAGE - 5));
    EXPECT_EQ('p', text[2 * PAGE - 6]);
    EXPECT_EQ(0, text[2 * PAGE - 5]);
    EXPECT_EQ((ssize_t)(10 + PAGE), process_vm_readv(getpid(), &local, 1, remote, 2, 0));
    EXPECT_EQ((ssize_t)(2 * PAGE), put(getpid(), p, text, 4 * PAGE));
    EXPECT_ERRNO(EFAULT, get(getpid(), text, p + 2 * PAGE, 10));
    EXPECT_ERRNO(EFAULT, put(getpid(), p + 2 * PAGE, text, 10));
}

TEST(a_hole_on_the_near_side_ends_it_as_well)
{
    char *p = map(3);
    char *q = map(3);

    memset(p, 'p', 3 * PAGE);
    EXPECT_EQ(0, munmap(q + PAGE, PAGE));
    EXPECT_EQ((ssize_t)PAGE, get(getpid(), q, p, 3 * PAGE));
    EXPECT_EQ((ssize_t)PAGE, put(getpid(), p, q, 3 * PAGE));
    EXPECT_ERRNO(EFAULT, get(getpid(), q + PAGE, p, 10));
    EXPECT_ERRNO(EFAULT, put(getpid(), p, q + PAGE, 10));
}

/* J5, J13. */
TEST(protection_of_the_other_side_counts)
{
    char *p = map(2);
    char text[8] = "text";

    strcpy(p, "keep");
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_READ));
    EXPECT_ERRNO(EFAULT, put(getpid(), p, text, 4));
    EXPECT_EQ(4, get(getpid(), text, p, 4));
    EXPECT_EQ(0, strcmp(text, "keep"));
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_NONE));
    EXPECT_ERRNO(EFAULT, get(getpid(), text, p, 4));
    EXPECT_ERRNO(EFAULT, get(getpid(), text, (void *)0xffff800000000000ul, 4));
    EXPECT_ERRNO(EFAULT, get(getpid(), text, (void *)0x7ffffffff000ul, 4));
    EXPECT_ERRNO(EFAULT, get(getpid(), text, NULL, 4));
}

/* J5. */
TEST(a_stack_is_not_grown_for_somebody_else)
{
    char *p = mmap((void *)0x20000000, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    char text[4] = "";

    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_ERRNO(EFAULT, get(getpid(), text, p - 8, 4));
    EXPECT_ERRNO(EFAULT, put(getpid(), p - 8, text, 4));
    EXPECT_EQ(0, munmap(p, PAGE));
}

TEST(arguments_are_checked_before_the_process)
{
    char text[4] = "abc";
    char *p = map(1);
    struct iovec one = {text, 3};
    struct iovec none = {text, 0};
    struct iovec negative = {text, (size_t)-1};
    struct iovec kernel = {(void *)0xffff800000000000ul, 3};
    struct iovec remote = {p, 3};

    EXPECT_ERRNO(EINVAL, process_vm_readv(99999, &one, 1, &remote, 1, 1));
    EXPECT_ERRNO(EINVAL, process_vm_readv(99999, &one, 1025, &remote, 1, 0));
    EXPECT_ERRNO(EINVAL, process_vm_readv(99999, &one, 1, &remote, 1025, 0));
    EXPECT_ERRNO(EINVAL, process_vm_readv(99999, &negative, 1, &remote, 1, 0));
    EXPECT_ERRNO(EINVAL, process_vm_readv(99999, &one, 1, &negative, 1, 0));
    EXPECT_ERRNO(EFAULT, process_vm_readv(99999, (void *)16, 1, &remote, 1, 0));
    EXPECT_ERRNO(EFAULT, process_vm_readv(99999, &one, 1, (void *)16, 1, 0));
    EXPECT_ERRNO(EFAULT, process_vm_readv(99999, &kernel, 1, &remote, 1, 0));
    EXPECT_EQ(0, process_vm_readv(99999, &none, 1, &remote, 1, 0));
    EXPECT_EQ(0, process_vm_readv(99999, NULL, 0, (void *)16, 5, 0));
    EXPECT_EQ(0, process_vm_readv(99999, &one, 1, &none, 1, 0));
    EXPECT_EQ(0, process_vm_readv(99999, &one, 1, NULL, 0, 0));
    EXPECT_ERRNO(ESRCH, process_vm_readv(99999, &one, 1, &remote, 1, 0));
    EXPECT_ERRNO(ESRCH, process_vm_writev(-1, &one, 1, &remote, 1, 0));
    EXPECT_ERRNO(ESRCH, process_vm_writev(0, &one, 1, &remote, 1, 0));
}

TEST(a_dead_process_has_no_memory)
{
    char text[4];
    siginfo_t info;
    pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    EXPECT_EQ(0, waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    EXPECT_ERRNO(ESRCH, get(pid, text, text, 4));
    EXPECT_EQ(pid, waitpid(pid, NULL, 0));
    EXPECT_ERRNO(ESRCH, get(pid, text, text, 4));
}

static void become_1000(void)
{
    setgid(1000);
    setuid(1000);
}

static int as_1001(pid_t pid, int (*act)(pid_t))
{
    int status = -1;
    pid_t other;

    fflush(stdout);
    other = fork();
    if (other == 0) {
        setgid(1001);
        setuid(1001);
        _exit(act(pid));
    }
    waitpid(other, &status, 0);
    return WEXITSTATUS(status);
}

/* The ids of a process that may be looked into by others with the same ones. */
static void become_1001_openly(void)
{
    setgid(1001);
    setuid(1001);
    prctl(PR_SET_DUMPABLE, 1);
}

static int try_get(pid_t pid)
{
    char byte;

    return get(pid, &byte, &gate, 1) == 1 ? 0 : errno;
}

TEST(another_users_memory_is_eperm)
{
    pid_t pid = start_child(become_1000);

    EXPECT_EQ(EPERM, as_1001(pid, try_get));
    EXPECT_EQ(0, try_get(pid));
    end_child(pid);
    pid = start_child(become_1001_openly);
    EXPECT_EQ(0, as_1001(pid, try_get));
    end_child(pid);
    /* A privileged process is not for others either. */
    pid = start_child(NULL);
    EXPECT_EQ(EPERM, as_1001(pid, try_get));
    end_child(pid);
}

TEST(a_write_into_a_child_is_not_seen_by_its_parent)
{
    char text[4] = "";
    pid_t pid;

    area = map(1);
    strcpy(area, "old");
    pid = start_child(NULL);
    EXPECT_EQ(3, put(pid, area, "new", 3));
    EXPECT_EQ(0, strcmp(area, "old"));
    EXPECT_EQ(3, get(pid, text, area, 3));
    EXPECT_EQ(0, strcmp(text, "new"));
    strcpy(area, "own");
    EXPECT_EQ(3, get(pid, text, area, 3));
    EXPECT_EQ(0, strcmp(text, "new"));
    end_child(pid);
}

TEST(a_thread_id_names_its_process)
{
    char text[4] = "";

    area = map(1);
    strcpy(area, "tid");
    EXPECT_EQ(3, get((pid_t)syscall(SYS_gettid), text, area, 3));
    EXPECT_EQ(0, strcmp(text, "tid"));
}

/* pidfd_open */

static int pidfd_open(pid_t pid, unsigned flags)
{
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

TEST(pidfd_open_checks_its_arguments)
{
    int fd;

    EXPECT_ERRNO(EINVAL, pidfd_open(0, 0));
    EXPECT_ERRNO(EINVAL, pidfd_open(-1, 0));
    EXPECT_ERRNO(EINVAL, pidfd_open(getpid(), 1));
    EXPECT_ERRNO(ESRCH, pidfd_open(99999, 0));
    fd = pidfd_open(getpid(), O_NONBLOCK);
    EXPECT_TRUE(fd >= 0);
    EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
    EXPECT_EQ(O_NONBLOCK, fcntl(fd, F_GETFL) & O_NONBLOCK);
}

TEST(a_pidfd_is_readable_once_its_process_has_ended)
{
    pid_t pid = start_child(NULL);
    struct pollfd poll_fd = {pidfd_open(pid, 0), POLLIN, 0};

    EXPECT_EQ(0, poll(&poll_fd, 1, 0));
    close(gate[1]);
    EXPECT_EQ(1, poll(&poll_fd, 1, -1));
    EXPECT_EQ(pid, waitpid(pid, NULL, 0));
}

/* process_madvise */

static ssize_t advise(int fd, struct iovec *ranges, size_t nr, int advice, unsigned flags)
{
    return syscall(SYS_process_madvise, fd, ranges, nr, advice, flags);
}

TEST(advice_for_a_child_counts_its_bytes)
{
    struct iovec ranges[3];
    pid_t pid;
    int fd;

    area = map(4);
    pid = start_child(NULL);
    fd = pidfd_open(pid, 0);
    ranges[0] = (struct iovec){area, 2 * PAGE};
    ranges[1] = (struct iovec){area, 0};
    ranges[2] = (struct iovec){area + 3 * PAGE, PAGE};
    EXPECT_EQ((ssize_t)(3 * PAGE), advise(fd, ranges, 3, MADV_COLD, 0));
    EXPECT_EQ((ssize_t)(3 * PAGE), advise(fd, ranges, 3, MADV_PAGEOUT, 0));
    EXPECT_EQ(0, advise(fd, ranges, 0, MADV_COLD, 0));
    end_child(pid);
}

TEST(advice_stops_at_the_first_range_that_fails)
{
    int fd = pidfd_open(getpid(), 0);
    char *p = map(3);
    struct iovec ranges[2] = {{p, PAGE}, {p + PAGE, PAGE}};

    EXPECT_EQ(0, munmap(p + PAGE, PAGE));
    EXPECT_EQ((ssize_t)PAGE, advise(fd, ranges, 2, MADV_COLD, 0));
    EXPECT_ERRNO(ENOMEM, advise(fd, ranges + 1, 1, MADV_COLD, 0));
    ranges[0].iov_base = p + 1;
    EXPECT_ERRNO(EINVAL, advise(fd, ranges, 1, MADV_COLD, 0));
}

TEST(advice_checks_its_arguments)
{
    int fd = pidfd_open(getpid(), 0);
    char *p = map(1);
    struct iovec range = {p, PAGE};

    EXPECT_ERRNO(EINVAL, advise(fd, &range, 1, MADV_COLD, 1));
    EXPECT_ERRNO(EINVAL, advise(fd, &range, 1025, MADV_COLD, 0));
    EXPECT_ERRNO(EFAULT, advise(fd, (void *)16, 1, MADV_COLD, 0));
    EXPECT_ERRNO(EBADF, advise(99, &range, 1, MADV_COLD, 0));
    EXPECT_ERRNO(EBADF, advise(0, &range, 1, MADV_COLD, 0));
    EXPECT_ERRNO(EINVAL, advise(fd, &range, 1, 9999, 0));
}

static pid_t subject;

static int try_advise(pid_t pid)
{
    struct iovec range = {area, PAGE};

    (void)pid;
    return advise(pidfd_open(subject, 0), &range, 1, MADV_COLD, 0) == (ssize_t)PAGE ? 0 : errno;
}

TEST(advice_needs_the_right_to_look_and_then_the_privilege)
{
    int status = -1;
    pid_t pid;

    area = map(1);
    subject = start_child(become_1000);
    EXPECT_EQ(EACCES, as_1001(subject, try_advise));
    EXPECT_EQ(0, try_advise(subject));
    pid = fork();
    if (pid == 0) {
        int fd = pidfd_open(getpid(), 0);
        struct iovec range = {area, PAGE};

        become_1000();
        _exit(advise(fd, &range, 1, MADV_COLD, 0) == -1 ? errno : 0);
    }
    waitpid(pid, &status, 0);
    EXPECT_EQ(0, WEXITSTATUS(status));
    end_child(subject);
    subject = start_child(become_1001_openly);
    EXPECT_EQ(EPERM, as_1001(subject, try_advise));
    end_child(subject);
}

TEST(advice_for_others_takes_nothing_away)
{
    struct iovec range;
    char text[4] = "";
    int fd;

    area = map(1);
    strcpy(area, "abc");
    range = (struct iovec){area, PAGE};
    subject = start_child(NULL);
    fd = pidfd_open(subject, 0);
    EXPECT_ERRNO(EINVAL, advise(fd, &range, 1, MADV_DONTNEED, 0));
    EXPECT_ERRNO(EINVAL, advise(fd, &range, 1, MADV_NORMAL, 0));
    EXPECT_EQ(3, get(subject, text, area, 3));
    EXPECT_EQ(0, strcmp(text, "abc"));
    end_child(subject);
    fd = pidfd_open(getpid(), 0);
    EXPECT_ERRNO(EINVAL, advise(fd, &range, 1, MADV_DONTNEED, 0));
    EXPECT_EQ(0, strcmp(area, "abc"));
}

TEST(advice_for_a_dead_process_is_esrch)
{
    struct iovec range;
    siginfo_t info;
    pid_t pid = fork();
    int fd;

    area = map(1);
    range = (struct iovec){area, PAGE};
    if (pid == 0) {
        _exit(0);
    }
    fd = pidfd_open(pid, 0);
    EXPECT_EQ(0, waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    EXPECT_ERRNO(ESRCH, advise(fd, &range, 1, MADV_COLD, 0));
    EXPECT_EQ(pid, waitpid(pid, NULL, 0));
    EXPECT_ERRNO(ESRCH, advise(fd, &range, 1, MADV_COLD, 0));
}

UTEST_MAIN
