/*
 * kinfo: the kinds that tell of one process, or of one of its threads.
 *
 * Owns: filling struct cb_proc_info and its fellows. Nothing is copied to the user under a lock
 * that the user's own page fault might need. A process that is exiting shows what is left of it.
 */
#include <syscall/kinfo.h>

#include <ipc/connection.h>
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/fs_context.h>
#include <ipc/userfaultfd_file.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/gup.h>
#include <mm/mm.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <mm/vma.h>
#include <proc/process.h>
#include <proc/rlimit.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <uapi/cowbell.h>
#include <uapi/linux/stat.h>

#define BATCH 16 /* elements that are filled between two copies to the user */

static s64 put_bytes(u64 buf, u64 len, const void *data, size_t size)
{
    size = min(size, len);
    return copy_to_user(buf, data, size) != 0 ? -EFAULT : (s64)size;
}

/* --- PROC and TASK ---------------------------------------------------------------------------- */

static void fill_identity(struct cb_proc_info *info, struct process *process)
{
    const struct cred *cred = &process->cred;
    u32 tty_nr = 0;
    s32 tty_pgid = 0;

    info->pid = process->pid;
    info->ppid = process_ppid(process);
    info->pgid = process_pgid(process);
    info->sid = process_sid(process);
    process_tty(process, &tty_nr, &tty_pgid);
    info->tty_nr = (s32)tty_nr;
    info->tty_pgid = tty_nr == 0 ? -1 : tty_pgid;
    info->exit_signal = process->exit_signal;
    spin_lock(&process_tree_lock);
    info->uid[0] = cred->uid;
    info->uid[1] = cred->euid;
    info->uid[2] = cred->suid;
    info->uid[3] = cred->fsuid;
    info->gid[0] = cred->gid;
    info->gid[1] = cred->egid;
    info->gid[2] = cred->sgid;
    info->gid[3] = cred->fsgid;
    info->nr_groups = min(cred->nr_groups, (u32)CB_GROUPS_MAX);
    memcpy(info->groups, cred->groups, info->nr_groups * sizeof(u32));
    info->umask = process->fs == NULL ? 0 : READ_ONCE(process->fs->umask);
    info->fd_size = process->files == NULL ? 0 : files_capacity(process->files);
    if (process->state == PROCESS_ZOMBIE) {
        info->exit_code = process->exit_code;
    }
    spin_unlock(&process_tree_lock);
}

static void fill_usage(struct cb_proc_info *info, const struct process_usage *usage)
{
    info->utime_ns = usage->utime_ns;
    info->stime_ns = usage->stime_ns;
    info->minor_faults = usage->minflt;
    info->major_faults = usage->majflt;
}

/* What a process has as a whole, and what each of its threads has for itself. */
static void fill_whole(struct cb_proc_info *info, struct process *process)
{
    struct process_usage usage;

    info->state = (u8)process_state_char(process);
    info->start_ns = process->start_time_ns;
    strlcpy(info->comm, process->comm, sizeof(info->comm));
    process_usage_sum(process, &usage);
    fill_usage(info, &usage);
}

static void fill_own(struct cb_proc_info *info, const struct thread *thread)
{
    struct process_usage usage = thread_usage(thread);

    info->state = (u8)thread_state_letter(thread);
    info->start_ns = thread->start_ns;
    strlcpy(info->comm, thread->comm, sizeof(info->comm));
    fill_usage(info, &usage);
}

static void fill_actions(struct cb_proc_info *info, const struct sighand *sighand)
{
    for (u32 i = 0; i < ARRAY_SIZE(sighand->actions); i++) {
        u64 handler = sighand->actions[i].handler;

        if (handler == SIG_IGN) {
            info->sig_ignored |= 1ul << i;
        } else if (handler != SIG_DFL) {
            info->sig_caught |= 1ul << i;
        }
    }
}

static void fill_scheduling(struct cb_proc_info *info, struct thread *thread)
{
    struct sched_params params;

    sched_get_params(thread, &params);
    info->nice = params.nice;
    info->policy = params.policy;
    info->rt_priority = params.rt_prio;
    info->priority = params.rt_prio > 0 ? -1 - (s32)params.rt_prio : 20 + params.nice;
    info->cpu = (s32)READ_ONCE(thread->cpu);
    info->cpus_allowed = READ_ONCE(thread->affinity);
    info->nvcsw = thread->nvcsw;
    info->nivcsw = thread->nivcsw;
}

static void fill_signals(struct cb_proc_info *info, struct process *process)
{
    u64 flags = spin_lock_irqsave(&process->sig_lock);

    info->child_utime_ns = process->child_usage.utime_ns;
    info->child_stime_ns = process->child_usage.stime_ns;
    info->nr_threads = process->nr_threads;
    info->sig_shared_pending = process->pending.set;
    if (process->sighand != NULL) {
        fill_actions(info, process->sighand);
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
}

static void fill_memory(struct cb_proc_info *info, struct mm *mm)
{
    mm_read_lock(mm);
    info->vm_size = mm->total_vm * PAGE_SIZE;
    info->vm_peak = max(mm->hiwater_vm, mm->total_vm) * PAGE_SIZE;
    info->vm_locked = mm->locked_vm * PAGE_SIZE;
    info->vm_data = mm->data_vm * PAGE_SIZE;
    info->vm_stack = mm->stack_vm * PAGE_SIZE;
    info->vm_exe = mm->exec_vm * PAGE_SIZE;
    info->rss_anon = mm_rss(mm, MM_RSS_ANON) * PAGE_SIZE;
    info->rss_file = mm_rss(mm, MM_RSS_FILE) * PAGE_SIZE;
    info->rss_shmem = mm_rss(mm, MM_RSS_SHMEM) * PAGE_SIZE;
    info->rss_peak = max(mm->hiwater_rss, mm_rss_total(mm)) * PAGE_SIZE;
    info->vm_page_tables = atomic_u64_load(&mm->pgtable_bytes);
    info->start_code = mm->layout.start_code;
    info->end_code = mm->layout.end_code;
    info->start_data = mm->layout.start_data;
    info->end_data = mm->layout.end_data;
    info->start_brk = mm->layout.start_brk;
    info->brk = mm->layout.brk;
    info->start_stack = mm->layout.start_stack;
    info->arg_start = mm->layout.arg_start;
    info->arg_end = mm->layout.arg_end;
    info->env_start = mm->layout.env_start;
    info->env_end = mm->layout.env_end;
    mm_read_unlock(mm);
}

/* @thread: whose the parts are that each thread has for itself; NULL if none is left */
static s64 put_info(struct cb_proc_info *info, struct process *process, struct thread *thread,
                    u64 buf, u64 len)
{
    struct mm *mm;

    if (len < sizeof(*info)) {
        return -EINVAL;
    }
    fill_identity(info, process);
    fill_signals(info, process);
    info->rss_limit = rlimit_of(process, RLIMIT_RSS);
    if (thread != NULL) {
        info->sig_pending = READ_ONCE(thread->sig.pending.set);
        info->sig_blocked = READ_ONCE(thread->sig.blocked);
        fill_scheduling(info, thread);
    }
    mm = process_mm_get(process);
    if (mm != NULL) {
        fill_memory(info, mm);
        mm_put(mm);
    }
    return put_bytes(buf, len, info, sizeof(*info));
}

static struct thread *first_thread_get(struct process *process)
{
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    struct thread *thread =
        list_first_entry_or_null(&process->threads, struct thread, process_link);

    if (thread != NULL) {
        thread_get(thread);
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    return thread;
}

static s64 kinfo_proc(struct process *process, u64 buf, u64 len)
{
    struct thread *thread = first_thread_get(process);
    struct cb_proc_info info = {0};
    s64 result;

    fill_whole(&info, process);
    result = put_info(&info, process, thread, buf, len);
    if (thread != NULL) {
        thread_put(thread);
    }
    return result;
}

/*
 * A thread that sleeps does not touch its trapframe. That it has not run in between is seen by its
 * count of switches.
 */
static s64 kinfo_task_wait(const struct thread *thread, u64 buf, u64 len)
{
    const struct trapframe *tf = arch_thread_trapframe(&thread->arch);
    u64 nr_switches = READ_ONCE(thread->nvcsw);
    struct cb_task_wait wait = {.nr = -1, .sp = tf_sp(tf), .pc = tf_ip(tf)};

    if (tf_is_syscall(tf)) {
        wait.nr = (s64)tf_syscall_nr(tf);
        for (u32 i = 0; i < ARRAY_SIZE(wait.args); i++) {
            wait.args[i] = tf_arg(tf, i);
        }
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (!thread_is_asleep(thread) || READ_ONCE(thread->nvcsw) != nr_switches) {
        return -EAGAIN;
    }
    return len < sizeof(wait) ? -EINVAL : put_bytes(buf, len, &wait, sizeof(wait));
}

s64 kinfo_thread(struct thread *thread, u32 kind, u64 buf, u64 len)
{
    struct cb_proc_info info = {0};

    if (kind == CB_KINFO_TASK_WAIT) {
        return kinfo_task_wait(thread, buf, len);
    }
    fill_own(&info, thread);
    return put_info(&info, thread->process, thread, buf, len);
}

/* --- FDS -------------------------------------------------------------------------------------- */

static struct files *get_files(struct process *process)
{
    struct files *files;

    spin_lock(&process_tree_lock);
    files = process->files;
    if (files != NULL) {
        files_get(files);
    }
    spin_unlock(&process_tree_lock);
    return files;
}

static void fill_fd(struct cb_fd_info *info, s32 fd, struct file *file, enum fd_flags flags)
{
    const struct connection *conn = connection_of_file(file);
    const struct port *port = port_of_file(file);

    memset(info, 0, sizeof(*info));
    info->fd = fd;
    info->kind = file->ops->kind;
    info->flags = READ_ONCE(file->flags) | (flags == FD_CLOSE_ON_EXEC ? O_CLOEXEC : 0);
    info->pos = (u64)READ_ONCE(file->pos);
    if (conn != NULL) {
        info->conn_flags = conn->flags;
        info->cookie = conn->cookie;
        port = conn->port;
    }
    info->port = port == NULL ? 0 : port->number;
    if (info->kind == CB_FD_USERFAULTFD) {
        userfaultfd_count(file, &info->cookie, &info->port, &info->conn_flags);
    }
    file_describe(file, info->name, sizeof(info->name));
}

static s64 list_fds(struct files *files, u64 buf, u64 len)
{
    u64 done = 0;
    s32 fd = 0;

    while (len - done >= sizeof(struct cb_fd_info)) {
        struct cb_fd_info info;
        struct file *file;
        enum fd_flags flags;

        if (!files_next(files, &fd, &file, &flags)) {
            break;
        }
        fill_fd(&info, fd, file, flags);
        file_put(file);
        if (copy_to_user(buf + done, &info, sizeof(info)) != 0) {
            return -EFAULT;
        }
        done += sizeof(info);
        fd++;
        sched_point();
    }
    return (s64)done;
}

static s64 kinfo_fds(struct process *process, u64 buf, u64 len)
{
    struct files *files;
    s64 result = 0;

    if (len < sizeof(struct cb_fd_info)) {
        return -EINVAL;
    }
    files = get_files(process);
    if (files != NULL) {
        result = list_fds(files, buf, len);
        files_put(files);
    }
    return result;
}

/* --- THREADS ---------------------------------------------------------------------------------- */

/* Thread ids after @after, ascending as far as they were created so. */
static u32 collect_tids(struct process *process, u32 skip, s32 *tids, u32 max)
{
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    struct thread *thread;
    u32 nr = 0;

    list_for_each_entry (thread, &process->threads, process_link) {
        if (skip > 0) {
            skip--;
            continue;
        }
        if (nr == max) {
            break;
        }
        tids[nr++] = thread->tid;
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    return nr;
}

static s64 kinfo_threads(struct process *process, u64 buf, u64 len)
{
    u64 done = 0;

    if (len < sizeof(s32)) {
        return -EINVAL;
    }
    for (;;) {
        s32 tids[BATCH];
        u64 room = min((len - done) / sizeof(s32), (u64)BATCH);
        u32 nr = room == 0 ? 0 : collect_tids(process, (u32)(done / sizeof(s32)), tids, (u32)room);

        if (nr == 0) {
            return (s64)done;
        }
        if (copy_to_user(buf + done, tids, nr * sizeof(s32)) != 0) {
            return -EFAULT;
        }
        done += nr * sizeof(s32);
    }
}

/* --- memory of the process -------------------------------------------------------------------- */

/* Copies [start, end) of another address space out, as far as it can be read. */
static s64 copy_range(struct mm *mm, u64 start, u64 end, u64 buf, u64 len)
{
    u8 *bounce = kmalloc(PAGE_SIZE, ALLOC_KERNEL);
    u64 total = end > start ? min(end - start, len) : 0;
    u64 done = 0;

    if (bounce == NULL) {
        return -ENOMEM;
    }
    while (done < total) {
        s64 part =
            mm_copy_remote(mm, start + done, bounce, min(total - done, PAGE_SIZE), REMOTE_READ);

        if (part <= 0) {
            break;
        }
        if (copy_to_user(buf + done, bounce, (size_t)part) != 0) {
            kfree(bounce);
            return -EFAULT;
        }
        done += (u64)part;
    }
    kfree(bounce);
    return (s64)done;
}

static s64 kinfo_strings(struct process *process, u32 kind, u64 buf, u64 len)
{
    struct mm *mm = process_mm_get(process);
    struct mm_layout layout;
    s64 result;

    if (mm == NULL) {
        return 0;
    }
    mm_read_lock(mm);
    layout = mm->layout;
    mm_read_unlock(mm);
    if (kind == CB_KINFO_ARGV) {
        result = copy_range(mm, layout.arg_start, layout.arg_end, buf, len);
    } else {
        result = copy_range(mm, layout.env_start, layout.env_end, buf, len);
    }
    mm_put(mm);
    return result;
}

static s64 kinfo_auxv(struct process *process, u64 buf, u64 len)
{
    struct mm *mm = process_mm_get(process);
    u32 nr = 0;
    s64 result;

    if (mm == NULL) {
        return 0;
    }
    while (mm->auxv != NULL && nr + 2 < AUXV_WORDS && mm->auxv->words[nr] != 0) {
        nr += 2;
    }
    result = mm->auxv == NULL ? 0 : put_bytes(buf, len, mm->auxv->words, (nr + 2) * sizeof(u64));
    mm_put(mm);
    return result;
}

/* --- names ------------------------------------------------------------------------------------ */

static s64 put_file_name(struct file *file, u64 buf, u64 len)
{
    char *name;
    s64 result;

    if (file == NULL) {
        return 0;
    }
    name = kmalloc(CB_PATH_MAX, ALLOC_KERNEL);
    if (name == NULL) {
        return -ENOMEM;
    }
    file_describe(file, name, CB_PATH_MAX);
    result = put_bytes(buf, len, name, strlen(name));
    kfree(name);
    return result;
}

static s64 kinfo_exe(struct process *process, u64 buf, u64 len)
{
    struct mm *mm = process_mm_get(process);
    struct file *file;
    s64 result;

    if (mm == NULL) {
        return 0;
    }
    mm_read_lock(mm);
    file = mm->exe_file;
    if (file != NULL) {
        file_get(file);
    }
    mm_read_unlock(mm);
    mm_put(mm);
    result = put_file_name(file, buf, len);
    if (file != NULL) {
        file_put(file);
    }
    return result;
}

static s64 kinfo_cwd(struct process *process, u64 buf, u64 len)
{
    struct fs_context *fs;
    struct file *file;
    s64 result;

    spin_lock(&process_tree_lock);
    fs = process->fs;
    if (fs != NULL) {
        fs_context_get(fs);
    }
    spin_unlock(&process_tree_lock);
    if (fs == NULL) {
        return 0;
    }
    file = fs_get_cwd(fs);
    fs_context_put(fs);
    result = put_file_name(file, buf, len);
    if (file != NULL) {
        file_put(file);
    }
    return result;
}

s64 kinfo_process(struct process *process, u32 kind, u64 buf, u64 len)
{
    switch (kind) {
    case CB_KINFO_PROC:
        return kinfo_proc(process, buf, len);
    case CB_KINFO_VMAS:
        return kinfo_vmas(process, buf, len);
    case CB_KINFO_SMAPS:
        return kinfo_smaps(process, buf, len);
    case CB_KINFO_FDS:
        return kinfo_fds(process, buf, len);
    case CB_KINFO_THREADS:
        return kinfo_threads(process, buf, len);
    case CB_KINFO_ARGV:
    case CB_KINFO_ENVIRON:
        return kinfo_strings(process, kind, buf, len);
    case CB_KINFO_AUXV:
        return kinfo_auxv(process, buf, len);
    case CB_KINFO_EXE:
        return kinfo_exe(process, buf, len);
    case CB_KINFO_CWD:
        return kinfo_cwd(process, buf, len);
    default:
        return -EINVAL;
    }
}
