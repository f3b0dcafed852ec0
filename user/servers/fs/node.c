/*
 * Nodes of the tree: creation, holders, time stamps. Names are in dir.c, content in data.c; read
 * dir.h next.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "data.h"
#include "dax.h"
#include "dir.h"
#include "fifo.h"
#include "mount.h"
#include "node.h"

#define RELATIME_SECONDS (24 * 60 * 60)

static uint64_t nr_nodes;

struct node *node_create_with(const struct node_ops *ops, struct mount *mount, uint32_t mode)
{
    struct node *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        return NULL;
    }
    node->ops = ops;
    node->mount = mount;
    mount->refs++;
    node->refs = 1;
    node->mode = mode;
    node->atime = node_now();
    node->mtime = node->atime;
    node->ctime = node->atime;
    nr_nodes++;
    return node;
}

struct node *node_create(struct mount *mount, uint32_t mode, uint32_t uid, uint32_t gid)
{
    struct node *node = node_create_with(&tree_node_ops, mount, mode);
    if (node == NULL) {
        return NULL;
    }
    node->ino = mount_next_ino(mount);
    node->uid = uid;
    node->gid = gid;
    if (S_ISDIR(mode)) {
        node->nlink = 2;
        node->size = 2 * MOUNT_ENTRY_SIZE;
        node->dir.next_sequence = DIR_FIRST_SEQUENCE;
    } else if (S_ISREG(mode)) {
        node->data.fd = -1;
    }
    return node;
}

struct node *node_get(struct node *node)
{
    node->refs++;
    return node;
}

void node_put(struct node *node)
{
    if (node == NULL || --node->refs > 0) {
        return;
    }
    if (node->ops->release != NULL) {
        node->ops->release(node);
    }
    mount_put(node->mount);
    free(node);
    nr_nodes--;
}

uint64_t node_count(void)
{
    return nr_nodes;
}

struct timespec node_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now;
}

void node_touch_changed(struct node *node)
{
    node->mtime = node_now();
    node->ctime = node->mtime;
    dax_touch(node);
}

void node_touch_meta(struct node *node)
{
    node->ctime = node_now();
    dax_touch(node);
}

static bool is_not_after(struct timespec first, struct timespec second)
{
    if (first.tv_sec != second.tv_sec) {
        return first.tv_sec < second.tv_sec;
    }
    return first.tv_nsec <= second.tv_nsec;
}

void node_touch_accessed(struct node *node)
{
    struct timespec now = node_now();

    if (is_not_after(node->atime, node->mtime) || is_not_after(node->atime, node->ctime) ||
        now.tv_sec - node->atime.tv_sec >= RELATIME_SECONDS) {
        node->atime = now;
    }
}

static int tree_lookup(struct node *dir, const struct caller *caller, const char *name, size_t len,
                       struct node **found)
{
    (void)caller;
    struct entry *entry = dir_find(dir, name, len);
    if (entry == NULL) {
        return -ENOENT;
    }
    *found = node_get(entry->node);
    return 0;
}

static struct node *tree_parent(struct node *dir)
{
    return node_get(dir->dir.parent != NULL ? dir->dir.parent : dir);
}

static long tree_read_link(struct node *link, const struct caller *caller, char *buf, size_t size)
{
    (void)caller;
    size_t len = link->size < size ? link->size : size;
    memcpy(buf, link->target, len);
    node_touch_accessed(link);
    return (long)len;
}

static void tree_release(struct node *node)
{
    if (S_ISDIR(node->mode)) {
        dir_release(node);
    } else if (S_ISREG(node->mode)) {
        data_release(node);
    } else if (S_ISLNK(node->mode)) {
        free(node->target);
    } else if (S_ISFIFO(node->mode)) {
        fifo_release(node);
    }
}

const struct node_ops tree_node_ops = {
    .lookup = tree_lookup,
    .list = dir_list,
    .parent = tree_parent,
    .read_link = tree_read_link,
    .release = tree_release,
};
