/* Direct devices and the files on them, as open files of the kernel. */
#ifndef IPC_DAX_FILE_H
#define IPC_DAX_FILE_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <ipc/memfd.h>

struct file;
struct vm_object;

/**
 * dax_file_open() - /dev/dax<number>.
 * Return: 0, -ENXIO (no such device), -ENOMEM.
 */
MUST_CHECK int dax_file_open(s32 number, u32 flags, struct file **out);

/** dax_file_object() - the object behind a file of CB_DAX_CREATE, not referenced, or NULL. */
struct vm_object *dax_file_object(const struct file *file);

/** memory_file_object() - the object behind a file that is nothing else, for a server to pass on.
 */
static inline struct vm_object *memory_file_object(const struct file *file)
{
    struct vm_object *object = memfd_object(file);

    return object != NULL ? object : dax_file_object(file);
}

#endif
