/*
 * Reader for cpio archives in the "newc" format, the format of the initial RAM disk.
 *
 * Pure: it looks only at the bytes it is given and allocates nothing. The kernel, user programs and
 * the host's fuzzer compile the same file, so it uses standard types alone. Every header field and
 * length is checked against the archive's size.
 */
#ifndef LIB_CPIO_H
#define LIB_CPIO_H

#include <stddef.h>
#include <stdint.h>

struct cpio_reader {
    const uint8_t *data;
    size_t size;
    /* Where the next header starts. */
    size_t pos;
};

/* One member. The pointers go into the archive and live as long as it does. */
struct cpio_entry {
    /* NUL-terminated inside the archive, without leading "/" or "./"; "." is the root. */
    const char *name;
    /* Without the NUL. */
    size_t name_len;
    /* @size bytes; of a symbolic link, its target without a NUL. */
    const uint8_t *data;
    size_t size;
    /* File type and permissions, as st_mode. */
    uint32_t mode;
    uint32_t ino;
    uint32_t uid;
    uint32_t gid;
    uint32_t nlink;
    /* Seconds since 1970. */
    uint32_t mtime;
    uint32_t dev_major;
    uint32_t dev_minor;
    uint32_t rdev_major;
    uint32_t rdev_minor;
};

/**
 * cpio_init() - start reading at the archive's first byte.
 * @data: @size bytes, which stay in place while entries are in use
 */
void cpio_init(struct cpio_reader *reader, const void *data, size_t size);

/**
 * cpio_next() - read the next member.
 * @entry: written on success only
 *
 * Zero bytes between members and after the trailer are skipped; an archive after the trailer is
 * read on, as archives may be concatenated.
 *
 * Return: 1 (a member), 0 (the end), or a negative EINVAL (malformed; the position stays).
 */
int cpio_next(struct cpio_reader *reader, struct cpio_entry *entry);

/**
 * cpio_find() - look for a member by its name.
 * @name:  without leading "/" or "./"
 * @entry: written on success only
 *
 * Return: 1 (found), 0 (absent), or a negative EINVAL (malformed before it was found).
 */
int cpio_find(const void *data, size_t size, const char *name, struct cpio_entry *entry);

#endif
