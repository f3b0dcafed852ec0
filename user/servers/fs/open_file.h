/*
 * Open files: what a connection's cookie names. A cookie is a slot number and a generation, so a
 * cookie of a file that was closed is recognised. init makes the connection to the root directory
 * before the server runs: its open file is slot 0 of generation 1, FS_ROOT_COOKIE.
 */
#ifndef FS_OPEN_FILE_H
#define FS_OPEN_FILE_H

#include <fs_protocol.h>
#include <text.h>
#include "node.h"

#define OPEN_FILE_PATH 010000000u /* O_PATH: good for its name only */

struct open_file {
    struct node *node; /* held; NULL: the slot is free */
    uint32_t generation;
    uint32_t next_free;
    uint32_t flags;     /* of open(2) */
    uint32_t poll_mask; /* of a FIFO's end: the readiness last told */
    int lock;           /* LOCK_SH, LOCK_EX or 0: flock(2) */
    bool has_content;
    struct text content; /* a generated file, as it was when reading began */
};

/** open_file_create() - @node is held by the new open file. Return: 0, -ENFILE. */
int open_file_create(struct node *node, uint32_t flags, uint64_t *cookie);

/** open_file_find() - the open file with this cookie, or NULL. */
struct open_file *open_file_find(uint64_t cookie);

/** open_file_cookie() - the other way round. */
uint64_t open_file_cookie(const struct open_file *file);

/** open_file_next() - every open file: the one after @file, NULL for the first and the end. */
struct open_file *open_file_next(const struct open_file *file);

/** open_file_close() - the last descriptor is gone. */
void open_file_close(uint64_t cookie);

static inline bool open_file_can_read(const struct open_file *file)
{
    unsigned access = file->flags & (OPEN_FILE_PATH | 3);
    return access == 0 || access == 2;
}

static inline bool open_file_can_write(const struct open_file *file)
{
    unsigned access = file->flags & (OPEN_FILE_PATH | 3);
    return access == 1 || access == 2;
}

#endif
