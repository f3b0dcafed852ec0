/*
 * The slow path of spin locks, and the checked versions that debug builds use.
 *
 * Owns struct spinlock's protocol. Knows nothing of lock order, which is lockdep's. Read next:
 * kernel/proc/waitqueue.c.
 */
#include <proc/spinlock.h>

#include <debug/explore.h>
#include <debug/lockdep.h>
#include <debug/lockstat.h>
#include <lib/assert.h>

/*
 * On a machine of its own a CPU takes a ticket, and waiters are served in order. A virtual CPU may
 * be stopped by its hypervisor at any time; if it stood next in line, all behind it would wait for
 * it with a free lock before their eyes. So there, whoever sees the lock free takes it.
 */
void spin_lock_contended(struct spinlock *lock) NO_THREAD_SAFETY_ANALYSIS
{
    u32 old;

    lockstat_contended(lock->rank);
    while (explore_spin(lock)) {
        if (spin_trylock_raw(lock)) {
            return;
        }
    }
    if (cpu_features()->is_virtual) {
        do {
            cpu_relax();
        } while (!spin_trylock_raw(lock));
        return;
    }
    old = __atomic_fetch_add(&lock->ticket, SPIN_TICKET_NEXT, __ATOMIC_ACQUIRE);
    while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != (u16)(old >> 16)) {
        cpu_relax();
    }
}

void spin_lock_checked(struct spinlock *lock, bool nested) NO_THREAD_SAFETY_ANALYSIS
{
    bool is_recorded;

    explore_lock(lock->rank);
    is_recorded =
        lockdep_acquire(lock, lock->rank, LOCK_SPIN, nested ? LOCK_MODE_NESTED : LOCK_MODE_WAIT);

    spin_lock_raw(lock);
    lock->owner_cpu = is_recorded ? (u16)cpu_id() : SPIN_NO_OWNER;
}

bool spin_trylock_checked(struct spinlock *lock) NO_THREAD_SAFETY_ANALYSIS
{
    explore_lock(lock->rank);
    if (!spin_trylock_raw(lock)) {
        return false;
    }
    lock->owner_cpu =
        lockdep_acquire(lock, lock->rank, LOCK_SPIN, LOCK_MODE_TRY) ? (u16)cpu_id() : SPIN_NO_OWNER;
    return true;
}

void spin_unlock_checked(struct spinlock *lock) NO_THREAD_SAFETY_ANALYSIS
{
    u16 rank = lock->rank;

    ASSERT(spin_is_locked(lock), "only a held spin lock is unlocked");
    if (lock->owner_cpu != SPIN_NO_OWNER) {
        ASSERT(lock->owner_cpu == cpu_id(), "a spin lock is unlocked by the CPU that holds it");
        lock->owner_cpu = SPIN_NO_OWNER;
        lockdep_release(lock);
    }
    spin_unlock_raw(lock);
    /* The lock may be gone: somebody may have waited for it only to free it. */
    explore_unlock(rank);
}

void spin_assert_held(const struct spinlock *lock)
{
    ASSERT(spin_is_locked(lock), "the caller holds the spin lock");
    if (DEBUG_ENABLED && lock->owner_cpu != SPIN_NO_OWNER) {
        ASSERT(lock->owner_cpu == cpu_id(), "the caller's CPU holds the spin lock");
    }
}
