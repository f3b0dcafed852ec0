/*
 * Path names: from a user's string to the server that resolves it.
 *
 * Owns: which directory a path starts at, redirections between servers, path buffers. It never
 * looks into a path beyond its first byte. Read next: kernel/syscall/sys_path.c.
 */
#include <ipc/path.h>

#include <ipc/connection.h>
#include <ipc/fdtable.h>
#include <ipc/fs_context.h>
#include <ipc/message.h>
#include <ipc/reopen.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/process.h>
#include <proc/thread.h>

static struct kmem_cache *path_cache;

/* Flags that say how to open; they do not stay with the open file. */
#define OPEN_ONLY_FLAGS                                                                            \
    (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW)

void path_init(void)
{
    path_cache = kmem_cache_create("path", CB_PATH_MAX, 0, NULL);
}

int path_get_user(u64 addr, char **out)
{
    char *path = kmem_cache_alloc(path_cache, ALLOC_KERNEL);
    s64 len;

    if (path == NULL) {
        return -ENOMEM;
    }
    len = strncpy_from_user(path, addr, CB_PATH_MAX);
    if (len < 0) {
        path_put(path);
        return (int)len;
    }
    *out = path;
    return 0;
}

int path_get_kernel(const char *path, char **out)
{
    size_t len = strnlen(path, CB_PATH_MAX);
    char *copy;

    if (len == CB_PATH_MAX) {
        return -ENAMETOOLONG;
    }
    copy = kmem_cache_alloc(path_cache, ALLOC_KERNEL);
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, path, len + 1);
    *out = copy;
    return 0;
}

void path_put(char *path)
{
    if (path != NULL) {
        kmem_cache_free(path_cache, path);
    }
}

/* The directory where a relative path starts, with a reference. */
static int relative_start(struct fs_context *fs, s32 dirfd, struct file **out)
{
    struct file *file = NULL;
    int error;

    if (dirfd == AT_FDCWD) {
        file = fs == NULL ? NULL : fs_get_cwd(fs);
    } else {
        error = fd_get(dirfd, &file);
        if (error != 0) {
            return error;
        }
        if (!(file->traits & FILE_DIRECTORY)) {
            file_put(file);
            return -ENOTDIR;
        }
    }
    if (file == NULL) {
        return -ENOENT;
    }
    *out = file;
    return 0;
}

/* The same for any path. */
static int path_start(struct fs_context *fs, s32 dirfd, const char *path, struct file **out)
{
    if (path[0] != '/') {
        return relative_start(fs, dirfd, out);
    }
    *out = fs == NULL ? NULL : fs_get_root(fs);
    return *out == NULL ? -ENOENT : 0;
}

/* The root's cookie, if the server that resolves the path is the one that made it. */
static u64 root_cookie(struct fs_context *fs, const struct port *port)
{
    u64 cookie = 0;

    if (fs == NULL) {
        return 0;
    }
    spin_lock(&fs->lock);
    if (fs->root != NULL) {
        struct connection *conn = connection_of_file(fs->root);

        cookie = conn != NULL && conn->port == port ? conn->cookie : 0;
    }
    spin_unlock(&fs->lock);
    return cookie;
}

/* Sends to @target and to where that leads. Takes over the reference to @target. */
static s64 path_follow(struct fs_context *fs, struct file *target, struct message *msg)
{
    for (u32 i = 0; i < PATH_MAX_REDIRECTS; i++) {
        struct connection *conn = connection_of_file(target);
        s64 result;

        if (conn == NULL) {
            file_put(target);
            return -ENOTDIR;
        }
        msg->args[5] = root_cookie(fs, conn->port);
        result = message_call(msg, conn);
        if (result < 0 || !(msg->reply_flags & CB_REPLY_REDIRECT)) {
            file_put(target);
            return result;
        }
        file_put(target);
        target = msg->reply_file;
        msg->reply_file = NULL;
        message_restart(msg);
    }
    file_put(target);
    return -ELOOP;
}

s64 path_call(struct fs_context *fs, s32 dirfd, struct message *msg)
{
    struct file *target;
    int error = path_start(fs, dirfd, msg->path, &target);

    if (error != 0) {
        return error;
    }
    return path_follow(fs, target, msg);
}

s64 path_call2(struct fs_context *fs, s32 dirfd, s32 dirfd2, struct message *msg)
{
    struct file *target;
    struct file *target2;
    struct connection *conn;
    struct connection *conn2;
    s64 result;
    int error = path_start(fs, dirfd2, msg->path2, &target2);

    if (error != 0) {
        return error;
    }
    if (msg->op == CB_OP_SYMLINK) {
        file_get(target2);
        target = target2;
    } else {
        error = path_start(fs, dirfd, msg->path, &target);
        if (error != 0) {
            file_put(target2);
            return error;
        }
    }
    conn = connection_of_file(target);
    conn2 = connection_of_file(target2);
    if (conn == NULL || conn2 == NULL || conn->port != conn2->port) {
        file_put(target2);
        file_put(target);
        return conn == NULL || conn2 == NULL ? -ENOTDIR : -EXDEV;
    }
    msg->cookie2 = conn2->cookie;
    result = path_follow(fs, target, msg);
    /* target2 was open until the reply, so that its cookie stayed valid. */
    file_put(target2);
    return result;
}

/* Turns the reply to an OPEN into a file. @file is consumed. */
static int open_finish(struct message *msg, struct file *file,
                       const struct path_open_request *request, struct file **out)
{
    if (msg->reply_flags & CB_REPLY_OPEN) {
        *out = file;
        return 0;
    }
    file_put(file);
    if (msg->reply_flags & CB_REPLY_REOPEN) {
        return reopen_file(msg, request, out);
    }
    if (msg->reply_file == NULL) {
        return -EIO;
    }
    *out = msg->reply_file;
    msg->reply_file = NULL;
    return 0;
}

static s64 open_call(struct fs_context *fs, const struct path_open_request *request,
                     struct message *msg)
{
    struct file *start = request->start;
    int error = 0;

    if (start != NULL) {
        file_get(start);
    } else if (request->resolve & CB_RESOLVE_IN_ROOT) {
        error = relative_start(fs, request->dirfd, &start);
    } else {
        error = path_start(fs, request->dirfd, msg->path, &start);
    }
    return error != 0 ? error : path_follow(fs, start, msg);
}

int path_open_intent(struct fs_context *fs, const struct path_open_request *request,
                     struct file **out)
{
    struct message *msg;
    struct file *file;
    s64 result = message_alloc(CB_OP_OPEN, &msg);

    if (result != 0) {
        return (int)result;
    }
    result = path_get_kernel(request->path, &msg->path);
    if (result == 0) {
        result = connection_alloc(request->flags & ~(u32)OPEN_ONLY_FLAGS, &file);
    }
    if (result != 0) {
        message_put(msg);
        return (int)result;
    }
    msg->opening = file;
    msg->args[0] = request->flags;
    msg->args[1] = request->mode;
    msg->args[2] = request->intent;
    msg->args[3] = request->resolve;
    result = open_call(fs, request, msg);
    if (result < 0) {
        file_put(file);
    } else {
        result = open_finish(msg, file, request, out);
    }
    message_put(msg);
    return (int)result;
}

int path_open(struct fs_context *fs, s32 dirfd, const char *path, u32 flags, u32 mode,
              struct file **out)
{
    struct path_open_request request = {
        .dirfd = dirfd, .path = path, .flags = flags, .mode = mode, .intent = CB_OPEN_PLAIN};

    if (path[0] == '\0') {
        return -ENOENT;
    }
    return path_open_intent(fs, &request, out);
}

int path_open_exec(struct fs_context *fs, s32 dirfd, const char *path, u32 at_flags,
                   struct file **out)
{
    struct path_open_request request = {
        .dirfd = dirfd, .path = path, .flags = O_RDONLY, .intent = CB_OPEN_EXEC};

    if (path[0] == '\0') {
        return -ENOENT;
    }
    if (at_flags & AT_SYMLINK_NOFOLLOW) {
        request.flags |= O_NOFOLLOW;
    }
    return path_open_intent(fs, &request, out);
}

s64 path_of_directory(struct fs_context *fs, struct file *directory, char *path)
{
    struct connection *conn = connection_of_file(directory);
    u64 args[6] = {0};
    s64 len;

    if (conn == NULL) {
        return -ENOENT;
    }
    args[5] = root_cookie(fs, conn->port);
    len = connection_simple_call(conn, CB_OP_GETCWD, args, ARRAY_SIZE(args), path, CB_PATH_MAX - 1);
    if (len >= CB_PATH_MAX) {
        return -EIO;
    }
    if (len >= 0) {
        path[len] = '\0';
    }
    return len;
}
