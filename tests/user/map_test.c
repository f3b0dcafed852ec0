/*
 * The memory calls at their edges: which error comes first, what a failed call leaves, how mremap,
 * madvise, mlock, mincore and msync treat holes, and shared memory that changes its size.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "map"
#include "utest.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PAGE ((size_t)4096)
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

static sigjmp_buf fault_env;

static void on_fault(int signal)
{
    siglongjmp(fault_env, signal);
}

/* The signal that reading a byte gets, or 0. */
static int read_signal(volatile char *p)
{
    int signal;

    sigaction(SIGSEGV, &(struct sigaction){.sa_handler = on_fault}, NULL);
    sigaction(SIGBUS, &(struct sigaction){.sa_handler = on_fault}, NULL);
    signal = sigsetjmp(fault_env, 1);
    if (signal == 0) {
        (void)*p;
    }
    return signal;
}

static char *map(size_t nr_pages)
{
    char *p = mmap(NULL, nr_pages * PAGE, RW, ANON, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

/* Pages with a hole of one page in the middle; the page numbers are 0, 1, (2), 3, 4. */
static char *map_with_hole(void)
{
    char *p = map(5);

    if (p != NULL && munmap(p + 2 * PAGE, PAGE) != 0) {
        return NULL;
    }
    return p;
}

static int new_memfd(size_t size)
{
    int fd = memfd_create("test", MFD_ALLOW_SEALING);

    return fd >= 0 && ftruncate(fd, (off_t)size) == 0 ? fd : -1;
}

TEST(mmap_reports_the_first_of_several_mistakes)
{
    int fd = new_memfd(PAGE);
    char path[64];
    int reader;

    ASSERT_TRUE(fd >= 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    reader = open(path, O_RDONLY);
    EXPECT_ERRNO(EINVAL, mmap(NULL, 0, RW, ANON, -1, 0));
    EXPECT_ERRNO(EBADF, mmap(NULL, 0, RW, MAP_PRIVATE, -1, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, -1, 1));
    EXPECT_ERRNO(ENOMEM, mmap(NULL, (size_t)1 << 62, RW, ANON, -1, 0));
    EXPECT_ERRNO(ENOMEM, syscall(SYS_mmap, 0, ~0ul - 5, RW, ANON, -1, 0));
    EXPECT_ERRNO(EINVAL, mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0));
    EXPECT_ERRNO(EINVAL, mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_ERRNO(EINVAL, mmap((void *)(16 * PAGE + 1), PAGE, RW, ANON | MAP_FIXED, -1, 0));
    EXPECT_ERRNO(ENOMEM, mmap((void *)0x7ffffffff000, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    EXPECT_ERRNO(EOVERFLOW, syscall(SYS_mmap, 0, 2 * PAGE, RW, MAP_PRIVATE, fd, ~0ul - 0xfff));
    EXPECT_ERRNO(EINVAL, mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
    EXPECT_ERRNO(EOPNOTSUPP, mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0));
    if (reader >= 0) {
        EXPECT_ERRNO(EACCES, mmap(NULL, PAGE, RW, MAP_SHARED, reader, 0));
        EXPECT_TRUE(mmap(NULL, PAGE, RW, MAP_PRIVATE, reader, 0) != MAP_FAILED);
    }
}

TEST(mmap_takes_a_free_hint_and_rounds_it)
{
    char *p = map(8);

    ASSERT_TRUE(p != NULL);
    EXPECT_EQ(0, munmap(p, 8 * PAGE));
    EXPECT_EQ((long)(p + 2 * PAGE), (long)mmap(p + 2 * PAGE + 7, PAGE, RW, ANON, -1, 0));
    EXPECT_TRUE(mmap(p + 2 * PAGE, PAGE, RW, ANON, -1, 0) != p + 2 * PAGE);
    EXPECT_ERRNO(EEXIST, mmap(p, 3 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    EXPECT_EQ((long)p, (long)mmap(p, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
}

TEST(map_32bit_lies_in_the_second_gigabyte)
{
    char *p = mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);

    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_LE(0x40000000, (long)p);
    EXPECT_LE((long)p, 0x7ffff000);
}

TEST(new_mappings_are_placed_below_the_last_one)
{
    char *a = map(4);
    char *b = map(4);

    ASSERT_TRUE(a != NULL && b != NULL);
    EXPECT_EQ((long)(a - 4 * PAGE), (long)b);
    EXPECT_EQ(0, munmap(a, 4 * PAGE));
    EXPECT_EQ((long)a, (long)map(4));
}

TEST(growing_mapping_keeps_its_distance)
{
    char *room = map(1024);
    char *stack, *p;

    ASSERT_TRUE(room != NULL);
    EXPECT_EQ(0, munmap(room, 1024 * PAGE));
    stack = mmap(room + 1023 * PAGE, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    ASSERT_TRUE(stack == room + 1023 * PAGE);
    stack[-1] = 1;
    stack[-3 * (long)PAGE] = 2;
    EXPECT_EQ(2, stack[-3 * (long)PAGE]);
    /* A mapping 256 pages below stops the growth. */
    p = mmap(stack - 260 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_EQ(SIGSEGV, read_signal(stack - 4 * PAGE));
    EXPECT_EQ(0, munmap(p, PAGE));
    EXPECT_EQ(0, read_signal(stack - 4 * PAGE));
}

TEST(munmap_and_mprotect_of_holes)
{
    char *p = map_with_hole();

    ASSERT_TRUE(p != NULL);
    EXPECT_ERRNO(EINVAL, munmap(p + 1, PAGE));
    EXPECT_ERRNO(EINVAL, munmap(p, 0));
    EXPECT_ERRNO(EINVAL, munmap(p, ~0ul));
    EXPECT_ERRNO(EINVAL, syscall(SYS_mprotect, p + 1, PAGE, PROT_READ));
    EXPECT_EQ(0, mprotect(p, 0, PROT_READ));
    EXPECT_ERRNO(EINVAL, mprotect(p, PAGE, 0x100));
    EXPECT_ERRNO(ENOMEM, syscall(SYS_mprotect, p, ~0ul - PAGE, PROT_READ));
    EXPECT_ERRNO(EINVAL, mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN));
    /* What lies in front of the hole is changed all the same. */
    EXPECT_ERRNO(ENOMEM, mprotect(p, 5 * PAGE, PROT_NONE));
    EXPECT_EQ(SIGSEGV, read_signal(p));
    EXPECT_EQ(SIGSEGV, read_signal(p + PAGE));
    EXPECT_EQ(0, read_signal(p + 3 * PAGE));
    EXPECT_EQ(0, munmap(p, 5 * PAGE));
    EXPECT_EQ(0, munmap(p, 5 * PAGE));
}

TEST(shared_file_opened_for_reading_cannot_become_writable)
{
    int fd = new_memfd(PAGE);
    char path[64];
    int reader;
    char *p;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    reader = open(path, O_RDONLY);
    if (reader < 0) {
        SKIP("no /proc/self/fd");
    }
    p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0);
    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_ERRNO(EACCES, mprotect(p, PAGE, RW));
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_READ | PROT_EXEC));
}

TEST(madvise_checks_its_arguments_and_passes_over_holes)
{
    char *p = map_with_hole();

    ASSERT_TRUE(p != NULL);
    memset(p, 1, 2 * PAGE);
    memset(p + 3 * PAGE, 1, 2 * PAGE);
    EXPECT_ERRNO(EINVAL, madvise(p, PAGE, 4711));
    EXPECT_ERRNO(EINVAL, madvise(p + 1, PAGE, MADV_NORMAL));
    EXPECT_ERRNO(EINVAL, madvise(p, ~0ul, MADV_NORMAL));
    EXPECT_EQ(0, madvise(p + 2 * PAGE, 0, MADV_DONTNEED));
    EXPECT_ERRNO(ENOMEM, madvise(p, 5 * PAGE, MADV_DONTNEED));
    EXPECT_EQ(0, p[0]);
    EXPECT_EQ(0, p[4 * PAGE]);
    EXPECT_ERRNO(ENOMEM, madvise(p, 5 * PAGE, MADV_RANDOM));
    EXPECT_ERRNO(ENOMEM, madvise(p, 5 * PAGE, MADV_WILLNEED));
    EXPECT_ERRNO(EINVAL, madvise(p, PAGE, MADV_REMOVE));
}

TEST(populate_advice_needs_the_permission)
{
    char *p = map(4);
    unsigned char vec[4];

    ASSERT_TRUE(p != NULL);
    EXPECT_EQ(0, madvise(p, 2 * PAGE, MADV_POPULATE_WRITE));
    EXPECT_EQ(0, mincore(p, 4 * PAGE, vec));
    EXPECT_EQ(1, vec[0] & 1);
    EXPECT_EQ(1, vec[1] & 1);
    EXPECT_EQ(0, vec[2] & 1);
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_READ));
    EXPECT_ERRNO(EINVAL, madvise(p, PAGE, MADV_POPULATE_WRITE));
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_NONE));
    EXPECT_ERRNO(EINVAL, madvise(p, PAGE, MADV_POPULATE_READ));
    EXPECT_EQ(0, munmap(p + PAGE, PAGE));
    EXPECT_ERRNO(ENOMEM, madvise(p + PAGE, 2 * PAGE, MADV_POPULATE_READ));
}

TEST(mincore_checks_its_arguments)
{
    char *p = map_with_hole();
    unsigned char vec[8] = {0};

    ASSERT_TRUE(p != NULL);
    EXPECT_ERRNO(EINVAL, mincore(p + 1, PAGE, vec));
    EXPECT_ERRNO(ENOMEM, mincore(p, 5 * PAGE, vec));
    EXPECT_ERRNO(EFAULT, mincore(p, PAGE, (void *)-4096l));
    EXPECT_ERRNO(EFAULT, mincore(p, PAGE, (void *)8));
    EXPECT_EQ(0, mincore(p, 0, vec));
    p[PAGE] = 1;
    EXPECT_EQ(0, mincore(p, 2 * PAGE, vec));
    EXPECT_EQ(0, vec[0] & 1);
    EXPECT_EQ(1, vec[1] & 1);
}

/* Pages with and without a page table, of several mappings, and of a file that is not mapped yet.
 */
TEST(mincore_looks_past_tables_and_mappings)
{
    enum { TABLE = 512, NR_PAGES = 5 * TABLE, NR_TOUCHED = 5 };
    static const size_t touched[NR_TOUCHED] = {1, TABLE - 1, TABLE, TABLE + 9, 4 * TABLE + 7};
    static unsigned char vec[NR_PAGES];
    char *p = map(NR_PAGES);
    int fd = memfd_create("pages", 0);
    size_t nr_there = 0;

    ASSERT_TRUE(p != NULL);
    madvise(p, NR_PAGES * PAGE, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < NR_TOUCHED; i++) {
        p[touched[i] * PAGE] = 1;
    }
    EXPECT_EQ(0, mprotect(p + (TABLE - 1) * PAGE, 2 * PAGE, PROT_READ));
    EXPECT_EQ(0, ftruncate(fd, 4 * PAGE));
    EXPECT_EQ(1, pwrite(fd, "x", 1, PAGE));
    ASSERT_TRUE(mmap(p + 3 * TABLE * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                     fd, 0) != MAP_FAILED);
    EXPECT_EQ(0, mincore(p, NR_PAGES * PAGE, vec));
    for (size_t i = 0; i < NR_PAGES; i++) {
        nr_there += vec[i] & 1;
    }
    EXPECT_EQ(NR_TOUCHED + 1, nr_there);
    for (size_t i = 0; i < NR_TOUCHED; i++) {
        EXPECT_EQ(1, vec[touched[i]] & 1);
    }
    EXPECT_EQ(1, vec[3 * TABLE + 1] & 1);
    EXPECT_EQ(0, munmap(p + 2 * TABLE * PAGE, PAGE));
    EXPECT_ERRNO(ENOMEM, mincore(p, NR_PAGES * PAGE, vec));
    EXPECT_EQ(0, mincore(p + 4 * TABLE * PAGE, TABLE * PAGE, vec));
    EXPECT_EQ(1, vec[7] & 1);
    close(fd);
}

TEST(msync_checks_its_arguments)
{
    char *p = map_with_hole();

    ASSERT_TRUE(p != NULL);
    EXPECT_ERRNO(EINVAL, msync(p, PAGE, 64));
    EXPECT_ERRNO(EINVAL, msync(p + 1, PAGE, MS_SYNC));
    EXPECT_ERRNO(EINVAL, msync(p, PAGE, MS_SYNC | MS_ASYNC));
    EXPECT_ERRNO(ENOMEM, msync(p, 5 * PAGE, MS_SYNC));
    EXPECT_ERRNO(ENOMEM, msync(p, ~0ul - 2 * PAGE, MS_SYNC));
    EXPECT_EQ(0, msync(p, 2 * PAGE, MS_SYNC));
    EXPECT_EQ(0, mlock(p, PAGE));
    EXPECT_ERRNO(EBUSY, msync(p, PAGE, MS_SYNC | MS_INVALIDATE));
}

TEST(mlock_populates_and_refuses_holes_and_no_access)
{
    char *p = map_with_hole();
    unsigned char vec[5] = {0};

    ASSERT_TRUE(p != NULL);
    EXPECT_EQ(0, mlock(p + 5, PAGE));
    EXPECT_EQ(0, mincore(p, 2 * PAGE, vec));
    EXPECT_EQ(1, vec[0] & 1);
    EXPECT_EQ(1, vec[1] & 1);
    EXPECT_ERRNO(ENOMEM, mlock(p, 5 * PAGE));
    EXPECT_ERRNO(EINVAL, madvise(p, PAGE, MADV_DONTNEED));
    EXPECT_EQ(0, munlock(p, 2 * PAGE));
    EXPECT_EQ(0, madvise(p, PAGE, MADV_DONTNEED));
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_NONE));
    EXPECT_ERRNO(ENOMEM, mlock(p, PAGE));
    EXPECT_ERRNO(EINVAL, syscall(SYS_mlock2, p, PAGE, 2));
    EXPECT_ERRNO(EINVAL, mlockall(0));
    EXPECT_ERRNO(EINVAL, mlockall(4));
    EXPECT_ERRNO(EINVAL, mlockall(8));
}

TEST(mlock_limit_binds_without_privilege)
{
    struct rlimit limit = {.rlim_cur = 4 * PAGE, .rlim_max = 4 * PAGE};
    char *p = map(8);

    ASSERT_TRUE(p != NULL);
    EXPECT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
    EXPECT_EQ(0, setuid(1000));
    EXPECT_EQ(0, mlock(p, 4 * PAGE));
    EXPECT_EQ(0, mlock(p, 4 * PAGE));
    EXPECT_ERRNO(ENOMEM, mlock(p, 5 * PAGE));
    EXPECT_ERRNO(EAGAIN, mmap(NULL, PAGE, RW, ANON | MAP_LOCKED, -1, 0));
    limit.rlim_cur = 0;
    limit.rlim_max = 0;
    EXPECT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
    EXPECT_ERRNO(EPERM, mlock(p, PAGE));
    EXPECT_ERRNO(EPERM, mlockall(MCL_CURRENT));
    EXPECT_ERRNO(EPERM, syscall(SYS_mmap, 0, PAGE, RW, ANON | MAP_LOCKED, -1, 0));
    EXPECT_ERRNO(EPERM, mmap((void *)PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0));
}

TEST(mremap_checks_its_arguments)
{
    char *p = map_with_hole();

    ASSERT_TRUE(p != NULL);
    EXPECT_ERRNO(EINVAL, mremap(p, PAGE, PAGE, 8));
    EXPECT_ERRNO(EINVAL, mremap(p, PAGE, PAGE, MREMAP_FIXED, p + 100 * PAGE));
    EXPECT_ERRNO(EINVAL, mremap(p + 1, PAGE, PAGE, 0));
    EXPECT_ERRNO(EINVAL, mremap(p, PAGE, 0, 0));
    EXPECT_ERRNO(EFAULT, mremap(p + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    EXPECT_ERRNO(EFAULT, mremap(p, 5 * PAGE, 6 * PAGE, MREMAP_MAYMOVE));
    EXPECT_ERRNO(ENOMEM, mremap(p, PAGE, 2 * PAGE, 0));
    EXPECT_ERRNO(EINVAL, mremap(p, 0, PAGE, MREMAP_MAYMOVE));
    EXPECT_ERRNO(EINVAL, mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p));
    EXPECT_ERRNO(EINVAL, mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 3));
    EXPECT_EQ((long)p, (long)mremap(p, PAGE, PAGE, 0));
}

TEST(mremap_grows_in_place_where_there_is_room)
{
    char *p = map(8);

    ASSERT_TRUE(p != NULL);
    EXPECT_EQ(0, munmap(p + 2 * PAGE, 4 * PAGE));
    p[PAGE] = 5;
    EXPECT_EQ((long)p, (long)mremap(p, 2 * PAGE, 6 * PAGE, 0));
    EXPECT_EQ(5, p[PAGE]);
    EXPECT_EQ(0, p[5 * PAGE]);
    EXPECT_EQ((long)p, (long)mremap(p, 8 * PAGE, 3 * PAGE, 0));
    EXPECT_EQ(SIGSEGV, read_signal(p + 3 * PAGE));
}

TEST(mremap_fixed_replaces_and_keeps_contents)
{
    char *p = map(4);
    char *q = map(4);

    ASSERT_TRUE(p != NULL && q != NULL);
    memset(p, 1, 4 * PAGE);
    memset(q, 2, 4 * PAGE);
    EXPECT_EQ((long)q, (long)mremap(p, 4 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q));
    EXPECT_EQ(1, q[0]);
    EXPECT_EQ(1, q[PAGE]);
    EXPECT_EQ(2, q[2 * PAGE]);
    EXPECT_EQ(SIGSEGV, read_signal(p));
    EXPECT_EQ(SIGSEGV, read_signal(p + 3 * PAGE));
}

TEST(mremap_dontunmap_leaves_an_empty_mapping)
{
    char *p = map(2);
    char *q;

    ASSERT_TRUE(p != NULL);
    memset(p, 7, 2 * PAGE);
    EXPECT_ERRNO(EINVAL, mremap(p, 2 * PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL));
    q = mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    ASSERT_TRUE(q != MAP_FAILED);
    EXPECT_EQ(7, q[PAGE]);
    EXPECT_EQ(0, p[PAGE]);
    p[0] = 3;
    EXPECT_EQ(7, q[0]);
}

TEST(mremap_of_nothing_duplicates_a_shared_mapping)
{
    char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *q;

    ASSERT_TRUE(p != MAP_FAILED);
    q = mremap(p, 0, 2 * PAGE, MREMAP_MAYMOVE);
    ASSERT_TRUE(q != MAP_FAILED && q != p);
    p[PAGE] = 9;
    EXPECT_EQ(9, q[PAGE]);
    q[0] = 4;
    EXPECT_EQ(4, p[0]);
}

/* The file keeps pages for later that nobody may see, though their neighbour is read. */
TEST(a_read_maps_nothing_behind_the_end)
{
    enum { NR_PAGES = 32, NR_INSIDE = 17 };
    int fd = new_memfd(NR_INSIDE * PAGE);
    uintptr_t area = (uintptr_t)map(2 * NR_PAGES);
    char *p = (char *)((area + NR_PAGES * PAGE) & ~(NR_PAGES * PAGE - 1));
    volatile char byte;

    ASSERT_TRUE(mmap(p, NR_PAGES * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == p);
    EXPECT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, NR_PAGES * PAGE));
    byte = p[(NR_INSIDE - 1) * PAGE];
    (void)byte;
    for (size_t i = NR_INSIDE; i < NR_PAGES; i++) {
        EXPECT_EQ(SIGBUS, read_signal(p + i * PAGE));
    }
    EXPECT_EQ(0, ftruncate(fd, NR_PAGES * PAGE));
    EXPECT_EQ(0, read_signal(p + NR_INSIDE * PAGE));
    EXPECT_EQ(0, munmap(p, NR_PAGES * PAGE));
    close(fd);
}

TEST(memfd_is_shared_by_its_mappings_and_its_descriptor)
{
    int fd = new_memfd(2 * PAGE);
    char *p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
    char *q = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, (off_t)PAGE);
    char byte = 0;

    ASSERT_TRUE(p != MAP_FAILED && q != MAP_FAILED);
    p[PAGE] = 3;
    EXPECT_EQ(3, q[0]);
    q[0] = 4;
    EXPECT_EQ(3, p[PAGE]);
    EXPECT_EQ(1, pread(fd, &byte, 1, (off_t)PAGE));
    EXPECT_EQ(3, byte);
    byte = 8;
    EXPECT_EQ(1, pwrite(fd, &byte, 1, 0));
    EXPECT_EQ(8, p[0]);
}

/* What a write has put behind the end is the file's before the write goes on. */
TEST(write_makes_readable_what_it_reads_next)
{
    int fd = new_memfd(PAGE);
    char *p = map(2);

    ASSERT_TRUE(p != NULL);
    p[0] = 7;
    EXPECT_TRUE(mmap(p + PAGE, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 2 * PAGE) == p + PAGE);
    EXPECT_EQ(SIGBUS, read_signal(p + PAGE));
    EXPECT_EQ(2 * PAGE, pwrite(fd, p, 2 * PAGE, 4 * PAGE));
    EXPECT_EQ(0, p[PAGE]);
    EXPECT_EQ(6 * PAGE, lseek(fd, 0, SEEK_END));
}

TEST(truncation_takes_pages_from_shared_and_private_mappings)
{
    int fd = new_memfd(3 * PAGE);
    char *p = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0);
    char *q = mmap(NULL, 3 * PAGE, RW, MAP_PRIVATE, fd, 0);

    ASSERT_TRUE(p != MAP_FAILED && q != MAP_FAILED);
    memset(p, 1, 3 * PAGE);
    memset(q, 2, 3 * PAGE);
    EXPECT_EQ(0, ftruncate(fd, (off_t)PAGE + 10));
    EXPECT_EQ(1, p[PAGE + 9]);
    EXPECT_EQ(0, p[PAGE + 10]);
    EXPECT_EQ(2, q[PAGE + 10]);
    EXPECT_EQ(SIGBUS, read_signal(p + 2 * PAGE));
    EXPECT_EQ(SIGBUS, read_signal(q + 2 * PAGE));
    EXPECT_EQ(0, ftruncate(fd, 3 * (off_t)PAGE));
    EXPECT_EQ(0, p[2 * PAGE]);
    EXPECT_EQ(0, q[2 * PAGE]);
}

TEST(punched_hole_reads_as_zero_but_private_copies_stay)
{
    int fd = new_memfd(3 * PAGE);
    char *p = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0);
    char *q = mmap(NULL, 3 * PAGE, RW, MAP_PRIVATE, fd, 0);

    ASSERT_TRUE(p != MAP_FAILED && q != MAP_FAILED);
    memset(p, 1, 3 * PAGE);
    q[PAGE] = 2;
    EXPECT_EQ(1, q[2 * PAGE]);
    EXPECT_EQ(0, madvise(p + PAGE, 2 * PAGE, MADV_REMOVE));
    EXPECT_EQ((long)PAGE, (long)lseek(fd, 0, SEEK_HOLE));
    EXPECT_ERRNO(ENXIO, lseek(fd, (off_t)PAGE, SEEK_DATA));
    EXPECT_EQ(1, p[0]);
    EXPECT_EQ(0, p[PAGE]);
    EXPECT_EQ(2, q[PAGE]);
    EXPECT_EQ(0, q[2 * PAGE]);
}

TEST(private_write_where_the_file_has_a_hole_fills_it)
{
    int fd = memfd_create("hole", 0);
    unsigned char there[2] = {0};
    char *shared, *private;

    ASSERT_EQ(0, ftruncate(fd, 2 * PAGE));
    shared = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
    private = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
    private[0] = 1;
    EXPECT_EQ(0, mincore(shared, 2 * PAGE, there));
    EXPECT_EQ(1, there[0] & 1);
    EXPECT_EQ(0, there[1] & 1);
    EXPECT_EQ(0, shared[0]);
    close(fd);
}

TEST(write_seal_and_writable_mappings_exclude_each_other)
{
    int fd = new_memfd(PAGE);
    char *p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);

    ASSERT_TRUE(p != MAP_FAILED);
    EXPECT_ERRNO(EBUSY, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    EXPECT_EQ(0, munmap(p, PAGE));
    EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
    EXPECT_ERRNO(EPERM, mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
    EXPECT_ERRNO(EPERM, write(fd, "x", 1));
    EXPECT_ERRNO(EPERM, ftruncate(fd, 0));
    EXPECT_TRUE(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0) != MAP_FAILED);
}

TEST(wipe_on_fork_and_dont_fork)
{
    char *wiped = map(1);
    char *gone = map(1);

    ASSERT_TRUE(wiped != NULL && gone != NULL);
    wiped[0] = 1;
    gone[0] = 1;
    EXPECT_EQ(0, madvise(wiped, PAGE, MADV_WIPEONFORK));
    EXPECT_EQ(0, madvise(gone, PAGE, MADV_DONTFORK));
    fflush(stdout);
    if (fork() == 0) {
        _exit(wiped[0] + 2 * (read_signal(gone) == SIGSEGV));
    }
    int status = 0;
    wait(&status);
    EXPECT_EQ(2, WEXITSTATUS(status));
    EXPECT_EQ(1, wiped[0]);
}

TEST(data_limit_bounds_private_writable_memory)
{
    struct rlimit limit;

    ASSERT_EQ(0, getrlimit(RLIMIT_DATA, &limit));
    limit.rlim_cur = (rlim_t)4 << 20;
    ASSERT_EQ(0, setrlimit(RLIMIT_DATA, &limit));
    EXPECT_ERRNO(ENOMEM, mmap(NULL, (size_t)8 << 20, RW, ANON, -1, 0));
    EXPECT_TRUE(mmap(NULL, (size_t)8 << 20, PROT_READ, ANON, -1, 0) != MAP_FAILED);
    EXPECT_TRUE(mmap(NULL, (size_t)8 << 20, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

UTEST_MAIN
