/* A thread that waits for its fault to be resolved. It lives on that thread's stack. */
#ifndef MM_UFFD_WAITER_H
#define MM_UFFD_WAITER_H

#include <lib/list.h>
#include <lib/types.h>

struct thread;

/* [I] from the moment it is queued, [l] the lock of its context. */
struct uffd_waiter {
    struct list_node link; /* [l] in pending or delivered; by itself once woken */
    struct thread *thread; /* [I] */
    u64 address;           /* [I] as reported */
    u32 flags;             /* [I] UFFD_PAGEFAULT_FLAG_* */
    u32 ptid;              /* [I] as reported */
    u32 is_queued;         /* [x] somebody else may use it; cleared by a waker, last of all */
};

#endif
