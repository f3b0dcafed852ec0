/*
 * The CPU that runs this code: its private record, its interrupt flag, its counters.
 *
 * Owns: struct cpu, reached through the GS segment while in the kernel. A thread may move to
 * another CPU whenever it sleeps, so nothing read here may be kept across a sleep.
 * Read next: arch/trapframe.h.
 */
#ifndef COWBELL_ARCH_CPU_H
#define COWBELL_ARCH_CPU_H

#define MAX_CPUS 64

/* Offsets of the fields that assembly uses; checked against struct cpu in arch/x86_64/cpu.c. */
#define CPU_SELF         0
#define CPU_CURRENT      8
#define CPU_KERNEL_STACK 16
#define CPU_USER_RSP     24
#define CPU_WORK         32

#ifndef __ASSEMBLER__

#include <lib/types.h>
#include <lib/compiler.h>
#include <mm/tlb_slots.h>

struct thread;
struct mm;

/** struct cpu_stats - what a CPU has done, for /proc and the benchmarks. All [c]. */
struct cpu_stats {
    u64 nr_interrupts;
    u64 nr_timer_interrupts;
    u64 nr_ipis_sent;
    u64 nr_ipis_received;
    u64 nr_tlb_page_flushes;
    u64 nr_tlb_full_flushes;
    u64 nr_mm_switches;    /* loads of another page-table root */
    u64 nr_switch_flushes; /* of these, those that forgot the translations under its tag */
};

/**
 * struct cpu - what belongs to one CPU.
 * Legend: [I] immutable after start, [c] only by this CPU with interrupts off, [x] atomic.
 */
struct cpu {
    struct cpu *self;       /* [I] its own address: the one load that finds this record */
    struct thread *current; /* [c] changed by arch_switch() alone */
    u64 kernel_stack_top;   /* [c] of the current thread; where SYSCALL and traps begin to push */
    u64 user_rsp;           /* [c] scratch of the first instructions of SYSCALL */
    u32 *work;              /* [c] the current thread's arch.work, tested before a return to user */
    u32 id;                 /* [I] 0 is the CPU that started the kernel */
    u32 apic_id;            /* [I] */
    struct thread *idle;    /* [I] set by the scheduler */
    struct mm *loaded_mm;   /* [c] whose page tables are loaded; NULL: the kernel's own */
    u32 interrupt_depth;    /* [c] nesting of interrupt handlers: not zero means "may not sleep" */
    u32 is_online;          /* [x] */
    bool interrupted_user;  /* [c] the interrupt that is handled came from user mode */
    u64 nmi_request;        /* [x] what a sender of an NMI wants: enum nmi_request bits */
    struct cpu_stats stats; /* [c] */
    struct tlb_slots tlb;   /* [c] whose translations are kept, one PCID each */
};

/** this_cpu() - the record of the CPU that runs the caller; interrupts off or a pinned thread. */
static ALWAYS_INLINE struct cpu *this_cpu(void)
{
    struct cpu *cpu;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

/** cpu_id() - the number of this CPU, 0..cpu_count()-1. */
static ALWAYS_INLINE u32 cpu_id(void)
{
    u32 id;
    __asm__ volatile("movl %%gs:%c1, %0" : "=r"(id) : "i"(__builtin_offsetof(struct cpu, id)));
    return id;
}

/** cpu_current_thread() - the thread that runs; the same on whichever CPU it is asked. */
static ALWAYS_INLINE struct thread *cpu_current_thread(void)
{
    struct thread *thread;
    __asm__("movq %%gs:%c1, %0" : "=r"(thread) : "i"(CPU_CURRENT));
    return thread;
}

/** cpu_count() - how many CPUs exist (numbered from 0); before SMP start it is 1. */
u32 cpu_count(void);

/** cpu_at() - the record of a CPU; @id < MAX_CPUS. */
struct cpu *cpu_at(u32 id);

/** cpu_online_mask() - one bit for each CPU that takes part. */
u64 cpu_online_mask(void);

/** cpu_in_interrupt() - does this code run in an interrupt handler, where it may not sleep? */
static inline bool cpu_in_interrupt(void)
{
    return this_cpu()->interrupt_depth != 0;
}

#define CPU_FLAG_INTERRUPTS (1ull << 9)

/** irq_save() - turn interrupts off. Return: what irq_restore() needs to undo that. */
static ALWAYS_INLINE u64 irq_save(void)
{
    u64 flags;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return flags;
}

static ALWAYS_INLINE bool irq_flags_enabled(u64 flags)
{
    return (flags & CPU_FLAG_INTERRUPTS) != 0;
}

static ALWAYS_INLINE void irq_enable(void)
{
    __asm__ volatile("sti" : : : "memory");
}

static ALWAYS_INLINE void irq_disable(void)
{
    __asm__ volatile("cli" : : : "memory");
}

static ALWAYS_INLINE void irq_restore(u64 flags)
{
    if (irq_flags_enabled(flags)) {
        irq_enable();
    }
}

static ALWAYS_INLINE bool irqs_enabled(void)
{
    u64 flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
    return irq_flags_enabled(flags);
}

/**
 * cpu_hold_interrupts() - keep external interrupts of this CPU waiting, irq_enable() or not.
 * cpu_release_interrupts() - let them come again.
 */
static inline void cpu_hold_interrupts(void)
{
    /* No interrupt has a priority above the highest class (SDM 3A 10.8.6.1). */
    __asm__ volatile("movq %0, %%cr8" : : "r"(15ull) : "memory");
}

static inline void cpu_release_interrupts(void)
{
    __asm__ volatile("movq %0, %%cr8" : : "r"(0ull) : "memory");
}

/** cpu_relax() - the body of a loop that waits for another CPU. */
static ALWAYS_INLINE void cpu_relax(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/**
 * cpu_halt_idle() - turn interrupts on and sleep until the next one, without a gap between the two.
 *
 * Context: interrupts off, the condition to sleep checked. They are on afterwards.
 */
static ALWAYS_INLINE void cpu_halt_idle(void)
{
    /* STI delays interrupts by one instruction (SDM 2B "STI"), so none is lost before HLT. */
    __asm__ volatile("sti; hlt" : : : "memory");
}

/** cpu_halt_forever() - stop this CPU for good, interrupts off. */
NORETURN void cpu_halt_forever(void);

/** rdtsc() - the time-stamp counter; see arch_clock_ns() for time. */
static ALWAYS_INLINE u64 rdtsc(void)
{
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return ((u64)high << 32) | low;
}

/** arch_random_u64() - one word of the CPU's random generator. Return: is *@value valid? */
MUST_CHECK bool arch_random_u64(u64 *value);

/** struct cpu_features - what CPUID says and the kernel cares about. All [I]. */
struct cpu_features {
    bool has_nx;
    bool has_1g_pages;
    bool has_global_pages;
    bool has_smep;
    bool has_smap;
    bool has_umip;
    bool has_pcid;
    bool has_invpcid;
    bool has_fsgsbase;
    bool has_xsave;
    bool has_xsaveopt;
    bool has_avx;
    bool has_x2apic;
    bool has_tsc_deadline;
    bool has_rdrand;
    bool has_rdtscp;
    bool is_virtual; /* a hypervisor may stop this CPU at any time */
    u32 max_leaf;
    u32 hwcap;          /* CPUID 1 EDX, which Linux gives programs as AT_HWCAP */
    u32 physical_bits;  /* width of a physical address */
    u32 fpu_state_size; /* bytes of an XSAVE (or FXSAVE) area with the features in fpu_mask */
    u64 fpu_mask;       /* the bits set in XCR0; 0 without XSAVE */
    char vendor[13];
    char brand[49];
};

/** cpu_features() - of the CPU that started the kernel; all CPUs are taken to be the same. */
const struct cpu_features *cpu_features(void);

/** cpu_hwcap2() - the value of AT_HWCAP2 (bit 1: FSGSBASE usable). */
u64 cpu_hwcap2(void);

#endif /* !__ASSEMBLER__ */
#endif
