/*
 * Schedule exploration: a race is run in every order, not until it happens.
 *
 * A test names two or three operations. They run as threads of one CPU that switch only where this
 * says so: when one of them must wait, and at the points that the kernel marks below, which are the
 * places where another processor could see or do something that matters. Every order with at most
 * so many switches at points is run, and after each the test's checks and mm_verify(). A processor
 * that waits for a spin lock, or for another one with interrupts off to answer a shootdown, is a
 * thread that waits; if none can go on, that is a deadlock and a failure. Memory is sequentially
 * consistent here: what only a reordering processor shows is not found.
 *
 * The marks compile to nothing but in a test kernel, where they cost one test of a flag.
 * Read next: kernel/debug/explore.c (how threads are switched), explore_run.c (which orders).
 */
#ifndef COWBELL_DEBUG_EXPLORE_H
#define COWBELL_DEBUG_EXPLORE_H

#include <lib/compiler.h>
#include <lib/types.h>

struct mm;
struct runqueue;
struct spinlock;
struct thread;

/** enum explore_kind - what a point stands in front of, or behind. */
enum explore_kind {
    EXPLORE_LOCK,   /* before a lock is waited for or tried */
    EXPLORE_UNLOCK, /* after a lock was given back */
    EXPLORE_ENTRY,  /* before a page-table entry changes */
    EXPLORE_FLUSH,  /* before translations are flushed */
    EXPLORE_COUNT,  /* between a look at a count, flag or sequence and what relies on it */
    EXPLORE_SLEEP,  /* after a sleep is announced, before somebody is woken */
    NR_EXPLORE_KINDS,
};

#ifdef EXPLORE

#define EXPLORE_ENABLED 1

extern bool explore_is_active;

void explore_point_slow(enum explore_kind kind);
void explore_lock_slow(enum explore_kind kind, u16 rank);
bool explore_spin_slow(const struct spinlock *lock);
void explore_flush_slow(const struct mm *mm);

/** explore_next_thread() - who runs next, taken out of its queue; see explore_takes(). */
struct thread *explore_next_thread(struct runqueue *rq, struct thread *prev);
/** explore_is_switch() - whether the explorer itself called schedule(), perhaps under a lock. */
bool explore_is_switch(void);
bool explore_is_stopped_slow(const struct thread *thread);
/** explore_report() - for a panic: print the order that led to it. */
void explore_report(void);

#else

#define EXPLORE_ENABLED   0
#define explore_is_active false

static inline void explore_point_slow(enum explore_kind kind)
{
}

static inline void explore_lock_slow(enum explore_kind kind, u16 rank)
{
}

static inline bool explore_spin_slow(const struct spinlock *lock)
{
    return false;
}

static inline void explore_flush_slow(const struct mm *mm)
{
}

static inline struct thread *explore_next_thread(struct runqueue *rq, struct thread *prev)
{
    return NULL;
}

static inline bool explore_is_switch(void)
{
    return false;
}

static inline bool explore_is_stopped_slow(const struct thread *thread)
{
    return false;
}

static inline void explore_report(void)
{
}

#endif

/** explore_point() - another thread may run here. Context: any; in an interrupt it does nothing. */
static ALWAYS_INLINE void explore_point(enum explore_kind kind)
{
    if (EXPLORE_ENABLED && unlikely(explore_is_active)) {
        explore_point_slow(kind);
    }
}

/** explore_lock() - explore_point() before a lock of that rank is waited for or tried. */
static ALWAYS_INLINE void explore_lock(u16 rank)
{
    if (EXPLORE_ENABLED && unlikely(explore_is_active)) {
        explore_lock_slow(EXPLORE_LOCK, rank);
    }
}

/** explore_unlock() - explore_point() after a lock of that rank was given back. */
static ALWAYS_INLINE void explore_unlock(u16 rank)
{
    if (EXPLORE_ENABLED && unlikely(explore_is_active)) {
        explore_lock_slow(EXPLORE_UNLOCK, rank);
    }
}

/**
 * explore_spin() - let others run while a spin lock is taken.
 * Return: false if nothing is explored: the caller spins.
 */
static ALWAYS_INLINE bool explore_spin(const struct spinlock *lock)
{
    return EXPLORE_ENABLED && unlikely(explore_is_active) && explore_spin_slow(lock);
}

/** explore_flush() - a point, and the wait for those who run @mm with interrupts off. */
static ALWAYS_INLINE void explore_flush(const struct mm *mm)
{
    if (EXPLORE_ENABLED && unlikely(explore_is_active)) {
        explore_flush_slow(mm);
    }
}

/** explore_takes() - for the scheduler: is the choice of the next thread the explorer's? */
static ALWAYS_INLINE bool explore_takes(void)
{
    return EXPLORE_ENABLED && unlikely(explore_is_active);
}

/**
 * explore_is_stopped() - for the scheduler: has the thread been stopped at a point?
 *
 * Then it is still current, on a processor that just does nothing for a while: it is on no queue,
 * and a wake-up only takes back the sleep that it has announced.
 */
static ALWAYS_INLINE bool explore_is_stopped(const struct thread *thread)
{
    return EXPLORE_ENABLED && unlikely(explore_is_active) && explore_is_stopped_slow(thread);
}

/* --- for tests -------------------------------------------------------------------------------- */

#define EXPLORE_MAX_OPS 3

/** struct explore - a race. The functions talk to each other through variables of the test. */
struct explore {
    u32 nr_ops;
    u32 nr_preemptions; /* how many switches at points an order has at most; 0: three */
    u32 kinds;          /* BIT(enum explore_kind) of the points that count; 0: all */
    u64 ranks;          /* BIT(enum lock_rank) of the locks that count; 0: EXPLORE_RANKS */
    /** Makes what the operations work on; no order has been chosen yet. May be NULL. */
    void (*prepare)(void);
    /**
     * The operations, each in a kernel thread of its own in the address space of the test, or
     * the one of explore_use_mm(). NULL: prepare() has a thread call explore_join().
     */
    void (*ops[EXPLORE_MAX_OPS])(void);
    /** Looks at what came out. May be NULL. */
    void (*check)(void);
    /** Undoes prepare(); afterwards everything is as before it. May be NULL. */
    void (*cleanup)(void);
};

/**
 * explore_run() - run a race in every order, or in the one that the kernel option `schedule` names.
 *
 * Context: the thread of a test of kind TEST_EXPLORE, which explores once. Prints how many orders
 * there were; stops after the first that fails a check, leaks, or breaks a rule.
 * Return:  how many orders were run, or 0 after a failure or a replay.
 */
u64 explore_run(const struct explore *explore);

/** explore_use_mm() - for prepare(): the address space of an operation; the test keeps it alive. */
void explore_use_mm(u32 op, struct mm *mm);

/**
 * explore_join() - become an operation: wait here until the order is being run.
 * explore_leave() - the end of it; the thread goes on when all others have ended theirs.
 *
 * A thread that ends instead ends its operation as well.
 */
void explore_join(u32 op);
void explore_leave(void);

/** explore_attach() - make another thread, which does not run, an operation from its start on. */
void explore_attach(u32 op, struct thread *thread);

#endif
