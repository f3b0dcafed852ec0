/*
 * Descriptor tables: small numbers to open files, with close-on-exec.
 *
 * Owns: struct files and its life. The threads of a process use one table; processes may share it
 * too (CLONE_FILES); fork copies it. Only those threads change it, so a lone thread of an unshared
 * table may use its files without counting a reference: fd_borrow().
 *
 * Locks: [l] files->lock, [x] atomic.
 */
#ifndef IPC_FDTABLE_H
#define IPC_FDTABLE_H

#include <lib/atomic.h>
#include <lib/compiler.h>
#include <lib/types.h>
#include <proc/process.h>
#include <proc/spinlock.h>
#include <proc/thread.h>
#include <ipc/file.h>

#define FD_TABLE_FAST  16 /* slots inside struct files */
#define FD_TABLE_LEAST 64 /* slots of the smallest table that a program is told of, as in Linux */
#define FD_TABLE_MAX   524288 /* what one kmalloc() holds; Linux allows twice as many */

struct files {
    struct refcount refs; /* [x] */
    struct spinlock lock;
    bool has_record_locks; /* [x] the table owns some, or did at some time */
    u32 size;              /* [l] slots */
    u32 next_free;         /* [l] no free slot lies below */
    struct file **slots;   /* [l] NULL: free or reserved */
    u64 *used;             /* [l] bitmap: slot holds a file or is reserved */
    u64 *cloexec;          /* [l] bitmap */
    struct file *fast_slots[FD_TABLE_FAST];
    u64 fast_used;
    u64 fast_cloexec;
};

/* A file in use by a system call. */
struct fd_ref {
    struct file *file;
    bool is_counted; /* fd_return() drops a reference */
};

/** files_create() - an empty table with one reference. Return: 0 or -ENOMEM. */
MUST_CHECK int files_create(struct files **out);

/** files_fork() - a copy with a reference to every file. Return: 0 or -ENOMEM. */
MUST_CHECK int files_fork(struct files *from, struct files **out);

/** files_get() - share a table (CLONE_FILES). */
void files_get(struct files *files);

/** files_put() - leave a table; the last one closes every file. Context: thread; NULL is fine. */
void files_put(struct files *files);

/** files_exec() - close what has close-on-exec; the caller shares the table with nobody. */
void files_exec(struct files *files);

/** files_capacity() - how many descriptors the table has room for, as programs see it. */
u32 files_capacity(const struct files *files);

/** files_is_shared() - does another process use the table too? */
bool files_is_shared(const struct files *files);

/**
 * fd_get() - the file behind a descriptor of the current process, with a reference.
 * Return: 0 or -EBADF.
 */
MUST_CHECK int fd_get(s32 fd, struct file **out);

/** files_lookup() - the same in any table. */
MUST_CHECK int files_lookup(struct files *files, s32 fd, struct file **out);

/* The slow path of fd_borrow(): with a reference. */
MUST_CHECK int fd_borrow_counted(s32 fd, struct fd_ref *ref);

/**
 * fd_borrow() - the file behind a descriptor for the length of this system call.
 * @ref: out: for fd_return(), which must be called by the same thread before it returns
 *
 * Takes a reference only if another thread could close the descriptor meanwhile. Only this thread
 * could start another one, so if it is alone it stays alone until it returns.
 * Return: 0 or -EBADF.
 */
static inline MUST_CHECK int fd_borrow(s32 fd, struct fd_ref *ref)
{
    const struct process *process = current_process();
    const struct files *files = process == NULL ? NULL : process->files;

    if (unlikely(files == NULL || READ_ONCE(process->nr_threads) > 1 ||
                 refcount_read(&files->refs) > 1)) {
        return fd_borrow_counted(fd, ref);
    }
    if (unlikely((u32)fd >= files->size || files->slots[fd] == NULL)) {
        return -EBADF;
    }
    ref->file = files->slots[fd];
    ref->is_counted = false;
    return 0;
}

/** fd_return() - the end of fd_borrow(). */
static inline void fd_return(struct fd_ref *ref)
{
    if (ref->is_counted) {
        file_put(ref->file);
    }
}

enum fd_flags { FD_PLAIN = 0, FD_CLOSE_ON_EXEC = 1 };

/**
 * fd_reserve() - take the lowest free descriptor at or above @min, without a file yet.
 * @limit: first descriptor that is not allowed, usually rlimit_get(RLIMIT_NOFILE)
 * Return: the descriptor, -EMFILE, -ENOMEM.
 */
MUST_CHECK s64 fd_reserve(struct files *files, u32 min, u64 limit, enum fd_flags flags);

/** fd_fill() - put a file into a reserved slot; takes over the caller's reference. */
void fd_fill(struct files *files, s32 fd, struct file *file);

/** fd_unreserve() - give a reserved slot back. */
void fd_unreserve(struct files *files, s32 fd);

/**
 * fd_install() - lowest free descriptor of the current process for a file.
 * @file: on success the table owns the caller's reference; on failure the caller keeps it
 * Return: the descriptor, -EMFILE, -ENOMEM.
 */
MUST_CHECK s64 fd_install(struct file *file, enum fd_flags flags);

/** files_close() - close one descriptor. Return: 0 or -EBADF. */
MUST_CHECK int files_close(struct files *files, s32 fd);

/** files_close_range() - close [first, last], or only mark it close-on-exec. */
void files_close_range(struct files *files, u32 first, u32 last, enum fd_flags only_mark);

/** files_replace() - dup2: make @fd refer to @file (counted here). Return: 0, -ENOMEM, -EBUSY. */
MUST_CHECK int files_replace(struct files *files, s32 fd, struct file *file, enum fd_flags flags);

/** files_get_cloexec() / files_set_cloexec() - the flag. Return: 0 or 1, or -EBADF. */
MUST_CHECK int files_get_cloexec(struct files *files, s32 fd);
MUST_CHECK int files_set_cloexec(struct files *files, s32 fd, enum fd_flags flags);

/**
 * files_next() - the first open descriptor at or above *@fd, for walking a table.
 * @fd:    in: where to start; out: where the file is
 * @file:  out: with a reference
 * @flags: out: FD_CLOSE_ON_EXEC or FD_PLAIN
 * Return: true if there is one.
 */
MUST_CHECK bool files_next(struct files *files, s32 *fd, struct file **file, enum fd_flags *flags);

#endif
