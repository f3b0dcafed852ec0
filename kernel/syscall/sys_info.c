/*
 * kinfo: snapshots of the system for the server that makes /proc of them.
 *
 * Owns: the kinds that tell of the whole system, and the permission check. Text is made of the
 * numbers in user space. Read next: kernel/syscall/kinfo_proc.c.
 */
#include <syscall/syscalls.h>

#include <arch/cpu.h>
#include <debug/lockstat.h>
#include <lib/cmdline.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <mm/verify.h>
#include <mm/vmstat.h>
#include <proc/clock.h>
#include <proc/pid.h>
#include <proc/process.h>
#include <proc/sched.h>
#include <proc/thread.h>
#include <syscall/kinfo.h>
#include <uapi/cowbell.h>

static s64 put_bytes(u64 buf, u64 len, const void *data, size_t size)
{
    size = min(size, len);
    return copy_to_user(buf, data, size) != 0 ? -EFAULT : (s64)size;
}

/* A structure goes out whole or not at all. */
static s64 put_struct(u64 buf, u64 len, const void *data, size_t size)
{
    return len < size ? -EINVAL : put_bytes(buf, len, data, size);
}

static s64 kinfo_cmdline(u64 buf, u64 len)
{
    const char *text = cmdline_text();

    return put_bytes(buf, len, text, strlen(text));
}

static s64 kinfo_proc_list(u64 buf, u64 len)
{
    u64 done = 0;
    s32 last = 0;

    if (len < sizeof(s32)) {
        return -EINVAL;
    }
    while (len - done >= sizeof(s32)) {
        struct process *process = process_next_get(last);

        if (process == NULL) {
            break;
        }
        last = process->pid;
        process_put(process);
        if (put_user_u32(buf + done, (u32)last) != 0) {
            return -EFAULT;
        }
        done += sizeof(s32);
        sched_point();
    }
    return (s64)done;
}

static s64 kinfo_mem(u64 buf, u64 len)
{
    struct mem_stats stats = mem_stats_get();
    struct cb_mem_info info;

    memset(&info, 0, sizeof(info));
    info.total = (stats.total + stats.reserved) * PAGE_SIZE;
    info.free = stats.free * PAGE_SIZE;
    info.available = info.free;
    info.anon = stats.counters[MEM_ANON] * PAGE_SIZE;
    info.shmem = stats.counters[MEM_SHMEM] * PAGE_SIZE;
    info.slab = stats.counters[MEM_SLAB] * PAGE_SIZE;
    info.page_tables = stats.counters[MEM_PAGE_TABLES] * PAGE_SIZE;
    info.kernel_stacks = stats.counters[MEM_KERNEL_STACKS] * PAGE_SIZE;
    info.committed = vm_committed() * PAGE_SIZE;
    info.commit_limit = vm_commit_limit() * PAGE_SIZE;
    return put_struct(buf, len, &info, sizeof(info));
}

static bool count_thread(struct thread *thread, void *arg)
{
    u32 *nr = arg;

    *nr += thread->process != NULL && !thread_is_finished(thread);
    return true;
}

static void system_fill_cpus(struct cb_sys_info *info)
{
    info->nr_cpus = min(cpu_count(), (u32)CB_CPUS_MAX);
    for (u32 cpu = 0; cpu < info->nr_cpus; cpu++) {
        struct cb_cpu_times *times = &info->cpus[cpu];
        struct sched_stats stats;

        sched_cpu_stats(cpu, &stats);
        info->context_switches += stats.switches;
        info->idle_ns += stats.idle_ns;
        /* Only idle time is kept for each CPU; what is not idle counts as the users'. */
        times->idle_ns = stats.idle_ns;
        times->user_ns = info->uptime_ns > stats.idle_ns ? info->uptime_ns - stats.idle_ns : 0;
    }
}

static s64 kinfo_system(u64 buf, u64 len)
{
    struct cb_sys_info *info = kzalloc(sizeof(*info), ALLOC_KERNEL);
    u64 loads[3];
    s64 result;

    if (info == NULL) {
        return -ENOMEM;
    }
    info->uptime_ns = clock_monotonic_ns();
    info->boot_realtime_sec = (u64)clock_realtime_seconds() - info->uptime_ns / NSEC_PER_SEC;
    info->forks = process_fork_total();
    sched_load_averages(loads);
    for (u32 i = 0; i < ARRAY_SIZE(loads); i++) {
        info->loadavg[i] = (u32)loads[i];
    }
    info->nr_running = sched_nr_running();
    info->last_pid = pid_last();
    thread_for_each(count_thread, &info->nr_threads);
    system_fill_cpus(info);
    result = put_struct(buf, len, info, sizeof(*info));
    kfree(info);
    return result;
}

/* The counters belong to their CPUs, which go on counting: another CPU's may be a little old. */
static s64 kinfo_cpu_stats(u64 buf, u64 len)
{
    u64 done = 0;

    if (len < sizeof(struct cb_cpu_stats)) {
        return -EINVAL;
    }
    for (u32 id = 0; id < cpu_count() && len - done >= sizeof(struct cb_cpu_stats); id++) {
        const struct cpu_stats *stats = &cpu_at(id)->stats;
        struct cb_cpu_stats out = {
            .interrupts = READ_ONCE(stats->nr_interrupts),
            .timer_interrupts = READ_ONCE(stats->nr_timer_interrupts),
            .ipis_sent = READ_ONCE(stats->nr_ipis_sent),
            .ipis_received = READ_ONCE(stats->nr_ipis_received),
            .tlb_page_flushes = READ_ONCE(stats->nr_tlb_page_flushes),
            .tlb_full_flushes = READ_ONCE(stats->nr_tlb_full_flushes),
            .root_loads = READ_ONCE(stats->nr_mm_switches),
        };

        if (copy_to_user(buf + done, &out, sizeof(out)) != 0) {
            return -EFAULT;
        }
        done += sizeof(out);
    }
    return (s64)done;
}

static s64 kinfo_locks(u64 buf, u64 len)
{
    u64 done = 0;

    if (len < sizeof(struct cb_lock_stats)) {
        return -EINVAL;
    }
    for (u32 rank = RANK_NONE + 1; rank < RANK_COUNT && len - done >= sizeof(struct cb_lock_stats);
         rank++) {
        struct cb_lock_stats out = {.contended = lockstat_read(rank)};

        strlcpy(out.name, lock_rank_name(rank), sizeof(out.name));
        if (copy_to_user(buf + done, &out, sizeof(out)) != 0) {
            return -EFAULT;
        }
        done += sizeof(out);
    }
    return (s64)done;
}

/* What a process may hide from others: its memory's shape, its files, its environment. */
static bool is_private(u32 kind)
{
    switch (kind) {
    case CB_KINFO_VMAS:
    case CB_KINFO_FDS:
    case CB_KINFO_ENVIRON:
    case CB_KINFO_AUXV:
    case CB_KINFO_EXE:
    case CB_KINFO_CWD:
    case CB_KINFO_TASK_WAIT:
        return true;
    default:
        return false;
    }
}

static bool may_see(const struct process *process, u32 kind)
{
    u32 euid = current_process()->cred.euid;

    return !is_private(kind) || euid == 0 || euid == READ_ONCE(process->cred.euid);
}

static s64 kinfo_of_thread(s32 tid, u32 kind, u64 buf, u64 len)
{
    struct thread *thread = thread_find_get(tid == 0 ? current_thread()->tid : tid);
    s64 result;

    if (thread == NULL) {
        return -ESRCH;
    }
    result = may_see(thread->process, kind) ? kinfo_thread(thread, kind, buf, len) : -EACCES;
    thread_put(thread);
    return result;
}

static s64 kinfo_of(s32 pid, u32 kind, u64 buf, u64 len)
{
    struct process *process = process_find_get(pid == 0 ? current_process()->pid : pid);
    s64 result;

    if (process == NULL) {
        return -ESRCH;
    }
    result = may_see(process, kind) ? kinfo_process(process, kind, buf, len) : -EACCES;
    process_put(process);
    return result;
}

static s64 kinfo_events(u64 buf, u64 len)
{
    const struct cb_vm_events events = {
        .faults = vm_event_count(VM_EVENT_FAULT),
        .major_faults = vm_event_count(VM_EVENT_MAJOR),
        .lazy_free = vm_event_count(VM_EVENT_LAZYFREE),
        .lazy_freed = vm_event_count(VM_EVENT_LAZYFREED),
        .oom_kills = vm_event_count(VM_EVENT_OOM_KILL),
    };

    return len < sizeof(events) ? -EINVAL : put_bytes(buf, len, &events, sizeof(events));
}

static s64 kinfo_verify(void)
{
    if (!DEBUG_ENABLED) {
        return -ENOSYS;
    }
    if (current_process()->cred.euid != 0) {
        return -EPERM;
    }
    mm_verify_all();
    thread_verify_stacks();
    return 0;
}

long sys_kinfo(u32 kind, s32 pid, u64 buf, u64 len)
{
    if (!user_access_ok(buf, len)) {
        return -EFAULT;
    }
    switch (kind) {
    case CB_KINFO_CMDLINE:
        return kinfo_cmdline(buf, len);
    case CB_KINFO_PROC_LIST:
        return kinfo_proc_list(buf, len);
    case CB_KINFO_MEM:
        return kinfo_mem(buf, len);
    case CB_KINFO_SYSTEM:
        return kinfo_system(buf, len);
    case CB_KINFO_CPU_STATS:
        return kinfo_cpu_stats(buf, len);
    case CB_KINFO_LOCKS:
        return kinfo_locks(buf, len);
    case CB_KINFO_VERIFY:
        return kinfo_verify();
    case CB_KINFO_EVENTS:
        return kinfo_events(buf, len);
    case CB_KINFO_TASK:
    case CB_KINFO_TASK_WAIT:
        return kinfo_of_thread(pid, kind, buf, len);
    default:
        return kind >= CB_KINFO_END ? -EINVAL : kinfo_of(pid, kind, buf, len);
    }
}
