/*
 * Copies to, from and between address spaces, and the identity of a word in one.
 *
 * The remote side's pages are pinned a window at a time and reached through the direct map; the
 * near side, if it is the current process, by an ordinary user copy. So every byte moves once.
 */
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/gup_internal.h>
#include <mm/usercopy.h>
#include <mm/vma.h>
#include <proc/thread.h>

#define WINDOW_PAGES 16

/* Pinned pages behind a part of a remote range. */
struct window {
    struct page *pages[WINDOW_PAGES];
    u64 nr_pages;
    u64 offset; /* of the range's first byte in the first page */
    u64 size;   /* bytes of the range that the pages hold */
};

static int window_open(struct mm *mm, u64 addr, size_t len, enum remote_access access,
                       struct window *window);
static void window_close(struct window *window, enum remote_access access);
static void *window_at(const struct window *window, u64 position, u64 *room);
static void window_copy_kernel(const struct window *window, void *buf, enum remote_access access);
static u64 window_copy_user(const struct window *window, u64 addr, enum remote_access access);
static s64 copy_with_current(struct mm *mm, u64 remote, u64 near, size_t len,
                             enum remote_access access);
static s64 copy_remote_both(struct mm *dst_mm, u64 dst, struct mm *src_mm, u64 src, size_t len);

s64 mm_copy_remote(struct mm *mm, u64 addr, void *buf, size_t len, enum remote_access access)
{
    size_t done = 0;

    while (done < len) {
        struct window window;
        int error = window_open(mm, addr + done, len - done, access, &window);

        if (error != 0) {
            return done != 0 ? (s64)done : error;
        }
        window_copy_kernel(&window, (u8 *)buf + done, access);
        done += window.size;
        window_close(&window, access);
    }
    return (s64)done;
}

s64 mm_copy_between(struct mm *dst_mm, u64 dst, struct mm *src_mm, u64 src, size_t len)
{
    if (dst_mm == current_mm()) {
        return copy_with_current(src_mm, src, dst, len, REMOTE_READ);
    }
    if (src_mm == current_mm()) {
        return copy_with_current(dst_mm, dst, src, len, REMOTE_WRITE);
    }
    return copy_remote_both(dst_mm, dst, src_mm, src, len);
}

static int window_open(struct mm *mm, u64 addr, size_t len, enum remote_access access,
                       struct window *window)
{
    struct gup_request request = {
        .mm = mm,
        .start = addr & PAGE_MASK,
        .flags = FOLL_GROW_STACK | (access == REMOTE_WRITE ? FOLL_WRITE : 0),
        .mode = GUP_PIN,
        .pages = window->pages,
    };
    s64 nr_pinned;

    if (!user_access_ok(addr, 1)) {
        return -EFAULT;
    }
    window->offset = PAGE_OFFSET(addr);
    len = min(len, (size_t)(TASK_SIZE - addr));
    request.nr_pages = min(DIV_ROUND_UP(window->offset + len, PAGE_SIZE), (u64)WINDOW_PAGES);
    nr_pinned = gup_slow(&request);
    if (nr_pinned < 0) {
        return (int)nr_pinned;
    }
    window->nr_pages = (u64)nr_pinned;
    window->size = min((u64)len, (window->nr_pages << PAGE_SHIFT) - window->offset);
    return 0;
}

static void window_close(struct window *window, enum remote_access access)
{
    if (access == REMOTE_WRITE) {
        unpin_user_pages_dirty(window->pages, window->nr_pages);
    } else {
        unpin_user_pages(window->pages, window->nr_pages);
    }
}

/* The byte at @position of the range, and how many follow it in the same page. */
static void *window_at(const struct window *window, u64 position, u64 *room)
{
    u64 from_first = window->offset + position;
    const struct page *page = window->pages[from_first >> PAGE_SHIFT];

    *room = min(PAGE_SIZE - PAGE_OFFSET(from_first), window->size - position);
    return (u8 *)page_to_virt(page) + PAGE_OFFSET(from_first);
}

static void window_copy_kernel(const struct window *window, void *buf, enum remote_access access)
{
    u64 room;

    for (u64 position = 0; position < window->size; position += room) {
        void *remote = window_at(window, position, &room);
        void *near = (u8 *)buf + position;

        if (access == REMOTE_READ) {
            memcpy(near, remote, room);
        } else {
            memcpy(remote, near, room);
        }
    }
}

/* Return: bytes copied, less than the window's size if the near side lacks a page. */
static u64 window_copy_user(const struct window *window, u64 addr, enum remote_access access)
{
    u64 position = 0;

    while (position < window->size) {
        u64 room;
        void *remote = window_at(window, position, &room);
        u64 copied = access == REMOTE_READ ? copy_to_user_partial(addr + position, remote, room)
                                           : copy_from_user_partial(remote, addr + position, room);

        position += copied;
        if (copied < room) {
            break;
        }
    }
    return position;
}

static s64 copy_with_current(struct mm *mm, u64 remote, u64 near, size_t len,
                             enum remote_access access)
{
    size_t done = 0;

    while (done < len) {
        struct window window;
        u64 copied;
        int error = window_open(mm, remote + done, len - done, access, &window);

        if (error != 0) {
            return done != 0 ? (s64)done : error;
        }
        copied = window_copy_user(&window, near + done, access);
        window_close(&window, access);
        done += copied;
        if (copied < window.size) {
            return done != 0 ? (s64)done : -EFAULT;
        }
    }
    return (s64)done;
}

static s64 copy_remote_both(struct mm *dst_mm, u64 dst, struct mm *src_mm, u64 src, size_t len)
{
    size_t done = 0;

    while (done < len) {
        struct window from;
        int error = window_open(src_mm, src + done, len - done, REMOTE_READ, &from);
        s64 part = error;

        if (error == 0) {
            u64 room;
            void *source = window_at(&from, 0, &room);

            part = mm_copy_remote(dst_mm, dst + done, source, room, REMOTE_WRITE);
            window_close(&from, REMOTE_READ);
        }
        if (part <= 0) {
            return done != 0 ? (s64)done : part;
        }
        done += (u64)part;
    }
    return (s64)done;
}

static void futex_key_fill(const struct vma *vma, u64 addr, struct futex_key *key)
{
    if ((vma->flags & VM_SHARED) && vma->object != NULL) {
        key->owner = (u64)vma->object;
        key->offset = (vma->pgoff << PAGE_SHIFT) + (addr - vma->start);
    } else {
        key->owner = (u64)vma->mm;
        key->offset = addr;
    }
}

int mm_futex_key(struct mm *mm, u64 addr, enum futex_scope scope, struct futex_key *key)
{
    struct vma *vma;

    if (!user_access_ok(addr, sizeof(u32))) {
        return -EFAULT;
    }
    if (scope == FUTEX_SCOPE_PRIVATE) {
        *key = (struct futex_key){.owner = (u64)mm, .offset = addr};
        return 0;
    }
    if (vma_lock_lookup(mm, addr, &vma)) {
        futex_key_fill(vma, addr, key);
        vma_read_unlock(vma);
        return 0;
    }
    mm_read_lock(mm);
    vma = vma_find_at(mm, addr);
    if (vma != NULL) {
        futex_key_fill(vma, addr, key);
    }
    mm_read_unlock(mm);
    return vma != NULL ? 0 : -EFAULT;
}
