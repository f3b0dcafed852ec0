/*
 * Calls that read and change what a name leads to: status, permissions, times, links.
 *
 * Owns: argument checks, and the conversion between Linux's several forms of the same call.
 * Read next: kernel/ipc/path.c.
 */
#include <syscall/syscalls.h>

#include <ipc/connection.h>
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/fs_context.h>
#include <ipc/message.h>
#include <ipc/path.h>
#include <ipc/reopen.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/usercopy.h>
#include <proc/process.h>
#include <proc/rlimit.h>
#include <proc/thread.h>
#include <syscall/path_op.h>
#include <uapi/linux/stat.h>
#include <uapi/linux/statfs.h>

#define MODE_BITS    07777u
#define USEC_PER_SEC 1000000

/* Does the call mean the descriptor itself? */
static int is_empty_path(u64 user_path, u32 flags, bool *is_empty)
{
    u8 first = 1;

    if ((flags & AT_EMPTY_PATH) && get_user_u8(&first, user_path) != 0) {
        return -EFAULT;
    }
    *is_empty = first == 0;
    return 0;
}

/* The file behind @dirfd, which may be the working directory. */
static int get_start_file(s32 dirfd, struct file **out)
{
    struct fs_context *fs = current_process()->fs;

    if (dirfd != AT_FDCWD) {
        return fd_get(dirfd, out);
    }
    *out = fs_get_cwd(fs);
    return *out == NULL ? -ENOENT : 0;
}

/* Sends an operation to an open file; for files without a server @error_without. */
static s64 call_on_file(s32 dirfd, u32 code, const u64 *args, u32 nr_args, int error_without)
{
    struct file *file;
    struct connection *conn;
    s64 result = get_start_file(dirfd, &file);

    if (result != 0) {
        return result;
    }
    conn = connection_of_file(file);
    result =
        conn == NULL ? error_without : connection_simple_call(conn, code, args, nr_args, NULL, 0);
    file_put(file);
    return result > 0 ? 0 : result;
}

/* The status of the descriptor that the path of a STATAT led to. */
static s64 stat_descriptor(const struct message *msg, struct stat *stat)
{
    struct file *file;
    s64 result = reopen_find(msg, &file);

    if (result == 0) {
        result = file_stat(file, stat);
        file_put(file);
    }
    return result;
}

/* A path operation that fills a kernel buffer. */
static s64 fill_op(u32 code, s32 dirfd, u64 user_path, u64 arg0, void *buf, size_t len)
{
    struct path_op op;
    struct iov_iter iter;
    s64 result = path_op_start(&op, code, user_path);

    if (result != 0) {
        return result;
    }
    op.msg->args[0] = arg0;
    iov_init_kernel(&iter, buf, len);
    result = message_set_recv(op.msg, &iter);
    if (result != 0) {
        message_put(op.msg);
        return result;
    }
    result = path_call(current_process()->fs, dirfd, op.msg);
    if (result >= 0 && (op.msg->reply_flags & CB_REPLY_REOPEN)) {
        result = stat_descriptor(op.msg, buf);
    }
    message_put(op.msg);
    return result > 0 ? 0 : result;
}

static s64 do_stat(s32 dirfd, u64 user_path, u32 flags, struct stat *stat)
{
    bool is_empty;
    s64 result = is_empty_path(user_path, flags, &is_empty);

    if (result != 0) {
        return result;
    }
    if (is_empty) {
        struct file *file;

        result = get_start_file(dirfd, &file);
        if (result == 0) {
            result = file_stat(file, stat);
            file_put(file);
        }
        return result;
    }
    return fill_op(CB_OP_STATAT, dirfd, user_path, flags & AT_SYMLINK_NOFOLLOW, stat,
                   sizeof(*stat));
}

long sys_newfstatat(s32 dirfd, u64 user_path, u64 user_stat, u32 flags)
{
    struct stat stat;
    s64 result;

    if (flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)) {
        return -EINVAL;
    }
    result = do_stat(dirfd, user_path, flags, &stat);
    return result != 0 ? result : copy_to_user(user_stat, &stat, sizeof(stat));
}

long sys_stat(u64 path, u64 stat)
{
    return sys_newfstatat(AT_FDCWD, path, stat, 0);
}

long sys_lstat(u64 path, u64 stat)
{
    return sys_newfstatat(AT_FDCWD, path, stat, AT_SYMLINK_NOFOLLOW);
}

static struct statx_timestamp statx_time(s64 sec, u64 nsec)
{
    return (struct statx_timestamp){.tv_sec = sec, .tv_nsec = (u32)nsec};
}

static void statx_fill(struct statx *out, const struct stat *stat)
{
    memset(out, 0, sizeof(*out));
    out->stx_mask = STATX_BASIC_STATS;
    out->stx_blksize = (u32)stat->st_blksize;
    out->stx_nlink = (u32)stat->st_nlink;
    out->stx_uid = stat->st_uid;
    out->stx_gid = stat->st_gid;
    out->stx_mode = (u16)stat->st_mode;
    out->stx_ino = stat->st_ino;
    out->stx_size = (u64)stat->st_size;
    out->stx_blocks = (u64)stat->st_blocks;
    out->stx_atime = statx_time(stat->st_atime, stat->st_atime_nsec);
    out->stx_mtime = statx_time(stat->st_mtime, stat->st_mtime_nsec);
    out->stx_ctime = statx_time(stat->st_ctime, stat->st_ctime_nsec);
    out->stx_rdev_major = dev_major(stat->st_rdev);
    out->stx_rdev_minor = dev_minor(stat->st_rdev);
    out->stx_dev_major = dev_major(stat->st_dev);
    out->stx_dev_minor = dev_minor(stat->st_dev);
}

long sys_statx(s32 dirfd, u64 user_path, u32 flags, u32 mask, u64 user_statx)
{
    struct stat stat;
    struct statx statx;
    s64 result;

    if ((mask & STATX__RESERVED) || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE) {
        return -EINVAL;
    }
    if (flags &
        ~(u32)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) {
        return -EINVAL;
    }
    result = do_stat(dirfd, user_path, flags, &stat);
    if (result != 0) {
        return result;
    }
    statx_fill(&statx, &stat);
    return copy_to_user(user_statx, &statx, sizeof(statx));
}

long sys_statfs(u64 user_path, u64 user_statfs)
{
    struct statfs statfs;
    s64 result = fill_op(CB_OP_STATFS, AT_FDCWD, user_path, 0, &statfs, sizeof(statfs));

    return result != 0 ? result : copy_to_user(user_statfs, &statfs, sizeof(statfs));
}

static s64 access_op(s32 dirfd, u64 user_path, u32 mode, u32 flags)
{
    u64 args[] = {mode, flags};
    struct path_op op;
    bool is_empty;
    s64 result = is_empty_path(user_path, flags, &is_empty);

    if (result != 0) {
        return result;
    }
    if (is_empty) {
        return call_on_file(dirfd, CB_OP_ACCESS, args, ARRAY_SIZE(args),
                            (mode & X_OK) ? -EACCES : 0);
    }
    result = path_op_start(&op, CB_OP_ACCESS, user_path);
    if (result != 0) {
        return result;
    }
    memcpy(op.msg->args, args, sizeof(args));
    result = path_op_finish(&op, dirfd);
    return result > 0 ? 0 : result;
}

long sys_faccessat2(s32 dirfd, u64 path, u32 mode, u32 flags)
{
    if ((mode & ~(u32)(R_OK | W_OK | X_OK)) ||
        (flags & ~(u32)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))) {
        return -EINVAL;
    }
    return access_op(dirfd, path, mode, flags);
}

long sys_faccessat(s32 dirfd, u64 path, u32 mode)
{
    return sys_faccessat2(dirfd, path, mode, 0);
}

long sys_access(u64 path, u32 mode)
{
    return sys_faccessat2(AT_FDCWD, path, mode, 0);
}

/* readlinkat(fd, "") reads the link that was opened with O_PATH | O_NOFOLLOW. */
static s64 readlink_file(s32 dirfd, struct message *msg)
{
    struct file *file;
    struct connection *conn;
    s64 result = get_start_file(dirfd, &file);

    if (result != 0) {
        return result;
    }
    conn = connection_of_file(file);
    result = conn == NULL ? -EINVAL : message_call(msg, conn);
    file_put(file);
    return result;
}

long sys_readlinkat(s32 dirfd, u64 user_path, u64 buf, s32 size)
{
    struct message *msg;
    struct iov_iter iter;
    s64 result;

    if (size <= 0) {
        return -EINVAL;
    }
    result = message_alloc(CB_OP_READLINK, &msg);
    if (result != 0) {
        return result;
    }
    result = path_get_user(user_path, &msg->path);
    result = result != 0 ? result : iov_import_single(&iter, buf, (size_t)size);
    result = result != 0 ? result : message_set_recv(msg, &iter);
    if (result == 0 && msg->path[0] == '\0') {
        result = dirfd == AT_FDCWD ? -ENOENT : readlink_file(dirfd, msg);
    } else if (result == 0) {
        result = path_call(current_process()->fs, dirfd, msg);
    }
    message_put(msg);
    return result > size ? -EIO : result;
}

long sys_readlink(u64 path, u64 buf, s32 size)
{
    return sys_readlinkat(AT_FDCWD, path, buf, size);
}

/* An operation with two numbers and AT_ flags on a path, or on a descriptor with AT_EMPTY_PATH. */
static long change_op(u32 file_code, u32 path_code, s32 dirfd, u64 user_path, u32 flags,
                      const u64 *args, u32 nr_args)
{
    struct path_op op;
    bool is_empty;
    s64 result = is_empty_path(user_path, flags, &is_empty);

    if (result != 0) {
        return result;
    }
    if (is_empty) {
        return call_on_file(dirfd, file_code, args, nr_args, -EPERM);
    }
    result = path_op_start(&op, path_code, user_path);
    if (result != 0) {
        return result;
    }
    memcpy(op.msg->args, args, nr_args * sizeof(*args));
    op.msg->args[nr_args] = flags;
    result = path_op_finish(&op, dirfd);
    return result > 0 ? 0 : result;
}

long sys_fchmodat2(s32 dirfd, u64 path, u32 mode, u32 flags)
{
    u64 args[] = {mode & MODE_BITS};

    if (flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) {
        return -EINVAL;
    }
    return change_op(CB_OP_CHMOD, CB_OP_CHMODAT, dirfd, path, flags, args, ARRAY_SIZE(args));
}

long sys_fchmodat(s32 dirfd, u64 path, u32 mode)
{
    return sys_fchmodat2(dirfd, path, mode, 0);
}

long sys_chmod(u64 path, u32 mode)
{
    return sys_fchmodat2(AT_FDCWD, path, mode, 0);
}

long sys_fchownat(s32 dirfd, u64 path, u32 uid, u32 gid, u32 flags)
{
    u64 args[] = {uid, gid};

    if (flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) {
        return -EINVAL;
    }
    return change_op(CB_OP_CHOWN, CB_OP_CHOWNAT, dirfd, path, flags, args, ARRAY_SIZE(args));
}

long sys_chown(u64 path, u32 uid, u32 gid)
{
    return sys_fchownat(AT_FDCWD, path, uid, gid, 0);
}

long sys_lchown(u64 path, u32 uid, u32 gid)
{
    return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long sys_truncate(u64 user_path, s64 size)
{
    struct path_op op;
    s64 result;

    if (size < 0) {
        return -EINVAL;
    }
    result = path_op_start(&op, CB_OP_TRUNCATE, user_path);
    if (result != 0) {
        return result;
    }
    op.msg->args[0] = (u64)size;
    op.msg->args[1] = rlimit_get(RLIMIT_FSIZE);
    result = path_op_finish(&op, AT_FDCWD);
    if (result == -EFBIG && (u64)size > rlimit_get(RLIMIT_FSIZE)) {
        return file_beyond_limit();
    }
    return result > 0 ? 0 : result;
}

/* args[0..3] of CB_OP_UTIMENS. */
struct file_times {
    u64 words[4];
};

static bool is_valid_nsec(u64 nsec)
{
    return nsec == UTIME_NOW || nsec == UTIME_OMIT || nsec < NSEC_PER_SEC;
}

static const struct file_times times_now = {{0, UTIME_NOW, 0, UTIME_NOW}};

static long set_times(s32 dirfd, u64 user_path, u32 flags, const struct file_times *times)
{
    u64 args[5];

    memcpy(args, times->words, sizeof(times->words));
    args[4] = flags;
    if (times->words[1] == UTIME_OMIT && times->words[3] == UTIME_OMIT) {
        return 0;
    }
    if (user_path == 0) {
        if (flags != 0) {
            return -EINVAL;
        }
        if (dirfd == AT_FDCWD) {
            return -EFAULT;
        }
        return call_on_file(dirfd, CB_OP_UTIMENS, args, ARRAY_SIZE(args), -EPERM);
    }
    return change_op(CB_OP_UTIMENS, CB_OP_UTIMENS, dirfd, user_path, flags, args, 4);
}

long sys_utimensat(s32 dirfd, u64 user_path, u64 user_times, u32 flags)
{
    struct file_times times = times_now;

    if (user_times != 0 && copy_from_user(&times, user_times, sizeof(times)) != 0) {
        return -EFAULT;
    }
    if (flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) {
        return -EINVAL;
    }
    if (!is_valid_nsec(times.words[1]) || !is_valid_nsec(times.words[3])) {
        return -EINVAL;
    }
    return set_times(dirfd, user_path, flags, &times);
}

long sys_futimesat(s32 dirfd, u64 user_path, u64 user_times)
{
    struct file_times times = times_now;

    if (user_times != 0) {
        if (copy_from_user(&times, user_times, sizeof(times)) != 0) {
            return -EFAULT;
        }
        if (times.words[1] >= USEC_PER_SEC || times.words[3] >= USEC_PER_SEC) {
            return -EINVAL;
        }
        times.words[1] *= NSEC_PER_USEC;
        times.words[3] *= NSEC_PER_USEC;
    }
    return set_times(dirfd, user_path, 0, &times);
}

long sys_utimes(u64 path, u64 times)
{
    return sys_futimesat(AT_FDCWD, path, times);
}

long sys_utime(u64 user_path, u64 user_times)
{
    struct file_times times = times_now;
    u64 seconds[2];

    if (user_times != 0) {
        if (copy_from_user(seconds, user_times, sizeof(seconds)) != 0) {
            return -EFAULT;
        }
        times = (struct file_times){{seconds[0], 0, seconds[1], 0}};
    }
    return set_times(AT_FDCWD, user_path, 0, &times);
}

long sys_getcwd(u64 buf, u64 size)
{
    struct fs_context *fs = current_process()->fs;
    struct file *cwd = fs_get_cwd(fs);
    char *path;
    s64 result;

    if (cwd == NULL) {
        return -ENOENT;
    }
    result = path_get_kernel("", &path);
    if (result == 0) {
        result = path_of_directory(fs, cwd, path);
        if (result >= 0 && (u64)result + 1 > size) {
            result = -ERANGE;
        }
        if (result >= 0) {
            s64 len = result + 1;

            result = copy_to_user(buf, path, (size_t)len) != 0 ? -EFAULT : len;
        }
        path_put(path);
    }
    file_put(cwd);
    return result;
}
