/* Memory objects as files: memfd_create(2), and the initrd as the boot loader left it. */
#ifndef IPC_MEMFD_H
#define IPC_MEMFD_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;
struct vm_object;

#define MEMFD_NAME_MAX 249 /* bytes, as in Linux */

/**
 * memfd_create() - an empty object behind a file opened for reading and writing.
 * @name:  for /proc; kernel memory, at most MEMFD_NAME_MAX bytes
 * @flags: MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL, MFD_EXEC
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int memfd_create(const char *name, u32 flags, struct file **out);

/** memfd_object() - the object behind a memfd, not referenced; NULL for another kind of file. */
struct vm_object *memfd_object(const struct file *file);

/**
 * initrd_file_create() - a read-only file over the boot module at [start, end) in physical memory.
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int initrd_file_create(u64 start_phys, u64 end_phys, struct file **out);

#endif
