/*
 * Named pipes. The bytes lie in this server between a writer and a reader; opening waits for the
 * other end, reading for bytes, writing for room, as pipe(7) tells it.
 */
#ifndef FS_FIFO_H
#define FS_FIFO_H

#include <cb_server.h>
#include "open_file.h"

/** fifo_open() - @file becomes an end of its pipe; the reply may have to wait. 0 or -errno. */
int fifo_open(struct cb_request *request, struct open_file *file);

/** fifo_read(), fifo_write() - move bytes, or wait. */
int64_t fifo_read(struct cb_request *request, struct open_file *file);
int64_t fifo_write(struct cb_request *request, struct open_file *file);

/** fifo_bytes() - what FIONREAD tells. */
uint32_t fifo_bytes(const struct node *node);

/** fifo_close() - an end goes away. */
void fifo_close(struct open_file *file);

/** fifo_release() - free the pipe of a node that is going. */
void fifo_release(struct node *node);

#endif
