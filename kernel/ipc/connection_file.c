/*
 * File operations on a connection: each becomes one message.
 *
 * Owns: what the messages of open files look like; the operations on path names are in path.c. A
 * server's answer is not trusted: a count that exceeds what was asked for is an I/O error.
 * Read next: kernel/ipc/path.c.
 */
#include <ipc/connection_file.h>

#include <ipc/connection.h>
#include <ipc/dax_file.h>
#include <ipc/memfd.h>
#include <ipc/message.h>
#include <ipc/poll.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/object.h>
#include <mm/pager.h>
#include <mm/usercopy.h>
#include <uapi/cowbell.h>
#include <uapi/linux/mman.h>
#include <uapi/linux/stat.h>
#include <uapi/linux/statfs.h>

#define STREAM_OFFSET ((u64)-1)

/* Moves iterator and position on by what a server says it did. */
static s64 transfer_end(struct file *file, struct message *msg, struct iov_iter *iter, s64 *pos,
                        s64 result)
{
    if (result < 0) {
        return result;
    }
    if ((u64)result > iov_count(iter)) {
        return -EIO;
    }
    iov_advance(iter, (size_t)result);
    if ((file->traits & FILE_SEEKABLE) && pos != NULL) {
        *pos = (msg->reply_flags & CB_REPLY_NEWPOS) ? (s64)msg->new_pos : *pos + result;
    }
    return result;
}

static s64 transfer(struct file *file, u32 op, struct iov_iter *iter, s64 *pos)
{
    struct message *msg;
    s64 result = message_alloc(op, &msg);

    if (result != 0) {
        return result;
    }
    msg->args[0] = (file->traits & FILE_SEEKABLE) ? (u64)*pos : STREAM_OFFSET;
    msg->args[1] = iov_count(iter);
    msg->args[2] = READ_ONCE(file->flags);
    /* The kernel reads a program, and goes on from where it stands: no handler may come between. */
    msg->is_killable = iter->kind == IOV_KERNEL && (file->traits & FILE_SEEKABLE) != 0;
    result = op == CB_OP_READ ? message_set_recv(msg, iter) : message_set_send(msg, iter);
    if (result == 0) {
        result = message_call(msg, file->private);
        result = transfer_end(file, msg, iter, pos, result);
    }
    message_put(msg);
    return result;
}

static s64 conn_read(struct file *file, struct iov_iter *iter, s64 *pos)
{
    if (file->traits & FILE_DIRECTORY) {
        return -EISDIR;
    }
    return transfer(file, CB_OP_READ, iter, pos);
}

static s64 conn_write(struct file *file, struct iov_iter *iter, s64 *pos)
{
    return transfer(file, CB_OP_WRITE, iter, pos);
}

static s64 conn_getdents(struct file *file, u64 buf, size_t len)
{
    struct message *msg;
    struct iov_iter iter;
    s64 result;

    if (!(file->traits & FILE_DIRECTORY)) {
        return -ENOTDIR;
    }
    result = message_alloc(CB_OP_GETDENTS, &msg);
    if (result != 0) {
        return result;
    }
    iov_init_user(&iter, buf, len);
    msg->args[0] = (u64)file->pos;
    msg->args[1] = len;
    result = message_set_recv(msg, &iter);
    if (result == 0) {
        result = message_call(msg, file->private);
    }
    if (result > (s64)len) {
        result = -EIO;
    }
    if (result >= 0 && (msg->reply_flags & CB_REPLY_NEWPOS)) {
        file->pos = (s64)msg->new_pos;
    }
    message_put(msg);
    return result;
}

static s64 conn_ioctl(struct file *file, u32 cmd, u64 arg)
{
    struct ioctl_memory memory = ioctl_memory(cmd);
    struct message *msg;
    struct iov_iter iter;
    s64 result = message_alloc(CB_OP_IOCTL, &msg);

    if (result != 0) {
        return result;
    }
    msg->args[0] = cmd;
    msg->args[1] = arg;
    if (memory.send > 0) {
        result = iov_import_single(&iter, arg, memory.send);
        result = result != 0 ? result : message_set_send(msg, &iter);
    }
    if (memory.recv > 0 && result == 0) {
        result = iov_import_single(&iter, arg, memory.recv);
        result = result != 0 ? result : message_set_recv(msg, &iter);
    }
    if (result == 0) {
        result = message_call(msg, file->private);
    }
    message_put(msg);
    return result;
}

static u32 conn_poll(struct file *file, struct poll_table *table)
{
    struct connection *conn = file->private;

    poll_wait(table, &conn->pollers);
    if (READ_ONCE(conn->port->is_dead)) {
        return POLLERR | POLLHUP;
    }
    if (conn->flags & CB_CONN_READY) {
        return POLL_READ | POLL_WRITE;
    }
    return READ_ONCE(conn->ready);
}

static int simple(struct file *file, u32 op, const u64 *args, u32 nr_args)
{
    s64 result = connection_simple_call(file->private, op, args, nr_args, NULL, 0);

    return result > 0 ? 0 : (int)result;
}

/* A server that reports success without the bytes has filled nothing: they were zero before. */
static int conn_stat(struct file *file, struct stat *stat)
{
    s64 result = connection_simple_call(file->private, CB_OP_STAT, NULL, 0, stat, sizeof(*stat));

    return result > 0 ? 0 : (int)result;
}

static int conn_statfs(struct file *file, struct statfs *statfs)
{
    s64 result =
        connection_simple_call(file->private, CB_OP_STATFS, NULL, 0, statfs, sizeof(*statfs));

    return result > 0 ? 0 : (int)result;
}

static int conn_truncate(struct file *file, s64 size)
{
    u64 args[] = {(u64)size};

    return simple(file, CB_OP_TRUNCATE, args, ARRAY_SIZE(args));
}

static int conn_fallocate(struct file *file, u32 mode, s64 offset, s64 len)
{
    u64 args[] = {mode, (u64)offset, (u64)len};

    return simple(file, CB_OP_FALLOCATE, args, ARRAY_SIZE(args));
}

/* A server that is its file's pager lets the kernel send it what was written, for the client. */
static int conn_sync(struct file *file, u32 data_only)
{
    struct message *msg;
    struct vm_object *object = NULL;
    s64 result = message_alloc(CB_OP_FSYNC, &msg);

    if (result != 0) {
        return (int)result;
    }
    msg->args[0] = data_only;
    result = message_call(msg, file->private);
    if (result >= 0 && msg->reply_file != NULL) {
        object = memory_file_object(msg->reply_file);
        result = object != NULL ? object_write_back(object, 0, S64_MAX) : 0;
    }
    message_put(msg);
    return result > 0 ? 0 : (int)result;
}

static int conn_size(struct file *file, s64 *size)
{
    struct stat stat;
    int error;

    memset(&stat, 0, sizeof(stat));
    error = conn_stat(file, &stat);
    if (error == 0) {
        *size = stat.st_size;
    }
    return error;
}

static s64 conn_seek(struct file *file, s64 offset, u32 whence)
{
    u64 args[] = {(u64)offset, whence};

    return connection_simple_call(file->private, CB_OP_SEEK, args, ARRAY_SIZE(args), NULL, 0);
}

/* The server hands over a memfd or a direct file; its object is what gets mapped. */
static int conn_get_object(struct file *file, u32 prot, u32 map_flags, struct vm_object **out)
{
    struct message *msg;
    struct vm_object *object = NULL;
    s64 result;

    if (file->traits & FILE_DIRECTORY) {
        return -ENODEV;
    }
    result = message_alloc(CB_OP_OBJECT, &msg);
    if (result != 0) {
        return (int)result;
    }
    /* No signal ends an mmap, nor an execve that has no way back. */
    msg->is_killable = true;
    msg->args[0] = prot;
    msg->args[1] = map_flags;
    result = message_call(msg, file->private);
    if (result >= 0 && msg->reply_file != NULL) {
        object = memory_file_object(msg->reply_file);
    }
    if (object != NULL) {
        object_get(object);
        *out = object;
    }
    message_put(msg);
    if (result < 0) {
        return (int)result;
    }
    return object == NULL ? -ENODEV : 0;
}

static void conn_name(struct file *file, char *buf, size_t size)
{
    const struct connection *conn = file->private;

    if (conn->name != NULL) {
        strlcpy(buf, conn->name, size);
    }
}

const struct file_ops connection_file_ops = {
    .kind = CB_FD_CONNECTION,
    .read = conn_read,
    .write = conn_write,
    .ioctl = conn_ioctl,
    .poll = conn_poll,
    .release = connection_file_release,
    .stat = conn_stat,
    .statfs = conn_statfs,
    .truncate = conn_truncate,
    .fallocate = conn_fallocate,
    .getdents = conn_getdents,
    .sync = conn_sync,
    .size = conn_size,
    .seek = conn_seek,
    .get_object = conn_get_object,
    .name = conn_name,
};
