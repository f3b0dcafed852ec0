/*
 * The entry functions of the system calls, one section a subject. A function gets the user's
 * registers as typed words and returns the result or a negative error; narrow parameter types
 * (s32, u32) take the low half of their register as Linux does.
 */
#ifndef SYSCALL_SYSCALLS_H
#define SYSCALL_SYSCALLS_H

#include <lib/types.h>

struct trapframe;

/**
 * syscall_dispatch() - run the call that the user registers ask for and store its result.
 * Context: current thread, interrupts on.
 */
void syscall_dispatch(struct trapframe *frame);

/** syscall_name() - "openat" and so on; NULL for a number that nobody implements. */
const char *syscall_name(u64 nr);

/* Processes: sys_proc.c */
long sys_fork(void);
long sys_vfork(void);
long sys_clone(u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls);
long sys_clone3(u64 args, u64 size);
long sys_execve(u64 path, u64 argv, u64 envp);
long sys_execveat(s32 dirfd, u64 path, u64 argv, u64 envp, s32 flags);
long sys_exit(s32 code);
long sys_exit_group(s32 code);
long sys_wait4(s32 pid, u64 status, s32 options, u64 rusage);
long sys_waitid(s32 which, s32 pid, u64 info, s32 options, u64 rusage);
long sys_getpid(void);
long sys_getppid(void);
long sys_gettid(void);
long sys_set_tid_address(u64 address);
long sys_setpgid(s32 pid, s32 pgid);
long sys_getpgid(s32 pid);
long sys_getpgrp(void);
long sys_setsid(void);
long sys_getsid(s32 pid);
long sys_unshare(u64 flags);
long sys_prlimit64(s32 pid, u32 which, u64 new_limit, u64 old_limit);
long sys_getrlimit(u32 which, u64 limit);
long sys_setrlimit(u32 which, u64 limit);
long sys_umask(u32 mask);

/* Signals: sys_signal.c */
long sys_kill(s32 pid, s32 signal);
long sys_tkill(s32 tid, s32 signal);
long sys_tgkill(s32 tgid, s32 tid, s32 signal);
long sys_rt_sigaction(s32 signal, u64 action, u64 old_action, u64 size);
long sys_rt_sigprocmask(s32 how, u64 set, u64 old_set, u64 size);
long sys_rt_sigpending(u64 set, u64 size);
long sys_rt_sigsuspend(u64 set, u64 size);
long sys_rt_sigtimedwait(u64 set, u64 info, u64 timeout, u64 size);
long sys_rt_sigqueueinfo(s32 pid, s32 signal, u64 info);
long sys_rt_tgsigqueueinfo(s32 tgid, s32 tid, s32 signal, u64 info);
long sys_rt_sigreturn(void);
long sys_sigaltstack(u64 stack, u64 old_stack);
long sys_pause(void);
long sys_restart_syscall(void);

/* Identity: sys_cred.c */
long sys_getuid(void);
long sys_geteuid(void);
long sys_getgid(void);
long sys_getegid(void);
long sys_setuid(u32 uid);
long sys_setgid(u32 gid);
long sys_setreuid(u32 ruid, u32 euid);
long sys_setregid(u32 rgid, u32 egid);
long sys_setresuid(u32 ruid, u32 euid, u32 suid);
long sys_setresgid(u32 rgid, u32 egid, u32 sgid);
long sys_getresuid(u64 ruid, u64 euid, u64 suid);
long sys_getresgid(u64 rgid, u64 egid, u64 sgid);
long sys_setfsuid(u32 uid);
long sys_setfsgid(u32 gid);
long sys_getgroups(s32 count, u64 list);
long sys_setgroups(s32 count, u64 list);
long sys_capget(u64 header, u64 data);
long sys_capset(u64 header, u64 data);

/* The system as a whole: sys_misc.c */
long sys_uname(u64 buffer);
long sys_sysinfo(u64 buffer);
long sys_getrandom(u64 buffer, u64 length, u32 flags);
long sys_prctl(s32 option, u64 arg2, u64 arg3, u64 arg4, u64 arg5);
long sys_arch_prctl(s32 option, u64 address);
long sys_reboot(u32 magic1, u32 magic2, u32 command, u64 argument);
long sys_syslog(s32 type, u64 buffer, s32 length);
long sys_personality(u32 persona);
long sys_sethostname(u64 name, s32 length);
long sys_setdomainname(u64 name, s32 length);

/* Memory: sys_mm.c */
long sys_mmap(u64 addr, u64 len, u64 prot, u64 flags, u64 fd, u64 offset);
long sys_munmap(u64 addr, u64 len);
long sys_mprotect(u64 addr, u64 len, u64 prot);
long sys_brk(u64 brk);
long sys_mremap(u64 addr, u64 old_len, u64 new_len, u64 flags, u64 new_addr);
long sys_madvise(u64 addr, u64 len, s32 advice);
long sys_msync(u64 addr, u64 len, s32 flags);
long sys_mincore(u64 addr, u64 len, u64 vec);
long sys_mseal(u64 addr, u64 len, u64 flags);
long sys_mlock(u64 addr, u64 len);
long sys_mlock2(u64 addr, u64 len, s32 flags);
long sys_munlock(u64 addr, u64 len);
long sys_mlockall(s32 flags);
long sys_munlockall(void);

/* The memory of other processes: sys_process_vm.c */
long sys_process_vm_readv(s32 pid, u64 near, u64 nr_near, u64 remote, u64 nr_remote, u64 flags);
long sys_process_vm_writev(s32 pid, u64 near, u64 nr_near, u64 remote, u64 nr_remote, u64 flags);
long sys_process_madvise(s32 pidfd, u64 iov, u64 nr, s32 advice, u32 flags);

/* pidfds: sys_pidfd.c */
long sys_pidfd_open(s32 pid, u32 flags);
long sys_pidfd_send_signal(s32 pidfd, s32 signal, u64 info, u32 flags);

/* Clocks and timers: sys_time.c, sys_itimer.c */
long sys_time(u64 result);
long sys_gettimeofday(u64 tv, u64 tz);
long sys_settimeofday(u64 tv, u64 tz);
long sys_clock_gettime(s32 clock, u64 result);
long sys_clock_settime(s32 clock, u64 time);
long sys_clock_getres(s32 clock, u64 result);
long sys_nanosleep(u64 request, u64 remaining);
long sys_clock_nanosleep(s32 clock, s32 flags, u64 request, u64 remaining);
long sys_times(u64 buffer);
long sys_getrusage(s32 who, u64 usage);
long sys_alarm(u32 seconds);
long sys_getitimer(s32 which, u64 value);
long sys_setitimer(s32 which, u64 value, u64 old_value);
long sys_timer_create(s32 clock, u64 event, u64 id);
long sys_timer_settime(s32 id, s32 flags, u64 value, u64 old_value);
long sys_timer_gettime(s32 id, u64 value);
long sys_timer_getoverrun(s32 id);
long sys_timer_delete(s32 id);

/* Scheduling: sys_sched.c */
long sys_sched_yield(void);
long sys_sched_setparam(s32 pid, u64 param);
long sys_sched_getparam(s32 pid, u64 param);
long sys_sched_setscheduler(s32 pid, s32 policy, u64 param);
long sys_sched_getscheduler(s32 pid);
long sys_sched_get_priority_max(s32 policy);
long sys_sched_get_priority_min(s32 policy);
long sys_sched_rr_get_interval(s32 pid, u64 interval);
long sys_sched_setaffinity(s32 pid, u32 size, u64 mask);
long sys_sched_getaffinity(s32 pid, u32 size, u64 mask);
long sys_sched_setattr(s32 pid, u64 attr, u32 flags);
long sys_sched_getattr(s32 pid, u64 attr, u32 size, u32 flags);
long sys_getpriority(s32 which, s32 who);
long sys_setpriority(s32 which, s32 who, s32 nice);
long sys_getcpu(u64 cpu, u64 node, u64 unused);
long sys_membarrier(s32 command, u32 flags, s32 cpu);
long sys_rseq(u64 area, u32 size, s32 flags, u32 signature);

/* Futexes: sys_futex.c */
long sys_futex(u64 uaddr, s32 op, u32 value, u64 timeout, u64 uaddr2, u32 value3);
long sys_set_robust_list(u64 head, u64 size);
long sys_get_robust_list(s32 pid, u64 head, u64 size);

/* Reading and writing: sys_rw.c, sys_copy.c, sys_splice.c */
long sys_read(s32 fd, u64 buf, u64 len);
long sys_write(s32 fd, u64 buf, u64 len);
long sys_readv(s32 fd, u64 iov, u64 nr);
long sys_writev(s32 fd, u64 iov, u64 nr);
long sys_pread64(s32 fd, u64 buf, u64 len, s64 pos);
long sys_pwrite64(s32 fd, u64 buf, u64 len, s64 pos);
long sys_preadv(s32 fd, u64 iov, u64 nr, u64 pos_low, u64 pos_high);
long sys_pwritev(s32 fd, u64 iov, u64 nr, u64 pos_low, u64 pos_high);
long sys_preadv2(s32 fd, u64 iov, u64 nr, u64 pos_low, u64 pos_high, s32 flags);
long sys_pwritev2(s32 fd, u64 iov, u64 nr, u64 pos_low, u64 pos_high, s32 flags);
long sys_lseek(s32 fd, s64 offset, u32 whence);
long sys_sendfile(s32 out_fd, s32 in_fd, u64 offset, u64 count);
long sys_copy_file_range(s32 in_fd, u64 in_off, s32 out_fd, u64 out_off, u64 len, u32 flags);
long sys_splice(s32 in_fd, u64 in_off, s32 out_fd, u64 out_off, u64 len, u32 flags);
long sys_tee(s32 in_fd, s32 out_fd, u64 len, u32 flags);
long sys_vmsplice(s32 fd, u64 iov, u64 nr, u32 flags);

/* Open files: sys_file.c */
long sys_ioctl(s32 fd, u32 cmd, u64 arg);
long sys_fstat(s32 fd, u64 stat);
long sys_fstatfs(s32 fd, u64 statfs);
long sys_getdents64(s32 fd, u64 buf, u32 len);
long sys_ftruncate(s32 fd, s64 size);
long sys_fallocate(s32 fd, s32 mode, s64 offset, s64 len);
long sys_fsync(s32 fd);
long sys_fdatasync(s32 fd);
long sys_syncfs(s32 fd);
long sys_sync(void);
long sys_fchmod(s32 fd, u32 mode);
long sys_fchown(s32 fd, u32 uid, u32 gid);
long sys_fadvise64(s32 fd, s64 offset, u64 len, s32 advice);
long sys_readahead(s32 fd, s64 offset, u64 len);
long sys_flock(s32 fd, u32 operation);

/* Descriptors: sys_fd.c */
long sys_close(s32 fd);
long sys_close_range(u32 first, u32 last, u32 flags);
long sys_dup(s32 fd);
long sys_dup2(s32 old_fd, s32 new_fd);
long sys_dup3(s32 old_fd, s32 new_fd, u32 flags);
long sys_fcntl(s32 fd, u32 cmd, u64 arg);
long sys_pipe(u64 fds);
long sys_pipe2(u64 fds, u32 flags);
long sys_eventfd(u32 initial);
long sys_eventfd2(u32 initial, u32 flags);
long sys_userfaultfd(u32 flags);
long sys_memfd_create(u64 name, u32 flags);
long sys_socket(s32 family, s32 type, s32 protocol);
long sys_socketpair(s32 family, s32 type, s32 protocol, u64 fds);

/* Path names: sys_path.c, sys_path_attr.c */
long sys_open(u64 path, u32 flags, u32 mode);
long sys_openat(s32 dirfd, u64 path, u32 flags, u32 mode);
long sys_openat2(s32 dirfd, u64 path, u64 how, u64 size);
long sys_creat(u64 path, u32 mode);
long sys_mkdir(u64 path, u32 mode);
long sys_mkdirat(s32 dirfd, u64 path, u32 mode);
long sys_mknod(u64 path, u32 mode, u32 dev);
long sys_mknodat(s32 dirfd, u64 path, u32 mode, u32 dev);
long sys_rmdir(u64 path);
long sys_unlink(u64 path);
long sys_unlinkat(s32 dirfd, u64 path, u32 flags);
long sys_rename(u64 old_path, u64 new_path);
long sys_renameat(s32 old_dirfd, u64 old_path, s32 new_dirfd, u64 new_path);
long sys_renameat2(s32 old_dirfd, u64 old_path, s32 new_dirfd, u64 new_path, u32 flags);
long sys_link(u64 old_path, u64 new_path);
long sys_linkat(s32 old_dirfd, u64 old_path, s32 new_dirfd, u64 new_path, u32 flags);
long sys_symlink(u64 target, u64 path);
long sys_symlinkat(u64 target, s32 dirfd, u64 path);
long sys_chmod(u64 path, u32 mode);
long sys_fchmodat(s32 dirfd, u64 path, u32 mode);
long sys_fchmodat2(s32 dirfd, u64 path, u32 mode, u32 flags);
long sys_chown(u64 path, u32 uid, u32 gid);
long sys_lchown(u64 path, u32 uid, u32 gid);
long sys_fchownat(s32 dirfd, u64 path, u32 uid, u32 gid, u32 flags);
long sys_truncate(u64 path, s64 size);
long sys_chdir(u64 path);
long sys_fchdir(s32 fd);
long sys_chroot(u64 path);
long sys_getcwd(u64 buf, u64 size);
long sys_mount(u64 source, u64 target, u64 type, u64 flags, u64 data);
long sys_umount2(u64 target, u32 flags);
long sys_stat(u64 path, u64 stat);
long sys_lstat(u64 path, u64 stat);
long sys_newfstatat(s32 dirfd, u64 path, u64 stat, u32 flags);
long sys_statx(s32 dirfd, u64 path, u32 flags, u32 mask, u64 statx);
long sys_statfs(u64 path, u64 statfs);
long sys_access(u64 path, u32 mode);
long sys_faccessat(s32 dirfd, u64 path, u32 mode);
long sys_faccessat2(s32 dirfd, u64 path, u32 mode, u32 flags);
long sys_readlink(u64 path, u64 buf, s32 size);
long sys_readlinkat(s32 dirfd, u64 path, u64 buf, s32 size);
long sys_utime(u64 path, u64 times);
long sys_utimes(u64 path, u64 times);
long sys_futimesat(s32 dirfd, u64 path, u64 times);
long sys_utimensat(s32 dirfd, u64 path, u64 times, u32 flags);

/* Waiting for files: sys_poll.c, sys_select.c, sys_epoll.c */
long sys_poll(u64 fds, u32 nr_fds, s32 timeout_ms);
long sys_ppoll(u64 fds, u32 nr_fds, u64 timeout, u64 mask, u64 mask_size);
long sys_select(s32 nr_fds, u64 in, u64 out, u64 except, u64 timeout);
long sys_pselect6(s32 nr_fds, u64 in, u64 out, u64 except, u64 timeout, u64 mask);
long sys_epoll_create(s32 size);
long sys_epoll_create1(u32 flags);
long sys_epoll_ctl(s32 epoll_fd, u32 op, s32 fd, u64 event);
long sys_epoll_wait(s32 epoll_fd, u64 events, s32 max, s32 timeout_ms);
long sys_epoll_pwait(s32 epoll_fd, u64 events, s32 max, s32 timeout_ms, u64 mask, u64 mask_size);
long sys_epoll_pwait2(s32 epoll_fd, u64 events, s32 max, u64 timeout, u64 mask, u64 mask_size);

/* Cowbell's own: sys_msg.c, sys_info.c */
long sys_port_create(u32 flags);
long sys_msg_receive(s32 port_fd, u64 buf, u64 size, u64 timeout_ns);
long sys_msg_read(s32 port_fd, u64 id, u64 offset, u64 buf, u64 len);
long sys_msg_write(s32 port_fd, u64 id, u64 offset, u64 buf, u64 len);
long sys_msg_reply(s32 port_fd, u64 user_reply);
long sys_conn_create(s32 port_fd, u64 cookie, u32 conn_flags);
long sys_conn_notify(s32 port_fd, u64 cookie, u32 poll_mask);
long sys_msg_call(s32 conn_fd, u64 user_call);
long sys_msg_copy_fd(s32 port_fd, u64 user_copy);
long sys_root_set(s32 conn_fd);
long sys_kinfo(u32 kind, s32 pid, u64 buf, u64 len);
long sys_session_tty(s32 sid, s32 fg_pgid, u32 tty_nr);
long sys_conn_cookie(s32 port_fd, s32 conn_fd, u64 cookie_out);
long sys_kernel_file(u32 kind, s32 pid, u32 flags);
long sys_pager_create(s32 port_fd, u64 user_pager);
long sys_leave_tty(s32 pid);

#endif
