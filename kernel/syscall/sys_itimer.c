/*
 * alarm, setitimer and the timers of timer_create.
 */
#include <syscall/syscalls.h>

#include <lib/errno.h>
#include <mm/usercopy.h>
#include <proc/clock.h>
#include <proc/itimer.h>
#include <proc/process.h>
#include <proc/thread.h>
#include <uapi/linux/signal.h>
#include <uapi/linux/time.h>

#define USEC_PER_SEC (NSEC_PER_SEC / NSEC_PER_USEC)

long sys_alarm(u32 seconds)
{
    struct itimerval value = {.it_value.tv_sec = (s64)min(seconds, (u32)S32_MAX)};
    struct itimerval old;
    int error = itimer_set(current_process(), ITIMER_REAL, &value, &old);

    if (error != 0) {
        return error;
    }
    /* Rounded, but a timer that runs never reads as none. */
    if ((old.it_value.tv_sec == 0 && old.it_value.tv_usec != 0) ||
        old.it_value.tv_usec >= (s64)USEC_PER_SEC / 2) {
        old.it_value.tv_sec++;
    }
    return old.it_value.tv_sec;
}

long sys_getitimer(s32 which, u64 value)
{
    struct itimerval current;
    int error = itimer_get(current_process(), which, &current);

    return error != 0 ? error : copy_to_user(value, &current, sizeof(current));
}

long sys_setitimer(s32 which, u64 value, u64 old_value)
{
    struct itimerval new = {};
    struct itimerval old;
    int error;

    if (value != 0 && copy_from_user(&new, value, sizeof(new)) != 0) {
        return -EFAULT;
    }
    error = itimer_set(current_process(), which, &new, &old);
    if (error != 0) {
        return error;
    }
    return old_value == 0 ? 0 : copy_to_user(old_value, &old, sizeof(old));
}

/* --- timer_create ----------------------------------------------------------------------------- */

static bool clock_has_timers(s32 clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ||
           clock == CLOCK_TAI || clock == CLOCK_PROCESS_CPUTIME_ID ||
           clock == CLOCK_THREAD_CPUTIME_ID;
}

static bool clock_exists(s32 clock)
{
    return (clock >= 0 && clock <= CLOCK_BOOTTIME_ALARM) || clock == CLOCK_TAI;
}

static int check_event(const struct sigevent_abi *event)
{
    switch (event->sigev_notify) {
    case SIGEV_NONE:
        return 0;
    case SIGEV_SIGNAL:
    case SIGEV_THREAD:
    case SIGEV_SIGNAL | SIGEV_THREAD_ID:
        return event->sigev_signo >= 1 && event->sigev_signo <= SIGRTMAX ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

/* The thread that the timer is about, with a reference; NULL for the process. */
static int find_target(s32 clock, const struct sigevent_abi *event, struct thread **target)
{
    struct thread *thread;

    *target = NULL;
    if (event != NULL && event->sigev_notify == (SIGEV_SIGNAL | SIGEV_THREAD_ID)) {
        thread = thread_find_get(event->sigev_tid);
        if (thread == NULL) {
            return -EINVAL;
        }
        if (thread->process != current_process()) {
            thread_put(thread);
            return -EINVAL;
        }
        *target = thread;
    } else if (clock == CLOCK_THREAD_CPUTIME_ID) {
        thread_get(current_thread());
        *target = current_thread();
    }
    return 0;
}

long sys_timer_create(s32 clock, u64 event, u64 id)
{
    struct process *process = current_process();
    struct sigevent_abi user_event;
    struct thread *target;
    s32 new_id;
    int error;

    if (event != 0 && copy_from_user(&user_event, event, sizeof(user_event)) != 0) {
        return -EFAULT;
    }
    if (!clock_has_timers(clock)) {
        return clock_exists(clock) ? -EOPNOTSUPP : -EINVAL;
    }
    error = event != 0 ? check_event(&user_event) : 0;
    if (error == 0) {
        error = find_target(clock, event != 0 ? &user_event : NULL, &target);
    }
    if (error != 0) {
        return error;
    }
    error = posix_timer_create(process, clock, event != 0 ? &user_event : NULL, target, &new_id);
    if (target != NULL) {
        thread_put(target);
    }
    if (error != 0) {
        return error;
    }
    if (put_user_u32(id, (u32)new_id) != 0) {
        error = posix_timer_delete(process, new_id);
        return error != 0 ? error : -EFAULT;
    }
    return 0;
}

long sys_timer_settime(s32 id, s32 flags, u64 value, u64 old_value)
{
    struct itimerspec new, old;
    int error;

    if (value == 0) {
        return -EINVAL;
    }
    if (copy_from_user(&new, value, sizeof(new)) != 0) {
        return -EFAULT;
    }
    if (!timespec_is_valid(&new.it_value) || !timespec_is_valid(&new.it_interval)) {
        return -EINVAL;
    }
    error = posix_timer_set(current_process(), id, flags, &new, &old);
    if (error != 0) {
        return error;
    }
    return old_value == 0 ? 0 : copy_to_user(old_value, &old, sizeof(old));
}

long sys_timer_gettime(s32 id, u64 value)
{
    struct itimerspec current;
    int error = posix_timer_get(current_process(), id, &current);

    return error != 0 ? error : copy_to_user(value, &current, sizeof(current));
}

long sys_timer_getoverrun(s32 id)
{
    return posix_timer_overrun(current_process(), id);
}

long sys_timer_delete(s32 id)
{
    return posix_timer_delete(current_process(), id);
}
