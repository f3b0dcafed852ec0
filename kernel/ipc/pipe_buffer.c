/*
 * The ring of slots inside a pipe.
 *
 * Owns: struct pipe_buffer. A page may be in several rings at once, as tee(2) leaves it; only the
 * slot that is open is written behind, and a page is used again only by its last owner.
 * Read next: kernel/ipc/pipe.c.
 */
#include <ipc/pipe_buffer.h>

#include <ipc/iov.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/frames.h>
#include <mm/slab.h>

int pipe_buffer_init(struct pipe_buffer *buffer, u32 nr_slots)
{
    ASSERT(is_power_of_two(nr_slots), "a pipe's ring has a power of two of slots");
    buffer->slots = kmalloc_array(nr_slots, sizeof(struct pipe_slot), ALLOC_KERNEL);
    buffer->nr_slots = nr_slots;
    buffer->head = 0;
    buffer->tail = 0;
    buffer->nr_lent = 0;
    buffer->nr_bytes = 0;
    buffer->spare = NULL;
    return buffer->slots == NULL ? -ENOMEM : 0;
}

void pipe_buffer_free(struct pipe_buffer *buffer)
{
    ASSERT(buffer->nr_lent == 0, "whoever works on a pipe's bytes holds one of its ends");
    while (buffer->tail != buffer->head) {
        page_put(pipe_buffer_slot(buffer, buffer->tail++)->page);
    }
    if (buffer->spare != NULL) {
        page_put(buffer->spare);
    }
    kfree(buffer->slots);
}

/* The last reader of a page of the pipe's own leaves it for the next write. */
static void release_page(struct pipe_buffer *buffer, const struct pipe_slot *slot)
{
    if (buffer->spare == NULL && slot->is_open && page_refcount(slot->page) == 1) {
        buffer->spare = slot->page;
    } else {
        page_put(slot->page);
    }
}

static void add_bytes(struct pipe_buffer *buffer, struct pipe_slot *slot, size_t n)
{
    slot->len = (u16)(slot->len + n);
    WRITE_ONCE(buffer->nr_bytes, buffer->nr_bytes + n);
}

void pipe_buffer_push(struct pipe_buffer *buffer, const struct pipe_slot *slot)
{
    ASSERT(pipe_buffer_free_slots(buffer) > 0, "a slot is added only where one is free");
    *pipe_buffer_slot(buffer, buffer->head) = *slot;
    WRITE_ONCE(buffer->head, buffer->head + 1);
    WRITE_ONCE(buffer->nr_bytes, buffer->nr_bytes + slot->len);
}

enum slot_kind { SLOT_STREAM, SLOT_PACKET };

/* Fills a new page. Return: bytes, which are fewer than wanted at a bad address; or -ENOMEM. */
static s64 put_page(struct pipe_buffer *buffer, struct iov_iter *iter, enum slot_kind kind)
{
    struct pipe_slot slot = {
        .page = buffer->spare, .is_open = kind == SLOT_STREAM, .is_packet = kind == SLOT_PACKET};
    size_t wanted = min(iov_count(iter), PAGE_SIZE);

    buffer->spare = NULL;
    if (slot.page == NULL) {
        slot.page = page_alloc(0, ALLOC_USER);
    }
    if (unlikely(slot.page == NULL)) {
        return -ENOMEM;
    }
    slot.len = (u16)iov_copy_from(iter, page_to_virt(slot.page), wanted);
    if (unlikely(slot.len == 0)) {
        release_page(buffer, &slot);
        return 0;
    }
    pipe_buffer_push(buffer, &slot);
    return slot.len;
}

/* What is more than whole pages joins the last bytes if it fits. Return: bytes, or -EFAULT. */
static s64 put_behind_last(struct pipe_buffer *buffer, struct iov_iter *iter)
{
    size_t part = PAGE_OFFSET(iov_count(iter));
    struct pipe_slot *last = pipe_buffer_slot(buffer, buffer->head - 1);
    size_t copied;

    if (part == 0 || !pipe_buffer_joins(buffer, part)) {
        return 0;
    }
    copied = iov_copy_from(iter, (u8 *)page_to_virt(last->page) + last->offset + last->len, part);
    add_bytes(buffer, last, copied);
    return copied < part ? -EFAULT : (s64)copied;
}

/* Fills new pages while slots are free and @result is no error. Return: it, or the last page's. */
static s64 put_pages(struct pipe_buffer *buffer, struct iov_iter *iter, enum slot_kind kind,
                     s64 result)
{
    size_t wanted = min(iov_count(iter), PAGE_SIZE);

    while (result >= 0 && wanted > 0 && pipe_buffer_free_slots(buffer) > 0) {
        result = put_page(buffer, iter, kind);
        if (result >= 0 && (size_t)result < wanted) {
            result = -EFAULT;
        }
        wanted = min(iov_count(iter), PAGE_SIZE);
    }
    return result;
}

s64 pipe_buffer_put_slow(struct pipe_buffer *buffer, struct iov_iter *iter)
{
    size_t before = iov_count(iter);
    s64 result = put_pages(buffer, iter, SLOT_STREAM, put_behind_last(buffer, iter));

    return iov_count(iter) < before ? (s64)(before - iov_count(iter)) : result;
}

s64 pipe_buffer_put_packets(struct pipe_buffer *buffer, struct iov_iter *iter)
{
    size_t before = iov_count(iter);
    s64 result = put_pages(buffer, iter, SLOT_PACKET, 0);

    return iov_count(iter) < before ? (s64)(before - iov_count(iter)) : result;
}

/* The first @n bytes of the first slot are gone; with the last of them the slot is. */
static void drop_bytes(struct pipe_buffer *buffer, size_t n)
{
    struct pipe_slot *first = pipe_buffer_slot(buffer, buffer->tail);

    first->offset = (u16)(first->offset + n);
    first->len = (u16)(first->len - n);
    WRITE_ONCE(buffer->nr_bytes, buffer->nr_bytes - n);
    if (first->len == 0) {
        release_page(buffer, first);
        WRITE_ONCE(buffer->tail, buffer->tail + 1);
    }
}

s64 pipe_buffer_take_slow(struct pipe_buffer *buffer, struct iov_iter *iter)
{
    s64 done = 0;

    while (iov_count(iter) > 0 && buffer->head != buffer->tail) {
        const struct pipe_slot *first = pipe_buffer_slot(buffer, buffer->tail);
        size_t part = min(iov_count(iter), (size_t)first->len);
        size_t copied =
            iov_copy_to(iter, (const u8 *)page_to_virt(first->page) + first->offset, part);
        bool is_last = copied < part || first->is_packet;

        drop_bytes(buffer, first->is_packet && copied == part ? first->len : copied);
        done += (s64)copied;
        if (is_last) {
            return done > 0 ? done : -EFAULT;
        }
    }
    return done;
}

struct pipe_slot pipe_buffer_pull(struct pipe_buffer *buffer, size_t len)
{
    struct pipe_slot *first = pipe_buffer_slot(buffer, buffer->tail);
    struct pipe_slot part = *first;

    ASSERT(buffer->head != buffer->tail, "a slot is taken only from where one is");
    if (len >= first->len) {
        WRITE_ONCE(buffer->tail, buffer->tail + 1);
    } else {
        page_get(first->page);
        part.len = (u16)len;
        part.is_open = false;
        first->offset = (u16)(first->offset + len);
        first->len = (u16)(first->len - len);
    }
    WRITE_ONCE(buffer->nr_bytes, buffer->nr_bytes - part.len);
    return part;
}

struct pipe_slot pipe_buffer_lend(struct pipe_buffer *buffer)
{
    struct pipe_slot slot = pipe_buffer_pull(buffer, PAGE_SIZE);

    buffer->nr_lent++;
    return slot;
}

void pipe_buffer_return(struct pipe_buffer *buffer, struct pipe_slot *slot)
{
    ASSERT(buffer->nr_lent > 0, "what comes back was lent");
    buffer->nr_lent--;
    if (slot->len == 0) {
        release_page(buffer, slot);
        return;
    }
    WRITE_ONCE(buffer->tail, buffer->tail - 1);
    *pipe_buffer_slot(buffer, buffer->tail) = *slot;
    WRITE_ONCE(buffer->nr_bytes, buffer->nr_bytes + slot->len);
}

void pipe_buffer_reserve(struct pipe_buffer *buffer)
{
    ASSERT(pipe_buffer_free_slots(buffer) > 0, "only a free slot is reserved");
    buffer->nr_lent++;
}

void pipe_buffer_fill_reserved(struct pipe_buffer *buffer, const struct pipe_slot *slot)
{
    ASSERT(buffer->nr_lent > 0, "what is filled was reserved");
    buffer->nr_lent--;
    if (slot != NULL) {
        pipe_buffer_push(buffer, slot);
    }
}

int pipe_buffer_resize(struct pipe_buffer *buffer, u32 nr_slots)
{
    u32 nr_used = buffer->head - buffer->tail;
    struct pipe_slot *slots;

    ASSERT(is_power_of_two(nr_slots), "a pipe's ring has a power of two of slots");
    if (nr_slots == buffer->nr_slots) {
        return 0;
    }
    if (nr_used + buffer->nr_lent > nr_slots) {
        return -EBUSY;
    }
    slots = kmalloc_array(nr_slots, sizeof(struct pipe_slot), ALLOC_KERNEL);
    if (slots == NULL) {
        return -ENOMEM;
    }
    for (u32 i = 0; i < nr_used; i++) {
        slots[(buffer->tail + i) & (nr_slots - 1)] = *pipe_buffer_slot(buffer, buffer->tail + i);
    }
    kfree(buffer->slots);
    buffer->slots = slots;
    WRITE_ONCE(buffer->nr_slots, nr_slots);
    return 0;
}
