/*
 * Advisory locks of ranges of files: fcntl(2) with F_SETLK and its relatives, F_OFD_ ones included.
 *
 * A lock belongs to a table of descriptors (POSIX: to the process), or to an open file. All locks
 * of the system are in one list: they are few, and found by what file they are about, which is
 * asked of the file's server.
 */
#ifndef IPC_RECORD_LOCK_H
#define IPC_RECORD_LOCK_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;
struct files;

/** record_lock_init() - the cache; once, from ipc_init(). */
void record_lock_init(void);

/**
 * record_lock_fcntl() - F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW.
 * @user_flock: address of the caller's struct flock
 *
 * Context: thread; no lock held; may wait for others' locks.
 * Return:  0, -EAGAIN (somebody else's), -EDEADLK, -EBADF (not opened for that), -EINVAL, -EFAULT,
 *          -EOVERFLOW, -ENOMEM, -ERESTARTSYS, or what the server said.
 */
MUST_CHECK s64 record_lock_fcntl(struct file *file, u32 cmd, u64 user_flock);

/** record_lock_closed() - a descriptor was closed: the table's locks of that file go with it. */
void record_lock_closed(struct files *files, struct file *file);

/** record_lock_forget() - the owner, a table of descriptors or an open file, ends. */
void record_lock_forget(const void *owner);

#endif
