/*
 * fork, vfork, clone: one more process, or one more thread of this one.
 *
 * Order: check the flags, count the thread against the limits, build everything that can fail
 * while nobody sees it, link it under process_tree_lock, let it run. Read next: exec.c.
 */
#include <proc/process_internal.h>

#include <arch/thread.h>
#include <arch/trapframe.h>
#include <ipc/fdtable.h>
#include <ipc/fs_context.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/mm.h>
#include <mm/usercopy.h>
#include <proc/pidfd.h>
#include <proc/sched.h>
#include <proc/thread.h>
#include <uapi/linux/sched.h>

#define CLONE_NAMESPACES                                                                           \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET)
/* What every thread of one process shares in Cowbell. */
#define CLONE_THREAD_NEEDS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND)

/* What is under construction. */
struct clone_build {
    const struct clone_request *request;
    struct process *process; /* the new one, or NULL for a thread */
    struct thread *thread;
    struct pid *pid;
    struct vfork_wait vfork;
    s32 pidfd; /* reserved descriptor, or -1 */
    struct file *pidfd_file;
};

static int clone_check(const struct clone_request *request)
{
    u64 flags = request->flags;

    if ((flags & CLONE_NAMESPACES) != 0 || (flags & CLONE_INTO_CGROUP) != 0) {
        return -EINVAL;
    }
    if ((flags & CLONE_SIGHAND) != 0 && (flags & CLONE_VM) == 0) {
        return -EINVAL;
    }
    if ((flags & CLONE_THREAD) != 0 && (flags & CLONE_THREAD_NEEDS) != CLONE_THREAD_NEEDS) {
        return -EINVAL;
    }
    if ((flags & CLONE_CLEAR_SIGHAND) != 0 && (flags & CLONE_SIGHAND) != 0) {
        return -EINVAL;
    }
    if ((flags & CLONE_PARENT) != 0 && current_process() == first_process) {
        return -EINVAL;
    }
    if ((flags & CLONE_PIDFD) != 0 && (flags & (CLONE_DETACHED | CLONE_THREAD)) != 0) {
        return -EINVAL;
    }
    if ((flags & CLONE_SETTLS) != 0 && request->tls >= TASK_SIZE) {
        return -EPERM;
    }
    return 0;
}

/* --- a new process --------------------------------------------------------------------------- */

static int clone_sighand(struct process *child, struct process *parent, u64 flags)
{
    if ((flags & CLONE_SIGHAND) != 0) {
        child->sighand = sighand_share(parent);
    } else if ((flags & CLONE_CLEAR_SIGHAND) != 0) {
        child->sighand = sighand_fork_cleared(parent);
    } else {
        child->sighand = sighand_fork(parent);
    }
    return child->sighand != NULL ? 0 : -ENOMEM;
}

static int clone_files(struct process *child, struct process *parent, u64 flags)
{
    if (parent->files == NULL) {
        return 0;
    }
    if ((flags & CLONE_FILES) != 0) {
        files_get(parent->files);
        child->files = parent->files;
        return 0;
    }
    return files_fork(parent->files, &child->files);
}

static int clone_fs(struct process *child, struct process *parent, u64 flags)
{
    if (parent->fs == NULL) {
        return 0;
    }
    if ((flags & CLONE_FS) != 0) {
        fs_context_get(parent->fs);
        child->fs = parent->fs;
        return 0;
    }
    return fs_context_fork(parent->fs, &child->fs);
}

static int clone_mm(struct process *child, struct process *parent, u64 flags)
{
    if (parent->mm == NULL) {
        return 0;
    }
    if ((flags & CLONE_VM) != 0) {
        mm_get(parent->mm);
        child->mm = parent->mm;
        return 0;
    }
    return mm_fork(parent->mm, &child->mm);
}

static void clone_copy_attributes(struct process *child, struct process *parent)
{
    memcpy(child->comm, current_thread()->comm, sizeof(child->comm));
    child->cred = parent->cred;
    child->account = parent->account;
    user_account_hold(child->account);
    child->has_subreaper_above = parent->has_subreaper_above || parent->is_subreaper;
    child->oom_score_adj = parent->oom_score_adj;
    child->dumpable = parent->dumpable;
    child->keep_caps = parent->keep_caps;
    child->no_new_privs = parent->no_new_privs;
    child->personality = parent->personality;
}

/* Gives up what a process that never ran has taken so far. */
static void clone_discard_process(struct process *child)
{
    struct mm *mm = child->mm;

    child->mm = NULL;
    files_put(child->files);
    child->files = NULL;
    fs_context_put(child->fs);
    child->fs = NULL;
    if (mm != NULL) {
        mm_put(mm);
    }
    process_put(child);
}

static int clone_build_process(struct clone_build *build)
{
    struct process *parent = current_process();
    struct process *child = process_alloc();
    u64 flags = build->request->flags;

    if (child == NULL) {
        return -ENOMEM;
    }
    clone_copy_attributes(child, parent);
    int error = rlimit_fork(child, parent);

    if (error == 0) {
        error = clone_sighand(child, parent, flags);
    }
    if (error == 0) {
        error = clone_files(child, parent, flags);
    }
    if (error == 0) {
        error = clone_fs(child, parent, flags);
    }
    if (error == 0) {
        error = clone_mm(child, parent, flags);
    }
    if (error != 0) {
        clone_discard_process(child);
        return error;
    }
    child->pid = build->pid->nr;
    child->pid_ref = build->pid;
    build->process = child;
    return 0;
}

/* --- a new thread ---------------------------------------------------------------------------- */

static void clone_init_registers(const struct clone_build *build)
{
    const struct clone_request *request = build->request;
    struct thread *self = current_thread();
    struct thread *thread = build->thread;
    struct trapframe *frame = arch_thread_trapframe(&thread->arch);

    arch_thread_init_user(&thread->arch, arch_thread_trapframe(&self->arch));
    tf_set_result(frame, 0);
    tf_forget_syscall(frame);
    if (request->stack != 0) {
        tf_set_sp(frame, request->stack);
    }
    arch_thread_fork(&thread->arch);
    if ((request->flags & CLONE_SETTLS) != 0) {
        arch_set_tls(&thread->arch, request->tls);
    }
}

static int clone_build_thread(struct clone_build *build)
{
    const struct clone_request *request = build->request;
    struct thread *self = current_thread();
    struct thread *thread;
    int error = thread_alloc(&thread);

    if (error != 0) {
        return error;
    }
    error = arch_thread_fpu_alloc(&thread->arch);
    if (error != 0) {
        thread_put(thread);
        return error;
    }
    thread->tid = build->pid->nr;
    thread_set_name(thread, self->comm);
    signal_thread_init(thread, self);
    /* A new stack in the same memory cannot share the old thread's alternate stack. */
    if ((request->flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM) {
        thread->sig.altstack_sp = self->sig.altstack_sp;
        thread->sig.altstack_size = self->sig.altstack_size;
        thread->sig.altstack_flags = self->sig.altstack_flags;
    }
    thread->timer_slack_ns = self->timer_slack_ns;
    sched_fork(thread, self);
    build->thread = thread;
    clone_init_registers(build);
    if ((request->flags & CLONE_CHILD_CLEARTID) != 0) {
        thread->clear_child_tid = request->child_tid;
    }
    if ((request->flags & CLONE_CHILD_SETTID) != 0) {
        thread->sig.set_child_tid = request->child_tid;
        arch_thread_work_set(&thread->arch, THREAD_WORK_NOTIFY);
    }
    if ((request->flags & CLONE_VFORK) != 0) {
        wait_queue_init(&build->vfork.queue);
        thread->sig.vfork = &build->vfork;
    }
    return 0;
}

/* --- linking --------------------------------------------------------------------------------- */

static int clone_link(struct clone_build *build)
{
    const struct clone_request *request = build->request;
    struct process *self = current_process();
    struct process *child = build->process;
    struct thread *thread = build->thread;
    int error = 0;

    spin_lock(&process_tree_lock);
    /* A signal to the group was sent either before this point, then fork repeats after it, or
     * after it, then the child is in the group already. */
    if (signal_pending(current_thread())) {
        error = -ERESTARTNOINTR;
    } else if (child == NULL) {
        thread->mm = self->mm;
        error = process_attach_thread_locked(self, thread, build->pid) ? 0 : -ERESTARTNOINTR;
    } else {
        bool is_sibling = (request->flags & CLONE_PARENT) != 0;

        process_link_locked(child, is_sibling ? self->parent : self);
        child->creator_tid = is_sibling ? self->creator_tid : current_thread()->tid;
        child->exit_signal = is_sibling ? self->exit_signal : request->exit_signal;
        thread->mm = child->mm;
        bool is_attached = process_attach_thread_locked(child, thread, build->pid);

        ASSERT(is_attached, "a process without threads takes its first");
    }
    spin_unlock(&process_tree_lock);
    return error;
}

static void clone_wait_vfork(struct clone_build *build)
{
    if (wait_event_killable(&build->vfork.queue, READ_ONCE(build->vfork.is_done)) != 0) {
        /* The caller is dying; the child must not touch its stack any more. */
    }
    spin_lock(&process_tree_lock);
    build->thread->sig.vfork = NULL;
    spin_unlock(&process_tree_lock);
}

void vfork_release(struct thread *thread)
{
    if (thread->sig.vfork == NULL) {
        return;
    }
    spin_lock(&process_tree_lock);
    struct vfork_wait *wait = thread->sig.vfork;

    if (wait != NULL) {
        thread->sig.vfork = NULL;
        WRITE_ONCE(wait->is_done, true);
        wake_up_all(&wait->queue);
    }
    spin_unlock(&process_tree_lock);
}

static int clone_make_pidfd(struct clone_build *build)
{
    build->pidfd = -1;
    if ((build->request->flags & CLONE_PIDFD) == 0) {
        return 0;
    }
    int error = pidfd_create(build->process, O_RDWR, &build->pidfd_file);

    if (error != 0) {
        return error;
    }
    s64 fd = fd_reserve(current_process()->files, 0, rlimit_get(RLIMIT_NOFILE), FD_CLOSE_ON_EXEC);

    if (fd < 0) {
        file_put(build->pidfd_file);
        return (int)fd;
    }
    build->pidfd = (s32)fd;
    if (put_user_u32(build->request->pidfd, (u32)fd) != 0) {
        fd_unreserve(current_process()->files, (s32)fd);
        file_put(build->pidfd_file);
        return -EFAULT;
    }
    return 0;
}

static void clone_discard_pidfd(struct clone_build *build)
{
    if (build->pidfd >= 0) {
        fd_unreserve(current_process()->files, build->pidfd);
        file_put(build->pidfd_file);
    }
}

/* From here on the child exists; it only has to be let run. */
static void clone_start(struct clone_build *build)
{
    const struct clone_request *request = build->request;

    process_count_fork();
    if (build->pidfd >= 0) {
        fd_fill(current_process()->files, build->pidfd, build->pidfd_file);
    }
    if ((request->flags & CLONE_PARENT_SETTID) != 0 &&
        put_user_u32(request->parent_tid, (u32)build->thread->tid) != 0) {
        /* As in Linux: the child runs, only the word is not written. */
    }
    thread_start(build->thread);
    if ((request->flags & CLONE_VFORK) != 0) {
        clone_wait_vfork(build);
    }
    thread_put(build->thread);
}

int process_clone(const struct clone_request *request, s32 *pid)
{
    struct clone_build build = {.request = request};
    struct process *self = current_process();
    int error = clone_check(request);

    if (error != 0) {
        return error;
    }
    if (signal_pending(current_thread())) {
        return -ERESTARTNOINTR;
    }
    error = process_reserve_thread(self);
    if (error != 0) {
        return error;
    }
    error = pid_create(&build.pid);
    if (error != 0) {
        goto out_unreserve;
    }
    error = clone_build_thread(&build);
    if (error != 0) {
        goto out_drop_pid;
    }
    if ((request->flags & CLONE_THREAD) == 0) {
        error = clone_build_process(&build);
        if (error != 0) {
            goto out_put_thread;
        }
    }
    error = clone_make_pidfd(&build);
    if (error != 0) {
        goto out_discard_process;
    }
    s32 number = build.pid->nr;

    error = clone_link(&build);
    if (error != 0) {
        goto out_discard_pidfd;
    }
    clone_start(&build);
    *pid = number;
    return 0;

out_discard_pidfd:
    clone_discard_pidfd(&build);
out_discard_process:
    if (build.process != NULL) {
        clone_discard_process(build.process);
    }
out_put_thread:
    thread_put(build.thread);
out_drop_pid:
    pid_drop(build.pid);
out_unreserve:
    process_unreserve_thread(self->account);
    return error;
}
