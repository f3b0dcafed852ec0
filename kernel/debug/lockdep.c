/*
 * Lock-order checking.
 *
 * Each thread keeps the locks that it holds, with the place of each acquisition. A lock may be
 * waited for only if its rank stands after those of all locks held (kernel/include/proc/
 * lock_rank.h), counting only those taken in the same interrupt level: what an interrupt handler
 * takes is ordered by the rule that such locks are always taken with interrupts off. That rule is
 * checked for each rank as a whole.
 *
 * The record of a thread is changed by the thread and by interrupts on top of it. An entry is
 * claimed by moving the count before it is filled, so an interrupt in between uses the next one.
 */
#include <debug/lockdep.h>

#include <arch/cpu.h>
#include <debug/lockstat.h>
#include <lib/assert.h>
#include <lib/printk.h>
#include <proc/lock_rank.h>
#include <proc/thread.h>

static bool lockdep_is_on;

/* By rank: seen in an interrupt handler, and seen taken with interrupts on; never both. */
static bool rank_used_in_interrupt[RANK_COUNT];
static bool rank_used_interruptible[RANK_COUNT];

static const char *const kind_names[] = {"spin lock", "mutex", "rwsem (read)", "rwsem (write)"};

/* A second share of a lock is no deadlock if the thread does not wait for it. */
static bool shares_again(const struct held_lock *held, const struct held_lock *new,
                         enum lock_mode mode)
{
    return mode == LOCK_MODE_TRY && held->kind == LOCK_READ && new->kind == LOCK_READ;
}

static void check_order(const struct thread *thread, const struct held_lock *new, u32 nr_held,
                        enum lock_mode mode);
static void check_interrupts(const struct held_lock *new);

void lockdep_start(void)
{
    lockdep_is_on = DEBUG_ENABLED;
}

void lockdep_stop(void)
{
    lockdep_is_on = false;
}

static struct thread *checked_thread(void)
{
    return lockdep_is_on ? current_thread() : NULL;
}

/* Follows the chain of frame pointers within the thread's own stack. */
static NOINLINE void capture_frames(const struct thread *thread, u64 *frames)
{
    u64 low = thread->arch.kernel_stack_base;
    u64 high = thread->arch.kernel_stack_top;
    const u64 *frame = __builtin_frame_address(0);
    u32 nr_skipped = 0;

    for (u32 i = 0; i < HELD_LOCK_FRAMES; i++) {
        frames[i] = 0;
    }
    for (u32 i = 0; i < HELD_LOCK_FRAMES;) {
        if ((u64)frame < low || (u64)frame + 16 > high || ((u64)frame & 7) != 0) {
            return;
        }
        /* The first two return addresses lie in the lock functions themselves. */
        if (nr_skipped < 2) {
            nr_skipped++;
        } else {
            frames[i++] = frame[1];
        }
        frame = (const u64 *)frame[0];
    }
}

NOINLINE bool lockdep_acquire(const void *lock, u16 rank, enum lock_kind kind, enum lock_mode mode)
{
    struct thread *thread = checked_thread();

    if (thread == NULL || HELD_LOCKS_MAX == 0) {
        return false;
    }
    ASSERT(thread->nr_held_locks + 1 <= HELD_LOCKS_MAX, "a thread holds few locks at a time");
    lockstat_acquired(rank);
    u32 nr_held = thread->nr_held_locks++;

    barrier();
    struct held_lock *held = &thread->held_locks[nr_held];

    held->rank = rank;
    held->kind = (u8)kind;
    held->irq_depth = (u8)this_cpu()->interrupt_depth;
    barrier();
    held->lock = lock;
    capture_frames(thread, held->frames);
    check_order(thread, held, nr_held, mode);
    if (kind == LOCK_SPIN && mode != LOCK_MODE_TRY) {
        check_interrupts(held);
    }
    return true;
}

static void print_acquisition(const char *title, const struct held_lock *held)
{
    printk("%s: %s %p, rank %u, taken at\n", title, kind_names[held->kind], held->lock,
           (unsigned)held->rank);
    for (u32 i = 0; i < HELD_LOCK_FRAMES && held->frames[i] != 0; i++) {
        printk("    %p\n", (void *)held->frames[i]);
    }
}

static NORETURN void report(const char *rule, const struct held_lock *held,
                            const struct held_lock *new)
{
    lockdep_stop();
    if (held != NULL) {
        print_acquisition("held", held);
    }
    print_acquisition("wanted", new);
    panic("lock order: %s", rule);
}

static void check_order(const struct thread *thread, const struct held_lock *new, u32 nr_held,
                        enum lock_mode mode)
{
    for (u32 i = 0; i < nr_held; i++) {
        const struct held_lock *held = &thread->held_locks[i];

        if (held->lock == NULL) {
            continue; /* the interrupted code is about to fill it */
        }
        if (held->lock == new->lock && !shares_again(held, new, mode)) {
            report("a thread does not take a lock that it holds", held, new);
        }
        if (mode == LOCK_MODE_TRY || held->irq_depth != new->irq_depth) {
            continue;
        }
        if (held->kind == LOCK_SPIN && new->kind != LOCK_SPIN) {
            report("nobody waits for a sleeping lock with a spin lock held", held, new);
        }
        if (held->rank == RANK_NONE || new->rank == RANK_NONE) {
            continue;
        }
        if (held->rank > new->rank) {
            report("a lock of higher rank is held", held, new);
        }
        if (held->rank == new->rank && mode != LOCK_MODE_NESTED) {
            report("two locks of one rank are taken without a rule", held, new);
        }
    }
}

static void check_interrupts(const struct held_lock *new)
{
    if (new->rank == RANK_NONE || new->rank >= RANK_COUNT) {
        return;
    }
    if (cpu_in_interrupt()) {
        rank_used_in_interrupt[new->rank] = true;
    } else if (irqs_enabled()) {
        rank_used_interruptible[new->rank] = true;
    }
    if (rank_used_in_interrupt[new->rank] && rank_used_interruptible[new->rank]) {
        report("a spin lock that interrupts take is taken with interrupts off", NULL, new);
    }
}

void lockdep_release(const void *lock)
{
    struct thread *thread = checked_thread();

    if (thread == NULL) {
        return;
    }
    for (u32 i = thread->nr_held_locks; i-- > 0;) {
        if (thread->held_locks[i].lock != lock) {
            continue;
        }
        for (u32 k = i; k + 1 < thread->nr_held_locks; k++) {
            thread->held_locks[k] = thread->held_locks[k + 1];
        }
        /* A free slot names no lock: an interrupt may see it before its next user fills it. */
        thread->held_locks[thread->nr_held_locks - 1].lock = NULL;
        barrier();
        thread->nr_held_locks--;
        return;
    }
}

void lockdep_assert_may_sleep(void)
{
    struct thread *thread = checked_thread();

    if (thread == NULL) {
        return;
    }
    for (u32 i = 0; i < thread->nr_held_locks; i++) {
        if (thread->held_locks[i].kind == LOCK_SPIN) {
            struct held_lock *held = &thread->held_locks[i];

            lockdep_stop();
            print_acquisition("held", held);
            panic("nobody sleeps with a spin lock held");
        }
    }
    if (cpu_in_interrupt()) {
        lockdep_stop();
        panic("an interrupt handler does not sleep");
    }
}

void lockdep_assert_none_held(void)
{
    struct thread *thread = checked_thread();

    if (thread != NULL && thread->nr_held_locks != 0) {
        lockdep_stop();
        lockdep_print_held(thread);
        panic("a thread returns to user mode without locks");
    }
}

bool lockdep_holds(const void *lock)
{
    struct thread *thread = checked_thread();

    for (u32 i = 0; thread != NULL && i < thread->nr_held_locks; i++) {
        if (thread->held_locks[i].lock == lock) {
            return true;
        }
    }
    return false;
}

void lockdep_print_held(const struct thread *thread)
{
    for (u32 i = 0; i < thread->nr_held_locks; i++) {
        print_acquisition("held", &thread->held_locks[i]);
    }
}
