/*
 * Write-protection through userfaultfd: forks, files behind, remote writers, and the asynchronous
 * kind with PAGEMAP_SCAN. The table of states is uffd_wp_table_test.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "uffd_wp"
#include "utest.h"
#include "uffd_tools.h"
#include "pagemap_scan.h"

#include <setjmp.h>
#include <sys/uio.h>

#define SYNC_FEATURES (UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_UNPOPULATED)

static sigjmp_buf after_signal;

static void on_signal(int signal)
{
    siglongjmp(after_signal, signal);
}

static int write_fails(volatile char *p)
{
    signal(SIGBUS, on_signal);
    if (sigsetjmp(after_signal, 1) != 0) {
        return 1;
    }
    *p = 1;
    return 0;
}

/* --- synchronous ------------------------------------------------------------------------------ */

TEST(only_the_pages_that_were_named)
{
    int fd = uffd_open(0, SYNC_FEATURES | UFFD_FEATURE_SIGBUS);
    char *p = map_anonymous(8);

    memset(p, 1, 8 * PAGE);
    EXPECT_EQ(0, uffd_register(fd, p, 8, WP));
    EXPECT_EQ(0, uffd_protect(fd, p + PAGE, 2));
    EXPECT_EQ(0, uffd_protect(fd, p + 5 * PAGE, 1));
    EXPECT_EQ(0, uffd_unprotect(fd, p + 2 * PAGE, 1));
    for (int i = 0; i < 8; i++) {
        EXPECT_EQ(i == 1 || i == 5, write_fails(p + i * PAGE));
    }
}

TEST(other_mappings_of_the_file_are_not_disturbed)
{
    int fd = uffd_open(0, SYNC_FEATURES | UFFD_FEATURE_SIGBUS);
    struct region r = region_make(SHMEM_SHARED, 2);

    r.p[0] = 1;
    EXPECT_EQ(0, uffd_register(fd, r.p, 2, WP));
    EXPECT_EQ(0, uffd_protect(fd, r.p, 2));
    EXPECT_FALSE(write_fails(r.other) || write_fails(r.other + PAGE));
    EXPECT_EQ(PAGE, pwrite(r.fd, filled_page(5), PAGE, 0));
    EXPECT_TRUE(page_is(r.p, 5));
    EXPECT_TRUE(write_fails(r.p) && write_fails(r.p + PAGE));
    EXPECT_TRUE(page_is_protected(r.p) && page_is_protected(r.p + PAGE));
}

TEST(a_page_of_the_file_that_goes_leaves_a_marker)
{
    for (int memory = SHMEM_PRIVATE; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, SYNC_FEATURES | UFFD_FEATURE_SIGBUS);
        struct region r = region_make(memory, 1);

        fill_page(r.other, 1);
        EXPECT_TRUE(page_is(r.p, 1));
        EXPECT_EQ(0, uffd_register(fd, r.p, 1, WP));
        EXPECT_EQ(0, uffd_protect(fd, r.p, 1));
        EXPECT_EQ(0, madvise(r.other, PAGE, MADV_REMOVE));
        EXPECT_FALSE(page_is_present(r.p));
        EXPECT_TRUE(page_is_protected(r.p));
        fill_page(r.other, 2);
        EXPECT_TRUE(page_is(r.p, 2));
        EXPECT_TRUE(page_is_protected(r.p));
        EXPECT_TRUE(write_fails(r.p));
        EXPECT_EQ(0, uffd_unprotect(fd, r.p, 1));
        EXPECT_FALSE(write_fails(r.p));
        close(fd);
        region_drop(&r);
    }
}

/* A byte of mincore() for each page: there is one in the file behind the first page only. */
TEST(mincore_looks_behind_a_marker)
{
    for (int memory = ANON; memory < NR_MEMORIES; memory++) {
        for (int is_poison = 0; is_poison < 2; is_poison++) {
            int fd = uffd_open(0, SYNC_FEATURES | UFFD_FEATURE_POISON);
            struct region r = region_make(memory, 2);
            unsigned char there[2];

            if (memory != ANON) {
                r.other[0] = 1;
            }
            EXPECT_EQ(0, uffd_register(fd, r.p, 2, MISSING | WP));
            EXPECT_EQ(0, is_poison ? uffd_poison(fd, r.p, 2, 0) : uffd_protect(fd, r.p, 2));
            EXPECT_FALSE(page_is_present(r.p) || page_is_present(r.p + PAGE));
            EXPECT_EQ(0, mincore(r.p, 2 * PAGE, there));
            EXPECT_EQ(memory != ANON, there[0] & 1);
            EXPECT_EQ(0, there[1] & 1);
            close(fd);
            region_drop(&r);
        }
    }
}

TEST(the_bit_outlives_copy_on_write_by_others)
{
    int fd = uffd_open(0, SYNC_FEATURES | UFFD_FEATURE_SIGBUS);
    char *p = map_anonymous(1);
    int status;

    p[0] = 1;
    EXPECT_EQ(0, uffd_register(fd, p, 1, WP));
    EXPECT_EQ(0, uffd_protect(fd, p, 1));
    fflush(stdout);
    if (fork() == 0) {
        close(fd);
        _exit(page_is_protected(p) || write_fails(p));
    }
    wait(&status);
    EXPECT_EQ(0, status);
    EXPECT_TRUE(page_is_protected(p) && write_fails(p));
    EXPECT_EQ(1, p[0]);
    EXPECT_EQ(0, uffd_unprotect(fd, p, 1));
    EXPECT_FALSE(write_fails(p));
}

/* A protected page of zeros, of the file, or shared with a child is copied only after the answer.
 */
TEST(the_copy_comes_after_the_answer)
{
    for (int way = 0; way < 3; way++) {
        int fd = uffd_open(0, SYNC_FEATURES);
        struct region r = region_make(way == 0 ? ANON : SHMEM_PRIVATE, 1);
        struct toucher t;
        pid_t pid = -1;

        if (way == 2) {
            r.p[5] = 9;
            fflush(stdout);
            pid = fork();
            if (pid == 0) {
                pause();
                _exit(0);
            }
        }
        EXPECT_EQ(way == 2 ? 9 : 0, *(volatile char *)(r.p + 5));
        EXPECT_EQ(0, uffd_register(fd, r.p, 1, WP));
        EXPECT_EQ(0, uffd_protect(fd, r.p, 1));
        toucher_start(&t, r.p, TOUCH_WRITE, 7);
        EXPECT_EQ(r.p, uffd_next_page(fd, NULL));
        EXPECT_EQ(0, uffd_unprotect(fd, r.p, 1));
        toucher_join(&t);
        EXPECT_EQ(7, r.p[0]);
        EXPECT_EQ(way == 2 ? 9 : 0, r.p[5]);
        EXPECT_FALSE(page_is_protected(r.p));
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
        close(fd);
        region_drop(&r);
    }
}

TEST(many_pages_across_page_tables)
{
    enum { NR = 1500 };
    int fd = uffd_open(0, SYNC_FEATURES | UFFD_FEATURE_SIGBUS);
    struct region r = region_make(SHMEM_SHARED, NR);

    EXPECT_EQ(0, uffd_register(fd, r.p, NR, WP));
    EXPECT_EQ(0, uffd_protect(fd, r.p, NR));
    for (int i = 0; i < NR; i += 97) {
        EXPECT_TRUE(page_is_protected(r.p + i * PAGE));
        EXPECT_TRUE(write_fails(r.p + i * PAGE));
    }
    EXPECT_EQ(0, uffd_unprotect(fd, r.p, NR));
    for (int i = 0; i < NR; i += 97) {
        EXPECT_FALSE(page_is_protected(r.p + i * PAGE));
        EXPECT_FALSE(write_fails(r.p + i * PAGE));
    }
}

TEST(nothing_is_mapped_around_a_protected_place)
{
    int fd = uffd_open(0, SYNC_FEATURES | UFFD_FEATURE_MINOR_SHMEM);

    for (uint64_t mode = WP; mode <= MINOR; mode += MINOR - WP) {
        struct region r = region_make(SHMEM_SHARED, 16);

        memset(r.other, 1, 16 * PAGE);
        EXPECT_EQ(0, uffd_register(fd, r.p, 16, mode));
        if (mode == MINOR) {
            EXPECT_EQ(0, uffd_continue(fd, r.p + 8 * PAGE, 1, 0));
        }
        EXPECT_EQ(1, *(volatile char *)(r.p + 8 * PAGE));
        for (int i = 0; i < 16; i++) {
            EXPECT_EQ(i == 8, page_is_present(r.p + i * PAGE));
        }
    }
}

/* --- asynchronous ----------------------------------------------------------------------------- */

TEST(asynchronous_protection_ends_by_itself)
{
    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(O_NONBLOCK, ASYNC_UFFD);
        struct region r = region_make(memory, 3);
        struct uffd_msg message;

        r.p[0] = 3;
        EXPECT_EQ(0, uffd_register(fd, r.p, 3, WP));
        EXPECT_EQ(0, uffd_protect(fd, r.p, 3));
        /* Asking for it asks for markers too. */
        EXPECT_TRUE(page_is_protected(r.p) && page_is_protected(r.p + PAGE));
        EXPECT_EQ(3, r.p[0]);
        EXPECT_EQ(0, *(volatile char *)(r.p + PAGE));
        EXPECT_TRUE(page_is_protected(r.p) && page_is_protected(r.p + PAGE));
        r.p[1] = 4;
        r.p[2 * PAGE] = 5;
        EXPECT_FALSE(page_is_protected(r.p) || page_is_protected(r.p + 2 * PAGE));
        EXPECT_TRUE(page_is_protected(r.p + PAGE));
        EXPECT_EQ(-EAGAIN, uffd_read(fd, &message));
        EXPECT_EQ(3, r.p[0]);
        EXPECT_EQ(4, r.p[1]);
        close(fd);
        region_drop(&r);
    }
}

TEST(a_kernel_write_ends_asynchronous_protection_too)
{
    int fd = uffd_open(0, ASYNC_UFFD);
    char *p = map_anonymous(2);
    int ends[2];

    memset(p, 1, 2 * PAGE);
    EXPECT_EQ(0, uffd_register(fd, p, 2, WP));
    EXPECT_EQ(0, uffd_protect(fd, p, 2));
    EXPECT_EQ(0, pipe(ends));
    EXPECT_EQ(3, write(ends[1], p + PAGE, 3));
    EXPECT_TRUE(page_is_protected(p + PAGE));
    EXPECT_EQ(3, read(ends[0], p, 3));
    EXPECT_FALSE(page_is_protected(p));
}

TEST(a_scan_finds_what_was_written)
{
    enum { NR = 64 };
    struct page_region found[NR];

    for (int memory = 0; memory < NR_MEMORIES; memory++) {
        int fd = uffd_open(0, ASYNC_UFFD);
        struct region r = region_make(memory, NR);

        memset(r.p, 1, NR / 2 * PAGE);
        EXPECT_EQ(0, uffd_register(fd, r.p, NR, WP));
        EXPECT_EQ(0, uffd_protect(fd, r.p, NR));
        EXPECT_EQ(0, scan_written(r.p, NR, found, NR, 0));
        r.p[3 * PAGE] = r.p[4 * PAGE] = 2;
        r.p[40 * PAGE] = 2;
        EXPECT_EQ(2, scan_written(r.p, NR, found, NR, 0));
        EXPECT_EQ((uintptr_t)r.p + 3 * PAGE, found[0].start);
        EXPECT_EQ((uintptr_t)r.p + 5 * PAGE, found[0].end);
        EXPECT_EQ((uintptr_t)r.p + 40 * PAGE, found[1].start);
        EXPECT_EQ((uintptr_t)r.p + 41 * PAGE, found[1].end);
        /* Finding and protecting anew is one step. */
        EXPECT_EQ(2, scan_written(r.p, NR, found, NR, PM_SCAN_WP_MATCHING));
        EXPECT_EQ(0, scan_written(r.p, NR, found, NR, PM_SCAN_WP_MATCHING));
        r.p[3 * PAGE] = 3;
        EXPECT_EQ(1, scan_written(r.p, NR, found, NR, PM_SCAN_WP_MATCHING));
        close(fd);
        region_drop(&r);
    }
}

TEST(a_scan_protects_what_is_not_there_yet)
{
    struct page_region found[4];
    int fd = uffd_open(0, ASYNC_UFFD);
    char *p = map_anonymous(4);

    EXPECT_EQ(0, uffd_register(fd, p, 4, WP));
    EXPECT_EQ(1, scan_written(p, 4, found, 4, PM_SCAN_WP_MATCHING));
    EXPECT_EQ((uintptr_t)p, found[0].start);
    EXPECT_EQ((uintptr_t)p + 4 * PAGE, found[0].end);
    EXPECT_EQ(0, scan_written(p, 4, found, 4, PM_SCAN_WP_MATCHING));
    p[2 * PAGE] = 1;
    EXPECT_EQ(1, scan_written(p, 4, found, 4, PM_SCAN_WP_MATCHING));
    EXPECT_EQ((uintptr_t)p + 2 * PAGE, found[0].start);
    EXPECT_EQ((uintptr_t)p + 3 * PAGE, found[0].end);
}

TEST(only_asynchronous_memory_is_protected_by_a_scan)
{
    struct page_region found[4];
    int fd = uffd_open(0, SYNC_FEATURES);
    char *p = map_anonymous(2);

    memset(p, 1, 2 * PAGE);
    EXPECT_EQ(-EPERM, scan_written(p, 2, found, 4, PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC));
    EXPECT_EQ(0, uffd_register(fd, p, 2, WP));
    EXPECT_EQ(-EPERM, scan_written(p, 2, found, 4, PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC));
    EXPECT_FALSE(page_is_protected(p));
}

TEST(a_child_of_an_asynchronous_process_is_not_protected)
{
    int fd = uffd_open(0, ASYNC_UFFD);
    char *p = map_anonymous(1);
    int status;

    p[0] = 1;
    EXPECT_EQ(0, uffd_register(fd, p, 1, WP));
    EXPECT_EQ(0, uffd_protect(fd, p, 1));
    fflush(stdout);
    if (fork() == 0) {
        int is_bad = page_is_protected(p);

        p[0] = 2;
        _exit(is_bad);
    }
    wait(&status);
    EXPECT_EQ(0, status);
    EXPECT_TRUE(page_is_protected(p));
    EXPECT_EQ(1, p[0]);
    p[0] = 3;
    EXPECT_FALSE(page_is_protected(p));
}

UTEST_MAIN
