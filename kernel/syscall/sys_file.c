/*
 * Calls on open files other than reading and writing.
 *
 * Owns: argument checks in Linux's order; the work is the file's. Read next:
 * kernel/syscall/sys_fd.c, kernel/ipc/file.c.
 */
#include <syscall/syscalls.h>

#include <ipc/connection.h>
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/fs_context.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/usercopy.h>
#include <proc/process.h>
#include <proc/thread.h>
#include <uapi/cowbell.h>
#include <uapi/linux/ioctl.h>
#include <uapi/linux/stat.h>
#include <uapi/linux/statfs.h>

/* Borrows a file that was not opened with O_PATH. */
static int borrow_real(s32 fd, struct fd_ref *ref)
{
    int error = fd_borrow(fd, ref);

    if (error == 0 && (ref->file->traits & FILE_PATH_ONLY)) {
        fd_return(ref);
        error = -EBADF;
    }
    return error;
}

static void file_set_flags(struct file *file, u32 clear, u32 set)
{
    spin_lock(&file->lock);
    WRITE_ONCE(file->flags, (file->flags & ~clear) | set);
    spin_unlock(&file->lock);
}

/* FIONREAD of a file with a size: what lies behind the position. */
static s64 ioctl_unread(struct file *file, u64 arg)
{
    s64 size;
    int error = file->ops->size(file, &size);

    if (error != 0) {
        return error;
    }
    return put_user_u32(arg, (u32)(size - file->pos));
}

static s64 ioctl_nonblock(struct file *file, u64 arg)
{
    u32 value;

    if (get_user_u32(&value, arg) != 0) {
        return -EFAULT;
    }
    file_set_flags(file, O_NONBLOCK, value != 0 ? O_NONBLOCK : 0);
    return 0;
}

long sys_ioctl(s32 fd, u32 cmd, u64 arg)
{
    struct fd_ref ref;
    s64 result = borrow_real(fd, &ref);

    if (result != 0) {
        return result;
    }
    switch (cmd) {
    case FIOCLEX:
        result = files_set_cloexec(current_process()->files, fd, FD_CLOSE_ON_EXEC);
        break;
    case FIONCLEX:
        result = files_set_cloexec(current_process()->files, fd, FD_PLAIN);
        break;
    case FIONBIO:
        result = ioctl_nonblock(ref.file, arg);
        break;
    default:
        if (ref.file->ops->ioctl != NULL) {
            result = ref.file->ops->ioctl(ref.file, cmd, arg);
        } else if (cmd == FIONREAD && ref.file->ops->size != NULL) {
            result = ioctl_unread(ref.file, arg);
        } else {
            result = -ENOTTY;
        }
        break;
    }
    fd_return(&ref);
    return result;
}

long sys_fstat(s32 fd, u64 user_stat)
{
    struct fd_ref ref;
    struct stat stat;
    int error = fd_borrow(fd, &ref);

    if (error != 0) {
        return error;
    }
    error = file_stat(ref.file, &stat);
    fd_return(&ref);
    return error != 0 ? error : copy_to_user(user_stat, &stat, sizeof(stat));
}

long sys_fstatfs(s32 fd, u64 user_statfs)
{
    struct fd_ref ref;
    struct statfs statfs;
    int error = fd_borrow(fd, &ref);

    if (error != 0) {
        return error;
    }
    memset(&statfs, 0, sizeof(statfs));
    if (ref.file->ops->statfs != NULL) {
        error = ref.file->ops->statfs(ref.file, &statfs);
    } else {
        statfs.f_type = ref.file->ops->kind == CB_FD_PIPE ? PIPEFS_MAGIC : ANON_INODE_MAGIC;
        statfs.f_bsize = PAGE_SIZE;
        statfs.f_frsize = PAGE_SIZE;
        statfs.f_namelen = 255;
    }
    fd_return(&ref);
    return error != 0 ? error : copy_to_user(user_statfs, &statfs, sizeof(statfs));
}

static s64 getdents_file(struct file *file, u64 buf, u32 len)
{
    s64 result = mutex_lock_killable(&file->pos_lock);

    if (result == 0) {
        result = file->ops->getdents(file, buf, len);
        mutex_unlock(&file->pos_lock);
    }
    return result;
}

long sys_getdents64(s32 fd, u64 buf, u32 len)
{
    struct fd_ref ref;
    s64 result = borrow_real(fd, &ref);

    if (result != 0) {
        return result;
    }
    if (ref.file->ops->getdents == NULL) {
        result = -ENOTDIR;
    } else if (!user_access_ok(buf, len)) {
        result = -EFAULT;
    } else {
        result = getdents_file(ref.file, buf, len);
    }
    fd_return(&ref);
    return result;
}

long sys_ftruncate(s32 fd, s64 size)
{
    struct fd_ref ref;
    int error;

    if (size < 0) {
        return -EINVAL;
    }
    error = borrow_real(fd, &ref);
    if (error != 0) {
        return error;
    }
    if (!file_can_write(ref.file) || ref.file->ops->truncate == NULL) {
        error = -EINVAL;
    } else {
        error = file_limit_size(ref.file, size);
        error = error != 0 ? error : ref.file->ops->truncate(ref.file, size);
    }
    fd_return(&ref);
    return error;
}

static int fallocate_file(struct file *file, u32 mode, s64 offset, s64 len)
{
    s64 end;

    if (offset < 0 || len <= 0) {
        return -EINVAL;
    }
    if (mode & ~(u32)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) {
        return -EOPNOTSUPP;
    }
    if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE)) {
        return -EOPNOTSUPP;
    }
    if (!file_can_write(file)) {
        return -EBADF;
    }
    if (file->ops->kind == CB_FD_PIPE) {
        return -ESPIPE;
    }
    if (file->ops->fallocate == NULL) {
        return -ENODEV;
    }
    if (__builtin_add_overflow(offset, len, &end)) {
        return -EFBIG;
    }
    if (!(mode & FALLOC_FL_PUNCH_HOLE)) {
        int error = file_limit_size(file, end);

        if (error != 0) {
            return error;
        }
    }
    return file->ops->fallocate(file, mode, offset, len);
}

long sys_fallocate(s32 fd, s32 mode, s64 offset, s64 len)
{
    struct fd_ref ref;
    int error = borrow_real(fd, &ref);

    if (error == 0) {
        error = fallocate_file(ref.file, (u32)mode, offset, len);
        fd_return(&ref);
    }
    return error;
}

static long sync_file(s32 fd, u32 data_only)
{
    struct fd_ref ref;
    int error = borrow_real(fd, &ref);

    if (error == 0) {
        error = ref.file->ops->sync == NULL ? -EINVAL : ref.file->ops->sync(ref.file, data_only);
        fd_return(&ref);
    }
    return error;
}

long sys_fsync(s32 fd)
{
    return sync_file(fd, 0);
}

long sys_fdatasync(s32 fd)
{
    return sync_file(fd, 1);
}

long sys_syncfs(s32 fd)
{
    struct fd_ref ref;
    int error = borrow_real(fd, &ref);

    if (error == 0) {
        error = ref.file->ops->sync == NULL ? 0 : ref.file->ops->sync(ref.file, 0);
        fd_return(&ref);
    }
    return error;
}

/* Every write has reached its server when it returns; what that one keeps back it is told to save.
 */
long sys_sync(void)
{
    struct file *root = fs_get_root(current_process()->fs);
    const u64 args[] = {CB_FSYNC_ALL};
    struct connection *conn = root != NULL ? connection_of_file(root) : NULL;

    if (conn != NULL) {
        /* There is nobody to tell of an error. */
        (void)!connection_simple_call(conn, CB_OP_FSYNC, args, ARRAY_SIZE(args), NULL, 0);
    }
    if (root != NULL) {
        file_put(root);
    }
    return 0;
}

/* An operation on an open file that only a server can do. */
static long server_call(s32 fd, u32 op, const u64 *args, u32 nr_args, int error_without_server)
{
    struct fd_ref ref;
    struct connection *conn;
    s64 result = borrow_real(fd, &ref);

    if (result != 0) {
        return result;
    }
    conn = connection_of_file(ref.file);
    result = conn == NULL ? error_without_server
                          : connection_simple_call(conn, op, args, nr_args, NULL, 0);
    fd_return(&ref);
    return result > 0 ? 0 : result;
}

long sys_fchmod(s32 fd, u32 mode)
{
    u64 args[] = {mode & 07777u};
    struct fd_ref ref;
    long result = fd_borrow(fd, &ref);

    if (result != 0) {
        return result;
    }
    if (ref.file->ops->chmod != NULL) {
        result = ref.file->ops->chmod(ref.file, (u32)args[0]);
        fd_return(&ref);
        return result;
    }
    fd_return(&ref);
    return server_call(fd, CB_OP_CHMOD, args, ARRAY_SIZE(args), -EPERM);
}

long sys_fchown(s32 fd, u32 uid, u32 gid)
{
    u64 args[] = {uid, gid};

    return server_call(fd, CB_OP_CHOWN, args, ARRAY_SIZE(args), -EPERM);
}

long sys_flock(s32 fd, u32 operation)
{
    u64 args[] = {operation};
    u32 kind = operation & ~(u32)LOCK_NB;

    if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN) {
        return -EINVAL;
    }
    return server_call(fd, CB_OP_FLOCK, args, ARRAY_SIZE(args), -EINVAL);
}

/* Advice changes nothing that can be seen; its arguments are checked all the same. */
long sys_fadvise64(s32 fd, s64 offset, u64 len, s32 advice)
{
    struct fd_ref ref;
    int error = borrow_real(fd, &ref);

    if (error != 0) {
        return error;
    }
    if (ref.file->ops->kind == CB_FD_PIPE) {
        error = -ESPIPE;
    } else if ((s64)len < 0 || advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE) {
        error = -EINVAL;
    }
    fd_return(&ref);
    return error;
}

long sys_readahead(s32 fd, s64 offset, u64 len)
{
    struct fd_ref ref;
    int error = borrow_real(fd, &ref);

    if (error != 0) {
        return error;
    }
    if (!file_can_read(ref.file)) {
        error = -EBADF;
    } else if (!(ref.file->traits & FILE_SEEKABLE) || (ref.file->traits & FILE_DIRECTORY)) {
        error = -EINVAL;
    }
    fd_return(&ref);
    return error;
}
