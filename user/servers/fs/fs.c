/* From messages to nodes, and the making of new nodes. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "access.h"
#include "dir.h"
#include "fs.h"
#include "mount.h"

struct fs_state fs = {.port = -1, .console = -1};

struct caller fs_caller(const struct cb_msg *msg)
{
    return (struct caller){
        .pid = msg->sender.pid,
        .tid = msg->sender.tid,
        .uid = msg->sender.uid,
        .gid = msg->sender.gid,
        .umask = msg->sender.umask & 0777,
    };
}

struct open_file *fs_open_file(const struct cb_request *request)
{
    return open_file_find(request->msg->cookie);
}

struct node *fs_root_of(const struct cb_request *request)
{
    struct open_file *root = open_file_find(request->msg->args[5]);

    return root != NULL && node_is_dir(root->node) ? root->node : mount_root();
}

static int walk_from(const struct cb_request *request, const struct caller *caller, uint64_t cookie,
                     const char *path, enum walk_mode mode, struct walk *walk)
{
    struct open_file *start = open_file_find(cookie);

    if (start == NULL) {
        return -EBADF;
    }
    walk->caller = caller;
    walk->start = start->node;
    walk->root = fs_root_of(request);
    return walk_path(walk, path, mode);
}

int fs_walk(const struct cb_request *request, const struct caller *caller, enum walk_mode mode,
            struct walk *walk)
{
    return walk_from(request, caller, request->msg->cookie, cb_msg_path(request->msg), mode, walk);
}

int fs_walk_second(const struct cb_request *request, const struct caller *caller,
                   enum walk_mode mode, struct walk *walk)
{
    return walk_from(request, caller, request->msg->cookie2, cb_msg_path2(request->msg), mode,
                     walk);
}

void fs_answer_descriptor(struct cb_request *request, const struct walk *walk)
{
    request->reply.flags = CB_REPLY_REOPEN;
    request->reply.cookie = (uint64_t)walk->descriptor.pid;
    request->reply.new_pos = (uint64_t)walk->descriptor.fd;
}

int fs_target(const struct cb_request *request, const struct caller *caller, enum walk_mode mode,
              struct node **node)
{
    struct walk walk = {0};

    if (request->msg->path_len == 0) {
        struct open_file *file = fs_open_file(request);
        if (file == NULL) {
            return -EBADF;
        }
        *node = node_get(file->node);
        return 0;
    }
    int error = fs_walk(request, caller, mode, &walk);
    if (error != 0) {
        return error;
    }
    if (walk.node == NULL) {
        walk_release(&walk);
        return -ENOENT;
    }
    *node = node_get(walk.node);
    walk_release(&walk);
    return 0;
}

int fs_may_create(const struct node *dir, const struct caller *caller)
{
    if (dir->ops != &tree_node_ops) {
        return -ENOENT;
    }
    if (dir->nlink == 0) {
        return -ENOENT;
    }
    return access_check(dir, caller, ACCESS_WRITE | ACCESS_EXEC);
}

struct node *fs_new_node(struct node *dir, const struct caller *caller, uint32_t mode)
{
    uint32_t gid = caller->gid;

    if (!S_ISLNK(mode)) {
        mode &= ~caller->umask;
    }
    if ((dir->mode & S_ISGID) != 0) {
        gid = dir->gid;
        if (S_ISDIR(mode)) {
            mode |= S_ISGID;
        } else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && caller->uid != 0 &&
                   !access_has_group(caller, gid)) {
            mode &= ~(uint32_t)S_ISGID;
        }
    }
    return node_create(dir->mount, mode, caller->uid, gid);
}

int fs_create_child(struct node *dir, const struct caller *caller, const char *name,
                    size_t name_len, uint32_t mode, struct node **out)
{
    struct entry *entry = dir_prepare(dir, name, name_len);
    if (entry == NULL) {
        return -ENOSPC;
    }
    struct node *node = fs_new_node(dir, caller, mode);
    if (node == NULL) {
        dir_discard(entry);
        return -ENOSPC;
    }
    dir_add(entry, node);
    node_touch_changed(dir);
    if (out != NULL) {
        *out = node;
    } else {
        node_put(node);
    }
    return 0;
}

int fs_make_directory(struct node *parent, const char *name, uint32_t mode, struct node **out)
{
    const struct caller root = {0};
    struct node *found;

    if (parent->ops->lookup(parent, &root, name, strlen(name), &found) == 0) {
        *out = found;
        return node_is_dir(found) ? 0 : -ENOTDIR;
    }
    return fs_create_child(parent, &root, name, strlen(name), S_IFDIR | mode, out);
}

void fs_hand_over(struct cb_request *request, int fd)
{
    request->reply.flags = CB_REPLY_FD;
    request->reply.fd = fd;
    request->is_deferred = true;
    cb_msg_reply(request->port, &request->reply);
    close(fd);
}
