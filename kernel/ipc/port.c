/*
 * Ports and their queues.
 *
 * Owns: struct port. Everything that a receiver can get is an item in one queue, first come first:
 * messages, interrupts of messages, closed connections. An item is part of the message or the
 * connection, so queueing never needs memory. Read next: kernel/ipc/message.c.
 */
#include <ipc/port.h>

#include <ipc/anon_stat.h>
#include <ipc/connection.h>
#include <ipc/file.h>
#include <ipc/message.h>
#include <ipc/poll.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <mm/slab.h>
#include <uapi/cowbell.h>

static struct kmem_cache *port_cache;
static struct atomic_u64 port_last_number;

static const struct file_ops port_file_ops;

void port_init(void)
{
    port_cache = kmem_cache_create("port", sizeof(struct port), 0, NULL);
}

int port_create(u32 flags, struct file **out)
{
    struct port *port = kmem_cache_alloc(port_cache, ALLOC_KERNEL);
    int error;

    if (port == NULL) {
        return -ENOMEM;
    }
    refcount_set(&port->refs, 1);
    port->is_dead = false;
    spin_init(&port->lock, RANK_PORT);
    port->number = atomic_u64_fetch_add(&port_last_number, 1) + 1;
    port->next_id = 1;
    list_init(&port->queue);
    for (u32 i = 0; i < PORT_HASH; i++) {
        list_init(&port->received[i]);
        list_init(&port->connections[i]);
    }
    wait_queue_init(&port->receivers);
    error = file_alloc(&port_file_ops, O_RDWR | flags, 0, port, out);
    if (error != 0) {
        port_put(port);
    }
    return error;
}

struct port *port_of_file(const struct file *file)
{
    return file->ops == &port_file_ops ? file->private : NULL;
}

void port_get(struct port *port)
{
    refcount_inc(&port->refs);
}

void port_put(struct port *port)
{
    if (!refcount_dec_and_test(&port->refs)) {
        return;
    }
    ASSERT(list_is_empty(&port->queue), "M4: a port without references has an empty queue");
    kmem_cache_free(port_cache, port);
}

void port_push(struct port *port, struct port_item *item)
{
    ASSERT(!port->is_dead, "M4: nothing is queued on a dead port");
    list_add_tail(&port->queue, &item->link);
    wake_up_one_sync(&port->receivers);
}

/* Takes the first item off the queue; a message enters the table of received ones. */
static struct port_item *pop_locked(struct port *port) REQUIRES(port->lock)
{
    struct port_item *item = list_first_entry_or_null(&port->queue, struct port_item, link);

    if (item == NULL) {
        return NULL;
    }
    list_del(&item->link);
    if (item->kind == ITEM_MESSAGE) {
        struct message *msg = container_of(item, struct message, item);

        ASSERT(msg->state == MESSAGE_QUEUED, "M1: a message in the queue is QUEUED");
        msg->state = MESSAGE_RECEIVED;
        msg->id = port->next_id++;
        list_add_head(&port->received[msg->id % PORT_HASH], &msg->received_link);
        /* Until it is delivered no reply may overtake it. */
        refcount_inc(&msg->refs);
        msg->nr_copiers++;
    }
    return item;
}

static struct port_item *port_try_pop(struct port *port)
{
    struct port_item *item;

    if (list_is_empty(&port->queue)) {
        return NULL;
    }
    spin_lock(&port->lock);
    item = pop_locked(port);
    spin_unlock(&port->lock);
    return item;
}

static bool port_has_items(const struct port *port)
{
    return READ_ONCE(port->queue.next) != &port->queue;
}

int port_pop(struct file *port_file, u64 deadline_ns, struct port_item **out)
{
    struct port *port = port_of_file(port_file);

    for (;;) {
        struct port_item *item = port_try_pop(port);
        int error;

        if (item != NULL) {
            *out = item;
            return 0;
        }
        if (deadline_ns == 0 || file_is_nonblock(port_file)) {
            return -EAGAIN;
        }
        error = wait_event_interruptible_until(&port->receivers, port_has_items(port), deadline_ns);
        if (error != 0) {
            return error;
        }
    }
}

/* May an item still be received, now that its delivery has failed? */
static bool may_unpop(struct port *port, struct port_item *item) REQUIRES(port->lock)
{
    struct message *msg;

    switch (item->kind) {
    case ITEM_MESSAGE:
        return container_of(item, struct message, item)->state == MESSAGE_RECEIVED;
    case ITEM_INTERRUPT:
        /* A replied message may already be on its way to another port. */
        msg = container_of(item, struct message, interrupt);
        return msg->port == port &&
               (msg->state == MESSAGE_RECEIVED || msg->state == MESSAGE_DETACHED);
    case ITEM_CLOSE:
        break;
    }
    return true;
}

bool port_unpop(struct port *port, struct port_item *item)
{
    bool is_queued;

    spin_lock(&port->lock);
    is_queued = may_unpop(port, item);
    if (is_queued) {
        if (item->kind == ITEM_MESSAGE) {
            struct message *msg = container_of(item, struct message, item);

            list_del(&msg->received_link);
            msg->state = MESSAGE_QUEUED;
        }
        list_add_head(&port->queue, &item->link);
        wake_up_one(&port->receivers);
    }
    spin_unlock(&port->lock);
    return is_queued;
}

static u32 port_file_poll(struct file *file, struct poll_table *table)
{
    struct port *port = file->private;

    poll_wait(table, &port->receivers);
    return port_has_items(port) ? POLL_READ : 0;
}

static void port_file_release(struct file *file)
{
    struct port *port = file->private;

    message_fail_all(port);
    connection_hang_up(port);
    port_put(port);
}

static void port_file_name(struct file *file, char *buf, size_t size)
{
    const struct port *port = file->private;

    snprintf(buf, size, "port:[%lu]", port->number);
}

static const struct file_ops port_file_ops = {
    .kind = CB_FD_PORT,
    .poll = port_file_poll,
    .release = port_file_release,
    .name = port_file_name,
};
