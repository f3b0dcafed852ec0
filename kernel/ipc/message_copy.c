/*
 * Copies between a server and the memory that a message names.
 *
 * Owns: the walk over a message's regions. It keeps M3: the memory of a sender is touched only
 * while its message is RECEIVED. A copy in progress holds the address space and counts itself, so
 * a reply cannot overtake it; after the sender's death it stops at the next piece.
 */
#include <ipc/message.h>

#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/gup.h>
#include <mm/object.h>
#include <mm/usercopy.h>
#include <uapi/cowbell.h>
#include <proc/sched.h>
#include <proc/thread.h>

/* A dead sender's memory stays for at most this long a copy. */
#define COPY_PIECE 65536ul

static const struct message_region *region_of(const struct message *msg, enum region_access access)
{
    return access == REGION_READ ? &msg->send : &msg->recv;
}

/* A piece of sender's user memory, without a bounce. Returns bytes or -errno. */
static s64 copy_piece_user(struct message *msg, u64 addr, u64 buf, size_t len,
                           enum region_access access)
{
    if (access == REGION_READ) {
        return mm_copy_between(current_mm(), buf, msg->mm, addr, len);
    }
    return mm_copy_between(msg->mm, addr, current_mm(), buf, len);
}

/* A piece of a buffer that belongs to the message. */
static s64 copy_piece_kernel(u64 addr, u64 buf, size_t len, enum region_access access)
{
    size_t done = access == REGION_READ ? copy_to_user_partial(buf, (const void *)addr, len)
                                        : copy_from_user_partial((void *)addr, buf, len);

    return (s64)done;
}

/* What a copy gives that has not begun. */
static s64 copy_error(struct message *msg, s64 copied)
{
    if (copied == -EAGAIN) {
        WRITE_ONCE(msg->is_missing, true);
        return -CB_EPAGING;
    }
    return copied == 0 ? -EFAULT : copied;
}

/* An iterator only tells that it could not go on; the first byte of where it stands says why. */
static s64 why_stopped(struct message *msg, const struct iov_iter *iter, enum region_access access)
{
    enum remote_access remote = access == REGION_READ ? REMOTE_READ : REMOTE_WRITE;
    int error;

    if (iter->kind != IOV_REMOTE) {
        return -EFAULT;
    }
    error = mm_probe_remote(iter->mm, iter->iov->iov_base + iter->offset, remote);
    return error == -EAGAIN ? copy_error(msg, error) : -EFAULT;
}

s64 message_copy(struct message *msg, u64 offset, u64 buf, size_t len, enum region_access access)
{
    const struct message_region *region = region_of(msg, access);
    struct iov_iter iter;
    size_t done = 0;

    if (!user_access_ok(buf, len)) {
        return -EFAULT;
    }
    if (offset >= region->len) {
        return 0;
    }
    len = min(len, region->len - offset);
    iov_init_vector(&iter, region->kind, region->iov, region->nr, offset, len);
    while (done < len) {
        size_t piece = min(min(len - done, iter.iov->iov_len - iter.offset), COPY_PIECE);
        u64 addr = iter.iov->iov_base + iter.offset;
        s64 copied;

        if (!message_is_open(msg)) {
            return -ESRCH;
        }
        if (region->kind == IOV_KERNEL) {
            copied = copy_piece_kernel(addr, buf + done, piece, access);
        } else {
            copied = copy_piece_user(msg, addr, buf + done, piece, access);
        }
        if (copied <= 0) {
            return done > 0 ? (s64)done : copy_error(msg, copied);
        }
        iov_advance(&iter, (size_t)copied);
        done += (size_t)copied;
        sched_point();
    }
    return (s64)done;
}

s64 message_copy_object(struct message *msg, u64 offset, struct vm_object *object,
                        u64 object_offset, size_t len, enum region_access access)
{
    const struct message_region *region = region_of(msg, access);
    struct iov_iter iter;
    size_t total = 0;

    if (offset >= region->len) {
        return 0;
    }
    len = min(len, region->len - offset);
    iov_init_vector(&iter, region->kind == IOV_USER ? IOV_REMOTE : IOV_KERNEL, region->iov,
                    region->nr, offset, len);
    iter.mm = msg->mm;
    while (total < len) {
        size_t rest = len - total;
        u64 done = 0;
        int error;

        if (!message_is_open(msg)) {
            return -ESRCH;
        }
        iov_truncate(&iter, COPY_PIECE);
        error = access == REGION_READ ? object_write(object, object_offset + total, &iter, &done)
                                      : object_read(object, object_offset + total, &iter, &done);
        if (error != 0 || done == 0) {
            if (total == 0 && error == -EFAULT) {
                return why_stopped(msg, &iter, access);
            }
            return total > 0 || error == 0 ? (s64)total : error;
        }
        total += done;
        iter.count = rest - done;
        sched_point();
    }
    return (s64)total;
}
