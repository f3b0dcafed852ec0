/*
 * Locks of ranges of files: fcntl(2) with F_SETLK and its relatives, F_OFD_ ones included; and the
 * largest size of files, RLIMIT_FSIZE.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "record_lock"
#include "utest.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/time.h>

#define FILE_NAME "/tmp/record_lock"
#define FOREVER   0

static int open_file(int flags)
{
    return open(FILE_NAME, flags | O_CREAT, 0600);
}

static struct flock told;

/* 0 or the error; F_GETLK tells in `told`. */
static int lock(int fd, int command, int type, off_t start, off_t len)
{
    struct flock flock = {
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    int error = fcntl(fd, command, &flock) == 0 ? 0 : errno;

    told = flock;
    return error;
}

/* Runs @body in a child and expects its checks to hold. */
#define IN_CHILD(body)                                                                             \
    do {                                                                                           \
        int status_ = -1;                                                                          \
        fflush(stdout);                                                                            \
        if (fork() == 0) {                                                                         \
            body;                                                                                  \
            fflush(stdout);                                                                        \
            _exit(utest_failures != 0);                                                            \
        }                                                                                          \
        wait(&status_);                                                                            \
        EXPECT_EQ(0, status_);                                                                     \
    } while (0)

TEST(a_process_does_not_lock_itself_out_but_others)
{
    int fd = open_file(O_RDWR);
    int other = open_file(O_RDWR);

    EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 0, 10));
    EXPECT_EQ(0, lock(other, F_SETLK, F_WRLCK, 5, 10));
    EXPECT_EQ(0, lock(other, F_GETLK, F_WRLCK, 0, FOREVER));
    EXPECT_EQ(F_UNLCK, told.l_type);
    IN_CHILD({
        EXPECT_EQ(EAGAIN, lock(fd, F_SETLK, F_WRLCK, 0, 1));
        EXPECT_EQ(EAGAIN, lock(fd, F_SETLK, F_RDLCK, 14, 1));
        EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 15, 1));
        EXPECT_EQ(0, lock(fd, F_GETLK, F_RDLCK, 3, FOREVER));
        EXPECT_EQ(F_WRLCK, told.l_type);
        EXPECT_EQ(0, told.l_start);
        EXPECT_EQ(15, told.l_len);
        EXPECT_EQ(getppid(), told.l_pid);
    });
}

TEST(readers_share_and_keep_a_writer_out)
{
    int fd = open_file(O_RDWR);

    EXPECT_EQ(0, lock(fd, F_SETLK, F_RDLCK, 0, 10));
    IN_CHILD({
        EXPECT_EQ(0, lock(fd, F_SETLK, F_RDLCK, 0, 10));
        EXPECT_EQ(EAGAIN, lock(fd, F_SETLK, F_WRLCK, 9, 1));
    });
}

TEST(closing_any_descriptor_of_the_file_ends_the_locks)
{
    int fd = open_file(O_RDWR);

    EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 0, 1));
    EXPECT_EQ(0, close(dup(fd)));
    IN_CHILD(EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 0, 1)));
    EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 0, 1));
    EXPECT_EQ(0, close(open("/dev/null", O_RDONLY)));
    IN_CHILD(EXPECT_EQ(EAGAIN, lock(fd, F_SETLK, F_WRLCK, 0, 1)));
    EXPECT_EQ(0, close(open_file(O_RDONLY)));
    IN_CHILD(EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 0, 1)));
}

TEST(the_end_of_the_process_ends_its_locks)
{
    int fd = open_file(O_RDWR);

    IN_CHILD(EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 0, FOREVER)));
    EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 0, FOREVER));
}

TEST(ranges_are_cut_and_merged)
{
    static const struct {
        int type;
        off_t start, len;
    } parts[] = {
        {F_WRLCK, 0, 40},  {F_UNLCK, 40, 20}, {F_WRLCK, 60, 20},
        {F_RDLCK, 80, 10}, {F_WRLCK, 90, 10}, {F_UNLCK, 100, 10},
    };
    int fd = open_file(O_RDWR);

    EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 0, 30));
    EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 30, 70));
    EXPECT_EQ(0, lock(fd, F_SETLK, F_UNLCK, 40, 20));
    EXPECT_EQ(0, lock(fd, F_SETLK, F_RDLCK, 80, 10));
    IN_CHILD({
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            EXPECT_EQ(0, lock(fd, F_GETLK, F_WRLCK, parts[i].start + 5, 1));
            EXPECT_EQ(parts[i].type, told.l_type);
            if (parts[i].type != F_UNLCK) {
                EXPECT_EQ(parts[i].start, told.l_start);
                EXPECT_EQ(parts[i].len, told.l_len);
            }
        }
    });
}

TEST(arguments_are_checked)
{
    int fd = open_file(O_RDWR);
    struct flock whence = {.l_type = F_WRLCK, .l_whence = 3};

    EXPECT_EQ(EINVAL, lock(fd, F_SETLK, 5, 0, 1));
    EXPECT_EQ(EINVAL, lock(fd, F_GETLK, F_UNLCK, 0, 1));
    EXPECT_EQ(EINVAL, lock(fd, F_SETLK, F_WRLCK, -1, 1));
    EXPECT_EQ(EINVAL, lock(fd, F_SETLK, F_WRLCK, 5, -10));
    EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 5, -5));
    EXPECT_EQ(EOVERFLOW, lock(fd, F_SETLK, F_WRLCK, 0x7fffffffffffffff, 2));
    EXPECT_ERRNO(EINVAL, fcntl(fd, F_SETLK, &whence));
    EXPECT_ERRNO(EFAULT, fcntl(fd, F_SETLK, (void *)8));
    EXPECT_EQ(EBADF, lock(open_file(O_RDONLY), F_SETLK, F_WRLCK, 0, 1));
    EXPECT_EQ(EBADF, lock(open_file(O_WRONLY), F_SETLK, F_RDLCK, 0, 1));
}

TEST(an_open_file_has_locks_of_its_own)
{
    struct flock with_pid = {.l_type = F_WRLCK, .l_pid = 1};
    int fd = open_file(O_RDWR);
    int other = open_file(O_RDWR);

    EXPECT_EQ(0, lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10));
    EXPECT_EQ(EAGAIN, lock(other, F_OFD_SETLK, F_RDLCK, 5, 1));
    EXPECT_EQ(EAGAIN, lock(fd, F_SETLK, F_RDLCK, 5, 1));
    EXPECT_EQ(0, lock(other, F_OFD_GETLK, F_RDLCK, 5, 1));
    EXPECT_EQ(F_WRLCK, told.l_type);
    EXPECT_EQ(-1, told.l_pid);
    EXPECT_ERRNO(EINVAL, fcntl(other, F_OFD_SETLK, &with_pid));
    IN_CHILD({
        EXPECT_EQ(0, lock(fd, F_OFD_SETLK, F_RDLCK, 0, 10));
        EXPECT_EQ(0, close(other));
    });
    EXPECT_EQ(0, lock(other, F_OFD_SETLK, F_RDLCK, 5, 1));
    EXPECT_EQ(0, close(fd));
    EXPECT_EQ(0, lock(other, F_OFD_SETLK, F_WRLCK, 0, 10));
}

TEST(who_waits_gets_the_lock_when_it_is_free)
{
    int fd = open_file(O_RDWR);
    int ends[2];
    char byte = 0;

    EXPECT_EQ(0, pipe(ends));
    EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 0, 1));
    if (fork() == 0) {
        byte = (char)(lock(fd, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 'l' : 'x');
        _exit(write(ends[1], &byte, 1) != 1);
    }
    EXPECT_EQ(0, lock(fd, F_SETLK, F_UNLCK, 0, 1));
    EXPECT_EQ(1, read(ends[0], &byte, 1));
    EXPECT_EQ('l', byte);
    wait(NULL);
}

static void on_alarm(int signal)
{
    (void)signal;
}

TEST(a_signal_ends_the_wait)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval soon = {.it_value = {.tv_usec = 20000}, .it_interval = {.tv_usec = 20000}};
    int fd = open_file(O_RDWR);

    EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 0, 1));
    IN_CHILD({
        EXPECT_EQ(0, sigaction(SIGALRM, &action, NULL));
        EXPECT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
        EXPECT_EQ(EINTR, lock(fd, F_SETLKW, F_WRLCK, 0, 1));
    });
}

/* Whichever of the two comes second is told; the other one gets what it waits for. */
TEST(two_who_wait_for_each_other_are_told)
{
    int fd = open_file(O_RDWR);
    int to_parent[2];
    int status = -1;
    int error;
    char byte;

    EXPECT_EQ(0, pipe(to_parent));
    EXPECT_EQ(0, lock(fd, F_SETLK, F_WRLCK, 0, 1));
    fflush(stdout);
    if (fork() == 0) {
        error = lock(fd, F_SETLK, F_WRLCK, 1, 1);
        (void)!write(to_parent[1], "r", 1);
        error = error != 0 ? error : lock(fd, F_SETLKW, F_WRLCK, 0, 1);
        _exit(error);
    }
    EXPECT_EQ(1, read(to_parent[0], &byte, 1));
    error = lock(fd, F_SETLKW, F_WRLCK, 1, 1);
    EXPECT_EQ(0, lock(fd, F_SETLK, F_UNLCK, 0, FOREVER));
    wait(&status);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_TRUE((error == EDEADLK && WEXITSTATUS(status) == 0) ||
                (error == 0 && WEXITSTATUS(status) == EDEADLK));
}

/* --- RLIMIT_FSIZE ----------------------------------------------------------------------------- */

static siginfo_t last;
static char bytes[8192];

static void note(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    last = *info;
}

static void limit_files(rlim_t size)
{
    struct rlimit limit = {.rlim_cur = size, .rlim_max = RLIM_INFINITY};
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};

    EXPECT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
    EXPECT_EQ(0, sigaction(SIGXFSZ, &action, NULL));
    EXPECT_EQ(0, sigaction(SIGPIPE, &action, NULL));
}

#define EXPECT_BEYOND(call)                                                                        \
    do {                                                                                           \
        last.si_signo = 0;                                                                         \
        EXPECT_ERRNO(EFBIG, call);                                                                 \
        EXPECT_EQ(SIGXFSZ, last.si_signo);                                                         \
    } while (0)

/* Two pages from the start of `from`; the limit lets a file have two, and the target has one. */
static void check_copies(int fd, int from)
{
    off_t in = 0;
    off_t out = 4096;
    int ends[2];

    EXPECT_EQ(0, ftruncate(fd, 4096));
    EXPECT_EQ(4096, lseek(fd, 4096, SEEK_SET));
    last.si_signo = 0;
    EXPECT_EQ(4096, sendfile(fd, from, &in, 8192));
    EXPECT_EQ(SIGXFSZ, last.si_signo);
    EXPECT_EQ(4096, in);
    EXPECT_EQ(8192, lseek(fd, 0, SEEK_CUR));
    EXPECT_BEYOND(sendfile(fd, from, &in, 1));
    EXPECT_EQ(4096, in);

    EXPECT_EQ(0, pipe(ends));
    EXPECT_EQ(8192, write(ends[1], bytes, 8192));
    last.si_signo = 0;
    EXPECT_EQ(4096, splice(ends[0], NULL, fd, &out, 8192, 0));
    EXPECT_EQ(SIGXFSZ, last.si_signo);
    EXPECT_BEYOND(splice(ends[0], NULL, fd, &out, 4096, 0));
    EXPECT_EQ(8192, out);
    EXPECT_EQ(4096, read(ends[0], bytes, 8192));

    in = 0;
    out = 4096;
    last.si_signo = 0;
    EXPECT_EQ(4096, copy_file_range(from, &in, fd, &out, 8192, 0));
    EXPECT_EQ(0, last.si_signo);
    EXPECT_BEYOND(copy_file_range(from, &in, fd, &out, 4096, 0));
    EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
    close(ends[0]);
    close(ends[1]);
}

static void check_limit(int fd)
{
    int status;

    EXPECT_EQ(4096, pwrite(fd, bytes, 8192, 4096));
    EXPECT_BEYOND(pwrite(fd, bytes, 1, 8192));
    EXPECT_EQ(SI_USER, last.si_code);
    EXPECT_EQ(getpid(), last.si_pid);
    EXPECT_BEYOND(ftruncate(fd, 8193));
    EXPECT_BEYOND(fallocate(fd, 0, 0, 8193));
    EXPECT_EQ(0, pwrite(fd, bytes, 0, 10000));
    EXPECT_EQ(0, fcntl(fd, F_SETFL, O_APPEND));
    EXPECT_BEYOND(write(fd, bytes, 1));
    EXPECT_EQ(0, ftruncate(fd, 8192));
    signal(SIGXFSZ, SIG_IGN);
    EXPECT_ERRNO(EFBIG, pwrite(fd, bytes, 1, 8192));
    fflush(stdout);
    if (fork() == 0) {
        signal(SIGXFSZ, SIG_DFL);
        (void)!write(fd, bytes, 1);
        _exit(0);
    }
    wait(&status);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGXFSZ, WTERMSIG(status));
}

TEST(files_do_not_grow_beyond_the_limit)
{
    limit_files(8192);
    EXPECT_EQ(0, ftruncate(open_file(O_RDWR), 0));
    check_limit(open_file(O_RDWR));
    limit_files(8192);
    check_limit(memfd_create("limit", 0));
}

TEST(copies_into_files_end_at_the_limit)
{
    int file = open("/tmp/record_lock_from", O_RDWR | O_CREAT | O_TRUNC, 0600);
    int memory = memfd_create("from", 0);

    limit_files(8192);
    EXPECT_EQ(0, ftruncate(file, 8192));
    EXPECT_EQ(0, ftruncate(memory, 8192));
    check_copies(open_file(O_RDWR), file);
    check_copies(memfd_create("limit", 0), memory);
    unlink("/tmp/record_lock_from");
}

TEST(a_path_is_not_truncated_to_more_than_the_limit)
{
    close(open_file(O_RDWR));
    limit_files(8192);
    EXPECT_EQ(0, truncate(FILE_NAME, 0));
    EXPECT_EQ(0, truncate(FILE_NAME, 8192));
    EXPECT_BEYOND(truncate(FILE_NAME, 8193));
    limit_files(4096);
    EXPECT_BEYOND(truncate(FILE_NAME, 8193));
    EXPECT_EQ(0, truncate(FILE_NAME, 8192));
    EXPECT_EQ(0, truncate(FILE_NAME, 4097));
    last.si_signo = 0;
    EXPECT_ERRNO(EISDIR, truncate("/tmp", 8193));
    EXPECT_ERRNO(ENOENT, truncate("/tmp/no-such-file", 8193));
    EXPECT_EQ(0, last.si_signo);
    unlink(FILE_NAME);
}

/* Neither has a size that could be limited. */
TEST(pipes_and_devices_have_no_limit)
{
    int null = open("/dev/null", O_WRONLY);
    int ends[2];

    limit_files(0);
    last.si_signo = 0;
    EXPECT_EQ(8192, pwrite(null, bytes, 8192, 4096));
    EXPECT_EQ(0, pipe(ends));
    EXPECT_EQ(8192, write(ends[1], bytes, 8192));
    EXPECT_EQ(8192, splice(ends[0], NULL, null, NULL, 8192, 0));
    EXPECT_EQ(0, last.si_signo);
    limit_files(RLIM_INFINITY);
}

TEST(a_broken_pipe_is_told_by_oneself)
{
    int ends[2];

    limit_files(RLIM_INFINITY);
    EXPECT_EQ(0, pipe(ends));
    EXPECT_EQ(0, close(ends[0]));
    EXPECT_ERRNO(EPIPE, write(ends[1], "x", 1));
    EXPECT_EQ(SIGPIPE, last.si_signo);
    EXPECT_EQ(SI_USER, last.si_code);
    EXPECT_EQ(getpid(), last.si_pid);
}

UTEST_MAIN
