/*
 * Reading the initial image, a cpio archive behind a descriptor that cannot be mapped. Only the
 * parts with headers and link texts are read into memory; contents are copied when they are
 * wanted.
 */
#ifndef USER_IMAGE_H
#define USER_IMAGE_H

#include <lib/cpio.h>

struct image {
    int fd;
    uint8_t *bytes; /* the whole archive's addresses; only loaded parts have memory */
    size_t size;
    size_t loaded_end; /* bytes from the reader's position up to here are loaded */
    struct cpio_reader reader;
};

/** image_open() - start with the first member. Return: 0, -ENODATA (empty), -errno. */
int image_open(struct image *image, int fd);

/** image_close() - give the memory back; the descriptor stays open. */
void image_close(struct image *image);

/**
 * image_next() - the next member. Of its data only a link's text can be read in memory.
 * Return: 1 (a member), 0 (the end), -EINVAL (malformed), -EIO.
 */
int image_next(struct image *image, struct cpio_entry *entry);

/** image_offset() - where a member's data begins in the archive. */
static inline size_t image_offset(const struct image *image, const struct cpio_entry *entry)
{
    return (size_t)(entry->data - image->bytes);
}

/** image_copy() - append @len bytes of the archive from @offset to a file. Return: 0 or -errno. */
int image_copy(int image_fd, size_t offset, size_t len, int to_fd);

#endif
