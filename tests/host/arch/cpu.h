/* A CPU for host tests: one thread of the host plays all of them in turn. */
#ifndef HOST_ARCH_CPU_H
#define HOST_ARCH_CPU_H

#include <lib/compiler.h>
#include <lib/types.h>

#define MAX_CPUS 64

struct cpu_features;
struct mm;
struct thread;

/* Set by tests. */
extern u32 fake_cpu;
extern bool fake_in_interrupt;
extern struct thread *fake_thread;

static inline u32 cpu_id(void)
{
    return fake_cpu;
}

static inline u32 cpu_count(void)
{
    return MAX_CPUS;
}

static inline struct thread *cpu_current_thread(void)
{
    return fake_thread;
}

static inline bool cpu_in_interrupt(void)
{
    return fake_in_interrupt;
}

static inline u64 irq_save(void)
{
    return 0;
}

static inline void irq_restore(u64 flags)
{
}

static inline void irq_enable(void)
{
}

static inline void irq_disable(void)
{
}

static inline bool irqs_enabled(void)
{
    return true;
}

static inline void cpu_relax(void)
{
}

static inline u64 rdtsc(void)
{
    static u64 ticks;

    return ticks += 1001;
}

static inline bool arch_random_u64(u64 *value)
{
    return false;
}

#endif
