/* Delivering signals, and page faults that a handler resolves. */
#define _GNU_SOURCE
#include "bench.h"

#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { POKE_LENGTH = 3 };

static inline void poke(char *p)
{
    __asm__ volatile(".byte 0xc6,0x07,0x01" : : "D"(p) : "memory"); /* movb $1,(%rdi) */
}

static void do_nothing(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    (void)context;
}

static void skip_poke(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += POKE_LENGTH;
}

static void unprotect(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    mprotect((char *)((uintptr_t)info->si_addr & ~(PAGE - 1)), PAGE, RW);
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

    sigaction(signal, &action, NULL);
}

static void to_self(struct row *rows)
{
    int me = getpid();

    handle(SIGUSR1, do_nothing);
    for (int r = 0; r < bench_repeats; r++) {
        TIMED(&rows[0], 1000)
        {
            for (int i = 0; i < 1000; i++) {
                syscall(SYS_tgkill, me, me, SIGUSR1);
            }
        }
    }
}

static void faults(struct row *rows)
{
    char *p = map_rw(PAGE);

    *p = 1;
    mprotect(p, PAGE, PROT_READ);
    handle(SIGSEGV, skip_poke);
    for (int r = 0; r < bench_repeats; r++) {
        TIMED(&rows[0], 1000)
        {
            for (int i = 0; i < 1000; i++) {
                poke(p);
            }
        }
    }
    handle(SIGSEGV, unprotect);
    for (int r = 0; r < bench_repeats; r++) {
        struct watch watch = watch_of(&rows[1]);

        for (int i = 0; i < 500; i++) {
            mprotect(p, PAGE, PROT_READ);
            watch_start(&watch);
            poke(p);
            watch_stop(&watch);
        }
        row_add(&rows[1], &watch, 500);
    }
    munmap(p, PAGE);
}

/* What a garbage collector's write barrier does. */
static void barrier(struct row *rows)
{
    enum { NR_PAGES = 1024 };

    handle(SIGSEGV, unprotect);
    for (int r = 0; r < bench_repeats; r++) {
        char *p = map_rw(NR_PAGES * PAGE);

        write_pages(p, NR_PAGES);
        mprotect(p, NR_PAGES * PAGE, PROT_READ);
        TIMED(&rows[0], NR_PAGES)
        {
            for (size_t i = 0; i < NR_PAGES; i++) {
                poke(p + i * PAGE);
            }
        }
        munmap(p, NR_PAGES * PAGE);
    }
}

const struct bench bench_signal[] = {
    {to_self, {"signal_tgkill_self_roundtrip"}},
    {faults, {"sigsegv_roundtrip_skip_insn", "sigsegv_mprotect_retry_roundtrip"}},
    {barrier, {"sigsegv_gc_barrier_sequential_per_page"}},
    {0},
};
