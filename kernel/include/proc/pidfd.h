/* Processes as file descriptors: pidfd_open(2), CLONE_PIDFD. */
#ifndef PROC_PIDFD_H
#define PROC_PIDFD_H

#include <lib/types.h>
#include <lib/compiler.h>

struct file;
struct process;

/**
 * pidfd_create() - a file that stands for @process and is readable once it has exited.
 * @flags: O_RDWR, with O_NONBLOCK if wanted
 *
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int pidfd_create(struct process *process, u32 flags, struct file **out);

/** pidfd_process() - the process behind such a file, not referenced; NULL for other files. */
struct process *pidfd_process(const struct file *file);

#endif
