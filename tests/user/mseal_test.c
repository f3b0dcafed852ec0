/* mseal(2): what is sealed stays mapped where and as it is. */
#define _GNU_SOURCE
#define UTEST_SUITE "mseal"
#include "utest.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CALL_MSEAL 462
#define PAGE       4096ul
#define RW         (PROT_READ | PROT_WRITE)

static int mseal(void *addr, unsigned long len, unsigned long flags)
{
    return (int)syscall(CALL_MSEAL, addr, len, flags);
}

/* Pages, each with its number in it; those in [first, end) are sealed. */
static char *make(unsigned long nr_pages, unsigned long first, unsigned long end, int prot)
{
    char *p = mmap(NULL, nr_pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (unsigned long i = 0; i < nr_pages; i++) {
        p[i * PAGE] = (char)(i + 1);
    }
    EXPECT_EQ(0, mprotect(p, nr_pages * PAGE, prot));
    EXPECT_EQ(0, mseal(p + first * PAGE, (end - first) * PAGE, 0));
    return p;
}

TEST(arguments_are_checked)
{
    char *p = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    EXPECT_ERRNO(EINVAL, mseal(p, PAGE, 1));
    EXPECT_ERRNO(EINVAL, mseal(p + 1, PAGE, 0));
    EXPECT_ERRNO(EINVAL, mseal(p, -1ul, 0));
    EXPECT_ERRNO(EINVAL, mseal((void *)-PAGE, 2 * PAGE, 0));
    EXPECT_EQ(0, mseal(p, 0, 0));
    EXPECT_EQ(0, munmap(p + PAGE, PAGE));
    EXPECT_ERRNO(ENOMEM, mseal(p, 4 * PAGE, 0));
    EXPECT_ERRNO(ENOMEM, mseal(p + PAGE, PAGE, 0));
    /* Nothing was sealed by that. */
    EXPECT_EQ(0, munmap(p, 4 * PAGE));
}

TEST(sealed_pages_are_not_unmapped)
{
    char *p = make(5, 2, 3, RW);

    EXPECT_ERRNO(EPERM, munmap(p + 2 * PAGE, PAGE));
    EXPECT_ERRNO(EPERM, munmap(p, 5 * PAGE));
    EXPECT_ERRNO(EPERM, munmap(p, 3 * PAGE));
    EXPECT_TRUE(mmap(p + 2 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
                MAP_FAILED);
    EXPECT_EQ(EPERM, errno);
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(i + 1, p[i * (long)PAGE]);
    }
    /* Their neighbours are free. */
    EXPECT_EQ(0, munmap(p, 2 * PAGE));
    EXPECT_EQ(0, munmap(p + 3 * PAGE, 2 * PAGE));
    p[2 * PAGE] = 9;
    EXPECT_EQ(9, p[2 * PAGE]);
    /* Twice is as once. */
    EXPECT_EQ(0, mseal(p + 2 * PAGE, PAGE, 0));
}

TEST(sealed_pages_keep_their_permissions)
{
    char *p = make(3, 1, 2, RW);

    EXPECT_ERRNO(EPERM, mprotect(p + PAGE, PAGE, PROT_READ));
    EXPECT_ERRNO(EPERM, mprotect(p + PAGE, PAGE, RW));
    /* What lies in front has changed. */
    EXPECT_ERRNO(EPERM, mprotect(p, 3 * PAGE, PROT_NONE));
    p[PAGE] = 4;
    p[2 * PAGE] = 5;
    EXPECT_EQ(0, mprotect(p, PAGE, RW));
    EXPECT_EQ(1, p[0]);
}

TEST(sealed_pages_stay_where_they_are)
{
    char *p = make(3, 1, 2, RW);
    char *to = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    EXPECT_ERRNO(EPERM, (long)mremap(p + PAGE, PAGE, PAGE, 0));
    EXPECT_ERRNO(EPERM, (long)mremap(p + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    EXPECT_ERRNO(EPERM, (long)mremap(p + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
    EXPECT_ERRNO(EPERM, (long)mremap(to, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE));
    EXPECT_EQ(2, p[PAGE]);
    EXPECT_EQ(0, *to);
}

TEST(what_cannot_be_written_is_not_dropped)
{
    static const int dropping[] = {MADV_DONTNEED, MADV_FREE, MADV_DONTFORK, MADV_WIPEONFORK};
    char *p = make(2, 0, 2, PROT_READ);
    char *writable = make(2, 0, 2, RW);

    for (unsigned long i = 0; i < sizeof(dropping) / sizeof(dropping[0]); i++) {
        EXPECT_ERRNO(EPERM, madvise(p, 2 * PAGE, dropping[i]));
    }
    EXPECT_EQ(0, madvise(p, 2 * PAGE, MADV_RANDOM));
    EXPECT_EQ(0, madvise(p, 2 * PAGE, MADV_COLD));
    EXPECT_EQ(2, p[PAGE]);
    EXPECT_EQ(0, madvise(writable, 2 * PAGE, MADV_DONTNEED));
    EXPECT_EQ(0, writable[PAGE]);
    EXPECT_EQ(0, mlock(p, PAGE));
    EXPECT_EQ(0, munlock(p, PAGE));
}

TEST(files_and_shared_memory_are_sealed_too)
{
    int fd = memfd_create("sealed", 0);
    char *p;

    EXPECT_EQ(0, ftruncate(fd, 2 * PAGE));
    p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    EXPECT_EQ(0, mseal(p, 2 * PAGE, 0));
    EXPECT_ERRNO(EPERM, munmap(p + PAGE, PAGE));
    EXPECT_ERRNO(EPERM, mprotect(p, PAGE, RW));
    EXPECT_EQ(0, madvise(p, PAGE, MADV_DONTNEED));
    /* The seal is of the mapping, not of the file. */
    EXPECT_EQ(0, ftruncate(fd, 0));
}

TEST(a_child_inherits_seals)
{
    char *p = make(1, 0, 1, RW);
    int status = -1;

    fflush(stdout);
    if (fork() == 0) {
        _exit((munmap(p, PAGE) == -1 && errno == EPERM && *p == 1) ? 0 : 1);
    }
    wait(&status);
    EXPECT_EQ(0, status);
}

UTEST_MAIN
