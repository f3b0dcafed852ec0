/* The file operations of a connection, and what they know of ioctl commands. */
#ifndef IPC_CONNECTION_FILE_H
#define IPC_CONNECTION_FILE_H

#include <lib/types.h>
#include <ipc/file.h>

extern const struct file_ops connection_file_ops;

/** connection_file_release() - the last descriptor is gone: queue the CLOSE item. */
void connection_file_release(struct file *file);

/* The memory that an ioctl command names at its argument. */
struct ioctl_memory {
    u32 send; /* bytes that the server may read */
    u32 recv; /* bytes that the server may write */
};

/** ioctl_memory() - by table for terminals and disks, else by the bits of the command. */
struct ioctl_memory ioctl_memory(u32 cmd);

#endif
