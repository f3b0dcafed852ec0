/*
 * File systems on direct (DAX) devices: files whose bytes are frames of a device, so that programs
 * map the device itself. Names and attributes live in nodes as everywhere; the frames are given to
 * the file's object in the kernel, through a descriptor that node.data.fd holds.
 *
 * Rules:
 *   X1. A frame in use by a file or by the tables is granted to its object; nobody else reaches it.
 *   X2. A frame that a file gave up is given out again only after a table without it is on the
 *       device: so whichever table is found after a crash, its files have their own bytes.
 *   X3. A frame is zero when a file gets it.
 *   X4. What may be written through a shared mapping has no holes: the kernel does not fill them.
 *
 * dax_space.c gives frames out, dax_data.c does what data.c asks for, dax_image.c knows the records
 * on the device, dax_load.c and dax_save.c turn them into nodes and back, dax_mount.c has the life
 * of a mount.
 */
#ifndef FS_DAX_H
#define FS_DAX_H

#include <cb_syscall.h>
#include "dax_image.h"
#include "mount.h"
#include "node.h"

enum frame_state {
    FRAME_FREE,
    FRAME_USED,
    FRAME_PENDING, /* free once a new table is on the device (X2) */
};

struct daxfs {
    struct mount *mount;
    unsigned number; /* of /dev/dax<number> */
    int device;      /* descriptor */
    int table_fd;    /* of the object that has the superblock and the tables */
    uint8_t *tables; /* the same, mapped */
    size_t tables_size;
    uint64_t nr_frames;
    uint64_t first_frame; /* behind the tables */
    uint8_t *states;      /* enum frame_state of each frame */
    uint64_t nr_free;
    uint64_t nr_pending;
    uint64_t next_frame; /* where to look for a free one first */
    uint64_t generation; /* of the newest table, or of an attempt to write a newer one */
    unsigned newest;     /* which table that is; the other one is written next */
    bool is_dirty;       /* there are changes that it does not have */
    bool has_failed; /* and they did not fit into one: it is tried again after the next change */
    bool is_closing; /* frames are not given back any more */
    char source[16]; /* for /proc/mounts */
};

/* --- dax_mount.c ------------------------------------------------------------------------------ */

/** dax_exists() - is there a device of this number? */
bool dax_exists(unsigned number);

/**
 * dax_mount() - make @mount the file system of the first device that is not mounted.
 * A device that holds nothing but zeros at its start is given an empty file system.
 * Return: 0, -ENODEV (no device left), -EUCLEAN (it holds something else, or is damaged), -EBUSY
 *         (somebody maps or holds its frames), -EINVAL (too small), -ENOMEM.
 */
int dax_mount(struct mount *mount);

/** dax_unmount() - write everything back and forget the nodes. Return: 0, -EBUSY, -ENOSPC. */
int dax_unmount(struct mount *mount);

/** dax_save_all() - write back what has changed on all mounts. Return: 0, or the first error. */
int dax_save_all(void);

/** dax_is_any_dirty() - is there something to write back, as far as is known? */
bool dax_is_any_dirty(void);

/** dax_touch() - the node, or what it holds, has changed. */
static inline void dax_touch(const struct node *node)
{
    if (node->mount->dax != NULL) {
        node->mount->dax->is_dirty = true;
        node->mount->dax->has_failed = false;
    }
}

static inline bool dax_has(const struct node *node)
{
    return node->mount->dax != NULL;
}

/* --- dax_save.c, dax_load.c ------------------------------------------------------------------- */

/** dax_save() - put the tree on the device. Return: 0 or -ENOSPC: it does not fit into a table. */
int dax_save(struct daxfs *daxfs);

/** dax_load() - make the nodes of a table, below @daxfs->mount->root. Return: 0, -EUCLEAN, ... */
int dax_load(struct daxfs *daxfs, const uint8_t *records, size_t length);

/* --- dax_space.c ------------------------------------------------------------------------------ */

/**
 * dax_fill() - give a file zeroed frames for its holes among the pages [first, end).
 * Return: 0, or -ENOSPC, -ENOMEM, ... with the holes in front filled.
 */
int dax_fill(struct node *file, uint64_t first, uint64_t end);

/** dax_adopt() - a file has these frames already; none of them is in use. Return: 0 or -errno. */
int dax_adopt(struct node *file, const struct dax_extent *extents, uint32_t nr_extents);

/** dax_reserve_cut() - memory for dax_cut() in the middle of an extent. Return: 0 or -ENOMEM. */
int dax_reserve_cut(struct node *file);

/** dax_cut() - the kernel has taken the frames of [first, end) back: they wait to be free. */
void dax_cut(struct node *file, uint64_t first, uint64_t end);

/** dax_present_until() - the first page at or above @first that is a hole. */
uint64_t dax_present_until(const struct node *file, uint64_t first);

/** dax_settle() - a new table is on the device: what was pending is free. */
void dax_settle(struct daxfs *daxfs);

/* --- dax_data.c: see data.h ------------------------------------------------------------------- */

int dax_data_open(struct node *file);
int dax_data_truncate(struct node *file, uint64_t size);
int dax_data_allocate(struct node *file, int mode, uint64_t offset, uint64_t len);
int dax_data_prepare_write(struct node *file, uint64_t offset, uint64_t *len);
int dax_data_share(struct node *file);
int dax_data_sync(struct node *file);
uint64_t dax_data_blocks(const struct node *file);
void dax_data_release(struct node *file);

#endif
