/* userfaultfd(2) as a file: read, poll, ioctl. */
#ifndef IPC_USERFAULTFD_FILE_H
#define IPC_USERFAULTFD_FILE_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;
struct uffd_ctx;

/**
 * userfaultfd_create() - an open file for faults of the current address space.
 * @flags: of userfaultfd(2)
 * Return: 0, -EINVAL (A1), -ENOMEM.
 */
MUST_CHECK int userfaultfd_create(u32 flags, struct file **out);

/**
 * userfaultfd_count() - what /proc/pid/fdinfo shows.
 * @nr_pending: out: faults that nobody has read
 * @nr_total:   out: all that wait
 * @features:   out: UFFD_FEATURE_*, and bit 31 once there was a handshake
 */
void userfaultfd_count(struct file *file, u64 *nr_pending, u64 *nr_total, u32 *features);

/** userfaultfd_device_open() - /dev/userfaultfd; see kernel_file_open(). */
MUST_CHECK int userfaultfd_device_open(s32 pid, u32 flags, struct file **out);

/** userfaultfd_sysctl_open() - the value of vm.unprivileged_userfaultfd; see kernel_file_open(). */
MUST_CHECK int userfaultfd_sysctl_open(s32 pid, u32 flags, struct file **out);

#endif
