/*
 * Sleeping mutual exclusion.
 *
 * A free mutex is taken and given back with one atomic operation. A waiter spins while the owner
 * runs on another CPU, else it sleeps. One that was woken and found the mutex taken again asks for
 * a hand-off, so nobody waits for ever.
 */
#ifndef PROC_MUTEX_H
#define PROC_MUTEX_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <proc/spinlock.h>

struct CAPABILITY("mutex") mutex {
    u64 owner;                 /* [x] struct thread * of the holder, | MUTEX_WAITERS; 0 when free */
    struct spinlock wait_lock; /* protects waiters and the MUTEX_WAITERS bit */
    struct list_node waiters;  /* [wait_lock] struct mutex_waiter, first come first */
    u16 rank;                  /* [I] enum lock_rank */
};

#define MUTEX_WAITERS 1ul

#define MUTEX_INIT(name, lock_rank)                                                                \
    {                                                                                              \
        .wait_lock = SPINLOCK_INIT(RANK_SLEEP_LOCK),                                               \
        .waiters = {&(name).waiters, &(name).waiters}, .rank = (lock_rank)                         \
    }

/** mutex_init() - make a mutex, free, with its place in the lock order. */
void mutex_init(struct mutex *mutex, enum lock_rank rank);

/**
 * mutex_lock() - sleep until the caller holds the mutex.
 *
 * Context: thread, no spin lock held.
 */
void mutex_lock(struct mutex *mutex) ACQUIRES(mutex);

/** mutex_lock_nested() - like mutex_lock(), with another mutex of the same rank held. */
void mutex_lock_nested(struct mutex *mutex) ACQUIRES(mutex);

/**
 * mutex_lock_killable() - like mutex_lock(), but give up when a fatal signal arrives.
 * Return: 0 with the mutex held, or -EINTR without it.
 */
MUST_CHECK int mutex_lock_killable(struct mutex *mutex) TRY_ACQUIRES(0, mutex);

/** mutex_trylock() - take the mutex if that needs no wait; true when it is held. */
MUST_CHECK bool mutex_trylock(struct mutex *mutex) TRY_ACQUIRES(true, mutex);

/** mutex_unlock() - give the mutex back; only its holder may. */
void mutex_unlock(struct mutex *mutex) RELEASES(mutex);

/** mutex_is_held() - whether the calling thread holds the mutex. */
bool mutex_is_held(const struct mutex *mutex);

#endif
