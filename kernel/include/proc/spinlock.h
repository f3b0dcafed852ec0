/*
 * Ticket spin locks.
 *
 * Kernel code is not preempted, so a holder runs until it unlocks; it must not sleep. A lock that
 * an interrupt handler takes is taken everywhere with the _irqsave functions (or with interrupts
 * known to be off), else the handler would wait for the code that it interrupted.
 *
 * The fast paths are inline; a debug build replaces them by the checked ones of spinlock.c.
 */
#ifndef PROC_SPINLOCK_H
#define PROC_SPINLOCK_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <arch/cpu.h>
#include <proc/lock_rank.h>

#define SPIN_NO_OWNER 0xffff

/*
 * Serving and next are one 32-bit word, so that taking a ticket and reading the one now served are
 * one atomic operation. The lock is free when both are equal.
 */
struct CAPABILITY("spinlock") spinlock {
    union {
        u32 ticket; /* [x] */
        struct {
            u16 serving; /* low half: written by the holder alone */
            u16 next;
        };
    };
    u16 rank;      /* [I] enum lock_rank */
    u16 owner_cpu; /* [x] debug builds: the holder, or SPIN_NO_OWNER */
};

_Static_assert(sizeof(struct spinlock) == 8, "struct page embeds a spin lock");

#define SPIN_TICKET_NEXT 0x10000u

#define SPINLOCK_INIT(lock_rank)                                                                   \
    {                                                                                              \
        .rank = (lock_rank), .owner_cpu = SPIN_NO_OWNER                                            \
    }

/**
 * spin_init() - make a lock, free, with its place in the lock order.
 */
static inline void spin_init(struct spinlock *lock, enum lock_rank rank)
{
    lock->ticket = 0;
    lock->rank = (u16)rank;
    lock->owner_cpu = SPIN_NO_OWNER;
}

/* Waits for a lock that is not free; out of line to keep the callers small. */
void spin_lock_contended(struct spinlock *lock);
/* The debug builds' versions, with rank, owner and context checks. */
void spin_lock_checked(struct spinlock *lock, bool nested);
bool spin_trylock_checked(struct spinlock *lock);
void spin_unlock_checked(struct spinlock *lock);

static ALWAYS_INLINE bool spin_trylock_raw(struct spinlock *lock) NO_THREAD_SAFETY_ANALYSIS
{
    u32 old = __atomic_load_n(&lock->ticket, __ATOMIC_RELAXED);

    return (u16)(old >> 16) == (u16)old &&
           __atomic_compare_exchange_n(&lock->ticket, &old, old + SPIN_TICKET_NEXT, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static ALWAYS_INLINE void spin_lock_raw(struct spinlock *lock) NO_THREAD_SAFETY_ANALYSIS
{
    if (unlikely(!spin_trylock_raw(lock))) {
        spin_lock_contended(lock);
    }
}

static ALWAYS_INLINE void spin_unlock_raw(struct spinlock *lock) NO_THREAD_SAFETY_ANALYSIS
{
    __atomic_store_n(&lock->serving, (u16)(lock->serving + 1), __ATOMIC_RELEASE);
}

/**
 * spin_lock() - wait, without sleeping, until the caller holds the lock.
 *
 * Context: thread, or interrupt handler for locks that are always taken with interrupts off.
 */
static ALWAYS_INLINE void spin_lock(struct spinlock *lock) ACQUIRES(lock) NO_THREAD_SAFETY_ANALYSIS
{
    if (DEBUG_ENABLED) {
        spin_lock_checked(lock, false);
    } else {
        spin_lock_raw(lock);
    }
}

/**
 * spin_lock_nested() - take a second lock of the rank of one that is held.
 *
 * The caller's rule must order all locks of the rank that are ever taken together.
 */
static ALWAYS_INLINE void spin_lock_nested(struct spinlock *lock)
    ACQUIRES(lock) NO_THREAD_SAFETY_ANALYSIS
{
    if (DEBUG_ENABLED) {
        spin_lock_checked(lock, true);
    } else {
        spin_lock_raw(lock);
    }
}

/**
 * spin_trylock() - take the lock if it is free.
 * Return: true when the caller now holds it.
 */
static ALWAYS_INLINE MUST_CHECK bool spin_trylock(struct spinlock *lock)
    TRY_ACQUIRES(true, lock) NO_THREAD_SAFETY_ANALYSIS
{
    return DEBUG_ENABLED ? spin_trylock_checked(lock) : spin_trylock_raw(lock);
}

/**
 * spin_unlock() - let the next waiter in.
 */
static ALWAYS_INLINE void spin_unlock(struct spinlock *lock)
    RELEASES(lock) NO_THREAD_SAFETY_ANALYSIS
{
    if (DEBUG_ENABLED) {
        spin_unlock_checked(lock);
    } else {
        spin_unlock_raw(lock);
    }
}

/**
 * spin_lock_irqsave() - turn interrupts off on this CPU and take the lock.
 * Return: what spin_unlock_irqrestore() needs to restore the interrupt state.
 */
static ALWAYS_INLINE u64 spin_lock_irqsave(struct spinlock *lock)
    ACQUIRES(lock) NO_THREAD_SAFETY_ANALYSIS
{
    u64 flags = irq_save();

    spin_lock(lock);
    return flags;
}

/**
 * spin_unlock_irqrestore() - release the lock, then restore the interrupt state.
 */
static ALWAYS_INLINE void spin_unlock_irqrestore(struct spinlock *lock, u64 flags)
    RELEASES(lock) NO_THREAD_SAFETY_ANALYSIS
{
    spin_unlock(lock);
    irq_restore(flags);
}

/**
 * spin_is_locked() - whether somebody holds the lock; for assertions and reports only.
 */
static inline bool spin_is_locked(const struct spinlock *lock)
{
    u32 ticket = __atomic_load_n(&lock->ticket, __ATOMIC_RELAXED);

    return (u16)(ticket >> 16) != (u16)ticket;
}

/**
 * spin_assert_held() - assert that this CPU holds the lock (in release builds: that it is held).
 */
void spin_assert_held(const struct spinlock *lock);

#endif
