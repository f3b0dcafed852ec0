/*
 * The wall clock: an offset to CLOCK_MONOTONIC, read from the battery-backed clock at boot.
 */
#include <proc/clock.h>

static s64 realtime_offset_ns; /* [x] CLOCK_REALTIME - CLOCK_MONOTONIC */

void clock_init(void)
{
    clock_set_realtime((s64)(arch_rtc_read_unix() * NSEC_PER_SEC));
}

s64 clock_realtime_ns(void)
{
    return (s64)clock_monotonic_ns() + __atomic_load_n(&realtime_offset_ns, __ATOMIC_RELAXED);
}

s64 clock_realtime_seconds(void)
{
    return clock_realtime_ns() / (s64)NSEC_PER_SEC;
}

void clock_set_realtime(s64 ns)
{
    __atomic_store_n(&realtime_offset_ns, ns - (s64)clock_monotonic_ns(), __ATOMIC_RELAXED);
}

u64 clock_realtime_to_monotonic(s64 realtime_ns)
{
    s64 offset = __atomic_load_n(&realtime_offset_ns, __ATOMIC_RELAXED);
    s64 result;

    if (__builtin_sub_overflow(realtime_ns, offset, &result)) {
        return realtime_ns > 0 ? U64_MAX - 1 : 0;
    }
    return result < 0 ? 0 : (u64)result;
}
