/* The list of requests that wait. */
#include <errno.h>
#include <stdlib.h>
#include "fs.h"
#include "waiter.h"

static struct waiter *first;

struct waiter *waiter_add(struct cb_request *request, enum waiter_kind kind, struct node *node,
                          uint64_t cookie)
{
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    if (waiter == NULL) {
        return NULL;
    }
    waiter->kind = kind;
    waiter->cookie = cookie;
    waiter->node = node_get(node);
    waiter->reply = request->reply;
    waiter->pid = request->msg->sender.pid;
    waiter->tid = request->msg->sender.tid;
    request->is_deferred = true;

    struct waiter **link = &first;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = waiter;
    return waiter;
}

void waiter_answer(struct waiter *waiter, int64_t result)
{
    struct waiter **link = &first;

    while (*link != waiter) {
        link = &(*link)->next;
    }
    *link = waiter->next;
    waiter->reply.result = result;
    if (result < 0) {
        waiter->reply.flags = 0;
        waiter->reply.data_len = 0;
    }
    int error = cb_msg_reply(fs.port, &waiter->reply);
    if (waiter->kind == WAITER_FIFO_OPEN && (error != 0 || result < 0)) {
        open_file_close(waiter->cookie);
    }
    node_put(waiter->node);
    free(waiter);
}

struct waiter *waiter_next(const struct node *node, struct waiter *after)
{
    struct waiter *waiter = after == NULL ? first : after->next;

    while (waiter != NULL && waiter->node != node) {
        waiter = waiter->next;
    }
    return waiter;
}

void waiter_interrupt(uint64_t id)
{
    for (struct waiter *waiter = first; waiter != NULL; waiter = waiter->next) {
        if (waiter->reply.id == id) {
            waiter_answer(waiter, waiter->done > 0 ? (int64_t)waiter->done : -CB_ERESTARTSYS);
            return;
        }
    }
}

int64_t op_interrupt(struct cb_request *request)
{
    waiter_interrupt(request->msg->args[0]);
    return 0;
}
