/* The state in which the server begins: the root, and what is mounted below it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "dax.h"
#include "dev.h"
#include "fs.h"
#include "mount.h"
#include "sys_setting.h"

static int mount_below(struct node *parent, const char *name, const char *point, const char *type,
                       struct mount **mount)
{
    struct node *dir;
    int error = fs_make_directory(parent, name, 0755, &dir);

    if (error != 0) {
        return error;
    }
    error = mount_create(type, dir, point, mount);
    node_put(dir);
    return error;
}

int fs_start(void)
{
    struct mount *mount;
    uint64_t cookie;

    int error = mount_create("rootfs", NULL, "/", &mount);
    if (error == 0) {
        error = open_file_create(mount->root, 0, &cookie);
    }
    return error == 0 && cookie != FS_ROOT_COOKIE ? -EINVAL : error;
}

/* /sys, as far as there is something to find in it. */
static int mount_sys(struct node *root)
{
    struct mount *sys;
    struct mount *debug;
    struct node *kernel;
    struct node *mm;
    int error = mount_below(root, "sys", "/sys", "sysfs", &sys);

    if (error == 0) {
        error = fs_make_directory(sys->root, "kernel", 0755, &kernel);
    }
    if (error != 0) {
        return error;
    }
    error = mount_below(kernel, "debug", "/sys/kernel/debug", "debugfs", &debug);
    if (error == 0) {
        error = fs_make_directory(kernel, "mm", 0755, &mm);
    }
    if (error == 0) {
        error = sys_setting_populate(mm);
        node_put(mm);
    }
    node_put(kernel);
    return error;
}

/* A direct device that holds something else is left alone: whoever knows it mounts it. */
static int mount_dax(struct node *root)
{
    struct mount *mount;

    if (!dax_exists(0)) {
        return 0;
    }
    int error = mount_below(root, "dax", "/dax", "daxfs", &mount);
    if (error != 0 && error != -ENOMEM) {
        fprintf(stderr, "fs: /dev/dax0 is not mounted: %s\n", strerror(-error));
        error = 0;
    }
    return error;
}

int fs_mount_standard(void)
{
    struct node *root = mount_root();
    struct mount *dev;
    struct mount *mount;
    struct node *tmp;

    int error = mount_below(root, "proc", "/proc", "proc", &mount);
    if (error == 0) {
        error = mount_below(root, "dev", "/dev", "devtmpfs", &dev);
    }
    if (error == 0) {
        error = dev_populate(dev->root);
    }
    if (error == 0) {
        error = mount_below(dev->root, "shm", "/dev/shm", "tmpfs", &mount);
    }
    if (error == 0) {
        error = mount_sys(root);
    }
    if (error == 0) {
        error = mount_dax(root);
    }
    if (error == 0) {
        error = fs_make_directory(root, "tmp", 01777, &tmp);
    }
    if (error == 0) {
        tmp->mode = S_IFDIR | 01777;
        node_put(tmp);
    }
    return error;
}
