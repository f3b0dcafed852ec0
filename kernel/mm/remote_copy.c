/*
 * Copies to, from and between address spaces, and the identity of a word in one.
 *
 * The remote side's pages are held a window at a time and reached through the direct map; the
 * near side, if it is the current process, by an ordinary user copy. So every byte moves once.
 */
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/remote_window.h>
#include <mm/usercopy.h>
#include <mm/vma.h>
#include <proc/thread.h>

static void window_init(struct remote_window *window, struct mm *mm, enum remote_access access);
static void window_copy_kernel(const struct remote_window *window, void *buf,
                               enum remote_access access);
static s64 copy_with_current(struct mm *mm, u64 remote, u64 near, size_t len,
                             enum remote_access access);
static s64 copy_remote_both(struct mm *dst_mm, u64 dst, struct mm *src_mm, u64 src, size_t len);

s64 mm_copy_remote(struct mm *mm, u64 addr, void *buf, size_t len, enum remote_access access)
{
    struct remote_window window;
    size_t done = 0;

    window_init(&window, mm, access);
    while (done < len) {
        int error = remote_window_open(&window, addr + done, len - done);

        if (error != 0) {
            return done != 0 ? (s64)done : error;
        }
        window_copy_kernel(&window, (u8 *)buf + done, access);
        done += window.size;
        remote_window_close(&window);
    }
    return (s64)done;
}

int mm_probe_remote(struct mm *mm, u64 addr, enum remote_access access)
{
    struct remote_window window;
    int error;

    window_init(&window, mm, access);
    error = remote_window_open(&window, addr, 1);
    if (error == 0) {
        remote_window_close(&window);
    }
    return error;
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

/*
 * The access stands for one that the owner asked for, so its stack may grow. What is only read
 * needs a reference: the bytes are copied now, and whose they are later does not matter. What is
 * written must stay in step with its address, or a fork would share it meanwhile (I3).
 */
static void window_init(struct remote_window *window, struct mm *mm, enum remote_access access)
{
    window->mm = mm;
    window->flags = FOLL_GROW_STACK | FOLL_UNLOCKABLE | FOLL_NOWAIT;
    window->flags |= access == REMOTE_WRITE ? FOLL_WRITE : 0;
    window->mode = access == REMOTE_WRITE ? GUP_PIN : GUP_GET;
}

int remote_window_open(struct remote_window *window, u64 addr, size_t len)
{
    struct gup_request request = {
        .mm = window->mm,
        .start = addr & PAGE_MASK,
        .flags = window->flags,
        .mode = window->mode,
        .pages = window->pages,
    };
    s64 nr_held;

    if (!user_access_ok(addr, 1)) {
        return -EFAULT;
    }
    window->offset = PAGE_OFFSET(addr);
    len = min(len, (size_t)(TASK_SIZE - addr));
    request.nr_pages = min(DIV_ROUND_UP(window->offset + len, PAGE_SIZE), (u64)REMOTE_WINDOW_PAGES);
    nr_held = gup_slow(&request);
    if (nr_held <= 0) {
        return nr_held == 0 ? -EAGAIN : (int)nr_held;
    }
    window->nr_pages = (u64)nr_held;
    window->size = min((u64)len, (window->nr_pages << PAGE_SHIFT) - window->offset);
    return 0;
}

void remote_window_close(struct remote_window *window)
{
    if (window->mode == GUP_GET) {
        for (u64 i = 0; i < window->nr_pages; i++) {
            page_put(window->pages[i]);
        }
    } else if (window->flags & FOLL_WRITE) {
        unpin_user_pages_dirty_lock(window->pages, window->nr_pages);
    } else {
        unpin_user_pages(window->pages, window->nr_pages);
    }
}

static void window_copy_kernel(const struct remote_window *window, void *buf,
                               enum remote_access access)
{
    u64 room;

    for (u64 position = 0; position < window->size; position += room) {
        void *remote = remote_window_at(window, position, &room);
        void *near = (u8 *)buf + position;

        if (access == REMOTE_READ) {
            memcpy(near, remote, room);
        } else {
            memcpy(remote, near, room);
        }
    }
}

static s64 copy_with_current(struct mm *mm, u64 remote, u64 near, size_t len,
                             enum remote_access access)
{
    struct remote_window window;
    size_t done = 0;

    window_init(&window, mm, access);
    while (done < len) {
        u64 copied;
        int error = remote_window_open(&window, remote + done, len - done);

        if (error != 0) {
            return done != 0 ? (s64)done : error;
        }
        copied = remote_window_copy_user(&window, 0, near + done, window.size);
        remote_window_close(&window);
        done += copied;
        if (copied < window.size) {
            return done != 0 ? (s64)done : -EFAULT;
        }
    }
    return (s64)done;
}

static s64 copy_remote_both(struct mm *dst_mm, u64 dst, struct mm *src_mm, u64 src, size_t len)
{
    struct remote_window from;
    size_t done = 0;

    window_init(&from, src_mm, REMOTE_READ);
    while (done < len) {
        s64 part = remote_window_open(&from, src + done, len - done);

        if (part == 0) {
            u64 room;
            void *source = remote_window_at(&from, 0, &room);

            part = mm_copy_remote(dst_mm, dst + done, source, room, REMOTE_WRITE);
            remote_window_close(&from);
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
