/*
 * What the suites of kernel/proc share: threads that work together on a test, and waiting.
 */
#ifndef TESTS_KERNEL_SCHED_TEST_H
#define TESTS_KERNEL_SCHED_TEST_H

#include <arch/cpu.h>
#include <arch/platform.h>
#include <arch/thread.h>
#include <debug/ktest.h>
#include <lib/atomic.h>
#include <proc/clock.h>
#include <proc/sched.h>
#include <proc/thread.h>
#include <proc/waitqueue.h>

#define CREW_MAX 16

/* Threads of one test; all have ended when crew_join() returns. */
struct crew {
    u32 nr_threads;
    struct thread *threads[CREW_MAX];
};

/** crew_add_on() - one more thread, bound to the CPUs of a mask. */
static inline struct thread *crew_add_on(struct crew *crew, void (*fn)(void *), void *arg, u64 mask)
{
    struct thread *thread = thread_create_kernel_on(fn, arg, "crew", mask);

    EXPECT_TRUE(thread != NULL);
    if (thread != NULL) {
        crew->threads[crew->nr_threads++] = thread;
    }
    return thread;
}

static inline struct thread *crew_add(struct crew *crew, void (*fn)(void *), void *arg)
{
    return crew_add_on(crew, fn, arg, U64_MAX);
}

static inline void crew_join(struct crew *crew)
{
    for (u32 i = 0; i < crew->nr_threads; i++) {
        thread_join_kernel(crew->threads[i]);
    }
    crew->nr_threads = 0;
}

/** test_sleep_ns() - let time pass. */
static inline void test_sleep_ns(u64 ns)
{
    struct wait_queue never;

    wait_queue_init(&never);
    (void)wait_event_until(&never, false, deadline_after(ns));
}

/** test_wait_asleep() - wait until a thread has announced a sleep and left its CPU, or has ended.
 */
static inline void test_wait_asleep(const struct thread *thread)
{
    while (!thread_is_asleep(thread) && !thread_is_finished(thread)) {
        test_sleep_ns(20 * NSEC_PER_USEC);
    }
}

/** test_kill() - make a fatal signal pending for a kernel thread and end its killable sleep. */
static inline void test_kill(struct thread *thread)
{
    thread->sig.pending.set |= SIGNAL_BIT(9);
    arch_thread_work_set(&thread->arch, THREAD_WORK_SIGNAL);
    (void)thread_wake_kinds(thread, SLEEP_KILLABLE | SLEEP_INTERRUPTIBLE);
}

/** test_interrupt() - make an ordinary signal pending for a kernel thread. */
static inline void test_interrupt(struct thread *thread)
{
    arch_thread_work_set(&thread->arch, THREAD_WORK_SIGNAL);
    (void)thread_wake_kinds(thread, SLEEP_INTERRUPTIBLE);
}

#endif
