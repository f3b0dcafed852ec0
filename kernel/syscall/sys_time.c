/*
 * Clocks, sleeping, and the times that threads and processes have used.
 */
#include <syscall/syscalls.h>

#include <lib/errno.h>
#include <lib/string.h>
#include <mm/mm.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/cputime.h>
#include <proc/cred.h>
#include <proc/process.h>
#include <proc/thread.h>
#include <proc/waitqueue.h>
#include <uapi/linux/time.h>

/* The granularity that the _COARSE clocks have on Linux. */
#define COARSE_RESOLUTION_NS 4000000

/* The largest time that fits in 64 bits of nanoseconds. */
#define SECONDS_MAX (S64_MAX / (s64)NSEC_PER_SEC)

/* The clock of another process or thread: its inverted id and what to count, in one number. */
#define CPU_CLOCK_WHAT_MASK  3
#define CPU_CLOCK_PROF       0
#define CPU_CLOCK_VIRT       1
#define CPU_CLOCK_SCHED      2
#define CPU_CLOCK_PER_THREAD 4
#define CPU_CLOCK_ID_SHIFT   3

/* --- reading clocks --------------------------------------------------------------------------- */

static int read_thread_clock(s32 tid, u32 what, u64 *ns)
{
    struct thread *thread = tid == 0 ? current_thread() : thread_find_get(tid);

    if (thread == NULL) {
        return -EINVAL;
    }
    if (thread->process != current_process()) {
        thread_put(thread);
        return -EINVAL;
    }
    *ns = thread_runtime_ns(thread);
    if (what == CPU_CLOCK_VIRT) {
        *ns = thread->utime_ns;
    }
    if (tid != 0) {
        thread_put(thread);
    }
    return 0;
}

static int read_process_clock(s32 pid, u32 what, u64 *ns)
{
    struct process *process = pid == 0 ? current_process() : process_find_get(pid);

    if (process == NULL) {
        return -EINVAL;
    }
    *ns = process_runtime_ns(process);
    if (what == CPU_CLOCK_VIRT) {
        *ns = process_utime_ns(process);
    }
    if (pid != 0) {
        process_put(process);
    }
    return 0;
}

static int read_clock(s32 clock, u64 *ns)
{
    u32 what = (u32)clock & CPU_CLOCK_WHAT_MASK;

    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *ns = (u64)clock_realtime_ns();
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ns = clock_monotonic_ns();
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
        return read_process_clock(0, CPU_CLOCK_SCHED, ns);
    case CLOCK_THREAD_CPUTIME_ID:
        return read_thread_clock(0, CPU_CLOCK_SCHED, ns);
    default:
        break;
    }
    if (clock >= 0 || what > CPU_CLOCK_SCHED) {
        return -EINVAL;
    }
    return ((u32)clock & CPU_CLOCK_PER_THREAD) != 0
               ? read_thread_clock(~(clock >> CPU_CLOCK_ID_SHIFT), what, ns)
               : read_process_clock(~(clock >> CPU_CLOCK_ID_SHIFT), what, ns);
}

/* Before the epoch, the nanoseconds still count forward from tv_sec. */
static struct timespec signed_ns_to_timespec(s64 ns)
{
    struct timespec ts = {.tv_sec = ns / (s64)NSEC_PER_SEC, .tv_nsec = ns % (s64)NSEC_PER_SEC};

    if (ts.tv_nsec < 0) {
        ts.tv_sec--;
        ts.tv_nsec += (s64)NSEC_PER_SEC;
    }
    return ts;
}

long sys_clock_gettime(s32 clock, u64 result)
{
    struct timespec ts;
    u64 ns;
    int error = read_clock(clock, &ns);

    if (error != 0) {
        return error;
    }
    ts = signed_ns_to_timespec((s64)ns);
    return copy_to_user(result, &ts, sizeof(ts));
}

long sys_clock_getres(s32 clock, u64 result)
{
    struct timespec ts = {.tv_nsec = 1};
    u64 ns;
    int error = read_clock(clock, &ns);

    if (error != 0) {
        return error;
    }
    if (clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE) {
        ts.tv_nsec = COARSE_RESOLUTION_NS;
    }
    return result == 0 ? 0 : copy_to_user(result, &ts, sizeof(ts));
}

long sys_time(u64 result)
{
    s64 now = clock_realtime_seconds();

    if (result != 0 && put_user_u64(result, (u64)now) != 0) {
        return -EFAULT;
    }
    return now;
}

/* --- setting the wall clock ------------------------------------------------------------------- */

static struct timezone system_timezone;

static int set_wall_clock(const struct timespec *ts)
{
    if (!timespec_is_valid(ts) || ts->tv_sec > SECONDS_MAX) {
        return -EINVAL;
    }
    if (!has_capability(CAP_SYS_TIME)) {
        return -EPERM;
    }
    clock_set_realtime((s64)timespec_to_ns(ts));
    return 0;
}

long sys_clock_settime(s32 clock, u64 time)
{
    struct timespec ts;
    u64 ns;

    if (read_clock(clock, &ns) != 0) {
        return -EINVAL;
    }
    if (clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID || clock < 0) {
        return copy_from_user(&ts, time, sizeof(ts)) != 0 ? -EFAULT : -EPERM;
    }
    if (clock != CLOCK_REALTIME) {
        return -EINVAL;
    }
    if (copy_from_user(&ts, time, sizeof(ts)) != 0) {
        return -EFAULT;
    }
    return set_wall_clock(&ts);
}

long sys_gettimeofday(u64 tv, u64 tz)
{
    if (tv != 0) {
        struct timespec now = signed_ns_to_timespec(clock_realtime_ns());
        struct timeval_abi value = {.tv_sec = now.tv_sec,
                                    .tv_usec = now.tv_nsec / (s64)NSEC_PER_USEC};

        if (copy_to_user(tv, &value, sizeof(value)) != 0) {
            return -EFAULT;
        }
    }
    return tz == 0 ? 0 : copy_to_user(tz, &system_timezone, sizeof(system_timezone));
}

long sys_settimeofday(u64 tv, u64 tz)
{
    struct timezone zone;
    struct timeval_abi value = {0};
    struct timespec ts;

    if (tv != 0 && copy_from_user(&value, tv, sizeof(value)) != 0) {
        return -EFAULT;
    }
    if (value.tv_usec < 0 || value.tv_usec > (s64)(NSEC_PER_SEC / NSEC_PER_USEC)) {
        return -EINVAL;
    }
    if (tz != 0 && copy_from_user(&zone, tz, sizeof(zone)) != 0) {
        return -EFAULT;
    }
    if (tz != 0 && !has_capability(CAP_SYS_TIME)) {
        return -EPERM;
    }
    if (tz != 0) {
        if (zone.tz_minuteswest > 15 * 60 || zone.tz_minuteswest < -15 * 60) {
            return -EINVAL;
        }
        system_timezone = zone;
    }
    if (tv == 0) {
        return 0;
    }
    ts = (struct timespec){value.tv_sec, value.tv_usec * (s64)NSEC_PER_USEC};
    return set_wall_clock(&ts);
}

/* --- sleeping --------------------------------------------------------------------------------- */

static int sleep_until(u64 deadline_ns)
{
    for (;;) {
        int error;

        thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
        error = thread_sleep_interrupted(SLEEP_INTERRUPTIBLE);
        if (error != 0) {
            thread_cancel_sleep();
            return error;
        }
        if (schedule_until(deadline_ns) != 0) {
            return 0;
        }
    }
}

static long report_remaining(u64 deadline_ns, u64 remaining)
{
    u64 now = clock_monotonic_ns();
    struct timespec left;

    if (now >= deadline_ns) {
        return 0;
    }
    left = ns_to_timespec(deadline_ns - now);
    if (remaining != 0 && copy_to_user(remaining, &left, sizeof(left)) != 0) {
        return -EFAULT;
    }
    return -ERESTART_RESTARTBLOCK;
}

static long restart_sleep(struct restart_block *block)
{
    u64 deadline_ns = block->nanosleep.deadline_ns;

    return sleep_until(deadline_ns) == 0 ? 0 : report_remaining(deadline_ns, block->nanosleep.rmtp);
}

static long sleep_relative(const struct timespec *request, u64 remaining)
{
    u64 deadline_ns = deadline_after(timespec_to_ns(request));
    struct restart_block *block = &current_thread()->restart;

    if (sleep_until(deadline_ns) == 0) {
        return 0;
    }
    block->func = restart_sleep;
    block->nanosleep.deadline_ns = deadline_ns;
    block->nanosleep.rmtp = remaining;
    return report_remaining(deadline_ns, remaining);
}

static long sleep_absolute(s32 clock, const struct timespec *request)
{
    u64 ns = timespec_to_ns(request);
    u64 deadline_ns =
        clock == CLOCK_REALTIME || clock == CLOCK_TAI ? clock_realtime_to_monotonic((s64)ns) : ns;

    return sleep_until(deadline_ns) == 0 ? 0 : -ERESTARTNOHAND;
}

/* Sleeps until the process has used so much CPU time; only its other threads can use any. */
static long sleep_cpu_time(s32 flags, const struct timespec *request)
{
    u64 target = timespec_to_ns(request);

    if ((flags & TIMER_ABSTIME) == 0) {
        target += process_runtime_ns(current_process());
    }
    while (process_runtime_ns(current_process()) < target) {
        if (sleep_until(deadline_after(COARSE_RESOLUTION_NS)) != 0) {
            return (flags & TIMER_ABSTIME) != 0 ? -ERESTARTNOHAND : -EINTR;
        }
    }
    return 0;
}

long sys_nanosleep(u64 request, u64 remaining)
{
    struct timespec ts;

    if (copy_from_user(&ts, request, sizeof(ts)) != 0) {
        return -EFAULT;
    }
    if (!timespec_is_valid(&ts)) {
        return -EINVAL;
    }
    return sleep_relative(&ts, remaining);
}

static bool can_sleep_on(s32 clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
    case CLOCK_TAI:
    case CLOCK_PROCESS_CPUTIME_ID:
        return true;
    default:
        return false;
    }
}

long sys_clock_nanosleep(s32 clock, s32 flags, u64 request, u64 remaining)
{
    struct timespec ts;
    u64 ns;

    if (read_clock(clock, &ns) != 0) {
        return -EINVAL;
    }
    if (!can_sleep_on(clock)) {
        return -EOPNOTSUPP;
    }
    if (copy_from_user(&ts, request, sizeof(ts)) != 0) {
        return -EFAULT;
    }
    if (!timespec_is_valid(&ts)) {
        return -EINVAL;
    }
    if (clock == CLOCK_PROCESS_CPUTIME_ID) {
        return sleep_cpu_time(flags, &ts);
    }
    return (flags & TIMER_ABSTIME) != 0 ? sleep_absolute(clock, &ts)
                                        : sleep_relative(&ts, remaining);
}

/* --- time used -------------------------------------------------------------------------------- */

static s64 ns_to_ticks(u64 ns)
{
    return (s64)(ns / (NSEC_PER_SEC / USER_HZ));
}

static void current_usage(struct process_usage *usage)
{
    cputime_charge_current();
    process_usage_sum(current_process(), usage);
}

long sys_times(u64 buffer)
{
    struct process *process = current_process();
    struct process_usage usage;
    struct tms times;

    if (buffer != 0) {
        current_usage(&usage);
        times = (struct tms){
            .tms_utime = ns_to_ticks(usage.utime_ns),
            .tms_stime = ns_to_ticks(usage.stime_ns),
            .tms_cutime = ns_to_ticks(process->child_usage.utime_ns),
            .tms_cstime = ns_to_ticks(process->child_usage.stime_ns),
        };
        if (copy_to_user(buffer, &times, sizeof(times)) != 0) {
            return -EFAULT;
        }
    }
    return ns_to_ticks(clock_monotonic_ns());
}

static struct timeval_abi ns_to_timeval(u64 ns)
{
    return (struct timeval_abi){.tv_sec = (s64)(ns / NSEC_PER_SEC),
                                .tv_usec = (s64)(ns % NSEC_PER_SEC / NSEC_PER_USEC)};
}

long sys_getrusage(s32 who, u64 result)
{
    struct process *process = current_process();
    struct process_usage usage;
    struct rusage value;

    switch (who) {
    case RUSAGE_SELF:
        current_usage(&usage);
        break;
    case RUSAGE_CHILDREN:
        usage = process->child_usage;
        break;
    case RUSAGE_THREAD:
        cputime_charge_current();
        usage = thread_usage(current_thread());
        break;
    default:
        return -EINVAL;
    }
    if (who != RUSAGE_CHILDREN) {
        usage.maxrss_pages = max(current_mm()->hiwater_rss, mm_rss_total(current_mm()));
    }
    memset(&value, 0, sizeof(value));
    value.ru_utime = ns_to_timeval(usage.utime_ns);
    value.ru_stime = ns_to_timeval(usage.stime_ns);
    value.ru_maxrss = (s64)(usage.maxrss_pages * (PAGE_SIZE / KIB));
    value.ru_minflt = (s64)usage.minflt;
    value.ru_majflt = (s64)usage.majflt;
    value.ru_nvcsw = (s64)usage.nvcsw;
    value.ru_nivcsw = (s64)usage.nivcsw;
    return copy_to_user(result, &value, sizeof(value));
}
