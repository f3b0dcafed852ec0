/*
 * The ring of pages inside a pipe.
 *
 * Owns: struct pipe_buffer. Byte counts never wrap: 2^64 bytes take longer than any machine runs.
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
    buffer->slots = kmalloc_array(nr_slots, sizeof(struct page *), ALLOC_ZERO);
    buffer->nr_slots = nr_slots;
    buffer->spare = NULL;
    buffer->head = 0;
    buffer->tail = 0;
    return buffer->slots == NULL ? -ENOMEM : 0;
}

void pipe_buffer_free(struct pipe_buffer *buffer)
{
    for (u32 i = 0; i < buffer->nr_slots; i++) {
        if (buffer->slots[i] != NULL) {
            page_put(buffer->slots[i]);
        }
    }
    if (buffer->spare != NULL) {
        page_put(buffer->spare);
    }
    kfree(buffer->slots);
}

static inline struct page **slot_of(const struct pipe_buffer *buffer, u64 byte)
{
    return &buffer->slots[(byte >> PAGE_SHIFT) & (buffer->nr_slots - 1)];
}

/* The page that the next byte goes to, allocated if need be; NULL without memory. */
static struct page *head_page(struct pipe_buffer *buffer)
{
    struct page **slot = slot_of(buffer, buffer->head);

    if (*slot == NULL) {
        *slot = buffer->spare;
        buffer->spare = NULL;
    }
    if (*slot == NULL) {
        *slot = page_alloc(0, ALLOC_USER);
    }
    return *slot;
}

s64 pipe_buffer_put(struct pipe_buffer *buffer, struct iov_iter *iter)
{
    s64 done = 0;

    while (iov_count(iter) > 0 && pipe_buffer_room(buffer) > 0) {
        struct page *page = head_page(buffer);
        size_t offset = PAGE_OFFSET(buffer->head);
        size_t part = min(iov_count(iter), PAGE_SIZE - offset);
        size_t copied;

        if (page == NULL) {
            return done > 0 ? done : -ENOMEM;
        }
        part = min(part, pipe_buffer_room(buffer));
        copied = iov_copy_from(iter, (u8 *)page_to_virt(page) + offset, part);
        WRITE_ONCE(buffer->head, buffer->head + copied);
        done += (s64)copied;
        if (copied < part) {
            return done > 0 ? done : -EFAULT;
        }
    }
    return done;
}

/* The page before the tail is used up. */
static void release_page(struct pipe_buffer *buffer, struct page **slot)
{
    if (buffer->spare == NULL) {
        buffer->spare = *slot;
    } else {
        page_put(*slot);
    }
    *slot = NULL;
}

s64 pipe_buffer_take(struct pipe_buffer *buffer, struct iov_iter *iter)
{
    s64 done = 0;

    while (iov_count(iter) > 0 && buffer->head != buffer->tail) {
        struct page **slot = slot_of(buffer, buffer->tail);
        size_t offset = PAGE_OFFSET(buffer->tail);
        size_t part = min(iov_count(iter), PAGE_SIZE - offset);
        size_t copied;

        part = min(part, buffer->head - buffer->tail);
        copied = iov_copy_to(iter, (const u8 *)page_to_virt(*slot) + offset, part);
        WRITE_ONCE(buffer->tail, buffer->tail + copied);
        done += (s64)copied;
        if (PAGE_OFFSET(buffer->tail) == 0 && copied > 0) {
            release_page(buffer, slot);
        }
        if (copied < part) {
            return done > 0 ? done : -EFAULT;
        }
    }
    return done;
}

int pipe_buffer_resize(struct pipe_buffer *buffer, u32 nr_slots)
{
    u64 first = buffer->tail >> PAGE_SHIFT;
    u64 nr_used = DIV_ROUND_UP(buffer->head, PAGE_SIZE) - first;
    struct page **slots;
    u32 old_slots = buffer->nr_slots;

    ASSERT(is_power_of_two(nr_slots), "a pipe's ring has a power of two of slots");
    if (nr_used > nr_slots) {
        return -EBUSY;
    }
    slots = kmalloc_array(nr_slots, sizeof(struct page *), ALLOC_ZERO);
    if (slots == NULL) {
        return -ENOMEM;
    }
    for (u64 i = first; i < first + nr_used; i++) {
        slots[i & (nr_slots - 1)] = buffer->slots[i & (old_slots - 1)];
        buffer->slots[i & (old_slots - 1)] = NULL;
    }
    for (u32 i = 0; i < old_slots; i++) {
        /* A page that was allocated for a byte whose copy failed. */
        if (buffer->slots[i] != NULL) {
            page_put(buffer->slots[i]);
        }
    }
    kfree(buffer->slots);
    buffer->slots = slots;
    WRITE_ONCE(buffer->nr_slots, nr_slots);
    return 0;
}
