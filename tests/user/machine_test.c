/*
 * The border between a program and the machine: registers across switches and forks, segment bases,
 * system-call instructions in odd places, and what each processor exception becomes.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "machine"
#include "utest.h"

#include <cpuid.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

/* --- registers ----------------------------------------------------------------------------------
 */

static void load_xmm(uint64_t seed)
{
    __asm__ volatile("movq %0, %%xmm5\n\t"
                     "movq %0, %%xmm15\n\t"
                     "pslldq $8, %%xmm15"
                     :
                     : "r"(seed)
                     : "xmm5", "xmm15");
}

static int has_xmm(uint64_t seed)
{
    uint64_t low, high;

    __asm__ volatile("movq %%xmm5, %0\n\t"
                     "movhlps %%xmm15, %%xmm14\n\t"
                     "movq %%xmm14, %1"
                     : "=r"(low), "=r"(high)
                     :
                     : "xmm14");
    return low == seed && high == seed;
}

/* A system call that leaves the vector registers to the compiler's mercy for as short as can be. */
static long raw_syscall(long nr, long a, long b)
{
    long result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
    return result;
}

static void yield_with_xmm(uint64_t seed, int rounds)
{
    load_xmm(seed);
    for (int i = 0; i < rounds; i++) {
        raw_syscall(SYS_sched_yield, 0, 0);
        if (!has_xmm(seed)) {
            EXPECT_TRUE(!"vector registers kept across a switch");
            return;
        }
    }
    EXPECT_TRUE(has_xmm(seed));
}

static void *yielding_thread(void *seed)
{
    yield_with_xmm((uint64_t)seed, 500);
    return NULL;
}

TEST(vector_registers_belong_to_their_thread)
{
    pthread_t threads[4];

    for (uint64_t i = 0; i < 4; i++) {
        ASSERT_EQ(0, pthread_create(&threads[i], NULL, yielding_thread, (void *)(i * 0x1111 + 7)));
    }
    yield_with_xmm(0xabcdef, 500);
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(0, pthread_join(threads[i], NULL));
    }
}

TEST(child_inherits_vector_registers_and_rounding)
{
    uint32_t mxcsr = 0x1f80 | 0x6000; /* round toward zero */
    uint32_t seen = 0;
    long pid;
    int status = 0;

    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    load_xmm(0x5151515151);
    pid = raw_syscall(SYS_fork, 0, 0);
    if (pid == 0) {
        int ok = has_xmm(0x5151515151);

        __asm__ volatile("stmxcsr %0" : "=m"(seen));
        raw_syscall(SYS_exit_group, ok && (seen & 0x6000) == 0x6000 ? 0 : 1, 0);
    }
    ASSERT_EQ(pid, waitpid((pid_t)pid, &status, 0));
    EXPECT_EQ(0, status);
}

TEST(avx_registers_survive_switches)
{
    static const uint64_t pattern[4] = {1, 2, 3, 0x123456789abcdef0};
    uint64_t seen[4] = {0};
    unsigned a, b, c, d;
    int status = 0;
    long pid;

    /* Bit 27: the system saves extended state; bit 28: AVX. */
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (3u << 27)) != (3u << 27)) {
        SKIP("no AVX");
    }
    __asm__ volatile("vmovdqu %0, %%ymm3" : : "m"(pattern) : "xmm3");
    pid = raw_syscall(SYS_fork, 0, 0);
    if (pid == 0) {
        for (int i = 0; i < 50; i++) {
            __asm__ volatile("vpxor %%ymm3, %%ymm3, %%ymm3" : : : "xmm3");
            raw_syscall(SYS_sched_yield, 0, 0);
        }
        raw_syscall(SYS_exit_group, 0, 0);
    }
    for (int i = 0; i < 50; i++) {
        raw_syscall(SYS_sched_yield, 0, 0);
    }
    __asm__ volatile("vmovdqu %%ymm3, %0\n\tvzeroupper" : "=m"(seen));
    EXPECT_BYTES(pattern, seen, sizeof(seen));
    ASSERT_EQ(pid, waitpid((pid_t)pid, &status, 0));
}

TEST(syscall_keeps_all_registers_but_rax_rcx_r11)
{
    uint64_t sum;

    __asm__ volatile("movq $1, %%rbx\n\t"
                     "movq $2, %%r12\n\t"
                     "movq $3, %%r13\n\t"
                     "movq $4, %%r14\n\t"
                     "movq $5, %%r15\n\t"
                     "movq $6, %%rdi\n\t"
                     "movq $7, %%rsi\n\t"
                     "movq $8, %%rdx\n\t"
                     "movq $9, %%r8\n\t"
                     "movq $10, %%r9\n\t"
                     "movq $11, %%r10\n\t"
                     "movl %1, %%eax\n\t"
                     "syscall\n\t"
                     "leaq (%%rbx, %%r12), %0\n\t"
                     "addq %%r13, %0\n\t"
                     "addq %%r14, %0\n\t"
                     "addq %%r15, %0\n\t"
                     "addq %%rdi, %0\n\t"
                     "addq %%rsi, %0\n\t"
                     "addq %%rdx, %0\n\t"
                     "addq %%r8, %0\n\t"
                     "addq %%r9, %0\n\t"
                     "addq %%r10, %0"
                     : "=&a"(sum)
                     : "i"(SYS_getpid)
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "memory");
    EXPECT_EQ(66, sum);
}

TEST(syscall_keeps_the_flags)
{
    uint64_t flags;

    __asm__ volatile("pushfq\n\t"
                     "orq $0x401, (%%rsp)\n\t" /* carry and direction */
                     "popfq\n\t"
                     "movl %1, %%eax\n\t"
                     "syscall\n\t"
                     "pushfq\n\t"
                     "popq %0\n\t"
                     "cld"
                     : "=r"(flags)
                     : "i"(SYS_getpid)
                     : "rax", "rcx", "r11", "memory", "cc");
    EXPECT_EQ(0x401, flags & 0x401);
}

/* --- segment bases ------------------------------------------------------------------------------
 */

TEST(segment_bases_are_set_and_read)
{
    uint64_t word = 0x77665544;
    uint64_t base = 0;
    uint64_t seen = 0;

    EXPECT_EQ(0, syscall(SYS_arch_prctl, ARCH_SET_GS, &word));
    EXPECT_EQ(0, syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
    EXPECT_EQ((uint64_t)&word, base);
    for (int i = 0; i < 20; i++) {
        sched_yield();
    }
    __asm__ volatile("movq %%gs:0, %0" : "=r"(seen));
    EXPECT_EQ(word, seen);
    EXPECT_EQ(0, syscall(SYS_arch_prctl, ARCH_GET_FS, &base));
    EXPECT_NE(0, base);
}

TEST(bad_segment_bases_are_refused)
{
    EXPECT_ERRNO(EPERM, syscall(SYS_arch_prctl, ARCH_SET_FS, 0xffff800000000000ul));
    EXPECT_ERRNO(EPERM, syscall(SYS_arch_prctl, ARCH_SET_GS, ~0ul));
    EXPECT_ERRNO(EFAULT, syscall(SYS_arch_prctl, ARCH_GET_FS, 1ul));
    EXPECT_ERRNO(EINVAL, syscall(SYS_arch_prctl, 0x9999, 0));
}

/* --- exceptions ---------------------------------------------------------------------------------
 */

static sigjmp_buf after_fault;
static volatile int fault_signal, fault_code;
static void *volatile fault_address;

static void note_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    fault_signal = signal;
    fault_code = info->si_code;
    fault_address = info->si_addr;
    siglongjmp(after_fault, 1);
}

static void catch_faults(void)
{
    struct sigaction action = {.sa_sigaction = note_fault, .sa_flags = SA_SIGINFO};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};

    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaction(signals[i], &action, NULL);
    }
    fault_signal = 0;
    fault_code = 0;
    fault_address = (void *)-1;
}

#define AFTER_FAULT(statement)                                                                     \
    do {                                                                                           \
        catch_faults();                                                                            \
        if (sigsetjmp(after_fault, 1) == 0) {                                                      \
            statement;                                                                             \
        }                                                                                          \
    } while (0)

TEST(privileged_instructions_are_protection_faults)
{
    AFTER_FAULT(__asm__ volatile("hlt"));
    EXPECT_EQ(SIGSEGV, fault_signal);
    EXPECT_EQ(SI_KERNEL, fault_code);
    EXPECT_EQ(0, (long)fault_address);
    AFTER_FAULT(__asm__ volatile("cli"));
    EXPECT_EQ(SIGSEGV, fault_signal);
    AFTER_FAULT(__asm__ volatile("outb %%al, $0x80" : : "a"(0)));
    EXPECT_EQ(SIGSEGV, fault_signal);
    AFTER_FAULT(__asm__ volatile("movq %%cr3, %%rax" : : : "rax"));
    EXPECT_EQ(SIGSEGV, fault_signal);
    AFTER_FAULT(__asm__ volatile("wrmsr" : : "a"(0), "c"(0xc0000082), "d"(0)));
    EXPECT_EQ(SIGSEGV, fault_signal);
    AFTER_FAULT(__asm__ volatile("int $0x21"));
    EXPECT_EQ(SIGSEGV, fault_signal);
}

TEST(invalid_opcode_is_sigill_at_its_address)
{
    void *at = NULL;

    AFTER_FAULT(__asm__ volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, %0\n1:\tud2"
                                 : "=m"(at)
                                 :
                                 : "rax"));
    EXPECT_EQ(SIGILL, fault_signal);
    EXPECT_EQ(ILL_ILLOPN, fault_code);
    EXPECT_EQ((long)at, (long)fault_address);
}

TEST(breakpoint_is_sigtrap)
{
    AFTER_FAULT(__asm__ volatile("int3"));
    EXPECT_EQ(SIGTRAP, fault_signal);
    EXPECT_EQ(SI_KERNEL, fault_code);
}

TEST(single_step_is_sigtrap)
{
    AFTER_FAULT(__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop" : : : "cc"));
    EXPECT_EQ(SIGTRAP, fault_signal);
    EXPECT_EQ(TRAP_TRACE, fault_code);
}

TEST(single_step_over_a_system_call_does_not_reach_the_kernel)
{
    AFTER_FAULT(__asm__ volatile("movl %0, %%eax\n\t"
                                 "pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tsyscall\n\tnop"
                                 :
                                 : "i"(SYS_getpid)
                                 : "rax", "rcx", "r11", "cc", "memory"));
    EXPECT_EQ(SIGTRAP, fault_signal);
}

/* Only x87: emulators do not raise what SSE leaves unmasked. */
TEST(floating_point_exception_has_its_code)
{
    uint16_t control = 0x037f & ~0x0004; /* division by zero not masked */

    AFTER_FAULT(__asm__ volatile("fldcw %0\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait" : : "m"(control)));
    EXPECT_EQ(SIGFPE, fault_signal);
    EXPECT_EQ(FPE_FLTDIV, fault_code);
}

TEST(non_canonical_access_is_a_protection_fault)
{
    volatile char *high = (volatile char *)0x0000900000000000ul;

    AFTER_FAULT(*high = 1);
    EXPECT_EQ(SIGSEGV, fault_signal);
    EXPECT_EQ(SI_KERNEL, fault_code);
    EXPECT_EQ(0, (long)fault_address);
}

TEST(kernel_memory_is_out_of_reach)
{
    static const unsigned long addresses[] = {0xffff800000000000, 0xffffffff80200000,
                                              0xffffc00000004000, 0xfffffffffffff000};

    for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        AFTER_FAULT(*(volatile char *)addresses[i]);
        EXPECT_EQ(SIGSEGV, fault_signal);
        EXPECT_EQ(addresses[i], (unsigned long)fault_address);
        AFTER_FAULT(((void (*)(void))addresses[i])());
        EXPECT_EQ(SIGSEGV, fault_signal);
    }
}

TEST(data_cannot_be_executed)
{
    unsigned char *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ASSERT_TRUE(code != MAP_FAILED);
    code[0] = 0xc3;
    AFTER_FAULT(((void (*)(void))code)());
    EXPECT_EQ(SIGSEGV, fault_signal);
    EXPECT_EQ(SEGV_ACCERR, fault_code);
    EXPECT_EQ((long)code, (long)fault_address);
}

static void jump_out_of_canonical(void)
{
    __asm__ volatile("movabsq $0x0000900000000000, %%rax\n\tjmpq *%%rax" : : : "rax");
}

TEST(jump_to_a_non_canonical_address_ends_the_program)
{
    int status = utest_in_child(jump_out_of_canonical);

    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGSEGV, WTERMSIG(status));
}

/* SYSRET would fault in the kernel if the return address were not canonical. */
static void return_to_non_canonical(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    (void)signal;
    (void)info;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)0x0000800000000000;
}

static void sigreturn_to_non_canonical(void)
{
    struct sigaction action = {.sa_sigaction = return_to_non_canonical, .sa_flags = SA_SIGINFO};

    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
}

TEST(sigreturn_to_a_non_canonical_address_ends_the_program)
{
    int status = utest_in_child(sigreturn_to_non_canonical);

    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGSEGV, WTERMSIG(status));
}

static void bad_selectors(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    (void)signal;
    (void)info;
    /* cs, gs, fs, ss: 16 bits each. The kernel's code segment must not come of it. */
    uc->uc_mcontext.gregs[REG_CSGSFS] = 0x10 | 0x08;
    uc->uc_mcontext.gregs[REG_EFL] |= 0x3000; /* may touch ports */
}

static void sigreturn_with_bad_selectors(void)
{
    struct sigaction action = {.sa_sigaction = bad_selectors, .sa_flags = SA_SIGINFO};
    uint16_t cs;
    uint64_t flags;

    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    __asm__ volatile("movw %%cs, %0" : "=r"(cs));
    __asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags));
    /* Either the frame is refused or the privilege is not given. */
    _exit((cs & 3) == 3 && (flags & 0x3000) == 0 ? 0 : 1);
}

TEST(sigreturn_gives_no_privilege)
{
    int status = utest_in_child(sigreturn_with_bad_selectors);

    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

TEST(syscall_at_the_end_of_the_address_space)
{
    unsigned char *last = (unsigned char *)0x7fffffffe000;
    unsigned char *page = mmap(last, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    /* Where addresses are not random the stack stands there: its very end, which is not needed. */
    if (page != last) {
        page = last;
        ASSERT_EQ(0, mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
    }
    page[4094] = 0x0f;
    page[4095] = 0x05;
    AFTER_FAULT(__asm__ volatile("movl %0, %%eax\n\tjmpq *%1"
                                 :
                                 : "i"(SYS_getpid), "r"(page + 4094)
                                 : "rax", "rcx", "r11"));
    EXPECT_EQ(SIGSEGV, fault_signal);
    EXPECT_EQ(0x7ffffffff000, (long)fault_address);
}

UTEST_MAIN
