/*
 * The way from a paged object to its pager: messages to the port of the server that made it.
 *
 * The channel is a connection that has no descriptor; with the object it goes, and the server gets
 * its CLOSE. A client waits in the message, so it can be killed, and a server that dies answers
 * with an error; what the pages of a message are good for is decided in kernel/mm/pager.c.
 *
 * A server's answer is not trusted: an error that would make the kernel act for it (no memory, try
 * again, a signal) is an EIO.
 */
#include <ipc/pager_channel.h>

#include <ipc/connection.h>
#include <ipc/file.h>
#include <ipc/memfd.h>
#include <ipc/message.h>
#include <lib/errno.h>
#include <mm/pager.h>
#include <mm/usercopy.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <uapi/cowbell.h>

static s64 checked(s64 result)
{
    if (result >= 0) {
        return result;
    }
    if (fatal_signal_pending(current_thread())) {
        return -EINTR;
    }
    switch (result) {
    case -ENOSPC:
    case -EDQUOT:
    case -EROFS:
    case -EFBIG:
        return result;
    default:
        return -EIO;
    }
}

/* Sends @op about [offset, offset + len) with the pages as the server's to read or to fill. */
static s64 channel_call(void *channel, u32 op, u64 offset, u64 len, struct page **pages,
                        u32 nr_pages)
{
    const struct file *file = channel;
    struct message *msg;
    s64 result = message_alloc(op, &msg);

    if (result != 0) {
        return result;
    }
    msg->is_killable = true;
    msg->args[0] = offset;
    msg->args[1] = len;
    if (pages != NULL) {
        result = message_set_pages(msg, op == CB_OP_PAGE_IN ? REGION_WRITE : REGION_READ, pages,
                                   nr_pages, len);
    }
    if (result == 0) {
        result = checked(message_call(msg, file->private));
    }
    message_put(msg);
    return result;
}

static s64 channel_page_in(void *channel, u64 offset, struct page **pages, u32 nr_pages)
{
    return channel_call(channel, CB_OP_PAGE_IN, offset, (u64)nr_pages << PAGE_SHIFT, pages,
                        nr_pages);
}

static int channel_write_notify(void *channel, u64 offset)
{
    s64 result = channel_call(channel, CB_OP_WRITE_NOTIFY, offset, PAGE_SIZE, NULL, 0);

    return result > 0 ? 0 : (int)result;
}

static s64 channel_write_back(void *channel, u64 offset, struct page **pages, u32 nr_pages, u64 len)
{
    return channel_call(channel, CB_OP_WRITE_BACK, offset, len, pages, nr_pages);
}

static void channel_release(void *channel)
{
    file_put(channel);
}

static const struct pager_ops channel_ops = {
    .page_in = channel_page_in,
    .write_notify = channel_write_notify,
    .write_back = channel_write_back,
    .release = channel_release,
};

int pager_file_create(struct port *port, const struct cb_pager *pager, struct file **out)
{
    enum pager_mode mode = pager->flags & CB_PAGER_TRACKS ? PAGER_TRACKS : PAGER_SUPPLIES;
    struct vm_object *object;
    struct file *channel;
    int error;

    if ((pager->flags & ~CB_PAGER_TRACKS) != 0 || pager->pad != 0 || pager->size > (u64)S64_MAX) {
        return -EINVAL;
    }
    error = connection_alloc(O_RDWR, &channel);
    if (error != 0) {
        return error;
    }
    connection_open(channel, port, pager->cookie, CB_CONN_READY, 0, NULL);
    error = object_create_pager(pager->size, mode, &channel_ops, channel, &object);
    return error != 0 ? error : memfd_wrap("pager", object, out);
}

static s64 supply(struct vm_object *object, u64 arg)
{
    struct cb_pager_supply request;
    struct iov_iter iter;
    int error = copy_from_user(&request, arg, sizeof(request));

    if (error == 0) {
        error = iov_import_single(&iter, request.addr, request.len);
    }
    return error != 0 ? error : object_supply(object, request.offset, &iter);
}

s64 pager_ioctl(struct vm_object *object, u32 cmd, u64 arg)
{
    switch (cmd) {
    case CB_PAGER_SUPPLY:
        return supply(object, arg);
    case CB_PAGER_SETTLE:
        return object_settle(object);
    default:
        return -ENOTTY;
    }
}
