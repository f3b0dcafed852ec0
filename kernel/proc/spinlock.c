/*
 * The slow path of spin locks, and the checked versions that debug builds use.
 *
 * Owns struct spinlock's protocol: tickets are served in order. Knows nothing of lock order, which
 * is lockdep's. Read next: kernel/proc/waitqueue.c.
 */
#include <proc/spinlock.h>

#include <debug/lockdep.h>
#include <lib/assert.h>

void spin_lock_contended(struct spinlock *lock, u16 ticket) NO_THREAD_SAFETY_ANALYSIS
{
    while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket) {
        cpu_relax();
    }
}

void spin_lock_checked(struct spinlock *lock, bool nested) NO_THREAD_SAFETY_ANALYSIS
{
    bool is_recorded =
        lockdep_acquire(lock, lock->rank, LOCK_SPIN, nested ? LOCK_MODE_NESTED : LOCK_MODE_WAIT);

    spin_lock_raw(lock);
    lock->owner_cpu = is_recorded ? (u16)cpu_id() : SPIN_NO_OWNER;
}

bool spin_trylock_checked(struct spinlock *lock) NO_THREAD_SAFETY_ANALYSIS
{
    if (!spin_trylock_raw(lock)) {
        return false;
    }
    lock->owner_cpu =
        lockdep_acquire(lock, lock->rank, LOCK_SPIN, LOCK_MODE_TRY) ? (u16)cpu_id() : SPIN_NO_OWNER;
    return true;
}

void spin_unlock_checked(struct spinlock *lock) NO_THREAD_SAFETY_ANALYSIS
{
    ASSERT(spin_is_locked(lock), "only a held spin lock is unlocked");
    if (lock->owner_cpu != SPIN_NO_OWNER) {
        ASSERT(lock->owner_cpu == cpu_id(), "a spin lock is unlocked by the CPU that holds it");
        lock->owner_cpu = SPIN_NO_OWNER;
        lockdep_release(lock);
    }
    spin_unlock_raw(lock);
}

void spin_assert_held(const struct spinlock *lock)
{
    ASSERT(spin_is_locked(lock), "the caller holds the spin lock");
    if (DEBUG_ENABLED && lock->owner_cpu != SPIN_NO_OWNER) {
        ASSERT(lock->owner_cpu == cpu_id(), "the caller's CPU holds the spin lock");
    }
}
