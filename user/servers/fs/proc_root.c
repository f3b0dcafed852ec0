/* Files about the whole system: stat, uptime, loadavg, version, lock_stat, mounts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include "mount.h"
#include "proc.h"

static int system_info(struct cb_sys_info *info)
{
    return cb_kinfo(CB_KINFO_SYSTEM, 0, info, sizeof(*info)) == (long)sizeof(*info) ? 0 : -EIO;
}

int proc_cmdline(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    void *line;
    long len = proc_snapshot(CB_KINFO_CMDLINE, 0, 1, &line);

    (void)key;
    (void)caller;
    if (len < 0) {
        return (int)len;
    }
    text_append(text, line, (size_t)len);
    text_append(text, "\n", 1);
    free(line);
    return 0;
}

int proc_devices(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    (void)key;
    (void)caller;
    text_printf(text, "Character devices:\n  1 mem\n  4 ttyS\n  5 /dev/tty\n  5 /dev/console\n"
                      " 10 misc\n"
                      "\nBlock devices:\n");
    return 0;
}

int proc_filesystems(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    (void)key;
    (void)caller;
    text_printf(text, "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\nnodev\tdebugfs\n"
                      "nodev\tramfs\n");
    return 0;
}

int proc_swaps(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    (void)key;
    (void)caller;
    text_printf(text, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    return 0;
}

int proc_loadavg(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct cb_sys_info info;
    int error = system_info(&info);

    (void)key;
    (void)caller;
    if (error != 0) {
        return error;
    }
    for (int i = 0; i < 3; i++) {
        /* Rounded to hundredths; 16 bits stand behind the point. */
        uint64_t load = (uint64_t)info.loadavg[i] + 65536 / 200;
        text_printf(text, "%lu.%02lu ", (unsigned long)(load >> 16),
                    (unsigned long)((load & 0xffff) * 100 >> 16));
    }
    text_printf(text, "%u/%u %d\n", info.nr_running, info.nr_threads, info.last_pid);
    return 0;
}

static void append_hundredths(struct text *text, uint64_t ns)
{
    text_printf(text, "%lu.%02lu", (unsigned long)(ns / 1000000000u),
                (unsigned long)(ns % 1000000000u / 10000000u));
}

int proc_uptime(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct cb_sys_info info;
    int error = system_info(&info);

    (void)key;
    (void)caller;
    if (error != 0) {
        return error;
    }
    append_hundredths(text, info.uptime_ns);
    text_append(text, " ", 1);
    append_hundredths(text, info.idle_ns);
    text_append(text, "\n", 1);
    return 0;
}

static void append_cpu(struct text *text, const char *name, const struct cb_cpu_times *times)
{
    text_printf(
        text, "%s %lu 0 %lu %lu 0 %lu 0 0 0 0\n", name, (unsigned long)proc_ticks(times->user_ns),
        (unsigned long)proc_ticks(times->system_ns), (unsigned long)proc_ticks(times->idle_ns),
        (unsigned long)proc_ticks(times->irq_ns));
}

int proc_stat(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct cb_sys_info info;
    struct cb_cpu_times sum = {0};
    int error = system_info(&info);

    (void)key;
    (void)caller;
    if (error != 0) {
        return error;
    }
    uint32_t nr_cpus = info.nr_cpus < CB_CPUS_MAX ? info.nr_cpus : CB_CPUS_MAX;
    for (uint32_t i = 0; i < nr_cpus; i++) {
        sum.user_ns += info.cpus[i].user_ns;
        sum.system_ns += info.cpus[i].system_ns;
        sum.idle_ns += info.cpus[i].idle_ns;
        sum.irq_ns += info.cpus[i].irq_ns;
    }
    /* The line of the sum has two spaces behind its name. */
    append_cpu(text, "cpu ", &sum);
    for (uint32_t i = 0; i < nr_cpus; i++) {
        char name[16];
        snprintf(name, sizeof(name), "cpu%u", i);
        append_cpu(text, name, &info.cpus[i]);
    }
    text_printf(text, "intr 0\nctxt %lu\nbtime %lu\nprocesses %lu\n",
                (unsigned long)info.context_switches, (unsigned long)info.boot_realtime_sec,
                (unsigned long)info.forks);
    text_printf(text, "procs_running %u\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
                info.nr_running);
    return 0;
}

int proc_version(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct utsname name;

    (void)key;
    (void)caller;
    if (uname(&name) != 0) {
        return -errno;
    }
    text_printf(text, "%s version %s (%s) %s\n", name.sysname, name.release, name.machine,
                name.version);
    return 0;
}

/* Blanks and backslashes of a path are written in octal, so that fields stay apart. */
static void append_escaped(struct text *text, const char *path)
{
    for (; *path != '\0'; path++) {
        if (strchr(" \t\n\\#", *path) != NULL) {
            text_printf(text, "\\%03o", (unsigned char)*path);
        } else {
            text_append(text, path, 1);
        }
    }
}

int proc_lock_stat(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    void *records;
    long len = proc_snapshot(CB_KINFO_LOCKS, 0, sizeof(struct cb_lock_stats), &records);
    const struct cb_lock_stats *locks = records;

    (void)key;
    (void)caller;
    if (len < 0) {
        return (int)len;
    }
    text_printf(text, "%-20s %s\n", "lock", "contentions");
    for (size_t i = 0; i < (size_t)len / sizeof(*locks); i++) {
        text_printf(text, "%-20s %lu\n", locks[i].name, (unsigned long)locks[i].contended);
    }
    free(records);
    return 0;
}

int proc_mounts(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    (void)key;
    (void)caller;
    for (const struct mount *mount = mount_first(); mount != NULL; mount = mount->next) {
        text_printf(text, "%s ", mount->source);
        append_escaped(text, mount->point);
        text_printf(text, " %s %s 0 0\n", mount->type, mount->options);
    }
    return 0;
}

int proc_mountinfo(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    (void)key;
    (void)caller;
    for (const struct mount *mount = mount_first(); mount != NULL; mount = mount->next) {
        const struct mount *parent = mount->covered != NULL ? mount->covered->mount : mount;
        text_printf(text, "%u %u %d:%u / ", mount->minor, parent->minor, MOUNT_MAJOR, mount->minor);
        append_escaped(text, mount->point);
        text_printf(text, " %s - %s %s rw\n", mount->options, mount->type, mount->source);
    }
    return 0;
}
