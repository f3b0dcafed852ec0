/* Who may do what: the identity of a process and the checks that the kernel makes with it. */
#include <proc/cred.h>

#include <proc/process.h>
#include <proc/thread.h>
#include <uapi/linux/signal.h>

bool has_capability(enum capability capability)
{
    const struct process *process = current_process();

    return process == NULL || (process->cred.cap_effective & BIT(capability)) != 0;
}

void cred_init_root(struct cred *cred)
{
    *cred = (struct cred){
        .cap_permitted = CAP_FULL_SET,
        .cap_effective = CAP_FULL_SET,
    };
}

void cred_exec(struct cred *cred)
{
    bool is_root = cred->uid == 0 || cred->euid == 0;

    cred->suid = cred->euid;
    cred->fsuid = cred->euid;
    cred->sgid = cred->egid;
    cred->fsgid = cred->egid;
    /* capabilities(7): user 0 gains everything at execve, others keep what is inherited only. */
    cred->cap_permitted = is_root ? CAP_FULL_SET : 0;
    cred->cap_effective = cred->euid == 0 ? cred->cap_permitted : 0;
}

bool cred_may_signal(const struct process *target, int signal)
{
    const struct process *self = current_process();

    if (self == NULL || self == target || has_capability(CAP_KILL)) {
        return true;
    }
    const struct cred *from = &self->cred;
    const struct cred *to = &target->cred;

    if (from->euid == to->suid || from->euid == to->uid || from->uid == to->suid ||
        from->uid == to->uid) {
        return true;
    }
    return signal == SIGCONT && self->session != NULL && self->session == target->session;
}

static bool ids_are_alike(const struct cred *self, const struct cred *target, enum trace_ids ids)
{
    u32 uid = ids == TRACE_REAL_IDS ? self->uid : self->fsuid;
    u32 gid = ids == TRACE_REAL_IDS ? self->gid : self->fsgid;

    return uid == target->uid && uid == target->euid && uid == target->suid && gid == target->gid &&
           gid == target->egid && gid == target->sgid;
}

bool cred_may_trace(const struct process *target, enum trace_ids ids)
{
    const struct process *self = current_process();

    if (self == NULL || self == target || has_capability(CAP_SYS_PTRACE)) {
        return true;
    }
    u64 caps = ids == TRACE_REAL_IDS ? self->cred.cap_permitted : self->cred.cap_effective;

    return ids_are_alike(&self->cred, &target->cred, ids) && target->dumpable &&
           (target->cred.cap_permitted & ~caps) == 0;
}
