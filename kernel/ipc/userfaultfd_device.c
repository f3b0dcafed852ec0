/*
 * /dev/userfaultfd, which gives whoever may open it what userfaultfd(2) gives the privileged, and
 * the file behind vm.unprivileged_userfaultfd. Read next: userfaultfd_file.c.
 */
#include <ipc/userfaultfd_file.h>

#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <lib/errno.h>
#include <mm/uffd.h>
#include <proc/cred.h>
#include <proc/thread.h>
#include <syscall/syscalls.h>
#include <uapi/cowbell.h>
#include <uapi/linux/userfaultfd.h>

static const struct file_ops device_ops;
static const struct file_ops sysctl_ops;

static s64 install_new(u32 flags)
{
    struct file *file;
    int error = userfaultfd_create(flags, &file);
    s64 fd;

    if (error != 0) {
        return error;
    }
    fd = fd_install(file, flags & O_CLOEXEC ? FD_CLOSE_ON_EXEC : FD_PLAIN);
    if (fd < 0) {
        file_put(file);
    }
    return fd;
}

long sys_userfaultfd(u32 flags)
{
    /* A2. Who does not handle faults of the kernel cannot stop it halfway. */
    if (!(flags & UFFD_USER_MODE_ONLY) && !uffd_unprivileged && !has_capability(CAP_SYS_PTRACE)) {
        return -EPERM;
    }
    return install_new(flags);
}

/* --- /dev/userfaultfd ------------------------------------------------------------------------- */

int userfaultfd_device_open(s32 pid, u32 flags, struct file **out)
{
    return pid != 0 ? -EINVAL : file_alloc(&device_ops, flags, 0, NULL, out);
}

static s64 device_ioctl(struct file *file, u32 cmd, u64 arg)
{
    return cmd == USERFAULTFD_IOC_NEW ? install_new((u32)arg) : -EINVAL;
}

static void release_nothing(struct file *file)
{
}

static const struct file_ops device_ops = {
    .kind = CB_FD_OTHER,
    .ioctl = device_ioctl,
    .release = release_nothing,
};

/* --- vm.unprivileged_userfaultfd ---------------------------------------------------------------
 */

int userfaultfd_sysctl_open(s32 pid, u32 flags, struct file **out)
{
    return pid != 0 ? -EINVAL : file_alloc(&sysctl_ops, flags, FILE_SEEKABLE, NULL, out);
}

static s64 sysctl_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    char digit = uffd_unprivileged ? '1' : '0';
    s64 done;

    if (*pos != 0) {
        return 0;
    }
    done = (s64)iov_copy_to(iter, &digit, min(iov_count(iter), sizeof(digit)));
    *pos += done;
    return done;
}

static s64 sysctl_write(struct file *file, struct iov_iter *iter, s64 *pos)
{
    size_t len = iov_count(iter);
    char digit;

    if (iov_copy_from(iter, &digit, sizeof(digit)) != sizeof(digit)) {
        return -EFAULT;
    }
    if (digit != '0' && digit != '1') {
        return -EINVAL;
    }
    WRITE_ONCE(uffd_unprivileged, digit == '1');
    return (s64)len;
}

static const struct file_ops sysctl_ops = {
    .kind = CB_FD_OTHER,
    .read = sysctl_read,
    .write = sysctl_write,
    .release = release_nothing,
};
