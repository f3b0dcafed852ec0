#ifndef MM_REMOTE_WINDOW_H
#define MM_REMOTE_WINDOW_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <mm/gup_internal.h>
#include <mm/page.h>
#include <mm/usercopy.h>

/*
 * A part of a range of some address space, its pages held, reached through the direct map. Shared
 * by remote_copy.c and process_vm.c.
 */

#define REMOTE_WINDOW_PAGES 64

struct remote_window {
    struct mm *mm;      /* the caller keeps it alive */
    u32 flags;          /* as struct gup_request's */
    enum gup_mode mode; /* what is read may be held by reference, what is written is pinned */
    struct page *pages[REMOTE_WINDOW_PAGES];
    u64 nr_pages;
    u64 offset; /* of the range's first byte in the first page */
    u64 size;   /* bytes of the range that the pages hold */
};

/**
 * remote_window_open() - hold the pages behind the first bytes of [addr, addr + len).
 * @window: mm, flags and mode are set
 * @len:    at least 1; the window may be smaller
 *
 * Context: thread; may sleep; no lock may be held.
 * Return:  0, or the error for the first page: -EFAULT, -ENOMEM, -EINTR, -EAGAIN (FOLL_NOWAIT).
 */
MUST_CHECK int remote_window_open(struct remote_window *window, u64 addr, size_t len);

/** remote_window_close() - give the pages back; after a write they are dirty. */
void remote_window_close(struct remote_window *window);

/**
 * remote_window_at() - where byte @position of the window is, and how many follow it there: frames
 *                      that stand side by side are one piece.
 */
static ALWAYS_INLINE void *remote_window_at(const struct remote_window *window, u64 position,
                                            u64 *room)
{
    u64 from_first = window->offset + position;
    struct page *const *page = &window->pages[from_first >> PAGE_SHIFT];
    u8 *at = (u8 *)page_to_virt(*page) + PAGE_OFFSET(from_first);
    u64 left = window->size - position;
    u64 nr_bytes = PAGE_SIZE - PAGE_OFFSET(from_first);

    for (; nr_bytes < left && page[1] == page[0] + 1; page++) {
        nr_bytes += PAGE_SIZE;
    }
    *room = min(nr_bytes, left);
    return at;
}

/**
 * remote_window_copy_user() - copy between the window and the current process's memory.
 * @position: of the first byte in the window, which has @len from there
 *
 * The window is written if it was opened with FOLL_WRITE, and read otherwise.
 * Context: thread; may sleep.
 * Return:  bytes copied, fewer than @len if the memory at @addr lacks a page.
 */
static ALWAYS_INLINE u64 remote_window_copy_user(const struct remote_window *window, u64 position,
                                                 u64 addr, u64 len)
{
    bool is_write = window->flags & FOLL_WRITE;
    u64 done = 0;

    while (done < len) {
        u64 room;
        void *remote = remote_window_at(window, position + done, &room);
        u64 wanted = min(room, len - done);
        u64 copied = is_write ? copy_from_user_partial(remote, addr + done, wanted)
                              : copy_to_user_partial(addr + done, remote, wanted);

        done += copied;
        if (copied < wanted) {
            break;
        }
    }
    return done;
}

#endif
