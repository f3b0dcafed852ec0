/* The message loop that every server shares. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <cb_server.h>

/* What a message brings and no handler asked for would fill our table. */
static void close_descriptors(const struct cb_msg *msg)
{
    for (uint32_t i = 0; i < msg->nr_fds; i++) {
        if (msg->fds[i] >= 0) {
            close(msg->fds[i]);
        }
    }
}

void cb_server_dispatch(const struct cb_server *server, const struct cb_msg *msg)
{
    struct cb_request request = {.port = server->port, .msg = msg};
    int64_t result = server->unknown_result;

    request.reply.id = msg->id;
    if (msg->op < CB_OP_END && server->ops[msg->op].handle != NULL) {
        result = server->ops[msg->op].handle(&request);
    }
    close_descriptors(msg);
    if (server->before_reply != NULL) {
        server->before_reply();
    }
    if (request.is_deferred || (msg->flags & CB_MSG_NO_REPLY) != 0) {
        return;
    }
    request.reply.result = result;
    if (result < 0) {
        request.reply.flags = 0;
        request.reply.data_len = 0;
    }
    int error = cb_msg_reply(server->port, &request.reply);
    if (error != 0 && error != -ESRCH) {
        /* The kernel refuses the reply: a mistake of ours, for which no client may wait. */
        const struct cb_reply failure = {.id = msg->id, .result = -EIO};
        cb_msg_reply(server->port, &failure);
    }
    if (error != 0 && (request.reply.flags & CB_REPLY_OPEN) != 0 && server->undo_open != NULL) {
        server->undo_open(request.reply.cookie);
    }
}

int cb_server_step(const struct cb_server *server, void *buf, size_t size, uint64_t timeout_ns)
{
    int error = cb_msg_receive(server->port, buf, size, timeout_ns);
    if (error != 0) {
        return error;
    }
    cb_server_dispatch(server, buf);
    return 0;
}

int64_t cb_request_data(struct cb_request *request, const void *data, size_t len)
{
    if (len > request->msg->recv_len) {
        len = request->msg->recv_len;
    }
    request->reply.data = (uintptr_t)data;
    request->reply.data_len = (uint32_t)len;
    return (int64_t)len;
}
