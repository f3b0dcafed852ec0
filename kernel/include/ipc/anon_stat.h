/* What fstat(2) says of files that have no server: pipes, eventfds, ports, memfds. */
#ifndef IPC_ANON_STAT_H
#define IPC_ANON_STAT_H

#include <lib/types.h>

struct file;
struct stat;

/** anon_stat_fill() - a status with @mode, size 0, and the inode number that such files share. */
void anon_stat_fill(const struct file *file, u32 mode, struct stat *stat);

/** anon_inode_next() - an inode number that was not given out before. */
u64 anon_inode_next(void);

#endif
