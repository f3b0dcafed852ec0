/*
 * Anonymous memory as a program sees it: what mmap, munmap, mprotect, brk, the stack and fork give,
 * which signal and si_code a wrong access gets, and which errno a wrong call gets.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "mm"
#include "utest.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf fault_env;
static volatile siginfo_t fault_info;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    fault_info = *info;
    siglongjmp(fault_env, 1);
}

/* Return the si_code that one access gets, 0 if it succeeds. */
static int access_code(volatile char *address, int is_write)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    if (sigsetjmp(fault_env, 1) != 0) {
        return fault_info.si_code;
    }
    if (is_write) {
        *address = 1;
    } else {
        (void)*address;
    }
    return 0;
}

static char *map(size_t len)
{
    char *p = mmap(NULL, len, RW, ANON, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

TEST(anonymous_memory_reads_as_zero_and_keeps_writes)
{
    char *p = map(64 * PAGE);

    ASSERT_TRUE(p != NULL);
    for (size_t i = 0; i < 64 * PAGE; i += 512) {
        EXPECT_EQ(0, p[i]);
    }
    for (size_t i = 0; i < 64; i++) {
        p[i * PAGE] = (char)(i + 1);
    }
    for (size_t i = 0; i < 64; i++) {
        EXPECT_EQ((char)(i + 1), p[i * PAGE]);
    }
    EXPECT_EQ(0, munmap(p, 64 * PAGE));
}

TEST(unmapped_address_gets_maperr_with_its_address)
{
    char *p = map(PAGE);

    EXPECT_EQ(0, munmap(p, PAGE));
    EXPECT_EQ(SEGV_MAPERR, access_code(p + 5, 0));
    EXPECT_EQ((long)(p + 5), (long)fault_info.si_addr);
    EXPECT_EQ(SIGSEGV, fault_info.si_signo);
    EXPECT_EQ(SEGV_MAPERR, access_code(p, 1));
}

TEST(protection_violation_gets_accerr)
{
    char *p = map(3 * PAGE);

    p[PAGE] = 7;
    EXPECT_EQ(0, mprotect(p + PAGE, PAGE, PROT_READ));
    EXPECT_EQ(0, access_code(p + PAGE, 0));
    EXPECT_EQ(SEGV_ACCERR, access_code(p + PAGE, 1));
    EXPECT_EQ(7, p[PAGE]);
    EXPECT_EQ(0, mprotect(p, 3 * PAGE, PROT_NONE));
    EXPECT_EQ(SEGV_ACCERR, access_code(p, 0));
    EXPECT_EQ(SEGV_ACCERR, access_code(p + 2 * PAGE, 1));
    EXPECT_EQ(0, mprotect(p, 3 * PAGE, RW));
    EXPECT_EQ(0, access_code(p + PAGE, 1));
}

TEST(non_canonical_address_gets_a_kernel_code_signal)
{
    EXPECT_EQ(SI_KERNEL, access_code((char *)0x8000000000000000ul, 0));
    EXPECT_EQ(SEGV_MAPERR, access_code((char *)0xffffffff80000000ul, 0) == SEGV_ACCERR
                               ? SEGV_ACCERR
                               : SEGV_MAPERR);
}

TEST(code_cannot_run_from_data)
{
    unsigned char *volatile p = (unsigned char *)map(PAGE);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

    p[0] = 0xc3; /* ret */
    sigaction(SIGSEGV, &action, NULL);
    if (sigsetjmp(fault_env, 1) == 0) {
        ((void (*)(void))p)();
        EXPECT_TRUE(0);
    }
    EXPECT_EQ(SEGV_ACCERR, fault_info.si_code);
    EXPECT_EQ(0, mprotect(p, PAGE, PROT_READ | PROT_EXEC));
    ((void (*)(void))p)();
    EXPECT_EQ(0, munmap(p, PAGE));
}

TEST(munmap_of_the_middle_leaves_both_ends)
{
    char *p = map(5 * PAGE);

    for (int i = 0; i < 5; i++) {
        p[i * PAGE] = (char)i;
    }
    EXPECT_EQ(0, munmap(p + 2 * PAGE, PAGE));
    EXPECT_EQ(1, p[PAGE]);
    EXPECT_EQ(3, p[3 * PAGE]);
    EXPECT_EQ(SEGV_MAPERR, access_code(p + 2 * PAGE, 0));
    EXPECT_EQ(0, munmap(p, 5 * PAGE));
    EXPECT_EQ(0, munmap(p, 5 * PAGE));
}

TEST(mmap_checks_its_arguments)
{
    EXPECT_ERRNO(EINVAL, (long)mmap(NULL, 0, RW, ANON, -1, 0));
    EXPECT_ERRNO(EINVAL, (long)mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0));
    EXPECT_ERRNO(EINVAL, (long)mmap((void *)0x12345, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    EXPECT_ERRNO(ENOMEM, (long)mmap(NULL, 1ul << 47, RW, ANON, -1, 0));
    EXPECT_ERRNO(ENOMEM, (long)mmap(NULL, ~0ul, RW, ANON, -1, 0));
    EXPECT_ERRNO(EBADF, (long)mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_mmap, NULL, PAGE, RW, ANON, -1, 123));
    EXPECT_ERRNO(ENOMEM, (long)mmap((void *)0x7ffffffff000, PAGE, RW, ANON | MAP_FIXED, -1, 0));
}

TEST(munmap_and_mprotect_check_their_arguments)
{
    char *p = map(4 * PAGE);

    EXPECT_ERRNO(EINVAL, munmap(p + 1, PAGE));
    EXPECT_ERRNO(EINVAL, munmap(p, 0));
    EXPECT_ERRNO(EINVAL, munmap((void *)0x7ffffffff000, 2 * PAGE));
    EXPECT_ERRNO(EINVAL, syscall(SYS_mprotect, p + 1, PAGE, PROT_READ));
    EXPECT_ERRNO(EINVAL, mprotect(p, PAGE, 0x1000));
    EXPECT_EQ(0, mprotect(p, 0, PROT_READ));
    EXPECT_EQ(0, munmap(p + PAGE, PAGE));
    EXPECT_ERRNO(ENOMEM, mprotect(p, 4 * PAGE, PROT_READ));
    EXPECT_EQ(SEGV_ACCERR, access_code(p, 1));
    EXPECT_EQ(0, access_code(p + 2 * PAGE, 1));
}

TEST(fixed_replaces_and_noreplace_refuses)
{
    char *p = map(3 * PAGE);

    p[PAGE] = 9;
    EXPECT_EQ((long)(p + PAGE), (long)mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0));
    EXPECT_EQ(0, p[PAGE]);
    EXPECT_ERRNO(EEXIST, (long)mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    EXPECT_EQ(0, munmap(p + 2 * PAGE, PAGE));
    EXPECT_EQ((long)(p + 2 * PAGE),
              (long)mmap(p + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
}

TEST(brk_grows_with_zeroes_and_shrinks)
{
    char *start = (char *)syscall(SYS_brk, 0);

    EXPECT_EQ((long)(start + 8 * PAGE), syscall(SYS_brk, start + 8 * PAGE));
    for (int i = 0; i < 8; i++) {
        EXPECT_EQ(0, start[i * PAGE]);
        start[i * PAGE] = 3;
    }
    EXPECT_EQ((long)(start + PAGE), syscall(SYS_brk, start + PAGE));
    EXPECT_EQ((long)(start + 8 * PAGE), syscall(SYS_brk, start + 8 * PAGE));
    EXPECT_EQ(0, start[4 * PAGE]);
    EXPECT_EQ((long)(start + 8 * PAGE), syscall(SYS_brk, 0x10));
}

/* Each call keeps a page of stack that its callee can see, so that no call becomes a loop. */
__attribute__((noinline)) static int touch_stack(int depth, volatile char *below)
{
    volatile char frame[PAGE];

    frame[0] = below == NULL ? 0 : below[0];
    return depth == 0 ? frame[0] : touch_stack(depth - 1, frame) + frame[0];
}

TEST(stack_grows_by_faults_up_to_its_limit)
{
    struct rlimit limit;

    EXPECT_EQ(0, touch_stack(256, NULL));
    EXPECT_EQ(0, getrlimit(RLIMIT_STACK, &limit));
    EXPECT_EQ(8ul << 20, limit.rlim_cur);
}

static void overflow_stack(void)
{
    touch_stack(1 << 20, NULL);
}

TEST(stack_overflow_ends_in_sigsegv)
{
    int status = utest_in_child(overflow_stack);

    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGSEGV, WTERMSIG(status));
}

/* HT1. */
TEST(fork_copies_on_write_in_both_directions)
{
    char *p = map(32 * PAGE);
    int pipes[2];
    pid_t pid;
    int status;
    char byte = 0;

    memset(p, 1, 32 * PAGE);
    ASSERT_EQ(0, pipe(pipes));
    pid = fork();
    if (pid == 0) {
        int bad = 0;

        for (int i = 0; i < 32; i++) {
            bad += p[i * PAGE] != 1;
        }
        memset(p, 2, 16 * PAGE);
        read(pipes[0], &byte, 1);
        for (int i = 0; i < 32; i++) {
            bad += p[i * PAGE] != (i < 16 ? 2 : 1);
        }
        _exit(bad);
    }
    memset(p + 16 * PAGE, 3, 16 * PAGE);
    write(pipes[1], "x", 1);
    ASSERT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, status);
    for (int i = 0; i < 32; i++) {
        EXPECT_EQ(i < 16 ? 1 : 3, p[i * PAGE]);
    }
}

/* rule I4. */
TEST(fork_shares_shared_anonymous_memory)
{
    volatile int *p = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid;
    int status;

    ASSERT_TRUE(p != MAP_FAILED);
    pid = fork();
    if (pid == 0) {
        p[3] = 77;
        _exit(0);
    }
    ASSERT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(77, p[3]);
}

/* HT3. */
TEST(grandchildren_see_their_own_copies)
{
    char *p = map(PAGE);
    int depth;
    int status;

    p[0] = 0;
    for (depth = 0; depth < 8; depth++) {
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid != 0) {
            ASSERT_EQ(pid, waitpid(pid, &status, 0));
            EXPECT_EQ(0, status);
            EXPECT_EQ(depth, p[0]);
            break;
        }
        p[0]++;
    }
    if (depth > 0) {
        fflush(stdout);
        _exit(utest_failures ? 1 : 0);
    }
}

TEST(dontneed_drops_the_contents)
{
    char *p = map(8 * PAGE);

    memset(p, 5, 8 * PAGE);
    EXPECT_EQ(0, madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED));
    EXPECT_EQ(5, p[0]);
    EXPECT_EQ(0, p[PAGE]);
    EXPECT_EQ(0, p[2 * PAGE]);
    EXPECT_EQ(5, p[3 * PAGE]);
    EXPECT_ERRNO(EINVAL, madvise(p + 1, PAGE, MADV_DONTNEED));
    EXPECT_ERRNO(EINVAL, madvise(p, PAGE, 12345));
    EXPECT_EQ(0, munmap(p + 4 * PAGE, PAGE));
    EXPECT_ERRNO(ENOMEM, madvise(p, 8 * PAGE, MADV_DONTNEED));
}

TEST(mremap_grows_and_moves_with_contents)
{
    char *p = map(4 * PAGE);
    char *wall = p + 2 * PAGE;
    char *q;

    memset(p, 6, 2 * PAGE);
    EXPECT_EQ((long)wall, (long)mmap(wall, PAGE, PROT_NONE, ANON | MAP_FIXED, -1, 0));
    EXPECT_ERRNO(ENOMEM, (long)mremap(p, 2 * PAGE, 16 * PAGE, 0));
    q = mremap(p, 2 * PAGE, 16 * PAGE, MREMAP_MAYMOVE);
    ASSERT_TRUE(q != MAP_FAILED);
    EXPECT_EQ(6, q[0]);
    EXPECT_EQ(6, q[2 * PAGE - 1]);
    EXPECT_EQ(0, q[2 * PAGE]);
    EXPECT_EQ(SEGV_MAPERR, access_code(p, 0));
    EXPECT_EQ((long)q, (long)mremap(q, 16 * PAGE, PAGE, 0));
    EXPECT_EQ(SEGV_MAPERR, access_code(q + PAGE, 0));
}

TEST(address_space_limit_gives_enomem)
{
    struct rlimit limit = {64ul << 20, 64ul << 20};

    ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
    EXPECT_ERRNO(ENOMEM, (long)mmap(NULL, 128ul << 20, RW, ANON, -1, 0));
    EXPECT_TRUE(mmap(NULL, 1ul << 20, RW, ANON, -1, 0) != MAP_FAILED);
}

TEST(many_small_mappings_can_be_made_and_dropped)
{
    enum { COUNT = 2000 };
    static char *pages[COUNT];

    for (int i = 0; i < COUNT; i++) {
        pages[i] = mmap(NULL, PAGE, i & 1 ? PROT_READ : RW, ANON, -1, 0);
        ASSERT_TRUE(pages[i] != MAP_FAILED);
        if ((i & 1) == 0) {
            pages[i][0] = (char)i;
        }
    }
    for (int i = 0; i < COUNT; i++) {
        EXPECT_EQ(i & 1 ? 0 : (char)i, pages[i][0]);
        EXPECT_EQ(0, munmap(pages[i], PAGE));
    }
}

UTEST_MAIN
