/*
 * Waiting until another thread sleeps where a test wants it, instead of a guess of how long it
 * takes to get there.
 */
#ifndef COWBELL_TESTS_AWAIT_H
#define COWBELL_TESTS_AWAIT_H

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AWAIT_FAULT (-1L) /* in the place of a system call: in an exception of the program's */

/** read_small_file() - at most @size - 1 bytes of a file, ended with NUL. Return: as read(2). */
static inline ssize_t read_small_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);

    text[len < 0 ? 0 : len] = '\0';
    close(fd);
    return len;
}

/**
 * await_call() - until a thread has left its CPU to sleep in a system call.
 * @pid: its process
 * @tid: the thread; the same number for a process of one thread
 * @nr:  SYS_*, or AWAIT_FAULT
 * Return: 0, or -1 if the thread is gone.
 */
static inline int await_call(pid_t pid, pid_t tid, long nr)
{
    char path[64];
    char text[256];

    snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
    for (;;) {
        if (read_small_file(path, text, sizeof(text)) <= 0) {
            return -1;
        }
        if (text[0] != 'r' && strtol(text, NULL, 10) == nr) {
            return 0;
        }
        sched_yield();
    }
}

/** await_thread() - the same for a thread of this process that stores its id, 0 before, in @tid. */
static inline int await_thread(const atomic_int *tid, long nr)
{
    while (*tid == 0) {
        sched_yield();
    }
    return await_call(getpid(), *tid, nr);
}

#endif
