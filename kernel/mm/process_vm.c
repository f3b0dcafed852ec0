/*
 * process_vm_readv(2) and process_vm_writev(2): between iovecs of two address spaces.
 *
 * The remote pages are pinned a window at a time, as on Linux: a read pin of a shared anonymous
 * page gives the remote process its own copy first (J8), and a stack is not grown (J5).
 */
#include <mm/process_vm.h>

#include <ipc/iov.h>
#include <lib/errno.h>
#include <mm/remote_window.h>
#include <proc/sched.h>

/* Copies one piece of the window from @position on. Return: were all its bytes copied? */
static bool copy_piece(const struct remote_window *window, struct iov_iter *near, u64 *position)
{
    u64 wanted, copied, addr;

    if (likely(near->kind == IOV_USER)) {
        wanted = min(iov_piece(near, &addr), window->size - *position);
        copied = remote_window_copy_user(window, *position, addr, wanted);
        iov_advance_in_piece(near, copied);
    } else {
        void *remote = remote_window_at(window, *position, &wanted);

        copied = window->flags & FOLL_WRITE ? iov_copy_from(near, remote, wanted)
                                            : iov_copy_to(near, remote, wanted);
    }
    *position += copied;
    return copied == wanted;
}

/*
 * The window holds no more than @near has left.
 * Return: bytes copied, fewer than the window holds if @near lacks a page.
 */
static u64 copy_window(const struct remote_window *window, struct iov_iter *near)
{
    bool is_complete = true;
    u64 position = 0;

    while (is_complete && position < window->size) {
        is_complete = copy_piece(window, near, &position);
    }
    return position;
}

/* Return: 0, also if @near ends first, or -EFAULT. */
static int transfer_range(struct remote_window *window, u64 addr, u64 len, struct iov_iter *near)
{
    len = min(len, (u64)iov_count(near));
    while (len > 0) {
        u64 copied;

        /* Whatever kept the pages from being pinned, the address is at fault: Linux says so. */
        if (remote_window_open(window, addr, len) != 0) {
            return -EFAULT;
        }
        copied = copy_window(window, near);
        remote_window_close(window);
        if (copied < window->size) {
            return -EFAULT;
        }
        addr += copied;
        len -= copied;
        sched_point();
    }
    return 0;
}

s64 process_vm_transfer(struct mm *mm, const struct iovec *remote, u32 nr, struct iov_iter *near,
                        enum remote_access access)
{
    struct remote_window window;
    u64 total = iov_count(near);
    int error = 0;

    window.mm = mm;
    window.flags = FOLL_UNLOCKABLE | (access == REMOTE_WRITE ? FOLL_WRITE : 0);
    window.mode = GUP_PIN;
    for (u32 i = 0; i < nr && error == 0 && iov_count(near) > 0; i++) {
        error = transfer_range(&window, remote[i].iov_base, remote[i].iov_len, near);
    }
    total -= iov_count(near);
    return total > 0 ? (s64)total : error;
}
