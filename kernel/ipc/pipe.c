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
#include <ipc/pipe.h>

#include <ipc/anon_stat.h>
#include <ipc/file.h>
#include <ipc/pipe_buffer.h>
#include <ipc/poll.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/cred.h>
#include <proc/mutex.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <proc/waitqueue.h>
#include <uapi/cowbell.h>
#include <uapi/linux/ioctl.h>
#include <uapi/linux/stat.h>

/* [l] lock, [x] atomic or read without the lock. */
struct pipe {
    struct mutex lock;
    struct pipe_buffer buffer; /* [l] counts read without */
    struct wait_queue readers; /* wait for bytes or for the last writer to go */
    struct wait_queue writers; /* wait for room or for the last reader to go */
    bool has_reader;           /* [x] */
    bool has_writer;           /* [x] */
    struct refcount refs;      /* [x] one for each end */
    u64 inode;                 /* immutable */
};

static struct kmem_cache *pipe_cache;

static const struct file_ops pipe_read_ops;
static const struct file_ops pipe_write_ops;

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
    pipe->has_reader = true;
    pipe->has_writer = true;
    refcount_set(&pipe->refs, 1);
    pipe->inode = anon_inode_next();
    error = pipe_buffer_init(&pipe->buffer, PIPE_DEFAULT_SIZE / PAGE_SIZE);
    if (error != 0) {
        kmem_cache_free(pipe_cache, pipe);
        return error;
    }
    error = file_alloc(&pipe_read_ops, O_RDONLY | flags, 0, pipe, &ends[0]);
    if (error != 0) {
        pipe_put(pipe);
        return error;
    }
    error = file_alloc(&pipe_write_ops, O_WRONLY | flags, 0, pipe, &ends[1]);
    if (error != 0) {
        file_put(ends[0]);
        return error;
    }
    refcount_inc(&pipe->refs);
    return 0;
}

static inline bool is_readable(const struct pipe *pipe)
{
    return pipe_buffer_used(&pipe->buffer) > 0 || !READ_ONCE(pipe->has_writer);
}

/*
 * Is there room for the next part of a write? A small write waits until it fits whole, a large one
 * until a page's worth fits: smaller pieces would mean a switch for each.
 */
static inline bool has_room(const struct pipe *pipe, size_t left)
{
    return pipe_buffer_room(&pipe->buffer) >= min(left, PIPE_ATOMIC);
}

static inline bool is_writable(const struct pipe *pipe, size_t left)
{
    return has_room(pipe, left) || !READ_ONCE(pipe->has_reader);
}

/* Takes the lock with bytes in the pipe. Returns 1, or 0 (end of file) or -errno without it. */
static int lock_for_reading(struct pipe *pipe, bool is_nonblock)
{
    for (;;) {
        int error;

        mutex_lock(&pipe->lock);
        if (likely(pipe_buffer_used(&pipe->buffer) > 0)) {
            return 1;
        }
        mutex_unlock(&pipe->lock);
        if (!READ_ONCE(pipe->has_writer)) {
            /* The last writer may have written between the look at the bytes and its end. */
            if (pipe_buffer_used(&pipe->buffer) == 0) {
                return 0;
            }
            continue;
        }
        if (is_nonblock) {
            return -EAGAIN;
        }
        error = wait_event_interruptible(&pipe->readers, is_readable(pipe));
        if (error != 0) {
            return error;
        }
    }
}

s64 pipe_read_from(struct file *end, struct iov_iter *iter, bool is_nonblock)
{
    struct pipe *pipe = end->private;
    bool has_more;
    s64 done;

    if (iov_count(iter) == 0) {
        return 0;
    }
    done = lock_for_reading(pipe, is_nonblock);
    if (done <= 0) {
        return done;
    }
    done = pipe_buffer_take(&pipe->buffer, iter);
    has_more = pipe_buffer_used(&pipe->buffer) > 0;
    mutex_unlock(&pipe->lock);
    if (done > 0 && wait_queue_is_waited(&pipe->writers)) {
        wake_up_all(&pipe->writers);
    }
    if (has_more && wait_queue_is_waited(&pipe->readers)) {
        wake_up_one(&pipe->readers);
    }
    return done;
}

static s64 pipe_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    return pipe_read_from(file, iter, file_is_nonblock(file));
}

static s64 broken_pipe(void)
{
    signal_send_thread(current_thread(), SIGPIPE, NULL);
    return -EPIPE;
}

/* Writes one part: what fits, but a small write whole. Returns bytes, 0: no room, or -errno. */
static s64 write_part(struct pipe *pipe, struct iov_iter *iter)
{
    s64 done = 0;

    mutex_lock(&pipe->lock);
    if (!READ_ONCE(pipe->has_reader)) {
        done = -EPIPE;
    } else if (has_room(pipe, iov_count(iter)) ||
               (iov_count(iter) > PIPE_ATOMIC && pipe_buffer_room(&pipe->buffer) > 0)) {
        done = pipe_buffer_put(&pipe->buffer, iter);
    }
    mutex_unlock(&pipe->lock);
    if (done > 0 && wait_queue_is_waited(&pipe->readers)) {
        wake_up_one(&pipe->readers);
    }
    return done;
}

s64 pipe_write_to(struct file *end, struct iov_iter *iter, bool is_nonblock)
{
    struct pipe *pipe = end->private;
    s64 total = 0;

    while (iov_count(iter) > 0) {
        s64 done = write_part(pipe, iter);

        if (done == -EPIPE) {
            s64 error = broken_pipe();

            return total > 0 ? total : error;
        }
        if (done < 0) {
            return total > 0 ? total : done;
        }
        total += done;
        if (iov_count(iter) == 0) {
            break;
        }
        if (is_nonblock) {
            return total > 0 ? total : -EAGAIN;
        }
        done = wait_event_interruptible(&pipe->writers, is_writable(pipe, iov_count(iter)));
        if (done != 0) {
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
    if (!READ_ONCE(pipe->has_writer)) {
        events |= POLLHUP;
    }
    return events;
}

static u32 pipe_write_poll(struct file *file, struct poll_table *table)
{
    struct pipe *pipe = file->private;
    u32 events = 0;

    poll_wait(table, &pipe->writers);
    if (pipe_buffer_room(&pipe->buffer) >= PIPE_ATOMIC) {
        events |= POLL_WRITE;
    }
    if (!READ_ONCE(pipe->has_reader)) {
        events |= POLLERR;
    }
    return events;
}

static void pipe_read_release(struct file *file)
{
    struct pipe *pipe = file->private;

    WRITE_ONCE(pipe->has_reader, false);
    wake_up_all(&pipe->writers);
    pipe_put(pipe);
}

static void pipe_write_release(struct file *file)
{
    struct pipe *pipe = file->private;

    WRITE_ONCE(pipe->has_writer, false);
    wake_up_all(&pipe->readers);
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

static const struct file_ops pipe_read_ops = {
    .kind = CB_FD_PIPE,
    .read = pipe_read,
    .ioctl = pipe_ioctl,
    .poll = pipe_read_poll,
    .release = pipe_read_release,
    .stat = pipe_stat,
    .fcntl = pipe_fcntl,
    .name = pipe_name,
};

static const struct file_ops pipe_write_ops = {
    .kind = CB_FD_PIPE,
    .write = pipe_write,
    .ioctl = pipe_ioctl,
    .poll = pipe_write_poll,
    .release = pipe_write_release,
    .stat = pipe_stat,
    .fcntl = pipe_fcntl,
    .name = pipe_name,
};
