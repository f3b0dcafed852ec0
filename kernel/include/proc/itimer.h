/*
 * Interval timers of a process: alarm(), setitimer() and timer_create().
 */
#ifndef PROC_ITIMER_H
#define PROC_ITIMER_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <proc/spinlock.h>
#include <proc/timer.h>
#include <uapi/linux/time.h>

struct process;
struct thread;

/* A timer that counts CPU time of the process; looked at by the tick. */
struct cpu_itimer {
    u64 expires_ns;  /* [lock] of the clock's time; 0 when off */
    u64 interval_ns; /* [lock] 0 for once */
};

/* The timers of one process; made on first use, freed with the process. */
struct process_timers {
    struct spinlock lock;    /* with interrupts off */
    struct process *process; /* [I] the owner; the timers end before it */
    struct timer real;       /* ITIMER_REAL */
    u64 real_interval_ns;    /* [lock] */
    struct cpu_itimer virt;  /* [lock] ITIMER_VIRTUAL: user time */
    struct cpu_itimer prof;  /* [lock] ITIMER_PROF: user and system time */
    struct list_node posix;  /* [lock] struct posix_timer, of timer_create() */
    s32 next_posix_id;       /* [lock] */
    u32 nr_posix_cpu;        /* [lock] how many of them count CPU time */
    bool is_ending;          /* [lock] nothing is started any more */
};

/** process_timers_get() - the timers of a process, made if it has none yet; NULL: no memory. */
struct process_timers *process_timers_get(struct process *process);
/** process_timers_exec() - execve deletes the timers of timer_create() and keeps the others. */
void process_timers_exec(struct process *process);
/**
 * process_timers_exit() - stop and free all timers of a process without threads.
 *
 * Context: thread; no lock held.
 */
void process_timers_exit(struct process *process);
/** process_timers_tick() - from the tick of a running thread: CPU-time timers, RLIMIT_CPU. */
void process_timers_tick(struct process *process);

/** itimer_get() - getitimer(2); -EINVAL for an unknown timer. */
MUST_CHECK int itimer_get(struct process *process, int which, struct itimerval *value);
/** itimer_set() - setitimer(2); @old gets what was set. -EINVAL, -ENOMEM. */
MUST_CHECK int itimer_set(struct process *process, int which, const struct itimerval *value,
                          struct itimerval *old);

/**
 * timer_next_period() - when a periodic timer that fired at @deadline_ns is next due.
 * @nr_missed: out: periods that have passed unserved
 */
u64 timer_next_period(u64 deadline_ns, u64 interval_ns, u64 now, u64 *nr_missed);

/**
 * posix_timer_create() - timer_create(2) with checked arguments.
 * @event:  or NULL for SIGALRM
 * @target: the thread to notify, or whose CPU time counts; NULL otherwise
 * @id:     out
 */
MUST_CHECK int posix_timer_create(struct process *process, s32 clock,
                                  const struct sigevent_abi *event, struct thread *target, s32 *id);
/** posix_timer_delete() - timer_delete(2); -EINVAL if there is no such timer. */
MUST_CHECK int posix_timer_delete(struct process *process, s32 id);
/** posix_timer_get() - timer_gettime(2); -EINVAL. */
MUST_CHECK int posix_timer_get(struct process *process, s32 id, struct itimerspec *value);
/** posix_timer_set() - timer_settime(2) with valid times; -EINVAL. */
MUST_CHECK int posix_timer_set(struct process *process, s32 id, s32 flags,
                               const struct itimerspec *value, struct itimerspec *old);
/** posix_timer_overrun() - timer_getoverrun(2); -EINVAL. */
MUST_CHECK int posix_timer_overrun(struct process *process, s32 id);
/** posix_timers_delete_all() - at exec and exit. */
void posix_timers_delete_all(struct process_timers *timers);
/** posix_timers_tick_locked() - fire those of CPU-time clocks that are due. timers->lock is held.
 */
void posix_timers_tick_locked(struct process_timers *timers, u64 runtime_ns);

#endif
