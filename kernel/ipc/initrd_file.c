/*
 * The initrd as a file: read-only, straight from the frames where the boot loader put it.
 *
 * Owns: struct initrd. The frames are reserved memory for as long as the machine runs.
 */
#include <ipc/memfd.h>

#include <arch/layout.h>
#include <ipc/anon_stat.h>
#include <ipc/file.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <uapi/cowbell.h>
#include <uapi/linux/stat.h>

struct initrd {
    const u8 *data;
    u64 size;
};

static const struct file_ops initrd_ops;

int initrd_file_create(u64 start_phys, u64 end_phys, struct file **out)
{
    struct initrd *initrd = kmalloc(sizeof(*initrd), ALLOC_KERNEL);
    int error;

    ASSERT(start_phys <= end_phys, "the initrd is a range of memory");
    if (initrd == NULL) {
        return -ENOMEM;
    }
    initrd->data = phys_to_virt(start_phys);
    initrd->size = end_phys - start_phys;
    error = file_alloc(&initrd_ops, O_RDONLY | O_LARGEFILE, FILE_SEEKABLE, initrd, out);
    if (error != 0) {
        kfree(initrd);
    }
    return error;
}

static s64 initrd_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    const struct initrd *initrd = file->private;
    size_t len = iov_count(iter);
    size_t done;

    if (*pos < 0) {
        return -EINVAL;
    }
    if ((u64)*pos >= initrd->size || len == 0) {
        return 0;
    }
    len = min(len, initrd->size - (u64)*pos);
    done = iov_copy_to(iter, initrd->data + *pos, len);
    *pos += (s64)done;
    return done > 0 ? (s64)done : -EFAULT;
}

static int initrd_size(struct file *file, s64 *size)
{
    const struct initrd *initrd = file->private;

    *size = (s64)initrd->size;
    return 0;
}

static int initrd_stat(struct file *file, struct stat *stat)
{
    const struct initrd *initrd = file->private;

    anon_stat_fill(file, S_IFREG | S_IRUSR, stat);
    stat->st_size = (s64)initrd->size;
    stat->st_blocks = (s64)DIV_ROUND_UP(initrd->size, 512);
    return 0;
}

static void initrd_release(struct file *file)
{
    kfree(file->private);
}

static void initrd_name(struct file *file, char *buf, size_t size)
{
    strlcpy(buf, "anon_inode:[initrd]", size);
}

static const struct file_ops initrd_ops = {
    .kind = CB_FD_INITRD,
    .read = initrd_read,
    .release = initrd_release,
    .stat = initrd_stat,
    .size = initrd_size,
    .name = initrd_name,
};
