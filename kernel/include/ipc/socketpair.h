/* Connected pairs of stream sockets: socketpair(2). */
#ifndef IPC_SOCKETPAIR_H
#define IPC_SOCKETPAIR_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;

#define AF_UNIX     1
#define SOCK_STREAM 1

/** socketpair_create() - two files, each of which reads what the other wrote. 0 or -ENOMEM. */
MUST_CHECK int socketpair_create(u32 flags, struct file *pair[2]);

#endif
