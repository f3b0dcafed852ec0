/* Filling the root file system from a cpio archive. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <image.h>
#include "data.h"
#include "dir.h"
#include "fs.h"
#include "initrd.h"
#include "mount.h"

/* Members with more than one name: the names share an inode number of the archive. */
struct shared {
    uint64_t dev;
    uint32_t ino;
    struct node *node; /* in the tree, so it stays */
};

struct unpacking {
    struct image image;
    struct shared *shared;
    size_t nr_shared;
};

static const struct caller unpacker = {0};

static struct node *find_shared(const struct unpacking *unpacking, const struct cpio_entry *entry)
{
    uint64_t dev = makedev(entry->dev_major, entry->dev_minor);

    for (size_t i = 0; i < unpacking->nr_shared; i++) {
        if (unpacking->shared[i].dev == dev && unpacking->shared[i].ino == entry->ino) {
            return unpacking->shared[i].node;
        }
    }
    return NULL;
}

static int remember_shared(struct unpacking *unpacking, const struct cpio_entry *entry,
                           struct node *node)
{
    struct shared *shared =
        realloc(unpacking->shared, (unpacking->nr_shared + 1) * sizeof(*shared));

    if (shared == NULL) {
        return -ENOMEM;
    }
    unpacking->shared = shared;
    shared[unpacking->nr_shared++] = (struct shared){
        .dev = makedev(entry->dev_major, entry->dev_minor), .ino = entry->ino, .node = node};
    return 0;
}

static int fill(const struct unpacking *unpacking, struct node *node,
                const struct cpio_entry *entry)
{
    if (S_ISREG(entry->mode) && entry->size > 0) {
        data_set_image(node, image_offset(&unpacking->image, entry), entry->size);
    } else if (S_ISLNK(entry->mode)) {
        node->target = strndup((const char *)entry->data, entry->size);
        node->size = node->target != NULL ? strlen(node->target) : 0;
        if (node->target == NULL) {
            return -ENOMEM;
        }
    } else if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode)) {
        node->rdev = makedev(entry->rdev_major, entry->rdev_minor);
    }
    return 0;
}

static void set_attributes(struct node *node, const struct cpio_entry *entry)
{
    node->mode = (node->mode & S_IFMT) | (entry->mode & FS_MODE_BITS);
    node->uid = entry->uid;
    node->gid = entry->gid;
    node->mtime = (struct timespec){.tv_sec = entry->mtime};
    node->atime = node->mtime;
}

/* Another name of a member seen before; the content comes with the last of them. */
static int add_name(const struct unpacking *unpacking, struct node *dir, const char *name,
                    struct node *node, const struct cpio_entry *cpio)
{
    struct entry *entry = dir_prepare(dir, name, strlen(name));

    if (entry == NULL) {
        return -ENOMEM;
    }
    dir_add(entry, node);
    return cpio->size > 0 ? fill(unpacking, node, cpio) : 0;
}

static int add_member(struct unpacking *unpacking, struct walk *walk,
                      const struct cpio_entry *entry)
{
    struct node *node;

    if (walk->node != NULL) {
        /* A directory named twice takes the later attributes; other names stay as they are. */
        if (node_is_dir(walk->node) && S_ISDIR(entry->mode)) {
            set_attributes(walk->node, entry);
        }
        return 0;
    }
    bool is_shared = !S_ISDIR(entry->mode) && entry->nlink > 1;
    node = is_shared ? find_shared(unpacking, entry) : NULL;
    if (node != NULL) {
        return add_name(unpacking, walk->dir, walk->name, node, entry);
    }
    int error = fs_create_child(walk->dir, &unpacker, walk->name, walk->name_len,
                                entry->mode & (S_IFMT | FS_MODE_BITS), &node);
    if (error != 0) {
        return error;
    }
    error = fill(unpacking, node, entry);
    set_attributes(node, entry);
    if (error == 0 && is_shared) {
        error = remember_shared(unpacking, entry, node);
    }
    node_put(node);
    return error;
}

static bool is_known_type(uint32_t mode)
{
    return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) ||
           S_ISFIFO(mode) || S_ISSOCK(mode);
}

/* A link to nowhere cannot be walked or read, so a link without text is not made. */
static bool is_usable(const struct cpio_entry *entry)
{
    return is_known_type(entry->mode) && !(S_ISLNK(entry->mode) && entry->size == 0);
}

int initrd_unpack(int fd)
{
    struct unpacking unpacking = {0};
    struct cpio_entry entry;

    int error = image_open(&unpacking.image, fd);
    if (error != 0) {
        return error;
    }
    data_use_image(fd);
    int state = image_next(&unpacking.image, &entry);
    while (error == 0 && state == 1) {
        struct walk walk = {.caller = &unpacker, .start = mount_root(), .root = mount_root()};
        /* A member whose directory is missing is left out, as Linux does. */
        if (is_usable(&entry) && walk_path(&walk, entry.name, WALK_PARENT) == 0) {
            error = add_member(&unpacking, &walk, &entry);
            walk_release(&walk);
        }
        state = image_next(&unpacking.image, &entry);
    }
    image_close(&unpacking.image);
    free(unpacking.shared);
    return error != 0 ? error : state;
}
