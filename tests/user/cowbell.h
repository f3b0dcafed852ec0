/*
 * For programs that test what only Cowbell has: its calls, and what it can be asked about itself.
 * Linux has none of it: such a program begins each test with need_cowbell().
 */
#ifndef COWBELL_TESTS_COWBELL_H
#define COWBELL_TESTS_COWBELL_H

#include <sys/syscall.h>
#include "../../kernel/include/uapi/cowbell.h"

static inline long cb_kinfo(int kind, int pid, void *buf, size_t len)
{
    return syscall(CB_SYS_KINFO, kind, pid, buf, len);
}

static inline void need_cowbell(void)
{
    struct cb_mem_info info;

    if (cb_kinfo(CB_KINFO_MEM, 0, &info, sizeof(info)) < 0) {
        SKIP("these calls are Cowbell's");
    }
}

/** server_pid() - the server of this name that process 1 started, or 0. */
static inline pid_t server_pid(const char *name)
{
    static int32_t pids[1024];
    long len = cb_kinfo(CB_KINFO_PROC_LIST, 0, pids, sizeof(pids));

    for (long i = 0; i < len / (long)sizeof(pids[0]); i++) {
        struct cb_proc_info info;
        if (cb_kinfo(CB_KINFO_PROC, pids[i], &info, sizeof(info)) == (long)sizeof(info) &&
            info.ppid == 1 && strcmp(info.comm, name) == 0) {
            return pids[i];
        }
    }
    return 0;
}

/** open_descriptors() - how many descriptors a process has. */
static inline long open_descriptors(pid_t pid)
{
    static struct cb_fd_info fds[1024];
    long len = cb_kinfo(CB_KINFO_FDS, pid, fds, sizeof(fds));

    return len < 0 ? len : len / (long)sizeof(fds[0]);
}

/** anonymous_memory() - bytes of a process's private memory. */
static inline long anonymous_memory(pid_t pid)
{
    struct cb_proc_info info;

    return cb_kinfo(CB_KINFO_PROC, pid, &info, sizeof(info)) < 0 ? -1 : (long)info.rss_anon;
}

#endif
