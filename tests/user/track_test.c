/*
 * Finding out what was written: soft-dirty bits, /proc/pid/clear_refs, PAGEMAP_SCAN.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "track"
#include "utest.h"
#include "inspect.h"

TEST(soft_dirty_comes_back_with_a_write)
{
    int fd = new_memfd(2 * PAGE);
    char *p = map(4);
    char *shared = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
    volatile char byte;

    ASSERT_TRUE(p != NULL && shared != MAP_FAILED);
    memset(p, 1, 3 * PAGE);
    shared[0] = 1;
    EXPECT_TRUE(is_soft_dirty(p) && is_soft_dirty(p + 3 * PAGE) && is_soft_dirty(shared));
    clear_refs("4\n");
    EXPECT_FALSE(is_soft_dirty(p) || is_soft_dirty(p + 3 * PAGE) || is_soft_dirty(shared));
    byte = p[0];
    byte = shared[PAGE];
    (void)byte;
    EXPECT_FALSE(is_soft_dirty(p) || is_soft_dirty(shared + PAGE));
    p[PAGE] = 2;
    p[3 * PAGE] = 2;
    shared[0] = 2;
    shared[PAGE] = 2;
    EXPECT_FALSE(is_soft_dirty(p));
    EXPECT_TRUE(is_soft_dirty(p + PAGE) && is_soft_dirty(p + 3 * PAGE));
    EXPECT_TRUE(is_soft_dirty(shared) && is_soft_dirty(shared + PAGE));
}

TEST(soft_dirty_is_not_lost_by_mprotect_fork_and_mremap)
{
    char *p = map(4);
    char *q = map(4);
    pid_t pid;
    int status;

    ASSERT_TRUE(p != NULL && q != NULL);
    memset(p, 1, 4 * PAGE);
    clear_refs("4");
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_READ));
    EXPECT_EQ(0, mprotect(p, PAGE, RW));
    p[0] = 2;
    EXPECT_TRUE(is_soft_dirty(p));
    EXPECT_FALSE(is_soft_dirty(p + PAGE));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    ASSERT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_TRUE(is_soft_dirty(p));
    p[PAGE] = 2;
    EXPECT_TRUE(is_soft_dirty(p + PAGE));
    EXPECT_FALSE(is_soft_dirty(p + 2 * PAGE));
    EXPECT_EQ((long)q, (long)mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q));
    EXPECT_TRUE(is_soft_dirty(q + 2 * PAGE));
}

TEST(new_memory_is_soft_dirty)
{
    char *p;

    clear_refs("4");
    p = map_alone(1, RW);
    ASSERT_TRUE(p != NULL);
    EXPECT_TRUE(is_soft_dirty(p));
}

TEST(clear_refs_takes_five_requests)
{
    static const char *const wrong[] = {"0", "6", "x", "4x", "", "44", "-1"};
    char *p = map_alone(2, RW);
    int fd = open("/proc/self/clear_refs", O_RDWR);
    char byte;

    ASSERT_TRUE(p != NULL && fd >= 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        EXPECT_ERRNO(EINVAL, write(fd, wrong[i], strlen(wrong[i])));
    }
    EXPECT_ERRNO(EINVAL, read(fd, &byte, 1));
    memset(p, 1, 2 * PAGE);
    EXPECT_EQ(8, smaps_kib(p, "Referenced:"));
    clear_refs("3");
    EXPECT_EQ(8, smaps_kib(p, "Referenced:"));
    clear_refs("2");
    EXPECT_EQ(0, smaps_kib(p, "Referenced:"));
    p[0] = 1;
    clear_refs(" 1\n");
    EXPECT_EQ(0, smaps_kib(p, "Referenced:"));
    clear_refs("5");
}

static long run_scan(struct scan *scan, struct region *regions)
{
    static int fd = -1;

    if (fd < 0) {
        fd = open("/proc/self/pagemap", O_RDONLY);
    }
    scan->size = sizeof(*scan);
    scan->vec = (uintptr_t)regions;
    return ioctl(fd, SCAN, scan);
}

TEST(scan_finds_ranges_by_category)
{
    int fd = new_memfd(2 * PAGE);
    char *p = map(8);
    struct region r[16];
    struct scan scan = {
        .vec_len = 16, .mask = IS_PRESENT, .returned = IS_PRESENT | IS_FILE | IS_ZERO};
    volatile char byte;

    ASSERT_TRUE(p != NULL);
    p[0] = 1;
    p[PAGE] = 1;
    byte = p[3 * PAGE];
    (void)byte;
    ASSERT_TRUE(mmap(p + 4 * PAGE, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED);
    p[4 * PAGE] = 1;
    scan.start = (uintptr_t)p;
    scan.end = (uintptr_t)p + 8 * PAGE;
    ASSERT_EQ(3, run_scan(&scan, r));
    EXPECT_EQ((uintptr_t)p, r[0].start);
    EXPECT_EQ((uintptr_t)p + 2 * PAGE, r[0].end);
    EXPECT_EQ(IS_PRESENT, r[0].categories);
    EXPECT_EQ(IS_PRESENT | IS_ZERO, r[1].categories);
    EXPECT_EQ((uintptr_t)p + 4 * PAGE, r[2].start);
    EXPECT_EQ(IS_PRESENT | IS_FILE, r[2].categories);
    EXPECT_EQ(scan.end, scan.walk_end);
    scan.inverted = IS_PRESENT;
    scan.returned = 0;
    EXPECT_EQ(2, run_scan(&scan, r));
    scan.inverted = 0;
    scan.mask = 0;
    scan.anyof = IS_FILE | IS_ZERO;
    EXPECT_EQ(1, run_scan(&scan, r));
    EXPECT_EQ((uintptr_t)p + 3 * PAGE, r[0].start);
    EXPECT_EQ((uintptr_t)p + 5 * PAGE, r[0].end);
}

TEST(scan_stops_where_it_is_told_to)
{
    char *p = map(16);
    struct region r[4];
    struct scan scan = {.vec_len = 1, .mask = IS_PRESENT, .returned = IS_PRESENT};

    ASSERT_TRUE(p != NULL);
    p[0] = p[PAGE] = p[3 * PAGE] = p[5 * PAGE] = 1;
    scan.start = (uintptr_t)p;
    scan.end = (uintptr_t)p + 16 * PAGE;
    EXPECT_EQ(1, run_scan(&scan, r));
    EXPECT_EQ((uintptr_t)p + 3 * PAGE, scan.walk_end);
    scan.vec_len = 4;
    scan.max_pages = 3;
    EXPECT_EQ(2, run_scan(&scan, r));
    EXPECT_EQ((uintptr_t)p + 5 * PAGE, scan.walk_end);
    scan.max_pages = 1;
    EXPECT_EQ(1, run_scan(&scan, r));
    EXPECT_EQ((uintptr_t)p + PAGE, r[0].end);
    EXPECT_EQ((uintptr_t)p + PAGE, scan.walk_end);
}

TEST(scan_sees_soft_dirty_pages)
{
    char *p = map(8);
    struct region r[4];
    struct scan scan = {.vec_len = 4, .mask = IS_SOFT_DIRTY, .returned = IS_SOFT_DIRTY};

    ASSERT_TRUE(p != NULL);
    memset(p, 1, 8 * PAGE);
    clear_refs("4");
    p[2 * PAGE] = 2;
    p[3 * PAGE] = 2;
    scan.start = (uintptr_t)p;
    scan.end = (uintptr_t)p + 8 * PAGE;
    ASSERT_EQ(1, run_scan(&scan, r));
    EXPECT_EQ((uintptr_t)p + 2 * PAGE, r[0].start);
    EXPECT_EQ((uintptr_t)p + 4 * PAGE, r[0].end);
}

TEST(scan_checks_its_arguments)
{
    int fd = open("/proc/self/pagemap", O_RDONLY);
    char *p = map(2);
    struct region r[2];
    struct scan good = {.size = sizeof(good),
                        .start = (uintptr_t)p,
                        .end = (uintptr_t)p + PAGE,
                        .vec = (uintptr_t)r,
                        .vec_len = 2,
                        .mask = IS_PRESENT,
                        .returned = IS_PRESENT};
    struct scan bad = good;

    ASSERT_TRUE(fd >= 0 && p != NULL);
    EXPECT_EQ(0, ioctl(fd, SCAN, &good));
    bad.size = 8;
    EXPECT_ERRNO(EINVAL, ioctl(fd, SCAN, &bad));
    bad = good;
    bad.flags = 4;
    EXPECT_ERRNO(EINVAL, ioctl(fd, SCAN, &bad));
    bad = good;
    bad.mask = 1 << 8;
    EXPECT_ERRNO(EINVAL, ioctl(fd, SCAN, &bad));
    bad = good;
    bad.start++;
    EXPECT_ERRNO(EINVAL, ioctl(fd, SCAN, &bad));
    bad = good;
    bad.end = 1ul << 48;
    EXPECT_ERRNO(EFAULT, ioctl(fd, SCAN, &bad));
    bad = good;
    bad.vec = 0;
    EXPECT_ERRNO(EINVAL, ioctl(fd, SCAN, &bad));
    bad = good;
    bad.flags = 2;
    EXPECT_ERRNO(EPERM, ioctl(fd, SCAN, &bad));
    bad.start += PAGE;
    bad.end = bad.start;
    EXPECT_EQ(0, ioctl(fd, SCAN, &bad));
    EXPECT_EQ(bad.start, bad.walk_end);
    p[0] = 1;
    bad = good;
    bad.vec = 8;
    EXPECT_ERRNO(EFAULT, ioctl(fd, SCAN, &bad));
    EXPECT_ERRNO(EFAULT, ioctl(fd, SCAN, (void *)8));
    EXPECT_ERRNO(EINVAL, ioctl(fd, _IOWR('f', 17, struct scan), &good));
}

UTEST_MAIN
