/*
 * Connections: their life, their readiness, their end.
 *
 * Owns: struct connection. It is in its port's table from connection_open() until its file is
 * released; then it stands in the port's queue as a CLOSE item, and whoever takes it off frees it.
 * Read next: kernel/ipc/connection_file.c for what the file operations send.
 */
#include <ipc/connection.h>

#include <ipc/connection_file.h>
#include <ipc/message.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/slab.h>

static struct kmem_cache *connection_cache;

void connection_init(void)
{
    connection_cache = kmem_cache_create("connection", sizeof(struct connection), 0, NULL);
}

int connection_alloc(u32 flags, struct file **out)
{
    struct connection *conn = kmem_cache_alloc(connection_cache, ALLOC_ZERO);
    int error;

    if (conn == NULL) {
        return -ENOMEM;
    }
    list_init(&conn->port_link);
    list_init(&conn->close.link);
    conn->close.kind = ITEM_CLOSE;
    wait_queue_init(&conn->pollers);
    error = file_alloc(&connection_file_ops, flags, 0, conn, out);
    if (error != 0) {
        kmem_cache_free(connection_cache, conn);
    }
    return error;
}

/* Takes over the readiness that the server has told of another connection with the cookie. */
static void inherit_ready(struct port *port, struct connection *conn) REQUIRES(port->lock)
{
    struct connection *other;

    list_for_each_entry (other, &port->connections[conn->cookie % PORT_HASH], port_link) {
        if (other->cookie == conn->cookie && !(other->flags & CB_CONN_READY)) {
            conn->ready |= other->ready;
            return;
        }
    }
}

void connection_open_locked(struct file *file, struct port *port, u64 cookie, u32 conn_flags,
                            u32 ready, char *name)
{
    struct connection *conn = file->private;

    ASSERT(conn->port == NULL, "M5: a connection is opened once");
    port_get(port);
    conn->port = port;
    conn->cookie = cookie;
    conn->flags = conn_flags;
    conn->ready = ready;
    conn->name = name;
    file->traits = FILE_APPENDS;
    file->traits |= (conn_flags & CB_CONN_SEEKABLE) ? FILE_SEEKABLE : 0;
    file->traits |= (conn_flags & CB_CONN_DIR) ? FILE_DIRECTORY : 0;
    file->traits |= (conn_flags & CB_CONN_PATHONLY) ? FILE_PATH_ONLY : 0;
    inherit_ready(port, conn);
    list_add_head(&port->connections[cookie % PORT_HASH], &conn->port_link);
}

void connection_open(struct file *file, struct port *port, u64 cookie, u32 conn_flags, u32 ready,
                     char *name)
{
    spin_lock(&port->lock);
    connection_open_locked(file, port, cookie, conn_flags, ready, name);
    spin_unlock(&port->lock);
}

struct connection *connection_of_file(const struct file *file)
{
    return file->ops == &connection_file_ops ? file->private : NULL;
}

void connection_free(struct connection *conn)
{
    struct port *port = conn->port;

    ASSERT(!list_is_linked(&conn->port_link) && !list_is_linked(&conn->close.link),
           "M5: a freed connection is in no table and no queue");
    kfree(conn->name);
    kmem_cache_free(connection_cache, conn);
    if (port != NULL) {
        port_put(port);
    }
}

void connection_file_release(struct file *file)
{
    struct connection *conn = file->private;
    struct port *port = conn->port;
    bool is_queued = false;

    if (port != NULL) {
        /* The reference is for the unlock: the receiver may free the connection before it. */
        port_get(port);
        spin_lock(&port->lock);
        list_del(&conn->port_link);
        if (!port->is_dead) {
            port_push(port, &conn->close);
            is_queued = true;
        }
        spin_unlock(&port->lock);
        port_put(port);
    }
    if (!is_queued) {
        connection_free(conn);
    }
}

void connection_notify(struct port *port, u64 cookie, u32 mask)
{
    struct connection *conn;

    spin_lock(&port->lock);
    list_for_each_entry (conn, &port->connections[cookie % PORT_HASH], port_link) {
        if (conn->cookie == cookie && conn->ready != mask) {
            WRITE_ONCE(conn->ready, mask);
            if (wait_queue_is_waited(&conn->pollers)) {
                wake_up_all(&conn->pollers);
            }
        }
    }
    spin_unlock(&port->lock);
}

void connection_hang_up(struct port *port)
{
    struct connection *conn;

    spin_lock(&port->lock);
    ASSERT(port->is_dead, "a port hangs up when it is dead");
    for (u32 i = 0; i < PORT_HASH; i++) {
        list_for_each_entry (conn, &port->connections[i], port_link) {
            wake_up_all(&conn->pollers);
        }
    }
    spin_unlock(&port->lock);
}

s64 connection_simple_call(struct connection *conn, u32 op, const u64 *args, u32 nr_args,
                           void *recv, size_t recv_len)
{
    struct message *msg;
    struct iov_iter iter;
    s64 result = message_alloc(op, &msg);

    if (result != 0) {
        return result;
    }
    for (u32 i = 0; i < nr_args; i++) {
        msg->args[i] = args[i];
    }
    if (recv != NULL) {
        iov_init_kernel(&iter, recv, recv_len);
        result = message_set_recv(msg, &iter);
    }
    if (result == 0) {
        result = message_call(msg, conn);
    }
    message_put(msg);
    return result;
}
