/*
 * Futexes: wait on the value of a word of user memory.
 */
#ifndef PROC_FUTEX_H
#define PROC_FUTEX_H

#include <lib/types.h>
#include <lib/compiler.h>

struct thread;

/** futex_init() - once, at boot. */
void futex_init(void);

/**
 * futex_exit_robust() - mark the robust futexes of an ending thread "owner died", wake waiters.
 *
 * Context: the ending thread itself, its mm still in use.
 */
void futex_exit_robust(struct thread *thread);

/**
 * futex_wake_address() - FUTEX_WAKE (shared) at an address of the current process.
 *
 * For clear_child_tid. Return: number woken, or -E.
 */
int futex_wake_address(u64 uaddr, u32 nr_wake);

/** struct futex_wait_args - what FUTEX_WAIT and FUTEX_WAIT_BITSET wait for. */
struct futex_wait_args {
    u64 uaddr;       /* 4-byte aligned, in the user half */
    u32 value;       /* sleep only while the word holds it */
    u32 bitset;      /* woken by wakers whose bitset shares a bit; not 0 */
    u64 deadline_ns; /* CLOCK_MONOTONIC, U64_MAX for none */
    bool is_shared;  /* without FUTEX_PRIVATE_FLAG */
};

/**
 * futex_wait() - sleep until woken.
 * Return: 0, -EAGAIN (another value), -ETIMEDOUT, -ERESTARTSYS (a signal), -EFAULT.
 */
MUST_CHECK int futex_wait(const struct futex_wait_args *args);

/** futex_wake() - wake up to @nr_wake waiters that share a bit with @bitset. Number woken or -E. */
MUST_CHECK int futex_wake(u64 uaddr, bool is_shared, s32 nr_wake, u32 bitset);

/** struct futex_pair_args - operations on two words. */
struct futex_pair_args {
    u64 uaddr;
    u64 uaddr2;
    s32 nr_wake;
    s32 nr_second; /* to be requeued, or to be woken at uaddr2 */
    bool is_shared;
    bool must_compare;
    u32 value;      /* FUTEX_CMP_REQUEUE: what the word at uaddr must hold */
    u32 encoded_op; /* FUTEX_WAKE_OP */
};

/** futex_requeue() - wake some waiters of uaddr, move others to uaddr2. Number of both, or -E. */
MUST_CHECK int futex_requeue(const struct futex_pair_args *args);

/** futex_wake_op() - change the word at uaddr2, wake at uaddr, and at uaddr2 if the old value fits.
 */
MUST_CHECK int futex_wake_op(const struct futex_pair_args *args);

#endif
