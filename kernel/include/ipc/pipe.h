/* Pipes: see kernel/ipc/pipe.c for how the buffer works. */
#ifndef IPC_PIPE_H
#define IPC_PIPE_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;
struct iov_iter;
struct pipe;

#define PIPE_ATOMIC       4096ul /* PIPE_BUF: no other write comes between */
#define PIPE_DEFAULT_SIZE 65536ul
#define PIPE_MAX_SIZE     (1ul << 20) /* F_SETPIPE_SZ of the unprivileged */

/**
 * pipe_create() - both ends of a new pipe.
 * @flags: O_NONBLOCK and O_DIRECT (each write of up to a page is a packet), for both ends
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

/** pipe_of_file() - the pipe that a file is an end of, or NULL. */
struct pipe *pipe_of_file(const struct file *file);

/*
 * Moving pages instead of bytes: see kernel/ipc/pipe_splice.c. An end's own O_NONBLOCK is the
 * caller's to look at. Each returns bytes, 0 at the end of file, or -errno if there were none:
 * -EAGAIN, -ERESTARTSYS, -EPIPE (with SIGPIPE), -ENOMEM, or what the file says.
 */

/**
 * pipe_splice_user() - vmsplice(2): the pages behind user memory enter the pipe as they are.
 * Return: also -EFAULT.
 */
MUST_CHECK s64 pipe_splice_user(struct pipe *out, struct iov_iter *from, bool is_nonblock);

/** pipe_splice_pipe() - splice(2): from a pipe to another one. */
MUST_CHECK s64 pipe_splice_pipe(struct pipe *in, struct pipe *out, size_t len, bool is_nonblock);

/** pipe_tee() - tee(2): the same, and the bytes stay in @in as well. */
MUST_CHECK s64 pipe_tee(struct pipe *in, struct pipe *out, size_t len, bool is_nonblock);

/** pipe_splice_to_file() - splice(2): into a file at *pos, which moves on. */
MUST_CHECK s64 pipe_splice_to_file(struct pipe *in, struct file *file, s64 *pos, size_t len,
                                   bool is_nonblock);

/** pipe_splice_from_file() - splice(2): out of a file from *pos on, which moves on. */
MUST_CHECK s64 pipe_splice_from_file(struct file *file, s64 *pos, struct pipe *out, size_t len,
                                     bool is_nonblock);

/** pipe_init() - the cache; once, from ipc_init(). */
void pipe_init(void);

#endif
