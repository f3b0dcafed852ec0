/* Memory objects as files: memfd_create(2), and the initrd as the boot loader left it. */
#ifndef IPC_MEMFD_H
#define IPC_MEMFD_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;
struct vm_object;

#define MEMFD_NAME_MAX 249 /* bytes, as in Linux */

/* What memfd_create(2) does if it is not told whether the file may be executed, and if it is. */
enum memfd_noexec {
    MEMFD_NOEXEC_OFF,
    MEMFD_NOEXEC_DEFAULT,  /* without being told: MFD_NOEXEC_SEAL */
    MEMFD_NOEXEC_ENFORCED, /* and MFD_EXEC is refused */
};

/** The policy of the whole system, as /proc/sys/vm/memfd_noexec. */
extern enum memfd_noexec memfd_noexec_policy;

/**
 * memfd_create() - an empty object behind a file opened for reading and writing.
 * @name:  for /proc; kernel memory, at most MEMFD_NAME_MAX bytes
 * @flags: MFD_ALLOW_SEALING, MFD_NOEXEC_SEAL, MFD_EXEC; MFD_HUGETLB with a size: a file of huge
 *         pages, of which there are none, so that it can be sized but not mapped
 * Return: 0, -ENODEV (the size of huge pages), -ENOMEM.
 */
MUST_CHECK int memfd_create(const char *name, u32 flags, struct file **out);

/**
 * memfd_wrap() - a memfd of an object that is there already.
 * @object: the caller's reference is taken over, also if this fails
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int memfd_wrap(const char *name, struct vm_object *object, struct file **out);

/** memfd_object() - the object behind a memfd, not referenced; NULL for another kind of file. */
struct vm_object *memfd_object(const struct file *file);

/**
 * initrd_file_create() - a read-only file over the boot module at [start, end) in physical memory.
 * Return: 0 or -ENOMEM.
 */
MUST_CHECK int initrd_file_create(u64 start_phys, u64 end_phys, struct file **out);

#endif
