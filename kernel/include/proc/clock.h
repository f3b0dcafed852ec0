/*
 * The clocks. Everything inside the kernel counts nanoseconds of CLOCK_MONOTONIC since boot.
 */
#ifndef PROC_CLOCK_H
#define PROC_CLOCK_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <arch/platform.h>
#include <uapi/linux/time.h>

/** clock_monotonic_ns() - nanoseconds since boot; never goes back, on any CPU. */
static inline u64 clock_monotonic_ns(void)
{
    return arch_clock_ns();
}

/** clock_init() - read the real-time clock; once, at boot. */
void clock_init(void);
/** clock_realtime_ns() - nanoseconds since 1970-01-01 00:00:00 UTC. */
s64 clock_realtime_ns(void);
/** clock_realtime_seconds() - the same in whole seconds. */
s64 clock_realtime_seconds(void);
/** clock_set_realtime() - set the wall clock; CLOCK_MONOTONIC is not touched. */
void clock_set_realtime(s64 ns);

/**
 * clock_realtime_to_monotonic() - when a wall-clock time comes, as the clock stands now.
 * Return: a CLOCK_MONOTONIC time, 0 for the past, U64_MAX if it is too far away to express.
 */
u64 clock_realtime_to_monotonic(s64 realtime_ns);

/** timespec_is_valid() - tv_sec >= 0 and 0 <= tv_nsec < 10^9, as time-outs must be. */
static inline bool timespec_is_valid(const struct timespec *ts)
{
    return ts->tv_sec >= 0 && (u64)ts->tv_nsec < NSEC_PER_SEC;
}

/** timespec_to_ns() - nanoseconds of a valid timespec, S64_MAX if that is too many. */
static inline u64 timespec_to_ns(const struct timespec *ts)
{
    u64 limit = 0x7fffffffffffffffull;

    if ((u64)ts->tv_sec >= limit / NSEC_PER_SEC) {
        return limit;
    }
    return (u64)ts->tv_sec * NSEC_PER_SEC + (u64)ts->tv_nsec;
}

/** ns_to_timespec() - the timespec of a time since the clock's zero. */
static inline struct timespec ns_to_timespec(u64 ns)
{
    return (struct timespec){.tv_sec = (s64)(ns / NSEC_PER_SEC),
                             .tv_nsec = (s64)(ns % NSEC_PER_SEC)};
}

/** deadline_after() - @ns from now; saturates at "never" minus one. */
static inline u64 deadline_after(u64 ns)
{
    u64 now = clock_monotonic_ns();

    return ns >= U64_MAX - 1 - now ? U64_MAX - 1 : now + ns;
}

#endif
