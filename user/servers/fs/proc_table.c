/* Which files /proc has. */
#include "proc.h"

#define FILE_ENTRY(file, bits, function)                                                           \
    {                                                                                              \
        .name = (file), .kind = PROC_FILE, .mode = (bits), .generate = (function)                  \
    }
#define KERNEL_ENTRY(file, bits, kind_)                                                            \
    {                                                                                              \
        .name = (file), .kind = PROC_FILE, .mode = (bits), .kernel_file = (kind_)                  \
    }
#define LINK_ENTRY(file, function)                                                                 \
    {                                                                                              \
        .name = (file), .kind = PROC_LINK, .mode = 0777, .read_link = (function)                   \
    }

#define MAGIC_ENTRY(file, function)                                                                \
    {                                                                                              \
        .name = (file), .kind = PROC_LINK, .mode = 0777, .read_link = (function), .is_magic = true \
    }

static const struct proc_entry fd_entries[] = {
    {.name = "N",
     .kind = PROC_LINK,
     .is_magic = true,
     .read_link = proc_fd_read_link,
     .jump = proc_fd_jump,
     .descriptor = proc_fd_descriptor,
     .link_mode = proc_fd_link_mode},
    {0},
};

static const struct proc_entry fdinfo_entries[] = {
    FILE_ENTRY("N", 0444, proc_fdinfo),
    {0},
};

#define FD_ENTRIES                                                                                 \
    {.name = "fd", .kind = PROC_DIR_FDS, .mode = 0500, .children = fd_entries},                    \
    {                                                                                              \
        .name = "fdinfo", .kind = PROC_DIR_FDS, .mode = 0555, .children = fdinfo_entries           \
    }

const struct proc_entry proc_task_entries[] = {
    FILE_ENTRY("auxv", 0400, proc_pid_auxv),
    KERNEL_ENTRY("clear_refs", 0200, CB_KERNEL_FILE_CLEAR_REFS),
    FILE_ENTRY("cmdline", 0444, proc_pid_cmdline),
    FILE_ENTRY("comm", 0444, proc_pid_comm),
    MAGIC_ENTRY("cwd", proc_cwd_link),
    FILE_ENTRY("environ", 0400, proc_pid_environ),
    MAGIC_ENTRY("exe", proc_exe_link),
    FD_ENTRIES,
    FILE_ENTRY("maps", 0444, proc_pid_maps),
    KERNEL_ENTRY("mem", 0600, CB_KERNEL_FILE_MEM),
    KERNEL_ENTRY("pagemap", 0400, CB_KERNEL_FILE_PAGEMAP),
    MAGIC_ENTRY("root", proc_root_link),
    FILE_ENTRY("smaps", 0444, proc_pid_smaps),
    FILE_ENTRY("smaps_rollup", 0444, proc_pid_smaps_rollup),
    FILE_ENTRY("stat", 0444, proc_pid_stat),
    FILE_ENTRY("statm", 0444, proc_pid_statm),
    FILE_ENTRY("status", 0444, proc_pid_status),
    FILE_ENTRY("syscall", 0400, proc_pid_syscall),
    {0},
};

const struct proc_entry proc_process_entries[] = {
    FILE_ENTRY("auxv", 0400, proc_pid_auxv),
    KERNEL_ENTRY("clear_refs", 0200, CB_KERNEL_FILE_CLEAR_REFS),
    FILE_ENTRY("cmdline", 0444, proc_pid_cmdline),
    FILE_ENTRY("comm", 0444, proc_pid_comm),
    MAGIC_ENTRY("cwd", proc_cwd_link),
    FILE_ENTRY("environ", 0400, proc_pid_environ),
    MAGIC_ENTRY("exe", proc_exe_link),
    FD_ENTRIES,
    FILE_ENTRY("limits", 0444, proc_pid_limits),
    FILE_ENTRY("maps", 0444, proc_pid_maps),
    KERNEL_ENTRY("mem", 0600, CB_KERNEL_FILE_MEM),
    FILE_ENTRY("mountinfo", 0444, proc_mountinfo),
    FILE_ENTRY("mounts", 0444, proc_mounts),
    FILE_ENTRY("oom_score", 0444, proc_pid_oom_score),
    FILE_ENTRY("oom_score_adj", 0444, proc_pid_oom_score_adj),
    KERNEL_ENTRY("pagemap", 0400, CB_KERNEL_FILE_PAGEMAP),
    MAGIC_ENTRY("root", proc_root_link),
    FILE_ENTRY("smaps", 0444, proc_pid_smaps),
    FILE_ENTRY("smaps_rollup", 0444, proc_pid_smaps_rollup),
    FILE_ENTRY("stat", 0444, proc_pid_stat),
    FILE_ENTRY("statm", 0444, proc_pid_statm),
    FILE_ENTRY("status", 0444, proc_pid_status),
    FILE_ENTRY("syscall", 0400, proc_pid_syscall),
    {.name = "task", .kind = PROC_DIR_TASK, .mode = 0555},
    FILE_ENTRY("wchan", 0444, proc_pid_wchan),
    {0},
};

const struct proc_entry proc_root_entries[] = {
    FILE_ENTRY("cmdline", 0444, proc_cmdline),
    FILE_ENTRY("cpuinfo", 0444, proc_cpuinfo),
    FILE_ENTRY("devices", 0444, proc_devices),
    FILE_ENTRY("filesystems", 0444, proc_filesystems),
    KERNEL_ENTRY("kpagecount", 0400, CB_KERNEL_FILE_KPAGECOUNT),
    KERNEL_ENTRY("kpageflags", 0400, CB_KERNEL_FILE_KPAGEFLAGS),
    FILE_ENTRY("loadavg", 0444, proc_loadavg),
    FILE_ENTRY("lock_stat", 0400, proc_lock_stat),
    FILE_ENTRY("meminfo", 0444, proc_meminfo),
    LINK_ENTRY("mounts", proc_mounts_link),
    LINK_ENTRY("self", proc_self_link),
    FILE_ENTRY("stat", 0444, proc_stat),
    FILE_ENTRY("swaps", 0444, proc_swaps),
    {.name = "sys", .kind = PROC_DIR, .mode = 0555, .children = proc_sys_entries},
    LINK_ENTRY("thread-self", proc_thread_self_link),
    FILE_ENTRY("uptime", 0444, proc_uptime),
    FILE_ENTRY("version", 0444, proc_version),
    FILE_ENTRY("vmstat", 0444, proc_vmstat),
    {0},
};
