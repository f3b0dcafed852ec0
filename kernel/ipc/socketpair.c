/*
 * Sockets in pairs, for streams and for packets in sequence: two pipes, one each way.
 *
 * Owns: struct socket. Reading, writing, waiting and SIGPIPE are the pipes'. Only what
 * socketpair(2) makes is here: no names, no listening, no ancillary data.
 */
#include <ipc/socketpair.h>

#include <ipc/anon_stat.h>
#include <ipc/file.h>
#include <ipc/pipe.h>
#include <ipc/poll.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <mm/slab.h>
#include <uapi/cowbell.h>
#include <uapi/linux/stat.h>

struct socket {
    struct file *in;  /* reading end of one pipe; immutable, referenced */
    struct file *out; /* writing end of the other */
    u64 inode;        /* immutable */
};

static const struct file_ops socket_ops;

static int socket_create(u32 flags, struct file *in, struct file *out, struct file **file)
{
    struct socket *socket = kmalloc(sizeof(*socket), ALLOC_KERNEL);
    int error;

    if (socket == NULL) {
        return -ENOMEM;
    }
    *socket = (struct socket){.in = in, .out = out, .inode = anon_inode_next()};
    error = file_alloc(&socket_ops, O_RDWR | flags, 0, socket, file);
    if (error != 0) {
        kfree(socket);
    }
    return error;
}

static void put_ends(struct file *ends[2])
{
    file_put(ends[0]);
    file_put(ends[1]);
}

int socketpair_create(u32 type, u32 flags, struct file *pair[2])
{
    u32 mode = type == SOCK_SEQPACKET ? O_DIRECT : 0;
    struct file *there[2];
    struct file *back[2];
    int error = pipe_create(mode, there);

    if (error != 0) {
        return error;
    }
    error = pipe_create(mode, back);
    if (error != 0) {
        put_ends(there);
        return error;
    }
    error = socket_create(flags, back[0], there[1], &pair[0]);
    if (error != 0) {
        put_ends(there);
        put_ends(back);
        return error;
    }
    error = socket_create(flags, there[0], back[1], &pair[1]);
    if (error != 0) {
        file_put(pair[0]);
        file_put(there[0]);
        file_put(back[1]);
    }
    return error;
}

static s64 socket_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    struct socket *socket = file->private;

    return pipe_read_from(socket->in, iter, file_is_nonblock(file));
}

static s64 socket_write(struct file *file, struct iov_iter *iter, s64 *pos)
{
    struct socket *socket = file->private;

    /* A packet is not split. */
    if ((socket->out->flags & O_DIRECT) && iov_count(iter) > PAGE_SIZE) {
        return -EMSGSIZE;
    }
    return pipe_write_to(socket->out, iter, file_is_nonblock(file));
}

/* A pipe without a writer hangs up; a socket whose peer is gone reads as its end, too. */
static u32 socket_poll(struct file *file, struct poll_table *table)
{
    struct socket *socket = file->private;
    u32 in = file_poll(socket->in, table);
    u32 out = file_poll(socket->out, table);
    u32 events = in & POLL_READ;

    if (in & POLLHUP) {
        events |= POLL_READ | POLLHUP | POLLRDHUP | POLL_WRITE;
    }
    return events | (out & POLL_WRITE);
}

static s64 socket_ioctl(struct file *file, u32 cmd, u64 arg)
{
    struct socket *socket = file->private;

    return socket->in->ops->ioctl(socket->in, cmd, arg);
}

static void socket_release(struct file *file)
{
    struct socket *socket = file->private;

    file_put(socket->in);
    file_put(socket->out);
    kfree(socket);
}

static int socket_stat(struct file *file, struct stat *stat)
{
    const struct socket *socket = file->private;

    anon_stat_fill(file, S_IFSOCK | 0777, stat);
    stat->st_ino = socket->inode;
    return 0;
}

static void socket_name(struct file *file, char *buf, size_t size)
{
    const struct socket *socket = file->private;

    snprintf(buf, size, "socket:[%lu]", socket->inode);
}

static const struct file_ops socket_ops = {
    .kind = CB_FD_SOCKET,
    .read = socket_read,
    .write = socket_write,
    .ioctl = socket_ioctl,
    .poll = socket_poll,
    .release = socket_release,
    .stat = socket_stat,
    .name = socket_name,
};
