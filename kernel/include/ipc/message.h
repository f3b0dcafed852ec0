/*
 * Messages: one synchronous request of a thread to a server.
 *
 * Owns: struct message and its states. The sender makes it, sends it and sleeps; the server finds
 * it by its id, copies from and to the memory that it names, and replies. The server has no other
 * way to the sender's memory, and none after the reply or the sender's death.
 *
 * Locks: [I] set before sending, [l] port->lock, [x] atomic, [s] the sender, again after the reply.
 */
#ifndef IPC_MESSAGE_H
#define IPC_MESSAGE_H

#include <lib/atomic.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/types.h>
#include <ipc/iov.h>
#include <ipc/port.h>
#include <uapi/cowbell.h>

struct connection;
struct file;
struct mm;
struct page;
struct thread;
struct vm_object;

enum message_state {
    MESSAGE_IDLE,     /* not sent, or withdrawn before a server saw it */
    MESSAGE_QUEUED,   /* waits in the port's queue */
    MESSAGE_RECEIVED, /* a server has its id */
    MESSAGE_DONE,     /* replied, or the port died: the result is valid */
    MESSAGE_DETACHED, /* the sender is gone; nothing of it may be touched */
};

#define REGION_FAST 2

/* Memory of the sender that a message names. */
struct message_region {
    enum iov_kind kind; /* IOV_USER: of message->mm; IOV_KERNEL: the message's own buffer */
    u32 nr;
    size_t len;        /* sum of the segments */
    struct iovec *iov; /* fast, or a heap array that the message owns */
    struct iovec fast[REGION_FAST];
};

struct message {
    struct refcount refs;           /* [x] sender; receiver and copiers while they work */
    enum message_state state;       /* [l] read without by the sender */
    struct port *port;              /* [I] the sender's connection keeps it */
    struct thread *thread;          /* [l] sleeping sender while QUEUED or RECEIVED */
    struct mm *mm;                  /* [I] of the sender; alive while QUEUED or RECEIVED */
    struct port_item item;          /* [l] QUEUED */
    struct port_item interrupt;     /* [l] queued once a signal meets a RECEIVED message */
    struct list_node received_link; /* [l] RECEIVED */
    u64 id;                         /* [l] */
    u64 interrupt_id;               /* [l] what the interrupt item tells of */
    u32 nr_copiers;                 /* [l] server threads at work on it right now */
    bool is_interrupted;            /* [l] the interrupt item was queued */
    bool is_killable;               /* [I] only a fatal signal ends the wait */
    bool is_missing;                /* [x] a copy met memory of the sender that a pager has */

    u32 op;                       /* [I] enum cb_op or a user's */
    u64 cookie;                   /* [I] */
    u64 cookie2;                  /* [I] */
    u64 args[6];                  /* [I] */
    struct cb_sender sender;      /* [I] */
    struct message_region send;   /* [I] */
    struct message_region recv;   /* [I] */
    char *path;                   /* [s] CB_PATH_MAX bytes, owned; NULL: no path */
    char *path2;                  /* [I] owned */
    u32 nr_fds;                   /* [I] */
    struct file *fds[CB_MSG_FDS]; /* [I] referenced */
    struct file *opening;         /* [I] OPEN: the connection to be, the sender's; or NULL */

    s64 result;              /* [s] */
    u64 new_pos;             /* [s] */
    u32 reply_flags;         /* [s] enum cb_reply_flags */
    u64 reply_cookie;        /* [s] */
    u32 reply_len;           /* [s] bytes of inline_data for the recv region */
    u32 inline_len;          /* [I] bytes of inline_data from the send region */
    struct file *reply_file; /* [s] referenced */
    void *send_buffer;       /* [I] copy of a kernel buffer to send; owned; or NULL */
    void *recv_buffer;       /* [I] of a kernel buffer to fill; owned, or inline_data */
    void *recv_dest;         /* [s] the kernel buffer to fill, or NULL */
    void *late_data;         /* [s] what the sender fills recv with, owned; or NULL */
    struct page **pages;     /* [I] that a region consists of; array and references owned */
    u32 nr_pages;            /* [I] */
    u8 inline_data[CB_INLINE_MAX];
};

/**
 * message_alloc() - an empty message with one reference.
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int message_alloc(u32 op, struct message **out);

/** message_put() - drop a reference; the last one frees everything that the message owns. */
void message_put(struct message *msg);

/**
 * message_set_send() / message_set_recv() - name the sender's memory.
 * @iter: not moved; user memory, or one kernel buffer. The server sees a copy of a kernel buffer
 *        that belongs to the message, so a late copy of the server's meets no freed memory.
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int message_set_send(struct message *msg, const struct iov_iter *iter);
MUST_CHECK int message_set_recv(struct message *msg, const struct iov_iter *iter);

/**
 * message_set_pages() - let the server read, or fill, @len bytes of whole pages.
 * @access: REGION_READ or REGION_WRITE: what the server does
 * @pages:  the message takes references, so a late copy of the server's meets no freed memory
 * Return:  0 or -ENOMEM.
 */
enum region_access { REGION_READ, REGION_WRITE };
MUST_CHECK int message_set_pages(struct message *msg, enum region_access access,
                                 struct page **pages, u32 nr_pages, size_t len);

/**
 * message_call() - send and wait for the reply.
 * @conn: where to; the caller keeps it alive
 *
 * May be repeated with another connection after a redirection.
 *
 * Context: thread; no lock. A signal before the server has seen it withdraws the message; later
 *          it sends CB_OP_INTERRUPT and waits on; SIGKILL gives up at once. What the message
 *          names of the sender's memory is brought in first, and again if the server asks for it.
 * Return:  the server's result, -EIO (the server is gone), -ERESTARTSYS, -ERESTARTNOINTR,
 *          -EINTR, -EFAULT (memory that the message itself carries).
 */
MUST_CHECK s64 message_call(struct message *msg, struct connection *conn);

/** message_restart() - make a replied message ready for another message_call(). */
void message_restart(struct message *msg);

/**
 * message_find() - a received message by its id, for copying.
 * @msg: out: referenced, counted as a copier, its mm kept alive; give back by message_release()
 * Return: 0 or -ESRCH.
 */
MUST_CHECK int message_find(struct port *port, u64 id, struct message **msg);

/** message_delivered() - a receiver is done with what port_pop() gave it. */
void message_delivered(struct port *port, struct message *msg);

/** message_lookup() - a received message by its id, or NULL. */
struct message *message_lookup(struct port *port, u64 id) REQUIRES(port->lock);

/** message_release() - the end of message_find(). */
void message_release(struct port *port, struct message *msg);

/** message_is_open() - may the message's memory still be touched? */
static inline bool message_is_open(const struct message *msg)
{
    return READ_ONCE(msg->state) == MESSAGE_RECEIVED;
}

/**
 * message_copy() - copy between a found message's memory and the current process.
 * @offset: into the region
 * @write:  REGION_READ: from what the sender lets read; REGION_WRITE: into what it wants filled
 * Return:  bytes, fewer at the region's end or a bad address; -EFAULT, -ESRCH (the sender is gone),
 *          -CB_EPAGING (the sender has to bring its memory in, and to send again).
 */
MUST_CHECK s64 message_copy(struct message *msg, u64 offset, u64 buf, size_t len,
                            enum region_access access);

/** message_copy_object() - the same with a memory object instead of the process's memory. */
MUST_CHECK s64 message_copy_object(struct message *msg, u64 offset, struct vm_object *object,
                                   u64 object_offset, size_t len, enum region_access access);

/**
 * message_reply() - complete a received message.
 * @reply: the server's, copied in
 * @file:  what reply->fd refers to, or NULL; taken over on success
 *
 * Return: 0, -ESRCH, -EINVAL, -EFAULT, -EBUSY (another thread copies for this message).
 */
MUST_CHECK int message_reply(struct port *port, const struct cb_reply *reply, struct file *file);

/** message_finish() - complete a received message; the caller has looked it up under the lock. */
void message_finish(struct port *port, struct message *msg) REQUIRES(port->lock);

/** message_fail_all() - the port died: complete its messages with -EIO, free the rest. */
void message_fail_all(struct port *port);

/** message_init() - the cache; once, from ipc_init(). */
void message_init(void);

#endif
