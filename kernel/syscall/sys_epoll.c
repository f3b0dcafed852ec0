/* The epoll calls: argument checks around kernel/ipc/epoll.c. */
#include <syscall/syscalls.h>

#include <ipc/epoll.h>
#include <ipc/fdtable.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/usercopy.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <syscall/poll_time.h>

long sys_epoll_create1(u32 flags)
{
    struct file *file;
    s64 fd;
    int error;

    if (flags & ~(u32)EPOLL_CLOEXEC) {
        return -EINVAL;
    }
    error = epoll_create(&file);
    if (error != 0) {
        return error;
    }
    fd = fd_install(file, (flags & EPOLL_CLOEXEC) ? FD_CLOSE_ON_EXEC : FD_PLAIN);
    if (fd < 0) {
        file_put(file);
    }
    return fd;
}

long sys_epoll_create(s32 size)
{
    return size <= 0 ? -EINVAL : sys_epoll_create1(0);
}

long sys_epoll_ctl(s32 epoll_fd, u32 op, s32 fd, u64 user_event)
{
    struct epoll_event event;
    struct fd_ref epoll_ref;
    struct fd_ref ref;
    int error;

    memset(&event, 0, sizeof(event));
    if (op != EPOLL_CTL_DEL && copy_from_user(&event, user_event, sizeof(event)) != 0) {
        return -EFAULT;
    }
    error = fd_borrow(epoll_fd, &epoll_ref);
    if (error != 0) {
        return error;
    }
    error = fd_borrow(fd, &ref);
    if (error == 0) {
        error = epoll_ctl(epoll_ref.file, op, fd, ref.file, &event);
        fd_return(&ref);
    }
    fd_return(&epoll_ref);
    return error;
}

static s64 do_epoll_wait(s32 epoll_fd, u64 events, s32 max, u64 deadline_ns)
{
    struct fd_ref ref;
    s64 result = fd_borrow(epoll_fd, &ref);

    if (result == 0) {
        result = max <= 0 ? -EINVAL : epoll_wait(ref.file, events, (u32)max, deadline_ns);
        fd_return(&ref);
    }
    return result;
}

long sys_epoll_wait(s32 epoll_fd, u64 events, s32 max, s32 timeout_ms)
{
    return do_epoll_wait(epoll_fd, events, max, poll_deadline_ms(timeout_ms));
}

static long wait_with_mask(s32 epoll_fd, u64 events, s32 max, u64 deadline_ns, u64 mask,
                           u64 mask_size)
{
    s64 result = signal_set_temp_mask_user(mask, mask_size);

    if (result == 0) {
        result = do_epoll_wait(epoll_fd, events, max, deadline_ns);
        signal_restore_mask_unless(result == -EINTR);
    }
    return result;
}

long sys_epoll_pwait(s32 epoll_fd, u64 events, s32 max, s32 timeout_ms, u64 mask, u64 mask_size)
{
    return wait_with_mask(epoll_fd, events, max, poll_deadline_ms(timeout_ms), mask, mask_size);
}

long sys_epoll_pwait2(s32 epoll_fd, u64 events, s32 max, u64 timeout, u64 mask, u64 mask_size)
{
    u64 deadline_ns;
    int error = poll_deadline_timespec(timeout, &deadline_ns);

    return error != 0 ? error : wait_with_mask(epoll_fd, events, max, deadline_ns, mask, mask_size);
}
