/* A thread's machine state for host tests: nothing switches there. */
#ifndef HOST_ARCH_THREAD_H
#define HOST_ARCH_THREAD_H

#include <lib/types.h>

enum thread_work {
    THREAD_WORK_RESCHED = 1 << 0,
    THREAD_WORK_SIGNAL = 1 << 1,
    THREAD_WORK_NOTIFY = 1 << 2,
};

struct arch_thread {
    u64 kernel_stack_base, kernel_stack_top;
    u32 work;
};

static inline void arch_thread_work_set(struct arch_thread *arch, u32 bits)
{
    arch->work |= bits;
}

static inline void arch_thread_work_clear(struct arch_thread *arch, u32 bits)
{
    arch->work &= ~bits;
}

static inline u32 arch_thread_work(const struct arch_thread *arch)
{
    return arch->work;
}

struct mm;

/* No processor runs an address space of a host test. */
static inline void arch_mm_forget(const struct mm *mm)
{
}

#endif
