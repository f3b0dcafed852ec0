/*
 * Signals as user programs see them: numbers, flags, codes, and the layouts of struct sigaction,
 * siginfo and stack_t on x86-64. Source: Linux uapi asm/signal.h, asm-generic/siginfo.h.
 */
#ifndef UAPI_LINUX_SIGNAL_H
#define UAPI_LINUX_SIGNAL_H

#include <stdint.h>

#define SIGHUP    1
#define SIGINT    2
#define SIGQUIT   3
#define SIGILL    4
#define SIGTRAP   5
#define SIGABRT   6
#define SIGBUS    7
#define SIGFPE    8
#define SIGKILL   9
#define SIGUSR1   10
#define SIGSEGV   11
#define SIGUSR2   12
#define SIGPIPE   13
#define SIGALRM   14
#define SIGTERM   15
#define SIGSTKFLT 16
#define SIGCHLD   17
#define SIGCONT   18
#define SIGSTOP   19
#define SIGTSTP   20
#define SIGTTIN   21
#define SIGTTOU   22
#define SIGURG    23
#define SIGXCPU   24
#define SIGXFSZ   25
#define SIGVTALRM 26
#define SIGPROF   27
#define SIGWINCH  28
#define SIGIO     29
#define SIGPWR    30
#define SIGSYS    31
#define SIGRTMIN  32
#define SIGRTMAX  64
#define NSIG      64

#define SIG_DFL 0UL
#define SIG_IGN 1UL

#define SA_NOCLDSTOP      0x00000001UL
#define SA_NOCLDWAIT      0x00000002UL
#define SA_SIGINFO        0x00000004UL
#define SA_UNSUPPORTED    0x00000400UL
#define SA_EXPOSE_TAGBITS 0x00000800UL
#define SA_RESTORER       0x04000000UL
#define SA_ONSTACK        0x08000000UL
#define SA_RESTART        0x10000000UL
#define SA_NODEFER        0x40000000UL
#define SA_RESETHAND      0x80000000UL
#define SA_VALID_FLAGS                                                                             \
    (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_EXPOSE_TAGBITS | SA_RESTORER | SA_ONSTACK |     \
     SA_RESTART | SA_NODEFER | SA_RESETHAND)

#define SIG_BLOCK   0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2

#define SS_ONSTACK    1
#define SS_DISABLE    2
#define SS_AUTODISARM (1U << 31)
#define MINSIGSTKSZ   2048

/* si_code of any signal. */
#define SI_USER    0
#define SI_KERNEL  0x80
#define SI_QUEUE   (-1)
#define SI_TIMER   (-2)
#define SI_MESGQ   (-3)
#define SI_ASYNCIO (-4)
#define SI_SIGIO   (-5)
#define SI_TKILL   (-6)

#define ILL_ILLOPC    1
#define ILL_ILLOPN    2
#define ILL_PRVOPC    5
#define FPE_INTDIV    1
#define FPE_INTOVF    2
#define FPE_FLTDIV    3
#define FPE_FLTOVF    4
#define FPE_FLTUND    5
#define FPE_FLTRES    6
#define FPE_FLTINV    7
#define SEGV_MAPERR   1
#define SEGV_ACCERR   2
#define BUS_ADRALN    1
#define BUS_ADRERR    2
#define BUS_OBJERR    3
#define BUS_MCEERR_AR 4
#define TRAP_BRKPT    1
#define TRAP_TRACE    2
#define CLD_EXITED    1
#define CLD_KILLED    2
#define CLD_DUMPED    3
#define CLD_TRAPPED   4
#define CLD_STOPPED   5
#define CLD_CONTINUED 6
#define POLL_IN       1
#define POLL_HUP      6

#define SIGEV_SIGNAL    0
#define SIGEV_NONE      1
#define SIGEV_THREAD    2
#define SIGEV_THREAD_ID 4

union sigval {
    int32_t sival_int;
    uint64_t sival_ptr;
};

/* The 128 bytes of siginfo_t hold data in the first 48 only; the rest reads as zero. */
#define SIGINFO_SIZE 128

/* The part of siginfo_t that carries data. */
struct siginfo {
    int32_t si_signo;
    int32_t si_errno;
    int32_t si_code;
    int32_t si_pad;
    union {
        struct {
            int32_t pid;
            uint32_t uid;
            union sigval value;
        } rt; /* kill, tgkill, rt_sigqueueinfo */
        struct {
            int32_t tid;
            int32_t overrun;
            union sigval value;
            int32_t sys_private;
        } timer;
        struct {
            int32_t pid;
            uint32_t uid;
            int32_t status;
            int32_t pad;
            int64_t utime;
            int64_t stime;
        } chld;
        struct {
            uint64_t addr;
            int16_t addr_lsb;
        } fault;
        struct {
            int64_t band;
            int32_t fd;
        } poll;
        struct {
            uint64_t call_addr;
            int32_t syscall;
            uint32_t arch;
        } sys;
        uint64_t words[4];
    };
};
_Static_assert(sizeof(struct siginfo) == 48, "siginfo: the kernel part is 48 bytes");

/* struct sigaction of the kernel ABI, 32 bytes. */
struct sigaction_abi {
    uint64_t sa_handler;
    uint64_t sa_flags;
    uint64_t sa_restorer;
    uint64_t sa_mask;
};
_Static_assert(sizeof(struct sigaction_abi) == 32, "struct sigaction is 32 bytes");

/* stack_t. */
struct sigaltstack_abi {
    uint64_t ss_sp;
    uint32_t ss_flags;
    uint32_t pad;
    uint64_t ss_size;
};
_Static_assert(sizeof(struct sigaltstack_abi) == 24, "stack_t is 24 bytes");

#endif
