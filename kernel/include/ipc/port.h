/*
 * Ports: where messages wait for their server.
 *
 * Owns: struct port, its queue and the table of received messages. A port dies when its last
 * descriptor is closed; the structure stays until the last connection is gone.
 * Invariants: kernel/ipc/README.md. Read next: ipc/message.h.
 *
 * Locks: [I] immutable, [l] port->lock, [x] atomic.
 */
#ifndef IPC_PORT_H
#define IPC_PORT_H

#include <lib/atomic.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/types.h>
#include <proc/spinlock.h>
#include <proc/waitqueue.h>

struct connection;
struct file;
struct message;

#define PORT_HASH 64

struct port {
    struct refcount refs; /* [x] the port's file, and each connection */
    bool is_dead;         /* [l] no descriptor is left; read without for hints */
    struct spinlock lock;
    u64 number;                              /* [I] unique among living ports */
    u64 next_id;                             /* [l] of messages; starts at 1 */
    struct list_node queue;                  /* [l] struct port_item, first come first */
    struct list_node received[PORT_HASH];    /* [l] struct message.received_link, by id */
    struct list_node connections[PORT_HASH]; /* [l] struct connection.port_link, by cookie */
    struct wait_queue receivers;
};

enum port_item_kind {
    ITEM_MESSAGE,
    ITEM_INTERRUPT, /* a received message's sender got a signal */
    ITEM_CLOSE,     /* a connection is gone */
};

/* An entry of a port's queue. It is part of what it tells of, so queueing needs no memory. */
struct port_item {
    enum port_item_kind kind;
    struct list_node link;
};

/** port_create() - a port behind a new file. @flags: O_NONBLOCK or 0. Return: 0 or -ENOMEM. */
MUST_CHECK int port_create(u32 flags, struct file **out);

/** port_of_file() - the port behind a file, NULL if it is no port. */
struct port *port_of_file(const struct file *file);

/** port_get() / port_put() - references to the structure. */
void port_get(struct port *port);
void port_put(struct port *port);

/**
 * port_push() - append an item and wake a receiver; the caller has the lock and the port lives.
 *
 * The receiver may have the caller's CPU: who sends a message or interrupts one sleeps next, and
 * a close can wait until then.
 */
void port_push(struct port *port, struct port_item *item) REQUIRES(port->lock);

/**
 * port_pop() - wait for an item and take it off the queue.
 * @port_file:   the port's file; O_NONBLOCK forbids waiting
 * @deadline_ns: CLOCK_MONOTONIC, 0: do not wait, U64_MAX: no limit
 * @item:        out. An ITEM_MESSAGE is in the table of received messages, with an id; the caller
 *               holds a reference and keeps replies away until message_delivered().
 *
 * Return: 0, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS.
 */
MUST_CHECK int port_pop(struct file *port_file, u64 deadline_ns, struct port_item **item);

/**
 * port_unpop() - put an item back at the head of the queue: it could not be delivered.
 *
 * For a message, message_delivered() follows in any case.
 * Return: false if the item's sender has left or was answered meanwhile; the caller then drops it.
 */
MUST_CHECK bool port_unpop(struct port *port, struct port_item *item);

/** port_init() - caches; once, from ipc_init(). */
void port_init(void);

#endif
