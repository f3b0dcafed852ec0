/*
 * What a wrong pointer gets, in every argument of the calls that take one: an errno, and nothing
 * changed. The addresses are unmapped, in the kernel, non-canonical, read-only, and an object that
 * starts in a mapped page and ends in an unmapped one.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "badptr"
#include "utest.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGE 4096ul

enum { READS = 1, WRITES = 2 };

struct bad_call {
    const char *name;
    long number;
    long args[6];
    int slot;   /* which argument is the pointer */
    int access; /* what the kernel does with it */
    int size;   /* bytes it needs at least */
};

static int pipe_fds[2];
static int memfd;

/* Arguments that only exist at run time are named by these numbers. */
enum { FD_READ = 0x10001, FD_WRITE = 0x10002, FD_MEM = 0x10003, GOOD_PATH = 0x10004, ME = 0x10005 };

static const struct bad_call calls[] = {
    {"read", SYS_read, {FD_MEM, 0, 64}, 1, WRITES, 64},
    {"write", SYS_write, {FD_WRITE, 0, 64}, 1, READS, 64},
    {"pread64", SYS_pread64, {FD_MEM, 0, 64, 0}, 1, WRITES, 64},
    {"pwrite64", SYS_pwrite64, {FD_MEM, 0, 64, 0}, 1, READS, 64},
    {"readv", SYS_readv, {FD_MEM, 0, 2}, 1, READS, 32},
    {"writev", SYS_writev, {FD_WRITE, 0, 2}, 1, READS, 32},
    {"open", SYS_open, {0, O_RDONLY}, 0, READS, 0},
    {"openat", SYS_openat, {AT_FDCWD, 0, O_RDONLY}, 1, READS, 0},
    {"stat path", SYS_stat, {0, 0}, 0, READS, 0},
    {"stat buffer", SYS_stat, {GOOD_PATH, 0}, 1, WRITES, 144},
    {"fstat", SYS_fstat, {FD_MEM, 0}, 1, WRITES, 144},
    {"newfstatat", SYS_newfstatat, {AT_FDCWD, GOOD_PATH, 0, 0}, 2, WRITES, 144},
    {"access", SYS_access, {0, 0}, 0, READS, 0},
    {"mkdir", SYS_mkdir, {0, 0755}, 0, READS, 0},
    {"rmdir", SYS_rmdir, {0}, 0, READS, 0},
    {"unlink", SYS_unlink, {0}, 0, READS, 0},
    {"rename from", SYS_rename, {0, GOOD_PATH}, 0, READS, 0},
    {"rename to", SYS_rename, {GOOD_PATH, 0}, 1, READS, 0},
    {"readlink buffer", SYS_readlink, {GOOD_PATH, 0, 64}, 1, 0, 64},
    {"getcwd", SYS_getcwd, {0, 64}, 0, WRITES, 2},
    {"chdir", SYS_chdir, {0}, 0, READS, 0},
    {"pipe", SYS_pipe, {0}, 0, WRITES, 8},
    {"poll", SYS_poll, {0, 1, 0}, 0, READS | WRITES, 8},
    {"select", SYS_select, {1, 0, 0, 0, 0}, 1, READS | WRITES, 8},
    {"rt_sigaction new", SYS_rt_sigaction, {10, 0, 0, 8}, 1, READS, 32},
    {"rt_sigaction old", SYS_rt_sigaction, {10, 0, 0, 8}, 2, WRITES, 32},
    {"rt_sigprocmask new", SYS_rt_sigprocmask, {0, 0, 0, 8}, 1, READS, 8},
    {"rt_sigprocmask old", SYS_rt_sigprocmask, {0, 0, 0, 8}, 2, WRITES, 8},
    {"rt_sigpending", SYS_rt_sigpending, {0, 8}, 0, WRITES, 8},
    {"rt_sigtimedwait set", SYS_rt_sigtimedwait, {0, 0, 0, 8}, 0, READS, 8},
    {"rt_sigsuspend", SYS_rt_sigsuspend, {0, 8}, 0, READS, 8},
    {"sigaltstack new", SYS_sigaltstack, {0, 0}, 0, READS, 24},
    {"sigaltstack old", SYS_sigaltstack, {0, 0}, 1, WRITES, 24},
    {"nanosleep", SYS_nanosleep, {0, 0}, 0, READS, 16},
    {"clock_gettime", SYS_clock_gettime, {1, 0}, 1, WRITES, 16},
    {"clock_getres", SYS_clock_getres, {1, 0}, 1, WRITES, 16},
    {"gettimeofday", SYS_gettimeofday, {0, 0}, 0, WRITES, 16},
    {"setitimer", SYS_setitimer, {0, 0, 0}, 1, READS, 32},
    {"getitimer", SYS_getitimer, {0, 0}, 1, WRITES, 32},
    {"times", SYS_times, {0}, 0, WRITES, 32},
    {"uname", SYS_uname, {0}, 0, WRITES, 390},
    {"sysinfo", SYS_sysinfo, {0}, 0, WRITES, 112},
    {"getrlimit", SYS_getrlimit, {7, 0}, 1, WRITES, 16},
    {"setrlimit", SYS_setrlimit, {7, 0}, 1, READS, 16},
    {"prlimit64 old", SYS_prlimit64, {0, 7, 0, 0}, 3, WRITES, 16},
    {"getrusage", SYS_getrusage, {0, 0}, 1, WRITES, 144},
    {"getrandom", SYS_getrandom, {0, 64, 0}, 0, WRITES, 64},
    {"sched_getaffinity", SYS_sched_getaffinity, {0, 128, 0}, 2, WRITES, 8},
    {"sched_setaffinity", SYS_sched_setaffinity, {0, 8, 0}, 2, READS, 8},
    {"sched_getparam", SYS_sched_getparam, {0, 0}, 1, WRITES, 4},
    {"futex", SYS_futex, {0, 0, 0, 0}, 0, READS, 4},
    {"execve path", SYS_execve, {0, 0, 0}, 0, READS, 0},
    {"arch_prctl get", SYS_arch_prctl, {0x1003, 0}, 1, WRITES, 8},
    {"memfd_create", SYS_memfd_create, {0, 0}, 0, READS, 0},
    {"getresuid", SYS_getresuid, {0, 0, 0}, 0, WRITES, 4},
    {"get_robust_list", SYS_get_robust_list, {0, 0, 0}, 1, WRITES, 8},
    {"mincore", SYS_mincore, {0x400000, 4096, 0}, 2, 0, 1},
    {"ioctl FIONREAD", SYS_ioctl, {FD_READ, 0x541b, 0}, 2, WRITES, 4},
    {"getdents64", SYS_getdents64, {FD_MEM, 0, 1024}, 1, 0, 1024},
    {"prctl name", SYS_prctl, {15, 0}, 1, READS, 0},
};

static long argument(long value)
{
    switch (value) {
    case FD_READ:
        return pipe_fds[0];
    case FD_WRITE:
        return pipe_fds[1];
    case FD_MEM:
        return memfd;
    case GOOD_PATH:
        return (long)"/";
    case ME:
        return getpid();
    default:
        return value;
    }
}

static long make_call(const struct bad_call *call, unsigned long pointer)
{
    long a[6];

    for (int i = 0; i < 6; i++) {
        a[i] = i == call->slot ? (long)pointer : argument(call->args[i]);
    }
    errno = 0;
    return syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]) == -1 ? errno : 0;
}

static void set_up(void)
{
    char zeros[4096] = {0};

    pipe(pipe_fds);
    memfd = memfd_create("bad", 0);
    write(memfd, zeros, sizeof(zeros));
    lseek(memfd, 0, SEEK_SET);
}

static void expect_efault(const struct bad_call *call, unsigned long pointer)
{
    long error = make_call(call, pointer);

    if (error != EFAULT) {
        printf("# %s with pointer %#lx\n", call->name, pointer);
    }
    EXPECT_EQ(EFAULT, error);
}

#define FOR_EACH_CALL(call)                                                                        \
    for (const struct bad_call *call = calls; call < calls + sizeof(calls) / sizeof(calls[0]);     \
         call++)

TEST(unmapped_pointers_get_efault)
{
    set_up();
    FOR_EACH_CALL(call)
    {
        if (call->access != 0) {
            expect_efault(call, 0x10);
        }
    }
}

TEST(kernel_pointers_get_efault)
{
    set_up();
    FOR_EACH_CALL(call)
    {
        if (call->access != 0) {
            expect_efault(call, 0xffffffff80200000ul);
            expect_efault(call, 0xffff800000001000ul);
        }
    }
}

TEST(non_canonical_pointers_get_efault)
{
    set_up();
    FOR_EACH_CALL(call)
    {
        if (call->access != 0) {
            expect_efault(call, 0x8000000000000000ul);
            expect_efault(call, 0xdeadbeefcafe0000ul);
        }
    }
}

TEST(read_only_memory_cannot_be_written_by_a_call)
{
    char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    set_up();
    FOR_EACH_CALL(call)
    {
        if (call->access == WRITES) {
            expect_efault(call, (unsigned long)page);
        }
    }
    for (size_t i = 0; i < PAGE; i++) {
        ASSERT_EQ(0, page[i]);
    }
}

TEST(objects_that_run_off_the_end_get_efault)
{
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    set_up();
    munmap(pages + PAGE, PAGE);
    FOR_EACH_CALL(call)
    {
        long error;

        if (call->size < 2 || call->access == 0) {
            continue;
        }
        memset(pages, 0, PAGE);
        error = make_call(call, (unsigned long)pages + PAGE - 1);
        if (error == 0 &&
            (call->number == SYS_read || call->number == SYS_write || call->number == SYS_pread64 ||
             call->number == SYS_pwrite64 || call->number == SYS_getrandom)) {
            EXPECT_EQ(0, error); /* these may stop after the bytes that were there */
            continue;
        }
        if (error == EINVAL && call->number == SYS_futex) {
            EXPECT_EQ(EINVAL, error);
            continue;
        }
        if (error != EFAULT) {
            printf("# %s\n", call->name);
        }
        EXPECT_EQ(EFAULT, error);
    }
}

TEST(paths_without_an_end_get_efault_or_enametoolong)
{
    char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memset(pages, 'a', 3 * PAGE);
    EXPECT_ERRNO(ENAMETOOLONG, open(pages, O_RDONLY));
    munmap(pages + PAGE, 2 * PAGE);
    EXPECT_ERRNO(EFAULT, open(pages + 100, O_RDONLY));
    memset(pages, 0, 1);
    EXPECT_ERRNO(ENOENT, open(pages, O_RDONLY));
}

TEST(failed_calls_leave_no_descriptors_behind)
{
    int before = dup(0);

    close(before);
    for (int i = 0; i < 100; i++) {
        syscall(SYS_pipe, 8);
        syscall(SYS_memfd_create, 8, 0);
        syscall(SYS_openat, AT_FDCWD, 8, 0);
    }
    EXPECT_EQ(before, dup(0));
}

TEST(every_unknown_call_number_gets_enosys)
{
    EXPECT_ERRNO(ENOSYS, syscall(600));
    EXPECT_ERRNO(ENOSYS, syscall(1000));
    EXPECT_ERRNO(ENOSYS, syscall(-5));
    EXPECT_ERRNO(EBADF, syscall(1l << 40, -1, 0, 0)); /* only 32 bits count: read */
}

UTEST_MAIN
