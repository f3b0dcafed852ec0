/*
 * What threads and processes have used: CPU time, switches, faults.
 *
 * CPU time is measured exactly at every switch. How it splits into user and system time is sampled
 * by the tick, which costs system calls nothing.
 */
#ifndef PROC_CPUTIME_H
#define PROC_CPUTIME_H

#include <lib/types.h>
#include <lib/compiler.h>

struct thread;
struct process;

/** cputime_charge_current() - bring the current thread's times up to now. */
void cputime_charge_current(void);
/** thread_runtime_ns() - exact CPU time of a thread; up to now if it is the current one. */
u64 thread_runtime_ns(struct thread *thread);
/** process_runtime_ns() - CPU time of all threads of a process, finished ones included. */
u64 process_runtime_ns(struct process *process);
/** process_utime_ns() - the part of it that is user time. */
u64 process_utime_ns(struct process *process);

#endif
