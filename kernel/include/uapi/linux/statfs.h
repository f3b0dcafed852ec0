/* Linux x86-64's layout for statfs(2). */
#ifndef UAPI_LINUX_STATFS_H
#define UAPI_LINUX_STATFS_H

#include <stdint.h>

struct statfs {
    int64_t f_type;
    int64_t f_bsize;
    int64_t f_blocks;
    int64_t f_bfree;
    int64_t f_bavail;
    int64_t f_files;
    int64_t f_ffree;
    int32_t f_fsid[2];
    int64_t f_namelen;
    int64_t f_frsize;
    int64_t f_flags;
    int64_t f_spare[4];
};

_Static_assert(sizeof(struct statfs) == 120, "ABI");

#define TMPFS_MAGIC      0x01021994
#define PIPEFS_MAGIC     0x50495045
#define HUGETLBFS_MAGIC  0x958458f6
#define ANON_INODE_MAGIC 0x09041934

#endif
