/*
 * Open files: what a descriptor refers to, whatever stands behind it.
 *
 * Owns: struct file, its life, the operations table. A file is shared by dup(2), fork(2) and by
 * passing it in a message; the last file_put() releases it. Read next: ipc/fdtable.h.
 *
 * Locks: [I] immutable, [l] file->lock, [p] file->pos_lock, [x] atomic.
 */
#ifndef IPC_FILE_H
#define IPC_FILE_H

#include <lib/atomic.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/types.h>
#include <proc/mutex.h>
#include <proc/spinlock.h>
#include <ipc/iov.h>
#include <uapi/linux/fcntl.h>

struct file;
struct poll_table;
struct stat;
struct statfs;
struct vm_object;

enum file_traits {
    FILE_SEEKABLE = 1 << 0, /* has a position */
    FILE_DIRECTORY = 1 << 1,
    FILE_APPENDS = 1 << 2, /* write() handles O_APPEND itself */
    FILE_PATH_ONLY = 1 << 3,
};

/*
 * What a kind of file can do. An absent operation gives the error that Linux gives for a file
 * without it. Every function runs in a thread and may sleep; results are >= 0 or -errno.
 */
struct file_ops {
    u32 kind; /* enum cb_fd_kind */
    s64 (*read)(struct file *file, struct iov_iter *iter, s64 *pos);
    s64 (*write)(struct file *file, struct iov_iter *iter, s64 *pos);
    s64 (*ioctl)(struct file *file, u32 cmd, u64 arg);
    /* The events that are ready now; registers for later ones through poll_wait(). */
    u32 (*poll)(struct file *file, struct poll_table *table);
    /* The last reference is gone. Must not fail and must not wait for user code. */
    void (*release)(struct file *file);
    /* Another open file of the same object, as open(2) on a name of it makes one. */
    int (*reopen)(struct file *file, u32 flags, struct file **out);
    int (*stat)(struct file *file, struct stat *stat);
    int (*statfs)(struct file *file, struct statfs *statfs);
    int (*chmod)(struct file *file, u32 mode);
    int (*truncate)(struct file *file, s64 size);
    int (*fallocate)(struct file *file, u32 mode, s64 offset, s64 len);
    s64 (*getdents)(struct file *file, u64 buf, size_t len);
    int (*sync)(struct file *file, u32 data_only);
    /* For SEEK_END. */
    int (*size)(struct file *file, s64 *size);
    /* SEEK_DATA and SEEK_HOLE; without it, or with -EOPNOTSUPP, the whole file is data. */
    s64 (*seek)(struct file *file, s64 offset, u32 whence);
    /* @prot: PROT_ bits; @map_flags: MAP_SHARED or MAP_PRIVATE. The object comes referenced. */
    int (*get_object)(struct file *file, u32 prot, u32 map_flags, struct vm_object **object);
    /* F_GETPIPE_SZ, F_ADD_SEALS and the like; -EINVAL for a command of another kind's. */
    s64 (*fcntl)(struct file *file, u32 cmd, u64 arg);
    /* What readlink(/proc/self/fd/N) shows; at most @size bytes with the NUL. */
    void (*name)(struct file *file, char *buf, size_t size);
};

struct file {
    struct refcount refs;       /* [x] */
    u32 flags;                  /* [l] O_ access mode and status flags; read without */
    u32 traits;                 /* [I] enum file_traits, once the file is open */
    s32 owner;                  /* [l] F_SETOWN */
    const struct file_ops *ops; /* [I] */
    void *private;              /* [I] of the kind */
    bool has_record_locks;      /* [x] of its own (F_OFD_SETLK), at some time */
    s64 pos;                    /* [p] */
    struct mutex pos_lock;
    struct spinlock lock;
    struct list_node epoll_items; /* [l] struct epoll_item.file_link */
};

/**
 * file_alloc() - make an open file with one reference.
 * @flags:   O_ access mode and status flags
 * @private: the kind's own state; the file owns it from now on
 *
 * Return: 0 or -ENOMEM; on error @private stays the caller's.
 */
MUST_CHECK int file_alloc(const struct file_ops *ops, u32 flags, u32 traits, void *private,
                          struct file **out);

/** file_get() - take another reference. */
static inline void file_get(struct file *file)
{
    refcount_inc(&file->refs);
}

/** file_put() - drop a reference; the last one releases the file. Context: thread. */
void file_put(struct file *file);

static inline bool file_can_read(const struct file *file)
{
    return (file->flags & O_ACCMODE) != O_WRONLY && !(file->traits & FILE_PATH_ONLY);
}

static inline bool file_can_write(const struct file *file)
{
    return (file->flags & O_ACCMODE) - 1u < 2 && !(file->traits & FILE_PATH_ONLY);
}

static inline bool file_is_nonblock(const struct file *file)
{
    return (READ_ONCE(file->flags) & O_NONBLOCK) != 0;
}

/**
 * file_read_kernel() - read at a position into a kernel buffer, until it is full or the file ends.
 * Context: thread; may sleep; no lock held. Return: bytes read, or -errno if none were.
 */
MUST_CHECK s64 file_read_kernel(struct file *file, void *buf, size_t len, s64 pos);

/** file_beyond_limit() - send the caller SIGXFSZ. Return: -EFBIG. */
int file_beyond_limit(void);

/**
 * file_limit_write() - cut a write off where the process's files have to end (RLIMIT_FSIZE).
 * @pos:   where it begins; ignored with O_APPEND
 * @count: in and out: bytes
 * Return: 0 with *count perhaps smaller, or -EFBIG with SIGXFSZ sent, or why the size is unknown.
 */
MUST_CHECK int file_limit_write(struct file *file, s64 pos, u64 *count);

/**
 * file_write_limited() - write as far as RLIMIT_FSIZE lets the file grow.
 * @pos: in and out: where; NULL for a file without a position, whose size has no limit
 * Return: bytes, or -errno. Context: thread; may sleep; no lock but the position's held.
 */
MUST_CHECK s64 file_write_limited(struct file *file, struct iov_iter *iter, s64 *pos);

/** file_limit_size() - may the file become @size bytes? Return: as file_limit_write(). */
MUST_CHECK int file_limit_size(struct file *file, s64 size);

/** file_stat() - status of an open file. Return: 0 or -errno. */
MUST_CHECK int file_stat(struct file *file, struct stat *stat);

/**
 * file_get_object() - the memory object behind a file, for mapping it.
 * @prot:      PROT_ bits of the mapping
 * @map_flags: MAP_SHARED or MAP_PRIVATE
 * @object:    out: with a reference
 *
 * Return: 0, -EACCES (the file was not opened for it), -EPERM (sealed), -ENODEV (cannot be
 *         mapped), or what the server answered.
 */
MUST_CHECK int file_get_object(struct file *file, u32 prot, u32 map_flags,
                               struct vm_object **object);

/**
 * file_describe() - a file's name for people: a path, "pipe:[7]", "/memfd:x (deleted)".
 * @buf: @size bytes; always NUL-terminated, cut off if too long, empty if there is no name
 */
void file_describe(struct file *file, char *buf, size_t size);

/** file_cookie() - cookie of the connection behind a file, 0 if it is none. */
u64 file_cookie(const struct file *file);

/** file_init() - the cache of open files; once, from ipc_init(). */
void file_init(void);

#endif
