/*
 * Sleeping reader-writer locks.
 *
 * The count word is the whole state while nobody waits. Once RWSEM_WAITERS is set, the queue is
 * served under wait_lock by whoever leaves last: readers in front become holders before they run,
 * a writer in front is only woken and takes the lock itself. Until it does, a writer that runs may
 * take the lock before it, so that the lock does not stand idle through every wake-up. It can
 * happen to a waiter once: then it sets RWSEM_HANDOFF, and the lock is kept for the queue.
 *
 * Q1. If the lock is free and somebody waits, the first one has been woken or is about to look.
 */
#include <proc/rwsem.h>

#include <debug/explore.h>
#include <debug/lockdep.h>
#include <debug/lockstat.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <proc/lock_spin.h>
#include <proc/thread.h>
#include <proc/waitqueue.h>

enum rwsem_access { RWSEM_FOR_READING, RWSEM_FOR_WRITING };

struct rwsem_waiter {
    struct list_node link;    /* [wait_lock] */
    struct thread *thread;    /* [I] */
    enum rwsem_access access; /* [I] */
    bool is_granted;          /* [wait_lock] holds the lock, off the list */
    bool is_woken;            /* [wait_lock] is first, and was looked at as such */
    bool was_passed;          /* [wait_lock] somebody was faster then: RWSEM_HANDOFF is set */
};

static int lock_slow(struct rwsem *sem, enum rwsem_access access, enum sleep_kind kind);
static bool spin(struct rwsem *sem, enum rwsem_access access);
static bool take_past_queue(struct rwsem *sem);
static void enter_queue(struct rwsem *sem, struct rwsem_waiter *waiter);
static bool take_as_first(struct rwsem *sem, struct rwsem_waiter *waiter);
static void leave_queue(struct rwsem *sem, struct rwsem_waiter *waiter);
static void serve_front(struct rwsem *sem);

void rwsem_init(struct rwsem *sem, enum lock_rank rank)
{
    sem->count = 0;
    spin_init(&sem->wait_lock, RANK_SLEEP_LOCK);
    list_init(&sem->waiters);
    sem->writer = NULL;
    sem->rank = (u16)rank;
}

static bool is_held(u64 count)
{
    return (count & ~(RWSEM_WAITERS | RWSEM_HANDOFF)) != 0;
}

static bool take_shared(struct rwsem *sem)
{
    u64 count = __atomic_load_n(&sem->count, __ATOMIC_RELAXED);

    while ((count & (RWSEM_WRITER | RWSEM_WAITERS)) == 0) {
        if (__atomic_compare_exchange_n(&sem->count, &count, count + RWSEM_READER, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return false;
}

static bool take_exclusive(struct rwsem *sem)
{
    u64 expected = 0;

    return __atomic_compare_exchange_n(&sem->count, &expected, RWSEM_WRITER, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static int lock_common(struct rwsem *sem, enum rwsem_access access, enum sleep_kind kind,
                       enum lock_mode mode)
{
    bool is_taken;
    int error = 0;

    explore_lock(sem->rank);
    if (DEBUG_ENABLED) {
        lockdep_assert_may_sleep();
        (void)lockdep_acquire(sem, sem->rank, access == RWSEM_FOR_READING ? LOCK_READ : LOCK_WRITE,
                              mode);
    }
    is_taken = access == RWSEM_FOR_READING ? take_shared(sem) : take_exclusive(sem);
    if (unlikely(!is_taken)) {
        error = lock_slow(sem, access, kind);
    }
    if (error == 0 && access == RWSEM_FOR_WRITING) {
        sem->writer = current_thread();
    }
    if (DEBUG_ENABLED && error != 0) {
        lockdep_release(sem);
    }
    return error;
}

void rwsem_read_lock(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    (void)lock_common(sem, RWSEM_FOR_READING, SLEEP_UNINTERRUPTIBLE, LOCK_MODE_WAIT);
}

int rwsem_read_lock_killable(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    return lock_common(sem, RWSEM_FOR_READING, SLEEP_KILLABLE, LOCK_MODE_WAIT);
}

void rwsem_write_lock(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    (void)lock_common(sem, RWSEM_FOR_WRITING, SLEEP_UNINTERRUPTIBLE, LOCK_MODE_WAIT);
}

void rwsem_write_lock_nested(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    (void)lock_common(sem, RWSEM_FOR_WRITING, SLEEP_UNINTERRUPTIBLE, LOCK_MODE_NESTED);
}

int rwsem_write_lock_killable(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    return lock_common(sem, RWSEM_FOR_WRITING, SLEEP_KILLABLE, LOCK_MODE_WAIT);
}

bool rwsem_read_trylock(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    explore_lock(sem->rank);
    if (!take_shared(sem)) {
        return false;
    }
    if (DEBUG_ENABLED) {
        (void)lockdep_acquire(sem, sem->rank, LOCK_READ, LOCK_MODE_TRY);
    }
    return true;
}

bool rwsem_write_trylock(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    explore_lock(sem->rank);
    if (!take_exclusive(sem)) {
        return false;
    }
    sem->writer = current_thread();
    if (DEBUG_ENABLED) {
        (void)lockdep_acquire(sem, sem->rank, LOCK_WRITE, LOCK_MODE_TRY);
    }
    return true;
}

/* After a holder has left: pass the lock on if somebody waits and nobody is left inside. */
static void pass_on(struct rwsem *sem, u64 count)
{
    if (likely((count & RWSEM_WAITERS) == 0) || is_held(count)) {
        return;
    }
    spin_lock(&sem->wait_lock);
    serve_front(sem);
    spin_unlock(&sem->wait_lock);
}

void rwsem_read_unlock(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    u16 rank = sem->rank;

    if (DEBUG_ENABLED) {
        ASSERT(__atomic_load_n(&sem->count, __ATOMIC_RELAXED) >= RWSEM_READER,
               "a rwsem is read-unlocked by a reader");
        lockdep_release(sem);
    }
    pass_on(sem, __atomic_sub_fetch(&sem->count, RWSEM_READER, __ATOMIC_RELEASE));
    explore_unlock(rank);
}

void rwsem_write_unlock(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    u16 rank = sem->rank;

    if (DEBUG_ENABLED) {
        ASSERT(rwsem_is_write_held(sem), "a rwsem is write-unlocked by its writer");
        lockdep_release(sem);
    }
    sem->writer = NULL;
    pass_on(sem, __atomic_sub_fetch(&sem->count, RWSEM_WRITER, __ATOMIC_RELEASE));
    explore_unlock(rank);
}

void rwsem_downgrade(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    u64 count;

    ASSERT(rwsem_is_write_held(sem), "only the writer downgrades a rwsem");
    sem->writer = NULL;
    count = __atomic_add_fetch(&sem->count, RWSEM_READER - RWSEM_WRITER, __ATOMIC_RELEASE);
    if ((count & RWSEM_WAITERS) != 0) {
        spin_lock(&sem->wait_lock);
        serve_front(sem);
        spin_unlock(&sem->wait_lock);
    }
}

bool rwsem_is_held(const struct rwsem *sem)
{
    return is_held(__atomic_load_n(&sem->count, __ATOMIC_RELAXED));
}

bool rwsem_is_write_held(const struct rwsem *sem)
{
    return __atomic_load_n(&sem->writer, __ATOMIC_RELAXED) == current_thread();
}

/* --- waiting ---------------------------------------------------------------------------------- */

static int lock_slow(struct rwsem *sem, enum rwsem_access access, enum sleep_kind kind)
{
    struct rwsem_waiter waiter = {.thread = current_thread(), .access = access};
    int error = 0;

    lockstat_contended(sem->rank);
    if (spin(sem, access)) {
        return 0;
    }
    spin_lock(&sem->wait_lock);
    enter_queue(sem, &waiter);
    for (;;) {
        thread_prepare_sleep(kind);
        if (waiter.is_granted || take_as_first(sem, &waiter)) {
            break;
        }
        error = thread_sleep_interrupted(kind);
        if (error != 0) {
            leave_queue(sem, &waiter);
            break;
        }
        spin_unlock(&sem->wait_lock);
        schedule();
        spin_lock(&sem->wait_lock);
    }
    thread_cancel_sleep();
    spin_unlock(&sem->wait_lock);
    return error;
}

/* Takes the lock past the queue if it becomes free while its writer, or for a while readers, run.
 */
static bool spin(struct rwsem *sem, enum rwsem_access access)
{
    struct lock_spin patience;
    u64 count;

    lock_spin_begin(&patience);
    do {
        count = __atomic_load_n(&sem->count, __ATOMIC_RELAXED);
        if (access == RWSEM_FOR_READING && (count & RWSEM_WAITERS) != 0) {
            return false;
        }
        if (access == RWSEM_FOR_READING ? take_shared(sem) : take_past_queue(sem)) {
            return true;
        }
    } while ((count & RWSEM_HANDOFF) == 0 &&
             lock_spin_goes_on(&patience, __atomic_load_n(&sem->writer, __ATOMIC_RELAXED)));
    return false;
}

/* For a writer: the lock is free, and nobody who waits has been passed already. */
static bool take_past_queue(struct rwsem *sem)
{
    u64 count = __atomic_load_n(&sem->count, __ATOMIC_RELAXED);

    return (count & ~RWSEM_WAITERS) == 0 &&
           __atomic_compare_exchange_n(&sem->count, &count, count | RWSEM_WRITER, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void enter_queue(struct rwsem *sem, struct rwsem_waiter *waiter)
{
    list_add_tail(&sem->waiters, &waiter->link);
    if (sem->waiters.next == &waiter->link) {
        /* The holder may have left before the mark was set, and then serves nobody. */
        __atomic_fetch_or(&sem->count, RWSEM_WAITERS, __ATOMIC_ACQUIRE);
        serve_front(sem);
    }
}

/* The marks go with the last waiter; RWSEM_HANDOFF with the one that it was set for. */
static void forget_waiter(struct rwsem *sem, struct rwsem_waiter *waiter)
{
    u64 marks = waiter->was_passed ? RWSEM_HANDOFF : 0;

    list_del(&waiter->link);
    if (list_is_empty(&sem->waiters)) {
        marks = RWSEM_HANDOFF | RWSEM_WAITERS;
    }
    if (marks != 0) {
        __atomic_fetch_and(&sem->count, ~marks, __ATOMIC_RELEASE);
    }
}

static void leave_queue(struct rwsem *sem, struct rwsem_waiter *waiter)
{
    forget_waiter(sem, waiter);
    /* Those behind may be able to go now (Q1). */
    if (!list_is_empty(&sem->waiters)) {
        serve_front(sem);
    }
}

/* Whoever is passed by keeps the lock for itself from now on. */
static void note_passed(struct rwsem *sem, struct rwsem_waiter *waiter)
{
    waiter->was_passed = true;
    __atomic_fetch_or(&sem->count, RWSEM_HANDOFF, __ATOMIC_RELAXED);
}

/* A writer whose turn it is takes the lock if it is free. The caller holds wait_lock. */
static bool take_as_first(struct rwsem *sem, struct rwsem_waiter *waiter)
{
    u64 count = __atomic_load_n(&sem->count, __ATOMIC_RELAXED);

    if (waiter->access != RWSEM_FOR_WRITING || sem->waiters.next != &waiter->link) {
        return false;
    }
    while (!is_held(count)) {
        if (__atomic_compare_exchange_n(&sem->count, &count, count | RWSEM_WRITER, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            forget_waiter(sem, waiter);
            return true;
        }
    }
    if (waiter->is_woken) {
        note_passed(sem, waiter);
    }
    return false;
}

/* Makes the first waiter, a reader, a holder. False if a writer has been faster. */
static bool grant_reader(struct rwsem *sem, struct rwsem_waiter *waiter)
{
    u64 count = __atomic_load_n(&sem->count, __ATOMIC_RELAXED);

    do {
        if ((count & RWSEM_WRITER) != 0) {
            return false;
        }
    } while (!__atomic_compare_exchange_n(&sem->count, &count, count + RWSEM_READER, false,
                                          __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    forget_waiter(sem, waiter);
    waiter->is_granted = true;
    return true;
}

/*
 * Serves whoever stands at the front, as far as the holders allow. The caller holds wait_lock,
 * without which a waiter cannot leave: the threads that are woken still exist.
 */
static void serve_front(struct rwsem *sem)
{
    while (!list_is_empty(&sem->waiters)) {
        struct rwsem_waiter *first = list_first_entry(&sem->waiters, struct rwsem_waiter, link);
        struct thread *thread = first->thread;

        if (first->access == RWSEM_FOR_WRITING) {
            if (!is_held(__atomic_load_n(&sem->count, __ATOMIC_RELAXED))) {
                first->is_woken = true;
                (void)thread_wake(thread);
            }
            return;
        }
        if (!grant_reader(sem, first)) {
            if (first->is_woken) {
                note_passed(sem, first);
            }
            first->is_woken = true;
            return;
        }
        (void)thread_wake(thread);
    }
}
