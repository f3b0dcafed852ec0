/*
 * Inside userfaultfd: the context, those who wait in it, and the calls that the descriptor makes.
 * For kernel/mm/uffd*.c, kernel/mm/fault_uffd.c and kernel/ipc/userfaultfd_file.c.
 *
 * Lock legend: [I] immutable, [l] ctx->lock, [x] atomic, [m] see nr_changing.
 */
#ifndef MM_UFFD_INTERNAL_H
#define MM_UFFD_INTERNAL_H

#include <lib/atomic.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/types.h>
#include <mm/object.h>
#include <mm/uffd.h>
#include <mm/uffd_waiter.h>
#include <proc/spinlock.h>
#include <proc/waitqueue.h>
#include <uapi/linux/userfaultfd.h>

struct iov_iter;
struct thread;
struct tlb_batch;

/** Everything that is offered. What is said of hugetlb holds for every page of it: there is none.
 */
#define UFFD_FEATURES                                                                              \
    (UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |         \
     UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_MISSING_SHMEM |           \
     UFFD_FEATURE_SIGBUS | UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_MINOR_SHMEM |                     \
     UFFD_FEATURE_EXACT_ADDRESS | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED |  \
     UFFD_FEATURE_POISON | UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_MOVE |                             \
     UFFD_FEATURE_MISSING_HUGETLBFS | UFFD_FEATURE_MINOR_HUGETLBFS)

#define UFFD_API_IOCTLS (BIT(UFFDIO_NR_REGISTER) | BIT(UFFDIO_NR_UNREGISTER) | BIT(UFFDIO_NR_API))
#define UFFD_RANGE_IOCTLS                                                                          \
    (BIT(UFFDIO_NR_WAKE) | BIT(UFFDIO_NR_COPY) | BIT(UFFDIO_NR_ZEROPAGE) | BIT(UFFDIO_NR_MOVE) |   \
     BIT(UFFDIO_NR_WRITEPROTECT) | BIT(UFFDIO_NR_CONTINUE) | BIT(UFFDIO_NR_POISON))

/** In features, once UFFDIO_API has succeeded. */
#define UFFD_INITIALIZED BIT(63)

struct uffd_ctx {
    struct refcount refs;          /* [x] the file, waiters, events under way */
    struct spinlock lock;          /* waiters and events */
    struct list_node pending;      /* [l] struct uffd_waiter: faults that nobody has read */
    struct list_node delivered;    /* [l] struct uffd_waiter: read, not resolved */
    struct list_node events;       /* [l] struct uffd_event: that nobody has read */
    u32 nr_waiters;                /* [l] in both; read without the lock */
    struct wait_queue readers;     /* threads in read(2); one is woken for each message */
    struct wait_queue pollers;     /* poll and epoll */
    struct atomic_u32 nr_changing; /* [m] changes that the pager has not heard of yet */
    struct mm *mm;                 /* [I] whose memory it is; a count, not a user (A3) */
    u64 features;                  /* [x] UFFD_FEATURE_* and UFFD_INITIALIZED; set once */
    u32 flags;                     /* [I] of userfaultfd(2) */
    bool is_released;              /* [x] the file is gone: no event is read any more */
    struct list_node all_link;     /* among all contexts */
};

/*
 * nr_changing: raised under mmap_lock (write) with every VMA of the context that changes
 * write-locked; lowered when the pager has read of the change. Whoever fills pages looks at it with
 * the VMA locked and gives up if it is not zero. So a fill either is over before the change begins,
 * or does not begin before its pager knows.
 */

enum uffd_event_state {
    UFFD_EVENT_QUEUED,
    UFFD_EVENT_TAKEN, /* a reader has it, and may put it back */
    UFFD_EVENT_READ,
};

/** A change of the address space whose author waits until it was read. On that thread's stack. */
struct uffd_event {
    struct list_node link;       /* [l] in events while it is queued */
    struct thread *thread;       /* [I] */
    struct uffd_msg msg;         /* [I] */
    enum uffd_event_state state; /* [l] */
    struct uffd_ctx *child;      /* [I] of UFFD_EVENT_FORK: a reference, the reader's once read */
};

/** uffd_create() - a context of the current address space. @flags as of userfaultfd(2). */
MUST_CHECK int uffd_create(struct mm *mm, u32 flags, struct uffd_ctx **out);

void uffd_get(struct uffd_ctx *ctx);
void uffd_put(struct uffd_ctx *ctx);

/** uffd_release() - C16: the file is gone. Strips every VMA and wakes everybody. */
void uffd_release(struct uffd_ctx *ctx);

static inline bool uffd_is_initialized(const struct uffd_ctx *ctx)
{
    return (READ_ONCE(ctx->features) & UFFD_INITIALIZED) != 0;
}

/** uffd_enable() - UFFDIO_API. Return: 0, -EINVAL (done before). */
MUST_CHECK int uffd_enable(struct uffd_ctx *ctx, u64 features);

/** uffd_check_range() - B2. Return: 0 or -EINVAL. */
MUST_CHECK int uffd_check_range(u64 start, u64 len);

/**
 * uffd_register() - the VMAs of [start, end) get this pager.
 * @vm_flags: of VM_UFFD_FLAGS
 * Return: 0, or what rules B3 to B8 say; -ENOMEM may leave a part registered.
 */
MUST_CHECK int uffd_register(struct uffd_ctx *ctx, u64 start, u64 end, u64 vm_flags);
MUST_CHECK int uffd_unregister(struct uffd_ctx *ctx, u64 start, u64 end);

/** uffd_is_shmem() - memory of an object whose pages are found by index, and nobody else's. */
static inline bool uffd_is_shmem(const struct vma *vma)
{
    return vma->object != NULL &&
           (vma->object->kind == OBJECT_ANON_SHARED || vma->object->kind == OBJECT_SHMEM);
}

/** uffd_forget_vma() - a VMA without its pager: flags, protection and markers. VMA write-locked. */
void uffd_forget_vma(struct vma *vma);

/* --- waiting and waking (uffd_wait.c) --------------------------------------------------------- */

/** uffd_waiter_queue() - from now on a wake of @waiter->address reaches it. */
void uffd_waiter_queue(struct uffd_ctx *ctx, struct uffd_waiter *waiter);
/** uffd_waiter_leave() - off the queues, whoever came first. Afterwards nobody uses @waiter. */
void uffd_waiter_leave(struct uffd_ctx *ctx, struct uffd_waiter *waiter);
/** uffd_notify() - there is something to read. */
void uffd_notify(struct uffd_ctx *ctx);
/** uffd_wake() - let those go on who wait in [start, end); what they look for is there already. */
void uffd_wake(struct uffd_ctx *ctx, u64 start, u64 end);

/**
 * uffd_take_message() - the next message, without waiting; faults come before events.
 * @fork: out: the event of a UFFD_EVENT_FORK, for uffd_finish_fork(); else NULL
 * Return: false if there is none.
 */
bool uffd_take_message(struct uffd_ctx *ctx, struct uffd_msg *msg, struct uffd_event **fork);
/** uffd_finish_fork() - the reader has the child's descriptor, or (@error) the event goes back. */
void uffd_finish_fork(struct uffd_ctx *ctx, struct uffd_event *event, int error);
/** uffd_has_message() - is there anything to read? Without the lock. */
bool uffd_has_message(const struct uffd_ctx *ctx);
/** uffd_count() - faults that nobody has read, and all that wait. */
void uffd_count(struct uffd_ctx *ctx, u64 *nr_pending, u64 *nr_total);

/**
 * uffd_post() - tell the pager of a change and wait until it has read it.
 * @event: msg and child set. Lowers nr_changing, which the caller has raised; drops the caller's
 *         reference on @ctx, and on the child if the message was not read.
 */
void uffd_post(struct uffd_ctx *ctx, struct uffd_event *event);

/** uffd_wake_posters() - let the authors of events look whether the context was released. */
void uffd_wake_posters(struct uffd_ctx *ctx);

/** uffd_begin_change() / uffd_end_change() - see nr_changing. */
void uffd_begin_change(struct uffd_ctx *ctx);
void uffd_end_change(struct uffd_ctx *ctx);

/* --- resolving (uffd_fill.c, uffd_wp.c, uffd_move.c) ------------------------------------------ */

enum uffd_fill_kind {
    UFFD_FILL_COPY,
    UFFD_FILL_ZERO,
    UFFD_FILL_CONTINUE,
    UFFD_FILL_POISON,
};

struct uffd_fill {
    enum uffd_fill_kind kind;
    u64 dst; /* page aligned */
    u64 src; /* of UFFD_FILL_COPY: any address of the current address space */
    u64 len;
    bool is_protected; /* enter the pages write-protected */
};

/** uffd_fill() - enter pages. Return: bytes (short after a failure), or -errno with none done. */
MUST_CHECK s64 uffd_fill(struct uffd_ctx *ctx, const struct uffd_fill *fill);

/** uffd_writeprotect() - UFFDIO_WRITEPROTECT without the wake. Return: 0 or -errno. */
MUST_CHECK int uffd_writeprotect(struct uffd_ctx *ctx, u64 start, u64 end,
                                 enum uffd_protection protection);

struct uffd_move {
    u64 dst;
    u64 src;
    u64 len;
    bool allows_holes;
};

/** uffd_move() - UFFDIO_MOVE without the wake. Return: as uffd_fill(). */
MUST_CHECK s64 uffd_move(struct uffd_ctx *ctx, const struct uffd_move *move);

/* --- locking a VMA for a fill ----------------------------------------------------------------- */

/** One hold of a VMA: by its own lock, or by mmap_lock. */
struct uffd_hold {
    struct vma *vma;
    bool is_mmap_locked;
};

/** uffd_hold_vma() - the VMA that contains @addr. Return: 0 or -ENOENT. */
MUST_CHECK int uffd_hold_vma(struct mm *mm, u64 addr, struct uffd_hold *hold);
void uffd_release_vma(struct mm *mm, struct uffd_hold *hold);

/** uffd_verify_waiters() - I10 for one context. Context: the system is quiet. */
void uffd_verify_waiters(struct uffd_ctx *ctx);

#endif
