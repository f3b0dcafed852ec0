/*
 * The scheduler: which thread runs on which CPU.
 *
 * Each CPU has its own run queue. SCHED_FIFO and SCHED_RR threads run first, by priority; the
 * others share the CPU in proportion to the weight of their nice value. A thread in the kernel
 * runs until it sleeps, calls sched_point() or returns to user mode.
 */
#ifndef PROC_SCHED_H
#define PROC_SCHED_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <proc/thread.h>
#include <proc/waitqueue.h>

#define SCHED_TICK_NS 4000000ull /* length of the tick of a CPU that is not idle */

/**
 * sched_init() - make the run queues; once, on the first CPU, before any other call here.
 *
 * The calling context becomes the first CPU's idle thread: afterwards current_thread() works and
 * threads can be made; they run once kmain ends in sched_idle_loop(). That context must not sleep.
 */
void sched_init(void);

/**
 * sched_cpu_entry() - upcall from arch on each further CPU: its context becomes the idle thread.
 *
 * Interrupts are off. The CPU takes part in scheduling from here on.
 */
NORETURN void sched_cpu_entry(void);

/** sched_idle_loop() - what an idle thread does for ever; the first CPU ends kmain with it. */
NORETURN void sched_idle_loop(void);

/** sched_point() - let another thread run if one should; in long loops of the kernel. */
static inline void sched_point(void)
{
    if (unlikely(__atomic_load_n(&current_thread()->need_resched, __ATOMIC_RELAXED) != 0)) {
        schedule();
    }
}

/** sched_exit_to_user() - before the return to user mode: switch if a switch is due. */
static inline void sched_exit_to_user(void)
{
    sched_point();
}

/** sched_yield_current() - sched_yield(2). */
void sched_yield_current(void);

/** sched_ipi() - upcall from arch: another CPU asks this one to look at its run queue. */
void sched_ipi(void);

/** sched_thread_entry() - upcall from arch, first thing in every new thread. */
void sched_thread_entry(struct thread *prev);

/** struct sched_params - what sched_setattr() can set. */
struct sched_params {
    u32 policy;  /* SCHED_OTHER, FIFO, RR, BATCH, IDLE */
    s32 nice;    /* -20..19, for OTHER and BATCH */
    u32 rt_prio; /* 1..99, for FIFO and RR, else 0 */
    bool reset_on_fork;
};

void sched_get_params(struct thread *thread, struct sched_params *params);
/** sched_set_params() - take over valid parameters; the thread is put in its new place. */
void sched_set_params(struct thread *thread, const struct sched_params *params);
/** sched_set_affinity() - restrict a thread to CPUs; -EINVAL if none of them runs. */
MUST_CHECK int sched_set_affinity(struct thread *thread, u64 cpu_mask);
/** sched_online_mask() - the CPUs that run. */
u64 sched_online_mask(void);

/** sched_fork() - scheduling parameters of a new thread from its creator's. */
void sched_fork(struct thread *child, const struct thread *parent);

/** sched_reap() - free the threads that have finished their last switch. Context: thread. */
void sched_reap(void);

/** sched_kick_user() - make a thread that runs in user mode on another CPU enter the kernel. */
void sched_kick_user(struct thread *thread);

struct sched_stats {
    u64 switches;
    u64 idle_ns;
    u32 nr_running; /* including the one that runs, without the idle thread */
};

/** sched_cpu_stats() - counters of one CPU. */
void sched_cpu_stats(u32 cpu, struct sched_stats *stats);
/** sched_load_averages() - 1, 5 and 15 minutes, as 16.16 fixed point (sysinfo's scale). */
void sched_load_averages(u64 loads[3]);
/** sched_nr_running() - threads that run or want to, on all CPUs. */
u32 sched_nr_running(void);

#endif
