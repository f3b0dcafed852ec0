/*
 * Connections: files that lead to a server's port.
 *
 * Owns: struct connection and the file operations that turn reads, writes, ... into messages. When
 * the last descriptor goes, the connection itself becomes the CLOSE item of the port's queue.
 *
 * Locks: [I] immutable, [l] port->lock, [x] atomic.
 */
#ifndef IPC_CONNECTION_H
#define IPC_CONNECTION_H

#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/types.h>
#include <proc/waitqueue.h>
#include <ipc/file.h>
#include <ipc/port.h>
#include <uapi/cowbell.h>

struct connection {
    struct port *port;          /* [I] referenced */
    u64 cookie;                 /* [I] */
    u32 flags;                  /* [I] enum cb_conn_flags */
    u32 ready;                  /* [l] poll mask, read without; unless CB_CONN_READY */
    char *name;                 /* [I] owned; NULL: unknown */
    struct list_node port_link; /* [l] in port->connections */
    struct port_item close;     /* [l] queued after the last file_put() */
    struct wait_queue pollers;
};

/**
 * connection_alloc() - memory for a connection, so that connection_open() cannot fail.
 * @flags: O_ flags of the file that will be; file_put() frees it, opened or not
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int connection_alloc(u32 flags, struct file **out);

/**
 * connection_open() - make an allocated file lead to a port.
 * @ready: first poll mask, unless @conn_flags has CB_CONN_READY
 * @name:  heap string that the connection owns from now on, or NULL
 */
void connection_open(struct file *file, struct port *port, u64 cookie, u32 conn_flags, u32 ready,
                     char *name) EXCLUDES(port->lock);

/** connection_open_locked() - the same for a server's reply, which must not be overtaken. */
void connection_open_locked(struct file *file, struct port *port, u64 cookie, u32 conn_flags,
                            u32 ready, char *name) REQUIRES(port->lock);

/** connection_of_file() - the connection behind a file, NULL if it is none. */
struct connection *connection_of_file(const struct file *file);

/** connection_free() - the CLOSE item was received or dropped. */
void connection_free(struct connection *conn);

/** connection_notify() - tell the readiness of all connections with a cookie; wakes pollers. */
void connection_notify(struct port *port, u64 cookie, u32 mask);

/** connection_hang_up() - the port died: wake all pollers. */
void connection_hang_up(struct port *port);

/** connection_simple_call() - a message without path; @recv may be NULL. Returns the result. */
MUST_CHECK s64 connection_simple_call(struct connection *conn, u32 op, const u64 *args, u32 nr_args,
                                      void *recv, size_t recv_len);

/** connection_init() - the cache; once, from ipc_init(). */
void connection_init(void);

#endif
