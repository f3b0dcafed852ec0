/*
 * The process table: making, linking, finding and freeing struct process.
 *
 * Owns: process_tree_lock, the links of the tree, the limits on the number of threads.
 * Ending is exit.c, waiting is wait.c, groups and sessions are session.c. Read next: clone.c.
 */
#include <proc/process_internal.h>

#include <ipc/fdtable.h>
#include <ipc/fs_context.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/slab.h>
#include <proc/clock.h>
#include <proc/thread.h>

/* A kernel stack is two pages; a sixteenth of memory may become stacks. */
#define PAGES_PER_THREAD 32
#define MIN_MAX_THREADS  64

struct spinlock process_tree_lock = SPINLOCK_INIT(RANK_PROCESS_TREE);
struct process *first_process;

static struct kmem_cache *process_cache;
static struct atomic_u32 nr_threads_total;
static struct atomic_u64 nr_forks;
static u32 nr_processes; /* [process_tree_lock] */
static u32 max_threads;

void proc_init(void)
{
    u64 by_memory = frames_total_count() / PAGES_PER_THREAD;

    process_cache = kmem_cache_create("process", sizeof(struct process), 0, NULL);
    max_threads = (u32)clamp(by_memory, (u64)MIN_MAX_THREADS, (u64)PID_MAX);
    pid_init();
    signal_init();
}

struct process *process_alloc(void)
{
    struct process *process = kmem_cache_alloc(process_cache, ALLOC_ZERO);

    if (process == NULL) {
        return NULL;
    }
    refcount_set(&process->refs, 1);
    process->state = PROCESS_NEW;
    list_init(&process->children);
    list_init(&process->sibling);
    list_init(&process->group_link);
    list_init(&process->threads);
    list_init(&process->dead_records);
    spin_init(&process->sig_lock, RANK_PROCESS);
    signal_pending_init(&process->pending);
    wait_queue_init(&process->stop_queue);
    wait_queue_init(&process->signal_queue);
    wait_queue_init(&process->child_queue);
    wait_queue_init(&process->thread_queue);
    wait_queue_init(&process->exit_poll_queue);
    process->dumpable = true;
    process->start_time_ns = clock_monotonic_ns();
    return process;
}

void process_get(struct process *process)
{
    refcount_inc(&process->refs);
}

void process_put(struct process *process)
{
    if (!refcount_dec_and_test(&process->refs)) {
        return;
    }
    ASSERT(process->state == PROCESS_NEW || process->state == PROCESS_DEAD,
           "a process in the tree is referenced by it");
    ASSERT(process->mm == NULL && process->files == NULL && process->fs == NULL,
           "a process gives up its resources before its record");
    signal_flush_process(process);
    if (process->sighand != NULL) {
        sighand_put(process->sighand);
    }
    if (process->account != NULL) {
        user_account_put(process->account);
    }
    rlimit_release(process);
    kmem_cache_free(process_cache, process);
}

void process_link_locked(struct process *process, struct process *parent)
{
    struct pid *pid = process->pid_ref;

    ASSERT(process->state == PROCESS_NEW, "a process is linked once");
    process->state = PROCESS_RUNNING;
    pid->process = process;
    pid_use_locked(pid);
    nr_processes++;
    process->parent = parent;
    if (parent == NULL) {
        return;
    }
    process->parent_pid = parent->pid;
    list_add_tail(&parent->children, &process->sibling);
    group_join_locked(parent->group, process);
    session_join_locked(parent->session, process);
    process->tty_generation = parent->tty_generation;
}

void process_release_locked(struct process *process)
{
    ASSERT(process->state == PROCESS_ZOMBIE, "only a zombie is released");
    ASSERT(list_is_empty(&process->children), "a zombie's children have another parent");
    process->state = PROCESS_DEAD;
    list_del(&process->sibling);
    process->parent = NULL;
    process->parent_pid = 0;
    group_leave_locked(process);
    session_leave_locked(process);
    process->pid_ref->process = NULL;
    pid_drop_locked(process->pid_ref);
    process->pid_ref = NULL;
    nr_processes--;
}

bool process_attach_thread_locked(struct process *process, struct thread *thread, struct pid *pid)
{
    u64 flags = spin_lock_irqsave(&process->sig_lock);

    /* A thread that came now would not hear of what the others have been told already. */
    if (process->group_exit || process->exec_thread != NULL || process->stop_pending) {
        spin_unlock_irqrestore(&process->sig_lock, flags);
        return false;
    }
    process_get(process);
    thread->process = process;
    list_add_tail(&process->threads, &thread->process_link);
    process->nr_threads++;
    atomic_u32_add(&process->nr_live, 1);
    spin_unlock_irqrestore(&process->sig_lock, flags);
    pid->thread = thread;
    return true;
}

struct process_usage thread_usage(const struct thread *thread)
{
    return (struct process_usage){
        .utime_ns = thread->utime_ns,
        .stime_ns = thread->stime_ns,
        .nvcsw = thread->nvcsw,
        .nivcsw = thread->nivcsw,
        .minflt = thread->minflt,
        .majflt = thread->majflt,
    };
}

bool process_detach_thread_locked(struct process *process, struct thread *thread)
{
    struct pid *pid = pid_find_locked(thread->tid);
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    struct process_usage part = thread_usage(thread);

    process_usage_add(&process->usage, &part);
    list_del(&thread->process_link);
    process->nr_threads--;
    bool is_last = process->nr_threads == 0;

    if (process->nr_threads == 1) {
        wake_up_all(&process->thread_queue);
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    process_unreserve_thread(process->account);
    pid->thread = NULL;
    pid_drop_locked(pid);
    return is_last;
}

int process_reserve_thread(struct process *process)
{
    struct user_account *account = process->account;
    u32 total = atomic_u32_fetch_add(&nr_threads_total, 1) + 1;
    u32 of_user = atomic_u32_fetch_add(&account->nr_threads, 1) + 1;

    if (total > max_threads ||
        (of_user > rlimit_of(process, RLIMIT_NPROC) && process->cred.uid != 0 &&
         !has_capability(CAP_SYS_RESOURCE) && !has_capability(CAP_SYS_ADMIN))) {
        process_unreserve_thread(account);
        return -EAGAIN;
    }
    return 0;
}

void process_unreserve_thread(struct user_account *account)
{
    atomic_u32_fetch_sub(&nr_threads_total, 1);
    atomic_u32_fetch_sub(&account->nr_threads, 1);
}

struct process *process_find_get(s32 pid)
{
    struct process *process = NULL;

    spin_lock(&process_tree_lock);
    struct pid *entry = pid_find_locked(pid);

    if (entry != NULL && entry->process != NULL) {
        process = entry->process;
        process_get(process);
    }
    spin_unlock(&process_tree_lock);
    return process;
}

struct thread *thread_find_get(s32 tid)
{
    struct thread *thread = NULL;

    spin_lock(&process_tree_lock);
    struct pid *entry = pid_find_locked(tid);

    if (entry != NULL && entry->thread != NULL) {
        thread = entry->thread;
        thread_get(thread);
    }
    spin_unlock(&process_tree_lock);
    return thread;
}

struct process *process_next_get(s32 after)
{
    struct process *process = NULL;

    spin_lock(&process_tree_lock);
    struct pid *entry = pid_next_locked(after);

    while (entry != NULL && entry->process == NULL) {
        entry = pid_next_locked(entry->nr);
    }
    if (entry != NULL) {
        process = entry->process;
        process_get(process);
    }
    spin_unlock(&process_tree_lock);
    return process;
}

struct mm *process_mm_get(struct process *process)
{
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    struct mm *mm = process->mm;

    if (mm != NULL && !mm_get_not_zero(mm)) {
        mm = NULL;
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    return mm;
}

int process_mm_access(struct process *process, enum trace_ids ids, struct mm **out)
{
    struct mm *mm = process_mm_get(process);

    if (mm == NULL) {
        return -ESRCH;
    }
    if (mm != current_mm() && !cred_may_trace(process, ids)) {
        mm_put(mm);
        return -EACCES;
    }
    *out = mm;
    return 0;
}

struct files *process_files_get(struct process *process)
{
    spin_lock(&process_tree_lock);
    struct files *files = process->files;

    if (files != NULL) {
        files_get(files);
    }
    spin_unlock(&process_tree_lock);
    return files;
}

struct fs_context *process_fs_get(struct process *process)
{
    spin_lock(&process_tree_lock);
    struct fs_context *fs = process->fs;

    if (fs != NULL) {
        fs_context_get(fs);
    }
    spin_unlock(&process_tree_lock);
    return fs;
}

u32 process_count(void)
{
    return READ_ONCE(nr_processes);
}

u32 process_thread_count(void)
{
    return atomic_u32_load(&nr_threads_total);
}

u32 process_max_threads(void)
{
    return max_threads;
}

void process_count_fork(void)
{
    atomic_u64_fetch_add(&nr_forks, 1);
}

u64 process_fork_total(void)
{
    return atomic_u64_load(&nr_forks);
}

void process_usage_add(struct process_usage *sum, const struct process_usage *part)
{
    sum->utime_ns += part->utime_ns;
    sum->stime_ns += part->stime_ns;
    sum->nvcsw += part->nvcsw;
    sum->nivcsw += part->nivcsw;
    sum->minflt += part->minflt;
    sum->majflt += part->majflt;
    sum->maxrss_pages = max(sum->maxrss_pages, part->maxrss_pages);
}

void process_usage_sum(struct process *process, struct process_usage *sum)
{
    struct thread *thread;
    u64 flags = spin_lock_irqsave(&process->sig_lock);

    *sum = process->usage;
    list_for_each_entry (thread, &process->threads, process_link) {
        struct process_usage part = thread_usage(thread);

        process_usage_add(sum, &part);
    }
    if (process->mm != NULL) {
        u64 now = max(process->mm->hiwater_rss, mm_rss_total(process->mm));

        sum->maxrss_pages = max(sum->maxrss_pages, now);
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
}

static struct timeval_abi usage_time(u64 ns)
{
    return (struct timeval_abi){
        .tv_sec = (s64)(ns / NSEC_PER_SEC),
        .tv_usec = (s64)(ns % NSEC_PER_SEC / NSEC_PER_USEC),
    };
}

void process_usage_to_rusage(const struct process_usage *usage, struct rusage *rusage)
{
    *rusage = (struct rusage){
        .ru_utime = usage_time(usage->utime_ns),
        .ru_stime = usage_time(usage->stime_ns),
        .ru_maxrss = (s64)(usage->maxrss_pages * (PAGE_SIZE / KIB)),
        .ru_minflt = (s64)usage->minflt,
        .ru_majflt = (s64)usage->majflt,
        .ru_nvcsw = (s64)usage->nvcsw,
        .ru_nivcsw = (s64)usage->nivcsw,
    };
}

char process_state_char(struct process *process)
{
    char letter = 'Z';
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    struct thread *thread = process_any_thread_locked(process);

    if (thread != NULL) {
        letter = thread_state_letter(thread);
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    return letter;
}

struct thread *process_any_thread_locked(const struct process *process)
{
    return list_first_entry_or_null(&process->threads, struct thread, process_link);
}

s32 process_ppid(const struct process *process)
{
    return READ_ONCE(process->parent_pid);
}
