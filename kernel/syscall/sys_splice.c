/*
 * vmsplice(2), splice(2), tee(2).
 *
 * Owns: the checks, in Linux's order, and the file positions. Read next: kernel/ipc/pipe_splice.c.
 */
#include <syscall/syscalls.h>

#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/iov.h>
#include <ipc/pipe.h>
#include <lib/errno.h>
#include <mm/usercopy.h>
#include <uapi/linux/fcntl.h>

struct splice {
    struct file *in;
    struct file *out;
    u64 in_off; /* user addresses of positions, or 0 */
    u64 out_off;
    size_t len;
    bool is_nonblock;
};

/* The position of a file, or the one at a user's address. */
static int pos_get(const struct file *file, u64 user_pos, s64 *pos)
{
    if (user_pos == 0) {
        *pos = file->pos;
        return 0;
    }
    if (get_user_u64((u64 *)pos, user_pos) != 0) {
        return -EFAULT;
    }
    if (!(file->traits & FILE_SEEKABLE)) {
        return -EINVAL;
    }
    return *pos < 0 ? -EINVAL : 0;
}

static int pos_put(struct file *file, u64 user_pos, s64 pos)
{
    if (user_pos != 0) {
        return put_user_u64(user_pos, (u64)pos);
    }
    if (file->traits & FILE_SEEKABLE) {
        file->pos = pos;
    }
    return 0;
}

static s64 splice_pipes(const struct splice *splice, struct pipe *in, struct pipe *out)
{
    bool is_nonblock =
        splice->is_nonblock || file_is_nonblock(splice->in) || file_is_nonblock(splice->out);

    if (splice->in_off != 0 || splice->out_off != 0) {
        return -ESPIPE;
    }
    return in == out ? -EINVAL : pipe_splice_pipe(in, out, splice->len, is_nonblock);
}

static s64 splice_to_file(const struct splice *splice, struct pipe *in)
{
    bool is_nonblock = splice->is_nonblock || file_is_nonblock(splice->in);
    struct file *file = splice->out;
    s64 pos;
    s64 result;
    int error;

    if (splice->in_off != 0) {
        return -ESPIPE;
    }
    error = pos_get(file, splice->out_off, &pos);
    if (error != 0) {
        return error;
    }
    if ((READ_ONCE(file->flags) & O_APPEND) || file->ops->write == NULL) {
        return -EINVAL;
    }
    result = pipe_splice_to_file(in, file, &pos, splice->len, is_nonblock);
    error = result > 0 ? pos_put(file, splice->out_off, pos) : 0;
    return error != 0 ? error : result;
}

static s64 splice_from_file(const struct splice *splice, struct pipe *out)
{
    bool is_nonblock = splice->is_nonblock || file_is_nonblock(splice->out);
    struct file *file = splice->in;
    s64 pos;
    s64 result;
    int error;

    if (splice->out_off != 0) {
        return -ESPIPE;
    }
    error = pos_get(file, splice->in_off, &pos);
    if (error != 0) {
        return error;
    }
    if ((file->traits & FILE_DIRECTORY) || file->ops->read == NULL) {
        return -EINVAL;
    }
    result = pipe_splice_from_file(file, &pos, out, splice->len, is_nonblock);
    error = result > 0 ? pos_put(file, splice->in_off, pos) : 0;
    return error != 0 ? error : result;
}

static s64 splice_files(const struct splice *splice)
{
    struct pipe *in = pipe_of_file(splice->in);
    struct pipe *out = pipe_of_file(splice->out);

    if (!file_can_read(splice->in) || !file_can_write(splice->out)) {
        return -EBADF;
    }
    if (in != NULL && out != NULL) {
        return splice_pipes(splice, in, out);
    }
    if (in != NULL) {
        return splice_to_file(splice, in);
    }
    return out != NULL ? splice_from_file(splice, out) : -EINVAL;
}

static s64 tee_files(const struct splice *tee)
{
    struct pipe *in = pipe_of_file(tee->in);
    struct pipe *out = pipe_of_file(tee->out);

    if (!file_can_read(tee->in) || !file_can_write(tee->out)) {
        return -EBADF;
    }
    if (in == NULL || out == NULL || in == out) {
        return -EINVAL;
    }
    return pipe_tee(in, out, tee->len,
                    tee->is_nonblock || file_is_nonblock(tee->in) || file_is_nonblock(tee->out));
}

/* Borrows both files for @act. */
static s64 with_files(s32 in_fd, s32 out_fd, struct splice *splice,
                      s64 (*act)(const struct splice *splice))
{
    struct fd_ref in;
    struct fd_ref out;
    s64 result = fd_borrow(in_fd, &in);

    if (result != 0) {
        return result;
    }
    result = fd_borrow(out_fd, &out);
    if (result == 0) {
        splice->in = in.file;
        splice->out = out.file;
        result = act(splice);
        fd_return(&out);
    }
    fd_return(&in);
    return result;
}

long sys_splice(s32 in_fd, u64 in_off, s32 out_fd, u64 out_off, u64 len, u32 flags)
{
    struct splice splice = {.in_off = in_off,
                            .out_off = out_off,
                            .len = min(len, MAX_RW_COUNT),
                            .is_nonblock = flags & SPLICE_F_NONBLOCK};

    if (len == 0) {
        return 0;
    }
    if (flags & ~(u32)SPLICE_F_ALL) {
        return -EINVAL;
    }
    return with_files(in_fd, out_fd, &splice, splice_files);
}

long sys_tee(s32 in_fd, s32 out_fd, u64 len, u32 flags)
{
    struct splice tee = {.len = min(len, MAX_RW_COUNT), .is_nonblock = flags & SPLICE_F_NONBLOCK};

    if (flags & ~(u32)SPLICE_F_ALL) {
        return -EINVAL;
    }
    return len == 0 ? 0 : with_files(in_fd, out_fd, &tee, tee_files);
}

/* With the read end it is readv(2); with the write end the pages themselves go in. */
static s64 vmsplice_file(struct file *file, struct iov_iter *iter, bool is_nonblock)
{
    struct pipe *pipe = pipe_of_file(file);

    if (iov_count(iter) == 0) {
        return 0;
    }
    if (pipe == NULL) {
        return -EBADF;
    }
    return file_can_write(file) ? pipe_splice_user(pipe, iter, is_nonblock)
                                : pipe_read_from(file, iter, is_nonblock);
}

long sys_vmsplice(s32 fd, u64 iov, u64 nr, u32 flags)
{
    struct iovec fast[IOV_FAST];
    struct iovec *heap;
    struct iov_iter iter;
    struct fd_ref ref;
    s64 result;

    if (flags & ~(u32)SPLICE_F_ALL) {
        return -EINVAL;
    }
    result = fd_borrow(fd, &ref);
    if (result != 0) {
        return result;
    }
    if (!file_can_read(ref.file) && !file_can_write(ref.file)) {
        fd_return(&ref);
        return -EBADF;
    }
    result = iov_import(&iter, iov, nr, fast, &heap);
    if (result == 0) {
        result = vmsplice_file(ref.file, &iter, flags & SPLICE_F_NONBLOCK);
        iov_release(heap);
    }
    fd_return(&ref);
    return result;
}
