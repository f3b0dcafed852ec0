/*
 * vmsplice, splice and tee: pages that move through pipes, and how many a pipe holds.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "splice"
#include "utest.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static int a[2], b[2];

static char *map(size_t nr_pages)
{
    char *p = mmap(NULL, nr_pages * PAGE, RW, ANON, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static ssize_t give(int fd, void *base, size_t len, unsigned flags)
{
    struct iovec iov = {base, len};

    return vmsplice(fd, &iov, 1, flags);
}

/* What the next bytes of a pipe are. */
static const char *next(int fd, size_t len)
{
    static char text[5000];
    ssize_t n = read(fd, text, len);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

#define EXPECT_NEXT(text, fd)                                                                      \
    do {                                                                                           \
        const char *next_ = next(fd, strlen(text));                                                \
        EXPECT_EQ(0, strcmp(text, next_));                                                         \
    } while (0)

TEST(vmspliced_memory_shows_what_is_written_until_it_is_read)
{
    char *p = map(1);

    ASSERT_EQ(0, pipe(a));
    strcpy(p, "before");
    EXPECT_EQ(6, give(a[1], p, 6, 0));
    memcpy(p, "later!", 6);
    EXPECT_NEXT("later!", a[0]);
}

TEST(vmspliced_memory_outlives_its_mapping)
{
    char *p = map(1);

    ASSERT_EQ(0, pipe(a));
    strcpy(p + 100, "remains");
    EXPECT_EQ(7, give(a[1], p + 100, 7, SPLICE_F_GIFT));
    EXPECT_EQ(0, munmap(p, PAGE));
    EXPECT_NEXT("remains", a[0]);
}

/* A child may not see what its parent writes after the fork, through a pipe neither. */
TEST(vmsplice_of_a_shared_page_does_not_show_the_other_process)
{
    char *p = map(1);
    int go[2], ready[2];
    int status = -1;
    pid_t pid;

    strcpy(p, "old");
    ASSERT_EQ(0, pipe(a) | pipe(go) | pipe(ready));
    pid = fork();
    if (pid == 0) {
        char byte;

        if (give(a[1], p, 3, 0) != 3 || munmap(p, PAGE) != 0) {
            _exit(1);
        }
        write(ready[1], "r", 1);
        read(go[0], &byte, 1);
        _exit(strcmp(next(a[0], 3), "old") == 0 ? 0 : 2);
    }
    next(ready[0], 1);
    strcpy(p, "new");
    write(go[1], "g", 1);
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, status);
}

TEST(vmsplice_of_a_private_file_page_shows_the_file_not_the_copy)
{
    int fd = memfd_create("file", 0);
    char *p;

    ASSERT_EQ(0, pipe(a));
    ASSERT_EQ(4, write(fd, "file", 4));
    p = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
    EXPECT_EQ('f', p[0]);
    EXPECT_EQ(4, give(a[1], p, 4, 0));
    memcpy(p, "copy", 4);
    EXPECT_NEXT("file", a[0]);
    EXPECT_EQ(0, memcmp(p, "copy", 4));
}

TEST(vmsplice_of_untouched_memory_gives_zeroes)
{
    static char zeroes[PAGE];
    char *p = map(1);

    ASSERT_EQ(0, pipe(a));
    EXPECT_EQ((ssize_t)PAGE, give(a[1], p, PAGE, 0));
    p[0] = 1;
    next(a[0], PAGE);
    EXPECT_BYTES(zeroes, next(a[0], 0), 1);
}

TEST(vmsplice_takes_pieces_in_order_and_stops_when_the_pipe_is_full)
{
    char *p = map(20);
    struct iovec pieces[3] = {{p, 3}, {p + PAGE - 2, 4}, {p + 5 * PAGE, 15 * PAGE}};

    ASSERT_EQ(0, pipe(a));
    memcpy(p, "one", 3);
    memcpy(p + PAGE - 2, "four", 4);
    memset(p + 5 * PAGE, 'x', 15 * PAGE);
    EXPECT_EQ(0, fcntl(a[1], F_GETFL) & O_NONBLOCK);
    /* One slot for the first piece, two for the second, which crosses pages. */
    EXPECT_EQ((ssize_t)(7 + 13 * PAGE), vmsplice(a[1], pieces, 3, 0));
    EXPECT_ERRNO(EAGAIN, give(a[1], p, 1, SPLICE_F_NONBLOCK));
    EXPECT_NEXT("one", a[0]);
    EXPECT_NEXT("four", a[0]);
    EXPECT_EQ(1, give(a[1], p, 1, SPLICE_F_NONBLOCK));
    EXPECT_NEXT("xxxxxxxx", a[0]);
}

TEST(vmsplice_checks_its_arguments)
{
    char *p = map(3);
    struct iovec empty = {p, 0};
    int fd = memfd_create("no pipe", 0);

    ASSERT_EQ(0, pipe(a));
    EXPECT_ERRNO(EINVAL, give(a[1], p, 1, 0x100));
    EXPECT_ERRNO(EBADF, give(fd, p, 1, 0));
    EXPECT_ERRNO(EBADF, give(99, p, 1, 0));
    EXPECT_ERRNO(EINVAL, vmsplice(a[1], &empty, 1025, 0));
    EXPECT_EQ(0, vmsplice(a[1], &empty, 1, 0));
    EXPECT_EQ(0, vmsplice(a[1], NULL, 0, 0));
    EXPECT_ERRNO(EFAULT, vmsplice(a[1], (void *)16, 1, 0));
    EXPECT_EQ(0, munmap(p + PAGE, PAGE));
    EXPECT_ERRNO(EFAULT, give(a[1], p + PAGE, 1, 0));
    EXPECT_ERRNO(EFAULT, give(a[1], (void *)~0xffful, 1, 0));
    EXPECT_EQ((ssize_t)PAGE, give(a[1], p, 3 * PAGE, 0));
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_NONE));
    EXPECT_ERRNO(EFAULT, give(a[1], p, 1, 0));
    signal(SIGPIPE, SIG_IGN);
    close(a[0]);
    EXPECT_ERRNO(EPIPE, give(a[1], p + 2 * PAGE, 1, 0));
}

TEST(vmsplice_with_the_read_end_reads)
{
    char *p = map(2);
    struct iovec pieces[2] = {{p + 10, 2}, {p + PAGE, 100}};

    ASSERT_EQ(0, pipe(a));
    EXPECT_ERRNO(EAGAIN, vmsplice(a[0], pieces, 2, SPLICE_F_NONBLOCK));
    EXPECT_EQ(6, write(a[1], "abcdef", 6));
    EXPECT_EQ(6, vmsplice(a[0], pieces, 2, 0));
    EXPECT_EQ(0, memcmp(p + 10, "ab", 2));
    EXPECT_EQ(0, memcmp(p + PAGE, "cdef", 4));
    close(a[1]);
    EXPECT_EQ(0, vmsplice(a[0], pieces, 2, 0));
}

TEST(tee_leaves_the_bytes_where_they_are)
{
    ASSERT_EQ(0, pipe(a) | pipe(b));
    EXPECT_EQ(6, write(a[1], "abcdef", 6));
    EXPECT_EQ(4, tee(a[0], b[1], 4, 0));
    EXPECT_NEXT("abcd", b[0]);
    EXPECT_EQ(6, tee(a[0], b[1], 100, 0));
    EXPECT_NEXT("abcdef", a[0]);
    EXPECT_NEXT("abcdef", b[0]);
}

TEST(writes_behind_a_teed_page_do_not_reach_its_copy)
{
    ASSERT_EQ(0, pipe(a) | pipe(b));
    EXPECT_EQ(3, write(a[1], "abc", 3));
    EXPECT_EQ(3, tee(a[0], b[1], 3, 0));
    EXPECT_EQ(3, write(a[1], "def", 3));
    EXPECT_EQ(3, write(b[1], "xyz", 3));
    EXPECT_NEXT("abcdef", a[0]);
    EXPECT_EQ(3, write(a[1], "ghi", 3));
    EXPECT_NEXT("abcxyz", b[0]);
    EXPECT_NEXT("ghi", a[0]);
}

TEST(tee_checks_its_arguments)
{
    int fd = memfd_create("no pipe", 0);

    ASSERT_EQ(0, pipe(a) | pipe(b));
    EXPECT_EQ(0, tee(a[0], b[1], 0, 0));
    EXPECT_EQ(0, tee(99, 98, 0, 0));
    EXPECT_ERRNO(EINVAL, tee(a[0], b[1], 1, 0x100));
    EXPECT_ERRNO(EBADF, tee(99, b[1], 1, 0));
    EXPECT_ERRNO(EBADF, tee(a[0], 99, 1, 0));
    EXPECT_ERRNO(EBADF, tee(a[1], b[1], 1, 0));
    EXPECT_ERRNO(EBADF, tee(a[0], b[0], 1, 0));
    EXPECT_ERRNO(EINVAL, tee(a[0], fd, 1, 0));
    EXPECT_ERRNO(EINVAL, tee(fd, b[1], 1, 0));
    EXPECT_ERRNO(EINVAL, tee(a[0], a[1], 1, 0));
    EXPECT_ERRNO(EAGAIN, tee(a[0], b[1], 1, SPLICE_F_NONBLOCK));
    fcntl(b[1], F_SETFL, O_NONBLOCK);
    EXPECT_ERRNO(EAGAIN, tee(a[0], b[1], 1, 0));
    close(a[1]);
    EXPECT_EQ(0, tee(a[0], b[1], 1, 0));
}

TEST(splice_between_pipes_moves_the_bytes)
{
    ASSERT_EQ(0, pipe(a) | pipe(b));
    EXPECT_EQ(6, write(a[1], "abcdef", 6));
    EXPECT_EQ(2, splice(a[0], NULL, b[1], NULL, 2, 0));
    EXPECT_EQ(4, splice(a[0], NULL, b[1], NULL, 100, SPLICE_F_MOVE | SPLICE_F_MORE));
    EXPECT_NEXT("abcdef", b[0]);
    EXPECT_ERRNO(EAGAIN, splice(a[0], NULL, b[1], NULL, 1, SPLICE_F_NONBLOCK));
    close(a[1]);
    EXPECT_EQ(0, splice(a[0], NULL, b[1], NULL, 1, 0));
}

TEST(splice_between_pipes_stops_when_the_target_is_full)
{
    static char page[PAGE];

    ASSERT_EQ(0, pipe(a) | pipe(b));
    for (int i = 0; i < 15; i++) {
        EXPECT_EQ((ssize_t)PAGE, write(b[1], page, PAGE));
    }
    EXPECT_EQ((ssize_t)PAGE, write(a[1], page, PAGE));
    EXPECT_EQ(5, write(a[1], "rest.", 5));
    EXPECT_EQ((ssize_t)PAGE, splice(a[0], NULL, b[1], NULL, 2 * PAGE, 0));
    EXPECT_ERRNO(EAGAIN, splice(a[0], NULL, b[1], NULL, 5, SPLICE_F_NONBLOCK));
    EXPECT_NEXT("rest.", a[0]);
    close(b[0]);
    signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(1, write(a[1], "x", 1));
    EXPECT_ERRNO(EPIPE, splice(a[0], NULL, b[1], NULL, 1, 0));
}

TEST(splice_into_a_file_writes_at_its_position_or_at_an_offset)
{
    int fd = memfd_create("target", 0);
    loff_t offset = 2;
    char text[16] = "";

    ASSERT_EQ(0, pipe(a));
    EXPECT_EQ(10, write(a[1], "abcdefghij", 10));
    EXPECT_EQ(4, splice(a[0], NULL, fd, NULL, 4, 0));
    EXPECT_EQ(4, lseek(fd, 0, SEEK_CUR));
    EXPECT_EQ(6, splice(a[0], NULL, fd, &offset, 100, 0));
    EXPECT_EQ(8, offset);
    EXPECT_EQ(4, lseek(fd, 0, SEEK_CUR));
    EXPECT_EQ(8, pread(fd, text, sizeof(text), 0));
    EXPECT_EQ(0, memcmp(text, "abefghij", 8));
}

TEST(splice_out_of_a_file_reads_at_its_position_or_at_an_offset)
{
    int fd = memfd_create("source", 0);
    loff_t offset = 6;

    ASSERT_EQ(0, pipe(a));
    EXPECT_EQ(10, write(fd, "abcdefghij", 10));
    EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
    EXPECT_EQ(3, splice(fd, NULL, a[1], NULL, 3, 0));
    EXPECT_EQ(3, lseek(fd, 0, SEEK_CUR));
    EXPECT_EQ(4, splice(fd, &offset, a[1], NULL, 100, 0));
    EXPECT_EQ(10, offset);
    EXPECT_NEXT("abcghij", a[0]);
    EXPECT_EQ(0, splice(fd, &offset, a[1], NULL, 100, 0));
}

TEST(splice_of_a_large_file_fills_the_pipe_and_goes_on)
{
    static char in[40 * PAGE], out[40 * PAGE];
    int source = memfd_create("source", 0);
    int target = memfd_create("target", 0);
    loff_t offset = 0;

    ASSERT_EQ(0, pipe(a));
    for (size_t i = 0; i < sizeof(in); i++) {
        in[i] = (char)(i * 13 + i / 4096);
    }
    EXPECT_EQ((ssize_t)sizeof(in), write(source, in, sizeof(in)));
    while (offset < (loff_t)sizeof(in)) {
        ssize_t n = splice(source, &offset, a[1], NULL, sizeof(in), 0);

        ASSERT_TRUE(n > 0 && n <= 65536);
        while (n > 0) {
            ssize_t moved = splice(a[0], NULL, target, NULL, n, 0);

            ASSERT_TRUE(moved > 0);
            n -= moved;
        }
    }
    EXPECT_EQ((ssize_t)sizeof(out), pread(target, out, sizeof(out), 0));
    EXPECT_BYTES(in, out, sizeof(in));
}

TEST(splice_checks_its_arguments)
{
    int fd = memfd_create("file", 0);
    int read_only = open("/proc/self/exe", O_RDONLY);
    loff_t offset = 0;

    ASSERT_EQ(0, pipe(a) | pipe(b));
    EXPECT_EQ(2, write(a[1], "ab", 2));
    EXPECT_EQ(0, splice(99, NULL, 98, NULL, 0, 0));
    EXPECT_ERRNO(EINVAL, splice(a[0], NULL, b[1], NULL, 1, 0x100));
    EXPECT_ERRNO(EBADF, splice(99, NULL, b[1], NULL, 1, 0));
    EXPECT_ERRNO(EBADF, splice(a[0], NULL, 99, NULL, 1, 0));
    EXPECT_ERRNO(EBADF, splice(a[1], NULL, b[1], NULL, 1, 0));
    EXPECT_ERRNO(EBADF, splice(a[0], NULL, read_only, NULL, 1, 0));
    EXPECT_ERRNO(EINVAL, splice(a[0], NULL, a[1], NULL, 1, 0));
    EXPECT_ERRNO(EINVAL, splice(fd, NULL, fd, NULL, 1, 0));
    EXPECT_ERRNO(ESPIPE, splice(a[0], &offset, fd, NULL, 1, 0));
    EXPECT_ERRNO(ESPIPE, splice(fd, NULL, b[1], &offset, 1, 0));
    EXPECT_ERRNO(ESPIPE, splice(a[0], &offset, b[1], NULL, 1, 0));
    EXPECT_ERRNO(EFAULT, splice(a[0], NULL, fd, (loff_t *)16, 1, 0));
    offset = -1;
    EXPECT_ERRNO(EINVAL, splice(a[0], NULL, fd, &offset, 1, 0));
    fcntl(fd, F_SETFL, O_APPEND);
    EXPECT_ERRNO(EINVAL, splice(a[0], NULL, fd, NULL, 1, 0));
    EXPECT_NEXT("ab", a[0]);
}

TEST(splice_waits_for_bytes_and_ends_with_the_last_writer)
{
    int fd = memfd_create("target", 0);
    pid_t pid;

    ASSERT_EQ(0, pipe(a));
    pid = fork();
    if (pid == 0) {
        usleep(20000);
        _exit(write(a[1], "late", 4) == 4 ? 0 : 1);
    }
    EXPECT_EQ(4, splice(a[0], NULL, fd, NULL, 100, 0));
    waitpid(pid, NULL, 0);
    close(a[1]);
    EXPECT_EQ(0, splice(a[0], NULL, fd, NULL, 100, 0));
}

/* What a pipe holds is counted in pages, however little stands in one. */

TEST(a_page_of_a_pipe_is_free_when_all_of_it_was_read)
{
    static char page[PAGE];
    int nr = 0;

    ASSERT_EQ(0, pipe2(a, O_NONBLOCK));
    while (write(a[1], page, PAGE) > 0) {
        nr++;
    }
    EXPECT_EQ(16, nr);
    EXPECT_EQ(1, read(a[0], page, 1));
    EXPECT_ERRNO(EAGAIN, write(a[1], page, 1));
    EXPECT_EQ((ssize_t)PAGE - 1, read(a[0], page, PAGE - 1));
    EXPECT_EQ(1, write(a[1], page, 1));
    EXPECT_EQ((ssize_t)PAGE - 1, write(a[1], page, PAGE - 1));
    EXPECT_ERRNO(EAGAIN, write(a[1], page, 1));
}

TEST(a_write_joins_the_last_page_only_if_it_fits_whole)
{
    static char bytes[PAGE];
    int nr = 0;

    ASSERT_EQ(0, pipe2(a, O_NONBLOCK));
    while (write(a[1], bytes, 1000) > 0) {
        nr++;
    }
    EXPECT_EQ(64, nr);
    EXPECT_EQ(96, write(a[1], bytes, 96));
    EXPECT_ERRNO(EAGAIN, write(a[1], bytes, 1));
}

UTEST_MAIN
