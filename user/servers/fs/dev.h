/* Character devices: the memory devices are handled here, terminals by the console server. */
#ifndef FS_DEV_H
#define FS_DEV_H

#include <cb_server.h>
#include "open_file.h"

/** dev_populate() - make the nodes and links of a fresh /dev. Return: 0 or -errno. */
int dev_populate(struct node *dir);

/**
 * dev_open() - open a device node.
 * @is_ours: out: false if the reply sends the client on to another server
 * Return: 0 or -ENXIO (no such device).
 */
int dev_open(struct node *node, struct cb_request *request, bool *is_ours);

/** dev_read(), dev_write(), dev_object() - READ, WRITE, OBJECT on an open device. */
int64_t dev_read(struct cb_request *request, struct open_file *file);
int64_t dev_write(struct cb_request *request, struct open_file *file);
int64_t dev_object(struct cb_request *request, struct open_file *file);

#endif
