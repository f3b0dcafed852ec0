/*
 * The content of regular files. A file that was never written is a part of the initial image, or
 * nothing; the first write puts its bytes in a memfd, which then has exactly the file's size and
 * keeps holes as holes. A mapping that cannot write leaves a file in the image, and the pages come
 * when they are touched (paged.h). On a direct device the bytes are frames of the device, and
 * the descriptor is that of the object which has them (dax.h).
 */
#ifndef FS_DATA_H
#define FS_DATA_H

#include "node.h"

/** data_use_image() - the descriptor of the initial image; it must stay open. */
void data_use_image(int fd);

/** data_set_image() - a new file's content is @size bytes of the initial image from @start. */
void data_set_image(struct node *file, uint64_t start, size_t size);

/** data_is_image() - has the file never been written, so that data_read_image() reads it? */
static inline bool data_is_image(const struct node *file)
{
    return file->data.is_image;
}

/** data_read_image() - bytes of a file still in the image. Return: the number, or -EIO. */
long data_read_image(const struct node *file, uint64_t offset, void *buf, size_t len);

/** data_make_memfd() - have the content behind a descriptor. Return: 0, -ENOSPC, -ENOMEM. */
int data_make_memfd(struct node *file);

/** data_truncate() - set the size; new bytes are zero. Return: 0, -ENOSPC, -EFBIG. */
int data_truncate(struct node *file, uint64_t size);

/** data_allocate() - fallocate(2) on the content. Return: 0 or -errno. */
int data_allocate(struct node *file, int mode, uint64_t offset, uint64_t len);

/**
 * data_prepare_write() - make sure of the descriptor, and of room for bytes to be written.
 * @len: in and out: how many bytes there is room for, at least one
 * Return: 0, -ENOSPC, -ENOMEM.
 */
int data_prepare_write(struct node *file, uint64_t offset, uint64_t *len);

/** data_share() - the descriptor is about to be mapped. Return: 0, -ENOSPC, -ENOMEM. */
int data_share(struct node *file, bool may_be_written);

/** data_sync() - make the content and all names of a file or directory durable. Return: 0, ... */
int data_sync(struct node *file);

/** data_has_space() - may @more bytes be added? Half of the machine's memory is for files. */
bool data_has_space(uint64_t more);

/** data_blocks() - memory, or the device's frames, in use, in units of 512 bytes. */
uint64_t data_blocks(const struct node *file);

/**
 * data_seek() - the next data (SEEK_DATA) or hole (SEEK_HOLE) from an offset on.
 * Return: its offset, -ENXIO (none), -EOPNOTSUPP (of a direct device: nobody knows).
 */
int64_t data_seek(const struct node *file, uint64_t offset, int whence);

/** data_release() - give the memory back; the node is going. */
void data_release(struct node *file);

#endif
