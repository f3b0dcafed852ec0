/*
 * The bytes inside a pipe: a ring of slots, each a part of a page.
 *
 * Owns: the ring. It has no lock: the pipe's mutex covers every call but those that are marked. A
 * slot's page is the pipe's own, filled by writes, or one that splice(2) brought: a piece of
 * another pipe, of a file, or of a process's memory, which shows what is written to it until it is
 * read. As on Linux a write begins a new page unless it fits whole behind the bytes of the last
 * one, and a pipe is full when every slot is taken, however little stands in it.
 */
#ifndef IPC_PIPE_BUFFER_H
#define IPC_PIPE_BUFFER_H

#include <ipc/iov.h>
#include <lib/compiler.h>
#include <lib/errno.h>
#include <lib/types.h>
#include <mm/page.h>

struct pipe_slot {
    struct page *page; /* referenced */
    u16 offset;
    u16 len;        /* 1..PAGE_SIZE - offset */
    bool is_open;   /* more bytes may be written behind these */
    bool is_packet; /* a read ends with these bytes, and drops what it leaves of them */
};

_Static_assert(sizeof(struct pipe_slot) == 16, "a slot is found by a shift");

struct pipe_buffer {
    struct pipe_slot *slots; /* nr_slots, a power of two */
    u32 nr_slots;
    u32 head;           /* slots that came in, and */
    u32 tail;           /* went out; both wrap */
    u32 nr_lent;        /* slots that are kept free for what may come back, or is to come */
    u64 nr_bytes;       /* inside */
    struct page *spare; /* an unused page, or NULL */
};

/** pipe_buffer_init() - an empty ring of @nr_slots pages. Return: 0 or -ENOMEM. */
MUST_CHECK int pipe_buffer_init(struct pipe_buffer *buffer, u32 nr_slots);

/** pipe_buffer_free() - give back every page and the ring. */
void pipe_buffer_free(struct pipe_buffer *buffer);

/** pipe_buffer_used() - bytes inside. Without the lock a hint. */
static inline u64 pipe_buffer_used(const struct pipe_buffer *buffer)
{
    return READ_ONCE(buffer->nr_bytes);
}

/** pipe_buffer_free_slots() - slots that are not taken. Without the lock a hint. */
static inline u32 pipe_buffer_free_slots(const struct pipe_buffer *buffer)
{
    return READ_ONCE(buffer->nr_slots) - READ_ONCE(buffer->nr_lent) -
           (READ_ONCE(buffer->head) - READ_ONCE(buffer->tail));
}

static inline struct pipe_slot *pipe_buffer_slot(const struct pipe_buffer *buffer, u32 number)
{
    return &buffer->slots[number & (buffer->nr_slots - 1)];
}

/** pipe_buffer_joins() - do @len bytes fit whole behind the last ones? Context: the lock. */
static inline bool pipe_buffer_joins(const struct pipe_buffer *buffer, size_t len)
{
    const struct pipe_slot *last = pipe_buffer_slot(buffer, buffer->head - 1);

    return buffer->head != buffer->tail && last->is_open &&
           len <= PAGE_SIZE - last->offset - last->len;
}

/** pipe_buffer_fits() - can a write of @len bytes at least begin? Context: the lock. */
static inline bool pipe_buffer_fits(const struct pipe_buffer *buffer, size_t len)
{
    return pipe_buffer_free_slots(buffer) > 0 || pipe_buffer_joins(buffer, len);
}

/* The general cases of put and take: several pages, or pages that come and go. */
MUST_CHECK s64 pipe_buffer_put_slow(struct pipe_buffer *buffer, struct iov_iter *iter);
MUST_CHECK s64 pipe_buffer_take_slow(struct pipe_buffer *buffer, struct iov_iter *iter);

/**
 * pipe_buffer_put() - move bytes in, as many as fit.
 * Return: bytes, or -EFAULT, -ENOMEM if none.
 */
static inline MUST_CHECK s64 pipe_buffer_put(struct pipe_buffer *buffer, struct iov_iter *iter)
{
    size_t len = iov_count(iter);
    struct pipe_slot *last;

    if (len == 0 || !pipe_buffer_joins(buffer, len)) {
        return pipe_buffer_put_slow(buffer, iter);
    }
    last = pipe_buffer_slot(buffer, buffer->head - 1);
    len = iov_copy_from(iter, (u8 *)page_to_virt(last->page) + last->offset + last->len, len);
    last->len = (u16)(last->len + len);
    WRITE_ONCE(buffer->nr_bytes, buffer->nr_bytes + len);
    return len > 0 ? (s64)len : -EFAULT;
}

/**
 * pipe_buffer_put_packets() - move bytes in as packets of up to a page, as many as fit.
 * Return: bytes, or -EFAULT, -ENOMEM if none.
 */
MUST_CHECK s64 pipe_buffer_put_packets(struct pipe_buffer *buffer, struct iov_iter *iter);

/**
 * pipe_buffer_take() - move bytes out, as many as there are, or up to the end of a packet.
 * Return: bytes, -EFAULT if none.
 */
static inline MUST_CHECK s64 pipe_buffer_take(struct pipe_buffer *buffer, struct iov_iter *iter)
{
    struct pipe_slot *first = pipe_buffer_slot(buffer, buffer->tail);
    size_t len = iov_count(iter);

    if (len == 0 || buffer->head == buffer->tail || len >= first->len || first->is_packet) {
        return pipe_buffer_take_slow(buffer, iter);
    }
    len = iov_copy_to(iter, (const u8 *)page_to_virt(first->page) + first->offset, len);
    first->offset = (u16)(first->offset + len);
    first->len = (u16)(first->len - len);
    WRITE_ONCE(buffer->nr_bytes, buffer->nr_bytes - len);
    return len > 0 ? (s64)len : -EFAULT;
}

/** pipe_buffer_push() - add a slot, whose page reference moves. A slot must be free. */
void pipe_buffer_push(struct pipe_buffer *buffer, const struct pipe_slot *slot);

/** pipe_buffer_pull() - take the first slot out, or its first @len bytes. There must be one. */
struct pipe_slot pipe_buffer_pull(struct pipe_buffer *buffer, size_t len);

/**
 * pipe_buffer_lend() - take the first slot out, and keep its place free.
 * pipe_buffer_return() - put back what is left of it, in front of what is inside; or, with len 0,
 *                        end the loan.
 */
struct pipe_slot pipe_buffer_lend(struct pipe_buffer *buffer);
void pipe_buffer_return(struct pipe_buffer *buffer, struct pipe_slot *slot);

/**
 * pipe_buffer_reserve() - keep a free slot for pipe_buffer_fill_reserved(), which pushes @slot, or
 *                         nothing if that is NULL.
 */
void pipe_buffer_reserve(struct pipe_buffer *buffer);
void pipe_buffer_fill_reserved(struct pipe_buffer *buffer, const struct pipe_slot *slot);

/**
 * pipe_buffer_resize() - change the number of slots.
 * Return: 0, -EBUSY (what is inside does not fit), -ENOMEM.
 */
MUST_CHECK int pipe_buffer_resize(struct pipe_buffer *buffer, u32 nr_slots);

#endif
