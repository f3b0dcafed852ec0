/*
 * The server's side of messages: finding them, replying, and the port's end.
 *
 * Owns: completion. A message is completed once, under the port's lock: out of the table, result
 * in place, sender woken, in this order. Read next: kernel/ipc/message_copy.c.
 */
#include <ipc/message.h>

#include <ipc/connection.h>
#include <ipc/file.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/gup.h>
#include <mm/mm.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/thread.h>
#include <proc/waitqueue.h>

#define ERRNO_MAX 4095

struct message *message_lookup(struct port *port, u64 id)
{
    struct message *msg;

    list_for_each_entry (msg, &port->received[id % PORT_HASH], received_link) {
        if (msg->id == id) {
            return msg;
        }
    }
    return NULL;
}

int message_find(struct port *port, u64 id, struct message **out)
{
    struct message *msg;

    spin_lock(&port->lock);
    msg = message_lookup(port, id);
    if (msg != NULL) {
        refcount_inc(&msg->refs);
        msg->nr_copiers++;
        if (msg->mm != NULL) {
            mm_get(msg->mm);
        }
    }
    spin_unlock(&port->lock);
    if (msg == NULL) {
        return -ESRCH;
    }
    *out = msg;
    return 0;
}

void message_delivered(struct port *port, struct message *msg)
{
    spin_lock(&port->lock);
    msg->nr_copiers--;
    spin_unlock(&port->lock);
    message_put(msg);
}

void message_release(struct port *port, struct message *msg)
{
    struct mm *mm = msg->mm;

    spin_lock(&port->lock);
    ASSERT(msg->nr_copiers > 0, "M3: a copier is counted while it copies");
    msg->nr_copiers--;
    spin_unlock(&port->lock);
    if (mm != NULL) {
        mm_put(mm);
    }
    message_put(msg);
}

/*
 * Makes a message DONE and wakes its sender. The sender may free the message as soon as the lock
 * is free; a caller that needs it longer holds a reference.
 */
void message_finish(struct port *port, struct message *msg)
{
    struct thread *thread = msg->thread;

    ASSERT(msg->state == MESSAGE_QUEUED || msg->state == MESSAGE_RECEIVED,
           "M1: a message is completed once");
    if (msg->state == MESSAGE_QUEUED) {
        list_del(&msg->item.link);
    } else {
        list_del(&msg->received_link);
    }
    if (list_is_linked(&msg->interrupt.link)) {
        bool is_last;

        list_del(&msg->interrupt.link);
        is_last = refcount_dec_and_test(&msg->refs);
        ASSERT(!is_last, "M2: the sender keeps its message until it is DONE");
    }
    msg->thread = NULL;
    __atomic_store_n(&msg->state, MESSAGE_DONE, __ATOMIC_RELEASE);
    /* A server whose queue is empty sleeps next: the sender goes on in its place. */
    if (list_is_empty(&port->queue)) {
        (void)thread_wake_sync(thread);
    } else {
        (void)thread_wake(thread);
    }
}

static int reply_check(const struct cb_reply *reply)
{
    u32 hand = reply->flags & (CB_REPLY_OPEN | CB_REPLY_FD | CB_REPLY_REDIRECT | CB_REPLY_REOPEN);

    if ((reply->flags & ~(u32)CB_REPLY_ALL) != 0 || (hand & (hand - 1)) != 0) {
        return -EINVAL;
    }
    if ((reply->flags & CB_REPLY_NAME) && !(reply->flags & CB_REPLY_OPEN)) {
        return -EINVAL;
    }
    if (reply->conn_flags & ~(u32)CB_CONN_ALL) {
        return -EINVAL;
    }
    /* The kernel's own codes above ERESTARTSYS would make it act for the server. */
    if (reply->result < -ERRNO_MAX ||
        (reply->result < -ERESTARTSYS && reply->result >= -ERESTART_RESTARTBLOCK)) {
        return -EINVAL;
    }
    return 0;
}

/* Is this a reply that the operation knows? */
static bool reply_fits(const struct message *msg, const struct cb_reply *reply)
{
    bool is_user = msg->op >= CB_OP_USER;

    if ((reply->flags & CB_REPLY_OPEN) && msg->opening == NULL) {
        return false;
    }
    if ((reply->flags & CB_REPLY_REOPEN) && msg->op != CB_OP_OPEN && msg->op != CB_OP_STATAT) {
        return false;
    }
    if ((reply->flags & CB_REPLY_FD) && msg->op != CB_OP_OPEN && msg->op != CB_OP_OBJECT &&
        msg->op != CB_OP_FSYNC && !is_user) {
        return false;
    }
    return true;
}

/*
 * Makes the connection that an OPEN asked for, under the lock that the server's next words about it
 * have to take: no readiness is told before there is somebody to hear it. Takes @name over.
 */
static void reply_open(struct port *port, const struct message *msg, const struct cb_reply *reply,
                       char *name) REQUIRES(port->lock)
{
    u32 flags = reply->conn_flags | ((msg->args[0] & O_PATH) ? CB_CONN_PATHONLY : 0);

    connection_open_locked(msg->opening, port, reply->cookie, flags, (u32)reply->new_pos, name);
}

/* Takes over the parts of a reply that need no memory of the server any more. */
static void reply_fill(struct message *msg, const struct cb_reply *reply, struct file *file)
{
    msg->result = reply->result;
    msg->new_pos = reply->new_pos;
    msg->reply_flags = reply->flags;
    msg->reply_cookie = reply->cookie;
    msg->reply_file = file;
}

/* Completes with at most CB_INLINE_MAX bytes of data: one lookup, no access to the sender's mm. */
static int reply_small(struct port *port, const struct cb_reply *reply, struct file *file)
{
    u8 data[CB_INLINE_MAX];
    struct message *msg;
    int error = 0;

    if (reply->data_len > 0 && copy_from_user(data, reply->data, reply->data_len) != 0) {
        return -EFAULT;
    }
    spin_lock(&port->lock);
    msg = message_lookup(port, reply->id);
    if (msg == NULL) {
        error = -ESRCH;
    } else if (msg->nr_copiers > 0) {
        error = -EBUSY;
    } else if (reply->data_len > msg->recv.len || !reply_fits(msg, reply)) {
        error = -EINVAL;
    } else {
        memcpy(msg->inline_data, data, reply->data_len);
        msg->reply_len = reply->data_len;
        if ((reply->flags & CB_REPLY_OPEN) && reply->result >= 0) {
            reply_open(port, msg, reply, NULL);
        }
        reply_fill(msg, reply, file);
        message_finish(port, msg);
    }
    spin_unlock(&port->lock);
    return error;
}

/* A heap copy of the server's string, or NULL: a name is lost rather than the reply. */
static int reply_copy_name(const struct cb_reply *reply, char **out)
{
    char *name;

    *out = NULL;
    if (reply->data_len >= CB_PATH_MAX) {
        return -ENAMETOOLONG;
    }
    name = kmalloc(reply->data_len + 1ul, ALLOC_KERNEL);
    if (name == NULL) {
        return 0;
    }
    if (copy_from_user(name, reply->data, reply->data_len) != 0) {
        kfree(name);
        return -EFAULT;
    }
    name[reply->data_len] = '\0';
    *out = name;
    return 0;
}

/* Writes a redirection's path over the message's own: nobody else uses that any more. */
static int reply_copy_path(struct message *msg, const struct cb_reply *reply)
{
    if (msg->path == NULL || msg->path2 != NULL) {
        return -EINVAL;
    }
    if (reply->data_len >= CB_PATH_MAX) {
        return -ENAMETOOLONG;
    }
    if (copy_from_user(msg->path, reply->data, reply->data_len) != 0) {
        return -EFAULT;
    }
    msg->path[reply->data_len] = '\0';
    return 0;
}

/* Must a pager be waited for to write at that offset of the sender's memory? */
static bool is_paged_at(struct message *msg, u64 offset)
{
    const struct message_region *region = &msg->recv;
    struct iov_iter iter;

    iov_init_vector(&iter, region->kind, region->iov, region->nr, offset, region->len - offset);
    return region->kind == IOV_USER &&
           mm_probe_remote(msg->mm, iter.iov->iov_base + iter.offset, REMOTE_WRITE) == -EAGAIN;
}

/* The sender can wait for its pager, the server cannot: the data stays here until then. */
static int reply_keep_data(struct message *msg, const struct cb_reply *reply)
{
    void *data = kmalloc(reply->data_len, ALLOC_KERNEL);

    if (data == NULL) {
        return -ENOMEM;
    }
    if (copy_from_user(data, reply->data, reply->data_len) != 0) {
        kfree(data);
        return -EFAULT;
    }
    msg->late_data = data;
    msg->reply_len = reply->data_len;
    return 0;
}

/*
 * Moves a reply's data into the sender's memory. A bad address of the sender's becomes the result
 * of its call; one of the server's is the server's error.
 */
static int reply_copy_data(struct message *msg, struct cb_reply *reply)
{
    s64 done;
    u8 probe;

    if (reply->data_len > msg->recv.len) {
        return -EINVAL;
    }
    done = message_copy(msg, 0, reply->data, reply->data_len, REGION_WRITE);
    if (done == reply->data_len) {
        return 0;
    }
    if (done == -CB_EPAGING || (done > 0 && is_paged_at(msg, (u64)done))) {
        return reply_keep_data(msg, reply);
    }
    if (done < 0 && done != -EFAULT) {
        return (int)done;
    }
    if (get_user_u8(&probe, reply->data + (done < 0 ? 0 : (u64)done)) != 0) {
        return -EFAULT;
    }
    reply->result = -EFAULT;
    return 0;
}

/* Completes a message that the caller found, and ends its use of it. */
static int reply_finish(struct port *port, struct message *msg, const struct cb_reply *reply,
                        struct file *file, char *name)
{
    struct mm *mm = msg->mm;
    int error = 0;

    spin_lock(&port->lock);
    msg->nr_copiers--;
    if (msg->state != MESSAGE_RECEIVED) {
        error = -ESRCH;
    } else if (msg->nr_copiers > 0) {
        error = -EBUSY;
    } else if (!reply_fits(msg, reply)) {
        error = -EINVAL;
    } else {
        if ((reply->flags & CB_REPLY_OPEN) && reply->result >= 0) {
            reply_open(port, msg, reply, name);
            name = NULL;
        }
        reply_fill(msg, reply, file);
        message_finish(port, msg);
    }
    spin_unlock(&port->lock);
    kfree(name);
    if (mm != NULL) {
        mm_put(mm);
    }
    message_put(msg);
    return error;
}

/* Moves the data of a large reply, a name or a path, then completes. */
static int reply_large(struct port *port, const struct cb_reply *reply, struct file *file)
{
    struct cb_reply checked = *reply;
    struct message *msg;
    char *name = NULL;
    int error = message_find(port, reply->id, &msg);

    if (error != 0) {
        return error;
    }
    if (reply->flags & CB_REPLY_NAME) {
        error = reply_copy_name(reply, &name);
    } else if (reply->flags & CB_REPLY_REDIRECT) {
        error = reply_copy_path(msg, reply);
    } else {
        error = reply_copy_data(msg, &checked);
    }
    if (error != 0) {
        message_release(port, msg);
        return error;
    }
    return reply_finish(port, msg, &checked, file, name);
}

int message_reply(struct port *port, const struct cb_reply *reply, struct file *file)
{
    int error = reply_check(reply);

    if (error != 0) {
        return error;
    }
    if (((reply->flags & (CB_REPLY_FD | CB_REPLY_REDIRECT)) != 0) != (file != NULL)) {
        return -EINVAL;
    }
    if ((reply->flags & CB_REPLY_REDIRECT) && connection_of_file(file) == NULL) {
        return -EINVAL;
    }
    if (reply->data_len <= CB_INLINE_MAX && !(reply->flags & (CB_REPLY_NAME | CB_REPLY_REDIRECT))) {
        return reply_small(port, reply, file);
    }
    return reply_large(port, reply, file);
}

/* What is left of a dead port's queue: items that nobody waits for. */
static void drop_items(struct list_node *items)
{
    while (!list_is_empty(items)) {
        struct port_item *item = list_first_entry(items, struct port_item, link);

        list_del(&item->link);
        if (item->kind == ITEM_CLOSE) {
            connection_free(container_of(item, struct connection, close));
        } else {
            message_put(container_of(item, struct message, interrupt));
        }
    }
}

static void fail_message(struct port *port, struct message *msg) REQUIRES(port->lock)
{
    msg->result = -EIO;
    msg->reply_flags = 0;
    msg->reply_len = 0;
    message_finish(port, msg);
}

void message_fail_all(struct port *port)
{
    struct list_node rest;

    list_init(&rest);
    spin_lock(&port->lock);
    port->is_dead = true;
    for (u32 i = 0; i < PORT_HASH; i++) {
        while (!list_is_empty(&port->received[i])) {
            fail_message(port, list_first_entry(&port->received[i], struct message, received_link));
        }
    }
    while (!list_is_empty(&port->queue)) {
        struct port_item *item = list_first_entry(&port->queue, struct port_item, link);

        if (item->kind == ITEM_MESSAGE) {
            fail_message(port, container_of(item, struct message, item));
        } else {
            list_move_tail(&rest, &item->link);
        }
    }
    spin_unlock(&port->lock);
    drop_items(&rest);
}
