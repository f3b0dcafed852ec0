/*
 * Threads: making them, naming them, and taking them apart after their last switch.
 *
 * A thread cannot free the stack it runs on. Its last switch puts it on its CPU's list of finished
 * threads, and whoever runs there next gives it back.
 */
#include <proc/thread.h>

#include <debug/lockdep.h>
#include <debug/panic.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <mm/vmap.h>
#include <proc/clock.h>
#include <proc/process.h>
#include <proc/runqueue.h>
#include <proc/signal.h>
#include <proc/waitqueue.h>

static struct kmem_cache *thread_cache;
static struct spinlock all_threads_lock = SPINLOCK_INIT(RANK_THREAD_LIST);
static struct list_node all_threads = LIST_INIT(all_threads);
static struct wait_queue join_queue = WAIT_QUEUE_INIT(join_queue);
static struct thread idle_threads[MAX_CPUS];
static u32 deepest_stack; /* [all_threads_lock] */

static void note_stack(const struct thread *thread) REQUIRES(all_threads_lock);

void thread_init(void)
{
    thread_cache = kmem_cache_create("thread", sizeof(struct thread), 64, NULL);
}

static void set_defaults(struct thread *thread)
{
    const struct sched_params params = {.policy = SCHED_OTHER};

    thread->refcount = 1;
    thread->state = THREAD_NEW;
    thread->affinity = U64_MAX;
    thread->sched.policy = (u8)params.policy;
    thread->sched.weight = sched_weight(SCHED_OTHER, 0);
    thread->timer_slack_ns = 50 * NSEC_PER_USEC;
    thread->start_ns = clock_monotonic_ns();
    signal_thread_init(thread, NULL);
}

int thread_alloc(struct thread **out)
{
    struct thread *thread = kmem_cache_alloc(thread_cache, ALLOC_ZERO);
    u64 flags;

    if (thread == NULL) {
        return -ENOMEM;
    }
    set_defaults(thread);
    void *stack = vmap_alloc_stack();

    if (stack == NULL) {
        kmem_cache_free(thread_cache, thread);
        return -ENOMEM;
    }
    thread->arch.kernel_stack_base = (u64)stack;
    thread->arch.kernel_stack_top = (u64)stack + KSTACK_SIZE;
    flags = spin_lock_irqsave(&all_threads_lock);
    list_add_tail(&all_threads, &thread->all_link);
    spin_unlock_irqrestore(&all_threads_lock, flags);
    *out = thread;
    return 0;
}

static void thread_free(struct thread *thread)
{
    u64 flags = spin_lock_irqsave(&all_threads_lock);

    list_del(&thread->all_link);
    if (DEBUG_ENABLED) {
        note_stack(thread);
    }
    spin_unlock_irqrestore(&all_threads_lock, flags);
    arch_thread_fpu_free(&thread->arch);
    if (thread->process != NULL) {
        process_put(thread->process);
    }
    vmap_free_stack((void *)thread->arch.kernel_stack_base);
    kmem_cache_free(thread_cache, thread);
}

void thread_get(struct thread *thread)
{
    u32 old = __atomic_fetch_add(&thread->refcount, 1, __ATOMIC_RELAXED);

    DEBUG_ASSERT(old != 0, "only a living reference is copied");
}

void thread_put(struct thread *thread)
{
    u32 old = __atomic_fetch_sub(&thread->refcount, 1, __ATOMIC_ACQ_REL);

    ASSERT(old != 0, "each reference to a thread is put once");
    if (old == 1) {
        ASSERT(!thread->sched.is_current && !thread->sched.is_queued,
               "a thread without references does not run");
        thread_free(thread);
    }
}

/* --- kernel threads --------------------------------------------------------------------------- */

static NORETURN void kernel_thread_main(void *arg)
{
    struct thread *thread = arg;

    thread->kernel_fn(thread->kernel_arg);
    thread_exit_final();
}

struct thread *thread_create_kernel_on(void (*fn)(void *), void *arg, const char *name,
                                       u64 cpu_mask)
{
    struct thread *thread;

    if (thread_alloc(&thread) != 0) {
        return NULL;
    }
    thread_set_name(thread, name);
    thread->affinity = cpu_mask;
    thread->kernel_fn = fn;
    thread->kernel_arg = arg;
    arch_thread_init_kernel(&thread->arch, kernel_thread_main, thread);
    thread_start(thread);
    return thread;
}

struct thread *thread_create_kernel(void (*fn)(void *), void *arg, const char *name)
{
    return thread_create_kernel_on(fn, arg, name, U64_MAX);
}

void thread_join_kernel(struct thread *thread)
{
    wait_event(&join_queue, thread_is_finished(thread));
    thread_put(thread);
}

struct thread *thread_make_idle(u32 cpu)
{
    struct thread *idle = &idle_threads[cpu];

    set_defaults(idle);
    idle->state = THREAD_RUNNABLE;
    idle->cpu = cpu;
    idle->affinity = BIT(cpu);
    idle->sched.policy = SCHED_IDLE;
    /* The stack on which the CPU has started; its size is the machine's affair. */
    idle->arch.kernel_stack_top = this_cpu()->kernel_stack_top;
    idle->arch.kernel_stack_base = idle->arch.kernel_stack_top - KSTACK_SIZE;
    thread_set_name(idle, "idle");
    list_init(&idle->all_link);
    return idle;
}

/* --- the end ---------------------------------------------------------------------------------- */

void thread_exit_final(void)
{
    struct thread *thread = current_thread();

    if (DEBUG_ENABLED) {
        lockdep_assert_none_held();
    }
    __atomic_store_n(&thread->state, THREAD_DEAD, __ATOMIC_RELEASE);
    schedule();
    BUG("a finished thread does not run again");
}

void sched_reap(void)
{
    u64 flags = irq_save();
    struct runqueue *rq = this_runqueue();
    struct thread *thread = rq->finished;

    rq->finished = NULL;
    irq_restore(flags);
    while (thread != NULL) {
        struct thread *following = thread->reap_next;
        bool is_kernel_thread = thread->kernel_fn != NULL;

        thread_put(thread);
        if (is_kernel_thread) {
            wake_up_all(&join_queue);
        }
        thread = following;
    }
}

/* --- looking at threads ----------------------------------------------------------------------- */

void thread_set_name(struct thread *thread, const char *name)
{
    (void)strlcpy(thread->comm, name, sizeof(thread->comm));
}

void thread_for_each(bool (*fn)(struct thread *thread, void *arg), void *arg)
{
    u64 flags = spin_lock_irqsave(&all_threads_lock);
    struct thread *thread;

    list_for_each_entry (thread, &all_threads, all_link) {
        if (!fn(thread, arg)) {
            break;
        }
    }
    spin_unlock_irqrestore(&all_threads_lock, flags);
}

/* --- how deep kernel stacks get --------------------------------------------------------------- */

static void note_stack(const struct thread *thread)
{
    u32 used = vmap_stack_used((const void *)thread->arch.kernel_stack_base);

    if (used > KSTACK_SIZE / 2) {
        panic("thread \"%s\" has used %u bytes of its kernel stack, more than half of it",
              thread->comm, used);
    }
    deepest_stack = max(deepest_stack, used);
}

static bool visit_stack(struct thread *thread, void *unused) REQUIRES(all_threads_lock)
{
    note_stack(thread);
    return true;
}

void thread_verify_stacks(void)
{
    if (DEBUG_ENABLED) {
        thread_for_each(visit_stack, NULL);
    }
}

u32 thread_deepest_stack(void)
{
    return READ_ONCE(deepest_stack);
}

char thread_state_letter(const struct thread *thread)
{
    u32 state = __atomic_load_n(&thread->state, __ATOMIC_RELAXED);

    if (READ_ONCE(thread->sig.stopped)) {
        return 'T';
    }
    switch (state) {
    case SLEEP_INTERRUPTIBLE:
        return 'S';
    case SLEEP_KILLABLE:
    case SLEEP_UNINTERRUPTIBLE:
        return 'D';
    case SLEEP_STOPPED:
        return 'T';
    case THREAD_DEAD:
        return 'Z';
    default:
        return 'R';
    }
}

/* --- timed sleep ------------------------------------------------------------------------------ */

struct sleep_timer {
    struct timer timer;
    struct thread *thread;
    bool has_fired;
};

static void sleep_timer_fire(struct timer *timer)
{
    struct sleep_timer *sleep = container_of(timer, struct sleep_timer, timer);

    __atomic_store_n(&sleep->has_fired, true, __ATOMIC_RELEASE);
    (void)thread_wake(sleep->thread);
}

int schedule_timed(u64 deadline_ns)
{
    struct sleep_timer sleep;

    if (deadline_ns <= clock_monotonic_ns()) {
        thread_cancel_sleep();
        return -ETIMEDOUT;
    }
    sleep.thread = current_thread();
    sleep.has_fired = false;
    timer_init(&sleep.timer, sleep_timer_fire);
    timer_start(&sleep.timer, deadline_ns);
    schedule();
    (void)timer_cancel(&sleep.timer);
    return __atomic_load_n(&sleep.has_fired, __ATOMIC_ACQUIRE) ? -ETIMEDOUT : 0;
}
