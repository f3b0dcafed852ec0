/* System calls about pidfds. */
#include <syscall/syscalls.h>

#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <lib/errno.h>
#include <mm/usercopy.h>
#include <proc/pidfd.h>
#include <proc/process.h>
#include <proc/signal.h>
#include <proc/thread.h>

long sys_pidfd_open(s32 pid, u32 flags)
{
    struct file *file;

    if (pid <= 0 || (flags & ~(u32)O_NONBLOCK) != 0) {
        return -EINVAL;
    }
    struct process *process = process_find_get(pid);

    if (process == NULL) {
        return -ESRCH;
    }
    s64 result = pidfd_create(process, O_RDWR | flags, &file);

    process_put(process);
    if (result != 0) {
        return result;
    }
    result = fd_install(file, FD_CLOSE_ON_EXEC);
    if (result < 0) {
        file_put(file);
    }
    return result;
}

static long pidfd_send(struct process *process, s32 signal, u64 user_info)
{
    const struct process *self = current_process();
    struct siginfo info = {.si_code = SI_USER, .rt = {.pid = self->pid, .uid = self->cred.uid}};

    if (user_info != 0) {
        if (copy_from_user(&info, user_info, sizeof(info)) != 0) {
            return -EFAULT;
        }
        if (info.si_signo != signal) {
            return -EINVAL;
        }
        if (process != self && (info.si_code >= 0 || info.si_code == SI_TKILL)) {
            return -EPERM;
        }
    }
    if (signal < 0 || signal > NSIG) {
        return -EINVAL;
    }
    if (READ_ONCE(process->state) == PROCESS_DEAD) {
        return -ESRCH;
    }
    if (!cred_may_signal(process, signal)) {
        return -EPERM;
    }
    return signal != 0 ? signal_send_process(process, signal, &info) : 0;
}

long sys_pidfd_send_signal(s32 pidfd, s32 signal, u64 info, u32 flags)
{
    struct fd_ref ref;

    if (flags != 0) {
        return -EINVAL;
    }
    if (fd_borrow(pidfd, &ref) != 0) {
        return -EBADF;
    }
    struct process *process = pidfd_process(ref.file);
    long result = process != NULL ? pidfd_send(process, signal, info) : -EBADF;

    fd_return(&ref);
    return result;
}
