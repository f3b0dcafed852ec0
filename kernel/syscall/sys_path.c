/*
 * Calls that open, create, remove and rename names.
 *
 * Owns: argument checks and the messages' arguments; servers resolve paths and check permissions.
 * Read next: kernel/ipc/path.c, then kernel/syscall/sys_path_attr.c.
 */
#include <syscall/syscalls.h>

#include <ipc/connection.h>
#include <ipc/fdtable.h>
#include <ipc/fs_context.h>
#include <ipc/message.h>
#include <ipc/path.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/usercopy.h>
#include <proc/cred.h>
#include <proc/process.h>
#include <proc/rlimit.h>
#include <proc/thread.h>
#include <syscall/path_op.h>
#include <uapi/linux/stat.h>

#define MODE_BITS 07777u

int path_op_start(struct path_op *op, u32 code, u64 user_path)
{
    int error = message_alloc(code, &op->msg);

    if (error != 0) {
        return error;
    }
    error = path_get_user(user_path, &op->msg->path);
    if (error == 0 && op->msg->path[0] == '\0') {
        error = -ENOENT;
    }
    if (error != 0) {
        message_put(op->msg);
    }
    return error;
}

s64 path_op_finish(struct path_op *op, s32 dirfd)
{
    s64 result = path_call(current_process()->fs, dirfd, op->msg);

    message_put(op->msg);
    return result;
}

/* A path operation with numbers for arguments and no memory. */
static long simple_op(u32 code, s32 dirfd, u64 user_path, u64 arg0, u64 arg1)
{
    struct path_op op;
    s64 result = path_op_start(&op, code, user_path);

    if (result != 0) {
        return result;
    }
    op.msg->args[0] = arg0;
    op.msg->args[1] = arg1;
    result = path_op_finish(&op, dirfd);
    return result > 0 ? 0 : result;
}

/* Linux's rules for combinations of flags; unknown bits do not matter to open(2). */
static int check_open_flags(u32 *flags, u32 *mode)
{
    if (*flags & O_PATH) {
        *flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
    }
    if ((*flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY)) {
        return -EINVAL;
    }
    if ((*flags & O_TMPFILE) == O_TMPFILE && (*flags & O_ACCMODE) == O_RDONLY) {
        return -EINVAL;
    }
    if (!(*flags & O_CREAT) && (*flags & O_TMPFILE) != O_TMPFILE) {
        *mode = 0;
    }
    *mode &= MODE_BITS;
    if (!(*flags & O_PATH)) {
        *flags |= O_LARGEFILE;
    }
    return 0;
}

static s64 open_path(const struct path_open_request *request)
{
    struct process *process = current_process();
    struct files *files = process->files;
    struct file *file;
    s64 fd;
    int error;

    /* The descriptor first: once the server has opened the file, nothing may fail. */
    fd = fd_reserve(files, 0, rlimit_get(RLIMIT_NOFILE),
                    (request->flags & O_CLOEXEC) ? FD_CLOSE_ON_EXEC : FD_PLAIN);
    if (fd < 0) {
        return fd;
    }
    error = request->path[0] == '\0' ? -ENOENT : path_open_intent(process->fs, request, &file);
    if (error != 0) {
        fd_unreserve(files, (s32)fd);
        return error;
    }
    fd_fill(files, (s32)fd, file);
    return fd;
}

/* @request: without its path, flags not checked yet */
static s64 open_user_path(struct path_open_request *request, u64 user_path)
{
    char *path;
    s64 fd = check_open_flags(&request->flags, &request->mode);

    fd = fd != 0 ? fd : path_get_user(user_path, &path);
    if (fd == 0) {
        request->path = path;
        fd = open_path(request);
        path_put(path);
    }
    return fd;
}

long sys_openat(s32 dirfd, u64 user_path, u32 flags, u32 mode)
{
    struct path_open_request request = {
        .dirfd = dirfd, .flags = flags, .mode = mode, .intent = CB_OPEN_PLAIN};

    return open_user_path(&request, user_path);
}

long sys_open(u64 path, u32 flags, u32 mode)
{
    return sys_openat(AT_FDCWD, path, flags, mode);
}

long sys_creat(u64 path, u32 mode)
{
    return sys_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

struct open_how {
    u64 flags;
    u64 mode;
    u64 resolve;
};

#define OPEN2_FLAGS                                                                                \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |          \
     O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC |         \
     O_PATH | O_TMPFILE)

#define OPEN2_PATH_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)
#define OPEN2_RESOLVE                                                                              \
    (CB_RESOLVE_NO_XDEV | CB_RESOLVE_NO_MAGICLINKS | CB_RESOLVE_NO_SYMLINKS | CB_RESOLVE_BENEATH | \
     CB_RESOLVE_IN_ROOT | CB_RESOLVE_CACHED)

static bool creates_file(const struct open_how *how)
{
    return (how->flags & O_CREAT) || (how->flags & O_TMPFILE) == O_TMPFILE;
}

/* What open(2) passes over is an error here. */
static int check_open_how(const struct open_how *how)
{
    const u64 scopes = CB_RESOLVE_BENEATH | CB_RESOLVE_IN_ROOT;

    if ((how->flags & ~(u64)OPEN2_FLAGS) || (how->resolve & ~(u64)OPEN2_RESOLVE) ||
        (how->resolve & scopes) == scopes) {
        return -EINVAL;
    }
    if (how->mode & ~(u64)(creates_file(how) ? MODE_BITS : 0)) {
        return -EINVAL;
    }
    if ((how->flags & O_PATH) && (how->flags & ~(u64)OPEN2_PATH_FLAGS)) {
        return -EINVAL;
    }
    if ((how->resolve & CB_RESOLVE_CACHED) && (creates_file(how) || (how->flags & O_TRUNC))) {
        return -EAGAIN;
    }
    return 0;
}

/* A longer structure than ours is one whose rest asks for nothing. */
static int get_open_how(struct open_how *how, u64 user_how, u64 size)
{
    if (size < sizeof(*how)) {
        return -EINVAL;
    }
    if (size > PAGE_SIZE) {
        return -E2BIG;
    }
    for (u64 at = sizeof(*how); at < size; at++) {
        u8 byte;

        if (copy_from_user(&byte, user_how + at, 1) != 0) {
            return -EFAULT;
        }
        if (byte != 0) {
            return -E2BIG;
        }
    }
    return copy_from_user(how, user_how, sizeof(*how)) == 0 ? 0 : -EFAULT;
}

long sys_openat2(s32 dirfd, u64 user_path, u64 user_how, u64 size)
{
    struct open_how how;
    int error = get_open_how(&how, user_how, size);

    error = error != 0 ? error : check_open_how(&how);
    if (error == 0) {
        struct path_open_request request = {.dirfd = dirfd,
                                            .flags = (u32)how.flags,
                                            .mode = (u32)how.mode,
                                            .intent = CB_OPEN_PLAIN,
                                            .resolve = (u32)how.resolve};

        return open_user_path(&request, user_path);
    }
    return error;
}

long sys_mkdirat(s32 dirfd, u64 path, u32 mode)
{
    return simple_op(CB_OP_MKDIR, dirfd, path, mode & MODE_BITS, 0);
}

long sys_mkdir(u64 path, u32 mode)
{
    return sys_mkdirat(AT_FDCWD, path, mode);
}

long sys_mknodat(s32 dirfd, u64 path, u32 mode, u32 dev)
{
    switch (mode & S_IFMT) {
    case 0:
        mode |= S_IFREG;
        break;
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
        break;
    case S_IFCHR:
    case S_IFBLK:
        if (!has_capability(CAP_MKNOD)) {
            return -EPERM;
        }
        break;
    case S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
    return simple_op(CB_OP_MKNOD, dirfd, path, mode & (S_IFMT | MODE_BITS), dev);
}

long sys_mknod(u64 path, u32 mode, u32 dev)
{
    return sys_mknodat(AT_FDCWD, path, mode, dev);
}

long sys_unlinkat(s32 dirfd, u64 path, u32 flags)
{
    if (flags & ~(u32)AT_REMOVEDIR) {
        return -EINVAL;
    }
    return simple_op(CB_OP_UNLINK, dirfd, path, flags, 0);
}

long sys_unlink(u64 path)
{
    return sys_unlinkat(AT_FDCWD, path, 0);
}

long sys_rmdir(u64 path)
{
    return sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

/* An operation with two paths. */
static long double_op(u32 code, s32 dirfd, u64 path, s32 dirfd2, u64 path2, u64 arg0)
{
    struct path_op op;
    s64 result = path_op_start(&op, code, path);

    if (result != 0) {
        return result;
    }
    op.msg->args[0] = arg0;
    result = path_get_user(path2, &op.msg->path2);
    if (result == 0 && op.msg->path2[0] == '\0') {
        result = -ENOENT;
    }
    if (result == 0) {
        result = path_call2(current_process()->fs, dirfd, dirfd2, op.msg);
    }
    message_put(op.msg);
    return result > 0 ? 0 : result;
}

long sys_renameat2(s32 old_dirfd, u64 old_path, s32 new_dirfd, u64 new_path, u32 flags)
{
    if ((flags & ~(u32)(RENAME_NOREPLACE | RENAME_EXCHANGE)) ||
        flags == (RENAME_NOREPLACE | RENAME_EXCHANGE)) {
        return -EINVAL;
    }
    return double_op(CB_OP_RENAME, old_dirfd, old_path, new_dirfd, new_path, flags);
}

long sys_renameat(s32 old_dirfd, u64 old_path, s32 new_dirfd, u64 new_path)
{
    return sys_renameat2(old_dirfd, old_path, new_dirfd, new_path, 0);
}

long sys_rename(u64 old_path, u64 new_path)
{
    return sys_renameat2(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

long sys_linkat(s32 old_dirfd, u64 old_path, s32 new_dirfd, u64 new_path, u32 flags)
{
    if (flags & ~(u32)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) {
        return -EINVAL;
    }
    return double_op(CB_OP_LINK, old_dirfd, old_path, new_dirfd, new_path, flags);
}

long sys_link(u64 old_path, u64 new_path)
{
    return sys_linkat(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

long sys_symlinkat(u64 target, s32 dirfd, u64 path)
{
    return double_op(CB_OP_SYMLINK, AT_FDCWD, target, dirfd, path, 0);
}

long sys_symlink(u64 target, u64 path)
{
    return sys_symlinkat(target, AT_FDCWD, path);
}

/* Opens a directory that the caller may search. */
static int open_directory(u64 user_path, struct file **out)
{
    struct path_open_request request = {
        .dirfd = AT_FDCWD, .flags = O_PATH | O_DIRECTORY, .intent = CB_OPEN_SEARCH};
    char *path;
    int error = path_get_user(user_path, &path);

    if (error != 0) {
        return error;
    }
    request.path = path;
    error = path[0] == '\0' ? -ENOENT : path_open_intent(current_process()->fs, &request, out);
    path_put(path);
    if (error == 0 && !((*out)->traits & FILE_DIRECTORY)) {
        file_put(*out);
        error = -ENOTDIR;
    }
    return error;
}

long sys_chdir(u64 user_path)
{
    struct file *file;
    int error = open_directory(user_path, &file);

    if (error == 0) {
        fs_set_cwd(current_process()->fs, file);
        file_put(file);
    }
    return error;
}

long sys_fchdir(s32 fd)
{
    u64 args[] = {X_OK, AT_EACCESS};
    struct file *file;
    s64 result = fd_get(fd, &file);

    if (result != 0) {
        return result;
    }
    if (!(file->traits & FILE_DIRECTORY)) {
        result = -ENOTDIR;
    } else {
        result =
            connection_simple_call(file->private, CB_OP_ACCESS, args, ARRAY_SIZE(args), NULL, 0);
    }
    if (result >= 0) {
        fs_set_cwd(current_process()->fs, file);
        result = 0;
    }
    file_put(file);
    return result;
}

long sys_chroot(u64 user_path)
{
    struct file *file;
    int error = open_directory(user_path, &file);

    if (error != 0) {
        return error;
    }
    if (has_capability(CAP_SYS_CHROOT)) {
        fs_set_root(current_process()->fs, file);
    } else {
        error = -EPERM;
    }
    file_put(file);
    return error;
}

long sys_mount(u64 source, u64 target, u64 type, u64 flags, u64 data)
{
    struct path_op op;
    s64 result;

    if (!has_capability(CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    result = path_op_start(&op, CB_OP_MOUNT, target);
    if (result != 0) {
        return result;
    }
    op.msg->args[0] = flags;
    result = type == 0 ? path_get_kernel("", &op.msg->path2) : path_get_user(type, &op.msg->path2);
    if (result != 0) {
        message_put(op.msg);
        return result;
    }
    result = path_op_finish(&op, AT_FDCWD);
    return result > 0 ? 0 : result;
}

long sys_umount2(u64 target, u32 flags)
{
    if (!has_capability(CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    return simple_op(CB_OP_UMOUNT, AT_FDCWD, target, flags, 0);
}
