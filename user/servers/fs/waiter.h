/*
 * Requests that wait: for the other end of a FIFO, for bytes or room in it, for a file lock. A
 * waiter holds what is needed to go on once the wait is over; its client may be interrupted or
 * die meanwhile.
 */
#ifndef FS_WAITER_H
#define FS_WAITER_H

#include <cb_server.h>
#include "open_file.h"

enum waiter_kind {
    WAITER_FIFO_OPEN,
    WAITER_FIFO_READ,
    WAITER_FIFO_WRITE,
    WAITER_FLOCK,
};

struct waiter {
    struct waiter *next;
    enum waiter_kind kind;
    uint64_t cookie;   /* of the open file; for WAITER_FIFO_OPEN the one being opened */
    struct node *node; /* held */
    struct cb_reply reply;
    uint64_t len;  /* bytes wanted */
    uint64_t done; /* bytes moved so far */
    int lock;      /* LOCK_SH or LOCK_EX */
    int32_t pid;   /* of the sender */
    int32_t tid;
};

/** waiter_add() - let a request wait; the handler returns 0 next. Return: NULL without memory. */
struct waiter *waiter_add(struct cb_request *request, enum waiter_kind kind, struct node *node,
                          uint64_t cookie);

/** waiter_answer() - end a wait with @result and forget it. */
void waiter_answer(struct waiter *waiter, int64_t result);

/** waiter_next() - the first waiter on @node behind @after (NULL: from the start), oldest first. */
struct waiter *waiter_next(const struct node *node, struct waiter *after);

/** waiter_interrupt() - a signal came for the sender of message @id, or it died. */
void waiter_interrupt(uint64_t id);

#endif
