/*
 * System calls about processes: making, replacing, ending, waiting, groups, limits.
 *
 * Each translates and checks its arguments; the work is kernel/proc's.
 */
#include <syscall/syscalls.h>

#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/fs_context.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/mm.h>
#include <mm/usercopy.h>
#include <proc/exec.h>
#include <proc/pidfd.h>
#include <proc/process.h>
#include <proc/process_internal.h>
#include <proc/thread.h>
#include <uapi/linux/fcntl.h>
#include <uapi/linux/sched.h>
#include <uapi/linux/wait.h>

/* --- making ---------------------------------------------------------------------------------- */

static long clone_call(const struct clone_request *request)
{
    s32 pid;
    int error = process_clone(request, &pid);

    return error != 0 ? error : pid;
}

long sys_fork(void)
{
    const struct clone_request request = {.exit_signal = SIGCHLD};

    return clone_call(&request);
}

long sys_vfork(void)
{
    const struct clone_request request = {.flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD};

    return clone_call(&request);
}

long sys_clone(u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls)
{
    struct clone_request request = {
        .flags = (u32)flags & ~CSIGNAL,
        .exit_signal = (s32)(flags & CSIGNAL),
        .stack = stack,
        .parent_tid = parent_tid,
        .child_tid = child_tid,
        .pidfd = parent_tid,
        .tls = tls,
    };

    /* The old call has one word for both results. */
    if ((flags & CLONE_PIDFD) != 0 && (flags & CLONE_PARENT_SETTID) != 0) {
        return -EINVAL;
    }
    if (request.exit_signal > NSIG) {
        return -EINVAL;
    }
    return clone_call(&request);
}

/* Copies a structure that may be longer than the kernel's, if the rest of it is zero. */
static int copy_clone_args(struct clone_args *args, u64 user, u64 size)
{
    memset(args, 0, sizeof(*args));
    if (size < CLONE_ARGS_SIZE_VER0) {
        return -EINVAL;
    }
    if (size > PAGE_SIZE) {
        return -E2BIG;
    }
    for (u64 at = sizeof(*args); at < size; at++) {
        u8 byte;

        if (get_user_u8(&byte, user + at) != 0) {
            return -EFAULT;
        }
        if (byte != 0) {
            return -E2BIG;
        }
    }
    return copy_from_user(args, user, min(size, (u64)sizeof(*args)));
}

static int check_clone_args(const struct clone_args *args)
{
    const u64 known = 0xffffffffUL | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP;

    if ((args->flags & ~known) != 0 || (args->flags & (CLONE_DETACHED | CSIGNAL)) != 0) {
        return -EINVAL;
    }
    if (args->exit_signal > NSIG || args->set_tid != 0 || args->set_tid_size != 0) {
        return -EINVAL;
    }
    if ((args->flags & (CLONE_THREAD | CLONE_PARENT)) != 0 && args->exit_signal != 0) {
        return -EINVAL;
    }
    if ((args->stack == 0) != (args->stack_size == 0)) {
        return -EINVAL;
    }
    if (args->stack != 0 && !user_access_ok(args->stack, args->stack_size)) {
        return -EINVAL;
    }
    return 0;
}

long sys_clone3(u64 user_args, u64 size)
{
    struct clone_args args;
    int error = copy_clone_args(&args, user_args, size);

    if (error == 0) {
        error = check_clone_args(&args);
    }
    if (error != 0) {
        return error;
    }
    struct clone_request request = {
        .flags = args.flags,
        .exit_signal = (s32)args.exit_signal,
        .stack = args.stack + args.stack_size,
        .tls = args.tls,
        .parent_tid = args.parent_tid,
        .child_tid = args.child_tid,
        .pidfd = args.pidfd,
    };

    return clone_call(&request);
}

/* A process whose files or directories another process shares gets its own. */
static long unshare_files(struct process *self)
{
    struct files *own;

    if (!files_is_shared(self->files)) {
        return 0;
    }
    int error = files_fork(self->files, &own);

    if (error != 0) {
        return error;
    }
    struct files *shared = self->files;

    spin_lock(&process_tree_lock);
    self->files = own;
    spin_unlock(&process_tree_lock);
    files_put(shared);
    return 0;
}

static long unshare_fs(struct process *self)
{
    struct fs_context *own;

    if (refcount_read(&self->fs->refs) == 1) {
        return 0;
    }
    int error = fs_context_fork(self->fs, &own);

    if (error != 0) {
        return error;
    }
    struct fs_context *shared = self->fs;

    spin_lock(&process_tree_lock);
    self->fs = own;
    spin_unlock(&process_tree_lock);
    fs_context_put(shared);
    return 0;
}

long sys_unshare(u64 flags)
{
    struct process *self = current_process();
    const u64 per_process = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    long result = 0;

    if ((flags & ~(u64)(per_process | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM)) != 0) {
        return -EINVAL;
    }
    /* Threads of one process always share everything. */
    if (flags != 0 && READ_ONCE(self->nr_threads) > 1) {
        return -EINVAL;
    }
    if ((flags & per_process) != 0 &&
        (sighand_is_shared(self->sighand) || refcount_read(&self->mm->users) > 1)) {
        return -EINVAL;
    }
    if ((flags & CLONE_FS) != 0) {
        result = unshare_fs(self);
    }
    if (result == 0 && (flags & CLONE_FILES) != 0) {
        result = unshare_files(self);
    }
    return result;
}

/* --- replacing and ending -------------------------------------------------------------------- */

long sys_execve(u64 path, u64 argv, u64 envp)
{
    return exec_user(AT_FDCWD, path, argv, envp, 0);
}

long sys_execveat(s32 dirfd, u64 path, u64 argv, u64 envp, s32 flags)
{
    return exec_user(dirfd, path, argv, envp, (u32)flags);
}

long sys_exit(s32 code)
{
    thread_exit_current(WAIT_STATUS_EXIT(code));
}

long sys_exit_group(s32 code)
{
    process_exit_group(WAIT_STATUS_EXIT(code));
}

/* --- waiting --------------------------------------------------------------------------------- */

static int put_rusage(u64 to, const struct wait_result *result)
{
    struct rusage rusage;

    if (to == 0) {
        return 0;
    }
    process_usage_to_rusage(&result->usage, &rusage);
    return copy_to_user(to, &rusage, sizeof(rusage));
}

long sys_wait4(s32 pid, u64 status, s32 options, u64 rusage)
{
    const u32 known = WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
    struct wait_request request = {.which = P_ALL, .options = (u32)options | WEXITED};
    struct wait_result result;

    if (((u32)options & ~known) != 0) {
        return -EINVAL;
    }
    if (pid == S32_MIN) {
        return -ESRCH;
    }
    if (pid > 0) {
        request.which = P_PID;
        request.id = pid;
    } else if (pid != -1) {
        request.which = P_PGID;
        request.id = pid == 0 ? process_pgid(current_process()) : -pid;
    }
    int error = process_wait(&request, &result);

    if (error != 0 || result.pid == 0) {
        return error;
    }
    if (status != 0 && put_user_u32(status, (u32)result.status) != 0) {
        return -EFAULT;
    }
    return put_rusage(rusage, &result) != 0 ? -EFAULT : result.pid;
}

static int waitid_target(s32 which, s32 id, struct wait_request *request)
{
    struct file *file;

    request->which = (u32)which;
    request->id = id;
    switch (which) {
    case P_ALL:
        return 0;
    case P_PID:
        return id > 0 ? 0 : -EINVAL;
    case P_PGID:
        if (id == 0) {
            request->id = process_pgid(current_process());
        }
        return id >= 0 ? 0 : -EINVAL;
    case P_PIDFD:
        if (id < 0) {
            return -EINVAL;
        }
        if (fd_get(id, &file) != 0) {
            return -EBADF;
        }
        struct process *process = pidfd_process(file);

        request->which = P_PID;
        request->id = process != NULL ? process->pid : 0;
        if (file_is_nonblock(file)) {
            request->options |= WNOHANG;
        }
        file_put(file);
        return process != NULL ? 0 : -EBADF;
    default:
        return -EINVAL;
    }
}

static int put_waitid_info(u64 to, const struct wait_result *result)
{
    struct siginfo info = {0};

    if (to == 0) {
        return 0;
    }
    if (result->pid != 0) {
        info.si_signo = SIGCHLD;
        info.si_code = result->code;
        info.chld.pid = result->pid;
        info.chld.uid = result->uid;
        if (result->code == CLD_EXITED || result->code == CLD_STOPPED) {
            info.chld.status = (result->status >> 8) & 0xff;
        } else {
            info.chld.status = result->code == CLD_KILLED ? result->status & 0x7f : SIGCONT;
        }
    }
    /* The words up to si_status and no further, as in Linux. */
    return copy_to_user(to, &info, offsetof(struct siginfo, chld.status) + sizeof(s32));
}

long sys_waitid(s32 which, s32 id, u64 info, s32 options, u64 rusage)
{
    const u32 states = WEXITED | WSTOPPED | WCONTINUED;
    const u32 known = states | WNOHANG | WNOWAIT | __WNOTHREAD | __WCLONE | __WALL;
    struct wait_request request = {.options = (u32)options};
    struct wait_result result;

    if (((u32)options & ~known) != 0 || ((u32)options & states) == 0) {
        return -EINVAL;
    }
    int error = waitid_target(which, id, &request);

    if (error == 0) {
        error = process_wait(&request, &result);
    }
    if (error != 0) {
        return error;
    }
    if (result.pid == 0 && (request.options & ~(u32)options & WNOHANG) != 0) {
        return -EAGAIN; /* the pidfd, not the caller, asked not to block */
    }
    if (result.pid != 0 && put_rusage(rusage, &result) != 0) {
        return -EFAULT;
    }
    return put_waitid_info(info, &result);
}

/* --- who am I -------------------------------------------------------------------------------- */

long sys_getpid(void)
{
    return current_process()->pid;
}

long sys_getppid(void)
{
    return READ_ONCE(current_process()->parent_pid);
}

long sys_gettid(void)
{
    return current_thread()->tid;
}

long sys_set_tid_address(u64 address)
{
    current_thread()->clear_child_tid = address;
    return current_thread()->tid;
}

/* --- groups and sessions --------------------------------------------------------------------- */

long sys_setpgid(s32 pid, s32 pgid)
{
    return process_set_group(pid, pgid);
}

long sys_getpgid(s32 pid)
{
    if (pid == 0) {
        return process_pgid(current_process());
    }
    struct process *process = process_find_get(pid);

    if (process == NULL) {
        return -ESRCH;
    }
    s32 pgid = process_pgid(process);

    process_put(process);
    return pgid;
}

long sys_getpgrp(void)
{
    return process_pgid(current_process());
}

long sys_setsid(void)
{
    return session_create();
}

long sys_getsid(s32 pid)
{
    if (pid == 0) {
        return process_sid(current_process());
    }
    struct process *process = process_find_get(pid);

    if (process == NULL) {
        return -ESRCH;
    }
    s32 sid = process_sid(process);

    process_put(process);
    return sid;
}

/* --- limits ---------------------------------------------------------------------------------- */

static bool may_change_limits(const struct process *process)
{
    const struct cred *from = &current_process()->cred;
    const struct cred *to = &process->cred;

    if (process == current_process() || has_capability(CAP_SYS_RESOURCE)) {
        return true;
    }
    return from->uid == to->uid && from->uid == to->euid && from->uid == to->suid &&
           from->gid == to->gid && from->gid == to->egid && from->gid == to->sgid;
}

long sys_prlimit64(s32 pid, u32 which, u64 new_limit, u64 old_limit)
{
    struct rlimit new, old;

    if (which >= RLIM_NLIMITS) {
        return -EINVAL;
    }
    if (new_limit != 0 && copy_from_user(&new, new_limit, sizeof(new)) != 0) {
        return -EFAULT;
    }
    struct process *process = process_find_get(pid == 0 ? current_process()->pid : pid);

    if (process == NULL) {
        return -ESRCH;
    }
    int error = -EPERM;

    if (may_change_limits(process)) {
        error = rlimit_change(process, which, new_limit != 0 ? &new : NULL, &old);
    }
    process_put(process);
    if (error == 0 && old_limit != 0) {
        error = copy_to_user(old_limit, &old, sizeof(old));
    }
    return error;
}

long sys_getrlimit(u32 which, u64 limit)
{
    struct rlimit old;

    if (which >= RLIM_NLIMITS) {
        return -EINVAL;
    }
    int error = rlimit_change(current_process(), which, NULL, &old);

    return error != 0 ? error : copy_to_user(limit, &old, sizeof(old));
}

long sys_setrlimit(u32 which, u64 limit)
{
    struct rlimit new;

    if (copy_from_user(&new, limit, sizeof(new)) != 0) {
        return -EFAULT;
    }
    return which < RLIM_NLIMITS ? rlimit_change(current_process(), which, &new, NULL) : -EINVAL;
}

long sys_umask(u32 mask)
{
    return fs_exchange_umask(current_process()->fs, mask & 0777);
}
