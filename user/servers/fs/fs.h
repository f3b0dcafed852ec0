/*
 * What the operations of the file server share: its connections to the world, and the way from a
 * message to nodes. Each file named op_*.c or ending in _ops.c has the handlers of one subject;
 * main.c has the table of them all.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include <cb_server.h>
#include "open_file.h"
#include "path.h"

struct fs_state {
    int port;
    int console;          /* connection to the console server, or -1 */
    uint64_t port_number; /* ours, as CB_KINFO_FDS tells it */
};

extern struct fs_state fs;

/** fs_caller() - who sent the message. */
struct caller fs_caller(const struct cb_msg *msg);

/** fs_open_file() - the open file a message is about, or NULL. */
struct open_file *fs_open_file(const struct cb_request *request);

/** fs_walk() - resolve the message's first path. As walk_path(); @walk begins zeroed. */
int fs_walk(const struct cb_request *request, const struct caller *caller, enum walk_mode mode,
            struct walk *walk);

/** fs_walk_second() - resolve the second path, from cookie2. */
int fs_walk_second(const struct cb_request *request, const struct caller *caller,
                   enum walk_mode mode, struct walk *walk);

/** fs_answer_descriptor() - reply that the walk's path leads to a descriptor of the kernel's. */
void fs_answer_descriptor(struct cb_request *request, const struct walk *walk);

/**
 * fs_target() - the existing node that a message is about: its path, or with an empty path the
 * open file. Return: 0 and a held node, or -errno.
 */
int fs_target(const struct cb_request *request, const struct caller *caller, enum walk_mode mode,
              struct node **node);

/** fs_root_of() - the root directory of the sender. */
struct node *fs_root_of(const struct cb_request *request);

/** fs_may_create() - may the caller make a name in @dir? 0, -EACCES, -ENOENT (removed), -EPERM. */
int fs_may_create(const struct node *dir, const struct caller *caller);

/**
 * fs_create_child() - make a node and name it.
 * @mode: type and permission bits; the umask is applied here
 * Return: 0 and, if @out is not NULL, the held node; -ENOSPC, -EMLINK, -EPERM (not in a tree).
 */
int fs_create_child(struct node *dir, const struct caller *caller, const char *name,
                    size_t name_len, uint32_t mode, struct node **out);

/**
 * fs_make_directory() - the directory of this name in @parent, which is made unless it is there.
 * Return: 0 and the held node, -ENOTDIR, or what fs_create_child() says.
 */
int fs_make_directory(struct node *parent, const char *name, uint32_t mode, struct node **out);

/** fs_new_node() - as fs_create_child(), without a name. Return: NULL without memory. */
struct node *fs_new_node(struct node *dir, const struct caller *caller, uint32_t mode);

int64_t op_open(struct cb_request *request);
int64_t op_close(struct cb_request *request);
int64_t op_read(struct cb_request *request);
int64_t op_write(struct cb_request *request);
int64_t op_truncate(struct cb_request *request);
int64_t op_fallocate(struct cb_request *request);
int64_t op_fsync(struct cb_request *request);
int64_t op_object(struct cb_request *request);
int64_t op_seek(struct cb_request *request);
int64_t op_ioctl(struct cb_request *request);
int64_t op_getdents(struct cb_request *request);
int64_t op_stat(struct cb_request *request);
int64_t op_statat(struct cb_request *request);
int64_t op_chmod(struct cb_request *request);
int64_t op_chmodat(struct cb_request *request);
int64_t op_chown(struct cb_request *request);
int64_t op_chownat(struct cb_request *request);
int64_t op_utimens(struct cb_request *request);
int64_t op_access(struct cb_request *request);
int64_t op_statfs(struct cb_request *request);
int64_t op_readlink(struct cb_request *request);
int64_t op_getcwd(struct cb_request *request);
int64_t op_mkdir(struct cb_request *request);
int64_t op_mknod(struct cb_request *request);
int64_t op_unlink(struct cb_request *request);
int64_t op_rename(struct cb_request *request);
int64_t op_link(struct cb_request *request);
int64_t op_symlink(struct cb_request *request);
int64_t op_mount(struct cb_request *request);
int64_t op_umount(struct cb_request *request);
int64_t op_flock(struct cb_request *request);
int64_t op_interrupt(struct cb_request *request);

/** fs_hand_over() - answer with a descriptor of ours, which we then need no longer. */
void fs_hand_over(struct cb_request *request, int fd);

/** fs_start() - make the root file system and its open file. Return: 0 or -errno. */
int fs_start(void);

/** fs_mount_standard() - /proc, /dev with its devices, /dev/shm, /tmp. Return: 0 or -errno. */
int fs_mount_standard(void);

/** fs_ops - the table that the message loop uses. */
extern const struct cb_op_entry fs_ops[CB_OP_END];

#endif
