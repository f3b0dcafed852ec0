/*
 * Pipes.
 *
 * Owns: struct pipe: waiting, atomicity of small writes, the ends. User memory is copied under the
 * pipe's mutex, so that a write of up to PIPE_BUF bytes goes in whole. Closing an end takes no
 * mutex: it must not wait for a copy that waits for a pager.
 *
 * Wake-ups: who adds bytes wakes one reader, and a reader that leaves bytes wakes the next. Who
 * takes bytes wakes all writers: how much room each of them needs differs.
 * Read next: kernel/ipc/pipe_buffer.c.
 */
#include <ipc/pipe_internal.h>

#include <ipc/anon_stat.h>
#include <ipc/file.h>
#include <ipc/poll.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/cred.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <uapi/cowbell.h>
#include <uapi/linux/ioctl.h>
#include <uapi/linux/stat.h>

static struct kmem_cache *pipe_cache;

static int open_end(struct pipe *pipe, u32 flags, struct file **out);

void pipe_init(void)
{
    pipe_cache = kmem_cache_create("pipe", sizeof(struct pipe), 0, NULL);
}

static void pipe_put(struct pipe *pipe)
{
    if (refcount_dec_and_test(&pipe->refs)) {
        pipe_buffer_free(&pipe->buffer);
        kmem_cache_free(pipe_cache, pipe);
    }
}

int pipe_create(u32 flags, struct file *ends[2])
{
    struct pipe *pipe = kmem_cache_alloc(pipe_cache, ALLOC_KERNEL);
    int error;

    if (pipe == NULL) {
        return -ENOMEM;
    }
    mutex_init(&pipe->lock, RANK_PIPE);
    wait_queue_init(&pipe->readers);
    wait_queue_init(&pipe->writers);
    atomic_u32_store(&pipe->nr_readers, 0);
    atomic_u32_store(&pipe->nr_writers, 0);
    refcount_set(&pipe->refs, 1);
    pipe->inode = anon_inode_next();
    error = pipe_buffer_init(&pipe->buffer, PIPE_DEFAULT_SIZE / PAGE_SIZE);
    if (error != 0) {
        kmem_cache_free(pipe_cache, pipe);
        return error;
    }
    error = open_end(pipe, O_RDONLY | flags, &ends[0]);
    if (error == 0) {
        error = open_end(pipe, O_WRONLY | flags, &ends[1]);
        if (error != 0) {
            file_put(ends[0]);
        }
    }
    pipe_put(pipe);
    return error;
}

NOINLINE int pipe_wait_readable(struct pipe *pipe, bool is_nonblock)
{
    if (!pipe_has_writer(pipe)) {
        /* The last writer may have written between the look at the bytes and its end. */
        if (pipe_is_at_end(pipe)) {
            return 1;
        }
        if (pipe_buffer_used(&pipe->buffer) > 0) {
            return 0;
        }
    }
    if (is_nonblock) {
        return -EAGAIN;
    }
    return wait_event_interruptible(&pipe->readers, pipe_is_readable(pipe));
}

static int broken_pipe(void)
{
    signal_send_self(SIGPIPE);
    return -EPIPE;
}

NOINLINE int pipe_wait_writable(struct pipe *pipe, bool is_nonblock)
{
    if (!pipe_has_reader(pipe)) {
        return broken_pipe();
    }
    if (pipe_buffer_free_slots(&pipe->buffer) > 0) {
        return 0;
    }
    if (is_nonblock) {
        return -EAGAIN;
    }
    return wait_event_interruptible(&pipe->writers, pipe_is_writable(pipe));
}

/* Takes the lock with bytes in the pipe. Returns 0, or without it 1 (end of file) or -errno. */
static inline int lock_for_reading(struct pipe *pipe, bool is_nonblock) TRY_ACQUIRES(0, &pipe->lock)
{
    for (;;) {
        int stop;

        if (pipe_buffer_used(&pipe->buffer) > 0) {
            mutex_lock(&pipe->lock);
            if (likely(pipe_buffer_used(&pipe->buffer) > 0)) {
                return 0;
            }
            mutex_unlock(&pipe->lock);
        }
        stop = pipe_wait_readable(pipe, is_nonblock);
        if (stop != 0) {
            return stop;
        }
    }
}

s64 pipe_read_from(struct file *end, struct iov_iter *iter, bool is_nonblock)
{
    struct pipe *pipe = end->private;
    bool has_more;
    s64 done;
    int stop;

    if (iov_count(iter) == 0) {
        return 0;
    }
    stop = lock_for_reading(pipe, is_nonblock);
    if (stop != 0) {
        return stop > 0 ? 0 : stop;
    }
    done = pipe_buffer_take(&pipe->buffer, iter);
    has_more = pipe_buffer_used(&pipe->buffer) > 0;
    mutex_unlock(&pipe->lock);
    if (done > 0) {
        pipe_wake_writers(pipe);
    }
    if (has_more) {
        pipe_wake_reader(pipe);
    }
    return done;
}

static s64 pipe_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    return pipe_read_from(file, iter, file_is_nonblock(file));
}

/* Writes one part: what fits, but a small write whole. Returns bytes, 0: no room, or -errno. */
static inline s64 write_part(struct pipe *pipe, struct iov_iter *iter, bool is_packet)
{
    s64 done = 0;

    mutex_lock(&pipe->lock);
    if (unlikely(!pipe_has_reader(pipe))) {
        done = -EPIPE;
    } else {
        done = is_packet ? pipe_buffer_put_packets(&pipe->buffer, iter)
                         : pipe_buffer_put(&pipe->buffer, iter);
    }
    mutex_unlock(&pipe->lock);
    if (done > 0) {
        pipe_wake_reader(pipe);
    }
    return done;
}

s64 pipe_write_to(struct file *end, struct iov_iter *iter, bool is_nonblock)
{
    struct pipe *pipe = end->private;
    s64 total = 0;

    while (iov_count(iter) > 0) {
        s64 done = write_part(pipe, iter, (READ_ONCE(end->flags) & O_DIRECT) != 0);

        if (done >= 0) {
            total += done;
            if (iov_count(iter) == 0) {
                break;
            }
            done = pipe_wait_writable(pipe, is_nonblock);
        } else if (done == -EPIPE) {
            done = broken_pipe();
        }
        if (done < 0) {
            return total > 0 ? total : done;
        }
    }
    return total;
}

static s64 pipe_write(struct file *file, struct iov_iter *iter, s64 *pos)
{
    return pipe_write_to(file, iter, file_is_nonblock(file));
}

static u32 pipe_read_poll(struct file *file, struct poll_table *table)
{
    struct pipe *pipe = file->private;
    u32 events = 0;

    poll_wait(table, &pipe->readers);
    if (pipe_buffer_used(&pipe->buffer) > 0) {
        events |= POLL_READ;
    }
    if (!pipe_has_writer(pipe)) {
        events |= POLLHUP;
    }
    return events;
}

static u32 pipe_write_poll(struct file *file, struct poll_table *table)
{
    struct pipe *pipe = file->private;
    u32 events = 0;

    poll_wait(table, &pipe->writers);
    if (pipe_buffer_free_slots(&pipe->buffer) > 0) {
        events |= POLL_WRITE;
    }
    if (!pipe_has_reader(pipe)) {
        events |= POLLERR;
    }
    return events;
}

static u32 pipe_both_poll(struct file *file, struct poll_table *table)
{
    return pipe_read_poll(file, table) | pipe_write_poll(file, table);
}

static void pipe_release(struct file *file)
{
    struct pipe *pipe = file->private;

    if (file_can_read(file) && atomic_u32_dec_and_test(&pipe->nr_readers)) {
        wake_up_all(&pipe->writers);
    }
    if (file_can_write(file) && atomic_u32_dec_and_test(&pipe->nr_writers)) {
        wake_up_all(&pipe->readers);
    }
    pipe_put(pipe);
}

static s64 pipe_ioctl(struct file *file, u32 cmd, u64 arg)
{
    struct pipe *pipe = file->private;

    if (cmd != FIONREAD) {
        return -ENOTTY;
    }
    return put_user_u32(arg, (u32)pipe_buffer_used(&pipe->buffer));
}

static s64 pipe_set_size(struct pipe *pipe, u64 size)
{
    u64 rounded = max(size, PAGE_SIZE);
    int error;

    if (size > (1ul << 31)) {
        return -EINVAL;
    }
    rounded = 1ul << log2_ceil(rounded);
    if (rounded > PIPE_MAX_SIZE && !has_capability(CAP_SYS_RESOURCE)) {
        return -EPERM;
    }
    mutex_lock(&pipe->lock);
    error = pipe_buffer_resize(&pipe->buffer, (u32)(rounded >> PAGE_SHIFT));
    mutex_unlock(&pipe->lock);
    if (error != 0) {
        return error;
    }
    wake_up_all(&pipe->writers);
    return (s64)rounded;
}

static s64 pipe_fcntl(struct file *file, u32 cmd, u64 arg)
{
    struct pipe *pipe = file->private;

    switch (cmd) {
    case F_GETPIPE_SZ:
        return (s64)(READ_ONCE(pipe->buffer.nr_slots) * PAGE_SIZE);
    case F_SETPIPE_SZ:
        return pipe_set_size(pipe, (u32)arg);
    default:
        return -EINVAL;
    }
}

static int pipe_stat(struct file *file, struct stat *stat)
{
    const struct pipe *pipe = file->private;

    anon_stat_fill(file, S_IFIFO | S_IRUSR | S_IWUSR, stat);
    stat->st_ino = pipe->inode;
    return 0;
}

static void pipe_name(struct file *file, char *buf, size_t size)
{
    const struct pipe *pipe = file->private;

    snprintf(buf, size, "pipe:[%lu]", pipe->inode);
}

struct pipe *pipe_of_file(const struct file *file)
{
    return file->ops->release == pipe_release ? file->private : NULL;
}

/* Any end opens any other one, as a name of the pipe would. */
static int pipe_reopen(struct file *file, u32 flags, struct file **out)
{
    return open_end(file->private, flags, out);
}

static const struct file_ops pipe_read_ops = {
    .kind = CB_FD_PIPE,
    .read = pipe_read,
    .ioctl = pipe_ioctl,
    .poll = pipe_read_poll,
    .release = pipe_release,
    .reopen = pipe_reopen,
    .stat = pipe_stat,
    .fcntl = pipe_fcntl,
    .name = pipe_name,
};

static const struct file_ops pipe_write_ops = {
    .kind = CB_FD_PIPE,
    .write = pipe_write,
    .ioctl = pipe_ioctl,
    .poll = pipe_write_poll,
    .release = pipe_release,
    .reopen = pipe_reopen,
    .stat = pipe_stat,
    .fcntl = pipe_fcntl,
    .name = pipe_name,
};

static const struct file_ops pipe_both_ops = {
    .kind = CB_FD_PIPE,
    .read = pipe_read,
    .write = pipe_write,
    .ioctl = pipe_ioctl,
    .poll = pipe_both_poll,
    .release = pipe_release,
    .reopen = pipe_reopen,
    .stat = pipe_stat,
    .fcntl = pipe_fcntl,
    .name = pipe_name,
};

static const struct file_ops *const ops_of_access[O_ACCMODE + 1] = {
    [O_RDONLY] = &pipe_read_ops,
    [O_WRONLY] = &pipe_write_ops,
    [O_RDWR] = &pipe_both_ops,
};

/* One more open file of a pipe; it takes a reference. */
static int open_end(struct pipe *pipe, u32 flags, struct file **out)
{
    const struct file_ops *ops = ops_of_access[flags & O_ACCMODE];
    int error = ops == NULL ? -EINVAL : file_alloc(ops, flags, 0, pipe, out);

    if (error != 0) {
        return error;
    }
    refcount_inc(&pipe->refs);
    if (file_can_read(*out)) {
        atomic_u32_inc(&pipe->nr_readers);
    }
    if (file_can_write(*out)) {
        atomic_u32_inc(&pipe->nr_writers);
    }
    return 0;
}
