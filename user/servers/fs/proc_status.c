/* /proc/PID/status. */
#include <string.h>
#include <sys/resource.h>
#include "proc.h"

#define ALL_CAPABILITIES 0x1ffffffffffu

static const char *state_name(uint32_t state)
{
    static const struct {
        char letter;
        const char *name;
    } names[] = {
        {'R', "running"}, {'S', "sleeping"},     {'D', "disk sleep"}, {'T', "stopped"},
        {'Z', "zombie"},  {'t', "tracing stop"}, {'X', "dead"},       {'I', "idle"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((uint32_t)names[i].letter == state) {
            return names[i].name;
        }
    }
    return "unknown";
}

static void append_identity(struct text *text, const struct cb_proc_info *info, int32_t id)
{
    text_printf(text, "Name:\t%.*s\nUmask:\t%04o\n", CB_COMM_LEN, info->comm, info->umask);
    text_printf(text, "State:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
                (int)info->state, state_name(info->state), info->pid, id, info->ppid);
    text_printf(text, "Uid:\t%u\t%u\t%u\t%u\n", info->uid[0], info->uid[1], info->uid[2],
                info->uid[3]);
    text_printf(text, "Gid:\t%u\t%u\t%u\t%u\n", info->gid[0], info->gid[1], info->gid[2],
                info->gid[3]);
    text_printf(text, "FDSize:\t%u\nGroups:\t", info->fd_size);
    for (uint32_t i = 0; i < info->nr_groups && i < CB_GROUPS_MAX; i++) {
        text_printf(text, i == 0 ? "%u" : " %u", info->groups[i]);
    }
    /* Linux ends the line with a space, however many groups there are. */
    text_printf(text, " \nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\nKthread:\t0\n",
                info->pid, id, info->pgid, info->sid);
}

static void append_kib(struct text *text, const char *name, uint64_t bytes)
{
    text_printf(text, "%s:\t%8lu kB\n", name, (unsigned long)(bytes / 1024));
}

/* The program's own code; other executable mappings are libraries. */
uint64_t proc_text_size(const struct cb_proc_info *info)
{
    uint64_t start = info->start_code / FS_PAGE_SIZE * FS_PAGE_SIZE;
    uint64_t end = (info->end_code + FS_PAGE_SIZE - 1) / FS_PAGE_SIZE * FS_PAGE_SIZE;

    return end - start < info->vm_exe ? end - start : info->vm_exe;
}

static void append_memory(struct text *text, const struct cb_proc_info *info)
{
    uint64_t rss = info->rss_anon + info->rss_file + info->rss_shmem;

    append_kib(text, "VmPeak", info->vm_peak > info->vm_size ? info->vm_peak : info->vm_size);
    append_kib(text, "VmSize", info->vm_size);
    append_kib(text, "VmLck", info->vm_locked);
    append_kib(text, "VmPin", 0);
    append_kib(text, "VmHWM", info->rss_peak > rss ? info->rss_peak : rss);
    append_kib(text, "VmRSS", rss);
    append_kib(text, "RssAnon", info->rss_anon);
    append_kib(text, "RssFile", info->rss_file);
    append_kib(text, "RssShmem", info->rss_shmem);
    append_kib(text, "VmData", info->vm_data);
    append_kib(text, "VmStk", info->vm_stack);
    append_kib(text, "VmExe", proc_text_size(info));
    append_kib(text, "VmLib", info->vm_exe - proc_text_size(info));
    append_kib(text, "VmPTE", info->vm_page_tables);
    append_kib(text, "VmSwap", 0);
    append_kib(text, "HugetlbPages", 0);
    text_printf(text, "CoreDumping:\t0\nTHP_enabled:\t0\nuntag_mask:\t0xffffffffffffffff\n");
}

static void append_signals(struct text *text, const struct cb_proc_info *info)
{
    uint64_t caps = info->uid[1] == 0 ? ALL_CAPABILITIES : 0;

    text_printf(text, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n",
                (unsigned long)info->sig_pending, (unsigned long)info->sig_shared_pending,
                (unsigned long)info->sig_blocked);
    text_printf(text, "SigIgn:\t%016lx\nSigCgt:\t%016lx\n", (unsigned long)info->sig_ignored,
                (unsigned long)info->sig_caught);
    text_printf(text, "CapInh:\t%016x\nCapPrm:\t%016lx\nCapEff:\t%016lx\n", 0, (unsigned long)caps,
                (unsigned long)caps);
    text_printf(text, "CapBnd:\t%016lx\nCapAmb:\t%016x\n", (unsigned long)ALL_CAPABILITIES, 0);
    text_printf(text, "NoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n");
    text_printf(text, "Speculation_Store_Bypass:\tvulnerable\n"
                      "SpeculationIndirectBranch:\tunknown\n");
}

static void append_cpu_list(struct text *text, uint64_t mask)
{
    const char *separator = "";

    for (int first = 0; first < 64; first++) {
        if ((mask >> first & 1) == 0) {
            continue;
        }
        int last = first;
        while (last < 63 && (mask >> (last + 1) & 1) != 0) {
            last++;
        }
        text_printf(text, first == last ? "%s%d" : "%s%d-%d", separator, first, last);
        separator = ",";
        first = last;
    }
}

static void append_cpus(struct text *text, const struct cb_proc_info *info)
{
    uint64_t mask = info->cpus_allowed;

    if (mask >> 32 != 0) {
        text_printf(text, "Cpus_allowed:\t%x,%08x\n", (unsigned)(mask >> 32), (unsigned)mask);
    } else {
        text_printf(text, "Cpus_allowed:\t%x\n", (unsigned)mask);
    }
    text_printf(text, "Cpus_allowed_list:\t");
    append_cpu_list(text, mask);
    text_printf(text, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

int proc_pid_status(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct cb_proc_info info;
    int error = proc_info(key, &info);

    if (error != 0) {
        return error;
    }
    proc_show_reader(key, &info, caller);
    append_identity(text, &info, proc_task_id(key));
    if (info.state != 'Z' && info.state != 'X') {
        append_memory(text, &info);
    }
    struct rlimit limit = {0};
    prlimit(key->pid, RLIMIT_SIGPENDING, NULL, &limit);
    text_printf(text, "Threads:\t%u\nSigQ:\t0/%lu\n", info.nr_threads,
                (unsigned long)limit.rlim_cur);
    append_signals(text, &info);
    append_cpus(text, &info);
    text_printf(text, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n",
                (unsigned long)info.nvcsw, (unsigned long)info.nivcsw);
    return 0;
}
