/*
 * The table of system calls: Linux's x86-64 numbers, and Cowbell's own from 1024 on.
 *
 * A number that is not here gives -ENOSYS; a debug build says so once for each. Read next: the
 * sys_*.c file of the subject.
 */
#include <syscall/syscalls.h>

#include <arch/thread.h>
#include <arch/trapframe.h>
#include <lib/bitmap.h>
#include <lib/errno.h>
#include <lib/printk.h>
#include <proc/thread.h>

/* Every function is called with all six argument registers and looks at those it has names for. */
typedef long (*syscall_function)(u64, u64, u64, u64, u64, u64);

struct syscall_entry {
    syscall_function function;
    const char *name;
};

#define CALL(call)                                                                                 \
    {                                                                                              \
        (syscall_function)(void (*)(void)) sys_##call, #call                                       \
    }

static const struct syscall_entry table[] = {
    [0] = CALL(read),
    [1] = CALL(write),
    [2] = CALL(open),
    [3] = CALL(close),
    [4] = CALL(stat),
    [5] = CALL(fstat),
    [6] = CALL(lstat),
    [7] = CALL(poll),
    [8] = CALL(lseek),
    [9] = CALL(mmap),
    [10] = CALL(mprotect),
    [11] = CALL(munmap),
    [12] = CALL(brk),
    [13] = CALL(rt_sigaction),
    [14] = CALL(rt_sigprocmask),
    [15] = CALL(rt_sigreturn),
    [16] = CALL(ioctl),
    [17] = CALL(pread64),
    [18] = CALL(pwrite64),
    [19] = CALL(readv),
    [20] = CALL(writev),
    [21] = CALL(access),
    [22] = CALL(pipe),
    [23] = CALL(select),
    [24] = CALL(sched_yield),
    [25] = CALL(mremap),
    [26] = CALL(msync),
    [27] = CALL(mincore),
    [28] = CALL(madvise),
    [32] = CALL(dup),
    [33] = CALL(dup2),
    [34] = CALL(pause),
    [35] = CALL(nanosleep),
    [36] = CALL(getitimer),
    [37] = CALL(alarm),
    [38] = CALL(setitimer),
    [39] = CALL(getpid),
    [40] = CALL(sendfile),
    [41] = CALL(socket),
    [53] = CALL(socketpair),
    [56] = CALL(clone),
    [57] = CALL(fork),
    [58] = CALL(vfork),
    [59] = CALL(execve),
    [60] = CALL(exit),
    [61] = CALL(wait4),
    [62] = CALL(kill),
    [63] = CALL(uname),
    [72] = CALL(fcntl),
    [73] = CALL(flock),
    [74] = CALL(fsync),
    [75] = CALL(fdatasync),
    [76] = CALL(truncate),
    [77] = CALL(ftruncate),
    [79] = CALL(getcwd),
    [80] = CALL(chdir),
    [81] = CALL(fchdir),
    [82] = CALL(rename),
    [83] = CALL(mkdir),
    [84] = CALL(rmdir),
    [85] = CALL(creat),
    [86] = CALL(link),
    [87] = CALL(unlink),
    [88] = CALL(symlink),
    [89] = CALL(readlink),
    [90] = CALL(chmod),
    [91] = CALL(fchmod),
    [92] = CALL(chown),
    [93] = CALL(fchown),
    [94] = CALL(lchown),
    [95] = CALL(umask),
    [96] = CALL(gettimeofday),
    [97] = CALL(getrlimit),
    [98] = CALL(getrusage),
    [99] = CALL(sysinfo),
    [100] = CALL(times),
    [102] = CALL(getuid),
    [103] = CALL(syslog),
    [104] = CALL(getgid),
    [105] = CALL(setuid),
    [106] = CALL(setgid),
    [107] = CALL(geteuid),
    [108] = CALL(getegid),
    [109] = CALL(setpgid),
    [110] = CALL(getppid),
    [111] = CALL(getpgrp),
    [112] = CALL(setsid),
    [113] = CALL(setreuid),
    [114] = CALL(setregid),
    [115] = CALL(getgroups),
    [116] = CALL(setgroups),
    [117] = CALL(setresuid),
    [118] = CALL(getresuid),
    [119] = CALL(setresgid),
    [120] = CALL(getresgid),
    [121] = CALL(getpgid),
    [122] = CALL(setfsuid),
    [123] = CALL(setfsgid),
    [124] = CALL(getsid),
    [125] = CALL(capget),
    [126] = CALL(capset),
    [127] = CALL(rt_sigpending),
    [128] = CALL(rt_sigtimedwait),
    [129] = CALL(rt_sigqueueinfo),
    [130] = CALL(rt_sigsuspend),
    [131] = CALL(sigaltstack),
    [132] = CALL(utime),
    [133] = CALL(mknod),
    [135] = CALL(personality),
    [137] = CALL(statfs),
    [138] = CALL(fstatfs),
    [140] = CALL(getpriority),
    [141] = CALL(setpriority),
    [142] = CALL(sched_setparam),
    [143] = CALL(sched_getparam),
    [144] = CALL(sched_setscheduler),
    [145] = CALL(sched_getscheduler),
    [146] = CALL(sched_get_priority_max),
    [147] = CALL(sched_get_priority_min),
    [148] = CALL(sched_rr_get_interval),
    [149] = CALL(mlock),
    [150] = CALL(munlock),
    [151] = CALL(mlockall),
    [152] = CALL(munlockall),
    [157] = CALL(prctl),
    [158] = CALL(arch_prctl),
    [160] = CALL(setrlimit),
    [161] = CALL(chroot),
    [162] = CALL(sync),
    [164] = CALL(settimeofday),
    [165] = CALL(mount),
    [166] = CALL(umount2),
    [169] = CALL(reboot),
    [170] = CALL(sethostname),
    [171] = CALL(setdomainname),
    [186] = CALL(gettid),
    [187] = CALL(readahead),
    [200] = CALL(tkill),
    [201] = CALL(time),
    [202] = CALL(futex),
    [203] = CALL(sched_setaffinity),
    [204] = CALL(sched_getaffinity),
    [213] = CALL(epoll_create),
    [217] = CALL(getdents64),
    [218] = CALL(set_tid_address),
    [219] = CALL(restart_syscall),
    [221] = CALL(fadvise64),
    [222] = CALL(timer_create),
    [223] = CALL(timer_settime),
    [224] = CALL(timer_gettime),
    [225] = CALL(timer_getoverrun),
    [226] = CALL(timer_delete),
    [227] = CALL(clock_settime),
    [228] = CALL(clock_gettime),
    [229] = CALL(clock_getres),
    [230] = CALL(clock_nanosleep),
    [231] = CALL(exit_group),
    [232] = CALL(epoll_wait),
    [233] = CALL(epoll_ctl),
    [234] = CALL(tgkill),
    [235] = CALL(utimes),
    [247] = CALL(waitid),
    [257] = CALL(openat),
    [258] = CALL(mkdirat),
    [259] = CALL(mknodat),
    [260] = CALL(fchownat),
    [261] = CALL(futimesat),
    [262] = CALL(newfstatat),
    [263] = CALL(unlinkat),
    [264] = CALL(renameat),
    [265] = CALL(linkat),
    [266] = CALL(symlinkat),
    [267] = CALL(readlinkat),
    [268] = CALL(fchmodat),
    [269] = CALL(faccessat),
    [270] = CALL(pselect6),
    [271] = CALL(ppoll),
    [272] = CALL(unshare),
    [273] = CALL(set_robust_list),
    [274] = CALL(get_robust_list),
    [275] = CALL(splice),
    [276] = CALL(tee),
    [278] = CALL(vmsplice),
    [280] = CALL(utimensat),
    [281] = CALL(epoll_pwait),
    [284] = CALL(eventfd),
    [285] = CALL(fallocate),
    [290] = CALL(eventfd2),
    [291] = CALL(epoll_create1),
    [292] = CALL(dup3),
    [293] = CALL(pipe2),
    [295] = CALL(preadv),
    [296] = CALL(pwritev),
    [297] = CALL(rt_tgsigqueueinfo),
    [302] = CALL(prlimit64),
    [306] = CALL(syncfs),
    [309] = CALL(getcpu),
    [310] = CALL(process_vm_readv),
    [311] = CALL(process_vm_writev),
    [314] = CALL(sched_setattr),
    [315] = CALL(sched_getattr),
    [316] = CALL(renameat2),
    [318] = CALL(getrandom),
    [319] = CALL(memfd_create),
    [322] = CALL(execveat),
    [323] = CALL(userfaultfd),
    [324] = CALL(membarrier),
    [325] = CALL(mlock2),
    [326] = CALL(copy_file_range),
    [327] = CALL(preadv2),
    [328] = CALL(pwritev2),
    [332] = CALL(statx),
    [334] = CALL(rseq),
    [424] = CALL(pidfd_send_signal),
    [434] = CALL(pidfd_open),
    [435] = CALL(clone3),
    [436] = CALL(close_range),
    [437] = CALL(openat2),
    [439] = CALL(faccessat2),
    [440] = CALL(process_madvise),
    [441] = CALL(epoll_pwait2),
    [452] = CALL(fchmodat2),
    [462] = CALL(mseal),
    [1024] = CALL(port_create),
    [1025] = CALL(msg_receive),
    [1026] = CALL(msg_read),
    [1027] = CALL(msg_write),
    [1028] = CALL(msg_reply),
    [1029] = CALL(conn_create),
    [1030] = CALL(conn_notify),
    [1031] = CALL(msg_call),
    [1032] = CALL(msg_copy_fd),
    [1033] = CALL(root_set),
    [1034] = CALL(kinfo),
    [1035] = CALL(session_tty),
    [1036] = CALL(conn_cookie),
    [1037] = CALL(kernel_file),
    [1038] = CALL(pager_create),
    [1039] = CALL(leave_tty),
};

#define NR_UNKNOWN_LOGGED 1024

static COLD void report_unknown(u64 nr)
{
    static BITMAP(reported, NR_UNKNOWN_LOGGED);

    if (DEBUG_ENABLED && nr < NR_UNKNOWN_LOGGED && !bitmap_test(reported, nr)) {
        bitmap_set(reported, nr);
        printk("system call %lu is not implemented (%s)\n", nr, current_thread()->comm);
    }
}

/* Is @result one of the errors that ask for the signal code to decide about a restart? */
static ALWAYS_INLINE bool is_restart(long result)
{
    return (u64)(-result) - ERESTARTSYS <= ERESTART_RESTARTBLOCK - ERESTARTSYS;
}

void syscall_dispatch(struct trapframe *frame)
{
    u64 nr = (u32)tf_syscall_nr(frame);

    if (unlikely(nr >= ARRAY_SIZE(table) || table[nr].function == NULL)) {
        report_unknown(nr);
        tf_set_result(frame, -ENOSYS);
        return;
    }
    long result = table[nr].function(tf_arg(frame, 0), tf_arg(frame, 1), tf_arg(frame, 2),
                                     tf_arg(frame, 3), tf_arg(frame, 4), tf_arg(frame, 5));

    tf_set_result(frame, result);
    if (unlikely(is_restart(result))) {
        /* The signal that was the reason may be gone; the error must not reach the program. */
        arch_thread_work_set(&current_thread()->arch, THREAD_WORK_SIGNAL);
    }
}

const char *syscall_name(u64 nr)
{
    return nr < ARRAY_SIZE(table) ? table[nr].name : NULL;
}
