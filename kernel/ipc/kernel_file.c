/*
 * The table of files that the kernel itself is behind.
 *
 * A file server opens one with CB_SYS_KERNEL_FILE when a client opens the path that stands for it,
 * and passes the descriptor on: reads, ioctls and mappings of the client then reach the kernel
 * without the server. Read next: the file of the kind, for example kernel/ipc/gup_test_file.c.
 */
#include <ipc/kernel_file.h>

#include <ipc/dax_file.h>
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/gup_test_file.h>
#include <ipc/process_memory_file.h>
#include <ipc/sysctl_file.h>
#include <ipc/userfaultfd_file.h>
#include <lib/errno.h>
#include <proc/process.h>
#include <proc/thread.h>
#include <syscall/syscalls.h>

#define OPEN_FLAGS ((u32)(O_ACCMODE | O_APPEND | O_NONBLOCK | O_LARGEFILE))

typedef int (*kernel_file_opener)(s32 pid, u32 flags, struct file **out);

static const kernel_file_opener openers[CB_KERNEL_FILE_END] = {
    [CB_KERNEL_FILE_GUP_TEST] = gup_test_file_open,
    [CB_KERNEL_FILE_DAX] = dax_file_open,
    [CB_KERNEL_FILE_MEM] = process_mem_open,
    [CB_KERNEL_FILE_PAGEMAP] = process_pagemap_open,
    [CB_KERNEL_FILE_PAGEMAP_FRAMES] = process_pagemap_frames_open,
    [CB_KERNEL_FILE_KPAGEFLAGS] = kpageflags_open,
    [CB_KERNEL_FILE_KPAGECOUNT] = kpagecount_open,
    [CB_KERNEL_FILE_CLEAR_REFS] = process_clear_refs_open,
    [CB_KERNEL_FILE_USERFAULTFD] = userfaultfd_device_open,
    [CB_KERNEL_FILE_USERFAULTFD_SYSCTL] = userfaultfd_sysctl_open,
    [CB_KERNEL_FILE_SYSCTL] = sysctl_file_open,
};

int kernel_file_open(u32 kind, s32 pid, u32 flags, struct file **out)
{
    if (kind >= CB_KERNEL_FILE_END || openers[kind] == NULL || (flags & ~OPEN_FLAGS) != 0) {
        return -EINVAL;
    }
    return openers[kind](pid, flags, out);
}

long sys_kernel_file(u32 kind, s32 pid, u32 flags)
{
    struct file *file;
    s64 fd;
    int error;

    if (current_process()->cred.euid != 0) {
        return -EPERM;
    }
    error = kernel_file_open(kind, pid, flags, &file);
    if (error != 0) {
        return error;
    }
    fd = fd_install(file, FD_CLOSE_ON_EXEC);
    if (fd < 0) {
        file_put(file);
    }
    return fd;
}
