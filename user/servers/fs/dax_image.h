/*
 * How a file system looks on a direct device. Frames of 4096 bytes:
 *
 *   0                   struct dax_super
 *   1 .. T              table 0
 *   T + 1 .. 2T         table 1
 *   2T + 1 ..           the files' bytes
 *
 * A table is the whole tree as records, each node in front of the first name of it, each directory
 * in front of what it holds. The tables take turns: a new one is complete before the description
 * in the superblock says so, and that has a checksum, so one of them is always whole.
 *
 * Records begin at multiples of 8 bytes. What a device holds is not trusted: the reader here checks
 * lengths, and dax_load.c everything that a record says.
 */
#ifndef FS_DAX_IMAGE_H
#define FS_DAX_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DAX_FRAME_SIZE 4096u
#define DAX_FRAMES_MIN 64u
#define DAX_MAGIC      "COWBDAX1"
#define DAX_ROOT_INO   1u

/* Frames [frame, frame + count) are the pages from @index on. */
struct dax_extent {
    uint64_t index;
    uint32_t frame;
    uint32_t count;
};

struct dax_table {
    uint64_t generation; /* the larger one is the newer */
    uint64_t length;     /* bytes of records */
    uint64_t checksum;   /* of generation, length and records */
    uint64_t pad;
};

struct dax_super {
    char magic[8];
    uint64_t nr_frames;
    uint64_t table_frames; /* T */
    uint64_t pad;
    struct dax_table tables[2];
};

enum dax_record_kind { DAX_RECORD_NODE = 1, DAX_RECORD_ENTRY = 2 };

struct dax_record {
    uint32_t length; /* bytes, with what follows, a multiple of 8 */
    uint32_t kind;
};

/* Followed by the extents, in order of their indices, and by a link's text. */
struct dax_node_record {
    struct dax_record head;
    uint64_t ino;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint32_t nr_extents;
    uint64_t rdev;
    uint64_t size;
    int64_t seconds[3]; /* accessed, modified, changed */
    uint32_t nanoseconds[3];
    uint32_t target_len;
};

/* Followed by the name, without a NUL. */
struct dax_entry_record {
    struct dax_record head;
    uint64_t dir; /* inode numbers */
    uint64_t ino;
    uint32_t name_len;
    uint32_t pad;
};

_Static_assert(sizeof(struct dax_extent) == 16, "on the device");
_Static_assert(sizeof(struct dax_super) == 96, "on the device");
_Static_assert(sizeof(struct dax_node_record) == 88, "on the device");
_Static_assert(sizeof(struct dax_entry_record) == 32, "on the device");

/** dax_table_frames() - T for a device of so many frames. */
uint64_t dax_table_frames(uint64_t nr_frames);

/** dax_table_at() - where table @which begins, in bytes from the start of the device. */
uint64_t dax_table_at(const struct dax_super *super, unsigned which);

/** dax_checksum() - of a table whose description is complete but for the checksum. */
uint64_t dax_checksum(const struct dax_table *table, const uint8_t *records);

/**
 * dax_newest_table() - the newest table that is whole.
 * @metadata: the device's first 2T + 1 frames; the superblock has been checked
 * Return:    0 or 1, or -EUCLEAN: neither is.
 */
int dax_newest_table(const uint8_t *metadata);

/* Space for records that are appended one after the other. */
struct dax_writer {
    uint8_t *bytes;
    size_t size;
    size_t used;
    bool is_full; /* something did not fit */
};

/** dax_write_node() - append a node. @record: but for head, nr_extents and target_len. */
void dax_write_node(struct dax_writer *writer, struct dax_node_record record,
                    const struct dax_extent *extents, uint32_t nr_extents, const char *target);

/** dax_write_entry() - append a name. */
void dax_write_entry(struct dax_writer *writer, uint64_t dir, uint64_t ino, const char *name,
                     uint32_t name_len);

/** dax_next_record() - the record at *position, which moves behind it; NULL at the end or if it
 *  does not fit into @length bytes: then *position stays in front of the end. */
const struct dax_record *dax_next_record(const uint8_t *records, size_t length, size_t *position);

/** dax_node_extents(), dax_node_target(), dax_entry_name() - what follows a record, or NULL if the
 *  record is too short for it. */
const struct dax_extent *dax_node_extents(const struct dax_node_record *record);
const char *dax_node_target(const struct dax_node_record *record);
const char *dax_entry_name(const struct dax_entry_record *record);

#endif
