/* Linux's vector of memory ranges. */
#ifndef UAPI_LINUX_UIO_H
#define UAPI_LINUX_UIO_H

#include <stdint.h>

struct iovec {
    uint64_t iov_base; /* user address */
    uint64_t iov_len;
};

_Static_assert(sizeof(struct iovec) == 16, "ABI");

#define UIO_MAXIOV 1024
/* One read or write moves at most this many bytes. */
#define MAX_RW_COUNT 0x7ffff000ul

#endif
