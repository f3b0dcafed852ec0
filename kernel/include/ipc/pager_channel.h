/* Paged objects as their server makes them: CB_SYS_PAGER_CREATE and what its descriptor can do. */
#ifndef IPC_PAGER_CHANNEL_H
#define IPC_PAGER_CHANNEL_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;
struct port;
struct vm_object;
struct cb_pager;

/**
 * pager_file_create() - an object whose pager is the server of a port, as a memfd.
 * Return: 0, -EINVAL (size or flags), -ENOMEM.
 */
MUST_CHECK int pager_file_create(struct port *port, const struct cb_pager *pager,
                                 struct file **out);

/** pager_ioctl() - a command on such a file. Return: >= 0, -ENOTTY, or the command's error. */
MUST_CHECK s64 pager_ioctl(struct vm_object *object, u32 cmd, u64 arg);

#endif
