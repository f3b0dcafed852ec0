/* The mount table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "dax.h"
#include "mount.h"
#include "proc.h"

#define TMPFS_MAGIC   0x01021994u
#define RAMFS_MAGIC   0x858458f6u
#define PROC_MAGIC    0x9fa0u
#define SYSFS_MAGIC   0x62656572u
#define DEBUGFS_MAGIC 0x64626720u
#define DAXFS_MAGIC   0x64617831u

enum backing { BACKED_BY_MEMORY, GENERATED, BACKED_BY_DEVICE };

struct kind {
    const char *type;
    const char *shown_type;
    const char *source;
    const char *options;
    uint32_t magic;
    enum backing backing;
};

static const struct kind kinds[] = {
    {"rootfs", "tmpfs", "root", "rw,relatime", TMPFS_MAGIC, BACKED_BY_MEMORY},
    {"proc", "proc", "proc", "rw,relatime", PROC_MAGIC, GENERATED},
    {"devtmpfs", "devtmpfs", "dev", "rw,relatime", TMPFS_MAGIC, BACKED_BY_MEMORY},
    {"tmpfs", "tmpfs", "tmpfs", "rw,relatime", TMPFS_MAGIC, BACKED_BY_MEMORY},
    {"ramfs", "ramfs", "ramfs", "rw,relatime", RAMFS_MAGIC, BACKED_BY_MEMORY},
    {"sysfs", "sysfs", "sys", "rw,relatime", SYSFS_MAGIC, BACKED_BY_MEMORY},
    {"debugfs", "debugfs", "debugfs", "rw,relatime", DEBUGFS_MAGIC, BACKED_BY_MEMORY},
    {"daxfs", "daxfs", "none", "rw,relatime", DAXFS_MAGIC, BACKED_BY_DEVICE},
};

static struct mount *first_mount;
static uint32_t next_minor = 2;

static const struct kind *find_kind(const char *type)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].type, type) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

static void append(struct mount *mount)
{
    struct mount **link = &first_mount;

    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = mount;
}

int mount_create(const char *type, struct node *covered, const char *point, uint32_t root_mode,
                 struct mount **out)
{
    const struct kind *kind = find_kind(type);

    if (kind == NULL) {
        return -ENODEV;
    }
    if (covered != NULL && (!node_is_dir(covered) || covered->ops != &tree_node_ops)) {
        return -ENOTDIR;
    }
    struct mount *mount = calloc(1, sizeof(*mount));
    if (mount == NULL) {
        return -ENOMEM;
    }
    mount->refs = 1;
    mount->type = kind->shown_type;
    mount->source = kind->source;
    mount->options = kind->options;
    mount->magic = kind->magic;
    mount->minor = next_minor++;
    mount->next_ino = 1;
    mount->point = strdup(point);
    mount->root = kind->backing == GENERATED
                      ? proc_create_root(mount)
                      : node_create(mount, S_IFDIR | (root_mode & FS_MODE_BITS), 0, 0);
    int error = mount->point == NULL || mount->root == NULL ? -ENOMEM : 0;
    if (error == 0 && kind->backing == BACKED_BY_DEVICE) {
        error = dax_mount(mount);
    }
    if (error != 0) {
        node_put(mount->root);
        mount_put(mount);
        return error;
    }
    if (covered != NULL) {
        mount->covered = node_get(covered);
        covered->dir.mounted = mount;
    }
    append(mount);
    *out = mount;
    return 0;
}

int mount_remove(struct node *root)
{
    struct mount *mount = root->mount;

    if (root != mount->root || mount->covered == NULL) {
        return -EINVAL;
    }
    int error = mount->dax != NULL ? dax_unmount(mount) : 0;
    if (error != 0) {
        return error;
    }
    /* One hold is the mount's and one the caller's. Any other is an open file or a directory
       below; names keep the nodes below alive through holds of their own on the root. */
    bool is_covered_inside =
        root->ops == &tree_node_ops && (root->dir.mounted != NULL || root->dir.nr_entries != 0);
    if (root->refs > 2 || is_covered_inside) {
        return -EBUSY;
    }
    struct mount **link = &first_mount;
    while (*link != mount) {
        link = &(*link)->next;
    }
    *link = mount->next;
    mount->covered->dir.mounted = NULL;
    node_put(mount->covered);
    mount->covered = NULL;
    node_put(mount->root);
    mount_put(mount);
    return 0;
}

void mount_put(struct mount *mount)
{
    if (--mount->refs == 0) {
        free(mount->point);
        free(mount);
    }
}

struct mount *mount_first(void)
{
    return first_mount;
}

struct node *mount_root(void)
{
    return first_mount->root;
}
