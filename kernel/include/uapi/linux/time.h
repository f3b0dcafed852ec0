/* Clocks, times and timers as user programs see them. Source: Linux uapi linux/time.h. */
#ifndef UAPI_LINUX_TIME_H
#define UAPI_LINUX_TIME_H

#include <stdint.h>
#include <uapi/linux/resource.h>

#define CLOCK_REALTIME           0
#define CLOCK_MONOTONIC          1
#define CLOCK_PROCESS_CPUTIME_ID 2
#define CLOCK_THREAD_CPUTIME_ID  3
#define CLOCK_MONOTONIC_RAW      4
#define CLOCK_REALTIME_COARSE    5
#define CLOCK_MONOTONIC_COARSE   6
#define CLOCK_BOOTTIME           7
#define CLOCK_REALTIME_ALARM     8
#define CLOCK_BOOTTIME_ALARM     9
#define CLOCK_TAI                11

#define TIMER_ABSTIME 1

#define ITIMER_REAL    0
#define ITIMER_VIRTUAL 1
#define ITIMER_PROF    2

/* The unit of times() and of /proc: AT_CLKTCK says the same. */
#define USER_HZ 100

struct timespec {
    int64_t tv_sec;
    int64_t tv_nsec;
};
_Static_assert(sizeof(struct timespec) == 16, "struct timespec is 16 bytes");

struct itimerspec {
    struct timespec it_interval;
    struct timespec it_value;
};

struct itimerval {
    struct timeval_abi it_interval;
    struct timeval_abi it_value;
};

struct timezone {
    int32_t tz_minuteswest;
    int32_t tz_dsttime;
};

struct tms {
    int64_t tms_utime;
    int64_t tms_stime;
    int64_t tms_cutime;
    int64_t tms_cstime;
};

/* struct sigevent, whose notify function and attributes the kernel ignores. */
#define SIGEV_SIGNAL    0
#define SIGEV_NONE      1
#define SIGEV_THREAD    2
#define SIGEV_THREAD_ID 4

struct sigevent_abi {
    uint64_t sigev_value;
    int32_t sigev_signo;
    int32_t sigev_notify;
    int32_t sigev_tid;
    int32_t sigev_pad[11];
};
_Static_assert(sizeof(struct sigevent_abi) == 64, "struct sigevent is 64 bytes");

#endif
