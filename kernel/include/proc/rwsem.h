/*
 * Sleeping reader-writer locks.
 *
 * Once somebody waits, later readers wait behind it, so that writers do not starve. Therefore a
 * thread that holds the lock for reading must not take it for reading again. Waiters are served in
 * the order of arrival, but a writer that runs may take the lock when it becomes free before one
 * that has to be woken; that happens to nobody twice.
 */
#ifndef PROC_RWSEM_H
#define PROC_RWSEM_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <proc/spinlock.h>

struct CAPABILITY("rwsem") rwsem {
    u64 count;                 /* [x] RWSEM_* bits and, above them, the number of readers */
    struct spinlock wait_lock; /* protects waiters and the RWSEM_WAITERS bit */
    struct list_node waiters;  /* [wait_lock] struct rwsem_waiter, first come first */
    struct thread *writer;     /* [x] the holder for writing, for assertions and reports */
    u16 rank;                  /* [I] enum lock_rank */
};

#define RWSEM_WRITER  1ul
#define RWSEM_WAITERS 2ul
#define RWSEM_HANDOFF 4ul /* the first waiter has been passed by once: the lock is kept for it */
#define RWSEM_READER  8ul

/** rwsem_init() - make a lock, free, with its place in the lock order. */
void rwsem_init(struct rwsem *sem, enum lock_rank rank);

/** rwsem_read_lock() - sleep until the caller shares the lock. Context: thread, no spin lock. */
void rwsem_read_lock(struct rwsem *sem) ACQUIRES_SHARED(sem);
/** rwsem_read_lock_killable() - 0 with the lock shared, or -EINTR on a fatal signal. */
MUST_CHECK int rwsem_read_lock_killable(struct rwsem *sem) TRY_ACQUIRES_SHARED(0, sem);
/** rwsem_read_trylock() - share the lock if that needs no wait. */
MUST_CHECK bool rwsem_read_trylock(struct rwsem *sem) TRY_ACQUIRES_SHARED(true, sem);
/** rwsem_read_unlock() - end one share. */
void rwsem_read_unlock(struct rwsem *sem) RELEASES_SHARED(sem);

/** rwsem_write_lock() - sleep until the caller alone holds the lock. Context: as for reading. */
void rwsem_write_lock(struct rwsem *sem) ACQUIRES(sem);
/** rwsem_write_lock_nested() - with another lock of the same rank held (fork: parent first). */
void rwsem_write_lock_nested(struct rwsem *sem) ACQUIRES(sem);
/** rwsem_write_lock_killable() - 0 with the lock held, or -EINTR on a fatal signal. */
MUST_CHECK int rwsem_write_lock_killable(struct rwsem *sem) TRY_ACQUIRES(0, sem);
/** rwsem_write_trylock() - take the lock for writing if it is free. */
MUST_CHECK bool rwsem_write_trylock(struct rwsem *sem) TRY_ACQUIRES(true, sem);
/** rwsem_write_unlock() - release; only the writer may. */
void rwsem_write_unlock(struct rwsem *sem) RELEASES(sem);
/** rwsem_downgrade() - turn the writer into a reader without a moment in between. */
void rwsem_downgrade(struct rwsem *sem);

/** rwsem_is_held() - somebody holds the lock in some way; for assertions. */
bool rwsem_is_held(const struct rwsem *sem);
/** rwsem_is_write_held() - the calling thread holds the lock for writing; for assertions. */
bool rwsem_is_write_held(const struct rwsem *sem);

#endif
