/*
 * A server's way from a received message to its reply: one table from operation to handler.
 *
 * A handler gets a request, fills what it wants of the reply and returns the result (>= 0 or
 * -errno). The loop sends the reply, unless the handler deferred it: then the handler has copied
 * what it needs of the message, and answers later. Descriptors that come with a message are closed
 * when its handler returns: one that wants to keep a descriptor duplicates it.
 */
#ifndef USER_CB_SERVER_H
#define USER_CB_SERVER_H

#include <stdbool.h>
#include <cb_syscall.h>

struct cb_request {
    int port;
    const struct cb_msg *msg; /* valid until the handler returns */
    struct cb_reply reply;
    bool is_deferred;
};

struct cb_op_entry {
    int64_t (*handle)(struct cb_request *request);
};

struct cb_server {
    int port;
    const struct cb_op_entry *ops; /* ops[CB_OP_END]; an empty entry is -EOPNOTSUPP */
    int64_t unknown_result;        /* for operations that have no handler */
    /* Takes back an OPEN whose client died before it got the reply. */
    void (*undo_open)(uint64_t cookie);
    /* Called after each handler and before its reply, or NULL: what the client may ask next, like
     * poll's readiness, must not be older than the reply. */
    void (*before_reply)(void);
};

/** cb_server_dispatch() - handle one message and reply to it. */
void cb_server_dispatch(const struct cb_server *server, const struct cb_msg *msg);

/**
 * cb_server_step() - receive and handle one message.
 * @buf: @size bytes, at least CB_MSG_BUF_MIN, aligned as struct cb_msg.
 * Return: 0, or the negative result of cb_msg_receive().
 */
int cb_server_step(const struct cb_server *server, void *buf, size_t size, uint64_t timeout_ns);

/** cb_request_data() - answer with @len bytes for the client's writable memory, from offset 0. */
int64_t cb_request_data(struct cb_request *request, const void *data, size_t len);

#endif
