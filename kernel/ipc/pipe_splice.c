/*
 * Pages in and out of pipes: vmsplice(2), splice(2), tee(2).
 *
 * Owns: the order in which two pipes are locked (by address), and that no pipe is locked while a
 * file or a user's memory is worked on. Bytes on their way into a file are lent by the pipe: they
 * are in nobody else's reach, their slots stay free, and what the file does not take comes back.
 * A page of a process's memory is held by reference, not pinned, as on Linux: until it is read the
 * pipe shows what is written to that page, which need not be the process's any more (J18).
 */
#include <ipc/pipe_internal.h>

#include <ipc/file.h>
#include <lib/errno.h>
#include <mm/frames.h>
#include <mm/gup.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>

/* Pages that are on their way at a time. */
#define BATCH_PAGES 16

/* --- from user memory ------------------------------------------------------------------------ */

/* The pages behind the iterator's current segment. Return: pages held, 0 at a bad address. */
static u64 hold_pages(const struct iov_iter *from, u64 nr_max, struct page **pages, s64 *error)
{
    u64 addr = from->iov->iov_base + from->offset;
    u64 len = min(from->iov->iov_len - from->offset, (u64)iov_count(from));
    u64 nr_pages = DIV_ROUND_UP(PAGE_OFFSET(addr) + len, PAGE_SIZE);
    s64 nr_held = get_user_pages_fast(addr, min(nr_pages, nr_max), 0, pages);

    *error = nr_held < 0 ? nr_held : 0;
    return nr_held > 0 ? (u64)nr_held : 0;
}

/* Enters held pages as far as there is room, and gives the rest back. Return: bytes. */
static u64 enter_pages(struct pipe *out, struct iov_iter *from, struct page **pages, u64 nr_pages)
{
    u64 done = 0;

    mutex_lock(&out->lock);
    for (u64 i = 0; i < nr_pages; i++) {
        u64 addr = from->iov->iov_base + from->offset;
        u64 left = min(from->iov->iov_len - from->offset, (u64)iov_count(from));
        struct pipe_slot slot = {.page = pages[i], .offset = (u16)PAGE_OFFSET(addr)};

        slot.len = (u16)min(left, PAGE_SIZE - slot.offset);
        if (!pipe_has_reader(out) || pipe_buffer_free_slots(&out->buffer) == 0) {
            page_put(pages[i]);
            continue;
        }
        pipe_buffer_push(&out->buffer, &slot);
        done += slot.len;
        iov_advance(from, slot.len);
    }
    mutex_unlock(&out->lock);
    pipe_wake_reader(out);
    return done;
}

s64 pipe_splice_user(struct pipe *out, struct iov_iter *from, bool is_nonblock)
{
    struct page *pages[BATCH_PAGES];
    s64 total = 0;
    s64 error = 0;

    while (iov_count(from) > 0 && error == 0) {
        u64 nr_pages = pipe_buffer_free_slots(&out->buffer);

        if (nr_pages == 0 || !pipe_has_reader(out)) {
            /* What has gone in is told at once: only the first page is waited for. */
            if (total > 0) {
                break;
            }
            error = pipe_wait_writable(out, is_nonblock);
            continue;
        }
        nr_pages = hold_pages(from, min(nr_pages, (u64)BATCH_PAGES), pages, &error);
        total += (s64)enter_pages(out, from, pages, nr_pages);
    }
    return total > 0 ? total : error;
}

/* --- between pipes --------------------------------------------------------------------------- */

static void lock_both(struct pipe *a, struct pipe *b) NO_THREAD_SAFETY_ANALYSIS
{
    mutex_lock(a < b ? &a->lock : &b->lock);
    mutex_lock_nested(a < b ? &b->lock : &a->lock);
}

static void unlock_both(struct pipe *a, struct pipe *b) NO_THREAD_SAFETY_ANALYSIS
{
    mutex_unlock(&a->lock);
    mutex_unlock(&b->lock);
}

/* Waits until something is inside @in and a slot of @out is free. Return: 0, 1 (end), -errno. */
static int wait_both(struct pipe *in, struct pipe *out, bool is_nonblock)
{
    int stop = 0;
    int error;

    while (stop == 0 && pipe_buffer_used(&in->buffer) == 0) {
        stop = pipe_wait_readable(in, is_nonblock);
    }
    if (stop < 0) {
        return stop;
    }
    do {
        error = pipe_wait_writable(out, is_nonblock);
    } while (error == 0 && pipe_buffer_free_slots(&out->buffer) == 0);
    return error != 0 ? error : stop;
}

/* Both locked. Return: bytes. */
static u64 move_slots(struct pipe *in, struct pipe *out, size_t len)
{
    u64 done = 0;

    while (done < len && pipe_buffer_used(&in->buffer) > 0 &&
           pipe_buffer_free_slots(&out->buffer) > 0) {
        struct pipe_slot slot = pipe_buffer_pull(&in->buffer, len - done);

        pipe_buffer_push(&out->buffer, &slot);
        done += slot.len;
    }
    return done;
}

/* Both locked. Return: bytes. */
static u64 copy_slots(struct pipe *in, struct pipe *out, size_t len)
{
    u64 done = 0;

    for (u32 i = in->buffer.tail;
         i != in->buffer.head && done < len && pipe_buffer_free_slots(&out->buffer) > 0; i++) {
        struct pipe_slot slot = *pipe_buffer_slot(&in->buffer, i);

        page_get(slot.page);
        slot.is_open = false;
        slot.len = (u16)min((u64)slot.len, len - done);
        pipe_buffer_push(&out->buffer, &slot);
        done += slot.len;
    }
    return done;
}

typedef u64 (*pass_slots)(struct pipe *in, struct pipe *out, size_t len);

/* Others may be faster between the wait and the locks: then there is nothing to pass, yet. */
static s64 pass_between(struct pipe *in, struct pipe *out, size_t len, bool is_nonblock,
                        pass_slots pass)
{
    u64 done = 0;

    while (done == 0) {
        int stop = wait_both(in, out, is_nonblock);

        if (stop != 0) {
            return stop > 0 ? 0 : stop;
        }
        lock_both(in, out);
        if (pipe_has_reader(out)) {
            done = pass(in, out, len);
        }
        unlock_both(in, out);
    }
    pipe_wake_writers(in);
    pipe_wake_reader(out);
    return (s64)done;
}

s64 pipe_splice_pipe(struct pipe *in, struct pipe *out, size_t len, bool is_nonblock)
{
    return pass_between(in, out, len, is_nonblock, move_slots);
}

s64 pipe_tee(struct pipe *in, struct pipe *out, size_t len, bool is_nonblock)
{
    return pass_between(in, out, len, is_nonblock, copy_slots);
}

/* --- into a file ----------------------------------------------------------------------------- */

/* Writes up to @len bytes of a lent slot, which keeps the rest. Return: bytes, or -errno. */
static s64 write_slot(struct file *file, s64 *pos, struct pipe_slot *slot, size_t len)
{
    const u8 *start = (const u8 *)page_to_virt(slot->page) + slot->offset;
    struct iov_iter iter;
    s64 done;

    iov_init_kernel(&iter, start, min(len, (size_t)slot->len));
    done = file_write_limited(file, &iter, pos);
    if (done > 0) {
        slot->offset = (u16)(slot->offset + done);
        slot->len = (u16)(slot->len - done);
    }
    return done;
}

static bool lend_slot(struct pipe *in, struct pipe_slot *slot)
{
    bool is_lent;

    mutex_lock(&in->lock);
    is_lent = pipe_buffer_used(&in->buffer) > 0;
    if (is_lent) {
        *slot = pipe_buffer_lend(&in->buffer);
    }
    mutex_unlock(&in->lock);
    return is_lent;
}

/* A reader may wait for what was lent, if only to learn that this was the end. */
static void return_slot(struct pipe *in, struct pipe_slot *slot)
{
    mutex_lock(&in->lock);
    pipe_buffer_return(&in->buffer, slot);
    mutex_unlock(&in->lock);
    pipe_wake_reader(in);
    pipe_wake_writers(in);
}

s64 pipe_splice_to_file(struct pipe *in, struct file *file, s64 *pos, size_t len, bool is_nonblock)
{
    s64 total = 0;

    while ((u64)total < len) {
        struct pipe_slot slot;
        s64 done;

        if (!lend_slot(in, &slot)) {
            int stop = total > 0 ? 1 : pipe_wait_readable(in, is_nonblock);

            if (stop != 0) {
                return stop > 0 ? total : stop;
            }
            continue;
        }
        done = write_slot(file, pos, &slot, len - (u64)total);
        return_slot(in, &slot);
        if (done <= 0) {
            return total > 0 ? total : done;
        }
        total += done;
        if (signal_pending(current_thread())) {
            break;
        }
        sched_point();
    }
    return total;
}

/* --- out of a file --------------------------------------------------------------------------- */

/* Fills a page from the file. Return: bytes, 0 at its end, or -errno. */
static s64 read_page(struct file *file, s64 *pos, size_t len, struct pipe_slot *slot)
{
    struct iov_iter iter;
    s64 done;

    slot->page = page_alloc(0, ALLOC_USER);
    if (slot->page == NULL) {
        return -ENOMEM;
    }
    iov_init_kernel(&iter, page_to_virt(slot->page), min(len, (size_t)PAGE_SIZE));
    done = file->ops->read(file, &iter, pos);
    if (done <= 0) {
        page_put(slot->page);
        return done;
    }
    *slot = (struct pipe_slot){.page = slot->page, .len = (u16)done};
    return done;
}

static bool reserve_slot(struct pipe *out)
{
    bool is_free;

    mutex_lock(&out->lock);
    is_free = pipe_buffer_free_slots(&out->buffer) > 0;
    if (is_free) {
        pipe_buffer_reserve(&out->buffer);
    }
    mutex_unlock(&out->lock);
    return is_free;
}

static void fill_reserved(struct pipe *out, const struct pipe_slot *slot)
{
    mutex_lock(&out->lock);
    pipe_buffer_fill_reserved(&out->buffer, slot);
    mutex_unlock(&out->lock);
    if (slot != NULL) {
        pipe_wake_reader(out);
    } else {
        pipe_wake_writers(out);
    }
}

/*
 * A slot is reserved before the file is asked: what a stream has given cannot be put back. The file
 * is asked for no more than what the pipe had room for at the start.
 */
s64 pipe_splice_from_file(struct file *file, s64 *pos, struct pipe *out, size_t len,
                          bool is_nonblock)
{
    s64 total = 0;
    s64 done = 0;

    while (!reserve_slot(out)) {
        done = pipe_wait_writable(out, is_nonblock);
        if (done != 0) {
            return done;
        }
    }
    do {
        size_t wanted = min(len - (u64)total, PAGE_SIZE);
        struct pipe_slot slot;

        done = read_page(file, pos, wanted, &slot);
        fill_reserved(out, done > 0 ? &slot : NULL);
        total += done > 0 ? done : 0;
        if (done < (s64)wanted) {
            break;
        }
        sched_point();
    } while ((u64)total < len && reserve_slot(out));
    return total > 0 ? total : done;
}
