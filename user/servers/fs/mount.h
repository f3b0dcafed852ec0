/*
 * The mount table: which file systems there are, and which directory each one covers. All of them
 * live in this server: tmpfs kinds are trees of nodes, so is a direct device's, proc is generated.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include "node.h"

#define MOUNT_ENTRY_SIZE 20 /* what one name adds to a directory's size, as tmpfs counts */
#define MOUNT_MAJOR      0

struct daxfs;

struct mount {
    struct mount *next; /* in the order of mounting */
    uint64_t refs;      /* its place in the table, and each of its nodes */
    const char *type;
    const char *source;
    const char *options;
    char *point;       /* absolute path of the covered directory; owned */
    uint32_t minor;    /* st_dev is makedev(0, minor) */
    uint32_t magic;    /* f_type of statfs */
    bool is_populated; /* what it began with can be made again */
    uint64_t next_ino;
    struct node *root;    /* held */
    struct node *covered; /* held; NULL for the root file system */
    struct daxfs *dax;    /* on a direct device; NULL: in memory */
};

/**
 * mount_create() - mount a new file system, or with "daxfs" the one of a direct device.
 * @type:    "tmpfs", "ramfs", "devtmpfs", "proc", "sysfs", "debugfs", "rootfs", "daxfs"; anything
 *           else is -ENODEV
 * @covered: a directory, or NULL for the root of everything
 * @point:   its path, copied
 * Return: 0, -ENODEV, -ENOTDIR, -ENOMEM, -EBUSY (the same stands there already), or what
 *         dax_mount() says.
 */
int mount_create(const char *type, struct node *covered, const char *point, struct mount **out);

/** mount_remove() - unmount; -EINVAL: not the root of a mount, -EBUSY: in use, or holds names that
 *  are nowhere else. */
int mount_remove(struct node *root);

/** mount_put() - one reference less; the last one frees the mount. */
void mount_put(struct mount *mount);

/** mount_first() - the mounts, oldest first, through mount.next. */
struct mount *mount_first(void);

/** mount_root() - the root of the whole name space. */
struct node *mount_root(void);

/** mount_next_ino() - a number for a new node. */
static inline uint64_t mount_next_ino(struct mount *mount)
{
    return mount->next_ino++;
}

/** mount_at() - what is mounted on a directory of a tree, or NULL. */
static inline struct mount *mount_at(const struct node *dir)
{
    return dir->ops == &tree_node_ops ? dir->dir.mounted : NULL;
}

#endif
