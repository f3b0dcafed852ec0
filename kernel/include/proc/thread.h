/*
 * Threads.
 *
 * Locks: [I] immutable after creation, [r] the lock of the run queue of thread->cpu, [t] only the
 * thread itself, [x] atomic, [p] the owning process' lock.
 */
#ifndef PROC_THREAD_H
#define PROC_THREAD_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/rbtree.h>
#include <arch/cpu.h>
#include <arch/thread.h>
#include <proc/lock_rank.h>
#include <proc/spinlock.h>
#include <proc/signal_types.h>

struct process;
struct mm;
struct restart_block;
struct vma;

#define THREAD_NAME_SIZE 16

/*
 * A thread that is neither asleep nor unborn nor dead is runnable: on a run queue, on a CPU, or on
 * its way to one. The sleeping states are enum sleep_kind.
 */
enum thread_state {
    THREAD_RUNNABLE = 0,
    /* 1, 2, 4, 8: enum sleep_kind */
    THREAD_NEW = 16,
    THREAD_DEAD = 32,
};

#define THREAD_STATE_ASLEEP (1u | 2u | 4u | 8u)

/* What a run queue needs to know of a thread. */
struct sched_entity {
    struct rb_node node;      /* [r] in the fair tree, by vruntime */
    struct list_node rt_link; /* [r] in the real-time list, by priority */
    u64 vruntime_ns;          /* [r] CPU time scaled by weight; relative while off any queue */
    u64 run_start_ns;         /* [r] since when the time is not charged yet */
    u64 runtime_ns;           /* [r] CPU time used in total */
    u64 slice_start_ns;       /* [r] runtime_ns when the thread was chosen */
    u32 weight;               /* [r] share of the CPU */
    u8 policy;                /* [r] SCHED_* */
    u8 rt_prio;               /* [r] 1..99 for FIFO and RR, else 0 */
    s8 nice;                  /* [r] */
    bool is_queued;           /* [r] in the tree or the list; never while it runs */
    bool is_current;          /* [r] on its CPU, or in the middle of a switch to or from it */
    bool reset_on_fork;       /* [r] */
    bool goes_last;           /* [t] gives way to its equals in this switch: yield, end of slice */
};

/* How to go on with a system call after a signal, for ERESTART_RESTARTBLOCK. */
struct restart_block {
    long (*func)(struct restart_block *block);
    union {
        struct {
            s32 clock;
            u64 deadline_ns;
            u64 rmtp;
        } nanosleep;
        struct {
            u64 uaddr;
            u32 value;
            u32 flags;
            u32 bitset;
            u64 deadline_ns;
        } futex;
        struct {
            u64 fds;
            u32 nr_fds;
            u64 deadline_ns;
        } poll;
    };
};

/* Release builds check no locks and keep no record of them. */
#define HELD_LOCKS_MAX   (DEBUG_ENABLED ? 32 : 0)
#define HELD_LOCK_FRAMES 6

/* One lock that a thread holds, for the checks of kernel/debug/lockdep.c. */
struct held_lock {
    const void *lock;
    u64 frames[HELD_LOCK_FRAMES]; /* return addresses of the acquisition, innermost first */
    u16 rank;
    u8 kind;      /* enum lock_kind */
    u8 irq_depth; /* interrupt nesting at the acquisition: an outer level's locks do not count */
};

struct thread {
    /* Hot: the scheduler and the return to user mode. */
    u32 state;        /* [x] enum thread_state or enum sleep_kind */
    u32 need_resched; /* [x] non-zero: call schedule() at the next chance; goes with
                             THREAD_WORK_RESCHED, and schedule() clears both */
    u32 cpu;          /* [r] whose run queue the thread belongs to */
    u32 no_fault;     /* [t] non-zero: a fault on user memory fails instead of being handled */
    struct mm *mm;    /* [t] user address space, NULL for kernel threads */
    struct process *process;   /* [I] once attached, and referenced; NULL for kernel threads */
    struct vma *fault_vma;     /* [t] where the last page fault was: a hint, perhaps long gone */
    struct sched_entity sched; /* [r] */
    u64 affinity;              /* [r] CPUs the thread may run on */
    struct arch_thread arch;   /* [t] registers, FPU state */

    s32 tid;                       /* [I] set by the creator before the start; kernel threads: 0 */
    u32 refcount;                  /* [x] one for being alive, one for each holder */
    struct list_node process_link; /* [p] in process->threads */
    struct list_node all_link;     /* in the list of all threads (thread_for_each) */
    char comm[THREAD_NAME_SIZE];   /* [t] write; name, NUL-terminated */

    struct thread_signals sig;
    struct restart_block restart; /* [t] */

    u64 utime_ns; /* [r] CPU time charged as user time */
    u64 stime_ns; /* [r] the rest of sched.runtime_ns */
    u64 nvcsw;    /* [r] switches because it slept */
    u64 nivcsw;   /* [r] switches because another was to run */
    u64 minflt;   /* [t] */
    u64 majflt;   /* [t] */
    u64 start_ns; /* [I] CLOCK_MONOTONIC at creation */

    u64 clear_child_tid; /* [t] user address to clear and wake at exit, or 0 */
    u64 robust_list;     /* [t] user address of struct robust_list_head, or 0 */
    u64 timer_slack_ns;  /* [t] prctl(PR_SET_TIMERSLACK) */

    void (*kernel_fn)(void *); /* [I] what a kernel thread runs */
    void *kernel_arg;          /* [I] */
    bool wakes_sync;           /* [t] is about to sleep: who it wakes may have its CPU */
    u64 fail_nth;              /* [t] the n-th allocation from now fails; 0: none */
    void *wait_on;             /* [t] what the thread waits for, for debuggers; or NULL */
    struct thread *reap_next;  /* the list of finished threads */

    u32 nr_held_locks;                           /* [t] debug builds */
    struct held_lock held_locks[HELD_LOCKS_MAX]; /* [t] debug builds */
};

static ALWAYS_INLINE struct thread *current_thread(void)
{
    return cpu_current_thread();
}

static ALWAYS_INLINE struct process *current_process(void)
{
    return current_thread()->process;
}

static ALWAYS_INLINE struct mm *current_mm(void)
{
    return current_thread()->mm;
}

/**
 * pagefault_disable() - user memory accesses of this thread now fail instead of faulting pages in.
 * pagefault_enable() - undo one pagefault_disable().
 *
 * For accesses under a spin lock: the user copy returns as for a bad address, the caller drops the
 * lock and touches the memory before it tries again.
 */
static inline void pagefault_disable(void)
{
    current_thread()->no_fault++;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void pagefault_enable(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    current_thread()->no_fault--;
}

/** thread_init() - once, at boot, after the slab allocator. */
void thread_init(void);

/**
 * thread_alloc() - a thread with a kernel stack, not running.
 * @out: the thread; the caller holds the one reference
 *
 * Everything not named here is zero. arch.kernel_stack_base and _top are set. The creator sets
 * the tid, links it into the process, fills the arch part (arch_thread_init_user), calls
 * sched_fork(), and at last thread_start(). A thread that is never started is given back with
 * thread_put().
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int thread_alloc(struct thread **out);

/**
 * thread_start() - let a new thread run.
 *
 * The running thread holds a reference of its own, put when it has finished its last switch; the
 * caller keeps the one from thread_alloc().
 */
void thread_start(struct thread *thread);

/**
 * thread_create_kernel() - start a thread that runs fn(arg) in the kernel and then ends.
 * Return: the thread with a reference for the caller, or NULL if memory is short.
 */
struct thread *thread_create_kernel(void (*fn)(void *), void *arg, const char *name);

/** thread_create_kernel_on() - the same, bound to the CPUs of the mask. */
struct thread *thread_create_kernel_on(void (*fn)(void *), void *arg, const char *name,
                                       u64 cpu_mask);

/** thread_exit_final() - the last switch of the calling thread; its memory goes afterwards. */
NORETURN void thread_exit_final(void);

/** thread_is_finished() - whether the thread has left its CPU for ever. */
static inline bool thread_is_finished(const struct thread *thread)
{
    return __atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) == THREAD_DEAD &&
           !__atomic_load_n(&thread->sched.is_current, __ATOMIC_ACQUIRE);
}

/** thread_is_asleep() - whether the thread has left its CPU to sleep, and nothing woke it yet. */
static inline bool thread_is_asleep(const struct thread *thread)
{
    return (__atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) & THREAD_STATE_ASLEEP) != 0 &&
           !__atomic_load_n(&thread->sched.is_current, __ATOMIC_ACQUIRE);
}

/** thread_join_kernel() - wait until a kernel thread has ended, and put the reference. */
void thread_join_kernel(struct thread *thread);

void thread_get(struct thread *thread);
/** thread_put() - the last put frees the thread. Context: any without spin locks held. */
void thread_put(struct thread *thread);

/** thread_set_name() - copy at most 15 characters. */
void thread_set_name(struct thread *thread, const char *name);

/** thread_for_each() - call @fn for every thread, kernel threads too, until it returns false. */
void thread_for_each(bool (*fn)(struct thread *thread, void *arg), void *arg);

/**
 * thread_verify_stacks() - check that no thread has used more than half of its kernel stack.
 *
 * What no suite reaches then has as much again. Debug builds only; a thread's end checks it too.
 */
void thread_verify_stacks(void);

/** thread_deepest_stack() - the most that a thread has used by its end or by the last check. */
u32 thread_deepest_stack(void);

/** thread_state_letter() - as /proc shows it: R, S, D, T, Z. */
char thread_state_letter(const struct thread *thread);

#endif
