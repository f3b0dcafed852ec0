/* MOUNT and UMOUNT. */
#include <errno.h>
#include <string.h>
#include "fs.h"
#include "mount.h"

#define FLAG_REMOUNT 32u

int64_t op_mount(struct cb_request *request)
{
    static struct path_text path;
    struct caller caller = fs_caller(request->msg);
    struct mount *mount;
    struct walk walk = {0};

    if (caller.uid != 0) {
        return -EPERM;
    }
    int error = fs_walk(request, &caller, WALK_FOLLOW, &walk);
    if (error != 0) {
        return error;
    }
    path_text_init(&path);
    if (walk.node == NULL) {
        error = -ENOENT;
    } else if (!node_is_dir(walk.node)) {
        error = -ENOTDIR;
    } else if ((request->msg->args[0] & FLAG_REMOUNT) != 0) {
        error = walk.node == walk.node->mount->root ? 0 : -EINVAL;
    } else {
        error = path_prepend_dir(&path, walk.node, mount_root());
        if (error == 0) {
            char point[sizeof(path.bytes) + 1] = {0};
            memcpy(point, path.bytes + path.start, path_text_len(&path));
            error = mount_create(cb_msg_path2(request->msg), walk.node, point, &mount);
        }
    }
    walk_release(&walk);
    return error;
}

int64_t op_umount(struct cb_request *request)
{
    struct caller caller = fs_caller(request->msg);
    struct walk walk = {0};

    if (caller.uid != 0) {
        return -EPERM;
    }
    int error = fs_walk(request, &caller, WALK_FOLLOW, &walk);
    if (error != 0) {
        return error;
    }
    struct node *root = walk.node != NULL ? node_get(walk.node) : NULL;
    walk_release(&walk);
    error = root != NULL ? mount_remove(root) : -ENOENT;
    node_put(root);
    return error;
}
