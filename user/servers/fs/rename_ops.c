/* RENAME: the checks of rename(2) in Linux's order, then one change that cannot fail. */
#include <errno.h>
#include <stdio.h>
#include "access.h"
#include "dir.h"
#include "fs.h"
#include "mount.h"

#define FLAG_NOREPLACE 1u
#define FLAG_EXCHANGE  2u

struct renaming {
    struct walk from;
    struct walk to;
    unsigned flags;
};

static bool is_below(const struct node *dir, const struct node *ancestor)
{
    while (dir != NULL && dir != ancestor) {
        dir = dir->dir.parent;
    }
    return dir == ancestor;
}

static int check_slashes(const struct renaming *renaming)
{
    const struct walk *from = &renaming->from;
    const struct walk *to = &renaming->to;

    if (!node_is_dir(from->node)) {
        if (from->has_trailing_slash ||
            ((renaming->flags & FLAG_EXCHANGE) == 0 && to->has_trailing_slash)) {
            return -ENOTDIR;
        }
    }
    if ((renaming->flags & FLAG_EXCHANGE) != 0 && to->has_trailing_slash &&
        !node_is_dir(to->node)) {
        return -ENOTDIR;
    }
    return 0;
}

/* Who is above whom: a directory cannot go below itself, nor replace one that it lies in. */
static int check_ancestry(const struct renaming *renaming)
{
    const struct walk *from = &renaming->from;
    const struct walk *to = &renaming->to;

    if (node_is_dir(from->node) && is_below(to->dir, from->node)) {
        return -EINVAL;
    }
    if (to->node != NULL && node_is_dir(to->node) && is_below(from->dir, to->node)) {
        return (renaming->flags & FLAG_EXCHANGE) != 0 ? -EINVAL : -ENOTEMPTY;
    }
    return 0;
}

static int check_names(const struct renaming *renaming)
{
    const struct walk *from = &renaming->from;
    const struct walk *to = &renaming->to;

    if (from->dir->mount != to->dir->mount) {
        return -EXDEV;
    }
    if (from->last != WALK_LAST_NAME) {
        return -EBUSY;
    }
    if (to->last != WALK_LAST_NAME) {
        return (renaming->flags & FLAG_NOREPLACE) != 0 ? -EEXIST : -EBUSY;
    }
    if (from->node == NULL) {
        return -ENOENT;
    }
    if ((renaming->flags & FLAG_NOREPLACE) != 0 && to->node != NULL) {
        return -EEXIST;
    }
    if ((renaming->flags & FLAG_EXCHANGE) != 0 && to->node == NULL) {
        return -ENOENT;
    }
    int error = check_slashes(renaming);
    return error != 0 ? error : check_ancestry(renaming);
}

static bool is_mount_point(const struct node *node)
{
    return node_is_dir(node) && node == node->mount->root;
}

/* Permissions and types; both names exist as the flags want them. */
static int check_nodes(const struct renaming *renaming)
{
    const struct walk *from = &renaming->from;
    const struct walk *to = &renaming->to;
    bool is_exchange = (renaming->flags & FLAG_EXCHANGE) != 0;

    if (from->dir->ops != &tree_node_ops || to->dir->ops != &tree_node_ops) {
        return -EPERM;
    }
    int error = access_check_delete(from->dir, from->node, from->caller);
    if (error != 0) {
        return error;
    }
    if (to->node == NULL) {
        error = fs_may_create(to->dir, to->caller);
    } else {
        error = access_check_delete(to->dir, to->node, to->caller);
        if (error == 0 && !is_exchange && node_is_dir(from->node) && !node_is_dir(to->node)) {
            error = -ENOTDIR;
        }
        if (error == 0 && !is_exchange && !node_is_dir(from->node) && node_is_dir(to->node)) {
            error = -EISDIR;
        }
    }
    if (error != 0) {
        return error;
    }
    /* A directory that moves gets another "..", which is a change of the directory itself. */
    if (from->dir != to->dir && node_is_dir(from->node)) {
        error = access_check(from->node, from->caller, ACCESS_WRITE);
    }
    if (error == 0 && is_exchange && from->dir != to->dir && node_is_dir(to->node)) {
        error = access_check(to->node, to->caller, ACCESS_WRITE);
    }
    if (error != 0) {
        return error;
    }
    if (is_mount_point(from->node) || (to->node != NULL && is_mount_point(to->node))) {
        return -EBUSY;
    }
    if (!is_exchange && to->node != NULL && node_is_dir(to->node) && !dir_is_empty(to->node)) {
        return -ENOTEMPTY;
    }
    return 0;
}

static void touch_all(const struct renaming *renaming)
{
    node_touch_changed(renaming->from.dir);
    node_touch_changed(renaming->to.dir);
    node_touch_meta(renaming->from.node);
    if (renaming->to.node != NULL) {
        node_touch_meta(renaming->to.node);
    }
}

static int move(const struct renaming *renaming)
{
    const struct walk *from = &renaming->from;
    const struct walk *to = &renaming->to;
    struct entry *entry = dir_prepare(to->dir, to->name, to->name_len);

    if (entry == NULL) {
        return -ENOSPC;
    }
    if (to->node != NULL) {
        dir_remove(dir_find(to->dir, to->name, to->name_len));
        if (node_is_dir(to->node)) {
            to->node->nlink = 0;
        }
    }
    /* from->node is held by the walk, so it outlives the moment without a name. */
    dir_remove(dir_find(from->dir, from->name, from->name_len));
    dir_add(entry, from->node);
    touch_all(renaming);
    return 0;
}

static int rename_names(const struct renaming *renaming)
{
    int error = check_names(renaming);

    if (error != 0) {
        return error;
    }
    if (renaming->from.node == renaming->to.node) {
        /* Two names of one file: nothing to do, says POSIX. */
        return 0;
    }
    error = check_nodes(renaming);
    if (error != 0) {
        return error;
    }
    if ((renaming->flags & FLAG_EXCHANGE) == 0) {
        return move(renaming);
    }
    error = dir_exchange(dir_find(renaming->from.dir, renaming->from.name, renaming->from.name_len),
                         dir_find(renaming->to.dir, renaming->to.name, renaming->to.name_len));
    if (error == 0) {
        touch_all(renaming);
    }
    return error;
}

int64_t op_rename(struct cb_request *request)
{
    struct caller caller = fs_caller(request->msg);
    struct renaming renaming = {.flags = (unsigned)request->msg->args[0]};

    if ((renaming.flags & ~(FLAG_NOREPLACE | FLAG_EXCHANGE)) != 0 ||
        renaming.flags == (FLAG_NOREPLACE | FLAG_EXCHANGE)) {
        return -EINVAL;
    }
    int error = fs_walk(request, &caller, WALK_PARENT, &renaming.from);
    if (error != 0) {
        return error;
    }
    error = fs_walk_second(request, &caller, WALK_PARENT, &renaming.to);
    if (error == 0) {
        error = rename_names(&renaming);
        walk_release(&renaming.to);
    }
    walk_release(&renaming.from);
    return error;
}
