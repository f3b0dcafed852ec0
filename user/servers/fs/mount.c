/* The mount table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "dax.h"
#include "debugfs.h"
#include "dir.h"
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
    uint32_t mode; /* of the root */
    enum backing backing;
    bool is_single;                     /* every mount shows the same */
    int (*populate)(struct node *root); /* what a fresh one holds; NULL: nothing */
};

static const struct kind kinds[] = {
    {"rootfs", "tmpfs", "root", "rw,relatime", TMPFS_MAGIC, 0755, BACKED_BY_MEMORY, false, NULL},
    {"proc", "proc", "proc", "rw,relatime", PROC_MAGIC, 0555, GENERATED, true, NULL},
    {"devtmpfs", "devtmpfs", "dev", "rw,relatime", TMPFS_MAGIC, 0755, BACKED_BY_MEMORY, true, NULL},
    {"tmpfs", "tmpfs", "tmpfs", "rw,relatime", TMPFS_MAGIC, 01777, BACKED_BY_MEMORY, false, NULL},
    {"ramfs", "ramfs", "ramfs", "rw,relatime", RAMFS_MAGIC, 0755, BACKED_BY_MEMORY, false, NULL},
    {"sysfs", "sysfs", "sys", "rw,relatime", SYSFS_MAGIC, 0555, BACKED_BY_MEMORY, true, NULL},
    {"debugfs", "debugfs", "debugfs", "rw,relatime", DEBUGFS_MAGIC, 0700, BACKED_BY_MEMORY, true,
     debugfs_populate},
    {"daxfs", "daxfs", "none", "rw,relatime", DAXFS_MAGIC, 0755, BACKED_BY_DEVICE, false, NULL},
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

static bool is_root_of(const struct node *node, const struct kind *kind)
{
    return node == node->mount->root && node->mount->magic == kind->magic;
}

/* What populate() made is there again in the next mount, unless somebody uses it or added to it. */
static int remove_populated(struct node *root)
{
    for (size_t i = 0; i < root->dir.nr_slots; i++) {
        const struct entry *entry = root->dir.slots[i];

        if (entry != NULL && (entry->node->refs > 1 || node_is_dir(entry->node))) {
            return -EBUSY;
        }
    }
    while (root->dir.nr_entries > 0) {
        size_t i = 0;

        while (root->dir.slots[i] == NULL) {
            i++;
        }
        dir_remove(root->dir.slots[i]);
    }
    return 0;
}

int mount_create(const char *type, struct node *covered, const char *point, struct mount **out)
{
    const struct kind *kind = find_kind(type);

    if (kind == NULL) {
        return -ENODEV;
    }
    if (covered != NULL && (!node_is_dir(covered) || covered->ops != &tree_node_ops)) {
        return -ENOTDIR;
    }
    if (covered != NULL && kind->is_single && is_root_of(covered, kind)) {
        return -EBUSY;
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
    mount->is_populated = kind->populate != NULL;
    mount->minor = next_minor++;
    mount->next_ino = 1;
    mount->point = strdup(point);
    mount->root = kind->backing == GENERATED ? proc_create_root(mount)
                                             : node_create(mount, S_IFDIR | kind->mode, 0, 0);
    int error = mount->point == NULL || mount->root == NULL ? -ENOMEM : 0;
    if (error == 0 && kind->backing == BACKED_BY_DEVICE) {
        error = dax_mount(mount);
    }
    if (error == 0 && kind->populate != NULL) {
        error = kind->populate(mount->root);
        if (error != 0) {
            (void)remove_populated(mount->root);
        }
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
    if (error == 0 && mount->is_populated && root->refs <= 2) {
        error = remove_populated(root);
    }
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
