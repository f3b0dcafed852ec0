/* The start of everything in kernel/ipc. */
#ifndef IPC_INIT_H
#define IPC_INIT_H

/** ipc_init() - caches of files, ports, messages, pipes; once, after slab_init(). */
void ipc_init(void);

#endif
