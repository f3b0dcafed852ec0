/* epoll instances: see kernel/ipc/epoll.c. */
#ifndef IPC_EPOLL_H
#define IPC_EPOLL_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <uapi/linux/poll.h>

struct file;

/** epoll_create() - an empty instance. Return: 0 or -ENOMEM. */
MUST_CHECK int epoll_create(struct file **out);

/**
 * epoll_ctl() - watch a file, change or end the watch.
 * @event: ignored for EPOLL_CTL_DEL
 * Return: 0, -EINVAL (not an epoll instance, itself, bad events), -EEXIST, -ENOENT, -EPERM (cannot
 *         be polled), -ELOOP, -ENOMEM.
 */
MUST_CHECK int epoll_ctl(struct file *epoll_file, u32 op, s32 fd, struct file *file,
                         const struct epoll_event *event);

/**
 * epoll_wait() - events that are ready.
 * @events: out: user address of struct epoll_event[max]
 * Return:  how many, 0 after @deadline_ns, -EINTR, -EFAULT, -EINVAL.
 */
MUST_CHECK s64 epoll_wait(struct file *epoll_file, u64 events, u32 max, u64 deadline_ns);

/** epoll_forget_file() - the last reference to a watched file is gone. */
void epoll_forget_file(struct file *file);

/** epoll_init() - the cache; once, from ipc_init(). */
void epoll_init(void);

#endif
