/* Pipes: see kernel/ipc/pipe.c for how the buffer works. */
#ifndef IPC_PIPE_H
#define IPC_PIPE_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;
struct iov_iter;

#define PIPE_ATOMIC       4096ul /* PIPE_BUF: no other write comes between */
#define PIPE_DEFAULT_SIZE 65536ul
#define PIPE_MAX_SIZE     (1ul << 20) /* F_SETPIPE_SZ of the unprivileged */

/**
 * pipe_create() - both ends of a new pipe.
 * @flags: O_NONBLOCK or 0, for both ends
 * @ends:  out: [0] for reading, [1] for writing, one reference each
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int pipe_create(u32 flags, struct file *ends[2]);

/**
 * pipe_read_from() / pipe_write_to() - read(2) and write(2) on an end, which says itself whether
 * to wait; for files that are built of pipes.
 */
MUST_CHECK s64 pipe_read_from(struct file *end, struct iov_iter *iter, bool is_nonblock);
MUST_CHECK s64 pipe_write_to(struct file *end, struct iov_iter *iter, bool is_nonblock);

/** pipe_init() - the cache; once, from ipc_init(). */
void pipe_init(void);

#endif
