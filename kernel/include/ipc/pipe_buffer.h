/*
 * The bytes inside a pipe: a ring of pages.
 *
 * Owns: the ring. It has no lock: the pipe's mutex covers every call but the two that are marked.
 * Bytes are numbered as they come in; byte n lies in slot (n / PAGE_SIZE) % nr_slots. A page is
 * allocated when its first byte comes and freed when its last byte goes; one is kept for the next.
 */
#ifndef IPC_PIPE_BUFFER_H
#define IPC_PIPE_BUFFER_H

#include <lib/compiler.h>
#include <lib/types.h>

struct iov_iter;
struct page;

struct pipe_buffer {
    struct page **slots; /* nr_slots, a power of two */
    u32 nr_slots;
    struct page *spare; /* an unused page, or NULL */
    u64 head;           /* bytes that came in */
    u64 tail;           /* bytes that went out */
};

/** pipe_buffer_init() - an empty ring of @nr_slots pages. Return: 0 or -ENOMEM. */
MUST_CHECK int pipe_buffer_init(struct pipe_buffer *buffer, u32 nr_slots);

/** pipe_buffer_free() - free every page and the ring. */
void pipe_buffer_free(struct pipe_buffer *buffer);

/** pipe_buffer_used() - bytes inside. Without the lock a hint. */
static inline u64 pipe_buffer_used(const struct pipe_buffer *buffer)
{
    return READ_ONCE(buffer->head) - READ_ONCE(buffer->tail);
}

/** pipe_buffer_room() - bytes that still fit. Without the lock a hint. */
static inline u64 pipe_buffer_room(const struct pipe_buffer *buffer)
{
    return READ_ONCE(buffer->nr_slots) * PAGE_SIZE - pipe_buffer_used(buffer);
}

/**
 * pipe_buffer_put() - move bytes in, as many as fit.
 * Return: bytes, or -EFAULT, -ENOMEM if none.
 */
MUST_CHECK s64 pipe_buffer_put(struct pipe_buffer *buffer, struct iov_iter *iter);

/** pipe_buffer_take() - move bytes out, as many as there are. Return: bytes, -EFAULT if none. */
MUST_CHECK s64 pipe_buffer_take(struct pipe_buffer *buffer, struct iov_iter *iter);

/**
 * pipe_buffer_resize() - change the number of pages.
 * Return: 0, -EBUSY (what is inside does not fit), -ENOMEM.
 */
MUST_CHECK int pipe_buffer_resize(struct pipe_buffer *buffer, u32 nr_slots);

#endif
