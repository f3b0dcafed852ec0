/* A pipe from inside, for pipe.c (bytes in and out) and pipe_splice.c (pages in and out). */
#ifndef IPC_PIPE_INTERNAL_H
#define IPC_PIPE_INTERNAL_H

#include <ipc/pipe.h>
#include <ipc/pipe_buffer.h>
#include <lib/atomic.h>
#include <lib/compiler.h>
#include <lib/types.h>
#include <proc/mutex.h>
#include <proc/waitqueue.h>

/* [l] lock, [x] atomic or read without the lock. */
struct pipe {
    struct mutex lock;
    struct pipe_buffer buffer;    /* [l] counts read without */
    struct wait_queue readers;    /* wait for bytes or for the last writer to go */
    struct wait_queue writers;    /* wait for room or for the last reader to go */
    struct atomic_u32 nr_readers; /* [x] open files that read; none comes once it is 0 */
    struct atomic_u32 nr_writers; /* [x] */
    struct refcount refs;         /* [x] one for each open file */
    u64 inode;                    /* immutable */
};

static inline bool pipe_has_reader(const struct pipe *pipe)
{
    return atomic_u32_load(&pipe->nr_readers) > 0;
}

static inline bool pipe_has_writer(const struct pipe *pipe)
{
    return atomic_u32_load(&pipe->nr_writers) > 0;
}

/* Nothing is inside, and nothing will be. What is lent may come back. A hint without the lock. */
static inline bool pipe_is_at_end(const struct pipe *pipe)
{
    return !pipe_has_writer(pipe) && READ_ONCE(pipe->buffer.nr_lent) == 0 &&
           pipe_buffer_used(&pipe->buffer) == 0;
}

static inline bool pipe_is_readable(const struct pipe *pipe)
{
    return pipe_buffer_used(&pipe->buffer) > 0 || pipe_is_at_end(pipe);
}

/* A write that did not fit into the last page waits for a slot: no other room appears. */
static inline bool pipe_is_writable(const struct pipe *pipe)
{
    return pipe_buffer_free_slots(&pipe->buffer) > 0 || !pipe_has_reader(pipe);
}

/**
 * pipe_wait_readable() - wait for bytes or for the end.
 * Return: 0 to look again with the lock, 1 at the end of file, -EAGAIN, -ERESTARTSYS.
 */
MUST_CHECK int pipe_wait_readable(struct pipe *pipe, bool is_nonblock);

/**
 * pipe_wait_writable() - wait for a free slot.
 * Return: 0 to look again with the lock, -EPIPE after SIGPIPE (no reader), -EAGAIN, -ERESTARTSYS.
 */
MUST_CHECK int pipe_wait_writable(struct pipe *pipe, bool is_nonblock);

/** pipe_wake_reader() / pipe_wake_writers() - bytes came in; slots became free. No lock held. */
static inline void pipe_wake_reader(struct pipe *pipe)
{
    if (wait_queue_is_waited(&pipe->readers)) {
        wake_up_one(&pipe->readers);
    }
}

static inline void pipe_wake_writers(struct pipe *pipe)
{
    if (wait_queue_is_waited(&pipe->writers)) {
        wake_up_all(&pipe->writers);
    }
}

#endif
