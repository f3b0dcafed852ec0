/* Files that the kernel itself is behind, for file servers to hand out under a path. */
#ifndef IPC_KERNEL_FILE_H
#define IPC_KERNEL_FILE_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <uapi/cowbell.h>

struct file;

/**
 * kernel_file_open() - an open file of a kind of enum cb_kernel_file.
 * @pid:   the process that the file is about, or the number of the device; 0 for a file about none
 * @flags: O_ access mode and status flags
 *
 * Context: thread; may sleep.
 * Return:  0, -EINVAL (kind, flags, or a pid that the kind has no use for), -ENOMEM, or the
 *          kind's own error.
 */
MUST_CHECK int kernel_file_open(u32 kind, s32 pid, u32 flags, struct file **out);

#endif
