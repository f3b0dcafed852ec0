/* Named pipes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fifo.h"
#include "fs.h"
#include "waiter.h"

#define FIFO_CAPACITY 65536u
#define FIFO_ATOMIC   4096u /* PIPE_BUF: a write of at most this is never split */

struct fifo {
    uint32_t nr_readers; /* open ends, those still waiting in open included */
    uint32_t nr_writers;
    uint64_t reader_opens; /* ever: an opener that waits looks for a change */
    uint64_t writer_opens;
    uint32_t start;
    uint32_t used;
    uint8_t bytes[FIFO_CAPACITY];
};

static uint32_t room(const struct fifo *fifo)
{
    return FIFO_CAPACITY - fifo->used;
}

/* What a transfer that stopped returns: what was moved, or why nothing was. */
static int64_t progress_or_error(uint64_t done, long copied)
{
    if (done > 0) {
        return (int64_t)done;
    }
    return copied == 0 ? -EFAULT : copied;
}

/* Copy to the client what is there. Return: bytes, or -errno if there was nothing to lose. */
static int64_t drain(struct fifo *fifo, uint64_t id, uint64_t len)
{
    uint64_t done = 0;

    while (done < len && fifo->used > 0) {
        uint64_t part = FIFO_CAPACITY - fifo->start;
        part = part < fifo->used ? part : fifo->used;
        part = part < len - done ? part : len - done;
        long copied = cb_msg_write(fs.port, id, done, fifo->bytes + fifo->start, part);
        if (copied <= 0) {
            return progress_or_error(done, copied);
        }
        fifo->start = (fifo->start + (uint32_t)copied) % FIFO_CAPACITY;
        fifo->used -= (uint32_t)copied;
        done += (uint64_t)copied;
    }
    return (int64_t)done;
}

static int64_t fill(struct fifo *fifo, uint64_t id, uint64_t offset, uint64_t len)
{
    uint64_t done = 0;

    while (done < len && room(fifo) > 0) {
        uint32_t end = (fifo->start + fifo->used) % FIFO_CAPACITY;
        uint64_t part = end < fifo->start ? fifo->start - end : FIFO_CAPACITY - end;
        part = part < len - done ? part : len - done;
        long copied = cb_msg_read(fs.port, id, offset + done, fifo->bytes + end, part);
        if (copied <= 0) {
            return progress_or_error(done, copied);
        }
        fifo->used += (uint32_t)copied;
        done += (uint64_t)copied;
    }
    return (int64_t)done;
}

static unsigned poll_mask(const struct fifo *fifo, const struct open_file *file)
{
    unsigned mask = 0;

    if (open_file_can_read(file)) {
        mask |= fifo->used > 0 ? POLLIN | POLLRDNORM : 0;
        mask |= fifo->nr_writers == 0 && fifo->writer_opens > 0 ? POLLHUP : 0;
    }
    if (open_file_can_write(file)) {
        mask |= room(fifo) >= FIFO_ATOMIC ? POLLOUT | POLLWRNORM : 0;
        mask |= fifo->nr_readers == 0 ? POLLERR : 0;
    }
    return mask;
}

/* Tell the readiness of every end for which it changed. An end that waits in open has none. */
static void notify(const struct node *node)
{
    struct open_file *file = open_file_next(NULL);

    for (; file != NULL; file = open_file_next(file)) {
        if (file->node != node || (file->flags & OPEN_FILE_PATH) != 0) {
            continue;
        }
        unsigned mask = poll_mask(node->fifo, file);
        if (mask != file->poll_mask) {
            file->poll_mask = mask;
            cb_conn_notify(fs.port, open_file_cookie(file), mask);
        }
    }
}

static void raise_sigpipe(int32_t pid, int32_t tid)
{
    syscall(SYS_tgkill, pid, tid, SIGPIPE);
}

/* Go on with one waiter. Return: it was answered. */
static bool advance(struct fifo *fifo, struct waiter *waiter)
{
    struct open_file *file = open_file_find(waiter->cookie);

    if (file == NULL) {
        waiter_answer(waiter, -EBADF);
        return true;
    }
    if (waiter->kind == WAITER_FIFO_OPEN) {
        uint64_t opens = open_file_can_read(file) ? fifo->writer_opens : fifo->reader_opens;
        if (opens == waiter->len) {
            return false;
        }
        file->poll_mask = poll_mask(fifo, file);
        waiter->reply.new_pos = file->poll_mask;
        waiter_answer(waiter, 0);
        return true;
    }
    if (waiter->kind == WAITER_FIFO_READ) {
        if (fifo->used == 0 && fifo->nr_writers > 0) {
            return false;
        }
        int64_t moved = drain(fifo, waiter->reply.id, waiter->len);
        /* Before the answer: its receiver may poll at once. */
        notify(waiter->node);
        waiter_answer(waiter, moved);
        return true;
    }
    if (fifo->nr_readers == 0) {
        raise_sigpipe(waiter->pid, waiter->tid);
        waiter_answer(waiter, waiter->done > 0 ? (int64_t)waiter->done : -EPIPE);
        return true;
    }
    uint64_t left = waiter->len - waiter->done;
    if (room(fifo) < (left <= FIFO_ATOMIC ? left : 1)) {
        return false;
    }
    int64_t moved = fill(fifo, waiter->reply.id, waiter->done, left);
    if (moved > 0) {
        waiter->done += (uint64_t)moved;
    }
    if (moved > 0 && waiter->done < waiter->len) {
        return false;
    }
    notify(waiter->node);
    waiter_answer(waiter, waiter->done > 0 ? (int64_t)waiter->done : moved);
    return true;
}

/*
 * Something about the pipe changed: go on with everybody whom it may concern, until nobody can go
 * on. An answer may free its waiter and let another go on, so each round starts from the first;
 * every round either answers a waiter or moves bytes, so the rounds end.
 */
static void changed(struct node *node)
{
    struct fifo *fifo = node->fifo;
    bool is_moving = true;

    node_get(node);
    while (is_moving) {
        is_moving = false;
        struct waiter *waiter = waiter_next(node, NULL);
        while (waiter != NULL && !is_moving) {
            uint32_t used = fifo->used;
            struct waiter *current = waiter;
            waiter = waiter_next(node, waiter);
            is_moving = current->kind != WAITER_FLOCK && advance(fifo, current);
            is_moving = is_moving || fifo->used != used;
        }
    }
    notify(node);
    node_put(node);
}

static int wait_for_other_end(struct cb_request *request, struct open_file *file,
                              uint64_t opens_seen)
{
    struct waiter *waiter =
        waiter_add(request, WAITER_FIFO_OPEN, file->node, request->reply.cookie);
    if (waiter == NULL) {
        return -ENOMEM;
    }
    /* The name in the reply lies in the opener's frame, which does not last as long. */
    waiter->reply.flags &= ~(uint32_t)CB_REPLY_NAME;
    waiter->reply.data_len = 0;
    waiter->len = opens_seen;
    return 0;
}

int fifo_open(struct cb_request *request, struct open_file *file)
{
    struct node *node = file->node;
    bool is_nonblocking = (file->flags & O_NONBLOCK) != 0;

    if (node->fifo == NULL) {
        node->fifo = calloc(1, sizeof(*node->fifo));
        if (node->fifo == NULL) {
            /* Closing this end must not find a pipe to leave. */
            file->flags = O_ACCMODE;
            return -ENOMEM;
        }
    }
    struct fifo *fifo = node->fifo;
    bool reads = open_file_can_read(file);
    bool writes = open_file_can_write(file);
    fifo->nr_readers += reads ? 1 : 0;
    fifo->reader_opens += reads ? 1 : 0;
    fifo->nr_writers += writes ? 1 : 0;
    fifo->writer_opens += writes ? 1 : 0;
    if (writes && !reads && fifo->nr_readers == 0 && is_nonblocking) {
        return -ENXIO;
    }
    int error = 0;
    if (reads && !writes && fifo->nr_writers == 0 && !is_nonblocking) {
        error = wait_for_other_end(request, file, fifo->writer_opens);
    } else if (writes && !reads && fifo->nr_readers == 0) {
        error = wait_for_other_end(request, file, fifo->reader_opens);
    }
    changed(node);
    if (!request->is_deferred) {
        file->poll_mask = poll_mask(fifo, file);
        request->reply.new_pos = file->poll_mask;
    }
    return error;
}

int64_t fifo_read(struct cb_request *request, struct open_file *file)
{
    const struct cb_msg *msg = request->msg;
    struct fifo *fifo = file->node->fifo;
    uint64_t len = msg->args[1] < msg->recv_len ? msg->args[1] : msg->recv_len;

    if (len == 0) {
        return 0;
    }
    if (fifo->used == 0) {
        if (fifo->nr_writers == 0) {
            return 0;
        }
        if ((msg->args[2] & O_NONBLOCK) != 0) {
            return -EAGAIN;
        }
        struct waiter *waiter = waiter_add(request, WAITER_FIFO_READ, file->node, msg->cookie);
        if (waiter == NULL) {
            return -ENOMEM;
        }
        waiter->len = len;
        return 0;
    }
    int64_t moved = drain(fifo, msg->id, len);
    changed(file->node);
    return moved;
}

int64_t fifo_write(struct cb_request *request, struct open_file *file)
{
    const struct cb_msg *msg = request->msg;
    struct fifo *fifo = file->node->fifo;
    uint64_t len = msg->args[1] < msg->send_len ? msg->args[1] : msg->send_len;

    if (len == 0) {
        return 0;
    }
    if (fifo->nr_readers == 0) {
        raise_sigpipe(msg->sender.pid, msg->sender.tid);
        return -EPIPE;
    }
    int64_t moved = 0;
    if (room(fifo) >= (len <= FIFO_ATOMIC ? len : 1)) {
        moved = fill(fifo, msg->id, 0, len);
        changed(file->node);
    }
    if (moved < 0 || (uint64_t)moved == len) {
        return moved;
    }
    if ((msg->args[2] & O_NONBLOCK) != 0) {
        return moved > 0 ? moved : -EAGAIN;
    }
    struct waiter *waiter = waiter_add(request, WAITER_FIFO_WRITE, file->node, msg->cookie);
    if (waiter == NULL) {
        return moved > 0 ? moved : -ENOMEM;
    }
    waiter->len = len;
    waiter->done = (uint64_t)moved;
    changed(file->node);
    return 0;
}

uint32_t fifo_bytes(const struct node *node)
{
    return node->fifo != NULL ? node->fifo->used : 0;
}

void fifo_close(struct open_file *file)
{
    struct fifo *fifo = file->node->fifo;

    if (fifo == NULL || (file->flags & O_PATH) != 0) {
        return;
    }
    fifo->nr_readers -= open_file_can_read(file) ? 1 : 0;
    fifo->nr_writers -= open_file_can_write(file) ? 1 : 0;
    /* This end is no longer one of those that are told. */
    file->flags |= O_ACCMODE;
    changed(file->node);
    if (fifo->nr_readers == 0 && fifo->nr_writers == 0) {
        fifo->used = 0;
    }
}

void fifo_release(struct node *node)
{
    free(node->fifo);
}
