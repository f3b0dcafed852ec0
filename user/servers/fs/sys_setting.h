/* Settings under /sys that are kept here. */
#ifndef FS_SYS_SETTING_H
#define FS_SYS_SETTING_H

#include "node.h"

/**
 * sys_setting_populate() - the files of /sys/kernel/mm.
 * @dir: the directory /sys/kernel/mm
 * Return: 0 or -ENOMEM.
 */
int sys_setting_populate(struct node *dir);

#endif
