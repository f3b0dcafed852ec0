/*
 * Iterators over memory that a transfer reads or fills: user ranges of the current process, ranges
 * of another address space, or a kernel buffer.
 *
 * Owns: struct iov_iter and the copies through it. A copy moves the iterator on by what it copied;
 * a short copy means a bad address, and what came before it is done. Read next: ipc/file.h.
 */
#ifndef IPC_IOV_H
#define IPC_IOV_H

#include <lib/compiler.h>
#include <lib/errno.h>
#include <lib/types.h>
#include <mm/usercopy.h>
#include <uapi/linux/uio.h>

struct mm;

enum iov_kind {
    IOV_USER,   /* of the current process */
    IOV_KERNEL, /* iov_base is a kernel address */
    IOV_REMOTE, /* of iter->mm, which the caller keeps alive */
};

#define IOV_FAST 8 /* segments that need no allocation */

/* An iterator lives where it was made: its segments may lie inside it. */
struct iov_iter {
    enum iov_kind kind;
    u32 nr;                  /* segments from *iov on */
    const struct iovec *iov; /* current segment */
    size_t offset;           /* into the current segment */
    size_t count;            /* bytes left */
    struct mm *mm;           /* IOV_REMOTE */
    struct iovec single;
};

/** iov_init_user() - iterate over one user range. It is not checked: see iov_import_single(). */
static inline void iov_init_user(struct iov_iter *iter, u64 addr, size_t len)
{
    iter->kind = IOV_USER;
    iter->nr = 1;
    iter->iov = &iter->single;
    iter->offset = 0;
    iter->count = len;
    iter->mm = NULL;
    iter->single.iov_base = addr;
    iter->single.iov_len = len;
}

/** iov_init_kernel() - iterate over a kernel buffer. */
void iov_init_kernel(struct iov_iter *iter, const void *buf, size_t len);

/** iov_init_vector() - iterate over @count bytes of @nr segments, from @offset in the first. */
void iov_init_vector(struct iov_iter *iter, enum iov_kind kind, const struct iovec *iov, u32 nr,
                     size_t offset, size_t count);

/**
 * iov_import_single() - as iov_init_user() for the argument of a system call.
 * Return: 0, or -EFAULT if the range leaves user space. More than MAX_RW_COUNT is cut off.
 */
static inline MUST_CHECK int iov_import_single(struct iov_iter *iter, u64 addr, size_t len)
{
    if (unlikely(!user_access_ok(addr, len))) {
        return -EFAULT;
    }
    iov_init_user(iter, addr, min(len, (size_t)MAX_RW_COUNT));
    return 0;
}

/**
 * iov_import() - iterate over a user's array of ranges.
 * @array: user address of struct iovec[nr]
 * @nr:    0..UIO_MAXIOV
 * @fast:  IOV_FAST segments of the caller's, used if they suffice
 * @heap:  out: what iov_release() frees; NULL if nothing was allocated
 *
 * Return: 0, -EINVAL (too many, or the lengths' sum overflows), -EFAULT, -ENOMEM.
 */
MUST_CHECK int iov_import(struct iov_iter *iter, u64 array, u64 nr, struct iovec *fast,
                          struct iovec **heap);

/** iov_release() - free what iov_import() allocated. */
void iov_release(struct iovec *heap);

/** iov_advance() - skip @n bytes; @n is at most iter->count. */
void iov_advance(struct iov_iter *iter, size_t n);

/** iov_piece() - the bytes left of the current segment, from @addr on. Not for the end. */
static inline size_t iov_piece(const struct iov_iter *iter, u64 *addr)
{
    *addr = iter->iov->iov_base + iter->offset;
    return min(iter->count, iter->iov->iov_len - iter->offset);
}

/* Can the copy be made in one piece of user memory? The common case, which is kept short. */
static ALWAYS_INLINE bool iov_is_one_piece(const struct iov_iter *iter, size_t n)
{
    return iter->kind == IOV_USER && n <= iter->count && n <= iter->iov->iov_len - iter->offset;
}

static ALWAYS_INLINE void iov_advance_in_piece(struct iov_iter *iter, size_t n)
{
    iter->count -= n;
    iter->offset += n;
    if (unlikely(iter->nr > 1)) {
        iov_advance(iter, 0);
    }
}

/* The general cases of the copies. */
MUST_CHECK size_t iov_copy_to_slow(struct iov_iter *iter, const void *src, size_t n);
MUST_CHECK size_t iov_copy_from_slow(struct iov_iter *iter, void *dst, size_t n);

/**
 * iov_copy_to() - fill the iterator's memory from a kernel buffer.
 * Context: thread; may sleep in a fault. Return: bytes copied, fewer than @n at a bad address or
 *          at the iterator's end.
 */
static inline MUST_CHECK size_t iov_copy_to(struct iov_iter *iter, const void *src, size_t n)
{
    if (unlikely(iter->nr == 0 || !iov_is_one_piece(iter, n))) {
        return iov_copy_to_slow(iter, src, n);
    }
    n = copy_to_user_partial(iter->iov->iov_base + iter->offset, src, n);
    iov_advance_in_piece(iter, n);
    return n;
}

/** iov_copy_from() - fill a kernel buffer from the iterator's memory. As iov_copy_to(). */
static inline MUST_CHECK size_t iov_copy_from(struct iov_iter *iter, void *dst, size_t n)
{
    if (unlikely(iter->nr == 0 || !iov_is_one_piece(iter, n))) {
        return iov_copy_from_slow(iter, dst, n);
    }
    n = copy_from_user_partial(dst, iter->iov->iov_base + iter->offset, n);
    iov_advance_in_piece(iter, n);
    return n;
}

/** iov_zero() - fill @n bytes of the iterator's memory with zeros. As iov_copy_to(). */
MUST_CHECK size_t iov_zero(struct iov_iter *iter, size_t n);

static inline size_t iov_count(const struct iov_iter *iter)
{
    return iter->count;
}

/** iov_truncate() - leave at most @n bytes. */
static inline void iov_truncate(struct iov_iter *iter, size_t n)
{
    if (iter->count > n) {
        iter->count = n;
    }
}

#endif
