/*
 * memfd_create(2): a memory object as a file.
 *
 * Owns: struct memfd, which adds a name and times to a vm_object, and which all open files of the
 * object share. The object does the work: pages, size, seals. Read next: kernel/mm/object.c.
 */
#include <ipc/memfd.h>

#include <ipc/anon_stat.h>
#include <ipc/file.h>
#include <ipc/pager_channel.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <mm/object.h>
#include <mm/slab.h>
#include <proc/clock.h>
#include <uapi/cowbell.h>
#include <uapi/linux/mman.h>
#include <uapi/linux/stat.h>
#include <uapi/linux/statfs.h>

struct memfd {
    struct refcount refs;     /* open files */
    struct vm_object *object; /* immutable, referenced */
    u64 inode;                /* immutable */
    s64 created_sec;          /* immutable */
    u32 mode;                 /* object lock to change */
    u32 page_shift;           /* immutable; of huge pages: their pool is empty */
    char name[];              /* immutable */
};

#define MEMFD_TRAITS (FILE_SEEKABLE | FILE_APPENDS)

#define EXEC_BITS ((u32)(S_IXUSR | S_IXUSR >> 3 | S_IXUSR >> 6))

/* The file system that memory objects belong to, as Linux numbers it. */
#define MEMFD_DEVICE_MINOR 1

#define HUGE_SHIFT_2M 21
#define HUGE_SHIFT_1G 30

enum memfd_noexec memfd_noexec_policy = MEMFD_NOEXEC_OFF;

static const struct file_ops memfd_ops;

static void memfd_put(struct memfd *memfd);

/* All but the object. */
static struct memfd *memfd_new(const char *name)
{
    size_t len = strnlen(name, MEMFD_NAME_MAX);
    struct memfd *memfd = kmalloc(sizeof(*memfd) + len + 1, ALLOC_KERNEL);

    if (memfd == NULL) {
        return NULL;
    }
    refcount_set(&memfd->refs, 1);
    memfd->inode = anon_inode_next();
    memfd->created_sec = clock_realtime_seconds();
    memfd->mode = S_IFREG | S_IRWXU | S_IRWXG | S_IRWXO;
    memfd->page_shift = PAGE_SHIFT;
    memcpy(memfd->name, name, len);
    memfd->name[len] = '\0';
    return memfd;
}

int memfd_wrap(const char *name, struct vm_object *object, struct file **out)
{
    struct memfd *memfd = memfd_new(name);
    int error;

    if (memfd == NULL) {
        object_put(object);
        return -ENOMEM;
    }
    memfd->object = object;
    error = file_alloc(&memfd_ops, O_RDWR | O_LARGEFILE, MEMFD_TRAITS, memfd, out);
    if (error != 0) {
        memfd_put(memfd);
    }
    return error;
}

static bool is_huge(const struct memfd *memfd)
{
    return memfd->page_shift != PAGE_SHIFT;
}

/* The size of pages that MFD_ flags ask for. Return: log2 of it, or 0: there is no such size. */
static u32 page_shift_of(u32 flags)
{
    u32 shift = (flags >> MFD_HUGE_SHIFT) & MFD_HUGE_MASK;

    if (!(flags & MFD_HUGETLB)) {
        return PAGE_SHIFT;
    }
    if (shift == 0) {
        return HUGE_SHIFT_2M;
    }
    return shift == HUGE_SHIFT_2M || shift == HUGE_SHIFT_1G ? shift : 0;
}

int memfd_create(const char *name, u32 flags, struct file **out)
{
    u32 page_shift = page_shift_of(flags);
    u32 seals = (flags & MFD_ALLOW_SEALING) ? 0 : OBJECT_SEAL_SEAL;
    struct memfd *memfd;
    int error;

    if (page_shift == 0) {
        return -ENODEV;
    }
    memfd = memfd_new(name);
    if (memfd == NULL) {
        return -ENOMEM;
    }
    memfd->page_shift = page_shift;
    error = object_create_shmem(0, &memfd->object);
    if (error != 0) {
        kfree(memfd);
        return error;
    }
    if (flags & MFD_NOEXEC_SEAL) {
        memfd->mode &= ~EXEC_BITS;
        seals = OBJECT_SEAL_EXEC;
    }
    error = seals == 0 ? 0 : object_add_seals(memfd->object, seals);
    if (error == 0) {
        error = file_alloc(&memfd_ops, O_RDWR | O_LARGEFILE, MEMFD_TRAITS, memfd, out);
    }
    if (error != 0) {
        memfd_put(memfd);
    }
    return error;
}

static void memfd_put(struct memfd *memfd)
{
    if (refcount_dec_and_test(&memfd->refs)) {
        object_put(memfd->object);
        kfree(memfd);
    }
}

static int memfd_reopen(struct file *file, u32 flags, struct file **out)
{
    struct memfd *memfd = file->private;
    int error = file_alloc(&memfd_ops, flags, MEMFD_TRAITS, memfd, out);

    if (error == 0) {
        refcount_inc(&memfd->refs);
    }
    return error;
}

struct vm_object *memfd_object(const struct file *file)
{
    const struct memfd *memfd = file->private;

    return file->ops == &memfd_ops ? memfd->object : NULL;
}

static s64 memfd_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    struct memfd *memfd = file->private;
    u64 done = 0;
    int error;

    if (*pos < 0) {
        return -EINVAL;
    }
    error = object_read(memfd->object, (u64)*pos, iter, &done);
    if (error != 0) {
        return error;
    }
    *pos += (s64)done;
    return (s64)done;
}

static s64 memfd_write(struct file *file, struct iov_iter *iter, s64 *pos)
{
    struct memfd *memfd = file->private;
    u64 done = 0;
    int error;

    if (is_huge(memfd)) {
        return -EINVAL;
    }
    if (READ_ONCE(file->flags) & O_APPEND) {
        *pos = (s64)object_size(memfd->object);
    }
    if (*pos < 0) {
        return -EINVAL;
    }
    error = object_write(memfd->object, (u64)*pos, iter, &done);
    if (error != 0) {
        return error;
    }
    *pos += (s64)done;
    return (s64)done;
}

static s64 memfd_ioctl(struct file *file, u32 cmd, u64 arg)
{
    struct memfd *memfd = file->private;

    return memfd->object->pager != NULL ? pager_ioctl(memfd->object, cmd, arg) : -ENOTTY;
}

static void memfd_release(struct file *file)
{
    memfd_put(file->private);
}

static int memfd_stat(struct file *file, struct stat *stat)
{
    struct memfd *memfd = file->private;

    anon_stat_fill(file, memfd->mode, stat);
    stat->st_nlink = 0;
    stat->st_dev = dev_make(0, MEMFD_DEVICE_MINOR);
    stat->st_blksize = 1l << memfd->page_shift;
    stat->st_ino = memfd->inode;
    stat->st_size = (s64)object_size(memfd->object);
    stat->st_blocks = (s64)(object_nr_pages(memfd->object) * (PAGE_SIZE / 512));
    stat->st_atime = memfd->created_sec;
    stat->st_mtime = memfd->created_sec;
    stat->st_ctime = memfd->created_sec;
    return 0;
}

static int memfd_statfs(struct file *file, struct statfs *statfs)
{
    const struct memfd *memfd = file->private;

    statfs->f_type = is_huge(memfd) ? HUGETLBFS_MAGIC : TMPFS_MAGIC;
    statfs->f_bsize = 1l << memfd->page_shift;
    statfs->f_frsize = statfs->f_bsize;
    statfs->f_namelen = 255;
    return 0;
}

static int memfd_chmod(struct file *file, u32 mode)
{
    struct memfd *memfd = file->private;
    int error = 0;

    object_lock(memfd->object);
    if ((object_get_seals(memfd->object) & OBJECT_SEAL_EXEC) &&
        ((memfd->mode ^ mode) & EXEC_BITS) != 0) {
        error = -EPERM;
    } else {
        WRITE_ONCE(memfd->mode, S_IFREG | mode);
    }
    object_unlock(memfd->object);
    return error;
}

/* A file that could be executed and shall stay so must not be written any more. */
static s64 memfd_add_seals(struct memfd *memfd, u32 seals)
{
    if ((seals & F_SEAL_EXEC) && (memfd->mode & EXEC_BITS)) {
        seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
    }
    return object_add_seals(memfd->object, seals);
}

static int memfd_truncate(struct file *file, s64 size)
{
    struct memfd *memfd = file->private;

    if ((u64)size & (BIT(memfd->page_shift) - 1) && is_huge(memfd)) {
        return -EINVAL;
    }
    return object_truncate(memfd->object, (u64)size);
}

static int memfd_fallocate(struct file *file, u32 mode, s64 offset, s64 len)
{
    struct memfd *memfd = file->private;
    u64 start = (u64)offset;
    u64 end = start + (u64)len;

    if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
        return object_punch_hole(memfd->object, start, end);
    }
    if (mode & ~(u32)FALLOC_FL_KEEP_SIZE) {
        return -EOPNOTSUPP;
    }
    if (is_huge(memfd)) {
        return -ENOSPC;
    }
    return object_allocate(memfd->object, start, end,
                           mode != 0 ? OBJECT_ALLOCATE_KEEP_SIZE : OBJECT_ALLOCATE_GROW);
}

static int memfd_sync(struct file *file, u32 data_only)
{
    return 0;
}

static int memfd_size(struct file *file, s64 *size)
{
    struct memfd *memfd = file->private;

    *size = (s64)object_size(memfd->object);
    return 0;
}

static s64 memfd_seek(struct file *file, s64 offset, u32 whence)
{
    struct memfd *memfd = file->private;
    u64 result = 0;
    int error;

    if (offset < 0) {
        return -ENXIO;
    }
    error = whence == SEEK_DATA ? object_seek_data(memfd->object, (u64)offset, &result)
                                : object_seek_hole(memfd->object, (u64)offset, &result);
    return error != 0 ? error : (s64)result;
}

static int memfd_get_object(struct file *file, u32 prot, u32 map_flags, struct vm_object **object)
{
    struct memfd *memfd = file->private;
    u32 seals = object_get_seals(memfd->object);
    bool is_shared = (map_flags & MAP_TYPE) != MAP_PRIVATE;

    if (is_shared && (prot & PROT_WRITE) &&
        (seals & (OBJECT_SEAL_WRITE | OBJECT_SEAL_FUTURE_WRITE))) {
        return -EPERM;
    }
    if (is_huge(memfd)) {
        return -ENOMEM;
    }
    object_get(memfd->object);
    *object = memfd->object;
    return 0;
}

static s64 memfd_fcntl(struct file *file, u32 cmd, u64 arg)
{
    struct memfd *memfd = file->private;

    switch (cmd) {
    case F_GET_SEALS:
        return object_get_seals(memfd->object);
    case F_ADD_SEALS:
        if (!file_can_write(file)) {
            return -EPERM;
        }
        if (arg & ~(u64)(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
                         F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)) {
            return -EINVAL;
        }
        return memfd_add_seals(memfd, (u32)arg);
    default:
        return -EINVAL;
    }
}

static void memfd_name(struct file *file, char *buf, size_t size)
{
    const struct memfd *memfd = file->private;

    snprintf(buf, size, "/memfd:%s (deleted)", memfd->name);
}

static const struct file_ops memfd_ops = {
    .kind = CB_FD_MEMFD,
    .read = memfd_read,
    .write = memfd_write,
    .ioctl = memfd_ioctl,
    .release = memfd_release,
    .reopen = memfd_reopen,
    .stat = memfd_stat,
    .statfs = memfd_statfs,
    .chmod = memfd_chmod,
    .truncate = memfd_truncate,
    .fallocate = memfd_fallocate,
    .sync = memfd_sync,
    .size = memfd_size,
    .seek = memfd_seek,
    .get_object = memfd_get_object,
    .fcntl = memfd_fcntl,
    .name = memfd_name,
};
