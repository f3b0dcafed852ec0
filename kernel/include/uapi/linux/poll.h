/* Linux values and layouts for poll(2), select(2) and epoll(7). */
#ifndef UAPI_LINUX_POLL_H
#define UAPI_LINUX_POLL_H

#include <stdint.h>

#define POLLIN     0x0001
#define POLLPRI    0x0002
#define POLLOUT    0x0004
#define POLLERR    0x0008
#define POLLHUP    0x0010
#define POLLNVAL   0x0020
#define POLLRDNORM 0x0040
#define POLLRDBAND 0x0080
#define POLLWRNORM 0x0100
#define POLLWRBAND 0x0200
#define POLLMSG    0x0400
#define POLLRDHUP  0x2000

struct pollfd {
    int32_t fd;
    int16_t events;
    int16_t revents;
};

_Static_assert(sizeof(struct pollfd) == 8, "ABI");

#define FD_SETSIZE 1024

#define EPOLL_CLOEXEC 02000000

#define EPOLL_CTL_ADD 1
#define EPOLL_CTL_DEL 2
#define EPOLL_CTL_MOD 3

#define EPOLLIN        0x00000001u
#define EPOLLPRI       0x00000002u
#define EPOLLOUT       0x00000004u
#define EPOLLERR       0x00000008u
#define EPOLLHUP       0x00000010u
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP    (1u << 29)
#define EPOLLONESHOT   (1u << 30)
#define EPOLLET        (1u << 31)

struct epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));

_Static_assert(sizeof(struct epoll_event) == 12, "ABI");

#endif
