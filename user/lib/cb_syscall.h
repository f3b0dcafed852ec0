/*
 * The calls that only Cowbell has, as C functions. They return what the kernel returns: a value
 * >= 0 or -errno; errno itself stays as it is. Host tests link other definitions of the same names.
 */
#ifndef USER_CB_SYSCALL_H
#define USER_CB_SYSCALL_H

#include <stddef.h>
#include <stdint.h>
#include <uapi/cowbell.h>

/** cb_port_create() - a new port. @flags: O_CLOEXEC, O_NONBLOCK. Return: descriptor or -errno. */
int cb_port_create(unsigned flags);

/**
 * cb_msg_receive() - take the next message from a port.
 * @msg:        buffer of @size bytes, at least CB_MSG_BUF_MIN
 * @timeout_ns: relative, or CB_TIMEOUT_NONE
 * Return: 0, -EAGAIN, -ETIMEDOUT, -EINTR.
 */
int cb_msg_receive(int port, struct cb_msg *msg, size_t size, uint64_t timeout_ns);

/** cb_msg_read() - copy from the memory the message lets us read. Return: bytes or -errno. */
long cb_msg_read(int port, uint64_t id, uint64_t offset, void *buf, size_t len);

/** cb_msg_write() - copy to the memory the message lets us fill. Return: bytes or -errno. */
long cb_msg_write(int port, uint64_t id, uint64_t offset, const void *buf, size_t len);

/** cb_msg_reply() - answer a message. Return: 0, or -ESRCH if the client is gone. */
int cb_msg_reply(int port, const struct cb_reply *reply);

/** cb_conn_create() - a connection to our own port. Return: descriptor or -errno. */
int cb_conn_create(int port, uint64_t cookie, unsigned conn_flags);

/** cb_conn_notify() - set the poll readiness of every connection with @cookie. */
int cb_conn_notify(int port, uint64_t cookie, unsigned poll_mask);

/** cb_msg_copy_fd() - copy between a memfd and the client without a buffer. Return: bytes. */
long cb_msg_copy_fd(int port, const struct cb_copy_fd *copy);

/** cb_root_set() - make a directory connection our root and working directory. */
int cb_root_set(int conn);

/** cb_kinfo() - a snapshot of kernel state. Return: bytes stored, or -errno. */
long cb_kinfo(enum cb_kinfo_kind kind, int pid, void *buf, size_t len);

/** cb_session_tty() - tell the kernel a session's terminal and its foreground group. */
int cb_session_tty(int sid, int fg_pgid, int tty_nr);

/** cb_leave_tty() - tell the kernel that a process has given its session's terminal up. */
int cb_leave_tty(int pid);

/**
 * cb_kernel_file() - open a file that the kernel is behind, to pass it on.
 * @pid:   the process it is about, or 0
 * @flags: O_ access mode, O_APPEND, O_NONBLOCK
 * Return: descriptor or -errno.
 */
int cb_kernel_file(enum cb_kernel_file kind, int pid, unsigned flags);

/* The commands of direct devices and of the files on them, as uapi/cowbell.h describes them. Each
 * returns what the kernel does: a value >= 0 or -errno. */
int cb_dax_info(int device, struct cb_dax_info *info);
int cb_dax_create(int device, enum cb_dax_cow cow);
long cb_dax_grant(int file, const struct cb_dax_grant *grant);
int cb_dax_revoke(int file, const struct cb_dax_range *range);

/** cb_pager_create() - an object that the server of @port is the pager of. Return: descriptor. */
int cb_pager_create(int port, const struct cb_pager *pager);

/** cb_pager_supply() - enter content that nobody has asked for yet. Return: bytes or -errno. */
long cb_pager_supply(int file, uint64_t offset, const void *bytes, size_t len);

/** cb_pager_settle() - end being its pager: what is not there is zero. Return: 0 or -errno. */
int cb_pager_settle(int file);

#endif
