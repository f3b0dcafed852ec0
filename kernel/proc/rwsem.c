/*
 * Sleeping reader-writer locks.
 *
 * The count word is the whole state while nobody waits. Once RWSEM_WAITERS is set, nobody enters
 * by the fast path; whoever leaves last, or stops waiting, hands the lock to the front of the
 * queue under wait_lock: to one writer, or to all readers in a row. Holders count themselves in
 * before the waiter runs, so it finds itself a holder when it wakes.
 */
#include <proc/rwsem.h>

#include <debug/lockdep.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <proc/thread.h>
#include <proc/waitqueue.h>

enum rwsem_access { RWSEM_FOR_READING, RWSEM_FOR_WRITING };

struct rwsem_waiter {
    struct list_node link;    /* [wait_lock] */
    struct thread *thread;    /* [I] */
    enum rwsem_access access; /* [I] */
    bool is_granted;          /* [wait_lock] holds the lock, off the list */
};

static int lock_slow(struct rwsem *sem, enum rwsem_access access, enum sleep_kind kind);
static void grant_front(struct rwsem *sem);

void rwsem_init(struct rwsem *sem, enum lock_rank rank)
{
    sem->count = 0;
    spin_init(&sem->wait_lock, RANK_SLEEP_LOCK);
    list_init(&sem->waiters);
    sem->writer = NULL;
    sem->rank = (u16)rank;
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
    if (likely((count & RWSEM_WAITERS) == 0) || count != RWSEM_WAITERS) {
        return;
    }
    spin_lock(&sem->wait_lock);
    grant_front(sem);
    spin_unlock(&sem->wait_lock);
}

void rwsem_read_unlock(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    if (DEBUG_ENABLED) {
        ASSERT(__atomic_load_n(&sem->count, __ATOMIC_RELAXED) >= RWSEM_READER,
               "a rwsem is read-unlocked by a reader");
        lockdep_release(sem);
    }
    pass_on(sem, __atomic_sub_fetch(&sem->count, RWSEM_READER, __ATOMIC_RELEASE));
}

void rwsem_write_unlock(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    if (DEBUG_ENABLED) {
        ASSERT(rwsem_is_write_held(sem), "a rwsem is write-unlocked by its writer");
        lockdep_release(sem);
    }
    sem->writer = NULL;
    pass_on(sem, __atomic_sub_fetch(&sem->count, RWSEM_WRITER, __ATOMIC_RELEASE));
}

void rwsem_downgrade(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    u64 count;

    ASSERT(rwsem_is_write_held(sem), "only the writer downgrades a rwsem");
    sem->writer = NULL;
    count = __atomic_add_fetch(&sem->count, RWSEM_READER - RWSEM_WRITER, __ATOMIC_RELEASE);
    if ((count & RWSEM_WAITERS) != 0) {
        spin_lock(&sem->wait_lock);
        grant_front(sem);
        spin_unlock(&sem->wait_lock);
    }
}

bool rwsem_is_held(const struct rwsem *sem)
{
    return (__atomic_load_n(&sem->count, __ATOMIC_RELAXED) & ~RWSEM_WAITERS) != 0;
}

bool rwsem_is_write_held(const struct rwsem *sem)
{
    return __atomic_load_n(&sem->writer, __ATOMIC_RELAXED) == current_thread();
}

/*
 * Lets in whoever stands at the front, as far as the holders allow, and clears RWSEM_WAITERS when
 * the queue is empty. The caller holds wait_lock; with RWSEM_WAITERS set, holders only leave.
 */
static void grant_front(struct rwsem *sem)
{
    while (!list_is_empty(&sem->waiters)) {
        struct rwsem_waiter *first = list_first_entry(&sem->waiters, struct rwsem_waiter, link);
        u64 count = __atomic_load_n(&sem->count, __ATOMIC_ACQUIRE);

        if ((count & RWSEM_WRITER) != 0) {
            return;
        }
        if (first->access == RWSEM_FOR_WRITING && count >= RWSEM_READER) {
            return;
        }
        __atomic_fetch_add(&sem->count,
                           first->access == RWSEM_FOR_WRITING ? RWSEM_WRITER : RWSEM_READER,
                           __ATOMIC_ACQUIRE);
        list_del(&first->link);
        first->is_granted = true;
        /* Under wait_lock, without which the waiter cannot leave: its thread still exists. */
        (void)thread_wake(first->thread);
    }
    __atomic_fetch_and(&sem->count, ~RWSEM_WAITERS, __ATOMIC_RELEASE);
}

static int lock_slow(struct rwsem *sem, enum rwsem_access access, enum sleep_kind kind)
{
    struct rwsem_waiter waiter = {.thread = current_thread(), .access = access};
    int error = 0;

    spin_lock(&sem->wait_lock);
    __atomic_fetch_or(&sem->count, RWSEM_WAITERS, __ATOMIC_ACQUIRE);
    list_add_tail(&sem->waiters, &waiter.link);
    /* The holder may have left before the mark was set, and then hands nothing on. */
    grant_front(sem);
    for (;;) {
        thread_prepare_sleep(kind);
        if (waiter.is_granted) {
            break;
        }
        error = thread_sleep_interrupted(kind);
        if (error != 0) {
            list_del(&waiter.link);
            /* Those behind may be able to go now. */
            grant_front(sem);
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
