/*
 * read(2), write(2) and their relatives.
 *
 * Owns: access checks, the choice and locking of the position, partial results of loops. What a
 * transfer means is the file's. Read next: kernel/ipc/connection_file.c, pipe.c.
 */
#include <syscall/syscalls.h>

#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/iov.h>
#include <lib/errno.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/process.h>
#include <proc/rlimit.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>

enum transfer { TRANSFER_READ, TRANSFER_WRITE };

/* May the file be read or written at all? Linux's errors in Linux's order. */
static inline int check_access(const struct file *file, enum transfer transfer)
{
    if (transfer == TRANSFER_READ) {
        if (unlikely(!file_can_read(file))) {
            return -EBADF;
        }
        return file->ops->read == NULL ? -EINVAL : 0;
    }
    if (unlikely(!file_can_write(file))) {
        return -EBADF;
    }
    return file->ops->write == NULL ? -EINVAL : 0;
}

/* @pos: NULL for a file without a position, whose size has no limit. */
static inline s64 run_transfer(struct file *file, struct iov_iter *iter, s64 *pos,
                               enum transfer transfer)
{
    const struct rlimit *limit = &current_process()->limits[RLIMIT_FSIZE];

    if (transfer == TRANSFER_READ) {
        return file->ops->read(file, iter, pos);
    }
    if (unlikely(pos != NULL && READ_ONCE(limit->rlim_cur) != RLIM_INFINITY)) {
        return file_write_limited(file, iter, pos);
    }
    return file->ops->write(file, iter, pos);
}

/* At the file's own position, which only threads that share the file fight for. */
static NOINLINE s64 transfer_seekable(const struct fd_ref *ref, struct iov_iter *iter,
                                      enum transfer transfer)
{
    struct file *file = ref->file;
    s64 result;

    if (!ref->is_counted && refcount_read(&file->refs) == 1) {
        return run_transfer(file, iter, &file->pos, transfer);
    }
    result = mutex_lock_killable(&file->pos_lock);
    if (result == 0) {
        result = run_transfer(file, iter, &file->pos, transfer);
        mutex_unlock(&file->pos_lock);
    }
    return result;
}

static ALWAYS_INLINE s64 transfer_at_pos(const struct fd_ref *ref, struct iov_iter *iter,
                                         enum transfer transfer)
{
    if (ref->file->traits & FILE_SEEKABLE) {
        return transfer_seekable(ref, iter, transfer);
    }
    return run_transfer(ref->file, iter, NULL, transfer);
}

static ALWAYS_INLINE long transfer_single(s32 fd, u64 buf, u64 len, enum transfer transfer)
{
    struct fd_ref ref;
    struct iov_iter iter;
    s64 result = fd_borrow(fd, &ref);

    if (unlikely(result != 0)) {
        return result;
    }
    result = check_access(ref.file, transfer);
    if (likely(result == 0)) {
        result = iov_import_single(&iter, buf, len);
    }
    if (likely(result == 0)) {
        result = transfer_at_pos(&ref, &iter, transfer);
    }
    fd_return(&ref);
    return result;
}

long sys_read(s32 fd, u64 buf, u64 len)
{
    return transfer_single(fd, buf, len, TRANSFER_READ);
}

long sys_write(s32 fd, u64 buf, u64 len)
{
    return transfer_single(fd, buf, len, TRANSFER_WRITE);
}

/* A position that a transfer does not take from the file. */
#define POS_OF_FILE (-1)

static s64 transfer_at(const struct fd_ref *ref, struct iov_iter *iter, s64 pos,
                       enum transfer transfer)
{
    if (pos == POS_OF_FILE) {
        return transfer_at_pos(ref, iter, transfer);
    }
    if (!(ref->file->traits & FILE_SEEKABLE)) {
        return -ESPIPE;
    }
    return run_transfer(ref->file, iter, &pos, transfer);
}

static long transfer_vector(s32 fd, u64 iov, u64 nr, s64 pos, enum transfer transfer)
{
    struct iovec fast[IOV_FAST];
    struct iovec *heap;
    struct iov_iter iter;
    struct fd_ref ref;
    s64 result = fd_borrow(fd, &ref);

    if (result != 0) {
        return result;
    }
    result = check_access(ref.file, transfer);
    if (result == 0 && pos != POS_OF_FILE && !(ref.file->traits & FILE_SEEKABLE)) {
        result = -ESPIPE;
    }
    if (result == 0) {
        result = iov_import(&iter, iov, nr, fast, &heap);
    }
    if (result == 0) {
        /* Nothing to move is no message and no wait. */
        if (iov_count(&iter) > 0) {
            result = transfer_at(&ref, &iter, pos, transfer);
        }
        iov_release(heap);
    }
    fd_return(&ref);
    return result;
}

long sys_readv(s32 fd, u64 iov, u64 nr)
{
    return transfer_vector(fd, iov, nr, POS_OF_FILE, TRANSFER_READ);
}

long sys_writev(s32 fd, u64 iov, u64 nr)
{
    return transfer_vector(fd, iov, nr, POS_OF_FILE, TRANSFER_WRITE);
}

static ALWAYS_INLINE long transfer_positioned(s32 fd, u64 buf, u64 len, s64 pos,
                                              enum transfer transfer)
{
    struct fd_ref ref;
    struct iov_iter iter;
    s64 result;

    if (unlikely(pos < 0)) {
        return -EINVAL;
    }
    result = fd_borrow(fd, &ref);
    if (unlikely(result != 0)) {
        return result;
    }
    if (unlikely(!(ref.file->traits & (FILE_SEEKABLE | FILE_PATH_ONLY)))) {
        result = -ESPIPE;
    } else {
        result = check_access(ref.file, transfer);
    }
    if (likely(result == 0)) {
        result = iov_import_single(&iter, buf, len);
    }
    if (likely(result == 0)) {
        result = run_transfer(ref.file, &iter, &pos, transfer);
    }
    fd_return(&ref);
    return result;
}

long sys_pread64(s32 fd, u64 buf, u64 len, s64 pos)
{
    return transfer_positioned(fd, buf, len, pos, TRANSFER_READ);
}

long sys_pwrite64(s32 fd, u64 buf, u64 len, s64 pos)
{
    return transfer_positioned(fd, buf, len, pos, TRANSFER_WRITE);
}

/* On a 64-bit machine the low word is the whole position. */
long sys_preadv(s32 fd, u64 iov, u64 nr, u64 pos_low, u64 pos_high)
{
    if ((s64)pos_low < 0) {
        return -EINVAL;
    }
    return transfer_vector(fd, iov, nr, (s64)pos_low, TRANSFER_READ);
}

long sys_pwritev(s32 fd, u64 iov, u64 nr, u64 pos_low, u64 pos_high)
{
    if ((s64)pos_low < 0) {
        return -EINVAL;
    }
    return transfer_vector(fd, iov, nr, (s64)pos_low, TRANSFER_WRITE);
}

long sys_preadv2(s32 fd, u64 iov, u64 nr, u64 pos_low, u64 pos_high, s32 flags)
{
    if (flags != 0) {
        return -EOPNOTSUPP;
    }
    if ((s64)pos_low < -1) {
        return -EINVAL;
    }
    return transfer_vector(fd, iov, nr, (s64)pos_low, TRANSFER_READ);
}

long sys_pwritev2(s32 fd, u64 iov, u64 nr, u64 pos_low, u64 pos_high, s32 flags)
{
    if (flags != 0) {
        return -EOPNOTSUPP;
    }
    if ((s64)pos_low < -1) {
        return -EINVAL;
    }
    return transfer_vector(fd, iov, nr, (s64)pos_low, TRANSFER_WRITE);
}

/* SEEK_DATA and SEEK_HOLE of a file that knows no holes: all is data up to one hole at the end. */
static s64 seek_plain(struct file *file, s64 offset, u32 whence)
{
    s64 size = 0;
    int error = file->ops->size(file, &size);

    if (error != 0) {
        return error;
    }
    if (offset < 0 || offset >= size) {
        return -ENXIO;
    }
    return whence == SEEK_DATA ? offset : size;
}

static s64 seek_target(struct file *file, s64 offset, u32 whence)
{
    s64 base = 0;
    int error = 0;

    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = file->pos;
        break;
    case SEEK_END:
        error = file->ops->size == NULL ? -EINVAL : file->ops->size(file, &base);
        break;
    default:
        base = file->ops->seek != NULL ? file->ops->seek(file, offset, whence) : -EOPNOTSUPP;
        if (base != -EOPNOTSUPP) {
            return base;
        }
        return file->ops->size == NULL ? -EINVAL : seek_plain(file, offset, whence);
    }
    if (error != 0) {
        return error;
    }
    if (__builtin_add_overflow(base, offset, &base)) {
        return -EOVERFLOW;
    }
    return base < 0 ? -EINVAL : base;
}

static s64 seek_file(struct file *file, s64 offset, u32 whence)
{
    s64 result = mutex_lock_killable(&file->pos_lock);

    if (result != 0) {
        return result;
    }
    result = seek_target(file, offset, whence);
    if (result >= 0) {
        file->pos = result;
    }
    mutex_unlock(&file->pos_lock);
    return result;
}

long sys_lseek(s32 fd, s64 offset, u32 whence)
{
    struct fd_ref ref;
    s64 result = fd_borrow(fd, &ref);

    if (result != 0) {
        return result;
    }
    if (ref.file->traits & FILE_PATH_ONLY) {
        result = -EBADF;
    } else if (whence > SEEK_HOLE) {
        result = -EINVAL;
    } else if (!(ref.file->traits & FILE_SEEKABLE)) {
        result = -ESPIPE;
    } else {
        result = seek_file(ref.file, offset, whence);
    }
    fd_return(&ref);
    return result;
}
