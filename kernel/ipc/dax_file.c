/*
 * Direct devices as files, and the files that a server makes on them (CB_DAX_CREATE).
 *
 * A device's file reads, writes and maps the frames that no file has. A server's file starts
 * empty; CB_DAX_GRANT names its frames, and the server hands the descriptor to those who map it.
 * Both are thin: the objects of kernel/mm/direct.c do the work.
 */
#include <ipc/dax_file.h>

#include <ipc/anon_stat.h>
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <mm/direct.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/cred.h>
#include <uapi/cowbell.h>
#include <uapi/linux/stat.h>

#define DAX_MAJOR 252u /* of /dev/dax0 on Linux, where it is taken from the dynamic ones */

static const struct file_ops device_file_ops;
static const struct file_ops dax_file_ops;

/* A server's file. */
struct dax_file {
    struct vm_object *object; /* [I] referenced */
    u64 inode;                /* [I] */
    s64 created_sec;          /* [I] */
};

/* --- the device ------------------------------------------------------------------------------ */

int dax_file_open(s32 number, u32 flags, struct file **out)
{
    struct direct_device *device = number < 0 ? NULL : direct_device_find((u32)number);

    if (device == NULL) {
        return -ENXIO;
    }
    return file_alloc(&device_file_ops, flags, FILE_SEEKABLE, device, out);
}

static s64 device_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    struct direct_device *device = file->private;
    u64 done = 0;
    int error = *pos < 0 ? -EINVAL : object_read(device->object, (u64)*pos, iter, &done);

    if (error != 0) {
        return error;
    }
    *pos += (s64)done;
    return (s64)done;
}

static s64 device_write(struct file *file, struct iov_iter *iter, s64 *pos)
{
    struct direct_device *device = file->private;
    u64 size = object_size(device->object);
    u64 done = 0;
    int error;

    if (*pos < 0) {
        return -EINVAL;
    }
    if ((u64)*pos >= size) {
        return iov_count(iter) == 0 ? 0 : -ENOSPC;
    }
    iov_truncate(iter, size - (u64)*pos);
    error = object_write(device->object, (u64)*pos, iter, &done);
    if (error != 0) {
        return error;
    }
    *pos += (s64)done;
    return (s64)done;
}

static s64 device_info(const struct direct_device *device, u64 arg)
{
    struct cb_dax_info info = {
        .size = device->nr_frames << PAGE_SHIFT,
        .number = device->number,
        .flags = device->media == DIRECT_MEDIA_PERSISTENT ? CB_DAX_PERSISTENT : 0,
    };

    return copy_to_user(arg, &info, sizeof(info));
}

static s64 create_file(struct direct_device *device, u64 cow)
{
    struct dax_file *dax;
    struct file *file;
    s64 fd;
    int error;

    if (cow > CB_DAX_COW_INSTALLS) {
        return -EINVAL;
    }
    dax = kmalloc(sizeof(*dax), ALLOC_KERNEL);
    if (dax == NULL) {
        return -ENOMEM;
    }
    dax->inode = anon_inode_next();
    dax->created_sec = clock_realtime_seconds();
    error = object_create_direct(
        device, cow == CB_DAX_COW_INSTALLS ? DIRECT_COW_INSTALLS : DIRECT_COW_FILLS, &dax->object);
    if (error != 0) {
        kfree(dax);
        return error;
    }
    error = file_alloc(&dax_file_ops, O_RDWR | O_LARGEFILE, FILE_SEEKABLE, dax, &file);
    if (error != 0) {
        object_put(dax->object);
        kfree(dax);
        return error;
    }
    fd = fd_install(file, FD_CLOSE_ON_EXEC);
    if (fd < 0) {
        file_put(file);
    }
    return fd;
}

static s64 device_ioctl(struct file *file, u32 cmd, u64 arg)
{
    switch (cmd) {
    case CB_DAX_INFO:
        return device_info(file->private, arg);
    case CB_DAX_CREATE:
        if (!file_can_write(file)) {
            return -EBADF;
        }
        return has_capability(CAP_SYS_ADMIN) ? create_file(file->private, arg) : -EPERM;
    default:
        return -ENOTTY;
    }
}

static void device_release(struct file *file)
{
    /* The device stays; an open file holds nothing of it. */
}

static int device_stat(struct file *file, struct stat *stat)
{
    const struct direct_device *device = file->private;

    anon_stat_fill(file, S_IFCHR | S_IRUSR | S_IWUSR, stat);
    stat->st_rdev = dev_make(DAX_MAJOR, device->number);
    return 0;
}

static int device_size(struct file *file, s64 *size)
{
    const struct direct_device *device = file->private;

    *size = (s64)object_size(device->object);
    return 0;
}

static int device_sync(struct file *file, u32 data_only)
{
    const struct direct_device *device = file->private;

    direct_sync(device->object);
    return 0;
}

static int device_get_object(struct file *file, u32 prot, u32 map_flags, struct vm_object **object)
{
    const struct direct_device *device = file->private;

    object_get(device->object);
    *object = device->object;
    return 0;
}

static void device_name(struct file *file, char *buf, size_t size)
{
    const struct direct_device *device = file->private;

    snprintf(buf, size, "/dev/dax%u", device->number);
}

static const struct file_ops device_file_ops = {
    .kind = CB_FD_OTHER,
    .read = device_read,
    .write = device_write,
    .ioctl = device_ioctl,
    .release = device_release,
    .stat = device_stat,
    .sync = device_sync,
    .size = device_size,
    .get_object = device_get_object,
    .name = device_name,
};

/* --- files of servers ------------------------------------------------------------------------ */

struct vm_object *dax_file_object(const struct file *file)
{
    const struct dax_file *dax = file->private;

    return file->ops == &dax_file_ops ? dax->object : NULL;
}

static s64 dax_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    u64 done = 0;
    int error = *pos < 0 ? -EINVAL : object_read(dax_file_object(file), (u64)*pos, iter, &done);

    if (error != 0) {
        return error;
    }
    *pos += (s64)done;
    return (s64)done;
}

static s64 dax_write(struct file *file, struct iov_iter *iter, s64 *pos)
{
    u64 done = 0;
    int error = *pos < 0 ? -EINVAL : object_write(dax_file_object(file), (u64)*pos, iter, &done);

    if (error != 0) {
        return error;
    }
    *pos += (s64)done;
    return (s64)done;
}

static s64 grant_frames(struct file *file, u64 arg)
{
    struct cb_dax_grant user;

    if (copy_from_user(&user, arg, sizeof(user)) != 0) {
        return -EFAULT;
    }
    if ((user.flags & ~(u32)CB_DAX_ZERO) != 0) {
        return -EINVAL;
    }
    const struct direct_grant grant = {
        .index = user.index,
        .frame = user.frame,
        .count = user.count,
        .content = user.flags & CB_DAX_ZERO ? DIRECT_ZERO_CONTENT : DIRECT_KEEP_CONTENT,
    };
    return direct_grant(dax_file_object(file), &grant);
}

static s64 revoke_frames(struct file *file, u64 arg)
{
    struct cb_dax_range range;

    if (copy_from_user(&range, arg, sizeof(range)) != 0) {
        return -EFAULT;
    }
    return object_revoke(dax_file_object(file), range.start, range.end);
}

static s64 dax_ioctl(struct file *file, u32 cmd, u64 arg)
{
    if (cmd != CB_DAX_GRANT && cmd != CB_DAX_REVOKE) {
        return -ENOTTY;
    }
    if (!has_capability(CAP_SYS_ADMIN)) {
        return -EPERM;
    }
    return cmd == CB_DAX_GRANT ? grant_frames(file, arg) : revoke_frames(file, arg);
}

static void dax_release(struct file *file)
{
    struct dax_file *dax = file->private;

    object_put(dax->object);
    kfree(dax);
}

static int dax_stat(struct file *file, struct stat *stat)
{
    const struct dax_file *dax = file->private;

    anon_stat_fill(file, S_IFREG | S_IRUSR | S_IWUSR, stat);
    stat->st_ino = dax->inode;
    stat->st_size = (s64)object_size(dax->object);
    stat->st_blocks = (s64)(object_nr_pages(dax->object) * (PAGE_SIZE / 512));
    stat->st_atime = dax->created_sec;
    stat->st_mtime = dax->created_sec;
    stat->st_ctime = dax->created_sec;
    return 0;
}

static int dax_truncate(struct file *file, s64 size)
{
    return object_truncate(dax_file_object(file), (u64)size);
}

static int dax_fallocate(struct file *file, u32 mode, s64 offset, s64 len)
{
    if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
        return -EOPNOTSUPP;
    }
    return object_punch_hole(dax_file_object(file), (u64)offset, (u64)offset + (u64)len);
}

static int dax_sync(struct file *file, u32 data_only)
{
    direct_sync(dax_file_object(file));
    return 0;
}

static int dax_size(struct file *file, s64 *size)
{
    *size = (s64)object_size(dax_file_object(file));
    return 0;
}

static s64 dax_seek(struct file *file, s64 offset, u32 whence)
{
    u64 result = 0;
    int error;

    if (offset < 0) {
        return -ENXIO;
    }
    error = whence == SEEK_DATA ? object_seek_data(dax_file_object(file), (u64)offset, &result)
                                : object_seek_hole(dax_file_object(file), (u64)offset, &result);
    return error != 0 ? error : (s64)result;
}

static int dax_get_object(struct file *file, u32 prot, u32 map_flags, struct vm_object **object)
{
    *object = dax_file_object(file);
    object_get(*object);
    return 0;
}

static void dax_name(struct file *file, char *buf, size_t size)
{
    const struct dax_file *dax = file->private;

    snprintf(buf, size, "dax:[%lu]", dax->inode);
}

static const struct file_ops dax_file_ops = {
    .kind = CB_FD_OTHER,
    .read = dax_read,
    .write = dax_write,
    .ioctl = dax_ioctl,
    .release = dax_release,
    .stat = dax_stat,
    .truncate = dax_truncate,
    .fallocate = dax_fallocate,
    .sync = dax_sync,
    .size = dax_size,
    .seek = dax_seek,
    .get_object = dax_get_object,
    .name = dax_name,
};
