/*
 * Signals: delivery, the frame a handler sees, masks, restarts, alternate stacks, queues.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "signal"
#include "await.h"
#include "utest.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

static volatile sig_atomic_t nr_calls;
static volatile int last_signal;
static volatile siginfo_t last_info;

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)context;
    nr_calls++;
    last_signal = signal;
    last_info = *info;
}

static void handle(int signal, int flags)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};

    sigaction(signal, &action, NULL);
}

TEST(handler_gets_number_sender_and_code)
{
    handle(SIGUSR1, 0);
    EXPECT_EQ(0, kill(getpid(), SIGUSR1));
    EXPECT_EQ(1, nr_calls);
    EXPECT_EQ(SIGUSR1, last_signal);
    EXPECT_EQ(SI_USER, last_info.si_code);
    EXPECT_EQ(getpid(), last_info.si_pid);
    EXPECT_EQ(0, raise(SIGUSR1));
    EXPECT_EQ(SI_TKILL, last_info.si_code);
}

TEST(blocked_signal_waits_until_unblocked)
{
    sigset_t set, pending;

    handle(SIGUSR1, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    EXPECT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    EXPECT_EQ(0, nr_calls);
    EXPECT_EQ(0, sigpending(&pending));
    EXPECT_EQ(1, sigismember(&pending, SIGUSR1));
    EXPECT_EQ(0, sigprocmask(SIG_UNBLOCK, &set, NULL));
    EXPECT_EQ(1, nr_calls);
}

/* Runs as a user of its own, to whom the rest of the system is closed. */
static void kill_all_of_one_user(void)
{
    int ready[2];
    char byte;

    ASSERT_EQ(0, setuid(54321));
    handle(SIGUSR1, 0);
    EXPECT_EQ(0, kill(-1, SIGUSR1));
    EXPECT_EQ(0, nr_calls);
    ASSERT_EQ(0, pipe(ready));
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGUSR1, SIG_DFL);
        EXPECT_EQ(1, write(ready[1], "x", 1));
        pause();
        _exit(1);
    }
    EXPECT_EQ(1, read(ready[0], &byte, 1));
    EXPECT_EQ(0, kill(-1, SIGUSR1));
    EXPECT_EQ(0, nr_calls);
    int status = 0;
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(SIGUSR1, WTERMSIG(status));
    EXPECT_ERRNO(EINVAL, kill(-1, 65));
    EXPECT_EQ(0, kill(-1, 0));
}

TEST(kill_all_reaches_whoever_may_be_reached_but_the_caller)
{
    EXPECT_EQ(0, utest_in_child(kill_all_of_one_user));
}

TEST(realtime_signals_queue_in_order_with_values)
{
    sigset_t set;
    siginfo_t info;
    struct timespec none = {0, 0};

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(0, sigqueue(getpid(), SIGRTMIN + (i == 0), (union sigval){.sival_int = i}));
    }
    for (int i = 1; i < 5; i++) {
        EXPECT_EQ(SIGRTMIN, sigtimedwait(&set, &info, &none));
        EXPECT_EQ(i, info.si_value.sival_int);
        EXPECT_EQ(SI_QUEUE, info.si_code);
    }
    EXPECT_EQ(SIGRTMIN + 1, sigtimedwait(&set, &info, &none));
    EXPECT_ERRNO(EAGAIN, sigtimedwait(&set, &info, &none));
}

static void on_context(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;

    (void)signal;
    (void)info;
    nr_calls++;
    user->uc_mcontext.gregs[REG_RBX] = 0x1122334455667788;
    user->uc_mcontext.gregs[REG_RIP] += 2; /* over the ud2 */
}

TEST(handler_can_change_the_interrupted_registers)
{
    struct sigaction action = {.sa_sigaction = on_context, .sa_flags = SA_SIGINFO};
    unsigned long rbx = 0;

    sigaction(SIGILL, &action, NULL);
    __asm__ volatile("xor %%ebx, %%ebx; ud2; mov %%rbx, %0" : "=r"(rbx) : : "rbx", "memory");
    EXPECT_EQ(1, nr_calls);
    EXPECT_EQ(0x1122334455667788, rbx);
}

static void on_clobber(int signal)
{
    (void)signal;
    nr_calls++;
    __asm__ volatile("pxor %%xmm7, %%xmm7; xor %%eax, %%eax; xor %%r15d, %%r15d"
                     :
                     :
                     : "xmm7", "rax", "r15");
}

TEST(registers_and_vector_state_survive_a_handler)
{
    unsigned long in[2] = {0xdeadbeefcafef00d, 0x0123456789abcdef};
    unsigned long out[2] = {0, 0};
    long r15 = 0;
    long pid = getpid();

    signal(SIGUSR1, on_clobber);
    __asm__ volatile("movdqu (%3), %%xmm7\n\t"
                     "mov $0x5555, %%r15\n\t"
                     "mov %5, %%rdi\n\t"
                     "mov $10, %%rsi\n\t"
                     "mov $62, %%eax\n\t"
                     "syscall\n\t"
                     "movdqu %%xmm7, (%4)\n\t"
                     "mov %%r15, %0"
                     : "=r"(r15), "+m"(out), "+m"(in)
                     : "r"(in), "r"(out), "r"(pid)
                     : "rax", "rcx", "rdx", "rdi", "rsi", "r11", "r15", "xmm7", "memory");
    EXPECT_EQ(1, nr_calls);
    EXPECT_EQ(in[0], out[0]);
    EXPECT_EQ(in[1], out[1]);
    EXPECT_EQ(0x5555, r15);
}

static volatile sig_atomic_t depth, max_depth;

static void on_nested(int signal)
{
    depth++;
    nr_calls++;
    if (depth > max_depth) {
        max_depth = depth;
    }
    if (nr_calls < 3) {
        raise(signal);
    }
    depth--;
}

TEST(a_handler_is_not_interrupted_by_its_own_signal_unless_nodefer)
{
    struct sigaction action = {.sa_handler = on_nested};

    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    EXPECT_EQ(1, max_depth);
    EXPECT_EQ(3, nr_calls);
    max_depth = 0;
    nr_calls = 0;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    EXPECT_EQ(3, max_depth);
}

TEST(resethand_runs_the_handler_once)
{
    struct sigaction now;

    handle(SIGUSR1, SA_RESETHAND);
    raise(SIGUSR1);
    EXPECT_EQ(1, nr_calls);
    sigaction(SIGUSR1, NULL, &now);
    EXPECT_EQ((long)SIG_DFL, (long)now.sa_handler);
}

static char alt_stack[65536];
static volatile int was_on_alt_stack;

static void on_alt(int signal)
{
    char here;

    (void)signal;
    was_on_alt_stack = &here >= alt_stack && &here < alt_stack + sizeof(alt_stack);
}

TEST(alternate_stack_is_used_when_asked)
{
    stack_t stack = {.ss_sp = alt_stack, .ss_size = sizeof(alt_stack)};
    stack_t old;
    struct sigaction action = {.sa_handler = on_alt, .sa_flags = SA_ONSTACK};

    EXPECT_EQ(0, sigaltstack(&stack, NULL));
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    EXPECT_EQ(1, was_on_alt_stack);
    EXPECT_EQ(0, sigaltstack(NULL, &old));
    EXPECT_EQ((long)alt_stack, (long)old.ss_sp);
    stack.ss_size = 100;
    EXPECT_ERRNO(ENOMEM, syscall(SYS_sigaltstack, &stack, NULL));
    stack.ss_flags = 0x1234;
    EXPECT_ERRNO(EINVAL, syscall(SYS_sigaltstack, &stack, NULL));
}

static sigjmp_buf env;

static void on_overflow(int signal)
{
    (void)signal;
    nr_calls++;
    siglongjmp(env, 1);
}

__attribute__((noinline)) static int overflow(int n, volatile char *below)
{
    volatile char frame[4096];

    frame[0] = below == NULL ? 0 : below[0];
    return n == 1 << 20 ? 0 : overflow(n + 1, frame) + frame[0];
}

TEST(stack_overflow_can_be_caught_on_the_alternate_stack)
{
    stack_t stack = {.ss_sp = alt_stack, .ss_size = sizeof(alt_stack)};
    struct sigaction action = {.sa_handler = on_overflow, .sa_flags = SA_ONSTACK};

    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &action, NULL);
    if (sigsetjmp(env, 1) == 0) {
        overflow(0, NULL);
    }
    EXPECT_EQ(1, nr_calls);
}

/* A child that sends its parent a signal once that sleeps in a system call. */
static pid_t signal_in_call(int signal, long nr)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        _exit(await_call(parent, parent, nr) != 0 || kill(parent, signal) != 0);
    }
    return pid;
}

TEST(interrupted_read_restarts_only_with_sa_restart)
{
    int pipes[2];
    char byte;
    pid_t pid;

    ASSERT_EQ(0, pipe(pipes));
    handle(SIGUSR1, 0);
    pid = signal_in_call(SIGUSR1, SYS_read);
    EXPECT_ERRNO(EINTR, read(pipes[0], &byte, 1));
    waitpid(pid, NULL, 0);
    handle(SIGUSR1, SA_RESTART);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        pid_t parent = getppid();

        await_call(parent, parent, SYS_read);
        kill(parent, SIGUSR1);
        await_call(parent, parent, SYS_read);
        write(pipes[1], "z", 1);
        _exit(0);
    }
    EXPECT_EQ(1, read(pipes[0], &byte, 1));
    EXPECT_EQ('z', byte);
    EXPECT_EQ(2, nr_calls);
    waitpid(pid, NULL, 0);
}

TEST(nanosleep_reports_what_was_left)
{
    struct timespec want = {30, 0}, left = {0, 0};
    pid_t pid;

    handle(SIGUSR1, SA_RESTART);
    pid = signal_in_call(SIGUSR1, SYS_nanosleep);
    EXPECT_ERRNO(EINTR, syscall(SYS_nanosleep, &want, &left));
    EXPECT_TRUE(left.tv_sec >= 20 && left.tv_sec < 30);
    waitpid(pid, NULL, 0);
}

TEST(sigsuspend_waits_with_its_own_mask)
{
    sigset_t all, none, now;
    pid_t pid;

    handle(SIGUSR1, 0);
    sigfillset(&all);
    sigdelset(&all, SIGALRM);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &all, NULL);
    pid = signal_in_call(SIGUSR1, SYS_rt_sigsuspend);
    EXPECT_ERRNO(EINTR, sigsuspend(&none));
    EXPECT_TRUE(nr_calls >= 1);
    sigprocmask(SIG_SETMASK, NULL, &now);
    EXPECT_EQ(1, sigismember(&now, SIGUSR1));
    waitpid(pid, NULL, 0);
}

TEST(sigchld_tells_how_a_child_ended)
{
    pid_t pid;

    handle(SIGCHLD, SA_RESTART);
    pid = fork();
    if (pid == 0) {
        _exit(33);
    }
    EXPECT_EQ(pid, waitpid(pid, NULL, 0));
    EXPECT_EQ(1, nr_calls);
    EXPECT_EQ(CLD_EXITED, last_info.si_code);
    EXPECT_EQ(33, last_info.si_status);
    EXPECT_EQ(pid, last_info.si_pid);
}

TEST(ignored_sigchld_leaves_no_zombies)
{
    pid_t pid;

    signal(SIGCHLD, SIG_IGN);
    pid = fork();
    if (pid == 0) {
        _exit(1);
    }
    EXPECT_ERRNO(ECHILD, waitpid(pid, NULL, 0));
}

static void divide_by_zero(void)
{
    volatile int zero = 0;

    _exit(100 / zero);
}

static void run_breakpoint(void)
{
    __asm__ volatile("int3");
}

static void run_privileged(void)
{
    __asm__ volatile("hlt");
}

TEST(processor_exceptions_become_their_signals)
{
    EXPECT_EQ(SIGFPE, WTERMSIG(utest_in_child(divide_by_zero)));
    EXPECT_EQ(SIGTRAP, WTERMSIG(utest_in_child(run_breakpoint)));
    EXPECT_EQ(SIGSEGV, WTERMSIG(utest_in_child(run_privileged)));
}

static void on_fpe(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    last_info = *info;
    siglongjmp(env, 1);
}

TEST(division_by_zero_has_its_code)
{
    struct sigaction action = {.sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO};
    volatile int zero = 0;

    sigaction(SIGFPE, &action, NULL);
    if (sigsetjmp(env, 1) == 0) {
        zero = 100 / zero;
    }
    EXPECT_EQ(FPE_INTDIV, last_info.si_code);
    EXPECT_TRUE(last_info.si_addr != NULL);
}

TEST(kill_and_stop_cannot_be_caught)
{
    struct sigaction action = {.sa_handler = SIG_IGN};

    EXPECT_ERRNO(EINVAL, sigaction(SIGKILL, &action, NULL));
    EXPECT_ERRNO(EINVAL, sigaction(SIGSTOP, &action, NULL));
    EXPECT_ERRNO(EINVAL, sigaction(65, &action, NULL));
    EXPECT_ERRNO(EINVAL, kill(getpid(), 65));
    EXPECT_ERRNO(ESRCH, kill(0x7ffffff0, 0));
    EXPECT_EQ(0, kill(getpid(), 0));
}

TEST(alarm_and_itimers_fire)
{
    struct itimerval value = {{0, 5000}, {0, 5000}};

    handle(SIGALRM, 0);
    EXPECT_EQ(0, setitimer(ITIMER_REAL, &value, NULL));
    while (nr_calls < 3) {
        pause();
    }
    memset(&value, 0, sizeof(value));
    EXPECT_EQ(0, setitimer(ITIMER_REAL, &value, NULL));
    EXPECT_EQ(0, alarm(100));
    EXPECT_LE(90, alarm(0));
    EXPECT_ERRNO(EINVAL, setitimer(9, &value, NULL));
    EXPECT_ERRNO(EFAULT, setitimer(ITIMER_REAL, (void *)8, NULL));
}

static void bad_frame(void)
{
    signal(SIGUSR1, on_overflow);
    __asm__ volatile("mov $0x1000, %%rsp\n\tmov $39, %%eax\n\tsyscall\n\tmov %%eax, %%edi\n\t"
                     "mov $10, %%esi\n\tmov $62, %%eax\n\tsyscall\n\t1: jmp 1b"
                     :
                     :
                     : "rax", "rdi", "rsi", "rcx", "r11", "memory");
}

TEST(a_stack_that_cannot_hold_the_frame_ends_in_sigsegv)
{
    int status = utest_in_child(bad_frame);

    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(SIGSEGV, WTERMSIG(status));
}

static void bad_return(void)
{
    __asm__ volatile("mov $15, %%eax\n\tmov $0x10, %%rsp\n\tsyscall" : : : "rax", "memory");
}

TEST(sigreturn_without_a_frame_ends_in_sigsegv)
{
    EXPECT_EQ(SIGSEGV, WTERMSIG(utest_in_child(bad_return)));
}

UTEST_MAIN
