/* Two that pass a turn back and forth, by pipe and by futex. */
#define _GNU_SOURCE
#include "bench.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 1000 };

static int exchange(int out, int in)
{
    char byte = 0;

    return write(out, &byte, 1) == 1 && read(in, &byte, 1) == 1;
}

static void two_processes(struct row *row)
{
    int there[2], back[2];
    int is_ok = 1;
    pid_t pid;

    if (pipe(there) != 0 || pipe(back) != 0) {
        row_fail(row);
        return;
    }
    pid = fork();
    if (pid == 0) {
        char byte;

        close(there[1]);
        close(back[0]);
        while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1) {}
        _exit(0);
    }
    close(there[0]);
    close(back[1]);
    is_ok &= exchange(there[1], back[0]);
    TIMED(row, ROUNDS)
    {
        for (int i = 0; i < ROUNDS; i++) {
            is_ok &= exchange(there[1], back[0]);
        }
    }
    if (!is_ok) {
        row_fail(row);
    }
    close(there[1]);
    close(back[0]);
    waitpid(pid, NULL, 0);
}

static void pipes(struct row *rows)
{
    for (int r = 0; r < bench_repeats; r++) {
        int fds[2];

        two_processes(&rows[0]);
        if (pipe(fds) != 0) {
            row_fail(&rows[1]);
            return;
        }
        TIMED(&rows[1], ROUNDS)
        {
            for (int i = 0; i < ROUNDS; i++) {
                exchange(fds[1], fds[0]);
            }
        }
        close(fds[0]);
        close(fds[1]);
    }
}

static long futex(volatile int *word, int op, int value)
{
    return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

struct turn {
    volatile int *word;
    int me;
    int private_flag;
};

static void *take_turns(void *argument)
{
    struct turn *turn = argument;

    for (int i = 0; i < ROUNDS; i++) {
        while (*turn->word != turn->me) {
            futex(turn->word, FUTEX_WAIT | turn->private_flag, 1 - turn->me);
        }
        *turn->word = 1 - turn->me;
        futex(turn->word, FUTEX_WAKE | turn->private_flag, 1);
    }
    return NULL;
}

static void futexes(struct row *rows)
{
    volatile int *word = (volatile int *)(bench_shared + 256);

    for (int r = 0; r < bench_repeats; r++) {
        struct turn mine = {word, 0, 0};
        struct turn other = {word, 1, 0};
        pthread_t thread;
        pid_t pid;

        *word = 0;
        pid = fork();
        if (pid == 0) {
            take_turns(&other);
            _exit(0);
        }
        TIMED(&rows[0], ROUNDS)
        {
            take_turns(&mine);
            while (*word != 0) {
                sched_yield();
            }
        }
        waitpid(pid, NULL, 0);
        mine.private_flag = other.private_flag = FUTEX_PRIVATE_FLAG;
        *word = 0;
        pthread_create(&thread, NULL, take_turns, &other);
        TIMED(&rows[1], ROUNDS)
        {
            take_turns(&mine);
            pthread_join(thread, NULL);
        }
        TIMED(&rows[2], 2 * ROUNDS)
        {
            for (int i = 0; i < 2 * ROUNDS; i++) {
                futex(word, FUTEX_WAKE, 1);
            }
        }
    }
}

const struct bench bench_ipc[] = {
    {pipes, {"pipe_pingpong_2proc_roundtrip", "pipe_write_read_self"}},
    {futexes,
     {"futex_pingpong_2proc_roundtrip", "futex_pingpong_2thr_roundtrip", "futex_wake_nobody"}},
    {0},
};
