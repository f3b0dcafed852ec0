/*
 * userfaultfd: faults of ranges of memory, handled by a program. Linux's numbers and layouts, as of
 * 6.12.
 */
#ifndef UAPI_LINUX_USERFAULTFD_H
#define UAPI_LINUX_USERFAULTFD_H

#include <stdint.h>
#include <uapi/linux/ioctl.h>

#define UFFD_IOC(direction, nr, size) IOC_MAKE(direction, 0xAAu, nr, size)

/* The one command of /dev/userfaultfd; its argument are the flags of userfaultfd(2). */
#define USERFAULTFD_IOC_NEW UFFD_IOC(IOC_NONE, 0x00u, 0u)

/* A flag of userfaultfd(2), besides O_CLOEXEC and O_NONBLOCK: faults of the kernel fail. */
#define UFFD_USER_MODE_ONLY 1

#define UFFD_API 0xAAull

#define UFFDIO_NR_REGISTER     0x00
#define UFFDIO_NR_UNREGISTER   0x01
#define UFFDIO_NR_WAKE         0x02
#define UFFDIO_NR_COPY         0x03
#define UFFDIO_NR_ZEROPAGE     0x04
#define UFFDIO_NR_MOVE         0x05
#define UFFDIO_NR_WRITEPROTECT 0x06
#define UFFDIO_NR_CONTINUE     0x07
#define UFFDIO_NR_POISON       0x08
#define UFFDIO_NR_API          0x3F

/* Features. */
#define UFFD_FEATURE_PAGEFAULT_FLAG_WP  (1ull << 0)
#define UFFD_FEATURE_EVENT_FORK         (1ull << 1)
#define UFFD_FEATURE_EVENT_REMAP        (1ull << 2)
#define UFFD_FEATURE_EVENT_REMOVE       (1ull << 3)
#define UFFD_FEATURE_MISSING_HUGETLBFS  (1ull << 4)
#define UFFD_FEATURE_MISSING_SHMEM      (1ull << 5)
#define UFFD_FEATURE_EVENT_UNMAP        (1ull << 6)
#define UFFD_FEATURE_SIGBUS             (1ull << 7)
#define UFFD_FEATURE_THREAD_ID          (1ull << 8)
#define UFFD_FEATURE_MINOR_HUGETLBFS    (1ull << 9)
#define UFFD_FEATURE_MINOR_SHMEM        (1ull << 10)
#define UFFD_FEATURE_EXACT_ADDRESS      (1ull << 11)
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1ull << 12)
#define UFFD_FEATURE_WP_UNPOPULATED     (1ull << 13)
#define UFFD_FEATURE_POISON             (1ull << 14)
#define UFFD_FEATURE_WP_ASYNC           (1ull << 15)
#define UFFD_FEATURE_MOVE               (1ull << 16)

struct uffdio_api {
    uint64_t api;
    uint64_t features; /* in: wanted; out: offered */
    uint64_t ioctls;   /* out: a bit a number above */
};

struct uffdio_range {
    uint64_t start;
    uint64_t len;
};

#define UFFDIO_REGISTER_MODE_MISSING (1ull << 0)
#define UFFDIO_REGISTER_MODE_WP      (1ull << 1)
#define UFFDIO_REGISTER_MODE_MINOR   (1ull << 2)

/* In this and in each of the following, the last word is written only. */
struct uffdio_register {
    struct uffdio_range range;
    uint64_t mode;
    uint64_t ioctls;
};

#define UFFDIO_COPY_MODE_DONTWAKE (1ull << 0)
#define UFFDIO_COPY_MODE_WP       (1ull << 1)

struct uffdio_copy {
    uint64_t dst;
    uint64_t src;
    uint64_t len;
    uint64_t mode;
    int64_t copy; /* bytes, or a negative errno */
};

#define UFFDIO_ZEROPAGE_MODE_DONTWAKE (1ull << 0)

struct uffdio_zeropage {
    struct uffdio_range range;
    uint64_t mode;
    int64_t zeropage;
};

#define UFFDIO_WRITEPROTECT_MODE_WP       (1ull << 0)
#define UFFDIO_WRITEPROTECT_MODE_DONTWAKE (1ull << 1)

/* Nothing of this is written. */
struct uffdio_writeprotect {
    struct uffdio_range range;
    uint64_t mode;
};

#define UFFDIO_CONTINUE_MODE_DONTWAKE (1ull << 0)
#define UFFDIO_CONTINUE_MODE_WP       (1ull << 1)

struct uffdio_continue {
    struct uffdio_range range;
    uint64_t mode;
    int64_t mapped;
};

#define UFFDIO_POISON_MODE_DONTWAKE (1ull << 0)

struct uffdio_poison {
    struct uffdio_range range;
    uint64_t mode;
    int64_t updated;
};

#define UFFDIO_MOVE_MODE_DONTWAKE        (1ull << 0)
#define UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES (1ull << 1)

struct uffdio_move {
    uint64_t dst;
    uint64_t src;
    uint64_t len;
    uint64_t mode;
    int64_t move;
};

#define UFFDIO_API UFFD_IOC(IOC_READ | IOC_WRITE, UFFDIO_NR_API, sizeof(struct uffdio_api))
#define UFFDIO_REGISTER                                                                            \
    UFFD_IOC(IOC_READ | IOC_WRITE, UFFDIO_NR_REGISTER, sizeof(struct uffdio_register))
#define UFFDIO_UNREGISTER UFFD_IOC(IOC_READ, UFFDIO_NR_UNREGISTER, sizeof(struct uffdio_range))
#define UFFDIO_WAKE       UFFD_IOC(IOC_READ, UFFDIO_NR_WAKE, sizeof(struct uffdio_range))
#define UFFDIO_COPY       UFFD_IOC(IOC_READ | IOC_WRITE, UFFDIO_NR_COPY, sizeof(struct uffdio_copy))
#define UFFDIO_ZEROPAGE                                                                            \
    UFFD_IOC(IOC_READ | IOC_WRITE, UFFDIO_NR_ZEROPAGE, sizeof(struct uffdio_zeropage))
#define UFFDIO_MOVE UFFD_IOC(IOC_READ | IOC_WRITE, UFFDIO_NR_MOVE, sizeof(struct uffdio_move))
#define UFFDIO_WRITEPROTECT                                                                        \
    UFFD_IOC(IOC_READ | IOC_WRITE, UFFDIO_NR_WRITEPROTECT, sizeof(struct uffdio_writeprotect))
#define UFFDIO_CONTINUE                                                                            \
    UFFD_IOC(IOC_READ | IOC_WRITE, UFFDIO_NR_CONTINUE, sizeof(struct uffdio_continue))
#define UFFDIO_POISON UFFD_IOC(IOC_READ | IOC_WRITE, UFFDIO_NR_POISON, sizeof(struct uffdio_poison))

/* What read(2) returns. */
#define UFFD_EVENT_PAGEFAULT 0x12
#define UFFD_EVENT_FORK      0x13
#define UFFD_EVENT_REMAP     0x14
#define UFFD_EVENT_REMOVE    0x15
#define UFFD_EVENT_UNMAP     0x16

#define UFFD_PAGEFAULT_FLAG_WRITE (1u << 0)
#define UFFD_PAGEFAULT_FLAG_WP    (1u << 1)
#define UFFD_PAGEFAULT_FLAG_MINOR (1u << 2)

struct uffd_msg {
    uint8_t event;
    uint8_t pad1;
    uint16_t pad2;
    uint32_t pad3;
    union {
        struct {
            uint64_t flags; /* UFFD_PAGEFAULT_FLAG_ */
            uint64_t address;
            uint32_t ptid; /* with UFFD_FEATURE_THREAD_ID */
            uint32_t pad;
        } pagefault;
        struct {
            uint32_t ufd; /* a descriptor of the reader's, for the child's memory */
        } fork;
        struct {
            uint64_t from;
            uint64_t to;
            uint64_t len;
        } remap;
        struct {
            uint64_t start;
            uint64_t end;
        } remove; /* of UFFD_EVENT_UNMAP as well */
        uint64_t words[3];
    } arg;
};

_Static_assert(sizeof(struct uffd_msg) == 32, "ABI");
_Static_assert(sizeof(struct uffdio_copy) == 40, "ABI");
_Static_assert(UFFDIO_API == 0xc018aa3fu && UFFDIO_COPY == 0xc028aa03u, "ABI");
_Static_assert(UFFDIO_UNREGISTER == 0x8010aa01u && USERFAULTFD_IOC_NEW == 0xaa00u, "ABI");

#endif
