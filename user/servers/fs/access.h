/* Who may do what: permission bits, ownership, sticky directories. User 0 may do everything. */
#ifndef FS_ACCESS_H
#define FS_ACCESS_H

#include "node.h"

enum access_mask {
    ACCESS_EXEC = 1, /* the numbers of access(2) */
    ACCESS_WRITE = 2,
    ACCESS_READ = 4,
};

/** access_check() - may the caller do all of @mask? Return: 0 or -EACCES. */
int access_check(const struct node *node, const struct caller *caller, unsigned mask);

/** access_is_owner() - user 0, or the owner of the node. */
bool access_is_owner(const struct node *node, const struct caller *caller);

/** access_has_group() - @gid is the caller's group or one of its supplementary groups. */
bool access_has_group(const struct caller *caller, uint32_t gid);

/** access_check_delete() - may the caller take @victim out of @dir? 0, -EACCES, -EPERM. */
int access_check_delete(const struct node *dir, const struct node *victim,
                        const struct caller *caller);

/** access_doomed_bits() - set-user-ID and set-group-ID bits that a change of owner ends. */
uint32_t access_doomed_bits(const struct node *node, const struct caller *caller);

/** access_drop_privileges() - a write by anyone but user 0 ends set-user-ID and set-group-ID. */
void access_drop_privileges(struct node *node, const struct caller *caller);

#endif
