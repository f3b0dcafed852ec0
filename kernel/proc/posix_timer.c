/*
 * The timers of timer_create().
 *
 * A timer on a real clock is a kernel timer; one on a CPU-time clock is looked at by the tick, like
 * the interval timers. A timer has one signal record: while that waits to be taken, further
 * expirations only count as overrun.
 */
#include <proc/itimer.h>

#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/slab.h>
#include <proc/clock.h>
#include <proc/cputime.h>
#include <proc/process.h>
#include <proc/signal.h>

struct posix_timer {
    struct list_node link;        /* [lock] of the process' timers */
    struct process_timers *owner; /* [I] */
    struct timer timer;           /* real clocks */
    u64 expires_ns;               /* [lock] CPU clocks: 0 when off */
    u64 interval_ns;              /* [lock] 0 for once */
    s32 id;                       /* [I] */
    s32 clock;                    /* [I] */
    s32 notify;                   /* [I] SIGEV_* */
    s32 signal;                   /* [I] */
    struct thread *target;        /* [I] SIGEV_THREAD_ID: a reference; else NULL */
    union sigval value;           /* [I] */
    struct signal_record record;  /* its signal while that is pending */
};

static bool is_cpu_clock(s32 clock)
{
    return clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

/* The time on the timer's clock; @process_ns is the CPU time of the process. */
static u64 clock_now_locked(const struct posix_timer *timer, u64 process_ns)
{
    if (timer->clock == CLOCK_THREAD_CPUTIME_ID) {
        return __atomic_load_n(&timer->target->sched.runtime_ns, __ATOMIC_RELAXED);
    }
    return timer->clock == CLOCK_PROCESS_CPUTIME_ID ? process_ns : clock_monotonic_ns();
}

/* One expiration, and @nr_missed periods before it that nothing was done for. */
static void notify(struct posix_timer *timer, u64 nr_missed)
{
    const struct siginfo info = {
        .si_signo = timer->signal,
        .si_code = SI_TIMER,
        .timer = {.tid = timer->id,
                  .overrun = (s32)min(nr_missed, (u64)SIGNAL_OVERRUN_MAX),
                  .value = timer->value},
    };

    if (timer->notify != SIGEV_NONE) {
        signal_send_record(timer->owner->process,
                           (timer->notify & SIGEV_THREAD_ID) != 0 ? timer->target : NULL,
                           &timer->record, &info);
    }
}

static void posix_timer_fire(struct timer *base)
{
    struct posix_timer *timer = container_of(base, struct posix_timer, timer);
    struct process_timers *owner = timer->owner;
    u64 nr_missed = 0;

    spin_lock(&owner->lock);
    if (timer->interval_ns != 0 && !owner->is_ending) {
        timer_start(base, timer_next_period(base->deadline_ns, timer->interval_ns,
                                            clock_monotonic_ns(), &nr_missed));
    }
    spin_unlock(&owner->lock);
    notify(timer, nr_missed);
}

void posix_timers_tick_locked(struct process_timers *timers, u64 runtime_ns)
{
    struct posix_timer *timer;

    list_for_each_entry (timer, &timers->posix, link) {
        u64 now;

        if (timer->expires_ns == 0) {
            continue;
        }
        now = clock_now_locked(timer, runtime_ns);
        if (now >= timer->expires_ns) {
            timer->expires_ns = timer->interval_ns != 0 ? now + timer->interval_ns : 0;
            notify(timer, 0);
        }
    }
}

static struct posix_timer *find_locked(struct process_timers *timers, s32 id)
{
    struct posix_timer *timer;

    list_for_each_entry (timer, &timers->posix, link) {
        if (timer->id == id) {
            return timer;
        }
    }
    return NULL;
}

static void destroy(struct posix_timer *timer)
{
    (void)timer_cancel(&timer->timer);
    signal_record_cancel(timer->owner->process, &timer->record);
    if (timer->target != NULL) {
        thread_put(timer->target);
    }
    kfree(timer);
}

/* Takes a timer, or any one for @id < 0, off the list so that nobody else finds it. */
static struct posix_timer *unlink_one(struct process_timers *timers, s32 id)
{
    u64 flags = spin_lock_irqsave(&timers->lock);
    struct posix_timer *timer =
        id < 0 ? list_first_entry_or_null(&timers->posix, struct posix_timer, link)
               : find_locked(timers, id);

    if (timer != NULL) {
        list_del(&timer->link);
        timer->interval_ns = 0;
        timers->nr_posix_cpu -= is_cpu_clock(timer->clock) ? 1 : 0;
    }
    spin_unlock_irqrestore(&timers->lock, flags);
    return timer;
}

void posix_timers_delete_all(struct process_timers *timers)
{
    for (;;) {
        struct posix_timer *timer = unlink_one(timers, -1);

        if (timer == NULL) {
            return;
        }
        destroy(timer);
    }
}

int posix_timer_create(struct process *process, s32 clock, const struct sigevent_abi *event,
                       struct thread *target, s32 *id)
{
    struct process_timers *timers = process_timers_get(process);
    struct posix_timer *timer;
    u64 flags;

    if (timers == NULL) {
        return -EAGAIN;
    }
    timer = kzalloc(sizeof(*timer), 0);
    if (timer == NULL) {
        return -EAGAIN;
    }
    timer_init(&timer->timer, posix_timer_fire);
    signal_record_init(&timer->record);
    timer->owner = timers;
    timer->clock = clock;
    timer->notify = event != NULL ? event->sigev_notify : SIGEV_SIGNAL;
    timer->signal = event != NULL ? event->sigev_signo : SIGALRM;
    timer->target = target;
    if (target != NULL) {
        thread_get(target);
    }
    flags = spin_lock_irqsave(&timers->lock);
    timer->id = timers->next_posix_id++ & 0x7fffffff;
    if (event != NULL) {
        timer->value.sival_ptr = event->sigev_value;
    } else {
        timer->value.sival_int = timer->id;
    }
    list_add_tail(&timers->posix, &timer->link);
    timers->nr_posix_cpu += is_cpu_clock(clock) ? 1 : 0;
    *id = timer->id;
    spin_unlock_irqrestore(&timers->lock, flags);
    return 0;
}

int posix_timer_delete(struct process *process, s32 id)
{
    struct posix_timer *timer =
        process->timers != NULL && id >= 0 ? unlink_one(process->timers, id) : NULL;

    if (timer == NULL) {
        return -EINVAL;
    }
    destroy(timer);
    return 0;
}

/* --- setting ---------------------------------------------------------------------------------- */

static void read_locked(const struct posix_timer *timer, u64 now, struct itimerspec *value)
{
    u64 deadline_ns = timer->expires_ns;

    if (!is_cpu_clock(timer->clock)) {
        deadline_ns = timer_is_queued(&timer->timer) ? timer->timer.deadline_ns : 0;
    }
    *value = (struct itimerspec){.it_interval = ns_to_timespec(timer->interval_ns)};
    if (deadline_ns != 0) {
        value->it_value = ns_to_timespec(deadline_ns > now ? deadline_ns - now : 1);
    }
}

static u64 start_deadline(const struct posix_timer *timer, s32 flags, const struct timespec *ts)
{
    u64 ns = timespec_to_ns(ts);

    if ((flags & TIMER_ABSTIME) == 0) {
        return deadline_after(ns);
    }
    return timer->clock == CLOCK_REALTIME || timer->clock == CLOCK_TAI
               ? clock_realtime_to_monotonic((s64)ns)
               : ns;
}

int posix_timer_get(struct process *process, s32 id, struct itimerspec *value)
{
    struct process_timers *timers = process->timers;
    struct posix_timer *timer;
    u64 process_ns, flags;

    if (timers == NULL) {
        return -EINVAL;
    }
    process_ns = process_runtime_ns(process);
    flags = spin_lock_irqsave(&timers->lock);
    timer = find_locked(timers, id);
    if (timer != NULL) {
        read_locked(timer, clock_now_locked(timer, process_ns), value);
    }
    spin_unlock_irqrestore(&timers->lock, flags);
    return timer != NULL ? 0 : -EINVAL;
}

int posix_timer_set(struct process *process, s32 id, s32 flags, const struct itimerspec *value,
                    struct itimerspec *old)
{
    bool is_off = value->it_value.tv_sec == 0 && value->it_value.tv_nsec == 0;
    struct posix_timer *timer;
    u64 irq_flags, process_ns;
    int error = posix_timer_get(process, id, old);

    if (error != 0) {
        return error;
    }
    /* Stop the timer with its period taken away, so that it does not start itself again. */
    irq_flags = spin_lock_irqsave(&process->timers->lock);
    timer = find_locked(process->timers, id);
    if (timer != NULL) {
        timer->interval_ns = 0;
        timer->expires_ns = 0;
        (void)timer_try_cancel(&timer->timer);
        WRITE_ONCE(timer->record.overrun_taken, 0);
    }
    spin_unlock_irqrestore(&process->timers->lock, irq_flags);
    if (timer == NULL || is_off) {
        return timer == NULL ? -EINVAL : 0;
    }
    process_ns = process_runtime_ns(process);
    irq_flags = spin_lock_irqsave(&process->timers->lock);
    timer = find_locked(process->timers, id);
    if (timer != NULL) {
        timer->interval_ns = timespec_to_ns(&value->it_interval);
        if (is_cpu_clock(timer->clock)) {
            bool is_absolute = (flags & TIMER_ABSTIME) != 0;
            u64 base = is_absolute ? 0 : clock_now_locked(timer, process_ns);

            timer->expires_ns = base + timespec_to_ns(&value->it_value);
        } else {
            timer_start(&timer->timer, start_deadline(timer, flags, &value->it_value));
        }
    }
    spin_unlock_irqrestore(&process->timers->lock, irq_flags);
    return timer != NULL ? 0 : -EINVAL;
}

int posix_timer_overrun(struct process *process, s32 id)
{
    struct process_timers *timers = process->timers;
    struct posix_timer *timer;
    int result = -EINVAL;
    u64 flags;

    if (timers == NULL) {
        return -EINVAL;
    }
    flags = spin_lock_irqsave(&timers->lock);
    timer = find_locked(timers, id);
    if (timer != NULL) {
        result = READ_ONCE(timer->record.overrun_taken);
    }
    spin_unlock_irqrestore(&timers->lock, flags);
    return result;
}
