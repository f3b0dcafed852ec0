/*
 * Calls on descriptors, and the calls that make files without a server.
 *
 * Owns: numbers and limits. Read next: kernel/ipc/fdtable.c.
 */
#include <syscall/syscalls.h>

#include <ipc/eventfd.h>
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/memfd.h>
#include <ipc/pipe.h>
#include <ipc/socketpair.h>
#include <ipc/record_lock.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/usercopy.h>
#include <proc/process.h>
#include <proc/rlimit.h>
#include <proc/thread.h>

#define SETFL_FLAGS (O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME)

static enum fd_flags cloexec_of(u32 flags)
{
    return (flags & O_CLOEXEC) ? FD_CLOSE_ON_EXEC : FD_PLAIN;
}

long sys_close(s32 fd)
{
    return files_close(current_process()->files, fd);
}

long sys_close_range(u32 first, u32 last, u32 flags)
{
    struct process *process = current_process();
    struct files *shared;
    struct files *copy;

    if ((flags & ~(u32)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) || first > last) {
        return -EINVAL;
    }
    if ((flags & CLOSE_RANGE_UNSHARE) && files_is_shared(process->files)) {
        /* The threads of a process share one table here, so only a lone thread may leave it. */
        if (process->nr_threads > 1) {
            return -EINVAL;
        }
        if (files_fork(process->files, &copy) != 0) {
            return -ENOMEM;
        }
        shared = process->files;
        spin_lock(&process_tree_lock);
        process->files = copy;
        spin_unlock(&process_tree_lock);
        files_put(shared);
    }
    files_close_range(process->files, first, last,
                      (flags & CLOSE_RANGE_CLOEXEC) ? FD_CLOSE_ON_EXEC : FD_PLAIN);
    return 0;
}

/* The lowest free descriptor at or above @min for a file. Takes its own reference. */
static s64 dup_file(struct file *file, u64 min, enum fd_flags flags)
{
    struct files *files = current_process()->files;
    s64 fd = fd_reserve(files, (u32)min, rlimit_get(RLIMIT_NOFILE), flags);

    if (fd >= 0) {
        file_get(file);
        fd_fill(files, (s32)fd, file);
    }
    return fd;
}

long sys_dup(s32 fd)
{
    struct fd_ref ref;
    s64 result = fd_borrow(fd, &ref);

    if (result == 0) {
        result = dup_file(ref.file, 0, FD_PLAIN);
        fd_return(&ref);
    }
    return result;
}

static long dup_to(s32 old_fd, s32 new_fd, enum fd_flags flags)
{
    struct files *files = current_process()->files;
    struct file *file;
    int error;

    if (new_fd < 0 || (u64)new_fd >= rlimit_get(RLIMIT_NOFILE)) {
        return -EBADF;
    }
    /* A reference, not a loan: replacing may close the descriptor that it came from. */
    error = fd_get(old_fd, &file);
    if (error != 0) {
        return error;
    }
    error = files_replace(files, new_fd, file, flags);
    file_put(file);
    return error != 0 ? error : new_fd;
}

long sys_dup2(s32 old_fd, s32 new_fd)
{
    struct fd_ref ref;

    if (old_fd == new_fd) {
        int error = fd_borrow(old_fd, &ref);

        if (error == 0) {
            fd_return(&ref);
        }
        return error != 0 ? error : new_fd;
    }
    return dup_to(old_fd, new_fd, FD_PLAIN);
}

long sys_dup3(s32 old_fd, s32 new_fd, u32 flags)
{
    if ((flags & ~(u32)O_CLOEXEC) || old_fd == new_fd) {
        return -EINVAL;
    }
    return dup_to(old_fd, new_fd, cloexec_of(flags));
}

static s64 fcntl_dupfd(struct file *file, u64 min, enum fd_flags flags)
{
    if ((u32)min >= rlimit_get(RLIMIT_NOFILE)) {
        return -EINVAL;
    }
    return dup_file(file, (u32)min, flags);
}

static s64 fcntl_setfl(struct file *file, u32 flags)
{
    spin_lock(&file->lock);
    WRITE_ONCE(file->flags, (file->flags & ~(u32)SETFL_FLAGS) | (flags & SETFL_FLAGS));
    spin_unlock(&file->lock);
    return 0;
}

static s64 fcntl_file(struct file *file, s32 fd, u32 cmd, u64 arg)
{
    struct files *files = current_process()->files;

    switch (cmd) {
    case F_DUPFD:
        return fcntl_dupfd(file, arg, FD_PLAIN);
    case F_DUPFD_CLOEXEC:
        return fcntl_dupfd(file, arg, FD_CLOSE_ON_EXEC);
    case F_GETFD:
        return files_get_cloexec(files, fd);
    case F_SETFD:
        return files_set_cloexec(files, fd, (arg & FD_CLOEXEC) ? FD_CLOSE_ON_EXEC : FD_PLAIN);
    case F_GETFL:
        return READ_ONCE(file->flags);
    default:
        break;
    }
    if (file->traits & FILE_PATH_ONLY) {
        return -EBADF;
    }
    switch (cmd) {
    case F_SETFL:
        return fcntl_setfl(file, (u32)arg);
    case F_GETOWN:
        return READ_ONCE(file->owner);
    case F_SETOWN:
        WRITE_ONCE(file->owner, (s32)arg);
        return 0;
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return record_lock_fcntl(file, cmd, arg);
    default:
        return file->ops->fcntl == NULL ? -EINVAL : file->ops->fcntl(file, cmd, arg);
    }
}

long sys_fcntl(s32 fd, u32 cmd, u64 arg)
{
    struct fd_ref ref;
    s64 result = fd_borrow(fd, &ref);

    if (result == 0) {
        result = fcntl_file(ref.file, fd, cmd, arg);
        fd_return(&ref);
    }
    return result;
}

/*
 * Gives two files descriptors and tells them to the user. Consumes both references. On failure no
 * descriptor is left, and none was ever visible to another thread with its file.
 */
static long install_pair(struct file *pair[2], u64 user_fds, enum fd_flags flags)
{
    struct files *files = current_process()->files;
    u64 limit = rlimit_get(RLIMIT_NOFILE);
    s64 first = fd_reserve(files, 0, limit, flags);
    s64 second = first < 0 ? first : fd_reserve(files, 0, limit, flags);
    s32 fds[2] = {(s32)first, (s32)second};
    s64 result = second < 0 ? second : 0;

    if (result == 0) {
        result = copy_to_user(user_fds, fds, sizeof(fds));
    }
    if (result == 0) {
        fd_fill(files, fds[0], pair[0]);
        fd_fill(files, fds[1], pair[1]);
        return 0;
    }
    if (second >= 0) {
        fd_unreserve(files, fds[1]);
    }
    if (first >= 0) {
        fd_unreserve(files, fds[0]);
    }
    file_put(pair[0]);
    file_put(pair[1]);
    return result;
}

long sys_pipe2(u64 user_fds, u32 flags)
{
    struct file *ends[2];
    int error;

    if (flags & ~(u32)(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) {
        return -EINVAL;
    }
    error = pipe_create(flags & (O_NONBLOCK | O_DIRECT), ends);
    return error != 0 ? error : install_pair(ends, user_fds, cloexec_of(flags));
}

long sys_pipe(u64 user_fds)
{
    return sys_pipe2(user_fds, 0);
}

/* There is no network and no name that a socket could be bound to. */
long sys_socket(s32 family, s32 type, s32 protocol)
{
    return -EAFNOSUPPORT;
}

long sys_socketpair(s32 family, s32 type, s32 protocol, u64 user_fds)
{
    u32 flags = (u32)type & (O_CLOEXEC | O_NONBLOCK);
    u32 kind = (u32)type & ~(u32)(O_CLOEXEC | O_NONBLOCK);
    struct file *pair[2];
    int error;

    if (family != AF_UNIX) {
        return -EAFNOSUPPORT;
    }
    if (kind != SOCK_STREAM && kind != SOCK_SEQPACKET) {
        return -ESOCKTNOSUPPORT;
    }
    if (protocol != 0 && protocol != AF_UNIX) {
        return -EPROTONOSUPPORT;
    }
    error = socketpair_create(kind, flags & O_NONBLOCK, pair);
    return error != 0 ? error : install_pair(pair, user_fds, cloexec_of(flags));
}

/* Gives a new file a descriptor; consumes the reference. */
static long install_new(struct file *file, enum fd_flags flags)
{
    s64 fd = fd_install(file, flags);

    if (fd < 0) {
        file_put(file);
    }
    return fd;
}

long sys_eventfd2(u32 initial, u32 flags)
{
    struct file *file;
    int error;

    if (flags & ~(u32)(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) {
        return -EINVAL;
    }
    error = eventfd_create(initial, flags, &file);
    return error != 0 ? error : install_new(file, cloexec_of(flags));
}

long sys_eventfd(u32 initial)
{
    return sys_eventfd2(initial, 0);
}

long sys_memfd_create(u64 user_name, u32 flags)
{
    u32 known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
    char name[MEMFD_NAME_MAX + 1];
    struct file *file;
    s64 len;
    int error;

    if (flags & MFD_HUGETLB) {
        known |= MFD_HUGETLB | MFD_HUGE_MASK << MFD_HUGE_SHIFT;
    }
    if (flags & ~known) {
        return -EINVAL;
    }
    if ((flags & MFD_EXEC) && (flags & MFD_NOEXEC_SEAL)) {
        return -EINVAL;
    }
    if (!(flags & (MFD_EXEC | MFD_NOEXEC_SEAL))) {
        flags |= memfd_noexec_policy != MEMFD_NOEXEC_OFF ? MFD_NOEXEC_SEAL : MFD_EXEC;
    }
    if ((flags & MFD_EXEC) && memfd_noexec_policy == MEMFD_NOEXEC_ENFORCED) {
        return -EACCES;
    }
    len = strncpy_from_user(name, user_name, sizeof(name));
    if (len < 0) {
        return len == -ENAMETOOLONG ? -EINVAL : len;
    }
    error = memfd_create(name, flags, &file);
    return error != 0 ? error
                      : install_new(file, (flags & MFD_CLOEXEC) ? FD_CLOSE_ON_EXEC : FD_PLAIN);
}
