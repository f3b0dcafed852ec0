/*
 * Root directory, working directory and umask of a process.
 *
 * Owns: struct fs_context. A directory is replaced under the lock and put outside of it, because
 * the last put may release a connection. Read next: kernel/ipc/path.c.
 */
#include <ipc/fs_context.h>

#include <lib/errno.h>
#include <mm/slab.h>

#define UMASK_DEFAULT 022u

int fs_context_create(struct fs_context **out)
{
    struct fs_context *fs = kzalloc(sizeof(*fs), ALLOC_KERNEL);

    if (fs == NULL) {
        return -ENOMEM;
    }
    refcount_set(&fs->refs, 1);
    spin_init(&fs->lock, RANK_FS_CONTEXT);
    fs->umask = UMASK_DEFAULT;
    *out = fs;
    return 0;
}

int fs_context_fork(struct fs_context *from, struct fs_context **out)
{
    struct fs_context *to;
    int error = fs_context_create(&to);

    if (error != 0) {
        return error;
    }
    spin_lock(&from->lock);
    to->root = from->root;
    to->cwd = from->cwd;
    if (to->root != NULL) {
        file_get(to->root);
    }
    if (to->cwd != NULL) {
        file_get(to->cwd);
    }
    to->umask = from->umask;
    spin_unlock(&from->lock);
    *out = to;
    return 0;
}

void fs_context_get(struct fs_context *fs)
{
    refcount_inc(&fs->refs);
}

void fs_context_put(struct fs_context *fs)
{
    if (fs == NULL || !refcount_dec_and_test(&fs->refs)) {
        return;
    }
    if (fs->root != NULL) {
        file_put(fs->root);
    }
    if (fs->cwd != NULL) {
        file_put(fs->cwd);
    }
    kfree(fs);
}

static void exchange_directory(struct fs_context *fs, struct file **slot, struct file *file)
{
    struct file *old;

    file_get(file);
    spin_lock(&fs->lock);
    old = *slot;
    *slot = file;
    spin_unlock(&fs->lock);
    if (old != NULL) {
        file_put(old);
    }
}

void fs_set_root(struct fs_context *fs, struct file *file)
{
    exchange_directory(fs, &fs->root, file);
}

void fs_set_cwd(struct fs_context *fs, struct file *file)
{
    exchange_directory(fs, &fs->cwd, file);
}

static struct file *get_directory(struct fs_context *fs, struct file *const *slot)
{
    struct file *file;

    spin_lock(&fs->lock);
    file = *slot;
    if (file != NULL) {
        file_get(file);
    }
    spin_unlock(&fs->lock);
    return file;
}

struct file *fs_get_root(struct fs_context *fs)
{
    return get_directory(fs, &fs->root);
}

struct file *fs_get_cwd(struct fs_context *fs)
{
    return get_directory(fs, &fs->cwd);
}

u32 fs_exchange_umask(struct fs_context *fs, u32 umask)
{
    return __atomic_exchange_n(&fs->umask, umask & 0777u, __ATOMIC_RELAXED);
}
