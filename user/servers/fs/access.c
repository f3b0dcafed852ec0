/* Permission checks, by the sender's file-system ids. */
#include <errno.h>
#include <cb_syscall.h>
#include "access.h"

bool access_has_group(const struct caller *caller, uint32_t gid)
{
    struct cb_proc_info info;

    if (caller->gid == gid) {
        return true;
    }
    /* The message names one group only; the others are asked for when they could matter. */
    if (cb_kinfo(CB_KINFO_PROC, caller->pid, &info, sizeof(info)) != (long)sizeof(info)) {
        return false;
    }
    for (uint32_t i = 0; i < info.nr_groups && i < CB_GROUPS_MAX; i++) {
        if (info.groups[i] == gid) {
            return true;
        }
    }
    return false;
}

int access_check(const struct node *node, const struct caller *caller, unsigned mask)
{
    uint32_t mode = node->mode;

    if (caller->uid == 0) {
        bool may_execute = node_is_dir(node) || (mode & 0111) != 0;
        return (mask & ACCESS_EXEC) != 0 && !may_execute ? -EACCES : 0;
    }
    unsigned granted = mode & 7;
    if (caller->uid == node->uid) {
        granted = (mode >> 6) & 7;
    } else if (((mode >> 3) & 7) != granted && access_has_group(caller, node->gid)) {
        granted = (mode >> 3) & 7;
    }
    return (mask & ~granted) != 0 ? -EACCES : 0;
}

bool access_is_owner(const struct node *node, const struct caller *caller)
{
    return caller->uid == 0 || caller->uid == node->uid;
}

int access_check_delete(const struct node *dir, const struct node *victim,
                        const struct caller *caller)
{
    int error = access_check(dir, caller, ACCESS_WRITE | ACCESS_EXEC);
    if (error != 0) {
        return error;
    }
    if ((dir->mode & S_ISVTX) != 0 && !access_is_owner(dir, caller) &&
        !access_is_owner(victim, caller)) {
        return -EPERM;
    }
    return 0;
}

uint32_t access_doomed_bits(const struct node *node, const struct caller *caller)
{
    uint32_t bits = node->mode & S_ISUID;

    /* Without execution by the group the bit means mandatory locking, which group members keep. */
    if ((node->mode & S_ISGID) != 0 &&
        ((node->mode & S_IXGRP) != 0 ||
         (caller->uid != 0 && !access_has_group(caller, node->gid)))) {
        bits |= S_ISGID;
    }
    return node_is_dir(node) ? 0 : bits;
}

void access_drop_privileges(struct node *node, const struct caller *caller)
{
    if (caller->uid != 0 && S_ISREG(node->mode)) {
        node->mode &= ~access_doomed_bits(node, caller);
    }
}
