/*
 * Open files: their life, and what is common to all kinds.
 *
 * Owns: struct file. It must not know any kind but through the operations. Read next:
 * kernel/ipc/fdtable.c, then connection_file.c for the commonest kind.
 */
#include <ipc/file.h>

#include <ipc/anon_stat.h>
#include <ipc/connection.h>
#include <ipc/epoll.h>
#include <ipc/poll.h>
#include <ipc/record_lock.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <proc/rlimit.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <uapi/cowbell.h>
#include <uapi/linux/mman.h>
#include <uapi/linux/stat.h>

static struct kmem_cache *file_cache;

void file_init(void)
{
    file_cache = kmem_cache_create("file", sizeof(struct file), 0, NULL);
}

int file_alloc(const struct file_ops *ops, u32 flags, u32 traits, void *private, struct file **out)
{
    struct file *file = kmem_cache_alloc(file_cache, ALLOC_KERNEL);

    if (file == NULL) {
        return -ENOMEM;
    }
    refcount_set(&file->refs, 1);
    file->flags = flags;
    file->traits = traits;
    file->owner = 0;
    file->ops = ops;
    file->private = private;
    file->has_record_locks = false;
    file->pos = 0;
    mutex_init(&file->pos_lock, RANK_FILE_POS);
    spin_init(&file->lock, RANK_FILE);
    list_init(&file->epoll_items);
    *out = file;
    return 0;
}

void file_put(struct file *file)
{
    if (!refcount_dec_and_test(&file->refs)) {
        return;
    }
    if (unlikely(!list_is_empty(&file->epoll_items))) {
        epoll_forget_file(file);
    }
    if (unlikely(file->has_record_locks)) {
        record_lock_forget(file);
    }
    if (file->ops->release != NULL) {
        file->ops->release(file);
    }
    kmem_cache_free(file_cache, file);
}

s64 file_read_kernel(struct file *file, void *buf, size_t len, s64 pos)
{
    struct iov_iter iter;
    s64 result = 0;

    if (!file_can_read(file) || file->ops->read == NULL) {
        return -EBADF;
    }
    iov_init_kernel(&iter, buf, len);
    while (iov_count(&iter) > 0) {
        /* An operation may move its iterator or not; the position says what was done. */
        size_t before = iov_count(&iter);

        result = file->ops->read(file, &iter, &pos);
        if (result <= 0) {
            break;
        }
        ASSERT(iov_count(&iter) == before - (size_t)result, "a read moves its iterator");
    }
    return iov_count(&iter) < len ? (s64)(len - iov_count(&iter)) : result;
}

int file_beyond_limit(void)
{
    signal_send_self(SIGXFSZ);
    return -EFBIG;
}

/* Devices take what they are given. Asked only of files that would pass the limit. */
static bool has_limit(struct file *file)
{
    struct stat stat;

    return file_stat(file, &stat) == 0 && (stat.st_mode & S_IFMT) == S_IFREG;
}

int file_limit_write(struct file *file, s64 pos, u64 *count)
{
    u64 limit = rlimit_get(RLIMIT_FSIZE);
    int error = 0;

    if (limit == RLIM_INFINITY || pos < 0) {
        return 0;
    }
    if ((READ_ONCE(file->flags) & O_APPEND) && file->ops->size != NULL) {
        error = file->ops->size(file, &pos);
    }
    if (error != 0 || ((u64)pos <= limit && *count < limit - (u64)pos) || !has_limit(file)) {
        return error;
    }
    if ((u64)pos >= limit) {
        return file_beyond_limit();
    }
    *count = min(*count, limit - (u64)pos);
    return 0;
}

s64 file_write_limited(struct file *file, struct iov_iter *iter, s64 *pos)
{
    u64 count = iov_count(iter);

    if (pos != NULL && count != 0 && (file->traits & FILE_SEEKABLE)) {
        int error = file_limit_write(file, *pos, &count);

        if (error != 0) {
            return error;
        }
        iov_truncate(iter, count);
    }
    return file->ops->write(file, iter, pos);
}

int file_limit_size(struct file *file, s64 size)
{
    u64 limit = rlimit_get(RLIMIT_FSIZE);
    s64 old = 0;
    int error;

    if ((u64)size <= limit || file->ops->size == NULL) {
        return 0;
    }
    error = file->ops->size(file, &old);
    return error == 0 && size > old && has_limit(file) ? file_beyond_limit() : error;
}

int file_stat(struct file *file, struct stat *stat)
{
    memset(stat, 0, sizeof(*stat));
    if (file->ops->stat != NULL) {
        return file->ops->stat(file, stat);
    }
    anon_stat_fill(file, S_IRUSR | S_IWUSR, stat);
    return 0;
}

int file_get_object(struct file *file, u32 prot, u32 map_flags, struct vm_object **object)
{
    bool is_shared = (map_flags & MAP_TYPE) != MAP_PRIVATE;

    if ((file->flags & O_ACCMODE) == O_WRONLY) {
        return -EACCES;
    }
    if (is_shared && (prot & PROT_WRITE) != 0 && !file_can_write(file)) {
        return -EACCES;
    }
    if (file->traits & FILE_PATH_ONLY) {
        return -EBADF;
    }
    if (file->ops->get_object == NULL) {
        return -ENODEV;
    }
    return file->ops->get_object(file, prot, map_flags, object);
}

void file_describe(struct file *file, char *buf, size_t size)
{
    ASSERT(size > 0, "a name's buffer has room for its NUL");
    buf[0] = '\0';
    if (file->ops->name != NULL) {
        file->ops->name(file, buf, size);
    }
}

u64 file_cookie(const struct file *file)
{
    const struct connection *conn = connection_of_file(file);

    return conn == NULL ? 0 : conn->cookie;
}

u32 file_poll(struct file *file, struct poll_table *table)
{
    if (file->ops->poll == NULL) {
        return POLL_READ | POLL_WRITE;
    }
    return file->ops->poll(file, table);
}
