/* /proc/PID/task: what a thread tells of itself alone, and where it sleeps. */
#define _GNU_SOURCE
#define UTEST_SUITE "proc_task"
#include "await.h"
#include "utest.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <time.h>

static char text[4096];

static int gate[2];
static atomic_int sleeper_tid;

static void *sleep_at_gate(void *argument)
{
    char *byte = argument;

    prctl(PR_SET_NAME, "sleeper");
    sleeper_tid = (int)syscall(SYS_gettid);
    return (void *)syscall(SYS_read, gate[0], byte, 7);
}

static pthread_t start_sleeper(char *byte)
{
    pthread_t thread;

    sleeper_tid = 0;
    EXPECT_EQ(0, pipe(gate));
    EXPECT_EQ(0, pthread_create(&thread, NULL, sleep_at_gate, byte));
    EXPECT_EQ(0, await_thread(&sleeper_tid, SYS_read));
    return thread;
}

static void end_sleeper(pthread_t thread)
{
    close(gate[1]);
    pthread_join(thread, NULL);
    close(gate[0]);
}

TEST(a_sleeping_thread_tells_its_call)
{
    char path[64];
    char byte;
    long nr;
    unsigned long args[6], sp, pc;
    pthread_t thread = start_sleeper(&byte);

    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", sleeper_tid);
    ASSERT_TRUE(read_small_file(path, text, sizeof(text)) > 0);
    EXPECT_EQ(9, sscanf(text, "%ld 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx\n", &nr,
                        &args[0], &args[1], &args[2], &args[3], &args[4], &args[5], &sp, &pc));
    EXPECT_EQ(SYS_read, nr);
    EXPECT_EQ(gate[0], args[0]);
    EXPECT_EQ((uintptr_t)&byte, args[1]);
    EXPECT_EQ(7, args[2]);
    /* The instruction behind SYSCALL. */
    EXPECT_BYTES("\x0f\x05", (const char *)pc - 2, 2);
    EXPECT_TRUE(sp != 0);
    end_sleeper(thread);
}

TEST(each_thread_has_its_own_state)
{
    char path[64];
    char ids[64];
    char byte;
    char state;
    int tid;
    pthread_t thread = start_sleeper(&byte);

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", sleeper_tid);
    ASSERT_TRUE(read_small_file(path, text, sizeof(text)) > 0);
    EXPECT_EQ(2, sscanf(text, "%d (sleeper) %c", &tid, &state));
    EXPECT_EQ(sleeper_tid, tid);
    EXPECT_EQ('S', state);
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
    ASSERT_TRUE(read_small_file(path, text, sizeof(text)) > 0);
    EXPECT_EQ(2, sscanf(text, "%d (proc_task_test) %c", &tid, &state));
    EXPECT_EQ('R', state);
    snprintf(path, sizeof(path), "/proc/self/task/%d/status", sleeper_tid);
    ASSERT_TRUE(read_small_file(path, text, sizeof(text)) > 0);
    EXPECT_TRUE(strstr(text, "Name:\tsleeper\n") == text);
    EXPECT_TRUE(strstr(text, "\nState:\tS (sleeping)\n") != NULL);
    snprintf(ids, sizeof(ids), "\nTgid:\t%d\nNgid:\t0\nPid:\t%d\n", getpid(), sleeper_tid);
    EXPECT_TRUE(strstr(text, ids) != NULL);
    EXPECT_TRUE(strstr(text, "\nvoluntary_ctxt_switches:\t0\n") == NULL);
    snprintf(path, sizeof(path), "/proc/self/task/%d/comm", sleeper_tid);
    ASSERT_TRUE(read_small_file(path, text, sizeof(text)) > 0);
    EXPECT_EQ(0, strcmp("sleeper\n", text));
    end_sleeper(thread);
}

TEST(each_thread_has_its_own_cpu_time)
{
    char path[64];
    char byte;
    unsigned long utime = 0, all = 0;
    pthread_t thread = start_sleeper(&byte);
    struct timespec used;

    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    } while (used.tv_sec == 0 && used.tv_nsec < 200 * 1000 * 1000);
    static const char format[] = "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu";
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", sleeper_tid);
    ASSERT_TRUE(read_small_file(path, text, sizeof(text)) > 0);
    EXPECT_EQ(1, sscanf(text, format, &utime));
    ASSERT_TRUE(read_small_file("/proc/self/stat", text, sizeof(text)) > 0);
    EXPECT_EQ(1, sscanf(text, format, &all));
    EXPECT_LE(utime + 1, all);
    end_sleeper(thread);
}

TEST(a_thread_that_runs_tells_no_call)
{
    char path[64];
    pid_t pid = fork();

    if (pid == 0) {
        for (;;) {}
    }
    snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
    do {
        ASSERT_TRUE(read_small_file(path, text, sizeof(text)) > 0);
    } while (strcmp("running\n", text) != 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    EXPECT_EQ(0, setreuid(1000, 1000));
    EXPECT_ERRNO(EACCES, open("/proc/1/syscall", O_RDONLY));
}

UTEST_MAIN
