/*
 * Thin wrappers over the calls above 1024. musl's syscall() folds errors into errno; these keep
 * the kernel's -errno, so the call is made here.
 */
#include <sys/syscall.h>
#include <cb_syscall.h>

static long call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

int cb_port_create(unsigned flags)
{
    return (int)call(CB_SYS_PORT_CREATE, flags, 0, 0, 0, 0);
}

int cb_msg_receive(int port, struct cb_msg *msg, size_t size, uint64_t timeout_ns)
{
    return (int)call(CB_SYS_MSG_RECEIVE, (uint64_t)port, (uintptr_t)msg, size, timeout_ns, 0);
}

long cb_msg_read(int port, uint64_t id, uint64_t offset, void *buf, size_t len)
{
    return call(CB_SYS_MSG_READ, (uint64_t)port, id, offset, (uintptr_t)buf, len);
}

long cb_msg_write(int port, uint64_t id, uint64_t offset, const void *buf, size_t len)
{
    return call(CB_SYS_MSG_WRITE, (uint64_t)port, id, offset, (uintptr_t)buf, len);
}

int cb_msg_reply(int port, const struct cb_reply *reply)
{
    return (int)call(CB_SYS_MSG_REPLY, (uint64_t)port, (uintptr_t)reply, 0, 0, 0);
}

int cb_conn_create(int port, uint64_t cookie, unsigned conn_flags)
{
    return (int)call(CB_SYS_CONN_CREATE, (uint64_t)port, cookie, conn_flags, 0, 0);
}

int cb_conn_notify(int port, uint64_t cookie, unsigned poll_mask)
{
    return (int)call(CB_SYS_CONN_NOTIFY, (uint64_t)port, cookie, poll_mask, 0, 0);
}

long cb_msg_copy_fd(int port, const struct cb_copy_fd *copy)
{
    return call(CB_SYS_MSG_COPY_FD, (uint64_t)port, (uintptr_t)copy, 0, 0, 0);
}

int cb_root_set(int conn)
{
    return (int)call(CB_SYS_ROOT_SET, (uint64_t)conn, 0, 0, 0, 0);
}

long cb_kinfo(enum cb_kinfo_kind kind, int pid, void *buf, size_t len)
{
    return call(CB_SYS_KINFO, kind, (uint64_t)(int64_t)pid, (uintptr_t)buf, len, 0);
}

int cb_session_tty(int sid, int fg_pgid, int tty_nr)
{
    return (int)call(CB_SYS_SESSION_TTY, (uint64_t)(int64_t)sid, (uint64_t)(int64_t)fg_pgid,
                     (uint64_t)(int64_t)tty_nr, 0, 0);
}

int cb_leave_tty(int pid)
{
    return (int)call(CB_SYS_LEAVE_TTY, (uint64_t)(int64_t)pid, 0, 0, 0, 0);
}

int cb_kernel_file(enum cb_kernel_file kind, int pid, unsigned flags)
{
    return (int)call(CB_SYS_KERNEL_FILE, kind, (uint64_t)(int64_t)pid, flags, 0, 0);
}

static long control(int fd, uint32_t command, uint64_t argument)
{
    return call(SYS_ioctl, (uint64_t)fd, command, argument, 0, 0);
}

int cb_dax_info(int device, struct cb_dax_info *info)
{
    return (int)control(device, CB_DAX_INFO, (uintptr_t)info);
}

int cb_dax_create(int device, enum cb_dax_cow cow)
{
    return (int)control(device, CB_DAX_CREATE, cow);
}

long cb_dax_grant(int file, const struct cb_dax_grant *grant)
{
    return control(file, CB_DAX_GRANT, (uintptr_t)grant);
}

int cb_dax_revoke(int file, const struct cb_dax_range *range)
{
    return (int)control(file, CB_DAX_REVOKE, (uintptr_t)range);
}

int cb_pager_create(int port, const struct cb_pager *pager)
{
    return (int)call(CB_SYS_PAGER_CREATE, (uint64_t)port, (uintptr_t)pager, 0, 0, 0);
}

long cb_pager_supply(int file, uint64_t offset, const void *bytes, size_t len)
{
    const struct cb_pager_supply supply = {offset, len, (uintptr_t)bytes};

    return control(file, CB_PAGER_SUPPLY, (uintptr_t)&supply);
}

int cb_pager_settle(int file)
{
    return (int)control(file, CB_PAGER_SETTLE, 0);
}
