/* Counters as files: eventfd(2). */
#ifndef IPC_EVENTFD_H
#define IPC_EVENTFD_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;

/** eventfd_create() - @flags: EFD_SEMAPHORE, EFD_NONBLOCK. Return: 0 or -ENOMEM. */
MUST_CHECK int eventfd_create(u32 initial, u32 flags, struct file **out);

#endif
