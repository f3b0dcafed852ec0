/*
 * Wait queues, and the one way to sleep.
 *
 * A waiter that finds its condition true may leave before the waker is done with the queue, so a
 * condition alone is no reason to free the queue; a struct completion is.
 *
 * A waiter queues itself and announces that it will sleep before it looks at its condition; a
 * waker makes the condition true before it looks at the queue. So one of the two sees the other,
 * and no wake-up is lost. The wait_event macros are that loop; the lower level is for waits on
 * several queues at once (poll).
 */
#ifndef PROC_WAITQUEUE_H
#define PROC_WAITQUEUE_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/errno.h>
#include <debug/explore.h>
#include <proc/spinlock.h>
#include <proc/thread.h>

struct wait_entry;

struct wait_queue {
    struct spinlock lock;     /* taken with interrupts off */
    struct list_node waiters; /* [lock] struct wait_entry, first come first */
};

_Static_assert(sizeof(struct wait_queue) == 24, "every file and object has a wait queue");

#define WAIT_QUEUE_INIT(name)                                                                      \
    {                                                                                              \
        .lock = SPINLOCK_INIT(RANK_WAIT_QUEUE), .waiters = { &(name).waiters, &(name).waiters }    \
    }

/**
 * wait_func - what a wake-up does for one waiter.
 *
 * Called with the queue's lock held and interrupts off, from any context. The function may take
 * the entry off the queue with wait_entry_unlink_locked().
 * Return: true if somebody was woken, which ends wake_up_one().
 */
typedef bool (*wait_func)(struct wait_entry *entry);

struct wait_entry {
    struct list_node link; /* [queue lock] unlinked when it points to itself */
    struct thread *thread; /* [I] who sleeps */
    wait_func func;        /* [I] wait_wake_thread() unless the owner has its own */
};

/* How a sleep may end early. The values are bits of thread->state. */
enum sleep_kind {
    SLEEP_INTERRUPTIBLE = 1,   /* any signal */
    SLEEP_KILLABLE = 2,        /* a fatal signal */
    SLEEP_UNINTERRUPTIBLE = 4, /* only its wake-up */
    SLEEP_STOPPED = 8,         /* job-control stop: SIGCONT or a fatal signal */
};

#define DEADLINE_NONE U64_MAX

/** wait_queue_init() - make an empty queue. */
void wait_queue_init(struct wait_queue *queue);

/**
 * wake_up_one() - wake the waiter that has waited longest.
 * wake_up_all() - wake every waiter.
 *
 * The caller has made the condition true before. Context: any, also with spin locks that stand
 * before RANK_WAIT_QUEUE held.
 */
void wake_up_one(struct wait_queue *queue);
void wake_up_all(struct wait_queue *queue);

/**
 * wake_up_one_sync() - wake_up_one() by a thread that is about to sleep, or whose news can wait.
 *
 * The woken thread may then run on the caller's CPU once that sleeps, which is faster than waking
 * an idle one.
 */
void wake_up_one_sync(struct wait_queue *queue);

/**
 * wait_queue_is_waited() - whether anybody is on the queue, without the lock.
 *
 * Includes the barrier that orders the caller's change before the look, as the wake-ups do.
 */
static inline bool wait_queue_is_waited(const struct wait_queue *queue)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&queue->waiters.next, __ATOMIC_RELAXED) != &queue->waiters;
}

/** wait_wake_thread() - the usual wait_func: unlink the entry and wake its thread. */
bool wait_wake_thread(struct wait_entry *entry);
/** wait_wake_thread_keep() - wake the thread but leave the entry queued; for poll. */
bool wait_wake_thread_keep(struct wait_entry *entry);

/** wait_entry_init() - an unqueued entry of the calling thread; @func NULL: wait_wake_thread. */
void wait_entry_init(struct wait_entry *entry, wait_func func);
/** wait_queue_add() - queue an entry; the owner removes it before its memory goes. */
void wait_queue_add(struct wait_queue *queue, struct wait_entry *entry);
/** wait_queue_remove() - unqueue an entry if it is queued. After it returns nobody uses it. */
void wait_queue_remove(struct wait_queue *queue, struct wait_entry *entry);
/** wait_entry_unlink_locked() - for wait_funcs: take the entry off its queue. */
void wait_entry_unlink_locked(struct wait_entry *entry);

/**
 * thread_prepare_sleep() - announce that the calling thread is about to sleep.
 *
 * From here on a wake-up makes the next schedule() return at once. Look at the condition after
 * this call, then schedule() or thread_cancel_sleep().
 */
static inline void thread_prepare_sleep(enum sleep_kind kind)
{
    /* A full barrier: the announcement is visible before the condition is read. */
    (void)__atomic_exchange_n(&current_thread()->state, (u32)kind, __ATOMIC_SEQ_CST);
    explore_point(EXPLORE_SLEEP);
}

/** thread_cancel_sleep() - take the announcement back. */
static inline void thread_cancel_sleep(void)
{
    __atomic_store_n(&current_thread()->state, THREAD_RUNNABLE, __ATOMIC_RELAXED);
}

/** schedule() - give up the CPU; sleeps if a sleep is announced and no wake-up came since. */
void schedule(void);
/** schedule_timed() - schedule_until() with a deadline. */
int schedule_timed(u64 deadline_ns);

/**
 * schedule_until() - like schedule(), but wake up at a time of CLOCK_MONOTONIC.
 * Return: 0, or -ETIMEDOUT if the deadline has passed.
 */
static inline int schedule_until(u64 deadline_ns)
{
    if (likely(deadline_ns == DEADLINE_NONE)) {
        schedule();
        return 0;
    }
    return schedule_timed(deadline_ns);
}

/** thread_signal_interrupts() - like thread_sleep_interrupted(), for a thread with a signal. */
int thread_signal_interrupts(enum sleep_kind kind);

/** thread_sleep_interrupted() - 0, or why a sleep of this kind must end: -ERESTARTSYS, -EINTR. */
static inline int thread_sleep_interrupted(enum sleep_kind kind)
{
    if (likely((arch_thread_work(&current_thread()->arch) & THREAD_WORK_SIGNAL) == 0)) {
        return 0;
    }
    return thread_signal_interrupts(kind);
}

/** thread_wake() - end any sleep of a thread. True if it was asleep. Context: any. */
bool thread_wake(struct thread *thread);
/** thread_wake_sync() - thread_wake() by a thread that is about to sleep itself. */
bool thread_wake_sync(struct thread *thread);
/** thread_wake_kinds() - end a sleep whose kind is in the mask. True if one was ended. */
bool thread_wake_kinds(struct thread *thread, u32 kinds);

/* The steps of the wait_event loop, out of line; not for other use. */
int wait_step_prepare(struct wait_queue *queue, struct wait_entry *entry, enum sleep_kind kind);
void wait_step_finish(struct wait_queue *queue, struct wait_entry *entry);

#define WAIT_EVENT_LOOP(queue, condition, kind, deadline_ns)                                       \
    ({                                                                                             \
        struct wait_entry wait_entry_;                                                             \
        u64 wait_deadline_ = (deadline_ns);                                                        \
        int wait_result_ = 0;                                                                      \
        bool wait_expired_ = false;                                                                \
        wait_entry_init(&wait_entry_, NULL);                                                       \
        for (;;) {                                                                                 \
            int wait_stop_ = wait_step_prepare((queue), &wait_entry_, (kind));                     \
            if (condition) {                                                                       \
                break;                                                                             \
            }                                                                                      \
            if (wait_stop_ != 0 || wait_expired_) {                                                \
                wait_result_ = wait_stop_ != 0 ? wait_stop_ : -ETIMEDOUT;                          \
                break;                                                                             \
            }                                                                                      \
            wait_expired_ = schedule_until(wait_deadline_) != 0;                                   \
            /* The usual end: woken, off the queue already. */                                     \
            if (condition) {                                                                       \
                break;                                                                             \
            }                                                                                      \
        }                                                                                          \
        wait_step_finish((queue), &wait_entry_);                                                   \
        wait_result_;                                                                              \
    })

#define WAIT_EVENT(queue, condition, kind, deadline_ns)                                            \
    ({                                                                                             \
        int wait_outcome_ = 0;                                                                     \
        if (!(condition)) {                                                                        \
            wait_outcome_ = WAIT_EVENT_LOOP(queue, condition, kind, deadline_ns);                  \
        }                                                                                          \
        wait_outcome_;                                                                             \
    })

/** wait_event() - sleep until the condition holds; nothing else ends the wait. */
#define wait_event(queue, condition)                                                               \
    ((void)WAIT_EVENT(queue, condition, SLEEP_UNINTERRUPTIBLE, DEADLINE_NONE))

/** wait_event_killable() - 0 when the condition holds, -EINTR on a fatal signal. */
#define wait_event_killable(queue, condition)                                                      \
    WAIT_EVENT(queue, condition, SLEEP_KILLABLE, DEADLINE_NONE)

/** wait_event_interruptible() - 0 when the condition holds, -ERESTARTSYS on a signal. */
#define wait_event_interruptible(queue, condition)                                                 \
    WAIT_EVENT(queue, condition, SLEEP_INTERRUPTIBLE, DEADLINE_NONE)

/** wait_event_interruptible_until() - as above, or -ETIMEDOUT after a CLOCK_MONOTONIC deadline. */
#define wait_event_interruptible_until(queue, condition, deadline_ns)                              \
    WAIT_EVENT(queue, condition, SLEEP_INTERRUPTIBLE, deadline_ns)

/** wait_event_killable_until() - 0, -EINTR on a fatal signal, -ETIMEDOUT after the deadline. */
#define wait_event_killable_until(queue, condition, deadline_ns)                                   \
    WAIT_EVENT(queue, condition, SLEEP_KILLABLE, deadline_ns)

/** wait_event_until() - 0, or -ETIMEDOUT after the deadline. */
#define wait_event_until(queue, condition, deadline_ns)                                            \
    WAIT_EVENT(queue, condition, SLEEP_UNINTERRUPTIBLE, deadline_ns)

/*
 * A completion: one thread waits for something that another finishes. Unlike a bare wait queue it
 * may live on the waiter's stack: when the wait returns, the finisher does not touch it any more.
 */
struct completion {
    struct wait_queue queue;
    u32 nr_done; /* [queue.lock] */
};

/** completion_init() - nothing is finished yet. */
void completion_init(struct completion *completion);
/** completion_finish() - let one waiter go on, now or when it comes. Context: any. */
void completion_finish(struct completion *completion);
/** completion_wait() - wait for one completion_finish(). */
void completion_wait(struct completion *completion);
/** completion_wait_killable() - the same; -EINTR on a fatal signal, the finish still to come. */
MUST_CHECK int completion_wait_killable(struct completion *completion);

#endif
