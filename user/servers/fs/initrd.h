/* Filling the root file system from the initial image. */
#ifndef FS_INITRD_H
#define FS_INITRD_H

/**
 * initrd_unpack() - make the members of the archive behind @fd below the root.
 * @fd: stays open: files read from it until they change
 * Return: 0, -ENODATA (empty), -EINVAL (malformed: what came before is there), -EIO, -ENOMEM.
 */
int initrd_unpack(int fd);

#endif
