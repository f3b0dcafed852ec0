/* Connected pairs of sockets for streams and for packets in sequence: socketpair(2). */
#ifndef IPC_SOCKETPAIR_H
#define IPC_SOCKETPAIR_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;

#define AF_UNIX        1
#define SOCK_STREAM    1
#define SOCK_SEQPACKET 5

/**
 * socketpair_create() - two files, each of which reads what the other wrote.
 * @type:  SOCK_STREAM, or SOCK_SEQPACKET: a read returns what one write wrote, up to a page
 * @flags: O_NONBLOCK or 0, for both
 * @pair:  out: one reference each
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int socketpair_create(u32 type, u32 flags, struct file *pair[2]);

#endif
