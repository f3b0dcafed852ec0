/* The short files of a process: stat, statm, cmdline, environ, limits. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "proc.h"

#define TASK_FLAGS 0x400000u /* randomised addresses, as every process has */

/* A zombie has no memory, and Linux shows the limits of none. */
static uint64_t resident_limit(const struct cb_proc_info *info)
{
    return info->state == 'Z' ? 0 : info->rss_limit;
}

static void append_times(struct text *text, const struct cb_proc_info *info)
{
    text_printf(text, " %lu %lu %lu %lu %lu %lu %ld %ld %d %d %u 0 %lu",
                (unsigned long)info->minor_faults, 0ul, (unsigned long)info->major_faults, 0ul,
                (unsigned long)proc_ticks(info->utime_ns),
                (unsigned long)proc_ticks(info->stime_ns), (long)proc_ticks(info->child_utime_ns),
                (long)proc_ticks(info->child_stime_ns), info->priority, info->nice,
                info->nr_threads, (unsigned long)proc_ticks(info->start_ns));
}

static void append_memory(struct text *text, const struct cb_proc_info *info, bool shows_addresses)
{
    uint64_t rss = (info->rss_anon + info->rss_file + info->rss_shmem) / FS_PAGE_SIZE;

    text_printf(text, " %lu %lu %lu", (unsigned long)info->vm_size, (unsigned long)rss,
                (unsigned long)resident_limit(info));
    if (shows_addresses) {
        text_printf(text, " %lu %lu %lu 0 0", (unsigned long)info->start_code,
                    (unsigned long)info->end_code, (unsigned long)info->start_stack);
    } else {
        text_printf(text, " 1 1 0 0 0");
    }
}

int proc_pid_stat(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    const unsigned long low31 = 0x7fffffff;
    struct cb_proc_info info;
    int error = proc_info(key, &info);

    if (error != 0) {
        return error;
    }
    proc_show_reader(key, &info, caller);
    bool shows_addresses = proc_may_inspect(key, caller) == 0 && info.state != 'Z';
    text_printf(text, "%d (%.*s) %c %d %d %d %d %d %u", proc_task_id(key), CB_COMM_LEN, info.comm,
                (int)info.state, info.ppid, info.pgid, info.sid, info.tty_nr, info.tty_pgid,
                TASK_FLAGS);
    append_times(text, &info);
    append_memory(text, &info, shows_addresses);
    text_printf(text, " %lu %lu %lu %lu %d 0 0 %d %d %u %u 0 0 0",
                (unsigned long)info.sig_pending & low31, (unsigned long)info.sig_blocked & low31,
                (unsigned long)info.sig_ignored & low31, (unsigned long)info.sig_caught & low31, 0,
                info.exit_signal, info.cpu, info.rt_priority, info.policy);
    if (shows_addresses) {
        text_printf(text, " %lu %lu %lu %lu %lu %lu %lu %d\n", (unsigned long)info.start_data,
                    (unsigned long)info.end_data, (unsigned long)info.start_brk,
                    (unsigned long)info.arg_start, (unsigned long)info.arg_end,
                    (unsigned long)info.env_start, (unsigned long)info.env_end, info.exit_code);
    } else {
        text_printf(text, " 0 0 0 0 0 0 0 %d\n", info.exit_code);
    }
    return 0;
}

int proc_pid_statm(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct cb_proc_info info;
    int error = proc_info(key, &info);

    (void)caller;
    if (error != 0) {
        return error;
    }
    uint64_t shared = info.rss_file + info.rss_shmem;
    text_printf(text, "%lu %lu %lu %lu 0 %lu 0\n", (unsigned long)(info.vm_size / FS_PAGE_SIZE),
                (unsigned long)((info.rss_anon + shared) / FS_PAGE_SIZE),
                (unsigned long)(shared / FS_PAGE_SIZE),
                (unsigned long)(proc_text_size(&info) / FS_PAGE_SIZE),
                (unsigned long)((info.vm_data + info.vm_stack) / FS_PAGE_SIZE));
    return 0;
}

static int append_snapshot(enum cb_kinfo_kind kind, const struct proc_key *key, struct text *text)
{
    void *bytes;
    long len = proc_snapshot(kind, key->pid, 1, &bytes);

    if (len < 0) {
        return (int)len;
    }
    text_append(text, bytes, (size_t)len);
    free(bytes);
    return 0;
}

int proc_pid_cmdline(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    (void)caller;
    return append_snapshot(CB_KINFO_ARGV, key, text);
}

int proc_pid_environ(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    int error = proc_may_inspect(key, caller);

    return error != 0 ? error : append_snapshot(CB_KINFO_ENVIRON, key, text);
}

int proc_pid_auxv(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    int error = proc_may_inspect(key, caller);

    return error != 0 ? error : append_snapshot(CB_KINFO_AUXV, key, text);
}

int proc_pid_comm(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct cb_proc_info info;
    int error = proc_info(key, &info);

    (void)caller;
    if (error == 0) {
        text_printf(text, "%.*s\n", CB_COMM_LEN, info.comm);
    }
    return error;
}

/* Where a sleeping thread came into the kernel; Linux: proc_pid_syscall() in fs/proc/base.c. */
int proc_pid_syscall(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct cb_task_wait wait = {.nr = -1};
    int error = proc_may_inspect(key, caller);

    if (error != 0) {
        return error == -EACCES ? -EPERM : error;
    }
    if (cb_kinfo(CB_KINFO_TASK_WAIT, proc_task_id(key), &wait, sizeof(wait)) == -EAGAIN) {
        text_printf(text, "running\n");
        return 0;
    }
    text_printf(text, "%ld", (long)wait.nr);
    for (int i = 0; wait.nr >= 0 && i < 6; i++) {
        text_printf(text, " 0x%lx", (unsigned long)wait.args[i]);
    }
    text_printf(text, " 0x%lx 0x%lx\n", (unsigned long)wait.sp, (unsigned long)wait.pc);
    return 0;
}

int proc_pid_wchan(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    (void)key;
    (void)caller;
    text_printf(text, "0");
    return 0;
}

int proc_pid_oom_score(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct cb_proc_info info;
    struct cb_mem_info memory;
    int error = proc_info(key, &info);

    (void)caller;
    if (error != 0) {
        return error;
    }
    if (cb_kinfo(CB_KINFO_MEM, 0, &memory, sizeof(memory)) != (long)sizeof(memory)) {
        return -EIO;
    }
    uint64_t rss = info.rss_anon + info.rss_file + info.rss_shmem + info.vm_page_tables;
    uint64_t points = memory.total == 0 ? 0 : rss * 1000 / memory.total;
    text_printf(text, "%lu\n", (unsigned long)((1000 + points) * 2 / 3));
    return 0;
}

int proc_pid_oom_score_adj(const struct proc_key *key, const struct caller *caller,
                           struct text *text)
{
    struct cb_proc_info info;
    int error = proc_info(key, &info);

    (void)caller;
    if (error == 0) {
        text_printf(text, "0\n");
    }
    return error;
}

struct limit_name {
    const char *name;
    const char *unit;
    int resource;
};

static const struct limit_name limit_names[] = {
    {"Max cpu time", "seconds", RLIMIT_CPU},
    {"Max file size", "bytes", RLIMIT_FSIZE},
    {"Max data size", "bytes", RLIMIT_DATA},
    {"Max stack size", "bytes", RLIMIT_STACK},
    {"Max core file size", "bytes", RLIMIT_CORE},
    {"Max resident set", "bytes", RLIMIT_RSS},
    {"Max processes", "processes", RLIMIT_NPROC},
    {"Max open files", "files", RLIMIT_NOFILE},
    {"Max locked memory", "bytes", RLIMIT_MEMLOCK},
    {"Max address space", "bytes", RLIMIT_AS},
    {"Max file locks", "locks", RLIMIT_LOCKS},
    {"Max pending signals", "signals", RLIMIT_SIGPENDING},
    {"Max msgqueue size", "bytes", RLIMIT_MSGQUEUE},
    {"Max nice priority", NULL, RLIMIT_NICE},
    {"Max realtime priority", NULL, RLIMIT_RTPRIO},
    {"Max realtime timeout", "us", RLIMIT_RTTIME},
};

static void append_limit(struct text *text, rlim_t limit)
{
    if (limit == RLIM_INFINITY) {
        text_printf(text, " %-20s", "unlimited");
    } else {
        text_printf(text, " %-20lu", (unsigned long)limit);
    }
}

int proc_pid_limits(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    int error = proc_may_inspect(key, caller);

    if (error != 0) {
        return error;
    }
    text_printf(text, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (size_t i = 0; i < sizeof(limit_names) / sizeof(limit_names[0]); i++) {
        struct rlimit limit;
        if (syscall(SYS_prlimit64, key->pid, limit_names[i].resource, NULL, &limit) != 0) {
            return -ESRCH;
        }
        text_printf(text, "%-25s", limit_names[i].name);
        append_limit(text, limit.rlim_cur);
        append_limit(text, limit.rlim_max);
        if (limit_names[i].unit != NULL) {
            text_printf(text, " %-10s\n", limit_names[i].unit);
        } else {
            text_printf(text, "\n");
        }
    }
    return 0;
}
