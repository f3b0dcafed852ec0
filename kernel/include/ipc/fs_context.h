/*
 * Where a process's path names start: root, working directory, and the umask.
 *
 * Owns: struct fs_context. Both directories are open files (connections with CB_CONN_DIR) or NULL
 * for a process that has none yet. Locks: [l] fs->lock, [x] atomic.
 */
#ifndef IPC_FS_CONTEXT_H
#define IPC_FS_CONTEXT_H

#include <lib/atomic.h>
#include <lib/compiler.h>
#include <lib/types.h>
#include <proc/spinlock.h>
#include <ipc/file.h>

struct fs_context {
    struct refcount refs; /* [x] */
    struct spinlock lock;
    struct file *root; /* [l] */
    struct file *cwd;  /* [l] */
    u32 umask;         /* [x] */
};

/** fs_context_create() - no root, umask 022. Return: 0 or -ENOMEM. */
MUST_CHECK int fs_context_create(struct fs_context **out);

/** fs_context_fork() - a copy. Return: 0 or -ENOMEM. */
MUST_CHECK int fs_context_fork(struct fs_context *from, struct fs_context **out);

/** fs_context_get() - share it (CLONE_FS). */
void fs_context_get(struct fs_context *fs);

/** fs_context_put() - leave it. NULL is fine. */
void fs_context_put(struct fs_context *fs);

/** fs_set_root() / fs_set_cwd() - replace a directory; takes its own reference to @file. */
void fs_set_root(struct fs_context *fs, struct file *file);
void fs_set_cwd(struct fs_context *fs, struct file *file);

/** fs_get_root() / fs_get_cwd() - the directory with a reference, or NULL. */
struct file *fs_get_root(struct fs_context *fs);
struct file *fs_get_cwd(struct fs_context *fs);

/** fs_exchange_umask() - set the umask, return the old one. */
u32 fs_exchange_umask(struct fs_context *fs, u32 umask);

#endif
