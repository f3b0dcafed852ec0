/*
 * Process groups and sessions: what job control in a shell stands on.
 *
 * Owns: membership, the rule of orphaned groups, the terminal that a session has. The terminal
 * itself is the console server's; it tells the kernel with session_set_tty() which group is in
 * front, so that the kernel can hang it up when the session's leader exits.
 */
#include <proc/process_internal.h>

#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/slab.h>
#include <proc/thread.h>

void group_join_locked(struct pid *group, struct process *process)
{
    pid_use_locked(group);
    process->group = group;
    list_add_tail(&group->group, &process->group_link);
}

void group_leave_locked(struct process *process)
{
    struct pid *group = process->group;

    if (group == NULL) {
        return;
    }
    list_del(&process->group_link);
    process->group = NULL;
    pid_drop_locked(group);
}

void session_join_locked(struct session *session, struct process *process)
{
    session->nr_members++;
    process->session = session;
}

void session_leave_locked(struct process *process)
{
    struct session *session = process->session;

    if (session == NULL) {
        return;
    }
    process->session = NULL;
    if (session->leader == process) {
        session->leader = NULL;
    }
    if (--session->nr_members == 0) {
        session->pid->session = NULL;
        pid_drop_locked(session->pid);
        kfree(session);
    }
}

s64 session_create(void)
{
    struct process *process = current_process();
    struct session *session = kzalloc(sizeof(*session), ALLOC_KERNEL);
    s64 result = -EPERM;

    if (session == NULL) {
        return -ENOMEM;
    }
    spin_lock(&process_tree_lock);
    /* A group with this number, even without this process in it, would end up in two sessions. */
    if (process->pid_ref->session == NULL && list_is_empty(&process->pid_ref->group)) {
        session->pid = process->pid_ref;
        session->leader = process;
        pid_use_locked(session->pid);
        session->pid->session = session;
        group_leave_locked(process);
        session_leave_locked(process);
        group_join_locked(process->pid_ref, process);
        session_join_locked(session, process);
        process->tty_generation = 0;
        session = NULL;
        result = process->pid;
    }
    spin_unlock(&process_tree_lock);
    kfree(session);
    return result;
}

/* The process that setpgid() may change: the caller or a child that has not called execve(). */
static int group_target_locked(s32 pid, struct process **out) REQUIRES(process_tree_lock)
{
    struct process *self = current_process();
    struct pid *entry = pid_find_locked(pid);
    struct process *target = entry != NULL ? entry->process : NULL;

    if (target == NULL) {
        return -ESRCH;
    }
    if (target != self) {
        if (target->parent != self) {
            return -ESRCH;
        }
        if (target->session != self->session) {
            return -EPERM;
        }
        if (target->has_execed) {
            return -EACCES;
        }
    }
    if (target->session->leader == target) {
        return -EPERM;
    }
    *out = target;
    return 0;
}

static int group_change_locked(struct process *target, s32 pgid) REQUIRES(process_tree_lock)
{
    struct pid *group = pid_find_locked(pgid);

    if (pgid != target->pid) {
        if (group == NULL || list_is_empty(&group->group)) {
            return -EPERM;
        }
        struct process *member = list_first_entry(&group->group, struct process, group_link);

        if (member->session != current_process()->session) {
            return -EPERM;
        }
    }
    if (target->group != group) {
        group_leave_locked(target);
        group_join_locked(group, target);
    }
    return 0;
}

int process_set_group(s32 pid, s32 pgid)
{
    struct process *target;

    if (pgid < 0) {
        return -EINVAL;
    }
    if (pid == 0) {
        pid = current_process()->pid;
    }
    if (pgid == 0) {
        pgid = pid;
    }
    spin_lock(&process_tree_lock);
    int result = group_target_locked(pid, &target);

    if (result == 0) {
        result = group_change_locked(target, pgid);
    }
    spin_unlock(&process_tree_lock);
    return result;
}

bool group_is_orphaned_locked(const struct pid *group, const struct process *ignored)
{
    struct process *member;

    list_for_each_entry (member, &group->group, group_link) {
        const struct process *parent = member->parent;

        if (member == ignored || parent == NULL || parent == first_process ||
            member->state == PROCESS_ZOMBIE) {
            continue;
        }
        if (parent->group != group && parent->session == member->session) {
            return false;
        }
    }
    return true;
}

bool group_has_stopped_locked(const struct pid *group)
{
    struct process *member;

    list_for_each_entry (member, &group->group, group_link) {
        if (READ_ONCE(member->stopped)) {
            return true;
        }
    }
    return false;
}

void group_hangup_if_orphaned_locked(struct process *process, const struct process *parent)
{
    const struct process *ignored = NULL;

    if (parent == NULL) {
        parent = process->parent;
        ignored = process;
    }
    if (parent == NULL || parent->group == process->group || parent->session != process->session) {
        return;
    }
    /* POSIX: nobody is left who could continue a stopped job, so it is told to end. */
    if (group_is_orphaned_locked(process->group, ignored) &&
        group_has_stopped_locked(process->group)) {
        signal_send_pgrp_locked(process->group, SIGHUP, NULL);
        signal_send_pgrp_locked(process->group, SIGCONT, NULL);
    }
}

void session_leader_exit_locked(struct process *leader)
{
    struct session *session = leader->session;

    if (session == NULL || session->leader != leader) {
        return;
    }
    session->leader = NULL;
    if (session->tty_nr == 0) {
        return;
    }
    struct pid *front = pid_find_locked(session->foreground_pgid);

    if (front != NULL) {
        signal_send_pgrp_locked(front, SIGHUP, NULL);
    }
    session->tty_nr = 0;
    session->foreground_pgid = 0;
}

int session_set_tty(s32 sid, s32 fg_pgid, u32 tty_nr)
{
    int result = -ESRCH;

    spin_lock(&process_tree_lock);
    struct pid *entry = pid_find_locked(sid);

    if (entry != NULL && entry->session != NULL) {
        struct session *session = entry->session;

        if (session->tty_nr == 0 && tty_nr != 0 && session->leader != NULL) {
            session->tty_generation++;
            session->leader->tty_generation = session->tty_generation;
        }
        session->tty_nr = tty_nr;
        session->foreground_pgid = tty_nr != 0 ? fg_pgid : 0;
        result = 0;
    }
    spin_unlock(&process_tree_lock);
    return result;
}

int process_leave_tty(s32 pid)
{
    int result = -ESRCH;

    spin_lock(&process_tree_lock);
    const struct pid *entry = pid_find_locked(pid);

    if (entry != NULL && entry->process != NULL) {
        entry->process->tty_generation = 0;
        result = 0;
    }
    spin_unlock(&process_tree_lock);
    return result;
}

/* Is its session's terminal the process's own? */
static bool has_tty_locked(const struct process *process) REQUIRES(process_tree_lock)
{
    const struct session *session = process->session;

    return session != NULL && session->tty_nr != 0 &&
           session->tty_generation == process->tty_generation;
}

s32 process_pgid(const struct process *process)
{
    spin_lock(&process_tree_lock);
    s32 pgid = process->group != NULL ? process->group->nr : 0;

    spin_unlock(&process_tree_lock);
    return pgid;
}

s32 process_sid(const struct process *process)
{
    spin_lock(&process_tree_lock);
    s32 sid = process->session != NULL ? process->session->pid->nr : 0;

    spin_unlock(&process_tree_lock);
    return sid;
}

void process_tty(const struct process *process, u32 *tty_nr, s32 *foreground_pgid)
{
    *tty_nr = 0;
    *foreground_pgid = -1;
    spin_lock(&process_tree_lock);
    if (has_tty_locked(process)) {
        *tty_nr = process->session->tty_nr;
        *foreground_pgid = process->session->foreground_pgid;
    }
    spin_unlock(&process_tree_lock);
}

struct process_job process_job(const struct process *process)
{
    struct process_job job = {0};

    spin_lock(&process_tree_lock);
    if (process->session != NULL) {
        job.pgid = process->group->nr;
        job.sid = process->session->pid->nr;
        job.has_no_tty = process->session->tty_nr != 0 && !has_tty_locked(process);
    }
    spin_unlock(&process_tree_lock);
    return job;
}

bool process_is_session_leader(const struct process *process)
{
    spin_lock(&process_tree_lock);
    bool is_leader = process->session != NULL && process->session->leader == process;

    spin_unlock(&process_tree_lock);
    return is_leader;
}

bool process_is_orphaned_group(const struct process *process)
{
    spin_lock(&process_tree_lock);
    bool is_orphaned = process->group == NULL || group_is_orphaned_locked(process->group, NULL);

    spin_unlock(&process_tree_lock);
    return is_orphaned;
}

bool session_foreground(const struct process *process)
{
    spin_lock(&process_tree_lock);
    bool is_in_front =
        has_tty_locked(process) && process->session->foreground_pgid == process->group->nr;

    spin_unlock(&process_tree_lock);
    return is_in_front;
}
