/*
 * The sender's side of messages: making, sending, waiting, giving up.
 *
 * Owns: struct message and its states. A message is in the port's queue or table only while its
 * sender sleeps in message_call(), and the sender takes it out itself if it leaves early; so the
 * queue and the table need no reference. What may outlive the sender (a receiver that copies the
 * header out, a queued interrupt) holds one.
 *
 *   IDLE -send-> QUEUED -receive-> RECEIVED -reply, port dies-> DONE
 *                QUEUED -signal-> IDLE          QUEUED -port dies-> DONE
 *                                 RECEIVED -SIGKILL-> DETACHED
 *
 * Read next: kernel/ipc/message_reply.c, message_copy.c.
 */
#include <ipc/message.h>

#include <ipc/connection.h>
#include <ipc/file.h>
#include <ipc/fs_context.h>
#include <ipc/path.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/page.h>
#include <mm/populate.h>
#include <mm/slab.h>
#include <proc/process.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <proc/waitqueue.h>

/* So much memory to be filled is brought in before anybody knows how much will be. */
#define BRING_IN_LIMIT 65536ul

static struct kmem_cache *message_cache;

void message_init(void)
{
    message_cache = kmem_cache_create("message", sizeof(struct message), 0, NULL);
}

int message_alloc(u32 op, struct message **out)
{
    struct message *msg = kmem_cache_alloc(message_cache, ALLOC_KERNEL);

    if (msg == NULL) {
        return -ENOMEM;
    }
    /* inline_data is written before it is read; clearing it would cost more than all the rest. */
    memset(msg, 0, offsetof(struct message, inline_data));
    refcount_set(&msg->refs, 1);
    msg->item.kind = ITEM_MESSAGE;
    msg->interrupt.kind = ITEM_INTERRUPT;
    list_init(&msg->item.link);
    list_init(&msg->interrupt.link);
    list_init(&msg->received_link);
    msg->op = op;
    *out = msg;
    return 0;
}

static void region_free(struct message_region *region)
{
    if (region->iov != NULL && region->iov != region->fast) {
        kfree(region->iov);
    }
}

void message_put(struct message *msg)
{
    if (!refcount_dec_and_test(&msg->refs)) {
        return;
    }
    region_free(&msg->send);
    region_free(&msg->recv);
    kfree(msg->send_buffer);
    kfree(msg->late_data);
    for (u32 i = 0; i < msg->nr_pages; i++) {
        page_put(msg->pages[i]);
    }
    kfree(msg->pages);
    if (msg->recv_buffer != msg->inline_data) {
        kfree(msg->recv_buffer);
    }
    path_put(msg->path);
    path_put(msg->path2);
    for (u32 i = 0; i < msg->nr_fds; i++) {
        file_put(msg->fds[i]);
    }
    if (msg->reply_file != NULL) {
        file_put(msg->reply_file);
    }
    kmem_cache_free(message_cache, msg);
}

/* Copies the segments of an iterator: the message may outlive the sender's own array. */
static int region_set(struct message_region *region, const struct iov_iter *iter)
{
    size_t left = iter->count;
    u32 nr = left == 0 ? 0 : iter->nr;

    ASSERT(region->nr == 0, "a region of a message is set once");
    region->kind = iter->kind;
    region->len = left;
    region->iov = region->fast;
    if (nr > REGION_FAST) {
        region->iov = kmalloc_array(nr, sizeof(struct iovec), ALLOC_KERNEL);
        if (region->iov == NULL) {
            region->iov = region->fast;
            return -ENOMEM;
        }
    }
    for (u32 i = 0; i < nr && left > 0; i++) {
        size_t skip = i == 0 ? iter->offset : 0;
        size_t len = min(iter->iov[i].iov_len - skip, left);

        region->iov[i] = (struct iovec){.iov_base = iter->iov[i].iov_base + skip, .iov_len = len};
        region->nr++;
        left -= len;
    }
    return 0;
}

static void region_set_buffer(struct message_region *region, void *buffer, size_t len)
{
    region->kind = IOV_KERNEL;
    region->len = len;
    region->nr = 1;
    region->iov = region->fast;
    region->fast[0] = (struct iovec){.iov_base = (u64)buffer, .iov_len = len};
}

int message_set_send(struct message *msg, const struct iov_iter *iter)
{
    struct iov_iter source = *iter;

    if (iter->kind == IOV_USER || iter->count == 0) {
        return region_set(&msg->send, iter);
    }
    msg->send_buffer = kmalloc(iter->count, ALLOC_KERNEL);
    if (msg->send_buffer == NULL) {
        return -ENOMEM;
    }
    if (iov_copy_from(&source, msg->send_buffer, iter->count) != iter->count) {
        return -EFAULT;
    }
    region_set_buffer(&msg->send, msg->send_buffer, iter->count);
    return 0;
}

int message_set_recv(struct message *msg, const struct iov_iter *iter)
{
    if (iter->kind == IOV_USER || iter->count == 0) {
        return region_set(&msg->recv, iter);
    }
    ASSERT(iter->kind == IOV_KERNEL && iter->iov->iov_len - iter->offset >= iter->count,
           "a kernel buffer to fill is one piece");
    msg->recv_dest = (void *)(iter->iov->iov_base + iter->offset);
    msg->recv_buffer = msg->inline_data;
    if (iter->count > CB_INLINE_MAX) {
        msg->recv_buffer = kmalloc(iter->count, ALLOC_KERNEL);
    }
    if (msg->recv_buffer == NULL) {
        return -ENOMEM;
    }
    memset(msg->recv_buffer, 0, iter->count);
    region_set_buffer(&msg->recv, msg->recv_buffer, iter->count);
    return 0;
}

int message_set_pages(struct message *msg, enum region_access access, struct page **pages,
                      u32 nr_pages, size_t len)
{
    struct message_region *region = access == REGION_READ ? &msg->send : &msg->recv;
    struct iovec *iov = region->fast;

    ASSERT(region->nr == 0 && msg->pages == NULL, "a region of a message is set once");
    ASSERT(DIV_ROUND_UP(len, PAGE_SIZE) == nr_pages, "a region of pages ends in the last one");
    msg->pages = kmalloc_array(nr_pages, sizeof(struct page *), ALLOC_KERNEL);
    if (nr_pages > REGION_FAST) {
        iov = kmalloc_array(nr_pages, sizeof(struct iovec), ALLOC_KERNEL);
    }
    if (msg->pages == NULL || iov == NULL) {
        if (iov != region->fast) {
            kfree(iov);
        }
        return -ENOMEM;
    }
    region->kind = IOV_KERNEL;
    region->len = len;
    region->nr = nr_pages;
    region->iov = iov;
    for (u32 i = 0; i < nr_pages; i++) {
        size_t part = min(len, (size_t)PAGE_SIZE);

        page_get(pages[i]);
        msg->pages[msg->nr_pages++] = pages[i];
        iov[i] = (struct iovec){.iov_base = (u64)page_to_virt(pages[i]), .iov_len = part};
        len -= part;
    }
    return 0;
}

/* Job control as a terminal's server needs it; costs locks, so other servers are not told. */
static void sender_fill_tty(struct cb_sender *sender, struct thread *thread)
{
    struct process *process = thread->process;

    if (signal_is_blocked_or_ignored(thread, SIGTTIN)) {
        sender->flags |= CB_SENDER_TTIN_IGNORED;
    }
    if (signal_is_blocked_or_ignored(thread, SIGTTOU)) {
        sender->flags |= CB_SENDER_TTOU_IGNORED;
    }
    if (process_is_orphaned_group(process)) {
        sender->flags |= CB_SENDER_ORPHANED_PGRP;
    }
}

static void sender_fill(struct message *msg, const struct connection *conn)
{
    struct thread *thread = current_thread();
    struct process *process = thread->process;
    struct cb_sender *sender = &msg->sender;

    memset(sender, 0, sizeof(*sender));
    if (process == NULL) {
        return;
    }
    sender->pid = process->pid;
    sender->tid = thread->tid;
    sender->uid = process->cred.fsuid;
    sender->gid = process->cred.fsgid;
    if (msg->op == CB_OP_ACCESS && (msg->args[1] & AT_EACCESS) == 0) {
        sender->uid = process->cred.uid;
        sender->gid = process->cred.gid;
    }
    sender->umask = process->fs == NULL ? 0 : READ_ONCE(process->fs->umask);
    if ((conn->flags & CB_CONN_TTY) || msg->op == CB_OP_OPEN || msg->op == CB_OP_IOCTL ||
        msg->op >= CB_OP_USER) {
        struct process_job job = process_job(process);

        sender->pgid = job.pgid;
        sender->sid = job.sid;
        if (sender->sid == sender->pid) {
            sender->flags |= CB_SENDER_SESSION_LEADER;
        }
        if (job.has_no_tty) {
            sender->flags |= CB_SENDER_NO_TTY;
        }
    }
    if (conn->flags & CB_CONN_TTY) {
        sender_fill_tty(sender, thread);
    }
}

/*
 * What a call gives that a signal ended before any server saw it. Nothing has happened yet. Calls
 * that Linux does not let signals end are simply made again; the others may end in EINTR.
 */
static int withdrawn_error(const struct message *msg, const struct connection *conn)
{
    bool is_slow = msg->op == CB_OP_READ || msg->op == CB_OP_WRITE || msg->op == CB_OP_FLOCK ||
                   msg->op >= CB_OP_USER;

    return is_slow && !(conn->flags & CB_CONN_SEEKABLE) ? -ERESTARTSYS : -ERESTARTNOINTR;
}

/* Tells the server of the signal; the queued item holds a reference. */
static void push_interrupt(struct port *port, struct message *msg) REQUIRES(port->lock)
{
    if (list_is_linked(&msg->interrupt.link)) {
        return;
    }
    refcount_inc(&msg->refs);
    msg->is_interrupted = true;
    msg->interrupt_id = msg->id;
    port_push(port, &msg->interrupt);
}

/*
 * A signal has come while the message was out.
 * Returns true if the wait is over, with @result set.
 */
static bool message_on_signal(struct message *msg, const struct connection *conn, s64 *result)
{
    struct port *port = msg->port;
    bool is_fatal = fatal_signal_pending(current_thread());
    bool is_over = false;

    spin_lock(&port->lock);
    if (msg->state == MESSAGE_QUEUED) {
        list_del(&msg->item.link);
        msg->state = MESSAGE_IDLE;
        *result = withdrawn_error(msg, conn);
        is_over = true;
    } else if (msg->state == MESSAGE_RECEIVED) {
        if (is_fatal || !msg->is_interrupted) {
            push_interrupt(port, msg);
        }
        if (is_fatal) {
            /* From here on no copy reaches the memory of this process (M3). */
            list_del(&msg->received_link);
            msg->state = MESSAGE_DETACHED;
            msg->thread = NULL;
            *result = -EINTR;
            is_over = true;
        }
    }
    spin_unlock(&port->lock);
    return is_over;
}

/* Sleeps until the message is DONE (returns 0) or its sender gives up (returns the error). */
static s64 message_wait(struct message *msg, const struct connection *conn)
{
    enum sleep_kind kind = msg->is_killable ? SLEEP_KILLABLE : SLEEP_INTERRUPTIBLE;
    s64 result = 0;

    for (;;) {
        thread_prepare_sleep(kind);
        if (__atomic_load_n(&msg->state, __ATOMIC_ACQUIRE) == MESSAGE_DONE) {
            break;
        }
        if (thread_sleep_interrupted(kind) == 0) {
            schedule();
            continue;
        }
        thread_cancel_sleep();
        if (message_on_signal(msg, conn, &result)) {
            return result;
        }
        kind = SLEEP_KILLABLE;
    }
    thread_cancel_sleep();
    /* Who made it DONE wakes this thread under the lock, and must be past that before it ends. */
    if (spin_is_locked(&msg->port->lock)) {
        spin_lock(&msg->port->lock);
        spin_unlock(&msg->port->lock);
    }
    return 0;
}

/* Puts small readable memory into the message itself: the server then needs no second call. */
static int message_carry(struct message *msg)
{
    struct iov_iter iter;

    if (msg->send.len == 0 || msg->send.len > CB_INLINE_MAX || msg->path != NULL ||
        msg->recv_buffer == msg->inline_data) {
        return 0;
    }
    iov_init_vector(&iter, msg->send.kind, msg->send.iov, msg->send.nr, 0, msg->send.len);
    if (iov_copy_from(&iter, msg->inline_data, msg->send.len) != msg->send.len) {
        return -EFAULT;
    }
    msg->inline_len = (u32)msg->send.len;
    return 0;
}

/* Moves what came with the reply into the sender's memory. */
static int message_unpack(struct message *msg)
{
    struct iov_iter iter;
    u32 len = msg->reply_len;
    const void *data;

    if (msg->recv_dest != NULL) {
        if (msg->recv_buffer != msg->inline_data) {
            memcpy(msg->recv_buffer, msg->inline_data, len);
        }
        memcpy(msg->recv_dest, msg->recv_buffer, msg->recv.len);
        return 0;
    }
    if (len == 0) {
        return 0;
    }
    data = msg->late_data != NULL ? msg->late_data : msg->inline_data;
    iov_init_vector(&iter, msg->recv.kind, msg->recv.iov, msg->recv.nr, 0, msg->recv.len);
    return iov_copy_to(&iter, data, len) == len ? 0 : -EFAULT;
}

/*
 * The server copies without waiting for anybody's pager, so a page that one has is brought in by
 * the sender. For what is to be filled a piece is enough: often little of it is used.
 */
static int region_bring_in(const struct message_region *region, enum bring_in_access access)
{
    u64 left = access == BRING_IN_TO_READ ? region->len : min(region->len, BRING_IN_LIMIT);
    int error = 0;

    for (u32 i = 0; i < region->nr && left > 0 && error == 0; i++) {
        u64 len = min(region->iov[i].iov_len, left);

        error = mm_bring_in(region->iov[i].iov_base, len, access);
        left -= len;
    }
    return error;
}

static int message_bring_in(const struct message *msg)
{
    bool is_small = msg->recv.len <= CB_INLINE_MAX && !msg->is_missing;
    int error = 0;

    if (msg->send.kind == IOV_USER && msg->inline_len == 0 && msg->send.len > 0) {
        error = region_bring_in(&msg->send, BRING_IN_TO_READ);
    }
    if (error == 0 && msg->recv.kind == IOV_USER && !is_small) {
        error = region_bring_in(&msg->recv, BRING_IN_TO_WRITE);
    }
    return error;
}

static s64 message_send(struct message *msg, struct connection *conn);

s64 message_call(struct message *msg, struct connection *conn)
{
    s64 result = message_carry(msg);

    while (result == 0) {
        result = message_bring_in(msg);
        if (result != 0) {
            break;
        }
        result = message_send(msg, conn);
        if (likely(result != -CB_EPAGING)) {
            return result;
        }
        /* Only a server whose copy has met such memory may ask for the message again. */
        if (!msg->is_missing) {
            return -EIO;
        }
        message_restart(msg);
        result = 0;
    }
    return result;
}

/* Return: as message_call(), or -CB_EPAGING as the server's answer. */
static s64 message_send(struct message *msg, struct connection *conn)
{
    struct port *port = conn->port;
    s64 result;

    ASSERT(msg->state == MESSAGE_IDLE, "M1: a message is sent once at a time");
    msg->is_missing = false;
    msg->port = port;
    msg->cookie = conn->cookie;
    msg->mm = current_mm();
    msg->thread = current_thread();
    sender_fill(msg, conn);
    spin_lock(&port->lock);
    if (port->is_dead) {
        spin_unlock(&port->lock);
        return -EIO;
    }
    msg->state = MESSAGE_QUEUED;
    port_push(port, &msg->item);
    spin_unlock(&port->lock);
    result = message_wait(msg, conn);
    if (result != 0) {
        return result;
    }
    if (msg->result >= 0 && message_unpack(msg) != 0) {
        return -EFAULT;
    }
    return msg->result;
}

void message_restart(struct message *msg)
{
    ASSERT(msg->state == MESSAGE_DONE, "M1: only a replied message is sent again");
    msg->state = MESSAGE_IDLE;
    msg->is_interrupted = false;
    msg->reply_flags = 0;
    msg->reply_len = 0;
    kfree(msg->late_data);
    msg->late_data = NULL;
    if (msg->reply_file != NULL) {
        file_put(msg->reply_file);
        msg->reply_file = NULL;
    }
}
