/*
 * The calls for servers and their clients: ports, messages, connections.
 *
 * Owns: the user's view of kernel/ipc/message.c. Each call checks and copies in first, then acts.
 * Read next: kernel/include/uapi/cowbell.h for the ABI.
 */
#include <syscall/syscalls.h>

#include <ipc/connection.h>
#include <ipc/dax_file.h>
#include <ipc/fdtable.h>
#include <ipc/fs_context.h>
#include <ipc/memfd.h>
#include <ipc/message.h>
#include <ipc/pager_channel.h>
#include <ipc/port.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/object.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/cred.h>
#include <proc/process.h>
#include <proc/rlimit.h>
#include <proc/thread.h>
#include <uapi/cowbell.h>

long sys_port_create(u32 flags)
{
    struct file *file;
    s64 fd;
    int error;

    if (flags & ~(u32)(O_CLOEXEC | O_NONBLOCK)) {
        return -EINVAL;
    }
    error = port_create(flags & O_NONBLOCK, &file);
    if (error != 0) {
        return error;
    }
    fd = fd_install(file, (flags & O_CLOEXEC) ? FD_CLOSE_ON_EXEC : FD_PLAIN);
    if (fd < 0) {
        file_put(file);
    }
    return fd;
}

/* Borrows a descriptor that must be a port. */
static int borrow_port(s32 fd, struct fd_ref *ref, struct port **port)
{
    int error = fd_borrow(fd, ref);

    if (error != 0) {
        return error;
    }
    *port = port_of_file(ref->file);
    if (*port == NULL) {
        fd_return(ref);
        return -EINVAL;
    }
    return 0;
}

/* Gives the receiver descriptors for the files that come with a message. */
static void receive_fds(const struct message *msg, struct cb_msg *out)
{
    out->nr_fds = msg->nr_fds;
    for (u32 i = 0; i < msg->nr_fds; i++) {
        s64 fd;

        file_get(msg->fds[i]);
        fd = fd_install(msg->fds[i], FD_CLOSE_ON_EXEC);
        if (fd < 0) {
            file_put(msg->fds[i]);
        }
        out->fds[i] = (s32)fd;
    }
}

static void unreceive_fds(const struct cb_msg *out)
{
    for (u32 i = 0; i < out->nr_fds; i++) {
        if (out->fds[i] >= 0) {
            (void)!files_close(current_process()->files, out->fds[i]);
        }
    }
}

/* Room for a header and the carried bytes, so that a small message is one copy to the receiver. */
struct message_image {
    u8 bytes[sizeof(struct cb_msg) + CB_INLINE_MAX] ALIGNED(8);
};

static struct cb_msg *image_fill(struct message_image *image, const struct message *msg)
{
    struct cb_msg *out = (struct cb_msg *)image->bytes;

    out->id = msg->id;
    out->op = msg->op;
    out->flags = 0;
    out->cookie = msg->cookie;
    out->cookie2 = msg->cookie2;
    out->sender = msg->sender;
    memcpy(out->args, msg->args, sizeof(out->args));
    out->send_len = msg->send.len;
    out->recv_len = msg->recv.len;
    out->path_len = msg->path == NULL ? 0 : (u32)strlen(msg->path);
    out->path2_len = msg->path2 == NULL ? 0 : (u32)strlen(msg->path2);
    out->nr_fds = 0;
    memset(out->fds, 0, sizeof(out->fds));
    out->inline_len = msg->inline_len;
    memcpy(out->data, msg->inline_data, msg->inline_len);
    return out;
}

static int deliver_message(struct message *msg, u64 buf)
{
    struct message_image image;
    struct cb_msg *header = image_fill(&image, msg);
    u64 data = buf + offsetof(struct cb_msg, data);
    int error;

    if (msg->nr_fds > 0) {
        receive_fds(msg, header);
    }
    error = copy_to_user(buf, header, sizeof(*header) + header->inline_len);
    if (error == 0 && msg->path != NULL) {
        error = copy_to_user(data, msg->path, header->path_len + 1ul);
        data += header->path_len + 1ul;
    }
    if (error == 0 && msg->path2 != NULL) {
        error = copy_to_user(data, msg->path2, header->path2_len + 1ul);
    }
    if (error != 0) {
        unreceive_fds(header);
    }
    return error;
}

/* CLOSE and INTERRUPT: a header alone. */
static int deliver_notice(u32 op, u64 cookie, u64 arg0, u64 arg1, u64 buf)
{
    struct cb_msg out;

    memset(&out, 0, sizeof(out));
    out.op = op;
    out.flags = CB_MSG_NO_REPLY;
    out.cookie = cookie;
    out.args[0] = arg0;
    out.args[1] = arg1;
    return copy_to_user(buf, &out, sizeof(out));
}

/* Delivers one item, or puts it back. */
static int deliver(struct port *port, struct port_item *item, u64 buf)
{
    struct connection *conn;
    struct message *msg;
    int error;

    switch (item->kind) {
    case ITEM_MESSAGE:
        msg = container_of(item, struct message, item);
        error = deliver_message(msg, buf);
        if (error != 0) {
            (void)!port_unpop(port, item);
        }
        message_delivered(port, msg);
        return error;
    case ITEM_CLOSE:
        conn = container_of(item, struct connection, close);
        error = deliver_notice(CB_OP_CLOSE, conn->cookie, 0, 0, buf);
        if (error == 0 || !port_unpop(port, item)) {
            connection_free(conn);
        }
        return error;
    case ITEM_INTERRUPT:
        break;
    }
    msg = container_of(item, struct message, interrupt);
    error = deliver_notice(CB_OP_INTERRUPT, msg->cookie, msg->interrupt_id,
                           READ_ONCE(msg->state) == MESSAGE_DETACHED, buf);
    if (error == 0 || !port_unpop(port, item)) {
        message_put(msg);
    }
    return error;
}

/* Who receives messages with privilege is what others wait for. */
static void become_server(struct process *process)
{
    if (unlikely(!process->is_server) && has_capability(CAP_SYS_ADMIN)) {
        WRITE_ONCE(process->is_server, true);
    }
}

long sys_msg_receive(s32 port_fd, u64 buf, u64 size, u64 timeout_ns)
{
    struct fd_ref ref;
    struct port *port;
    struct port_item *item;
    u64 deadline_ns = timeout_ns;
    int error;

    if (size < CB_MSG_BUF_MIN) {
        return -EINVAL;
    }
    if (!user_access_ok(buf, size)) {
        return -EFAULT;
    }
    error = borrow_port(port_fd, &ref, &port);
    if (error != 0) {
        return error;
    }
    become_server(current_process());
    if (timeout_ns != CB_TIMEOUT_NONE && timeout_ns != 0) {
        deadline_ns = deadline_after(timeout_ns);
    }
    error = port_pop(ref.file, deadline_ns, &item);
    if (error == 0) {
        error = deliver(port, item, buf);
    }
    fd_return(&ref);
    return error;
}

static long copy_message(s32 port_fd, u64 id, u64 offset, u64 buf, u64 len,
                         enum region_access access)
{
    struct fd_ref ref;
    struct port *port;
    struct message *msg;
    s64 result = borrow_port(port_fd, &ref, &port);

    if (result != 0) {
        return result;
    }
    result = message_find(port, id, &msg);
    if (result == 0) {
        result = message_copy(msg, offset, buf, min(len, MAX_RW_COUNT), access);
        message_release(port, msg);
    }
    fd_return(&ref);
    return result;
}

long sys_msg_read(s32 port_fd, u64 id, u64 offset, u64 buf, u64 len)
{
    return copy_message(port_fd, id, offset, buf, len, REGION_READ);
}

long sys_msg_write(s32 port_fd, u64 id, u64 offset, u64 buf, u64 len)
{
    return copy_message(port_fd, id, offset, buf, len, REGION_WRITE);
}

long sys_msg_reply(s32 port_fd, u64 user_reply)
{
    struct cb_reply reply;
    struct fd_ref ref;
    struct port *port;
    struct file *file = NULL;
    int error;

    if (copy_from_user(&reply, user_reply, sizeof(reply)) != 0) {
        return -EFAULT;
    }
    error = borrow_port(port_fd, &ref, &port);
    if (error != 0) {
        return error;
    }
    if (reply.flags & (CB_REPLY_FD | CB_REPLY_REDIRECT)) {
        error = fd_get(reply.fd, &file);
    }
    if (error == 0) {
        error = message_reply(port, &reply, file);
        if (error != 0 && file != NULL) {
            file_put(file);
        }
    }
    fd_return(&ref);
    return error;
}

long sys_conn_create(s32 port_fd, u64 cookie, u32 conn_flags)
{
    struct fd_ref ref;
    struct port *port;
    struct file *file;
    s64 fd = borrow_port(port_fd, &ref, &port);

    if (fd != 0) {
        return fd;
    }
    if (conn_flags & ~(u32)CB_CONN_ALL) {
        fd = -EINVAL;
    } else {
        fd = connection_alloc(O_RDWR, &file);
    }
    if (fd == 0) {
        struct files *files = current_process()->files;

        fd = fd_reserve(files, 0, rlimit_get(RLIMIT_NOFILE), FD_CLOSE_ON_EXEC);
        if (fd < 0) {
            file_put(file);
        } else {
            connection_open(file, port, cookie, conn_flags, 0, NULL);
            fd_fill(files, (s32)fd, file);
        }
    }
    fd_return(&ref);
    return fd;
}

long sys_conn_notify(s32 port_fd, u64 cookie, u32 poll_mask)
{
    struct fd_ref ref;
    struct port *port;
    int error = borrow_port(port_fd, &ref, &port);

    if (error == 0) {
        connection_notify(port, cookie, poll_mask);
        fd_return(&ref);
    }
    return error;
}

/* Names the memory of a user's call. */
static int call_set_memory(struct message *msg, const struct cb_call *call)
{
    struct iovec fast[IOV_FAST];
    struct iovec *heap;
    struct iov_iter iter;
    int error = iov_import(&iter, call->send_iov, call->nr_send, fast, &heap);

    if (error == 0) {
        error = message_set_send(msg, &iter);
        iov_release(heap);
    }
    if (error == 0) {
        error = iov_import(&iter, call->recv_iov, call->nr_recv, fast, &heap);
        if (error == 0) {
            error = message_set_recv(msg, &iter);
            iov_release(heap);
        }
    }
    return error;
}

static int call_set_fds(struct message *msg, const struct cb_call *call)
{
    for (u32 i = 0; i < call->nr_fds; i++) {
        int error = fd_get(call->fds[i], &msg->fds[i]);

        if (error != 0) {
            return error;
        }
        msg->nr_fds++;
    }
    return 0;
}

/* Tells the caller the descriptor that came with the reply. */
static s64 call_finish(struct message *msg, u64 user_call, s64 result)
{
    s64 fd = -1;

    if (result >= 0 && msg->reply_file != NULL) {
        fd = fd_install(msg->reply_file, FD_CLOSE_ON_EXEC);
        if (fd < 0) {
            return fd;
        }
        msg->reply_file = NULL;
    }
    if (put_user_u32(user_call + offsetof(struct cb_call, reply_fd), (u32)fd) != 0) {
        if (fd >= 0) {
            (void)!files_close(current_process()->files, (s32)fd);
        }
        return -EFAULT;
    }
    return result;
}

long sys_msg_call(s32 conn_fd, u64 user_call)
{
    struct cb_call call;
    struct fd_ref ref;
    struct message *msg;
    s64 result;

    if (copy_from_user(&call, user_call, sizeof(call)) != 0) {
        return -EFAULT;
    }
    if (call.op < CB_OP_USER || call.flags != 0 || call.nr_fds > CB_MSG_FDS) {
        return -EINVAL;
    }
    result = fd_borrow(conn_fd, &ref);
    if (result != 0) {
        return result;
    }
    if (connection_of_file(ref.file) == NULL || (ref.file->traits & FILE_PATH_ONLY)) {
        fd_return(&ref);
        return -EINVAL;
    }
    result = message_alloc(call.op, &msg);
    if (result == 0) {
        memcpy(msg->args, call.args, sizeof(msg->args));
        result = call_set_memory(msg, &call);
        result = result != 0 ? result : call_set_fds(msg, &call);
        if (result == 0) {
            result = message_call(msg, ref.file->private);
            result = call_finish(msg, user_call, result);
        }
        message_put(msg);
    }
    fd_return(&ref);
    return result;
}

static s64 copy_fd(struct port *port, const struct cb_copy_fd *copy, struct file *memfd)
{
    enum region_access access = copy->dir == CB_TO_CLIENT ? REGION_WRITE : REGION_READ;
    struct vm_object *object = memory_file_object(memfd);
    struct message *msg;
    s64 result;

    if (object == NULL) {
        return -EINVAL;
    }
    if (access == REGION_READ && !file_can_write(memfd)) {
        return -EBADF;
    }
    result = message_find(port, copy->id, &msg);
    if (result == 0) {
        result = message_copy_object(msg, copy->offset, object, copy->fd_offset,
                                     min(copy->len, MAX_RW_COUNT), access);
        message_release(port, msg);
    }
    return result;
}

long sys_msg_copy_fd(s32 port_fd, u64 user_copy)
{
    struct cb_copy_fd copy;
    struct fd_ref ref;
    struct fd_ref memfd;
    struct port *port;
    s64 result;

    if (copy_from_user(&copy, user_copy, sizeof(copy)) != 0) {
        return -EFAULT;
    }
    if (copy.dir > CB_FROM_CLIENT || (s64)copy.fd_offset < 0) {
        return -EINVAL;
    }
    result = borrow_port(port_fd, &ref, &port);
    if (result != 0) {
        return result;
    }
    result = fd_borrow(copy.fd, &memfd);
    if (result == 0) {
        result = copy_fd(port, &copy, memfd.file);
        fd_return(&memfd);
    }
    fd_return(&ref);
    return result;
}

long sys_root_set(s32 conn_fd)
{
    struct fs_context *fs = current_process()->fs;
    struct file *file;
    int error;

    /* As with chroot(2): whoever chooses the root chooses what a set-user-id program finds. */
    if (!has_capability(CAP_SYS_CHROOT)) {
        return -EPERM;
    }
    error = fd_get(conn_fd, &file);
    if (error != 0) {
        return error;
    }
    if (connection_of_file(file) == NULL || !(file->traits & FILE_DIRECTORY)) {
        error = -ENOTDIR;
    } else {
        fs_set_root(fs, file);
        fs_set_cwd(fs, file);
    }
    file_put(file);
    return error;
}

long sys_session_tty(s32 sid, s32 fg_pgid, u32 tty_nr)
{
    if (current_process()->cred.euid != 0) {
        return -EPERM;
    }
    if (sid <= 0 || fg_pgid < 0) {
        return -EINVAL;
    }
    return session_set_tty(sid, fg_pgid, tty_nr);
}

long sys_leave_tty(s32 pid)
{
    return current_process()->cred.euid != 0 ? -EPERM : process_leave_tty(pid);
}

long sys_conn_cookie(s32 port_fd, s32 conn_fd, u64 cookie_out)
{
    struct fd_ref ref;
    struct fd_ref conn_ref;
    struct connection *conn;
    struct port *port;
    int error = borrow_port(port_fd, &ref, &port);

    if (error != 0) {
        return error;
    }
    error = fd_borrow(conn_fd, &conn_ref);
    if (error == 0) {
        conn = connection_of_file(conn_ref.file);
        error =
            conn == NULL || conn->port != port ? -ESRCH : put_user_u64(cookie_out, conn->cookie);
        fd_return(&conn_ref);
    }
    fd_return(&ref);
    return error;
}

long sys_pager_create(s32 port_fd, u64 user_pager)
{
    struct cb_pager pager;
    struct fd_ref ref;
    struct file *file;
    struct port *port;
    s64 fd;
    int error = copy_from_user(&pager, user_pager, sizeof(pager));

    if (error != 0) {
        return error;
    }
    error = borrow_port(port_fd, &ref, &port);
    if (error != 0) {
        return error;
    }
    error = pager_file_create(port, &pager, &file);
    fd_return(&ref);
    if (error != 0) {
        return error;
    }
    fd = fd_install(file, FD_CLOSE_ON_EXEC);
    if (fd < 0) {
        file_put(file);
    }
    return fd;
}
