/*
 * The calls that only Cowbell has: ports, connections, messages, and snapshots of kernel state.
 *
 * A server owns a port. A connection is a file descriptor that leads to a port; it carries a cookie
 * that the server chose. read(2), write(2), ioctl(2), openat(2), ... on a connection become one
 * message to the port. The server receives it, copies from and to the memory that the message names
 * (and no other), and replies; the client sleeps meanwhile.
 *
 * This file and its two parts stand alone: programs include it as it is. Every structure has
 * fixed-size members and explicit padding.
 */
#ifndef UAPI_COWBELL_H
#define UAPI_COWBELL_H

#include <stdint.h>

#include "cowbell_dax.h"
#include "cowbell_kinfo.h"
#include "cowbell_pager.h"

/* Call numbers. Each returns a value >= 0 or -errno, like every other call. */
enum cb_syscall {
    /* (u32 flags: O_CLOEXEC | O_NONBLOCK) -> fd */
    CB_SYS_PORT_CREATE = 1024,
    /* (port, struct cb_msg *, size, timeout_ns) -> 0, -EAGAIN, -ETIMEDOUT, -EINTR.
     * A timeout of 0 looks without waiting and gives -EAGAIN. */
    CB_SYS_MSG_RECEIVE = 1025,
    /* (port, id, offset, buf, len) -> bytes copied from the client's readable memory */
    CB_SYS_MSG_READ = 1026,
    /* (port, id, offset, buf, len) -> bytes copied to the client's writable memory */
    CB_SYS_MSG_WRITE = 1027,
    /* (port, const struct cb_reply *) -> 0, -ESRCH (the client is gone) */
    CB_SYS_MSG_REPLY = 1028,
    /* (port, u64 cookie, u32 conn_flags) -> fd, close-on-exec */
    CB_SYS_CONN_CREATE = 1029,
    /* (port, u64 cookie, u32 poll_mask) -> 0; the level of every connection with this cookie */
    CB_SYS_CONN_NOTIFY = 1030,
    /* (conn, struct cb_call *) -> the server's result */
    CB_SYS_MSG_CALL = 1031,
    /* (port, const struct cb_copy_fd *) -> bytes; no bounce buffer */
    CB_SYS_MSG_COPY_FD = 1032,
    /* (conn) -> 0: root and working directory; children inherit */
    CB_SYS_ROOT_SET = 1033,
    /* (kind, pid or 0, buf, len) -> bytes */
    CB_SYS_KINFO = 1034,
    /* (sid, fg_pgid, tty_nr) -> 0; user 0 only; tty_nr 0 takes the terminal away */
    CB_SYS_SESSION_TTY = 1035,
    /* (port, conn, u64 *cookie) -> 0, -ESRCH (not a connection to this port) */
    CB_SYS_CONN_COOKIE = 1036,
    /* (enum cb_kernel_file, pid, number or 0, O_ access mode and status flags) -> fd,
     * close-on-exec; user 0 only. For a file server to pass on with CB_REPLY_FD. */
    CB_SYS_KERNEL_FILE = 1037,
    /* (port, const struct cb_pager *) -> fd, close-on-exec: an object that the port's server is the
     * pager of. Of its connection only PAGE_IN, WRITE_NOTIFY, WRITE_BACK and CLOSE come. When
     * memory is short, clean pages are forgotten and asked for again, until the first SUPPLY. */
    CB_SYS_PAGER_CREATE = 1038,
    /* (pid) -> 0; user 0 only: its session's terminal is not the process's any more, nor that of
     * its children to come */
    CB_SYS_LEAVE_TTY = 1039,
    CB_SYS_END
};

#define CB_TIMEOUT_NONE (~(uint64_t)0)
/* Reply with -CB_ERESTARTSYS: the client handles its signal, then calls again. */
#define CB_ERESTARTSYS 512
#define CB_PATH_MAX    4096 /* bytes of one path, with its NUL */
#define CB_MSG_FDS     4
#define CB_INLINE_MAX  256 /* a readable region of at most this size comes with the message */
#define CB_IOV_MAX     1024
#define CB_OP_USER     4096 /* operations from here on belong to the protocols of user programs */

/*
 * Operations. `cookie` names the open file, or the directory where the path starts. A path
 * operation's `data` holds the path with its NUL, and the second path behind it. Readable memory is
 * what the client sends, writable memory what it wants filled. The result is >= 0 or -errno.
 * args[5] of a path operation is the cookie of the process's root directory if that is a connection
 * to the same port, else 0: absolute links and ".." end there.
 */
enum cb_op {
    CB_OP_NONE = 0,
    /* path; args: open flags, mode (umask not applied), enum cb_open_intent, enum cb_resolve -> 0.
     * The reply carries CB_REPLY_OPEN, CB_REPLY_FD or CB_REPLY_REDIRECT. */
    CB_OP_OPEN = 1,
    /* The last descriptor of one connection is gone; no reply, id 0. */
    CB_OP_CLOSE = 2,
    /* args: offset or -1 (stream), length, status flags -> bytes written to the client. */
    CB_OP_READ = 3,
    /* args as READ -> bytes taken. O_APPEND: append, and reply with CB_REPLY_NEWPOS. */
    CB_OP_WRITE = 4,
    /* args: offset, length -> bytes of struct linux_dirent64; CB_REPLY_NEWPOS. */
    CB_OP_GETDENTS = 5,
    /* -> 0 and Linux's 144-byte struct stat. */
    CB_OP_STAT = 6,
    /* path; args: AT_SYMLINK_NOFOLLOW or 0 -> 0 and struct stat. */
    CB_OP_STATAT = 7,
    /* args: command, argument; readable and writable memory as the command says. */
    CB_OP_IOCTL = 8,
    /* args: size, limit. With path_len > 0 the file is the one at that path (truncate(2)), and must
     * not grow beyond the limit, the sender's RLIMIT_FSIZE: else -EFBIG. */
    CB_OP_TRUNCATE = 9,
    /* args: mode, offset, length. */
    CB_OP_FALLOCATE = 10,
    /* args: enum cb_fsync. With CB_REPLY_FD the descriptor is that of the file's paged object: the
     * kernel sends WRITE_BACK for all that was written, and then the client goes on. */
    CB_OP_FSYNC = 11,
    /* args: mode. */
    CB_OP_CHMOD = 12,
    /* path; args: mode, AT_ flags. */
    CB_OP_CHMODAT = 13,
    /* args: uid, gid; ~0 (32 bits) leaves one as it is. */
    CB_OP_CHOWN = 14,
    /* path; args: uid, gid, AT_ flags. */
    CB_OP_CHOWNAT = 15,
    /* path, or path_len 0: the open file; args: access time s, ns, change time s, ns, AT_ flags.
     * Nanoseconds may be UTIME_NOW or UTIME_OMIT. */
    CB_OP_UTIMENS = 16,
    /* path; args: mode (umask not applied). */
    CB_OP_MKDIR = 17,
    /* path; args: mode with type, device number. */
    CB_OP_MKNOD = 18,
    /* path; args: AT_REMOVEDIR or 0. */
    CB_OP_UNLINK = 19,
    /* path, path2; cookie2: directory of path2; args: RENAME_ flags. */
    CB_OP_RENAME = 20,
    /* path, path2; cookie2: directory of path2; args: AT_SYMLINK_FOLLOW, AT_EMPTY_PATH. */
    CB_OP_LINK = 21,
    /* path: the link's text; path2: the new name, which starts at cookie2 (and cookie). */
    CB_OP_SYMLINK = 22,
    /* path, or path_len 0: the open link -> bytes, no NUL. */
    CB_OP_READLINK = 23,
    /* path, or path_len 0: the open file; args: R_OK|W_OK|X_OK, AT_ flags; sender.uid and gid are
     * the ids to check. */
    CB_OP_ACCESS = 24,
    /* path, or path_len 0: the open file -> 0 and the 120-byte struct statfs. */
    CB_OP_STATFS = 25,
    /* -> bytes of the absolute path, no NUL; args[5]: root as for paths. */
    CB_OP_GETCWD = 26,
    /* args: PROT_ bits, MAP_ flags; reply with CB_REPLY_FD, a memfd. */
    CB_OP_OBJECT = 27,
    /* args: offset, SEEK_DATA or SEEK_HOLE -> the next data or hole from there on, -ENXIO. A server
     * that does not know, -EOPNOTSUPP: the whole file is data. */
    CB_OP_SEEK = 28,
    /* args[0]: id of a received message whose sender got a signal; args[1]: 1 if the sender is
     * gone and its memory revoked (a reply gives -ESRCH). No reply to this one; the server answers
     * the named message soon: partial result, -EINTR or -CB_ERESTARTSYS. */
    CB_OP_INTERRUPT = 29,
    /* path: target, path2: type; args: flags. */
    CB_OP_MOUNT = 30,
    /* path; args: flags. */
    CB_OP_UMOUNT = 31,
    /* args: LOCK_ operation. */
    CB_OP_FLOCK = 32,
    /* Of a paged object; args: offset, length in bytes, whole pages. Writable memory: the pages,
     * zero so far -> bytes filled from the first on; at least one page, but the last page of the
     * object may be filled in part. Any error, and any other count, is a SIGBUS to the client. */
    CB_OP_PAGE_IN = 33,
    /* Of a paged object with CB_PAGER_TRACKS; args: offset, length: a clean page is about to be
     * written through a shared mapping -> 0; an error is a SIGBUS to the client. */
    CB_OP_WRITE_NOTIFY = 34,
    /* The same; args: offset, length. Readable memory: pages that were written -> bytes taken,
     * whole pages from the first on: those are clean. An error is what msync(2) or fsync(2) gives.
     */
    CB_OP_WRITE_BACK = 35,
    CB_OP_END
};

enum cb_fsync {
    CB_FSYNC_FILE = 0,
    CB_FSYNC_DATA = 1, /* fdatasync(2) */
    CB_FSYNC_ALL = 2,  /* sync(2), on the root directory: whatever the server keeps back */
};

/* How openat2(2) restricts the way of a path, as Linux numbers it. A server that walks paths does
 * it or answers -EINVAL; none may pass it over. */
enum cb_resolve {
    CB_RESOLVE_NO_XDEV = 0x01,       /* no mount is crossed, or -EXDEV */
    CB_RESOLVE_NO_MAGICLINKS = 0x02, /* no link is followed that leads by itself, or -ELOOP */
    CB_RESOLVE_NO_SYMLINKS = 0x04,   /* no link at all is followed, or -ELOOP */
    CB_RESOLVE_BENEATH = 0x08,       /* the walk stays below its start, or -EXDEV */
    CB_RESOLVE_IN_ROOT = 0x10,       /* its start is its root; so the kernel sends it there */
    CB_RESOLVE_CACHED = 0x20,        /* or -EAGAIN if storage had to be waited for */
};

enum cb_open_intent {
    CB_OPEN_PLAIN = 0,
    CB_OPEN_SEARCH = 1, /* chdir(2): a directory that the caller may search */
    CB_OPEN_EXEC = 2,   /* execve(2): a regular file that the caller may execute */
};

enum cb_sender_flags {
    CB_SENDER_TTIN_IGNORED = 1, /* SIGTTIN is ignored or blocked */
    CB_SENDER_TTOU_IGNORED = 2,
    CB_SENDER_ORPHANED_PGRP = 4, /* told only on connections with CB_CONN_TTY */
    CB_SENDER_SESSION_LEADER = 8,
    CB_SENDER_NO_TTY = 16, /* its session has a terminal, which the sender gave up or never had */
};

struct cb_sender {
    int32_t pid;
    int32_t tid;
    int32_t pgid; /* pgid, sid, CB_SENDER_SESSION_LEADER and _NO_TTY are told for OPEN, IOCTL, */
    int32_t sid;  /* operations of user protocols, and all on CB_CONN_TTY connections; else 0 */
    uint32_t uid; /* file-system user and group; for ACCESS without AT_EACCESS the real ones */
    uint32_t gid;
    uint32_t umask;
    uint32_t flags; /* enum cb_sender_flags */
};

enum cb_msg_flags {
    CB_MSG_NO_REPLY = 1, /* CLOSE and INTERRUPT: id is 0 */
};

/* A received message. The buffer given to CB_SYS_MSG_RECEIVE has at least CB_MSG_BUF_MIN bytes. */
struct cb_msg {
    uint64_t id; /* names the message until the reply; 0: there is no reply */
    uint32_t op;
    uint32_t flags;   /* enum cb_msg_flags */
    uint64_t cookie;  /* of the connection */
    uint64_t cookie2; /* RENAME, LINK, SYMLINK: of the second directory */
    struct cb_sender sender;
    uint64_t args[6];
    uint64_t send_len;  /* bytes of readable client memory */
    uint64_t recv_len;  /* bytes of writable client memory */
    uint32_t path_len;  /* without the NUL */
    uint32_t path2_len; /* without the NUL */
    uint32_t nr_fds;
    int32_t fds[CB_MSG_FDS]; /* now the receiver's; -EMFILE where there was no room */
    uint32_t inline_len;     /* send_len if at most CB_INLINE_MAX and no path, else 0 */
    char data[];             /* path NUL [path2 NUL], or the readable bytes */
};

#define CB_MSG_BUF_MIN (sizeof(struct cb_msg) + 8200)

enum cb_reply_flags {
    CB_REPLY_OPEN = 1, /* OPEN: make a connection to this port with `cookie` and `conn_flags` */
    CB_REPLY_FD = 2, /* hand over descriptor `fd`: as the opened file, the object, or to msg_call */
    CB_REPLY_REDIRECT =
        4, /* send the same path operation to the connection `fd`, with `data` as the path */
    CB_REPLY_NEWPOS = 8, /* the file position becomes `new_pos` */
    CB_REPLY_NAME = 16,  /* with CB_REPLY_OPEN: `data` is the absolute path, kept for kinfo */
    /* OPEN, STATAT: the path leads to the pipe, memfd, ... that is descriptor `new_pos` of process
     * `cookie`; the kernel opens it anew or tells its status. */
    CB_REPLY_REOPEN = 32,
    CB_REPLY_ALL = 63
};

enum cb_conn_flags {
    CB_CONN_SEEKABLE = 1,  /* has a position: READ and WRITE carry offsets */
    CB_CONN_DIR = 2,       /* a directory: may be dirfd, working directory, root */
    CB_CONN_TTY = 4,       /* a terminal: senders' job-control state is told */
    CB_CONN_READY = 8,     /* always ready for poll; otherwise CB_SYS_CONN_NOTIFY tells the level */
    CB_CONN_PATHONLY = 16, /* O_PATH: no READ, WRITE, IOCTL, ... */
    CB_CONN_APPEND_OK = 32, /* reserved: WRITE honours O_APPEND */
    CB_CONN_ALL = 63
};

/*
 * `data_len` bytes at `data` go to offset 0 of the client's writable memory together with the
 * reply, and save a call of CB_SYS_MSG_WRITE. With CB_REPLY_REDIRECT they are the remaining path,
 * with CB_REPLY_NAME the file's name; no NUL is needed. For CB_REPLY_OPEN of a connection without
 * CB_CONN_READY, new_pos is its first poll mask.
 */
struct cb_reply {
    uint64_t id;
    int64_t result;
    uint64_t new_pos;
    uint32_t flags; /* enum cb_reply_flags */
    int32_t fd;
    uint64_t cookie;
    uint32_t conn_flags;
    uint32_t data_len;
    uint64_t data; /* address in the server */
};

struct cb_iovec {
    uint64_t base;
    uint64_t len;
};

/* CB_SYS_MSG_CALL: operations >= CB_OP_USER only. */
struct cb_call {
    uint32_t op;
    uint32_t flags; /* 0 */
    uint64_t args[6];
    uint64_t send_iov; /* address of struct cb_iovec[nr_send] */
    uint64_t recv_iov;
    uint32_t nr_send;
    uint32_t nr_recv;
    uint32_t nr_fds;
    int32_t fds[CB_MSG_FDS]; /* in: descriptors to pass; the caller keeps its own */
    int32_t reply_fd;        /* out: the descriptor from the reply, close-on-exec, or -1 */
};

enum cb_copy_dir {
    CB_TO_CLIENT = 0,   /* from the memfd into writable client memory */
    CB_FROM_CLIENT = 1, /* from readable client memory into the memfd */
};

/* CB_SYS_MSG_COPY_FD: between the client's memory and a memfd of the server, which grows as
 * write(2) makes it grow. */
struct cb_copy_fd {
    uint64_t id;
    uint64_t offset; /* into the client's region */
    uint64_t fd_offset;
    uint64_t len;
    int32_t fd;
    uint32_t dir; /* enum cb_copy_dir */
};

_Static_assert(sizeof(struct cb_sender) == 32, "ABI");
_Static_assert(sizeof(struct cb_msg) == 160, "ABI");
_Static_assert(sizeof(struct cb_reply) == 56, "ABI");
_Static_assert(sizeof(struct cb_iovec) == 16, "ABI");
_Static_assert(sizeof(struct cb_call) == 104, "ABI");
_Static_assert(sizeof(struct cb_copy_fd) == 40, "ABI");
_Static_assert(CB_OP_END <= CB_OP_USER, "kernel operations lie below those of user protocols");

static inline const char *cb_msg_path(const struct cb_msg *msg)
{
    return msg->data;
}

static inline const char *cb_msg_path2(const struct cb_msg *msg)
{
    return msg->data + msg->path_len + 1;
}

static inline const char *cb_msg_inline(const struct cb_msg *msg)
{
    return msg->data;
}

/* Files that the kernel itself is behind. */
enum cb_kernel_file {
    CB_KERNEL_FILE_GUP_TEST = 1,       /* /dev/gup_test */
    CB_KERNEL_FILE_DAX = 2,            /* /dev/dax<n>: n in the place of the pid */
    CB_KERNEL_FILE_MEM = 3,            /* /proc/pid/mem */
    CB_KERNEL_FILE_PAGEMAP = 4,        /* /proc/pid/pagemap, without frame numbers */
    CB_KERNEL_FILE_PAGEMAP_FRAMES = 5, /* with them */
    CB_KERNEL_FILE_KPAGEFLAGS = 6,
    CB_KERNEL_FILE_KPAGECOUNT = 7,
    CB_KERNEL_FILE_CLEAR_REFS = 8,          /* /proc/pid/clear_refs */
    CB_KERNEL_FILE_USERFAULTFD = 9,         /* /dev/userfaultfd */
    CB_KERNEL_FILE_USERFAULTFD_SYSCTL = 10, /* vm.unprivileged_userfaultfd: a digit */
    CB_KERNEL_FILE_SYSCTL = 11, /* a setting: enum cb_sysctl in the place of the pid; digits */
    CB_KERNEL_FILE_END
};

enum cb_sysctl {
    CB_SYSCTL_OVERCOMMIT_MEMORY = 0,  /* vm.overcommit_memory: 0 to 2 */
    CB_SYSCTL_OVERCOMMIT_RATIO = 1,   /* vm.overcommit_ratio, in percent; ends the next one */
    CB_SYSCTL_OVERCOMMIT_KBYTES = 2,  /* vm.overcommit_kbytes; 0: the ratio counts */
    CB_SYSCTL_MAX_MAP_COUNT = 3,      /* vm.max_map_count */
    CB_SYSCTL_MEMFD_NOEXEC = 4,       /* vm.memfd_noexec: 0 to 2 */
    CB_SYSCTL_FAULT_AROUND_BYTES = 5, /* of debugfs: rounded down to a power of two of pages */
    CB_SYSCTL_END
};

#endif
