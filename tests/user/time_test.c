/*
 * Clocks, sleeping, timers and futex arguments: values and error numbers.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "time"
#include "utest.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

#define BAD_POINTER ((void *)0xffff800000001000ul)
#define NS_PER_S    1000000000ll

static long long now_ns(clockid_t clock)
{
    struct timespec ts;

    return clock_gettime(clock, &ts) == 0 ? ts.tv_sec * NS_PER_S + ts.tv_nsec : -1;
}

static void use_cpu_ns(long long ns)
{
    long long until = now_ns(CLOCK_PROCESS_CPUTIME_ID) + ns;

    while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < until) {}
}

/* --- clocks ----------------------------------------------------------------------------------- */

TEST(clocks_that_exist_can_be_read)
{
    static const clockid_t clocks[] = {
        CLOCK_REALTIME,          CLOCK_MONOTONIC,     CLOCK_PROCESS_CPUTIME_ID,
        CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
        CLOCK_MONOTONIC_COARSE,  CLOCK_BOOTTIME,      CLOCK_TAI};
    struct timespec ts;

    for (unsigned i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
        EXPECT_EQ(0, syscall(SYS_clock_gettime, clocks[i], &ts));
        EXPECT_TRUE(ts.tv_nsec >= 0 && ts.tv_nsec < NS_PER_S);
        EXPECT_EQ(0, syscall(SYS_clock_getres, clocks[i], &ts));
        EXPECT_EQ(0, syscall(SYS_clock_getres, clocks[i], NULL));
    }
    EXPECT_EQ(0, syscall(SYS_clock_getres, CLOCK_MONOTONIC, &ts));
    EXPECT_EQ(1, ts.tv_nsec);
}

TEST(clock_errors)
{
    struct timespec ts = {0};

    EXPECT_ERRNO(EINVAL, syscall(SYS_clock_gettime, 10, &ts));
    EXPECT_ERRNO(EINVAL, syscall(SYS_clock_gettime, 99, &ts));
    EXPECT_ERRNO(EINVAL, syscall(SYS_clock_getres, 99, &ts));
    EXPECT_ERRNO(EFAULT, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, NULL));
    EXPECT_ERRNO(EFAULT, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, BAD_POINTER));
    EXPECT_ERRNO(EFAULT, syscall(SYS_clock_getres, CLOCK_MONOTONIC, BAD_POINTER));
    EXPECT_ERRNO(EINVAL, syscall(SYS_clock_settime, CLOCK_MONOTONIC, &ts));
    EXPECT_ERRNO(EINVAL, syscall(SYS_clock_settime, 99, &ts));
    EXPECT_ERRNO(EFAULT, syscall(SYS_clock_settime, CLOCK_REALTIME, BAD_POINTER));
    ts.tv_nsec = NS_PER_S;
    EXPECT_ERRNO(EINVAL, syscall(SYS_clock_settime, CLOCK_REALTIME, &ts));
    EXPECT_ERRNO(EFAULT, syscall(SYS_gettimeofday, BAD_POINTER, NULL));
    EXPECT_EQ(0, syscall(SYS_gettimeofday, NULL, NULL));
    EXPECT_ERRNO(EFAULT, syscall(SYS_time, BAD_POINTER));
}

/* The clock of a process (2) or a thread (6), by its number. */
static clockid_t clock_of(int id, unsigned what)
{
    return (clockid_t)(~(unsigned)id << 3 | what);
}

TEST(clock_of_another_process_and_thread)
{
    struct timespec ts;

    EXPECT_EQ(0, syscall(SYS_clock_gettime, clock_of(getpid(), 2), &ts));
    EXPECT_EQ(0, syscall(SYS_clock_gettime, clock_of((int)syscall(SYS_gettid), 6), &ts));
    EXPECT_ERRNO(EINVAL, syscall(SYS_clock_gettime, clock_of(999999, 2), &ts));
}

TEST(wall_clocks_agree)
{
    struct timeval tv;
    time_t seconds = time(NULL);

    EXPECT_EQ(0, syscall(SYS_gettimeofday, &tv, NULL));
    EXPECT_TRUE(tv.tv_sec - seconds <= 1);
    EXPECT_TRUE(now_ns(CLOCK_REALTIME) / NS_PER_S - tv.tv_sec <= 1);
    EXPECT_EQ(seconds, syscall(SYS_time, &seconds));
}

TEST(cpu_time_grows_with_work_only)
{
    enum { SLEEP_NS = 100 * 1000 * 1000 };
    struct rusage usage;
    long long before, start, awake;

    use_cpu_ns(30 * 1000 * 1000);
    before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    EXPECT_LE(30 * 1000 * 1000, before);
    start = now_ns(CLOCK_MONOTONIC);
    usleep(SLEEP_NS / 1000);
    /* What the host took away while the program ran counts as the program's. */
    awake = now_ns(CLOCK_MONOTONIC) - start - SLEEP_NS;
    EXPECT_LE(now_ns(CLOCK_PROCESS_CPUTIME_ID) - before, awake + SLEEP_NS / 2);
    EXPECT_EQ(0, getrusage(RUSAGE_SELF, &usage));
    EXPECT_LE(25 * 1000, (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                             usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    EXPECT_LE(1, usage.ru_nvcsw);
    EXPECT_EQ(0, getrusage(RUSAGE_THREAD, &usage));
    EXPECT_ERRNO(EINVAL, getrusage(7, &usage));
    EXPECT_ERRNO(EFAULT, syscall(SYS_getrusage, RUSAGE_SELF, BAD_POINTER));
    EXPECT_ERRNO(EFAULT, syscall(SYS_times, BAD_POINTER));
    EXPECT_LE(0, syscall(SYS_times, NULL));
}

TEST(usage_of_a_child_counts_when_it_is_waited_for)
{
    struct rusage usage;
    pid_t pid = fork();

    if (pid == 0) {
        use_cpu_ns(40 * 1000 * 1000);
        _exit(0);
    }
    EXPECT_EQ(pid, waitpid(pid, NULL, 0));
    EXPECT_EQ(0, getrusage(RUSAGE_CHILDREN, &usage));
    EXPECT_LE(35 * 1000, (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                             usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* --- sleeping --------------------------------------------------------------------------------- */

TEST(sleep_errors)
{
    struct timespec ts = {.tv_nsec = -1};

    EXPECT_ERRNO(EINVAL, syscall(SYS_nanosleep, &ts, NULL));
    ts.tv_nsec = NS_PER_S;
    EXPECT_ERRNO(EINVAL, syscall(SYS_nanosleep, &ts, NULL));
    ts = (struct timespec){.tv_sec = -1};
    EXPECT_ERRNO(EINVAL, syscall(SYS_nanosleep, &ts, NULL));
    EXPECT_ERRNO(EFAULT, syscall(SYS_nanosleep, BAD_POINTER, NULL));
    ts = (struct timespec){0};
    EXPECT_EQ(0, syscall(SYS_nanosleep, &ts, BAD_POINTER));
    EXPECT_ERRNO(EINVAL, syscall(SYS_clock_nanosleep, 99, 0, &ts, NULL));
    EXPECT_ERRNO(EOPNOTSUPP, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &ts, NULL));
    EXPECT_ERRNO(EOPNOTSUPP, syscall(SYS_clock_nanosleep, CLOCK_REALTIME_COARSE, 0, &ts, NULL));
    EXPECT_ERRNO(EFAULT, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, BAD_POINTER, NULL));
    EXPECT_EQ(0, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
    EXPECT_EQ(0, syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL));
}

TEST(absolute_sleep_ends_at_its_time)
{
    long long until = now_ns(CLOCK_REALTIME) + 30 * 1000 * 1000;
    struct timespec ts = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};

    EXPECT_EQ(0, clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL));
    EXPECT_LE(until, now_ns(CLOCK_REALTIME));
}

static volatile sig_atomic_t nr_signals;

static void count_signal(int signal)
{
    (void)signal;
    nr_signals++;
}

static void handle(int signal)
{
    struct sigaction action = {.sa_handler = count_signal};

    sigaction(signal, &action, NULL);
}

TEST(interrupted_sleep_tells_what_is_left)
{
    struct itimerval timer = {.it_value = {.tv_usec = 30 * 1000},
                              .it_interval = {.tv_usec = 30 * 1000}};
    struct timespec ts = {.tv_sec = 50};
    struct timespec left = {0};
    long long slept;

    handle(SIGALRM);
    setitimer(ITIMER_REAL, &timer, NULL);
    slept = -now_ns(CLOCK_MONOTONIC);
    EXPECT_ERRNO(EINTR, nanosleep(&ts, &left));
    slept += now_ns(CLOCK_MONOTONIC);
    EXPECT_LE(1, nr_signals);
    /* Both ends of the sleep lie between the two looks at the clock. */
    EXPECT_LE(50 * NS_PER_S - slept, left.tv_sec * NS_PER_S + left.tv_nsec);
    EXPECT_LE(left.tv_sec * NS_PER_S + left.tv_nsec, 50 * NS_PER_S - 1);
}

/* --- interval timers -------------------------------------------------------------------------- */

TEST(interval_timer_errors)
{
    struct itimerval value = {.it_value = {.tv_usec = 1000000}};

    EXPECT_ERRNO(EINVAL, syscall(SYS_setitimer, ITIMER_REAL, &value, NULL));
    value = (struct itimerval){.it_value = {.tv_sec = -1}};
    EXPECT_ERRNO(EINVAL, syscall(SYS_setitimer, ITIMER_REAL, &value, NULL));
    value = (struct itimerval){0};
    EXPECT_ERRNO(EINVAL, syscall(SYS_setitimer, 3, &value, NULL));
    EXPECT_ERRNO(EINVAL, syscall(SYS_getitimer, 3, &value));
    EXPECT_ERRNO(EFAULT, syscall(SYS_setitimer, ITIMER_REAL, BAD_POINTER, NULL));
    EXPECT_ERRNO(EFAULT, syscall(SYS_getitimer, ITIMER_REAL, BAD_POINTER));
    EXPECT_EQ(0, syscall(SYS_setitimer, ITIMER_REAL, &value, NULL));
}

TEST(interval_timer_repeats_until_it_is_stopped)
{
    struct itimerval value = {.it_interval = {.tv_usec = 5000}, .it_value = {.tv_usec = 5000}};
    struct itimerval old;

    handle(SIGALRM);
    EXPECT_EQ(0, setitimer(ITIMER_REAL, &value, NULL));
    while (nr_signals < 4) {
        pause();
    }
    value = (struct itimerval){0};
    EXPECT_EQ(0, setitimer(ITIMER_REAL, &value, &old));
    EXPECT_EQ(5000, old.it_interval.tv_usec);
    EXPECT_TRUE(old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 5000);
    nr_signals = 0;
    usleep(20 * 1000);
    EXPECT_EQ(0, nr_signals);
}

TEST(alarm_returns_what_was_left)
{
    unsigned left;

    /* The framework has an alarm of its own running. */
    alarm(100);
    left = alarm(50);
    EXPECT_TRUE(left > 90 && left <= 100);
    left = alarm(0);
    EXPECT_TRUE(left > 40 && left <= 50);
    EXPECT_EQ(0, alarm(0));
}

TEST(cpu_time_timers_fire)
{
    struct itimerval value = {.it_value = {.tv_usec = 20 * 1000}};
    struct itimerval old;
    long long before;

    handle(SIGPROF);
    before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    EXPECT_EQ(0, setitimer(ITIMER_PROF, &value, NULL));
    usleep(60 * 1000);
    /* The host may have taken the CPU away, which counts as the program's. */
    EXPECT_TRUE(nr_signals == 0 || now_ns(CLOCK_PROCESS_CPUTIME_ID) - before >= 20 * 1000 * 1000);
    /* The signal comes with the tick behind the time, which a stopped CPU does not get. */
    do {
        use_cpu_ns(60 * 1000 * 1000);
    } while (nr_signals == 0);
    EXPECT_EQ(1, nr_signals);
    EXPECT_EQ(0, getitimer(ITIMER_PROF, &old));
    EXPECT_EQ(0, old.it_value.tv_sec + old.it_value.tv_usec);
}

/* How late depends on the ticks, of which a stopped CPU gets none; the hard limit would kill. */
TEST(cpu_limit_sends_sigxcpu)
{
    struct rlimit limit = {.rlim_cur = 1, .rlim_max = 30};

    handle(SIGXCPU);
    EXPECT_EQ(0, setrlimit(RLIMIT_CPU, &limit));
    while (nr_signals == 0) {
        use_cpu_ns(10 * 1000 * 1000);
    }
    EXPECT_LE(NS_PER_S * 9 / 10, now_ns(CLOCK_PROCESS_CPUTIME_ID));
}

/* --- timer_create ----------------------------------------------------------------------------- */

static int timer_value;
static int timer_code;

static void take_info(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    timer_value = info->si_value.sival_int;
    timer_code = info->si_code;
    nr_signals++;
}

static int create_timer(clockid_t clock, int signal, int value, int *id)
{
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal, .sigev_value = {.sival_int = value}};
    struct sigaction action = {.sa_sigaction = take_info, .sa_flags = SA_SIGINFO};

    sigaction(signal, &action, NULL);
    return (int)syscall(SYS_timer_create, clock, &event, id);
}

TEST(timer_signal_carries_its_value)
{
    struct itimerspec value = {.it_value = {.tv_nsec = 5 * 1000 * 1000}};
    int id;

    ASSERT_EQ(0, create_timer(CLOCK_MONOTONIC, SIGUSR1, 77, &id));
    EXPECT_EQ(0, syscall(SYS_timer_settime, id, 0, &value, NULL));
    while (nr_signals == 0) {
        usleep(1000);
    }
    EXPECT_EQ(77, timer_value);
    EXPECT_EQ(SI_TIMER, timer_code);
    EXPECT_EQ(0, syscall(SYS_timer_gettime, id, &value));
    EXPECT_EQ(0, value.it_value.tv_sec + value.it_value.tv_nsec);
    EXPECT_EQ(0, syscall(SYS_timer_getoverrun, id));
    EXPECT_EQ(0, syscall(SYS_timer_delete, id));
    EXPECT_ERRNO(EINVAL, syscall(SYS_timer_delete, id));
}

TEST(timer_overrun_is_counted_while_the_signal_is_blocked)
{
    struct itimerspec value = {.it_interval = {.tv_nsec = 2 * 1000 * 1000},
                               .it_value = {.tv_nsec = 2 * 1000 * 1000}};
    siginfo_t info = {0};
    sigset_t set;
    int id;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    ASSERT_EQ(0, create_timer(CLOCK_REALTIME, SIGUSR1, 1, &id));
    EXPECT_EQ(0, syscall(SYS_timer_settime, id, 0, &value, NULL));
    usleep(50 * 1000);
    EXPECT_EQ(SIGUSR1, sigwaitinfo(&set, &info));
    EXPECT_LE(5, info.si_overrun);
    /* Of the signal that was taken last, whatever the timer does since. */
    EXPECT_EQ(info.si_overrun, syscall(SYS_timer_getoverrun, id));
    value = (struct itimerspec){0};
    EXPECT_EQ(0, syscall(SYS_timer_settime, id, 0, &value, NULL));
    EXPECT_EQ(0, syscall(SYS_timer_getoverrun, id));
    EXPECT_EQ(0, syscall(SYS_timer_delete, id));
}

TEST(timer_create_errors)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 0};
    struct itimerspec value = {0};
    int id;

    EXPECT_ERRNO(EINVAL, syscall(SYS_timer_create, 99, NULL, &id));
    EXPECT_ERRNO(EOPNOTSUPP, syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, NULL, &id));
    EXPECT_ERRNO(EINVAL, syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    event.sigev_notify = 99;
    EXPECT_ERRNO(EINVAL, syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    EXPECT_ERRNO(EFAULT, syscall(SYS_timer_create, CLOCK_MONOTONIC, BAD_POINTER, &id));
    EXPECT_ERRNO(EFAULT, syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, BAD_POINTER));
    EXPECT_ERRNO(EINVAL, syscall(SYS_timer_settime, 12345, 0, &value, NULL));
    EXPECT_ERRNO(EINVAL, syscall(SYS_timer_settime, 0, 0, NULL, NULL));
    EXPECT_ERRNO(EINVAL, syscall(SYS_timer_gettime, 12345, &value));
    EXPECT_ERRNO(EINVAL, syscall(SYS_timer_getoverrun, 12345));
}

/* --- futex arguments -------------------------------------------------------------------------- */

TEST(futex_errors)
{
    uint32_t words[2] = {0, 0};
    struct timespec ts = {.tv_nsec = NS_PER_S};
    int zero_wait = FUTEX_WAIT | FUTEX_PRIVATE_FLAG;

    EXPECT_ERRNO(EAGAIN, syscall(SYS_futex, words, zero_wait, 1, NULL, NULL, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_futex, words, zero_wait, 0, &ts, NULL, 0));
    EXPECT_ERRNO(EFAULT, syscall(SYS_futex, words, zero_wait, 0, BAD_POINTER, NULL, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_futex, (char *)words + 1, zero_wait, 0, NULL, NULL, 0));
    EXPECT_ERRNO(EFAULT, syscall(SYS_futex, BAD_POINTER, FUTEX_WAKE, 1, NULL, NULL, 0));
    EXPECT_ERRNO(EFAULT, syscall(SYS_futex, (void *)0x10000, FUTEX_WAKE, 1, NULL, NULL, 0));
    EXPECT_EQ(
        0, syscall(SYS_futex, (void *)0x10000, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_futex, words, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_futex, words, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
    EXPECT_ERRNO(EAGAIN, syscall(SYS_futex, words, FUTEX_CMP_REQUEUE, 1, 1, words + 1, 9));
    EXPECT_ERRNO(EINVAL, syscall(SYS_futex, words, FUTEX_REQUEUE, -1, 1, words + 1, 0));
    EXPECT_ERRNO(ENOSYS, syscall(SYS_futex, words, 99, 1, NULL, NULL, 0));
    EXPECT_ERRNO(ENOSYS,
                 syscall(SYS_futex, words, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_set_robust_list, words, 23));
    EXPECT_ERRNO(ESRCH, syscall(SYS_get_robust_list, 999999, words, words));
}

TEST(futex_wait_times_out)
{
    uint32_t word = 0;
    struct timespec ts = {.tv_nsec = 5 * 1000 * 1000};
    long long until = now_ns(CLOCK_MONOTONIC) + ts.tv_nsec;

    EXPECT_ERRNO(ETIMEDOUT, syscall(SYS_futex, &word, FUTEX_WAIT, 0, &ts, NULL, 0));
    EXPECT_LE(until, now_ns(CLOCK_MONOTONIC));
    ts = (struct timespec){.tv_sec = 1};
    EXPECT_ERRNO(ETIMEDOUT, syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &ts, NULL, -1));
    EXPECT_ERRNO(ETIMEDOUT, syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0,
                                    &ts, NULL, -1));
}

TEST(futex_in_shared_memory_wakes_another_process)
{
    uint32_t *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        long result = 0;

        while (__atomic_load_n(words, __ATOMIC_SEQ_CST) == 0 && result == 0) {
            result = syscall(SYS_futex, words, FUTEX_WAIT, 0, NULL, NULL, 0);
        }
        _exit(result == 0 || errno == EAGAIN ? 0 : 1);
    }
    usleep(20 * 1000);
    __atomic_store_n(words, 1, __ATOMIC_SEQ_CST);
    EXPECT_LE(0, syscall(SYS_futex, words, FUTEX_WAKE, 1, NULL, NULL, 0));
    EXPECT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, status);
}

UTEST_MAIN
