/*
 * Spinning for sleeping locks: how long, and for whom.
 *
 * A holder is known by its address alone. It may give the lock back, exit and be freed while others
 * spin, so it is looked for among the threads that run and never looked into.
 */
#include <proc/lock_spin.h>

#include <debug/explore.h>
#include <proc/runqueue.h>

/* Some ten microseconds: what a sleep and a wake-up on another CPU cost. */
#define SPIN_LOOKS 500

void lock_spin_begin(struct lock_spin *spin)
{
    spin->nr_left = cpu_count() > 1 && !explore_takes() ? SPIN_LOOKS : 0;
    spin->cpu = 0;
}

static bool is_current_on(u32 cpu, const struct thread *thread)
{
    return __atomic_load_n(&runqueues[cpu].current, __ATOMIC_RELAXED) == thread;
}

static bool runs_somewhere(struct lock_spin *spin, const struct thread *thread)
{
    u64 rest = sched_online_mask();

    if (is_current_on(spin->cpu, thread)) {
        return true;
    }
    for (; rest != 0; rest &= rest - 1) {
        u32 cpu = (u32)__builtin_ctzl(rest);

        if (is_current_on(cpu, thread)) {
            spin->cpu = cpu;
            return true;
        }
    }
    return false;
}

bool lock_spin_goes_on(struct lock_spin *spin, const struct thread *holder)
{
    if (spin->nr_left == 0 || current_thread()->need_resched != 0) {
        return false;
    }
    spin->nr_left--;
    cpu_relax();
    return holder == NULL || runs_somewhere(spin, holder);
}
