/*
 * userfaultfd: UFFDIO_MOVE (rules D21 to D24). Errors that one cell of the table shows are in
 * uffd_errno_test.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "uffd_move"
#include "utest.h"
#include "uffd_tools.h"

enum { NR = 4 };

static int fd;
static char *to;
static char *from;

static void place(uint64_t modes)
{
    fd = uffd_open(0, UFFD_FEATURE_MOVE | UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_POISON);
    to = map_anonymous(NR);
    /* Something between them, so that the mappings stay two. */
    mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    from = map_anonymous(NR);
    for (int i = 0; i < NR; i++) {
        fill_page(from + i * PAGE, (uint64_t)i);
    }
    EXPECT_EQ(0, uffd_register(fd, to, NR, modes));
}

TEST(pages_change_their_place)
{
    uint64_t frames[NR];
    char zeros[4096] = {0};

    place(MISSING);
    for (int i = 0; i < NR; i++) {
        frames[i] = pagemap_entry(from + i * PAGE) & PM_FRAME;
    }
    EXPECT_EQ(0, uffd_move(fd, to, from, NR, 0));
    EXPECT_EQ(NR * PAGE, uffd_done);
    for (int i = 0; i < NR; i++) {
        EXPECT_TRUE(page_is(to + i * PAGE, (uint64_t)i));
        EXPECT_EQ(frames[i], pagemap_entry(to + i * PAGE) & PM_FRAME);
        EXPECT_FALSE(page_is_present(from + i * PAGE));
        EXPECT_BYTES(zeros, from + i * PAGE, PAGE);
    }
    to[0] = 1;
    from[0] = 2;
    EXPECT_EQ(1, to[0]);
}

TEST(a_move_answers_a_waiting_thread)
{
    struct toucher t;

    place(MISSING);
    toucher_start(&t, to + PAGE, TOUCH_WRITE, 77);
    EXPECT_EQ(to + PAGE, uffd_next_page(fd, NULL));
    EXPECT_EQ(0, uffd_move(fd, to + PAGE, from, 1, 0));
    toucher_join(&t);
    EXPECT_EQ(77, to[PAGE]);
    EXPECT_EQ(((char *)filled_page(0))[9], to[PAGE + 9]);
}

TEST(holes_of_the_source_only_if_allowed)
{
    place(MISSING);
    EXPECT_EQ(0, madvise(from + PAGE, PAGE, MADV_DONTNEED));
    EXPECT_EQ(-EAGAIN, uffd_move(fd, to, from, NR, 0));
    EXPECT_EQ(PAGE, uffd_done);
    EXPECT_EQ(-ENOENT, uffd_move(fd, to + PAGE, from + PAGE, 1, 0));
    EXPECT_EQ(-ENOENT, uffd_done);
    EXPECT_EQ(0, uffd_move(fd, to + PAGE, from + PAGE, NR - 1, UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES));
    EXPECT_EQ((NR - 1) * PAGE, uffd_done);
    EXPECT_FALSE(page_is_present(to + PAGE));
    EXPECT_TRUE(page_is(to + 2 * PAGE, 2));
    EXPECT_TRUE(page_is(to + 3 * PAGE, 3));
}

TEST(the_page_of_zeros_moves_too)
{
    char zeros[4096] = {0};

    place(MISSING);
    EXPECT_EQ(0, madvise(from, PAGE, MADV_DONTNEED));
    EXPECT_EQ(0, *(volatile char *)from);
    EXPECT_EQ(0, uffd_move(fd, to, from, 1, 0));
    EXPECT_BYTES(zeros, to, PAGE);
    to[3] = 3;
    EXPECT_EQ(0, from[3]);
}

TEST(both_sides_must_match)
{
    struct region shared = region_make(SHMEM_SHARED, 1);
    struct region private = region_make(SHMEM_PRIVATE, 1);

    place(MISSING);
    shared.p[0] = private.p[0] = 1;
    EXPECT_EQ(-EINVAL, uffd_move(fd, to, shared.p, 1, 0));
    EXPECT_EQ(-EINVAL, uffd_move(fd, to, private.p, 1, 0));
    EXPECT_EQ(0, mprotect(from, PAGE, PROT_READ));
    EXPECT_EQ(-EINVAL, uffd_move(fd, to, from, 1, 0));
    EXPECT_EQ(0, mprotect(to, PAGE, PROT_READ));
    EXPECT_EQ(-EINVAL, uffd_move(fd, to, from, 1, 0));
    EXPECT_EQ(0, mprotect(from, PAGE, RW) | mprotect(to, PAGE, RW));
    EXPECT_EQ(0, mlock(from, PAGE));
    EXPECT_EQ(-EINVAL, uffd_move(fd, to, from, 1, 0));
    EXPECT_EQ(0, munlock(from, PAGE));
    EXPECT_EQ(0, uffd_move(fd, to, from, 1, 0));
    EXPECT_EQ(-EINVAL, uffd_move(fd, to + PAGE, from + PAGE, 1, 1 << 2));
}

TEST(the_destination_is_registered_here_and_empty)
{
    int other = uffd_open(0, UFFD_FEATURE_MOVE);

    place(MISSING);
    EXPECT_EQ(-EINVAL, uffd_move(other, to, from, 1, 0));
    EXPECT_EQ(0, uffd_zeropage(fd, to, 1, 0));
    EXPECT_EQ(-EEXIST, uffd_move(fd, to, from, 1, 0));
    EXPECT_TRUE(page_is(from, 0));
    EXPECT_EQ(0, uffd_poison(fd, to + PAGE, 1, 0));
    EXPECT_EQ(-EEXIST, uffd_move(fd, to + PAGE, from, 1, 0));
}

TEST(a_page_that_a_child_shares_stays)
{
    int ends[2];
    pid_t pid;
    char byte;

    place(MISSING);
    EXPECT_EQ(0, pipe(ends));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        close(ends[1]);
        read(ends[0], &byte, 1);
        _exit(0);
    }
    close(ends[0]);
    EXPECT_EQ(-EBUSY, uffd_move(fd, to, from, 1, 0));
    EXPECT_EQ(-EBUSY, uffd_done);
    /* A write gives this process a page of its own again. */
    from[0] = 1;
    EXPECT_EQ(0, uffd_move(fd, to, from, 1, 0));
    EXPECT_EQ(1, to[0]);
    close(ends[1]);
    waitpid(pid, NULL, 0);
}

TEST(a_protected_source_moves_and_is_not_protected_there)
{
    place(MISSING | WP);
    EXPECT_EQ(0, uffd_register(fd, from, NR, WP));
    EXPECT_EQ(0, uffd_protect(fd, from, 1));
    EXPECT_EQ(0, uffd_move(fd, to, from, 1, 0));
    EXPECT_FALSE(page_is_protected(to));
    to[0] = 5;
    EXPECT_EQ(5, to[0]);
}

TEST(a_marker_at_the_source_is_not_moved)
{
    place(MISSING);
    EXPECT_EQ(0, uffd_register(fd, from, NR, MISSING));
    EXPECT_EQ(0, madvise(from, PAGE, MADV_DONTNEED));
    EXPECT_EQ(0, uffd_poison(fd, from, 1, 0));
    EXPECT_EQ(-EFAULT, uffd_move(fd, to, from, 1, 0));
}

TEST(moving_onto_itself)
{
    place(MISSING);
    EXPECT_EQ(-ENOENT, uffd_move(fd, to, to, 1, 0));
    EXPECT_EQ(0, uffd_zeropage(fd, to, 1, 0));
    EXPECT_EQ(-EEXIST, uffd_move(fd, to, to, 1, 0));
}

TEST(within_one_mapping)
{
    place(MISSING);
    EXPECT_EQ(0, uffd_copy(fd, to, filled_page(4), 1, 0));
    EXPECT_EQ(0, uffd_move(fd, to + 2 * PAGE, to, 1, 0));
    EXPECT_TRUE(page_is(to + 2 * PAGE, 4));
    EXPECT_FALSE(page_is_present(to));
}

UTEST_MAIN
