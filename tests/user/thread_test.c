/*
 * Threads as musl's pthreads use them, and the futex calls underneath.
 */
#define _GNU_SOURCE
#define UTEST_SUITE "thread"
#include "await.h"
#include "utest.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

enum { NR_THREADS = 8, NR_ROUNDS = 2000 };

static long futex(volatile int *word, int op, int value, const struct timespec *timeout,
                  volatile int *word2, int value3)
{
    return syscall(SYS_futex, word, op, value, timeout, word2, value3);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long counter;

static void *count_up(void *argument)
{
    for (int i = 0; i < NR_ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

TEST(a_mutex_keeps_a_counter_exact)
{
    pthread_t threads[NR_THREADS];

    for (long i = 0; i < NR_THREADS; i++) {
        ASSERT_EQ(0, pthread_create(&threads[i], NULL, count_up, (void *)i));
    }
    for (long i = 0; i < NR_THREADS; i++) {
        void *result;

        ASSERT_EQ(0, pthread_join(threads[i], &result));
        EXPECT_EQ(i, (long)result);
    }
    EXPECT_EQ(NR_THREADS * NR_ROUNDS, counter);
}

static int turn;

static void *take_turns(void *argument)
{
    int me = (int)(long)argument;

    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != me) {
            pthread_cond_wait(&condition, &mutex);
        }
        turn = 1 - me;
        counter++;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

TEST(condition_variables_pass_the_turn)
{
    pthread_t threads[2];

    for (long i = 0; i < 2; i++) {
        ASSERT_EQ(0, pthread_create(&threads[i], NULL, take_turns, (void *)i));
    }
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    EXPECT_EQ(1000, counter);
}

static __thread int thread_local_value = 5;

static void *use_tls(void *argument)
{
    thread_local_value += (int)(long)argument;
    sched_yield();
    return (void *)(long)thread_local_value;
}

TEST(thread_local_storage_is_per_thread)
{
    pthread_t threads[NR_THREADS];

    for (long i = 0; i < NR_THREADS; i++) {
        ASSERT_EQ(0, pthread_create(&threads[i], NULL, use_tls, (void *)i));
    }
    for (long i = 0; i < NR_THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        EXPECT_EQ(5 + i, (long)result);
    }
    EXPECT_EQ(5, thread_local_value);
}

static void *touch_pages(void *argument)
{
    char *base = argument;
    long sum = 0;

    for (int i = 0; i < 256; i++) {
        __atomic_fetch_add(&base[i * 4096], 1, __ATOMIC_RELAXED);
        sum += base[i * 4096 + 8];
    }
    return (void *)sum;
}

TEST(threads_fault_the_same_pages_without_losing_writes)
{
    for (int round = 0; round < 10; round++) {
        pthread_t threads[4];
        char *base =
            mmap(NULL, 256 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        for (int i = 0; i < 4; i++) {
            ASSERT_EQ(0, pthread_create(&threads[i], NULL, touch_pages, base));
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
        }
        for (int i = 0; i < 256; i++) {
            EXPECT_EQ(4, base[i * 4096]);
        }
        EXPECT_EQ(0, munmap(base, 256 * 4096));
    }
}

TEST(futex_wait_compares_and_times_out)
{
    volatile int word = 1;
    struct timespec soon = {0, 2000000};
    struct timespec bad = {0, 2000000000};

    EXPECT_ERRNO(EAGAIN, futex(&word, FUTEX_WAIT, 2, NULL, NULL, 0));
    EXPECT_ERRNO(ETIMEDOUT, futex(&word, FUTEX_WAIT, 1, &soon, NULL, 0));
    EXPECT_ERRNO(ETIMEDOUT, futex(&word, FUTEX_WAIT_PRIVATE, 1, &soon, NULL, 0));
    EXPECT_ERRNO(EINVAL, futex(&word, FUTEX_WAIT, 1, &bad, NULL, 0));
    EXPECT_ERRNO(EINVAL, futex((volatile int *)((char *)&word + 1), FUTEX_WAIT, 1, NULL, NULL, 0));
    EXPECT_ERRNO(EFAULT, futex((volatile int *)8, FUTEX_WAIT, 1, NULL, NULL, 0));
    EXPECT_ERRNO(EFAULT, futex(&word, FUTEX_WAIT, 1, (void *)8, NULL, 0));
    EXPECT_ERRNO(EINVAL, futex(&word, FUTEX_WAIT_BITSET, 1, NULL, NULL, 0));
    EXPECT_ERRNO(ENOSYS, futex(&word, 77, 1, NULL, NULL, 0));
    EXPECT_EQ(0, futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
}

static volatile int gate, gate2, nr_through;

static void *wait_at_gate(void *argument)
{
    while (gate == 0) {
        futex(&gate, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    __atomic_fetch_add(&nr_through, 1, __ATOMIC_SEQ_CST);
    return argument;
}

TEST(futex_wake_wakes_all_that_wait)
{
    pthread_t threads[NR_THREADS];

    for (int i = 0; i < NR_THREADS; i++) {
        ASSERT_EQ(0, pthread_create(&threads[i], NULL, wait_at_gate, NULL));
    }
    usleep(5000);
    gate = 1;
    futex(&gate, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    for (int i = 0; i < NR_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    EXPECT_EQ(NR_THREADS, nr_through);
}

static atomic_int waiting_tids[4];

static void *wait_once(void *argument)
{
    *(atomic_int *)argument = (int)syscall(SYS_gettid);
    return (void *)futex(&gate, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

TEST(futex_requeue_moves_waiters)
{
    pthread_t threads[4];
    long woken = 0, moved;

    for (int i = 0; i < 4; i++) {
        ASSERT_EQ(0, pthread_create(&threads[i], NULL, wait_once, &waiting_tids[i]));
        EXPECT_EQ(0, await_thread(&waiting_tids[i], SYS_futex));
    }
    EXPECT_ERRNO(EAGAIN, syscall(SYS_futex, &gate, FUTEX_CMP_REQUEUE_PRIVATE, 1, 100L, &gate2, 9));
    moved = syscall(SYS_futex, &gate, FUTEX_CMP_REQUEUE_PRIVATE, 1, 100L, &gate2, 0);
    EXPECT_EQ(4, moved);
    EXPECT_EQ(0, futex(&gate, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0));
    woken = futex(&gate2, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0);
    EXPECT_EQ(3, woken);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
}

TEST(futexes_work_between_processes)
{
    volatile int *word =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        while (*word == 0) {
            futex(word, FUTEX_WAIT, 0, NULL, NULL, 0);
        }
        _exit(*word);
    }
    usleep(5000);
    *word = 12;
    futex(word, FUTEX_WAKE, 1, NULL, NULL, 0);
    ASSERT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(12, WEXITSTATUS(status));
}

static pthread_mutex_t robust;

static void *die_with_lock(void *argument)
{
    pthread_mutex_lock(&robust);
    return argument;
}

TEST(robust_mutex_tells_of_a_dead_owner)
{
    pthread_mutexattr_t attributes;
    pthread_t thread;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    ASSERT_EQ(0, pthread_create(&thread, NULL, die_with_lock, NULL));
    pthread_join(thread, NULL);
    EXPECT_EQ(EOWNERDEAD, pthread_mutex_lock(&robust));
    EXPECT_EQ(0, pthread_mutex_consistent(&robust));
    EXPECT_EQ(0, pthread_mutex_unlock(&robust));
    EXPECT_EQ(0, pthread_mutex_lock(&robust));
}

static void *exit_process(void *argument)
{
    (void)argument;
    _exit(44);
}

static void *spin(void *argument)
{
    for (;;) {
        __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
    }
    return argument;
}

static void exit_with_threads(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, spin, NULL);
    pthread_create(&thread, NULL, spin, NULL);
    pthread_create(&thread, NULL, exit_process, NULL);
    for (;;) {
        pause();
    }
}

TEST(exit_of_one_thread_ends_the_process)
{
    int status = utest_in_child(exit_with_threads);

    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(44, WEXITSTATUS(status));
}

static void *run_shell(void *argument)
{
    (void)argument;
    execl("/bin/sh", "sh", "-c", "exit 55", (char *)NULL);
    return NULL;
}

static void exec_from_thread(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, spin, NULL);
    pthread_create(&thread, NULL, run_shell, NULL);
    for (;;) {
        pause();
    }
}

TEST(exec_from_a_thread_replaces_the_process)
{
    int status = utest_in_child(exec_from_thread);

    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(55, WEXITSTATUS(status));
}

static volatile int handler_thread;

static void on_usr1(int signal)
{
    (void)signal;
    handler_thread = (int)syscall(SYS_gettid);
}

static void *report_tid(void *argument)
{
    *(volatile int *)argument = (int)syscall(SYS_gettid);
    while (handler_thread == 0) {
        usleep(1000);
    }
    return NULL;
}

TEST(tgkill_reaches_the_named_thread)
{
    static volatile int tid;
    pthread_t thread;

    signal(SIGUSR1, on_usr1);
    ASSERT_EQ(0, pthread_create(&thread, NULL, report_tid, (void *)&tid));
    while (tid == 0) {
        usleep(1000);
    }
    EXPECT_EQ(0, syscall(SYS_tgkill, getpid(), tid, SIGUSR1));
    pthread_join(thread, NULL);
    EXPECT_EQ(tid, handler_thread);
    EXPECT_ERRNO(ESRCH, syscall(SYS_tgkill, getpid(), 0x7ffffff0, SIGUSR1));
    EXPECT_ERRNO(EINVAL, syscall(SYS_tgkill, -1, 1, SIGUSR1));
}

TEST(clone_checks_its_flags)
{
    EXPECT_ERRNO(EINVAL, syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_clone, CLONE_FS | CLONE_NEWNS, 0, 0, 0, 0));
}

TEST(clocks_run_forward_and_sleeps_last)
{
    struct timespec before, after, pause_for = {0, 3000000};

    EXPECT_EQ(0, clock_gettime(CLOCK_MONOTONIC, &before));
    EXPECT_EQ(0, nanosleep(&pause_for, NULL));
    EXPECT_EQ(0, clock_gettime(CLOCK_MONOTONIC, &after));
    EXPECT_LE(3000000,
              (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec);
    EXPECT_ERRNO(EINVAL, syscall(SYS_clock_gettime, 99, &after));
    EXPECT_ERRNO(EFAULT, syscall(SYS_clock_gettime, CLOCK_REALTIME, 8));
    pause_for.tv_nsec = 1000000000;
    EXPECT_ERRNO(EINVAL, nanosleep(&pause_for, NULL));
    EXPECT_EQ(0, clock_gettime(CLOCK_REALTIME, &after));
    EXPECT_TRUE(after.tv_sec > 1600000000);
}

UTEST_MAIN
