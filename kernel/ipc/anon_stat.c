/* fstat(2) on files without a server. */
#include <ipc/anon_stat.h>

#include <ipc/file.h>
#include <lib/atomic.h>
#include <proc/process.h>
#include <proc/thread.h>
#include <uapi/linux/stat.h>

/* One device number for all of them, distinct from those that servers are likely to choose. */
#define ANON_DEVICE_MINOR 15u
#define ANON_SHARED_INODE 1u

static struct atomic_u64 last_inode = ATOMIC_INIT(ANON_SHARED_INODE);

u64 anon_inode_next(void)
{
    return atomic_u64_fetch_add(&last_inode, 1) + 1;
}

void anon_stat_fill(const struct file *file, u32 mode, struct stat *stat)
{
    const struct process *process = current_process();

    stat->st_dev = dev_make(0, ANON_DEVICE_MINOR);
    stat->st_ino = ANON_SHARED_INODE;
    stat->st_nlink = 1;
    stat->st_mode = mode;
    stat->st_uid = process == NULL ? 0 : process->cred.fsuid;
    stat->st_gid = process == NULL ? 0 : process->cred.fsgid;
    stat->st_blksize = PAGE_SIZE;
}
