/* Character devices: the memory devices are handled here, terminals by the console server. */
#ifndef FS_DEV_H
#define FS_DEV_H

#include <cb_server.h>
#include "open_file.h"

/** dev_populate() - make the nodes and links of a fresh /dev. Return: 0 or -errno. */
int dev_populate(struct node *dir);

/** dev_add() - make the node of one device in a directory. Return: 0 or -errno. */
int dev_add(struct node *dir, const char *name);

/**
 * dev_open() - open a device node.
 * @flags:   of open(2)
 * @is_ours: out: false if the reply sends the client on, to another server or to the kernel
 * Return: 0, -ENXIO (no such device), or the kernel's error.
 */
int dev_open(struct node *node, struct cb_request *request, uint32_t flags, bool *is_ours);

/** dev_read(), dev_write(), dev_object() - READ, WRITE, OBJECT on an open device. */
int64_t dev_read(struct cb_request *request, struct open_file *file);
int64_t dev_write(struct cb_request *request, struct open_file *file);
int64_t dev_object(struct cb_request *request, struct open_file *file);

#endif
