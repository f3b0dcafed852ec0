/* The values of /proc/sys that the kernel keeps, each as a file of decimal digits. */
#ifndef IPC_SYSCTL_FILE_H
#define IPC_SYSCTL_FILE_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;

/**
 * sysctl_file_open() - the file of one value; see kernel_file_open().
 * @number: enum cb_sysctl
 * A write takes the whole number at once: -EINVAL if it is none or out of its bounds.
 */
MUST_CHECK int sysctl_file_open(s32 number, u32 flags, struct file **out);

#endif
