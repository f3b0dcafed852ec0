/*
 * mremap(2): every combination of lengths and flags that matters, and every kind of memory, as on
 * Linux 6.12.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "mremap"
#include "utest.h"
#include "inspect.h"

#define MAYMOVE   MREMAP_MAYMOVE
#define FIXED     MREMAP_FIXED
#define DONTUNMAP 4

static void *mremap_(void *old, size_t old_len, size_t new_len, int flags, void *new)
{
    return (void *)syscall(SYS_mremap, old, old_len, new_len, flags, new);
}

/* 16 pages, numbered from 1, of which the ninth is missing. */
static char *ground(void)
{
    char *p = mmap(NULL, 16 * PAGE, RW, ANON, -1, 0);

    munmap(p + 8 * PAGE, PAGE);
    for (size_t i = 0; i < 16; i++) {
        if (i != 8) {
            p[i * PAGE] = (char)(i + 1);
        }
    }
    return p;
}

/* An address where 16 pages are free. */
static char *elsewhere(void)
{
    char *p = mmap(NULL, 20 * PAGE, PROT_NONE, ANON, -1, 0);

    munmap(p, 20 * PAGE);
    return p + 2 * PAGE;
}

TEST(arguments_are_checked_in_order)
{
    static const struct {
        size_t at, old_len, new_len;
        int flags, skew, error;
    } rows[] = {
        {1, PAGE, PAGE, 0, 0, EINVAL},
        {0, PAGE, 0, 0, 0, EINVAL},
        {0, 0, PAGE, 0, 0, EINVAL},
        {0, 0, PAGE, MAYMOVE, 0, EINVAL},
        {0, PAGE, 2 * PAGE, 0, 0, ENOMEM},
        {0, 2 * PAGE, PAGE, 0, 0, 0},
        {0, PAGE, PAGE, DONTUNMAP, 0, EINVAL},
        {0, PAGE, 2 * PAGE, DONTUNMAP | MAYMOVE, 0, EINVAL},
        {0, PAGE, PAGE, DONTUNMAP | MAYMOVE, 0, 0},
        {0, PAGE, PAGE, FIXED, 0, EINVAL},
        {0, PAGE, PAGE, FIXED | MAYMOVE, 1, EINVAL},
        {0, PAGE, PAGE, FIXED | MAYMOVE, 0, 0},
        {8, PAGE, PAGE, 0, 0, EFAULT},
        {8, PAGE, 2 * PAGE, MAYMOVE, 0, EFAULT},
        {7, 2 * PAGE, 4 * PAGE, MAYMOVE, 0, EFAULT},
        {7, 2 * PAGE, PAGE, 0, 0, 0},
        {0, PAGE, 1ul << 47, MAYMOVE, 0, ENOMEM},
        {0, PAGE, PAGE, 8, 0, EINVAL},
        {0, PAGE, PAGE, FIXED | DONTUNMAP, 0, EINVAL},
        {0, PAGE, PAGE, FIXED | DONTUNMAP | MAYMOVE, 0, 0},
        {0, 1, 1, 0, 0, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *old = ground();
        char *at = rows[i].at == 1 ? old + 1 : old + rows[i].at * PAGE;
        char *target = elsewhere() + rows[i].skew;
        void *p = mremap_(at, rows[i].old_len, rows[i].new_len, rows[i].flags, target);

        if ((p == MAP_FAILED ? errno : 0) != rows[i].error) {
            printf("# row %zu\n", i);
        }
        EXPECT_EQ(rows[i].error, p == MAP_FAILED ? errno : 0);
        EXPECT_TRUE(p == MAP_FAILED || (rows[i].flags & FIXED) == 0 || p == target);
        munmap(old, 16 * PAGE);
        if (p != MAP_FAILED) {
            munmap(p, rows[i].new_len);
        }
    }
}

TEST(source_and_target_do_not_overlap)
{
    char *p = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);

    EXPECT_TRUE(mremap_(p, 2 * PAGE, 2 * PAGE, FIXED | MAYMOVE, p) == MAP_FAILED);
    EXPECT_EQ(EINVAL, errno);
    EXPECT_TRUE(mremap_(p, 2 * PAGE, 2 * PAGE, FIXED | MAYMOVE, p + PAGE) == MAP_FAILED);
    EXPECT_EQ(EINVAL, errno);
    EXPECT_TRUE(mremap_(p + PAGE, PAGE, 2 * PAGE, FIXED | MAYMOVE, p) == MAP_FAILED);
    EXPECT_EQ(EINVAL, errno);
    EXPECT_TRUE(mremap_(p, PAGE, PAGE, FIXED | MAYMOVE, p + PAGE) == p + PAGE);
    EXPECT_TRUE(mremap_(p + 4 * PAGE, PAGE, PAGE, FIXED | MAYMOVE, (void *)0x7ffffffff000) ==
                MAP_FAILED);
    EXPECT_EQ(EINVAL, errno);
}

TEST(shared_memory_is_duplicated_and_private_memory_is_not)
{
    int memfd = new_memfd(4 * PAGE);
    char *shared = mmap(NULL, 4 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *file = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, memfd, 0);
    char *private = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, memfd, 0);
    char *p;

    shared[0] = 7;
    p = mremap(shared, 0, 4 * PAGE, MAYMOVE);
    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_EQ(7, p[0]);
    p[0] = 8;
    EXPECT_EQ(8, shared[0]);
    p = mremap(file, 0, 4 * PAGE, MAYMOVE);
    ASSERT_TRUE(p != MAP_FAILED);
    p[0] = 9;
    EXPECT_EQ(9, file[0]);
    EXPECT_TRUE(mremap(private, 0, 4 * PAGE, MAYMOVE) == MAP_FAILED);
    EXPECT_EQ(EINVAL, errno);
}

TEST(dontunmap_leaves_the_old_mapping_without_its_pages)
{
    int memfd = new_memfd(4 * PAGE);
    char *anonymous = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);
    char *shared = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, memfd, 0);
    char *private = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, memfd, 0);
    char *p;

    anonymous[0] = 1;
    shared[0] = 2;
    private[PAGE] = 3;
    p = mremap(anonymous, 4 * PAGE, 4 * PAGE, MAYMOVE | DONTUNMAP);
    EXPECT_EQ(1, p[0]);
    EXPECT_EQ(0, anonymous[0]);
    p = mremap(shared, 4 * PAGE, 4 * PAGE, MAYMOVE | DONTUNMAP);
    EXPECT_EQ(2, p[0]);
    EXPECT_EQ(2, shared[0]);
    p = mremap(private, 4 * PAGE, 4 * PAGE, MAYMOVE | DONTUNMAP);
    EXPECT_EQ(3, p[PAGE]);
    EXPECT_EQ(0, private[PAGE]);
}

TEST(a_part_of_a_mapping_moves_with_its_advice)
{
    char *p = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);
    unsigned char there;
    char *q;
    int status = -1;

    EXPECT_EQ(0, madvise(p, 8 * PAGE, MADV_WIPEONFORK));
    p[3 * PAGE] = 3;
    q = mremap(p + 2 * PAGE, 3 * PAGE, 6 * PAGE, MAYMOVE);
    EXPECT_EQ(3, q[PAGE]);
    for (size_t i = 0; i < 8; i++) {
        EXPECT_EQ(i >= 2 && i < 5 ? -1 : 0, mincore(p + i * PAGE, PAGE, &there));
    }
    q[5 * PAGE] = 5;
    if (fork() == 0) {
        EXPECT_EQ(0, q[PAGE]);
        EXPECT_EQ(0, q[5 * PAGE]);
        _exit(utest_failures != 0);
    }
    wait(&status);
    EXPECT_EQ(0, status);
}

UTEST_MAIN
