/*
 * Sleeping mutexes.
 *
 * The owner word is the whole state of an uncontended mutex: 0 or the owner's address. Once
 * MUTEX_WAITERS is set in it, the fast paths, which compare with a word that has the bit clear,
 * fail, and the mutex is given back under wait_lock. Who comes while the owner runs on another CPU
 * spins, and may take the mutex before a waiter that has to be woken first; a waiter that finds
 * itself passed by so gets the mutex handed over next. Read next: kernel/proc/rwsem.c.
 */
#include <proc/mutex.h>

#include <debug/explore.h>
#include <debug/lockdep.h>
#include <debug/lockstat.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <proc/lock_spin.h>
#include <proc/thread.h>
#include <proc/waitqueue.h>

struct mutex_waiter {
    struct list_node link; /* [wait_lock] */
    struct thread *thread; /* [I] */
    bool wants_handoff;    /* [wait_lock] was woken in vain once */
};

static int lock_slow(struct mutex *mutex, enum sleep_kind kind);
static void unlock_slow(struct mutex *mutex);

void mutex_init(struct mutex *mutex, enum lock_rank rank)
{
    mutex->owner = 0;
    spin_init(&mutex->wait_lock, RANK_SLEEP_LOCK);
    list_init(&mutex->waiters);
    mutex->rank = (u16)rank;
}

static bool take_free(struct mutex *mutex)
{
    u64 expected = 0;

    return __atomic_compare_exchange_n(&mutex->owner, &expected, (u64)current_thread(), false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static int lock_common(struct mutex *mutex, enum sleep_kind kind, enum lock_mode mode)
{
    int error = 0;

    explore_lock(mutex->rank);
    if (DEBUG_ENABLED) {
        lockdep_assert_may_sleep();
        (void)lockdep_acquire(mutex, mutex->rank, LOCK_MUTEX, mode);
    }
    if (unlikely(!take_free(mutex))) {
        error = lock_slow(mutex, kind);
    }
    if (DEBUG_ENABLED && error != 0) {
        lockdep_release(mutex);
    }
    return error;
}

void mutex_lock(struct mutex *mutex) NO_THREAD_SAFETY_ANALYSIS
{
    (void)lock_common(mutex, SLEEP_UNINTERRUPTIBLE, LOCK_MODE_WAIT);
}

void mutex_lock_nested(struct mutex *mutex) NO_THREAD_SAFETY_ANALYSIS
{
    (void)lock_common(mutex, SLEEP_UNINTERRUPTIBLE, LOCK_MODE_NESTED);
}

int mutex_lock_killable(struct mutex *mutex) NO_THREAD_SAFETY_ANALYSIS
{
    return lock_common(mutex, SLEEP_KILLABLE, LOCK_MODE_WAIT);
}

bool mutex_trylock(struct mutex *mutex) NO_THREAD_SAFETY_ANALYSIS
{
    explore_lock(mutex->rank);
    if (!take_free(mutex)) {
        return false;
    }
    if (DEBUG_ENABLED) {
        (void)lockdep_acquire(mutex, mutex->rank, LOCK_MUTEX, LOCK_MODE_TRY);
    }
    return true;
}

void mutex_unlock(struct mutex *mutex) NO_THREAD_SAFETY_ANALYSIS
{
    u64 expected = (u64)current_thread();
    u16 rank = mutex->rank;

    if (DEBUG_ENABLED) {
        ASSERT(mutex_is_held(mutex), "a mutex is unlocked by its holder");
        lockdep_release(mutex);
    }
    if (unlikely(!__atomic_compare_exchange_n(&mutex->owner, &expected, 0, false, __ATOMIC_RELEASE,
                                              __ATOMIC_RELAXED))) {
        unlock_slow(mutex);
    }
    explore_unlock(rank);
}

bool mutex_is_held(const struct mutex *mutex)
{
    u64 owner = __atomic_load_n(&mutex->owner, __ATOMIC_RELAXED);

    return (owner & ~MUTEX_WAITERS) == (u64)current_thread();
}

/* Takes the mutex if it has no owner; the caller holds wait_lock and has set MUTEX_WAITERS. */
static bool take_locked(struct mutex *mutex)
{
    u64 me = (u64)current_thread();
    u64 owner = __atomic_load_n(&mutex->owner, __ATOMIC_RELAXED);

    if (owner == MUTEX_WAITERS &&
        __atomic_compare_exchange_n(&mutex->owner, &owner, me | MUTEX_WAITERS, false,
                                    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        return true;
    }
    /* The last holder may have passed the mutex on to this thread. */
    return (owner & ~MUTEX_WAITERS) == me;
}

/* Takes a waiter off the list; the last one takes the mark of waiters along. */
static void forget_waiter(struct mutex *mutex, struct mutex_waiter *waiter)
{
    list_del(&waiter->link);
    if (list_is_empty(&mutex->waiters)) {
        __atomic_fetch_and(&mutex->owner, ~MUTEX_WAITERS, __ATOMIC_RELAXED);
    }
}

/* Takes the mutex if it becomes free while its owner runs. */
static bool spin(struct mutex *mutex)
{
    struct lock_spin patience;
    u64 owner;

    lock_spin_begin(&patience);
    do {
        owner = __atomic_load_n(&mutex->owner, __ATOMIC_RELAXED);
        if ((owner & ~MUTEX_WAITERS) == 0 &&
            __atomic_compare_exchange_n(&mutex->owner, &owner, owner | (u64)current_thread(), false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            return true;
        }
    } while (lock_spin_goes_on(&patience, (struct thread *)(owner & ~MUTEX_WAITERS)));
    return false;
}

static int lock_slow(struct mutex *mutex, enum sleep_kind kind)
{
    struct mutex_waiter waiter = {.thread = current_thread(), .wants_handoff = false};
    int error = 0;

    lockstat_contended(mutex->rank);
    if (spin(mutex)) {
        return 0;
    }
    spin_lock(&mutex->wait_lock);
    __atomic_fetch_or(&mutex->owner, MUTEX_WAITERS, __ATOMIC_ACQUIRE);
    list_add_tail(&mutex->waiters, &waiter.link);
    for (;;) {
        thread_prepare_sleep(kind);
        if (take_locked(mutex)) {
            break;
        }
        error = thread_sleep_interrupted(kind);
        if (error != 0) {
            break;
        }
        spin_unlock(&mutex->wait_lock);
        schedule();
        spin_lock(&mutex->wait_lock);
        waiter.wants_handoff = true;
    }
    thread_cancel_sleep();
    forget_waiter(mutex, &waiter);
    spin_unlock(&mutex->wait_lock);
    return error;
}

static void unlock_slow(struct mutex *mutex)
{
    struct mutex_waiter *first;

    spin_lock(&mutex->wait_lock);
    ASSERT(mutex_is_held(mutex), "a mutex is unlocked by its holder");
    first = list_first_entry_or_null(&mutex->waiters, struct mutex_waiter, link);
    if (first == NULL) {
        __atomic_store_n(&mutex->owner, 0, __ATOMIC_RELEASE);
    } else {
        u64 next_owner = first->wants_handoff ? (u64)first->thread : 0;

        __atomic_store_n(&mutex->owner, next_owner | MUTEX_WAITERS, __ATOMIC_RELEASE);
        /* Under wait_lock, without which the waiter cannot leave: its thread still exists. */
        (void)thread_wake(first->thread);
    }
    spin_unlock(&mutex->wait_lock);
}
