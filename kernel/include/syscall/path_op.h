/* How the calls on path names build their messages. */
#ifndef SYSCALL_PATH_OP_H
#define SYSCALL_PATH_OP_H

#include <lib/compiler.h>
#include <lib/types.h>

struct message;

struct path_op {
    struct message *msg;
};

/** path_op_start() - a message with a user's path. Return: 0, -EFAULT, -ENAMETOOLONG, -ENOENT. */
MUST_CHECK int path_op_start(struct path_op *op, u32 code, u64 user_path);

/** path_op_finish() - send it and free it. Return: the server's result. */
MUST_CHECK s64 path_op_finish(struct path_op *op, s32 dirfd);

#endif
