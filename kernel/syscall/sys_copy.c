/*
 * Copies between two files without a trip through the caller's memory: sendfile(2),
 * copy_file_range(2).
 *
 * Owns: the loop over a kernel buffer. The source's position moves by what the target took.
 */
#include <syscall/syscalls.h>

#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/iov.h>
#include <lib/errno.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>

#define COPY_BUFFER 16384ul

static s64 write_some(struct file *out, const void *buf, size_t len, s64 *pos)
{
    struct iov_iter iter;

    iov_init_kernel(&iter, buf, len);
    return file_write_limited(out, &iter, pos);
}

static s64 read_some(struct file *in, void *buf, size_t len, s64 pos)
{
    struct iov_iter iter;

    iov_init_kernel(&iter, buf, len);
    return in->ops->read(in, &iter, &pos);
}

/*
 * Copies up to @count bytes. @in_pos moves by what was written; @out_pos is NULL for a stream.
 * Returns bytes, or -errno if there were none.
 */
static s64 copy_loop(struct file *in, s64 *in_pos, struct file *out, s64 *out_pos, u64 count)
{
    size_t size = min(count, COPY_BUFFER);
    void *buf = kmalloc(size, ALLOC_KERNEL);
    s64 total = 0;
    s64 result = 0;

    if (buf == NULL) {
        return -ENOMEM;
    }
    while ((u64)total < count) {
        s64 nr_read = read_some(in, buf, min(count - (u64)total, size), *in_pos);

        result = nr_read;
        if (nr_read <= 0) {
            break;
        }
        result = write_some(out, buf, (size_t)nr_read, out_pos);
        if (result <= 0) {
            break;
        }
        *in_pos += result;
        total += result;
        if (signal_pending(current_thread())) {
            break;
        }
        sched_point();
    }
    kfree(buf);
    return total > 0 ? total : result;
}

static int check_copy(const struct file *in, const struct file *out)
{
    if (!file_can_read(in) || !file_can_write(out)) {
        return -EBADF;
    }
    if (in->ops->read == NULL || out->ops->write == NULL || !(in->traits & FILE_SEEKABLE)) {
        return -EINVAL;
    }
    return 0;
}

/* The position of a file, or the one at a user's address; saved back by pos_finish(). */
static int pos_start(struct file *file, u64 user_pos, s64 *pos)
{
    u64 value;

    if (user_pos == 0) {
        *pos = file->pos;
        return 0;
    }
    if (!(file->traits & FILE_SEEKABLE)) {
        return -ESPIPE;
    }
    if (get_user_u64(&value, user_pos) != 0) {
        return -EFAULT;
    }
    *pos = (s64)value;
    return *pos < 0 ? -EINVAL : 0;
}

static int pos_finish(struct file *file, u64 user_pos, s64 pos)
{
    if (user_pos == 0) {
        if (file->traits & FILE_SEEKABLE) {
            file->pos = pos;
        }
        return 0;
    }
    return put_user_u64(user_pos, (u64)pos);
}

struct copy {
    struct file *in;
    struct file *out;
    u64 in_off; /* user addresses of positions, or 0 */
    u64 out_off;
    u64 count;
};

static s64 run_copy(const struct copy *copy, s64 in_pos, s64 out_pos)
{
    bool is_stream = !(copy->out->traits & FILE_SEEKABLE);
    u64 count = min(copy->count, MAX_RW_COUNT);
    s64 result = 0;
    int error;

    if (count != 0) {
        result = copy_loop(copy->in, &in_pos, copy->out, is_stream ? NULL : &out_pos, count);
    }
    if (result > 0) {
        error = pos_finish(copy->in, copy->in_off, in_pos);
        error = error != 0 ? error : pos_finish(copy->out, copy->out_off, out_pos);
        result = error != 0 ? error : result;
    }
    return result;
}

/* For sendfile(2): what RLIMIT_FSIZE cuts off is heard of when its turn comes. */
static s64 copy_stream(const struct copy *copy)
{
    s64 in_pos;
    s64 out_pos;
    s64 result = pos_start(copy->in, copy->in_off, &in_pos);

    result = result != 0 ? result : pos_start(copy->out, copy->out_off, &out_pos);
    return result != 0 ? result : run_copy(copy, in_pos, out_pos);
}

/* For copy_file_range(2): what RLIMIT_FSIZE cuts off is not tried. */
static s64 copy_range(struct copy *copy)
{
    s64 in_pos;
    s64 out_pos;
    s64 result = pos_start(copy->in, copy->in_off, &in_pos);

    result = result != 0 ? result : pos_start(copy->out, copy->out_off, &out_pos);
    result = result != 0 ? result : file_limit_write(copy->out, out_pos, &copy->count);
    return result != 0 ? result : run_copy(copy, in_pos, out_pos);
}

long sys_sendfile(s32 out_fd, s32 in_fd, u64 offset, u64 count)
{
    struct fd_ref in;
    struct fd_ref out;
    s64 result = fd_borrow(in_fd, &in);

    if (result != 0) {
        return result;
    }
    result = fd_borrow(out_fd, &out);
    if (result == 0) {
        result = check_copy(in.file, out.file);
        if (result == 0 && (out.file->flags & O_APPEND)) {
            result = -EINVAL;
        }
        result = result != 0 ? result : (s64)count < 0 ? -EINVAL : 0;
        if (result == 0) {
            const struct copy copy = {in.file, out.file, .in_off = offset, .count = count};

            result = copy_stream(&copy);
        }
        fd_return(&out);
    }
    fd_return(&in);
    return result;
}

long sys_copy_file_range(s32 in_fd, u64 in_off, s32 out_fd, u64 out_off, u64 len, u32 flags)
{
    struct fd_ref in;
    struct fd_ref out;
    s64 result;

    if (flags != 0) {
        return -EINVAL;
    }
    result = fd_borrow(in_fd, &in);
    if (result != 0) {
        return result;
    }
    result = fd_borrow(out_fd, &out);
    if (result == 0) {
        result = check_copy(in.file, out.file);
        if (result == 0 && (out.file->flags & O_APPEND)) {
            result = -EBADF;
        }
        if (result == 0 && !(out.file->traits & FILE_SEEKABLE)) {
            result = -EINVAL;
        }
        if (result == 0) {
            struct copy copy = {in.file, out.file, in_off, out_off, len};

            result = copy_range(&copy);
        }
        fd_return(&out);
    }
    fd_return(&in);
    return result;
}
