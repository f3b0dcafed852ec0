/*
 * Interval timers and the CPU-time limit of a process.
 *
 * ITIMER_REAL is a kernel timer. The timers that count CPU time, and RLIMIT_CPU, are looked at by
 * the tick of whichever CPU runs a thread of the process, so they are as precise as the tick.
 * Read next: kernel/proc/posix_timer.c.
 */
#include <proc/itimer.h>

#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/slab.h>
#include <proc/clock.h>
#include <proc/cputime.h>
#include <proc/process.h>
#include <proc/signal.h>

/* Shorter periods are served this often; the signals in between would merge anyway. */
#define PERIOD_MIN_NS (50 * NSEC_PER_USEC)

u64 timer_next_period(u64 deadline_ns, u64 interval_ns, u64 now, u64 *nr_missed)
{
    u64 next = deadline_ns + interval_ns;

    *nr_missed = 0;
    if (next <= now) {
        *nr_missed = (now - deadline_ns) / interval_ns;
        next = deadline_ns + (*nr_missed + 1) * interval_ns;
    }
    return max(next, now + PERIOD_MIN_NS);
}

static void real_timer_fire(struct timer *timer)
{
    struct process_timers *timers = container_of(timer, struct process_timers, real);
    u64 nr_missed;

    spin_lock(&timers->lock);
    if (timers->real_interval_ns != 0 && !timers->is_ending) {
        timer_start(timer, timer_next_period(timer->deadline_ns, timers->real_interval_ns,
                                             clock_monotonic_ns(), &nr_missed));
    }
    spin_unlock(&timers->lock);
    (void)signal_send_process(timers->process, SIGALRM, NULL);
}

struct process_timers *process_timers_get(struct process *process)
{
    struct process_timers *timers = __atomic_load_n(&process->timers, __ATOMIC_ACQUIRE);
    struct process_timers *expected = NULL;

    if (timers != NULL) {
        return timers;
    }
    timers = kzalloc(sizeof(*timers), 0);
    if (timers == NULL) {
        return NULL;
    }
    spin_init(&timers->lock, RANK_ITIMER);
    timers->process = process;
    timer_init(&timers->real, real_timer_fire);
    list_init(&timers->posix);
    if (!__atomic_compare_exchange_n(&process->timers, &expected, timers, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        /* Another thread of the process was faster. */
        kfree(timers);
        return expected;
    }
    return timers;
}

void process_timers_exit(struct process *process)
{
    struct process_timers *timers = process->timers;
    u64 flags;

    if (timers == NULL) {
        return;
    }
    flags = spin_lock_irqsave(&timers->lock);
    timers->is_ending = true;
    spin_unlock_irqrestore(&timers->lock, flags);
    (void)timer_cancel(&timers->real);
    posix_timers_delete_all(timers);
    __atomic_store_n(&process->timers, NULL, __ATOMIC_RELEASE);
    kfree(timers);
}

void process_timers_exec(struct process *process)
{
    if (process->timers != NULL) {
        posix_timers_delete_all(process->timers);
    }
}

/* --- getting and setting ---------------------------------------------------------------------- */

static struct timeval_abi ns_to_timeval(u64 ns)
{
    return (struct timeval_abi){.tv_sec = (s64)(ns / NSEC_PER_SEC),
                                .tv_usec = (s64)(ns % NSEC_PER_SEC / NSEC_PER_USEC)};
}

static bool timeval_is_valid(const struct timeval_abi *tv)
{
    return tv->tv_sec >= 0 && (u64)tv->tv_usec < NSEC_PER_SEC / NSEC_PER_USEC;
}

static u64 timeval_to_ns(const struct timeval_abi *tv)
{
    const struct timespec ts = {tv->tv_sec, tv->tv_usec * (s64)NSEC_PER_USEC};

    return timespec_to_ns(&ts);
}

/* What is left until @deadline; a timer that is about to fire shows the least non-zero value. */
static u64 remaining_ns(u64 deadline_ns, u64 now)
{
    return deadline_ns > now ? max(deadline_ns - now, NSEC_PER_USEC) : NSEC_PER_USEC;
}

static void get_real(struct process_timers *timers, struct itimerval *value)
{
    u64 now = clock_monotonic_ns();
    u64 flags = spin_lock_irqsave(&timers->lock);

    value->it_interval = ns_to_timeval(timers->real_interval_ns);
    value->it_value = ns_to_timeval(
        timer_is_queued(&timers->real) ? remaining_ns(timers->real.deadline_ns, now) : 0);
    spin_unlock_irqrestore(&timers->lock, flags);
}

static void set_real(struct process_timers *timers, u64 value_ns, u64 interval_ns)
{
    u64 flags;

    /* Tell the function not to start the timer again, then stop it, then set it anew. */
    flags = spin_lock_irqsave(&timers->lock);
    timers->real_interval_ns = 0;
    spin_unlock_irqrestore(&timers->lock, flags);
    (void)timer_cancel(&timers->real);
    flags = spin_lock_irqsave(&timers->lock);
    if (value_ns != 0 && !timers->is_ending) {
        timers->real_interval_ns = interval_ns;
        timer_start(&timers->real, deadline_after(value_ns));
    }
    spin_unlock_irqrestore(&timers->lock, flags);
}

static struct cpu_itimer *cpu_timer_of(struct process_timers *timers, int which)
{
    return which == ITIMER_VIRTUAL ? &timers->virt : &timers->prof;
}

static u64 cpu_clock_of(struct process *process, int which)
{
    return which == ITIMER_VIRTUAL ? process_utime_ns(process) : process_runtime_ns(process);
}

static void get_cpu(struct process_timers *timers, int which, struct itimerval *value)
{
    u64 now = cpu_clock_of(timers->process, which);
    u64 flags = spin_lock_irqsave(&timers->lock);
    const struct cpu_itimer *timer = cpu_timer_of(timers, which);

    value->it_interval = ns_to_timeval(timer->interval_ns);
    value->it_value =
        ns_to_timeval(timer->expires_ns != 0 ? remaining_ns(timer->expires_ns, now) : 0);
    spin_unlock_irqrestore(&timers->lock, flags);
}

static void set_cpu(struct process_timers *timers, int which, u64 value_ns, u64 interval_ns)
{
    u64 now = cpu_clock_of(timers->process, which);
    u64 flags = spin_lock_irqsave(&timers->lock);
    struct cpu_itimer *timer = cpu_timer_of(timers, which);

    timer->expires_ns = value_ns != 0 ? now + value_ns : 0;
    timer->interval_ns = value_ns != 0 ? interval_ns : 0;
    spin_unlock_irqrestore(&timers->lock, flags);
}

int itimer_get(struct process *process, int which, struct itimerval *value)
{
    struct process_timers *timers = process->timers;

    if (which != ITIMER_REAL && which != ITIMER_VIRTUAL && which != ITIMER_PROF) {
        return -EINVAL;
    }
    *value = (struct itimerval){};
    if (timers == NULL) {
        return 0;
    }
    if (which == ITIMER_REAL) {
        get_real(timers, value);
    } else {
        get_cpu(timers, which, value);
    }
    return 0;
}

int itimer_set(struct process *process, int which, const struct itimerval *value,
               struct itimerval *old)
{
    struct process_timers *timers;
    u64 value_ns, interval_ns;
    int error;

    if (!timeval_is_valid(&value->it_value) || !timeval_is_valid(&value->it_interval)) {
        return -EINVAL;
    }
    error = itimer_get(process, which, old);
    if (error != 0) {
        return error;
    }
    value_ns = timeval_to_ns(&value->it_value);
    interval_ns = timeval_to_ns(&value->it_interval);
    if (value_ns == 0 && process->timers == NULL) {
        return 0;
    }
    timers = process_timers_get(process);
    if (timers == NULL) {
        return -ENOMEM;
    }
    if (which == ITIMER_REAL) {
        set_real(timers, value_ns, interval_ns);
    } else {
        set_cpu(timers, which, value_ns, interval_ns);
    }
    return 0;
}

/* --- the tick --------------------------------------------------------------------------------- */

/* Whether the timer has expired; sets it for its next period. The lock is held. */
static bool cpu_timer_expired(struct cpu_itimer *timer, u64 now)
{
    if (timer->expires_ns == 0 || now < timer->expires_ns) {
        return false;
    }
    timer->expires_ns = timer->interval_ns != 0 ? now + timer->interval_ns : 0;
    return true;
}

static void check_cpu_timers(struct process_timers *timers, const struct process_usage *usage)
{
    u64 runtime_ns = usage->utime_ns + usage->stime_ns;
    bool is_virt_due, is_prof_due;

    spin_lock(&timers->lock);
    is_virt_due = cpu_timer_expired(&timers->virt, usage->utime_ns);
    is_prof_due = cpu_timer_expired(&timers->prof, runtime_ns);
    posix_timers_tick_locked(timers, runtime_ns);
    spin_unlock(&timers->lock);
    if (is_virt_due) {
        (void)signal_send_process(timers->process, SIGVTALRM, NULL);
    }
    if (is_prof_due) {
        (void)signal_send_process(timers->process, SIGPROF, NULL);
    }
}

static void check_cpu_limit(struct process *process, const struct process_usage *usage)
{
    u64 seconds = (usage->utime_ns + usage->stime_ns) / NSEC_PER_SEC;
    struct rlimit *limit = &process->limits[RLIMIT_CPU];

    if (seconds >= limit->rlim_max) {
        (void)signal_send_process(process, SIGKILL, NULL);
    } else if (seconds >= limit->rlim_cur) {
        /* Once a second from here on. */
        spin_lock(&process->sig_lock);
        limit->rlim_cur = seconds + 1;
        spin_unlock(&process->sig_lock);
        (void)signal_send_process(process, SIGXCPU, NULL);
    }
}

void process_timers_tick(struct process *process)
{
    struct process_timers *timers = __atomic_load_n(&process->timers, __ATOMIC_ACQUIRE);
    bool has_timer = timers != NULL && (timers->virt.expires_ns != 0 ||
                                        timers->prof.expires_ns != 0 || timers->nr_posix_cpu != 0);
    bool has_limit = process->limits[RLIMIT_CPU].rlim_cur != RLIM_INFINITY;
    struct process_usage usage;

    if (likely(!has_timer && !has_limit)) {
        return;
    }
    process_usage_sum(process, &usage);
    if (has_timer) {
        check_cpu_timers(timers, &usage);
    }
    if (has_limit) {
        check_cpu_limit(process, &usage);
    }
}
