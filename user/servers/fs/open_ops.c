/* OPEN and CLOSE: the checks of open(2) in Linux's order, then the reply that fits the file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "access.h"
#include "data.h"
#include "dev.h"
#include "dir.h"
#include "fifo.h"
#include "fs.h"
#include "mount.h"
#include "paged.h"

#ifndef O_PATH
#define O_PATH 010000000
#endif
#define OPEN_TMPFILE (O_TMPFILE & ~O_DIRECTORY)

struct opening {
    struct cb_request *request;
    struct caller caller;
    uint32_t flags;
    uint32_t mode;
    uint64_t intent;
    struct walk walk;
    struct node *node; /* held once found or made */
    bool is_new;
};

static int check_flags(const struct opening *opening)
{
    uint32_t flags = opening->flags;

    if ((flags & (O_PATH | OPEN_TMPFILE | O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY)) {
        return -EINVAL;
    }
    if ((flags & OPEN_TMPFILE) != 0) {
        bool can_write = (flags & O_ACCMODE) == O_WRONLY || (flags & O_ACCMODE) == O_RDWR;
        if ((flags & O_DIRECTORY) == 0 || (flags & O_CREAT) != 0 || !can_write) {
            return -EINVAL;
        }
    }
    return 0;
}

static enum walk_mode walk_mode_of(uint32_t flags)
{
    bool is_exclusive = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
    return (flags & O_NOFOLLOW) != 0 || is_exclusive ? WALK_NOFOLLOW : WALK_FOLLOW;
}

static int create_file(struct opening *opening)
{
    struct walk *walk = &opening->walk;
    int error = fs_may_create(walk->dir, &opening->caller);

    if (error != 0) {
        return error;
    }
    error = fs_create_child(walk->dir, &opening->caller, walk->name, walk->name_len,
                            S_IFREG | (opening->mode & FS_MODE_BITS), &opening->node);
    opening->is_new = error == 0;
    return error;
}

static int create_nameless(struct opening *opening)
{
    struct node *dir = opening->walk.node;

    if (!node_is_dir(dir)) {
        return -ENOTDIR;
    }
    int error = access_check(dir, &opening->caller, ACCESS_WRITE | ACCESS_EXEC);
    if (error != 0) {
        return error;
    }
    if (dir->ops != &tree_node_ops) {
        return -EOPNOTSUPP;
    }
    opening->node = fs_new_node(dir, &opening->caller, S_IFREG | (opening->mode & FS_MODE_BITS));
    opening->is_new = true;
    return opening->node != NULL ? 0 : -ENOSPC;
}

/*
 * In a directory where everybody makes names but may remove only his own (/tmp), opening with
 * O_CREAT what somebody else planted there is refused, as on Linux; regular files and FIFOs only
 * when a sysctl says so, which is off.
 */
static bool is_planted(const struct walk *walk)
{
    const uint32_t shared = S_ISVTX | S_IWOTH;
    const struct node *node = walk->node;

    return (walk->dir->mode & shared) == shared && !S_ISREG(node->mode) && !S_ISFIFO(node->mode) &&
           node->uid != walk->dir->uid && node->uid != walk->caller->uid;
}

/* Find the file, or make it. */
static int find_or_create(struct opening *opening)
{
    struct walk *walk = &opening->walk;
    bool creates = (opening->flags & O_CREAT) != 0 && (opening->flags & O_PATH) == 0;

    if (walk->node == NULL) {
        return creates ? create_file(opening) : -ENOENT;
    }
    if ((opening->flags & OPEN_TMPFILE) != 0 && (opening->flags & O_PATH) == 0) {
        return create_nameless(opening);
    }
    if (creates && (opening->flags & O_EXCL) != 0) {
        return -EEXIST;
    }
    if (creates && node_is_dir(walk->node)) {
        return -EISDIR;
    }
    if (creates && walk->last == WALK_LAST_NAME && is_planted(walk)) {
        return -EACCES;
    }
    opening->node = node_get(walk->node);
    return 0;
}

static unsigned wanted_access(uint32_t flags)
{
    static const unsigned by_mode[] = {ACCESS_READ, ACCESS_WRITE, ACCESS_READ | ACCESS_WRITE,
                                       ACCESS_READ | ACCESS_WRITE};
    return by_mode[flags & O_ACCMODE] | ((flags & O_TRUNC) != 0 ? ACCESS_WRITE : 0);
}

static int check_intent(const struct opening *opening)
{
    if (opening->intent == CB_OPEN_SEARCH) {
        return node_is_dir(opening->node)
                   ? access_check(opening->node, &opening->caller, ACCESS_EXEC)
                   : -ENOTDIR;
    }
    if (opening->intent == CB_OPEN_EXEC) {
        return S_ISREG(opening->node->mode)
                   ? access_check(opening->node, &opening->caller, ACCESS_EXEC)
                   : -EACCES;
    }
    return 0;
}

static int check_existing(const struct opening *opening)
{
    const struct node *node = opening->node;
    uint32_t flags = opening->flags;

    if (opening->walk.is_descriptor) {
        return (flags & O_DIRECTORY) != 0 ? -ENOTDIR : 0;
    }
    if (node_is_link(node) && (flags & O_PATH) == 0) {
        return (flags & O_DIRECTORY) != 0 ? -ENOTDIR : -ELOOP;
    }
    if ((flags & O_DIRECTORY) != 0 && !node_is_dir(node)) {
        return -ENOTDIR;
    }
    if ((flags & O_PATH) != 0 || opening->intent != CB_OPEN_PLAIN) {
        return check_intent(opening);
    }
    unsigned wanted = wanted_access(flags);
    if (node_is_dir(node) && (wanted & ACCESS_WRITE) != 0) {
        return -EISDIR;
    }
    int error = access_check(node, &opening->caller, wanted);
    if (error != 0) {
        return error;
    }
    if ((flags & O_NOATIME) != 0 && !access_is_owner(node, &opening->caller)) {
        return -EPERM;
    }
    return 0;
}

static unsigned conn_flags_of(const struct opening *opening)
{
    const struct node *node = opening->node;
    unsigned flags = S_ISFIFO(node->mode) ? 0 : CB_CONN_READY;

    if (S_ISREG(node->mode) || node_is_dir(node) || S_ISCHR(node->mode)) {
        flags |= CB_CONN_SEEKABLE;
    }
    if (node_is_dir(node)) {
        flags |= CB_CONN_DIR;
    }
    if ((opening->flags & O_PATH) != 0) {
        flags |= CB_CONN_PATHONLY | CB_CONN_READY;
    }
    return flags;
}

/* The name that /proc shows. A file without one gets what Linux makes up. */
static void set_name(struct opening *opening, struct path_text *path)
{
    struct walk *walk = &opening->walk;
    int error = 0;

    path_text_init(path);
    if ((opening->flags & OPEN_TMPFILE) != 0 && opening->is_new) {
        char name[32];
        int len = snprintf(name, sizeof(name), "#%llu", (unsigned long long)opening->node->ino);
        error = path_text_prepend(path, name, (size_t)len);
    } else if (walk->last == WALK_LAST_NAME) {
        error = path_text_prepend(path, walk->name, walk->name_len);
    }
    if (error == 0 && path_prepend_dir(path, walk->dir, mount_root()) == 0 &&
        path_text_len(path) < CB_PATH_MAX) {
        struct cb_reply *reply = &opening->request->reply;
        reply->flags |= CB_REPLY_NAME;
        reply->data = (uintptr_t)(path->bytes + path->start);
        reply->data_len = (uint32_t)path_text_len(path);
    }
}

static int truncate_opened(struct opening *opening)
{
    if ((opening->flags & O_TRUNC) == 0 || opening->is_new || !S_ISREG(opening->node->mode) ||
        opening->node->ops != &tree_node_ops) {
        return 0;
    }
    int error = data_truncate(opening->node, 0);
    if (error == 0) {
        node_touch_changed(opening->node);
        access_drop_privileges(opening->node, &opening->caller);
    }
    return error;
}

/* Hands out the kernel's own file, if there is one behind the node. Return: 0 or -errno. */
static int open_in_kernel(struct opening *opening)
{
    const uint32_t kept = O_ACCMODE | O_APPEND | O_NONBLOCK | O_LARGEFILE;
    struct node *node = opening->node;
    int fd = node->ops->open_in_kernel(node, &opening->caller, opening->flags & kept);

    if (fd < 0) {
        return fd;
    }
    fs_hand_over(opening->request, fd);
    return 0;
}

static int64_t open_node(struct opening *opening, struct path_text *path)
{
    struct cb_request *request = opening->request;
    bool is_path = (opening->flags & O_PATH) != 0;

    if (opening->walk.is_descriptor) {
        fs_answer_descriptor(request, &opening->walk);
        return 0;
    }
    if (S_ISSOCK(opening->node->mode) && !is_path) {
        return -ENXIO;
    }
    if ((S_ISCHR(opening->node->mode) || S_ISBLK(opening->node->mode)) && !is_path) {
        bool is_ours = false;
        int error = dev_open(opening->node, request, opening->flags, &is_ours);
        if (error != 0 || !is_ours) {
            return error;
        }
    }
    if (opening->node->ops->open_in_kernel != NULL && !is_path) {
        int fd = open_in_kernel(opening);
        if (fd != -ENOSYS) {
            return fd;
        }
    }
    int error = truncate_opened(opening);
    if (error != 0) {
        return error;
    }
    uint64_t cookie;
    error = open_file_create(opening->node, opening->flags, &cookie);
    if (error != 0) {
        return error;
    }
    request->reply.flags |= CB_REPLY_OPEN;
    request->reply.cookie = cookie;
    request->reply.conn_flags = conn_flags_of(opening);
    set_name(opening, path);
    if (S_ISFIFO(opening->node->mode) && !is_path) {
        error = fifo_open(request, open_file_find(cookie));
        if (error != 0) {
            open_file_close(cookie);
        }
    }
    return error;
}

int64_t op_open(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;
    struct path_text path;
    struct opening opening = {
        .request = request,
        .caller = fs_caller(msg),
        .flags = (uint32_t)msg->args[0],
        .mode = (uint32_t)msg->args[1],
        .intent = msg->args[2],
    };

    if ((opening.flags & O_PATH) != 0) {
        opening.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    }
    int error = check_flags(&opening);
    if (error != 0) {
        return error;
    }
    opening.walk.is_for_create = (opening.flags & O_CREAT) != 0;
    opening.walk.takes_descriptor = true;
    opening.walk.resolve = (uint32_t)msg->args[3];
    error = fs_walk(request, &opening.caller, walk_mode_of(opening.flags), &opening.walk);
    if (error != 0) {
        return error;
    }
    int64_t result = find_or_create(&opening);
    if (result == 0 && !opening.is_new) {
        result = check_existing(&opening);
    }
    if (result == 0) {
        result = open_node(&opening, &path);
    }
    /* The reply's name lies in `path`: it must leave before this frame does. */
    if (result == 0 && !request->is_deferred) {
        request->is_deferred = true;
        if (cb_msg_reply(request->port, &request->reply) != 0 &&
            (request->reply.flags & CB_REPLY_OPEN) != 0) {
            open_file_close(request->reply.cookie);
        }
    }
    node_put(opening.node);
    walk_release(&opening.walk);
    return result;
}

int64_t op_close(struct cb_request *request)
{
    /* A paged object that is gone leaves nothing behind here. */
    if (!paged_is_cookie(request->msg->cookie)) {
        open_file_close(request->msg->cookie);
    }
    return 0;
}
