/*
 * The machine's part of a thread: its kernel stack pointer, segment bases, FPU state and work flag.
 *
 * Owns: struct arch_thread and the switch from one thread to another. Scheduling is not decided
 * here. Read next: arch/platform.h.
 */
#ifndef COWBELL_ARCH_THREAD_H
#define COWBELL_ARCH_THREAD_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <arch/trapframe.h>

struct thread;
struct mm;

/**
 * enum thread_work - why a thread must not go straight back to user mode.
 *
 * The return path of a system call tests only whether the flag word is zero; anything set makes it
 * call exit_to_user(). So whoever makes a signal pending, asks for a reschedule or leaves something
 * else to do at the border sets a bit here, and exit_to_user() clears it.
 */
enum thread_work {
    THREAD_WORK_RESCHED = 1 << 0,
    THREAD_WORK_SIGNAL = 1 << 1,
    THREAD_WORK_NOTIFY = 1 << 2, /* anything else that exit_to_user() looks at */
};

/**
 * struct arch_thread - embedded in struct thread as `arch`.
 * Legend: [t] only by the thread itself or while it does not run, [x] atomic.
 */
struct arch_thread {
    u64 rsp;               /* [t] saved kernel stack pointer while it does not run */
    u64 kernel_stack_base; /* [t] lowest address of the stack */
    u64 kernel_stack_top;  /* [t] end of the stack: where entries from user mode push */
    u64 fs_base, gs_base;  /* [t] the user's segment bases while it does not run */
    void *fpu_state;       /* [t] XSAVE area, 64-byte aligned; NULL for a kernel thread */
    u32 work;              /* [x] enum thread_work bits */
};

/** arch_thread_work_set() - make @arch's thread take the slow way out of the kernel. Any context.
 */
static inline void arch_thread_work_set(struct arch_thread *arch, u32 bits)
{
    __atomic_fetch_or(&arch->work, bits, __ATOMIC_SEQ_CST);
}

static inline void arch_thread_work_clear(struct arch_thread *arch, u32 bits)
{
    __atomic_fetch_and(&arch->work, ~bits, __ATOMIC_SEQ_CST);
}

static inline u32 arch_thread_work(const struct arch_thread *arch)
{
    return __atomic_load_n(&arch->work, __ATOMIC_ACQUIRE);
}

/**
 * arch_thread_init_kernel() - prepare a new thread that runs @fn(@arg) in the kernel.
 * @arch:  zeroed, but for the kernel_stack_base and _top that the caller has set
 *
 * Its first act is the upcall sched_thread_entry(previous), with interrupts off, then it turns them
 * on and calls @fn, which must not return.
 */
void arch_thread_init_kernel(struct arch_thread *arch, void (*fn)(void *), void *arg);

/**
 * arch_thread_init_user() - prepare a new thread that returns to user mode with these registers.
 * @arch:  zeroed, but for the kernel_stack_base and _top that the caller has set; its FPU state
 *         and segment bases are set by arch_thread_fork() or by the caller
 * @from:  copied to the top of the new thread's stack
 */
void arch_thread_init_user(struct arch_thread *arch, const struct trapframe *from);

/** arch_thread_trapframe() - the user's registers at the top of the kernel stack. */
static inline struct trapframe *arch_thread_trapframe(const struct arch_thread *arch)
{
    return (struct trapframe *)(arch->kernel_stack_top - sizeof(struct trapframe));
}

/**
 * arch_thread_fpu_alloc() - give a thread that will run user code its FPU state, in reset form.
 *
 * Context: thread; may sleep. Return: 0 or -ENOMEM.
 */
MUST_CHECK int arch_thread_fpu_alloc(struct arch_thread *arch);

/** arch_thread_fpu_free() - undo arch_thread_fpu_alloc(); the thread never runs again. */
void arch_thread_fpu_free(struct arch_thread *arch);

/**
 * arch_thread_fork() - the child inherits the calling thread's FPU registers and segment bases.
 * @child:  its fpu_state is allocated
 *
 * Context: the calling thread is the parent.
 */
void arch_thread_fork(struct arch_thread *child);

/** arch_thread_exec() - the calling thread's FPU and segment bases become those of a new program.
 */
void arch_thread_exec(void);

/**
 * arch_fpu_save_current() - bring the calling thread's fpu_state in step with the registers.
 *
 * Return: the state, cpu_features()->fpu_state_size bytes in XSAVE's standard format.
 */
const void *arch_fpu_save_current(void);

/**
 * arch_fpu_store_user() - write the calling thread's FPU registers to its memory.
 * @to:  user address, a multiple of 64; arch_fpu_layout().size bytes from it are the user's half
 *
 * Context: thread; may sleep. Return: 0 or -EFAULT.
 */
MUST_CHECK int arch_fpu_store_user(u64 to);

/**
 * arch_fpu_load_user() - replace the calling thread's FPU registers by an image in its memory.
 * @from:      user address
 * @features:  what to take of an XSAVE image, a part of arch_fpu_layout().features; the rest is
 *             reset. 0: the image is FXSAVE's.
 *
 * Context: thread; may sleep.
 * Return:  0, or -EFAULT if the image cannot be read or is impossible; the registers are then
 * reset.
 */
MUST_CHECK int arch_fpu_load_user(u64 from, u64 features);

/** arch_fpu_reset_current() - the calling thread's FPU registers become those after exec. */
void arch_fpu_reset_current(void);

/** struct arch_fpu_layout - what a signal frame must say about the XSAVE image. */
struct arch_fpu_layout {
    u32 size;     /* bytes of the image: 512 if the CPU has no XSAVE */
    u64 features; /* XCR0 */
    bool has_xsave;
};
const struct arch_fpu_layout *arch_fpu_layout(void);

/** arch_prctl() - arch_prctl(2) for the calling thread. Return: 0, -EINVAL, -EPERM, -EFAULT. */
long arch_prctl(int code, u64 address);

/** arch_set_tls() - CLONE_SETTLS: the FS base of a thread that does not run yet. */
static inline void arch_set_tls(struct arch_thread *arch, u64 base)
{
    arch->fs_base = base;
}

/**
 * arch_switch() - leave @prev and run @next.
 * @prev:  the calling thread
 * @next:  a thread that does not run
 *
 * Switches stack, segment bases and FPU; the address space is arch_mm_switch()'s affair.
 *
 * Context: interrupts off. Returns when @prev is switched to again, perhaps on another CPU.
 * Return:  the thread that ran before @prev came back.
 */
struct thread *arch_switch(struct thread *prev, struct thread *next);

/** arch_enter_user() - leave the kernel with these registers; the stack below is forgotten. */
NORETURN void arch_enter_user(const struct trapframe *tf);

/**
 * arch_mm_switch() - use the page tables of @next on this CPU.
 * @next:  NULL for a kernel thread: the old ones stay loaded until somebody needs them flushed
 *
 * Keeps mm->cpumask: a CPU whose bit is clear holds no translation of that address space.
 *
 * Context: interrupts off.
 */
void arch_mm_switch(struct mm *next);

/**
 * arch_mm_forget() - no CPU has @mm's page tables loaded when this returns.
 *
 * Context: thread; interrupts on; @mm has no user any more.
 */
void arch_mm_forget(struct mm *mm);

/* Upcalls to the scheduler and to signal delivery. */

/** sched_thread_entry() - a new thread runs for the first time; @prev is the one before it. */
void sched_thread_entry(struct thread *prev);

/** exit_to_user() - do the current thread's work; interrupts off before and after. */
void exit_to_user(struct trapframe *tf);

/** syscall_dispatch() - run the system call in @tf and set its result; interrupts on. */
void syscall_dispatch(struct trapframe *tf);

#endif
