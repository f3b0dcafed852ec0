/* What stands in debugfs. */
#ifndef FS_DEBUGFS_H
#define FS_DEBUGFS_H

#include "node.h"

/** debugfs_populate() - the files of a debugfs that is being mounted. Return: 0 or -errno. */
int debugfs_populate(struct node *root);

#endif
