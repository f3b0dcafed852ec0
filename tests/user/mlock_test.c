/*
 * mlock(2) and its family, and the limits of address spaces: what is locked, what is brought in,
 * what counts, and where it ends. As on Linux 6.12.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "mlock"
#include "utest.h"
#include "inspect.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

static long status_kib(const char *field)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long value = -1;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) {
            value = atol(line + strlen(field));
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return value;
}

static int resident(char *p, int nr_pages)
{
    unsigned char there[16];
    int nr = 0;

    EXPECT_EQ(0, mincore(p, (size_t)nr_pages * PAGE, there));
    for (int i = 0; i < nr_pages; i++) {
        nr += there[i] & 1;
    }
    return nr;
}

static char *anonymous(int nr_pages, int prot)
{
    return mmap(NULL, (size_t)nr_pages * PAGE, prot, ANON, -1, 0);
}

static int mlock2_(void *p, size_t len, int flags)
{
    return (int)syscall(SYS_mlock2, p, len, flags);
}

static void limit(int which, rlim_t value)
{
    struct rlimit old;

    EXPECT_EQ(0, getrlimit(which, &old));
    old.rlim_cur = value;
    EXPECT_EQ(0, setrlimit(which, &old));
}

TEST(arguments_are_checked)
{
    char *p = anonymous(1, RW);

    EXPECT_EQ(0, mlock((void *)PAGE, 0));
    EXPECT_ERRNO(ENOMEM, mlock((void *)1, 0));
    EXPECT_EQ(0, mlock(p, 1));
    EXPECT_ERRNO(ENOMEM, mlock((void *)(1ul << 47), PAGE));
    EXPECT_ERRNO(EINVAL, mlock(p, (size_t)-1 - 2 * PAGE));
    EXPECT_ERRNO(EINVAL, mlock2_(p, PAGE, 2));
    EXPECT_ERRNO(EINVAL, mlockall(0));
    EXPECT_ERRNO(EINVAL, mlockall(8));
    EXPECT_ERRNO(EINVAL, mlockall(MCL_ONFAULT));
    EXPECT_EQ(0, mlockall(MCL_CURRENT | MCL_ONFAULT));
    EXPECT_EQ(0, munlockall());
}

TEST(lock_on_fault_waits_for_the_fault)
{
    char *p = anonymous(4, RW);

    EXPECT_EQ(0, mlock2_(p, 4 * PAGE, MLOCK_ONFAULT));
    EXPECT_EQ(0, resident(p, 4));
    EXPECT_EQ(16, status_kib("VmLck:"));
    p[PAGE] = 1;
    EXPECT_EQ(1, resident(p, 4));
    EXPECT_EQ(0, mlock(p, 2 * PAGE));
    EXPECT_EQ(2, resident(p, 4));
    EXPECT_EQ(0, mlock2_(p, 2 * PAGE, MLOCK_ONFAULT));
    EXPECT_EQ(16, status_kib("VmLck:"));
    EXPECT_EQ(0, munlock(p, 4 * PAGE));
    EXPECT_EQ(0, status_kib("VmLck:"));
    EXPECT_EQ(2, resident(p, 4));
}

TEST(what_follows_is_locked_as_mlockall_said)
{
    EXPECT_EQ(0, mlockall(MCL_FUTURE));
    EXPECT_EQ(4, resident(anonymous(4, RW), 4));
    EXPECT_EQ(0, resident(anonymous(4, PROT_NONE), 4));
    EXPECT_EQ(0, mlockall(MCL_FUTURE | MCL_ONFAULT));
    EXPECT_EQ(0, resident(anonymous(4, RW), 4));
    EXPECT_EQ(0, munlockall());
    EXPECT_EQ(0, resident(anonymous(4, RW), 4));
    EXPECT_EQ(0, status_kib("VmLck:"));
}

TEST(a_hole_ends_the_lock_after_what_is_in_front)
{
    char *p = anonymous(4, RW);

    EXPECT_EQ(0, munmap(p + PAGE, PAGE));
    EXPECT_ERRNO(ENOMEM, mlock(p, 4 * PAGE));
    EXPECT_EQ(4, status_kib("VmLck:"));
    EXPECT_EQ(0, munlockall());
    p = anonymous(4, PROT_NONE);
    EXPECT_ERRNO(ENOMEM, mlock(p, 4 * PAGE));
    EXPECT_EQ(16, status_kib("VmLck:"));
}

TEST(locked_memory_grows_locked_and_is_not_inherited)
{
    char *p = mmap(NULL, 4 * PAGE, RW, ANON | MAP_LOCKED, -1, 0);
    int status = -1;

    EXPECT_EQ(16, status_kib("VmLck:"));
    p = mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
    EXPECT_EQ(32, status_kib("VmLck:"));
    EXPECT_EQ(8, resident(p, 8));
    if (fork() == 0) {
        EXPECT_EQ(0, status_kib("VmLck:"));
        EXPECT_EQ(0, munmap(p, PAGE));
        _exit(utest_failures != 0);
    }
    wait(&status);
    EXPECT_EQ(0, status);
}

static void become_nobody(void)
{
    EXPECT_EQ(0, setuid(1000));
    /* Or /proc/self is not the new user's. */
    EXPECT_EQ(0, prctl(PR_SET_DUMPABLE, 1));
}

/* mprotect brings in what is locked, and does not copy what lies beside it. */
TEST(permission_to_write_makes_copies_only_of_what_is_locked)
{
    int fd = memfd_create("beside", 0);
    char *file, *p;

    EXPECT_EQ(0, ftruncate(fd, PAGE));
    file = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    p = anonymous(3, PROT_READ);
    EXPECT_TRUE(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) != MAP_FAILED);
    EXPECT_EQ(0, mlock(p, PAGE));
    file[0] = 'a';
    EXPECT_EQ(0, mprotect(p, 3 * PAGE, RW));
    file[0] = 'b';
    EXPECT_EQ('b', p[PAGE]);
    EXPECT_EQ(1, resident(p, 1));
    EXPECT_EQ(0, resident(p + 2 * PAGE, 1));
    munmap(p, 3 * PAGE);
    munmap(file, PAGE);
    close(fd);
}

TEST(without_privilege_the_limit_counts)
{
    char *p = anonymous(8, RW);

    limit(RLIMIT_MEMLOCK, 4 * PAGE);
    become_nobody();
    EXPECT_EQ(0, mlock(p, 4 * PAGE));
    EXPECT_ERRNO(ENOMEM, mlock(p + 4 * PAGE, PAGE));
    EXPECT_EQ(0, mlock(p, 4 * PAGE));
    EXPECT_TRUE(mmap(NULL, PAGE, RW, ANON | MAP_LOCKED, -1, 0) == MAP_FAILED);
    EXPECT_EQ(EAGAIN, errno);
    EXPECT_TRUE(mremap(p, 4 * PAGE, 9 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
    EXPECT_EQ(EAGAIN, errno);
    EXPECT_ERRNO(ENOMEM, mlockall(MCL_CURRENT));
    EXPECT_EQ(0, munlockall());
    EXPECT_EQ(0, mlockall(MCL_FUTURE));
    EXPECT_TRUE(anonymous(4, RW) != MAP_FAILED);
    EXPECT_TRUE(anonymous(1, RW) == MAP_FAILED);
    EXPECT_EQ(EAGAIN, errno);
    EXPECT_EQ(0, munlockall());
    limit(RLIMIT_MEMLOCK, 0);
    EXPECT_ERRNO(EPERM, mlock(p, PAGE));
    EXPECT_ERRNO(EPERM, mlockall(MCL_CURRENT));
    EXPECT_EQ(0, munlock(p, PAGE));
    EXPECT_ERRNO(EPERM, syscall(SYS_mmap, NULL, PAGE, RW, ANON | MAP_LOCKED, -1, 0));
}

TEST(the_data_limit_counts_what_can_be_written_and_is_private)
{
    int memfd = memfd_create("data", 0);
    char *p;

    EXPECT_EQ(0, ftruncate(memfd, 64 * PAGE));
    limit(RLIMIT_DATA, (rlim_t)(status_kib("VmData:") + 64) * 1024);
    EXPECT_TRUE(anonymous(8, RW) != MAP_FAILED);
    EXPECT_TRUE(anonymous(64, RW) == MAP_FAILED);
    EXPECT_EQ(ENOMEM, errno);
    EXPECT_TRUE(mmap(NULL, 64 * PAGE, RW, MAP_PRIVATE, memfd, 0) == MAP_FAILED);
    EXPECT_TRUE(mmap(NULL, 64 * PAGE, RW, MAP_SHARED, memfd, 0) != MAP_FAILED);
    EXPECT_TRUE(anonymous(64, PROT_NONE) != MAP_FAILED);
    p = anonymous(64, PROT_READ);
    EXPECT_TRUE(p != MAP_FAILED);
    EXPECT_ERRNO(ENOMEM, mprotect(p, 64 * PAGE, RW));
    EXPECT_TRUE(mremap(anonymous(2, RW), 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
    EXPECT_EQ(ENOMEM, errno);
}

TEST(the_address_space_limit_counts_everything)
{
    char *p = anonymous(4, RW);

    limit(RLIMIT_AS, (rlim_t)(status_kib("VmSize:") + 64) * 1024);
    EXPECT_TRUE(anonymous(64, PROT_NONE) == MAP_FAILED);
    EXPECT_EQ(ENOMEM, errno);
    EXPECT_TRUE(mremap(p, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
    EXPECT_EQ(ENOMEM, errno);
    EXPECT_TRUE(mremap(p, 4 * PAGE, 12 * PAGE, MREMAP_MAYMOVE) != MAP_FAILED);
    limit(RLIMIT_AS, RLIM_INFINITY);
}

UTEST_MAIN
