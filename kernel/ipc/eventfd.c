/*
 * eventfd(2): a counter that read waits for and write adds to.
 *
 * Owns: struct eventfd. The counter changes under its lock; user memory is copied outside of it.
 */
#include <ipc/eventfd.h>

#include <ipc/file.h>
#include <ipc/poll.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <proc/spinlock.h>
#include <proc/waitqueue.h>
#include <uapi/cowbell.h>

#define COUNT_MAX (U64_MAX - 1)

struct eventfd {
    struct spinlock lock;
    u64 count;         /* [lock] */
    bool is_semaphore; /* immutable */
    struct wait_queue waiters;
};

static const struct file_ops eventfd_ops;

int eventfd_create(u32 initial, u32 flags, struct file **out)
{
    struct eventfd *event = kmalloc(sizeof(*event), ALLOC_KERNEL);
    int error;

    if (event == NULL) {
        return -ENOMEM;
    }
    spin_init(&event->lock, RANK_FILE);
    event->count = initial;
    event->is_semaphore = (flags & EFD_SEMAPHORE) != 0;
    wait_queue_init(&event->waiters);
    error = file_alloc(&eventfd_ops, O_RDWR | (flags & EFD_NONBLOCK), 0, event, out);
    if (error != 0) {
        kfree(event);
    }
    return error;
}

/* Takes what a read returns; 0 if there is nothing. */
static u64 eventfd_take(struct eventfd *event)
{
    u64 value;

    spin_lock(&event->lock);
    value = event->is_semaphore && event->count > 0 ? 1 : event->count;
    event->count -= value;
    spin_unlock(&event->lock);
    return value;
}

static bool eventfd_add(struct eventfd *event, u64 value)
{
    bool has_room;

    spin_lock(&event->lock);
    has_room = COUNT_MAX - event->count >= value;
    if (has_room) {
        event->count += value;
    }
    spin_unlock(&event->lock);
    return has_room;
}

static s64 eventfd_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    struct eventfd *event = file->private;
    u64 value;

    if (iov_count(iter) < sizeof(value)) {
        return -EINVAL;
    }
    for (;;) {
        int error;

        value = eventfd_take(event);
        if (value != 0) {
            break;
        }
        if (file_is_nonblock(file)) {
            return -EAGAIN;
        }
        error = wait_event_interruptible(&event->waiters, READ_ONCE(event->count) > 0);
        if (error != 0) {
            return error;
        }
    }
    /* Readers and writers share the queue, so that all of them look again. */
    wake_up_all(&event->waiters);
    return iov_copy_to(iter, &value, sizeof(value)) == sizeof(value) ? (s64)sizeof(value) : -EFAULT;
}

static s64 eventfd_write(struct file *file, struct iov_iter *iter, s64 *pos)
{
    struct eventfd *event = file->private;
    u64 value;

    if (iov_count(iter) < sizeof(value)) {
        return -EINVAL;
    }
    if (iov_copy_from(iter, &value, sizeof(value)) != sizeof(value)) {
        return -EFAULT;
    }
    if (value > COUNT_MAX) {
        return -EINVAL;
    }
    while (!eventfd_add(event, value)) {
        int error;

        if (file_is_nonblock(file)) {
            return -EAGAIN;
        }
        error =
            wait_event_interruptible(&event->waiters, COUNT_MAX - READ_ONCE(event->count) >= value);
        if (error != 0) {
            return error;
        }
    }
    wake_up_all(&event->waiters);
    return sizeof(value);
}

static u32 eventfd_poll(struct file *file, struct poll_table *table)
{
    struct eventfd *event = file->private;
    u64 count;
    u32 events = 0;

    poll_wait(table, &event->waiters);
    count = READ_ONCE(event->count);
    events |= count > 0 ? POLLIN : 0;
    events |= count < COUNT_MAX ? POLLOUT : 0;
    return events;
}

static void eventfd_release(struct file *file)
{
    kfree(file->private);
}

static void eventfd_name(struct file *file, char *buf, size_t size)
{
    strlcpy(buf, "anon_inode:[eventfd]", size);
}

static const struct file_ops eventfd_ops = {
    .kind = CB_FD_EVENTFD,
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .release = eventfd_release,
    .name = eventfd_name,
};
