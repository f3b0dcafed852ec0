/* MKDIR, MKNOD, SYMLINK, LINK, UNLINK: making and removing names. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "access.h"
#include "dir.h"
#include "fs.h"
#include "mount.h"

#define LINK_TEXT_MAX 4095u

/* The checks that come before a name is made, whatever it will name. */
static int check_new_name(const struct walk *walk, bool may_have_slash)
{
    if (walk->last != WALK_LAST_NAME || walk->node != NULL) {
        return -EEXIST;
    }
    if (walk->has_trailing_slash && !may_have_slash) {
        return -ENOENT;
    }
    return fs_may_create(walk->dir, walk->caller);
}

int64_t op_mkdir(struct cb_request *request)
{
    struct caller caller = fs_caller(request->msg);
    uint32_t mode = (uint32_t)request->msg->args[0] & (0777 | S_ISVTX);
    struct walk walk = {0};

    int error = fs_walk(request, &caller, WALK_PARENT, &walk);
    if (error != 0) {
        return error;
    }
    error = check_new_name(&walk, true);
    if (error == 0) {
        error = fs_create_child(walk.dir, &caller, walk.name, walk.name_len, S_IFDIR | mode, NULL);
    }
    walk_release(&walk);
    return error;
}

static int check_mknod_type(uint32_t type, const struct caller *caller)
{
    switch (type) {
    case 0:
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
        return 0;
    case S_IFCHR:
    case S_IFBLK:
        return caller->uid == 0 ? 0 : -EPERM;
    case S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
}

int64_t op_mknod(struct cb_request *request)
{
    struct caller caller = fs_caller(request->msg);
    uint32_t mode = (uint32_t)request->msg->args[0];
    struct walk walk = {0};
    struct node *node;

    int error = check_mknod_type(mode & S_IFMT, &caller);
    if (error == 0) {
        error = fs_walk(request, &caller, WALK_PARENT, &walk);
    }
    if (error != 0) {
        return error;
    }
    uint32_t type = (mode & S_IFMT) == 0 ? S_IFREG : mode & S_IFMT;
    error = check_new_name(&walk, false);
    if (error == 0) {
        error = fs_create_child(walk.dir, &caller, walk.name, walk.name_len,
                                type | (mode & FS_MODE_BITS), &node);
    }
    if (error == 0) {
        node->rdev = type == S_IFCHR || type == S_IFBLK ? request->msg->args[1] : 0;
        node_put(node);
    }
    walk_release(&walk);
    return error;
}

int64_t op_symlink(struct cb_request *request)
{
    struct caller caller = fs_caller(request->msg);
    const char *text = cb_msg_path(request->msg);
    size_t len = request->msg->path_len;
    struct walk walk = {0};
    struct node *node;

    if (len == 0) {
        return -ENOENT;
    }
    if (len > LINK_TEXT_MAX) {
        return -ENAMETOOLONG;
    }
    int error = fs_walk_second(request, &caller, WALK_PARENT, &walk);
    if (error != 0) {
        return error;
    }
    error = check_new_name(&walk, false);
    char *target = error == 0 ? strdup(text) : NULL;
    if (error == 0 && target == NULL) {
        error = -ENOSPC;
    }
    if (error == 0) {
        error = fs_create_child(walk.dir, &caller, walk.name, walk.name_len, S_IFLNK | 0777, &node);
    }
    if (error == 0) {
        node->target = target;
        node->size = len;
        node_put(node);
    } else {
        free(target);
    }
    walk_release(&walk);
    return error;
}

static int check_link_source(const struct node *node, const struct node *dir,
                             const struct cb_request *request)
{
    bool is_nameless = node->nlink == 0;

    if (node->mount != dir->mount) {
        return -EXDEV;
    }
    if (node_is_dir(node) || node->ops != &tree_node_ops) {
        return -EPERM;
    }
    if (node->nlink == FS_NLINK_MAX) {
        return -EMLINK;
    }
    if (!is_nameless) {
        return 0;
    }
    /* A file that lost its last name stays without; one made by O_TMPFILE may get its first. */
    const struct open_file *file = open_file_next(NULL);
    for (; file != NULL; file = open_file_next(file)) {
        if (file->node == node && (file->flags & (O_TMPFILE & ~O_DIRECTORY)) != 0) {
            bool is_exclusive = (file->flags & O_EXCL) != 0;
            return is_exclusive ? -ENOENT : 0;
        }
    }
    (void)request;
    return -ENOENT;
}

int64_t op_link(struct cb_request *request)
{
    struct caller caller = fs_caller(request->msg);
    unsigned flags = (unsigned)request->msg->args[0];
    struct node *node;
    struct walk walk = {0};

    if ((flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    if (request->msg->path_len == 0 && (flags & AT_EMPTY_PATH) == 0) {
        return -ENOENT;
    }
    enum walk_mode mode = (flags & AT_SYMLINK_FOLLOW) != 0 ? WALK_FOLLOW : WALK_NOFOLLOW;
    int error = fs_target(request, &caller, mode, &node);
    if (error != 0) {
        return error;
    }
    error = fs_walk_second(request, &caller, WALK_PARENT, &walk);
    if (error != 0) {
        node_put(node);
        return error;
    }
    if (walk.last != WALK_LAST_NAME || walk.node != NULL) {
        error = -EEXIST;
    } else if (node->mount != walk.dir->mount) {
        error = -EXDEV;
    } else {
        error = check_new_name(&walk, false);
    }
    if (error == 0) {
        error = check_link_source(node, walk.dir, request);
    }
    struct entry *entry = error == 0 ? dir_prepare(walk.dir, walk.name, walk.name_len) : NULL;
    if (entry != NULL) {
        dir_add(entry, node);
        node_touch_meta(node);
        node_touch_changed(walk.dir);
    } else if (error == 0) {
        error = -ENOSPC;
    }
    walk_release(&walk);
    node_put(node);
    return error;
}

static int remove_directory(const struct walk *walk)
{
    static const int by_last[] = {
        [WALK_LAST_DOT] = -EINVAL, [WALK_LAST_DOTDOT] = -ENOTEMPTY, [WALK_LAST_ROOT] = -EBUSY};
    struct node *victim = walk->node;

    if (walk->last != WALK_LAST_NAME) {
        return by_last[walk->last];
    }
    if (victim == NULL) {
        return -ENOENT;
    }
    if (victim == victim->mount->root && node_is_dir(victim)) {
        return -EBUSY;
    }
    int error = access_check_delete(walk->dir, victim, walk->caller);
    if (error != 0) {
        return error;
    }
    if (!node_is_dir(victim)) {
        return -ENOTDIR;
    }
    if (victim->ops != &tree_node_ops) {
        return -EPERM;
    }
    if (!dir_is_empty(victim)) {
        return -ENOTEMPTY;
    }
    dir_remove(victim->dir.self);
    victim->nlink = 0;
    node_touch_meta(victim);
    node_touch_changed(walk->dir);
    return 0;
}

static int remove_file(const struct walk *walk)
{
    struct node *victim = walk->node;

    if (walk->last != WALK_LAST_NAME) {
        return -EISDIR;
    }
    if (victim == NULL) {
        return -ENOENT;
    }
    if (walk->has_trailing_slash) {
        return node_is_dir(victim) ? -EISDIR : -ENOTDIR;
    }
    int error = access_check_delete(walk->dir, victim, walk->caller);
    if (error != 0) {
        return error;
    }
    if (node_is_dir(victim)) {
        return -EISDIR;
    }
    if (walk->dir->ops != &tree_node_ops) {
        return -EPERM;
    }
    dir_remove(dir_find(walk->dir, walk->name, walk->name_len));
    node_touch_meta(victim);
    node_touch_changed(walk->dir);
    return 0;
}

int64_t op_unlink(struct cb_request *request)
{
    struct caller caller = fs_caller(request->msg);
    unsigned flags = (unsigned)request->msg->args[0];
    struct walk walk = {0};

    if ((flags & ~(unsigned)AT_REMOVEDIR) != 0) {
        return -EINVAL;
    }
    int error = fs_walk(request, &caller, WALK_PARENT, &walk);
    if (error != 0) {
        return error;
    }
    error = (flags & AT_REMOVEDIR) != 0 ? remove_directory(&walk) : remove_file(&walk);
    walk_release(&walk);
    return error;
}
