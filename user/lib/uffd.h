/*
 * userfaultfd for programs: what the C library's copy of <linux/userfaultfd.h> may lack, and one
 * function a command.
 *
 * Every command returns 0 or a negative errno; the bytes done are left in uffd_done.
 */
#ifndef COWBELL_UFFD_H
#define COWBELL_UFFD_H

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

/* Newer than Linux 6.1's header. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON (1 << 14)
struct uffdio_poison {
    struct uffdio_range range;
    __u64 mode;
    __s64 updated;
};
#define UFFDIO_POISON_MODE_DONTWAKE 1
#define _UFFDIO_POISON              8
#define UFFDIO_POISON               _IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
struct uffdio_move {
    __u64 dst;
    __u64 src;
    __u64 len;
    __u64 mode;
    __s64 move;
};
#define UFFDIO_MOVE_MODE_DONTWAKE        1
#define UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES 2
#define _UFFDIO_MOVE                     5
#define UFFDIO_MOVE                      _IOWR(UFFDIO, _UFFDIO_MOVE, struct uffdio_move)
#endif
#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP 2
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0)
#endif
#define UFFD_FEATURE_ALL ((1ull << 17) - 1)

#define MISSING    UFFDIO_REGISTER_MODE_MISSING
#define WP         UFFDIO_REGISTER_MODE_WP
#define MINOR      UFFDIO_REGISTER_MODE_MINOR
#define ASYNC_UFFD (UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_ASYNC)

/** uffd_done - bytes that the last COPY, ZEROPAGE, CONTINUE, POISON or MOVE of the thread did, or
 * the negative errno that it left in their place. */
static __thread int64_t uffd_done __attribute__((unused));

static inline int uffd_command(int fd, unsigned long command, void *argument)
{
    return ioctl(fd, command, argument) < 0 ? -errno : 0;
}

/** uffd_open() - a descriptor with these features, or a negative errno. */
static inline int uffd_open(int flags, uint64_t features)
{
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    int fd = (int)syscall(SYS_userfaultfd, flags);
    int error;

    if (fd < 0) {
        return -errno;
    }
    error = uffd_command(fd, UFFDIO_API, &api);
    if (error != 0) {
        close(fd);
        return error;
    }
    return fd;
}

static inline int uffd_register(int fd, const void *p, size_t nr_pages, uint64_t mode)
{
    struct uffdio_register r = {.range = {(uintptr_t)p, nr_pages * PAGE}, .mode = mode};

    return uffd_command(fd, UFFDIO_REGISTER, &r);
}

static inline int uffd_unregister(int fd, const void *p, size_t nr_pages)
{
    struct uffdio_range r = {(uintptr_t)p, nr_pages * PAGE};

    return uffd_command(fd, UFFDIO_UNREGISTER, &r);
}

static inline int uffd_wake(int fd, const void *p, size_t nr_pages)
{
    struct uffdio_range r = {(uintptr_t)p, nr_pages * PAGE};

    return uffd_command(fd, UFFDIO_WAKE, &r);
}

static inline int uffd_copy(int fd, void *p, const void *from, size_t nr_pages, uint64_t mode)
{
    struct uffdio_copy c = {
        .dst = (uintptr_t)p, .src = (uintptr_t)from, .len = nr_pages * PAGE, .mode = mode};
    int error = uffd_command(fd, UFFDIO_COPY, &c);

    uffd_done = c.copy;
    return error;
}

static inline int uffd_zeropage(int fd, void *p, size_t nr_pages, uint64_t mode)
{
    struct uffdio_zeropage z = {.range = {(uintptr_t)p, nr_pages * PAGE}, .mode = mode};
    int error = uffd_command(fd, UFFDIO_ZEROPAGE, &z);

    uffd_done = z.zeropage;
    return error;
}

static inline int uffd_continue(int fd, void *p, size_t nr_pages, uint64_t mode)
{
    struct uffdio_continue c = {.range = {(uintptr_t)p, nr_pages * PAGE}, .mode = mode};
    int error = uffd_command(fd, UFFDIO_CONTINUE, &c);

    uffd_done = c.mapped;
    return error;
}

static inline int uffd_poison(int fd, void *p, size_t nr_pages, uint64_t mode)
{
    struct uffdio_poison c = {.range = {(uintptr_t)p, nr_pages * PAGE}, .mode = mode};
    int error = uffd_command(fd, UFFDIO_POISON, &c);

    uffd_done = c.updated;
    return error;
}

static inline int uffd_move(int fd, void *p, void *from, size_t nr_pages, uint64_t mode)
{
    struct uffdio_move m = {
        .dst = (uintptr_t)p, .src = (uintptr_t)from, .len = nr_pages * PAGE, .mode = mode};
    int error = uffd_command(fd, UFFDIO_MOVE, &m);

    uffd_done = m.move;
    return error;
}

/** uffd_wp() - @mode is UFFDIO_WRITEPROTECT_MODE_WP to protect, 0 to end it. */
static inline int uffd_wp(int fd, const void *p, size_t nr_pages, uint64_t mode)
{
    struct uffdio_writeprotect w = {.range = {(uintptr_t)p, nr_pages * PAGE}, .mode = mode};

    return uffd_command(fd, UFFDIO_WRITEPROTECT, &w);
}

static inline int uffd_protect(int fd, const void *p, size_t nr_pages)
{
    return uffd_wp(fd, p, nr_pages, UFFDIO_WRITEPROTECT_MODE_WP);
}

static inline int uffd_unprotect(int fd, const void *p, size_t nr_pages)
{
    return uffd_wp(fd, p, nr_pages, 0);
}

/** uffd_read() - one message. Return: its event, or a negative errno. */
static inline int uffd_read(int fd, struct uffd_msg *message)
{
    ssize_t n = read(fd, message, sizeof(*message));

    return n == (ssize_t)sizeof(*message) ? message->event : n < 0 ? -errno : -EIO;
}

/** uffd_next_page() - wait for a fault. Return: the start of its page, or NULL. */
static inline char *uffd_next_page(int fd, uint64_t *flags)
{
    struct uffd_msg message;

    if (uffd_read(fd, &message) != UFFD_EVENT_PAGEFAULT) {
        return NULL;
    }
    if (flags != NULL) {
        *flags = message.arg.pagefault.flags;
    }
    return (char *)(uintptr_t)(message.arg.pagefault.address & ~(PAGE - 1));
}

/** uffd_is_readable() - a message is there now, on a descriptor with O_NONBLOCK. */
static inline int uffd_is_readable(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};

    return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

/** uffd_wait() - wait until a message can be read from a descriptor with O_NONBLOCK. */
static inline int uffd_wait(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};

    return poll(&p, 1, -1) == 1 && p.revents == POLLIN ? 0 : -EIO;
}

#endif
