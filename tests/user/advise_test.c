/*
 * madvise(2): what every advice says of every kind of memory, and what becomes of the pages, as
 * Linux 6.12 has it.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "advise"
#include "utest.h"

#include <fcntl.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)
#define LEN  (4 * PAGE)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum kind {
    ANON,
    SHARED_ANON,
    SHARED_FILE,
    PRIVATE_FILE,
    READ_ONLY_FILE,
    SHARED_MEMFD,
    GROWS_DOWN,
    LOCKED,
    NO_ACCESS,
    WITH_HOLE,
    NR_KINDS,
};

static int file_fd;
static int read_only_fd;
static int memfd;

static void open_files(void)
{
    char name[] = "/tmp/adviseXXXXXX";

    file_fd = mkstemp(name);
    read_only_fd = open(name, O_RDONLY);
    unlink(name);
    memfd = memfd_create("advise", 0);
    EXPECT_EQ(0, ftruncate(file_fd, LEN));
    EXPECT_EQ(0, ftruncate(memfd, LEN));
}

static char *map_kind(enum kind kind)
{
    int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    char *p;

    switch (kind) {
    case SHARED_ANON:
        return mmap(NULL, LEN, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    case SHARED_FILE:
        return mmap(NULL, LEN, RW, MAP_SHARED, file_fd, 0);
    case PRIVATE_FILE:
        return mmap(NULL, LEN, RW, MAP_PRIVATE, file_fd, 0);
    case READ_ONLY_FILE:
        return mmap(NULL, LEN, PROT_READ, MAP_SHARED, read_only_fd, 0);
    case SHARED_MEMFD:
        return mmap(NULL, LEN, RW, MAP_SHARED, memfd, 0);
    case GROWS_DOWN:
        return mmap(NULL, LEN, RW, anonymous | MAP_GROWSDOWN, -1, 0);
    case LOCKED:
        return mmap(NULL, LEN, RW, anonymous | MAP_LOCKED, -1, 0);
    case NO_ACCESS:
        return mmap(NULL, LEN, PROT_NONE, anonymous, -1, 0);
    case WITH_HOLE:
        p = mmap(NULL, LEN, RW, anonymous, -1, 0);
        EXPECT_EQ(0, munmap(p + PAGE, PAGE));
        return p;
    default:
        return mmap(NULL, LEN, RW, anonymous, -1, 0);
    }
}

#define ADVICE_MAX 25

/* 0, or the error, by kind of memory: in the order of enum kind. */
static const int expected[ADVICE_MAX + 1][NR_KINDS] = {
    [MADV_NORMAL] = {[WITH_HOLE] = ENOMEM},
    [MADV_RANDOM] = {[WITH_HOLE] = ENOMEM},
    [MADV_SEQUENTIAL] = {[WITH_HOLE] = ENOMEM},
    [MADV_WILLNEED] = {[WITH_HOLE] = ENOMEM},
    [MADV_DONTNEED] = {[LOCKED] = EINVAL, [WITH_HOLE] = ENOMEM},
    [5] = {EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL},
    [6] = {EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL},
    [7] = {EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL},
    [MADV_FREE] = {0, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, 0, EINVAL, 0, ENOMEM},
    [MADV_REMOVE] = {EINVAL, 0, 0, EACCES, EACCES, 0, EINVAL, EINVAL, EINVAL, EINVAL},
    [MADV_DONTFORK] = {[WITH_HOLE] = ENOMEM},
    [MADV_DOFORK] = {[WITH_HOLE] = ENOMEM},
    [MADV_MERGEABLE] = {[WITH_HOLE] = ENOMEM},
    [MADV_UNMERGEABLE] = {[WITH_HOLE] = ENOMEM},
    [MADV_HUGEPAGE] = {[WITH_HOLE] = ENOMEM},
    [MADV_NOHUGEPAGE] = {[WITH_HOLE] = ENOMEM},
    [MADV_DONTDUMP] = {[WITH_HOLE] = ENOMEM},
    [MADV_DODUMP] = {[WITH_HOLE] = ENOMEM},
    [MADV_WIPEONFORK] = {0, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, 0, 0, 0, ENOMEM},
    [MADV_KEEPONFORK] = {[WITH_HOLE] = ENOMEM},
    [MADV_COLD] = {[LOCKED] = EINVAL, [WITH_HOLE] = ENOMEM},
    [MADV_PAGEOUT] = {[LOCKED] = EINVAL, [WITH_HOLE] = ENOMEM},
    [22] = {[NO_ACCESS] = EINVAL, [WITH_HOLE] = ENOMEM}, /* POPULATE_READ */
    [23] = {[READ_ONLY_FILE] = EINVAL, [NO_ACCESS] = EINVAL, [WITH_HOLE] = ENOMEM}, /* _WRITE */
    [24] = {[WITH_HOLE] = ENOMEM}, /* DONTNEED_LOCKED */
    [MADV_COLLAPSE] = {EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL,
                       EINVAL}, /* none has room for a huge page */
};

TEST(every_advice_knows_its_kinds_of_memory)
{
    open_files();
    for (int kind = 0; kind < NR_KINDS; kind++) {
        for (int advice = 0; advice <= ADVICE_MAX; advice++) {
            char *p = map_kind(kind);
            int want = expected[advice][kind];
            int error = madvise(p, LEN, advice) == 0 ? 0 : errno;

            if (error != want) {
                printf("# advice %d of kind %d\n", advice, kind);
            }
            EXPECT_EQ(want, error);
            EXPECT_EQ(0, munmap(p, LEN));
        }
    }
}

TEST(advice_that_nobody_knows_is_refused)
{
    char *p = map_kind(ANON);

    EXPECT_ERRNO(EINVAL, madvise(p, LEN, -1));
    for (int advice = 26; advice < 32; advice++) {
        EXPECT_ERRNO(EINVAL, madvise(p, LEN, advice));
    }
    EXPECT_ERRNO(EINVAL, madvise(p, LEN, 102));
    EXPECT_ERRNO(EINVAL, madvise(p, LEN, 103));
    EXPECT_ERRNO(EINVAL, madvise(p, 0, 26));
}

TEST(to_collapse_nothing_is_no_error_and_a_hole_is_one)
{
    char *p = map_kind(ANON);

    EXPECT_EQ(0, madvise(p, 0, MADV_COLLAPSE));
    EXPECT_ERRNO(EINVAL, madvise(p + 1, LEN, MADV_COLLAPSE));
    EXPECT_EQ(0, munmap(p, 2 * PAGE));
    EXPECT_ERRNO(ENOMEM, madvise(p, 2 * PAGE, MADV_COLLAPSE));
    EXPECT_ERRNO(EINVAL, madvise(p, LEN, MADV_COLLAPSE));
}

/* Which of four pages are there, as four bits, the first one highest. */
static int resident(char *p)
{
    unsigned char there[4];

    EXPECT_EQ(0, mincore(p, LEN, there));
    return (there[0] & 1) << 3 | (there[1] & 1) << 2 | (there[2] & 1) << 1 | (there[3] & 1);
}

/* The pages after the first and the third were written, and the advice was given. */
static int after(enum kind kind, int advice)
{
    char *p = map_kind(kind);
    int result;

    p[0] = 5;
    p[2 * PAGE] = 6;
    EXPECT_EQ(0, madvise(p, LEN, advice));
    result = resident(p);
    EXPECT_EQ(0, munmap(p, LEN));
    return result;
}

TEST(pages_go_and_come_as_advised)
{
    open_files();
    EXPECT_EQ(0, after(ANON, MADV_DONTNEED));
    EXPECT_EQ(10, after(ANON, MADV_FREE));
    EXPECT_EQ(10, after(ANON, MADV_COLD));
    EXPECT_EQ(15, after(ANON, 22));
    EXPECT_EQ(15, after(ANON, 23));
    EXPECT_EQ(0, after(LOCKED, 24));
    EXPECT_EQ(10, after(SHARED_ANON, MADV_DONTNEED));
    EXPECT_EQ(0, after(SHARED_ANON, MADV_REMOVE));
    EXPECT_EQ(0, after(SHARED_MEMFD, MADV_REMOVE));
    EXPECT_EQ(0, after(SHARED_FILE, MADV_REMOVE));
    EXPECT_EQ(15, after(SHARED_FILE, 22));
}

TEST(a_private_page_that_is_dropped_shows_the_file_again)
{
    open_files();
    char *shared = map_kind(SHARED_FILE);
    char *private = map_kind(PRIVATE_FILE);

    shared[0] = 'f';
    private[0] = 'p';
    EXPECT_EQ(0, madvise(private, PAGE, MADV_DONTNEED));
    EXPECT_EQ('f', private[0]);
    private[0] = 'p';
    EXPECT_EQ(0, madvise(shared, PAGE, MADV_REMOVE));
    EXPECT_EQ(0, shared[0]);
    EXPECT_EQ('p', private[0]);
}

TEST(populate_stops_at_the_end_of_the_file)
{
    open_files();
    char *p = mmap(NULL, 4 * LEN, RW, MAP_SHARED, file_fd, 0);

    EXPECT_ERRNO(EFAULT, madvise(p, 4 * LEN, 22));
    EXPECT_ERRNO(EFAULT, madvise(p, 4 * LEN, 23));
    EXPECT_EQ(0, madvise(p, LEN, 23));
}

TEST(a_grandchild_inherits_what_was_advised_about_fork)
{
    char *p = map_kind(ANON);

    p[0] = 1;
    p[PAGE] = 2;
    EXPECT_EQ(0, madvise(p, PAGE, MADV_WIPEONFORK));
    EXPECT_EQ(0, madvise(p + 2 * PAGE, PAGE, MADV_DONTFORK));
    if (fork() == 0) {
        unsigned char there;

        EXPECT_EQ(0, p[0]);
        EXPECT_EQ(2, p[PAGE]);
        EXPECT_ERRNO(ENOMEM, mincore(p + 2 * PAGE, PAGE, &there));
        p[0] = 3;
        if (fork() == 0) {
            EXPECT_EQ(0, p[0]);
            _exit(utest_failures != 0);
        }
        int status = -1;
        wait(&status);
        EXPECT_EQ(0, status);
        _exit(utest_failures != 0);
    }
    int status = -1;
    wait(&status);
    EXPECT_EQ(0, status);
}

UTEST_MAIN
