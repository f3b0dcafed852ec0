/* READ, WRITE, TRUNCATE, FALLOCATE, FSYNC, OBJECT, IOCTL: what open files do with bytes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "access.h"
#include "data.h"
#include "dax.h"
#include "dev.h"
#include "fifo.h"
#include "fs.h"
#include "generated.h"

#define CHUNK 65536u

static uint64_t smaller(uint64_t first, uint64_t second)
{
    return first < second ? first : second;
}

/* A piece goes with the reply itself; longer ones in front of it. */
static int64_t read_image(struct cb_request *request, const struct node *node, uint64_t offset,
                          uint64_t len)
{
    static uint8_t bytes[CHUNK];
    uint64_t done = 0;

    while (done < len) {
        long got = data_read_image(node, offset + done, bytes, smaller(len - done, CHUNK));
        if (got > 0 && done == 0 && (uint64_t)got == len) {
            return cb_request_data(request, bytes, (size_t)got);
        }
        if (got > 0) {
            got = cb_msg_write(request->port, request->msg->id, done, bytes, (size_t)got);
        }
        if (got <= 0) {
            return done > 0 ? (int64_t)done : got;
        }
        done += (uint64_t)got;
    }
    return (int64_t)done;
}

static int64_t read_regular(struct cb_request *request, struct node *node, uint64_t offset,
                            uint64_t len)
{
    if (offset >= node->size || len == 0) {
        return 0;
    }
    len = smaller(len, node->size - offset);
    if (data_is_image(node)) {
        return read_image(request, node, offset, len);
    }
    int error = data_make_memfd(node);
    if (error != 0) {
        return error;
    }
    const struct cb_copy_fd copy = {
        .id = request->msg->id,
        .fd_offset = offset,
        .len = len,
        .fd = node->data.fd,
        .dir = CB_TO_CLIENT,
    };
    return cb_msg_copy_fd(request->port, &copy);
}

int64_t op_read(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;
    struct open_file *file = fs_open_file(request);

    if (file == NULL || !open_file_can_read(file)) {
        return -EBADF;
    }
    struct node *node = file->node;
    if (node_is_dir(node)) {
        return -EISDIR;
    }
    if (S_ISCHR(node->mode)) {
        return dev_read(request, file);
    }
    if (S_ISFIFO(node->mode)) {
        return fifo_read(request, file);
    }
    uint64_t len = smaller(msg->args[1], msg->recv_len);
    if ((int64_t)msg->args[0] < 0) {
        return -EINVAL;
    }
    if (node->ops->generate != NULL) {
        return generated_read(request, file, msg->args[0], len);
    }
    if (!S_ISREG(node->mode) || node->ops != &tree_node_ops) {
        return -EINVAL;
    }
    int64_t done = read_regular(request, node, msg->args[0], len);
    if (done >= 0 && (file->flags & O_NOATIME) == 0) {
        node_touch_accessed(node);
    }
    return done;
}

static int64_t write_regular(struct cb_request *request, struct node *node, uint64_t offset,
                             uint64_t len)
{
    uint64_t end = offset + len;

    if (offset >= FS_SIZE_MAX) {
        return -EFBIG;
    }
    if (end > FS_SIZE_MAX) {
        len = FS_SIZE_MAX - offset;
    }
    int error = data_prepare_write(node, offset, &len);
    if (error != 0) {
        return error;
    }
    const struct cb_copy_fd copy = {
        .id = request->msg->id,
        .fd_offset = offset,
        .len = len,
        .fd = node->data.fd,
        .dir = CB_FROM_CLIENT,
    };
    int64_t done = cb_msg_copy_fd(request->port, &copy);
    if (done > 0 && offset + (uint64_t)done > node->size) {
        node->size = offset + (uint64_t)done;
    }
    return done == -ENOMEM ? -ENOSPC : done;
}

int64_t op_write(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;
    struct open_file *file = fs_open_file(request);
    struct caller caller = fs_caller(msg);

    if (file == NULL || !open_file_can_write(file)) {
        return -EBADF;
    }
    struct node *node = file->node;
    if (S_ISCHR(node->mode)) {
        return dev_write(request, file);
    }
    if (S_ISFIFO(node->mode)) {
        return fifo_write(request, file);
    }
    if (node->ops->accept != NULL) {
        return generated_write(request, file, smaller(msg->args[1], msg->send_len));
    }
    bool appends = (msg->args[2] & O_APPEND) != 0;
    uint64_t offset = appends ? node->size : msg->args[0];
    if (!S_ISREG(node->mode) || node->ops != &tree_node_ops || (int64_t)offset < 0) {
        return -EINVAL;
    }
    uint64_t len = smaller(msg->args[1], msg->send_len);
    if (len == 0) {
        return 0;
    }
    int64_t done = write_regular(request, node, offset, len);
    if (done > 0) {
        access_drop_privileges(node, &caller);
        node_touch_changed(node);
        request->reply.flags |= CB_REPLY_NEWPOS;
        request->reply.new_pos = offset + (uint64_t)done;
    }
    return done;
}

static int truncate_node(struct node *node, const struct caller *caller, uint64_t size)
{
    if (node->ops != &tree_node_ops) {
        return 0;
    }
    int error = data_truncate(node, size);
    if (error == 0) {
        access_drop_privileges(node, caller);
        node_touch_changed(node);
    }
    return error;
}

static int truncate_by_path(struct cb_request *request, const struct caller *caller, uint64_t size)
{
    uint64_t limit = request->msg->args[1];
    struct node *node;

    int error = fs_target(request, caller, WALK_FOLLOW, &node);
    if (error != 0) {
        return error;
    }
    if (!S_ISREG(node->mode)) {
        error = node_is_dir(node) ? -EISDIR : -EINVAL;
    } else {
        error = access_check(node, caller, ACCESS_WRITE);
    }
    if (error == 0 && size > node->size && size > limit) {
        error = -EFBIG;
    }
    if (error == 0) {
        error = truncate_node(node, caller, size);
    }
    node_put(node);
    return error;
}

int64_t op_truncate(struct cb_request *request)
{
    struct open_file *file = fs_open_file(request);
    uint64_t size = request->msg->args[0];
    struct caller caller = fs_caller(request->msg);

    if ((int64_t)size < 0) {
        return -EINVAL;
    }
    if (request->msg->path_len > 0) {
        return truncate_by_path(request, &caller, size);
    }
    if (file == NULL) {
        return -EBADF;
    }
    if (!S_ISREG(file->node->mode) || !open_file_can_write(file)) {
        return -EINVAL;
    }
    return truncate_node(file->node, &caller, size);
}

int64_t op_fallocate(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;
    struct open_file *file = fs_open_file(request);
    uint64_t offset = msg->args[1];
    uint64_t len = msg->args[2];
    int mode = (int)msg->args[0];
    struct caller caller = fs_caller(msg);

    if ((int64_t)offset < 0 || (int64_t)len <= 0) {
        return -EINVAL;
    }
    if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) != 0 ||
        mode == FALLOC_FL_PUNCH_HOLE) {
        return -EOPNOTSUPP;
    }
    if (file == NULL || !open_file_can_write(file)) {
        return -EBADF;
    }
    if (S_ISFIFO(file->node->mode)) {
        return -ESPIPE;
    }
    if (!S_ISREG(file->node->mode) || file->node->ops != &tree_node_ops) {
        return node_is_dir(file->node) ? -EISDIR : -ENODEV;
    }
    if (offset > FS_SIZE_MAX - len) {
        return -EFBIG;
    }
    int error = data_allocate(file->node, mode, offset, len);
    if (error == 0) {
        access_drop_privileges(file->node, &caller);
        node_touch_changed(file->node);
    }
    return error;
}

int64_t op_fsync(struct cb_request *request)
{
    struct open_file *file = fs_open_file(request);

    if (request->msg->args[0] == CB_FSYNC_ALL) {
        return dax_save_all();
    }
    if (file == NULL) {
        return -EBADF;
    }
    bool has_storage = S_ISREG(file->node->mode) || node_is_dir(file->node);
    if (!has_storage) {
        return -EINVAL;
    }
    return file->node->ops == &tree_node_ops ? data_sync(file->node) : 0;
}

int64_t op_seek(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;
    struct open_file *file = fs_open_file(request);
    int whence = (int)msg->args[1];

    if (file == NULL) {
        return -EBADF;
    }
    if (!S_ISREG(file->node->mode) || file->node->ops != &tree_node_ops ||
        (whence != SEEK_DATA && whence != SEEK_HOLE)) {
        return -EOPNOTSUPP;
    }
    return data_seek(file->node, msg->args[0], whence);
}

int64_t op_object(struct cb_request *request)
{
    struct open_file *file = fs_open_file(request);

    if (file == NULL) {
        return -EBADF;
    }
    if (S_ISCHR(file->node->mode)) {
        return dev_object(request, file);
    }
    if (!S_ISREG(file->node->mode) || file->node->ops != &tree_node_ops) {
        return -ENODEV;
    }
    bool is_shared = (request->msg->args[1] & MAP_TYPE) != MAP_PRIVATE;
    int error = data_share(file->node, is_shared && open_file_can_write(file));
    if (error != 0) {
        return error;
    }
    node_touch_accessed(file->node);
    request->reply.flags |= CB_REPLY_FD;
    request->reply.fd = file->node->data.fd;
    return 0;
}

int64_t op_ioctl(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;
    struct open_file *file = fs_open_file(request);
    int32_t bytes = 0;

    if (file == NULL) {
        return -EBADF;
    }
    if ((uint32_t)msg->args[0] != FIONREAD ||
        (!S_ISREG(file->node->mode) && !S_ISFIFO(file->node->mode))) {
        return -ENOTTY;
    }
    if (S_ISFIFO(file->node->mode)) {
        bytes = (int32_t)fifo_bytes(file->node);
    } else {
        bytes = (int32_t)file->node->size;
    }
    long copied = cb_msg_write(request->port, msg->id, 0, &bytes, sizeof(bytes));
    return copied < 0 ? copied : 0;
}
