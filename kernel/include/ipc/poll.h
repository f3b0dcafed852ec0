/*
 * Waiting for several files at once.
 *
 * Owns: struct poll_table and the sleep of poll, select and epoll_wait. A file's poll operation
 * calls poll_wait() for each queue that its readiness may change on, then looks at its state: a
 * change after the look finds the waiter on the queue, so none is lost.
 */
#ifndef IPC_POLL_H
#define IPC_POLL_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <proc/waitqueue.h>
#include <uapi/linux/poll.h>

struct file;

/* Passed to a file's poll operation; NULL asks for the state alone. */
struct poll_table {
    void (*queue)(struct poll_table *table, struct wait_queue *wq);
};

/** poll_wait() - be woken by @wq from now on. */
static inline void poll_wait(struct poll_table *table, struct wait_queue *wq)
{
    if (table != NULL) {
        table->queue(table, wq);
    }
}

#define POLL_READ  (POLLIN | POLLRDNORM)
#define POLL_WRITE (POLLOUT | POLLWRNORM)

/** file_poll() - a file's ready events; a file that cannot be polled is always ready. */
u32 file_poll(struct file *file, struct poll_table *table);

#define POLL_FAST 8

struct epoll_item;

struct poll_entry {
    struct wait_entry wait;
    struct wait_queue *wq;
    struct epoll_item *item; /* whose it is, unless a poll_waiter's */
};

struct poll_chunk;

/* The sleep of one thread on the queues of many files. The caller keeps the files alive. */
struct poll_waiter {
    struct poll_table table;
    int error; /* -ENOMEM: a registration found no memory */
    u32 nr;
    struct poll_entry fast[POLL_FAST];
    struct poll_chunk *chunks;
};

/** poll_waiter_init() - no registration yet. */
void poll_waiter_init(struct poll_waiter *waiter);

/** poll_waiter_end() - leave every queue and free memory. */
void poll_waiter_end(struct poll_waiter *waiter);

/**
 * poll_scan - look at all files of a wait.
 * @table: register with it, or NULL: only look; then it must not sleep
 * Return: how many are ready, 0 for none, or an error.
 */
typedef s64 (*poll_scan)(void *arg, struct poll_table *table);

/**
 * poll_sleep() - wait until a scan finds something.
 * @deadline_ns: CLOCK_MONOTONIC; 0: only look; U64_MAX: no limit
 *
 * Return: what the scan returned, 0 after the deadline, -ERESTARTSYS after a signal, -ENOMEM.
 */
MUST_CHECK s64 poll_sleep(u64 deadline_ns, poll_scan scan, void *arg);

#endif
