/*
 * Iterators over user, remote and kernel memory.
 *
 * Owns: the copies of struct iov_iter. It must not check who may touch the memory: a range of the
 * user's is checked by the user copies. Read next: kernel/ipc/file.c.
 */
#include <ipc/iov.h>

#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/gup.h>
#include <mm/slab.h>
#include <mm/usercopy.h>

void iov_init_kernel(struct iov_iter *iter, const void *buf, size_t len)
{
    iov_init_user(iter, (u64)buf, len);
    iter->kind = IOV_KERNEL;
}

void iov_init_vector(struct iov_iter *iter, enum iov_kind kind, const struct iovec *iov, u32 nr,
                     size_t offset, size_t count)
{
    iter->kind = kind;
    iter->nr = nr;
    iter->iov = iov;
    iter->offset = 0;
    iter->count = offset + count;
    iter->mm = NULL;
    iov_advance(iter, offset);
}

/* Checks the lengths as Linux does: a negative one is wrong, a sum too large is cut off. */
static int iov_check(struct iovec *iov, u32 nr, size_t *count)
{
    size_t sum = 0;

    for (u32 i = 0; i < nr; i++) {
        if ((s64)iov[i].iov_len < 0) {
            return -EINVAL;
        }
    }
    for (u32 i = 0; i < nr; i++) {
        if (!user_access_ok(iov[i].iov_base, iov[i].iov_len)) {
            return -EFAULT;
        }
        iov[i].iov_len = min(iov[i].iov_len, MAX_RW_COUNT - sum);
        sum += iov[i].iov_len;
    }
    *count = sum;
    return 0;
}

int iov_import(struct iov_iter *iter, u64 array, u64 nr, struct iovec *fast, struct iovec **heap)
{
    struct iovec *iov = fast;
    size_t count = 0;
    int error;

    *heap = NULL;
    if (nr > UIO_MAXIOV) {
        return -EINVAL;
    }
    if (nr > IOV_FAST) {
        iov = kmalloc(nr * sizeof(*iov), ALLOC_KERNEL);
        if (iov == NULL) {
            return -ENOMEM;
        }
    }
    error = nr == 0 ? 0 : copy_from_user(iov, array, nr * sizeof(*iov));
    if (error == 0) {
        error = iov_check(iov, (u32)nr, &count);
    }
    if (error != 0) {
        kfree(iov == fast ? NULL : iov);
        return error;
    }
    *heap = iov == fast ? NULL : iov;
    iov_init_vector(iter, IOV_USER, iov, (u32)nr, 0, count);
    return 0;
}

void iov_release(struct iovec *heap)
{
    kfree(heap);
}

void iov_advance(struct iov_iter *iter, size_t n)
{
    ASSERT(n <= iter->count, "an iterator moves within its memory");
    iter->count -= n;
    n += iter->offset;
    while (iter->nr > 0 && n >= iter->iov->iov_len && (n > 0 || iter->iov->iov_len == 0)) {
        n -= iter->iov->iov_len;
        iter->iov++;
        iter->nr--;
    }
    iter->offset = n;
}

enum iov_direction { IOV_TO, IOV_FROM, IOV_ZERO };

static size_t copy_remote(struct mm *mm, u64 addr, void *buf, size_t n, enum remote_access access)
{
    s64 done = mm_copy_remote(mm, addr, buf, n, access);

    return done < 0 ? 0 : (size_t)done;
}

static size_t zero_remote(struct mm *mm, u64 addr, size_t n)
{
    static const u8 zeros[256];
    size_t done = 0;

    while (done < n) {
        size_t part = min(n - done, sizeof(zeros));
        size_t copied = copy_remote(mm, addr + done, (void *)zeros, part, REMOTE_WRITE);

        done += copied;
        if (copied < part) {
            break;
        }
    }
    return done;
}

/* Copies within one segment. Returns the bytes copied. */
static size_t copy_segment(const struct iov_iter *iter, u64 addr, void *buf, size_t n,
                           enum iov_direction direction)
{
    if (iter->kind == IOV_USER) {
        switch (direction) {
        case IOV_TO:
            return copy_to_user_partial(addr, buf, n);
        case IOV_FROM:
            return copy_from_user_partial(buf, addr, n);
        case IOV_ZERO:
            return clear_user_partial(addr, n);
        }
    }
    if (iter->kind == IOV_REMOTE) {
        if (direction == IOV_ZERO) {
            return zero_remote(iter->mm, addr, n);
        }
        return copy_remote(iter->mm, addr, buf, n,
                           direction == IOV_TO ? REMOTE_WRITE : REMOTE_READ);
    }
    if (direction == IOV_TO) {
        memcpy((void *)addr, buf, n);
    } else if (direction == IOV_FROM) {
        memcpy(buf, (const void *)addr, n);
    } else {
        memset((void *)addr, 0, n);
    }
    return n;
}

static size_t iov_copy(struct iov_iter *iter, u8 *buf, size_t n, enum iov_direction direction)
{
    size_t done = 0;

    n = min(n, iter->count);
    while (done < n) {
        size_t part = min(n - done, iter->iov->iov_len - iter->offset);
        size_t copied = copy_segment(iter, iter->iov->iov_base + iter->offset,
                                     buf == NULL ? NULL : buf + done, part, direction);

        iov_advance(iter, copied);
        done += copied;
        if (copied < part) {
            break;
        }
    }
    return done;
}

size_t iov_copy_to_slow(struct iov_iter *iter, const void *src, size_t n)
{
    return iov_copy(iter, (u8 *)src, n, IOV_TO);
}

size_t iov_copy_from_slow(struct iov_iter *iter, void *dst, size_t n)
{
    return iov_copy(iter, dst, n, IOV_FROM);
}

size_t iov_zero(struct iov_iter *iter, size_t n)
{
    return iov_copy(iter, NULL, n, IOV_ZERO);
}
