/*
 * System calls about identity: user and group ids, supplementary groups, capabilities.
 *
 * The credentials belong to the process; each change is made on a copy, checked, and put in place
 * under process_tree_lock. Rules: credentials(7), capabilities(7).
 */
#include <syscall/syscalls.h>

#include <lib/errno.h>
#include <mm/usercopy.h>
#include <proc/process.h>
#include <proc/thread.h>

#define NO_ID 0xffffffffu

#define CAPABILITY_VERSION_1 0x19980330
#define CAPABILITY_VERSION_2 0x20071026
#define CAPABILITY_VERSION_3 0x20080522

/* capabilities(7): what leaving and entering user 0 does to the sets. */
static void adjust_capabilities(struct cred *new, const struct cred *old, bool keeps)
{
    bool was_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
    bool is_root = new->uid == 0 || new->euid == 0 || new->suid == 0;

    if (was_root && !is_root) {
        if (!keeps) {
            new->cap_permitted = 0;
        }
        new->cap_effective = 0;
    } else if (old->euid == 0 && new->euid != 0) {
        new->cap_effective = 0;
    } else if (old->euid != 0 && new->euid == 0) {
        new->cap_effective = new->cap_permitted;
    }
}

/* Makes @new the identity of the current process, and moves its threads to the user's account. */
static long commit_cred(struct cred *new)
{
    struct process *self = current_process();
    struct user_account *account = NULL;

    if (new->uid != self->cred.uid) {
        account = user_account_get(new->uid);
        if (account == NULL) {
            return -EAGAIN;
        }
    }
    adjust_capabilities(new, &self->cred, self->keep_caps);
    spin_lock(&process_tree_lock);
    u64 flags = spin_lock_irqsave(&self->sig_lock);

    if (new->euid != self->cred.euid || new->egid != self->cred.egid) {
        self->dumpable = false;
        self->pdeath_signal = 0;
    }
    self->cred = *new;
    if (account != NULL) {
        struct user_account *old = self->account;

        atomic_u32_add(&account->nr_threads, self->nr_threads);
        atomic_u32_fetch_sub(&old->nr_threads, self->nr_threads);
        self->account = account;
        account = old;
    }
    spin_unlock_irqrestore(&self->sig_lock, flags);
    spin_unlock(&process_tree_lock);
    if (account != NULL) {
        user_account_put(account);
    }
    return 0;
}

long sys_getuid(void)
{
    return current_process()->cred.uid;
}

long sys_geteuid(void)
{
    return current_process()->cred.euid;
}

long sys_getgid(void)
{
    return current_process()->cred.gid;
}

long sys_getegid(void)
{
    return current_process()->cred.egid;
}

/* --- users ----------------------------------------------------------------------------------- */

long sys_setuid(u32 uid)
{
    struct cred new = current_process()->cred;

    if (uid == NO_ID) {
        return -EINVAL;
    }
    if (has_capability(CAP_SETUID)) {
        new.uid = uid;
        new.suid = uid;
    } else if (uid != new.uid && uid != new.suid) {
        return -EPERM;
    }
    new.euid = uid;
    new.fsuid = uid;
    return commit_cred(&new);
}

long sys_setreuid(u32 ruid, u32 euid)
{
    const struct cred old = current_process()->cred;
    struct cred new = old;
    bool may_all = has_capability(CAP_SETUID);

    if (ruid != NO_ID) {
        if (!may_all && ruid != old.uid && ruid != old.euid) {
            return -EPERM;
        }
        new.uid = ruid;
    }
    if (euid != NO_ID) {
        if (!may_all && euid != old.uid && euid != old.euid && euid != old.suid) {
            return -EPERM;
        }
        new.euid = euid;
    }
    if (ruid != NO_ID || (euid != NO_ID && euid != old.uid)) {
        new.suid = new.euid;
    }
    new.fsuid = new.euid;
    return commit_cred(&new);
}

static bool is_one_of(u32 id, u32 a, u32 b, u32 c)
{
    return id == NO_ID || id == a || id == b || id == c;
}

long sys_setresuid(u32 ruid, u32 euid, u32 suid)
{
    struct cred new = current_process()->cred;

    if (!has_capability(CAP_SETUID) && (!is_one_of(ruid, new.uid, new.euid, new.suid) ||
                                        !is_one_of(euid, new.uid, new.euid, new.suid) ||
                                        !is_one_of(suid, new.uid, new.euid, new.suid))) {
        return -EPERM;
    }
    new.uid = ruid != NO_ID ? ruid : new.uid;
    new.euid = euid != NO_ID ? euid : new.euid;
    new.suid = suid != NO_ID ? suid : new.suid;
    new.fsuid = new.euid;
    return commit_cred(&new);
}

static long put_ids(u64 to1, u32 id1, u64 to2, u32 id2, u64 to3, u32 id3)
{
    if (put_user_u32(to1, id1) != 0 || put_user_u32(to2, id2) != 0) {
        return -EFAULT;
    }
    return put_user_u32(to3, id3);
}

long sys_getresuid(u64 ruid, u64 euid, u64 suid)
{
    const struct cred *cred = &current_process()->cred;

    return put_ids(ruid, cred->uid, euid, cred->euid, suid, cred->suid);
}

long sys_setfsuid(u32 uid)
{
    struct cred new = current_process()->cred;
    u32 old = new.fsuid;

    if (uid == NO_ID || (!has_capability(CAP_SETUID) &&
                         uid != new.uid &&uid != new.euid &&uid != new.suid &&uid != new.fsuid)) {
        return old;
    }
    new.fsuid = uid;
    if (commit_cred(&new) != 0) {
        return old; /* the call has no errors: the caller compares */
    }
    return old;
}

/* --- groups ---------------------------------------------------------------------------------- */

long sys_setgid(u32 gid)
{
    struct cred new = current_process()->cred;

    if (gid == NO_ID) {
        return -EINVAL;
    }
    if (has_capability(CAP_SETGID)) {
        new.gid = gid;
        new.sgid = gid;
    } else if (gid != new.gid && gid != new.sgid) {
        return -EPERM;
    }
    new.egid = gid;
    new.fsgid = gid;
    return commit_cred(&new);
}

long sys_setregid(u32 rgid, u32 egid)
{
    const struct cred old = current_process()->cred;
    struct cred new = old;
    bool may_all = has_capability(CAP_SETGID);

    if (rgid != NO_ID) {
        if (!may_all && rgid != old.gid && rgid != old.egid) {
            return -EPERM;
        }
        new.gid = rgid;
    }
    if (egid != NO_ID) {
        if (!may_all && egid != old.gid && egid != old.egid && egid != old.sgid) {
            return -EPERM;
        }
        new.egid = egid;
    }
    if (rgid != NO_ID || (egid != NO_ID && egid != old.gid)) {
        new.sgid = new.egid;
    }
    new.fsgid = new.egid;
    return commit_cred(&new);
}

long sys_setresgid(u32 rgid, u32 egid, u32 sgid)
{
    struct cred new = current_process()->cred;

    if (!has_capability(CAP_SETGID) && (!is_one_of(rgid, new.gid, new.egid, new.sgid) ||
                                        !is_one_of(egid, new.gid, new.egid, new.sgid) ||
                                        !is_one_of(sgid, new.gid, new.egid, new.sgid))) {
        return -EPERM;
    }
    new.gid = rgid != NO_ID ? rgid : new.gid;
    new.egid = egid != NO_ID ? egid : new.egid;
    new.sgid = sgid != NO_ID ? sgid : new.sgid;
    new.fsgid = new.egid;
    return commit_cred(&new);
}

long sys_getresgid(u64 rgid, u64 egid, u64 sgid)
{
    const struct cred *cred = &current_process()->cred;

    return put_ids(rgid, cred->gid, egid, cred->egid, sgid, cred->sgid);
}

long sys_setfsgid(u32 gid)
{
    struct cred new = current_process()->cred;
    u32 old = new.fsgid;

    if (gid == NO_ID || (!has_capability(CAP_SETGID) &&
                         gid != new.gid &&gid != new.egid &&gid != new.sgid &&gid != new.fsgid)) {
        return old;
    }
    new.fsgid = gid;
    if (commit_cred(&new) != 0) {
        return old;
    }
    return old;
}

long sys_getgroups(s32 count, u64 list)
{
    const struct cred *cred = &current_process()->cred;
    u32 nr = cred->nr_groups;

    if (count < 0) {
        return -EINVAL;
    }
    if (count == 0) {
        return nr;
    }
    if ((u32)count < nr) {
        return -EINVAL;
    }
    return copy_to_user(list, cred->groups, nr * sizeof(u32)) != 0 ? -EFAULT : (long)nr;
}

long sys_setgroups(s32 count, u64 list)
{
    struct cred new = current_process()->cred;

    if (!has_capability(CAP_SETGID)) {
        return -EPERM;
    }
    if ((u32)count > CRED_MAX_GROUPS) {
        return -EINVAL;
    }
    if (copy_from_user(new.groups, list, (u32)count * sizeof(u32)) != 0) {
        return -EFAULT;
    }
    new.nr_groups = (u32)count;
    return commit_cred(&new);
}

/* --- capabilities ---------------------------------------------------------------------------- */

struct capability_header {
    u32 version;
    s32 pid;
};

struct capability_words {
    u32 effective, permitted, inheritable;
};

/* Reads the header. Return: number of 32-bit words a set has, or -errno. */
static int get_capability_header(u64 user, struct capability_header *header)
{
    if (copy_from_user(header, user, sizeof(*header)) != 0) {
        return -EFAULT;
    }
    switch (header->version) {
    case CAPABILITY_VERSION_1:
        return 1;
    case CAPABILITY_VERSION_2:
    case CAPABILITY_VERSION_3:
        return 2;
    default:
        /* The caller learns which version the kernel speaks. */
        return put_user_u32(user, CAPABILITY_VERSION_3) != 0 ? -EFAULT : -EINVAL;
    }
}

long sys_capget(u64 user_header, u64 data)
{
    struct capability_header header;
    struct capability_words words[2];
    int nr = get_capability_header(user_header, &header);

    if (nr < 0) {
        return nr == -EINVAL && data == 0 ? 0 : nr;
    }
    if (header.pid < 0) {
        return -EINVAL;
    }
    struct process *process =
        process_find_get(header.pid != 0 ? header.pid : current_process()->pid);

    if (process == NULL) {
        return -ESRCH;
    }
    const struct cred *cred = &process->cred;

    for (int i = 0; i < 2; i++) {
        words[i] = (struct capability_words){
            .effective = (u32)(cred->cap_effective >> (32 * i)),
            .permitted = (u32)(cred->cap_permitted >> (32 * i)),
            .inheritable = (u32)(cred->cap_inheritable >> (32 * i)),
        };
    }
    process_put(process);
    return data != 0 ? copy_to_user(data, words, (u64)nr * sizeof(words[0])) : 0;
}

long sys_capset(u64 user_header, u64 data)
{
    struct capability_header header;
    struct capability_words words[2] = {0};
    struct cred new = current_process()->cred;
    int nr = get_capability_header(user_header, &header);

    if (nr < 0) {
        return nr;
    }
    if (header.pid != 0 && header.pid != current_process()->pid) {
        return -EPERM;
    }
    if (copy_from_user(words, data, (u64)nr * sizeof(words[0])) != 0) {
        return -EFAULT;
    }
    u64 effective = words[0].effective | (u64)words[1].effective << 32;
    u64 permitted = words[0].permitted | (u64)words[1].permitted << 32;
    u64 inheritable = words[0].inheritable | (u64)words[1].inheritable << 32;
    u64 inheritable_limit = new.cap_inheritable | new.cap_permitted;

    if (has_capability(CAP_SETPCAP)) {
        inheritable_limit = CAP_FULL_SET;
    }
    effective &= CAP_FULL_SET;
    permitted &= CAP_FULL_SET;
    inheritable &= CAP_FULL_SET;
    if ((permitted & ~new.cap_permitted) != 0 || (effective & ~permitted) != 0 ||
        (inheritable & ~inheritable_limit) != 0) {
        return -EPERM;
    }
    new.cap_effective = effective;
    new.cap_permitted = permitted;
    new.cap_inheritable = inheritable;
    return commit_cred(&new);
}
