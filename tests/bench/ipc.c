/* Two that pass a turn back and forth: by pipe, by futex, by yielding; and signals. */
#define _GNU_SOURCE
#include "bench.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static struct samples s0, s1;

static double since(uint64_t start)
{
    return (double)(bench_now() - start);
}

static void pipe_ping_pong(void)
{
    enum { ROUNDS = 1000 };
    int there[2], back[2];
    uint64_t start;
    char byte = 0;
    pid_t pid;

    if (pipe(there) != 0 || pipe(back) != 0) {
        row_error("pipe");
        return;
    }
    pid = fork();
    if (pid == 0) {
        close(there[1]);
        close(back[0]);
        while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1) {
        }
        _exit(0);
    }
    close(there[0]);
    close(back[1]);
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) {
        row_error("pipe");
    }
    start = bench_now();
    for (int i = 0; i < ROUNDS; i++) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) {
            row_error("pipe");
            break;
        }
    }
    samples_add(&s0, since(start) / ROUNDS);
    close(there[1]);
    close(back[0]);
    waitpid(pid, NULL, 0);
}

static long futex(volatile int *word, int op, int value)
{
    return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

struct turn {
    volatile int *word;
    int me;
    int rounds;
    int private_flag;
};

static void *take_turns(void *argument)
{
    struct turn *turn = argument;

    for (int i = 0; i < turn->rounds; i++) {
        while (*turn->word != turn->me) {
            futex(turn->word, FUTEX_WAIT | turn->private_flag, 1 - turn->me);
        }
        *turn->word = 1 - turn->me;
        futex(turn->word, FUTEX_WAKE | turn->private_flag, 1);
    }
    return NULL;
}

static void futex_ping_pong(void)
{
    enum { ROUNDS = 1000 };
    volatile int *word = (volatile int *)(bench_shared + 256);
    struct turn mine = {word, 0, ROUNDS, 0};
    struct turn other = {word, 1, ROUNDS, 0};
    pthread_t thread;
    uint64_t start;
    pid_t pid;

    *word = 0;
    pid = fork();
    if (pid == 0) {
        take_turns(&other);
        _exit(0);
    }
    start = bench_now();
    take_turns(&mine);
    while (*word != 0) {
        sched_yield();
    }
    samples_add(&s0, since(start) / ROUNDS);
    waitpid(pid, NULL, 0);
    mine.private_flag = other.private_flag = FUTEX_PRIVATE_FLAG;
    *word = 0;
    pthread_create(&thread, NULL, take_turns, &other);
    start = bench_now();
    take_turns(&mine);
    pthread_join(thread, NULL);
    samples_add(&s1, since(start) / ROUNDS);
}

void bench_ipc(void)
{
    for (int r = 0; r < bench_repeats; r++) {
        pipe_ping_pong();
    }
    samples_print("pipe_pingpong_2proc_roundtrip", &s0);
    for (int r = 0; r < bench_repeats; r++) {
        futex_ping_pong();
    }
    samples_print("futex_pingpong_2proc_roundtrip", &s0);
    samples_print("futex_pingpong_2thr_roundtrip", &s1);
    for (int r = 0; r < bench_repeats; r++) {
        uint64_t start = bench_now();

        for (int i = 0; i < 2000; i++) {
            bench_call(SYS_sched_yield);
        }
        samples_add(&s0, since(start) / 2000);
    }
    samples_print("sched_yield_alone", &s0);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)info;
    if (signal == SIGSEGV) {
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 3; /* over movb $1,(%rdi) */
    }
}

void bench_signal(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    char *p = map_rw(PAGE);
    int me = getpid();

    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    for (int r = 0; r < bench_repeats; r++) {
        uint64_t start = bench_now();

        for (int i = 0; i < 1000; i++) {
            syscall(SYS_tgkill, me, me, SIGUSR1);
        }
        samples_add(&s0, since(start) / 1000);
    }
    samples_print("signal_tgkill_self_roundtrip", &s0);
    *p = 1;
    mprotect(p, PAGE, PROT_READ);
    for (int r = 0; r < bench_repeats; r++) {
        uint64_t start = bench_now();

        for (int i = 0; i < 1000; i++) {
            __asm__ volatile(".byte 0xc6,0x07,0x01" : : "D"(p) : "memory");
        }
        samples_add(&s0, since(start) / 1000);
    }
    samples_print("sigsegv_roundtrip_skip_insn", &s0);
    munmap(p, PAGE);
    signal(SIGSEGV, SIG_DFL);
}
