/*
 * Run-time checks of the lock order. All functions do nothing before lockdep_start() and after
 * lockdep_stop(), and are not called at all in release builds.
 */
#ifndef DEBUG_LOCKDEP_H
#define DEBUG_LOCKDEP_H

#include <lib/types.h>
#include <lib/compiler.h>

struct thread;

enum lock_kind { LOCK_SPIN, LOCK_MUTEX, LOCK_READ, LOCK_WRITE };

/* How a lock is about to be taken. */
enum lock_mode {
    LOCK_MODE_WAIT,   /* rank above every held one */
    LOCK_MODE_NESTED, /* rank equal to a held one is the caller's rule */
    LOCK_MODE_TRY,    /* does not wait, so it cannot deadlock: no order */
};

/** lockdep_start() - begin to check; once, when current_thread() works. */
void lockdep_start(void);
/** lockdep_stop() - no checks from now on; for panic, where order does not matter any more. */
void lockdep_stop(void);

/**
 * lockdep_acquire() - check an acquisition against what the thread holds, and record it.
 *
 * Panics with the backtraces of both acquisitions if the order is broken.
 * Return: whether the acquisition was recorded.
 */
bool lockdep_acquire(const void *lock, u16 rank, enum lock_kind kind, enum lock_mode mode);

/** lockdep_release() - forget an acquisition; one that was not recorded is ignored. */
void lockdep_release(const void *lock);

/** lockdep_assert_may_sleep() - panic if the caller holds a spin lock or is in an interrupt. */
void lockdep_assert_may_sleep(void);

/** lockdep_assert_none_held() - panic if the caller holds any lock; on return to user mode. */
void lockdep_assert_none_held(void);

/** lockdep_holds() - whether the current thread holds the lock. */
bool lockdep_holds(const void *lock);

/** lockdep_print_held() - list what a thread holds, for reports. */
void lockdep_print_held(const struct thread *thread);

#endif
