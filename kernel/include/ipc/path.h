/*
 * Operations on path names: each becomes a message to the server that owns the directory where the
 * path starts, and follows that server's redirections to others.
 *
 * Owns: choosing the first server, redirection, and the limits on paths. Servers resolve the names.
 */
#ifndef IPC_PATH_H
#define IPC_PATH_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <uapi/cowbell.h>

struct file;
struct fs_context;
struct message;

#define PATH_MAX_REDIRECTS 16

/** path_get_user() - copy a path from the user into an own buffer, for path_put(). */
MUST_CHECK int path_get_user(u64 addr, char **out);

/** path_get_kernel() - the same from kernel memory. Return: 0, -ENAMETOOLONG, -ENOMEM. */
MUST_CHECK int path_get_kernel(const char *path, char **out);

/** path_put() - free a path; NULL is fine. */
void path_put(char *path);

/**
 * path_open() - open a file by name, as open(2) does but without a descriptor.
 * @fs:    root and working directory
 * @dirfd: AT_FDCWD, or a descriptor of the current process
 * @path:  kernel memory, NUL-terminated
 * @flags: O_ flags
 * @mode:  for O_CREAT; the server applies the umask
 * @out:   out: with one reference
 *
 * Context: thread; sleeps for the server. Return: 0 or what open(2) gives.
 */
MUST_CHECK int path_open(struct fs_context *fs, s32 dirfd, const char *path, u32 flags, u32 mode,
                         struct file **out);

/** path_open_exec() - path_open(O_RDONLY) for execve: asks for execute permission. */
MUST_CHECK int path_open_exec(struct fs_context *fs, s32 dirfd, const char *path, u32 at_flags,
                              struct file **out);

/**
 * path_call() - send a path operation, and again for each redirection.
 * @dirfd:   where msg->path starts
 * @msg:     filled in but for the target; its path is exchanged by redirections
 * Return:   the result of the last server, or -errno.
 */
MUST_CHECK s64 path_call(struct fs_context *fs, s32 dirfd, struct message *msg);

/**
 * path_call2() - the same with two paths: rename, link, symlink.
 * @dirfd2: where msg->path2 starts; for symlink the only start, its first path is a text
 * Return:  also -EXDEV: the paths belong to different servers.
 */
MUST_CHECK s64 path_call2(struct fs_context *fs, s32 dirfd, s32 dirfd2, struct message *msg);

struct path_open_request {
    s32 dirfd;
    u32 flags; /* O_ */
    u32 mode;
    u32 intent;         /* enum cb_open_intent */
    u32 resolve;        /* enum cb_resolve */
    const char *path;   /* kernel memory; may be empty with @start */
    struct file *start; /* a connection where the path starts, instead of @dirfd; or NULL */
};

/** path_open_intent() - path_open() with all its choices. */
MUST_CHECK int path_open_intent(struct fs_context *fs, const struct path_open_request *request,
                                struct file **out);

/**
 * path_of_directory() - ask the server for an open directory's absolute path.
 * @path: out: CB_PATH_MAX bytes, NUL-terminated
 * Return: the length without the NUL, or -errno.
 */
MUST_CHECK s64 path_of_directory(struct fs_context *fs, struct file *directory, char *path);

/** path_init() - the cache of path buffers; once, from ipc_init(). */
void path_init(void);

#endif
