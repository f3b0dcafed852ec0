/* From nodes to a table on the device. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "dax.h"
#include "dir.h"

static void write_node(struct dax_writer *writer, const struct node *node)
{
    const struct dax_node_record record = {
        .ino = node->ino,
        .mode = node->mode,
        .uid = node->uid,
        .gid = node->gid,
        .rdev = node->rdev,
        .size = node->size,
        .seconds = {node->atime.tv_sec, node->mtime.tv_sec, node->ctime.tv_sec},
        .nanoseconds = {(uint32_t)node->atime.tv_nsec, (uint32_t)node->mtime.tv_nsec,
                        (uint32_t)node->ctime.tv_nsec},
    };

    if (S_ISREG(node->mode)) {
        dax_write_node(writer, record, node->data.dax.extents, node->data.dax.nr_extents, NULL);
    } else {
        dax_write_node(writer, record, NULL, 0, node_is_link(node) ? node->target : NULL);
    }
}

static void write_name(struct daxfs *daxfs, struct dax_writer *writer, const struct entry *entry)
{
    struct node *node = entry->node;

    /* A file of several names is written in front of the first. */
    if (node->saved_in != daxfs->generation) {
        node->saved_in = daxfs->generation;
        write_node(writer, node);
    }
    dax_write_entry(writer, entry->dir->ino, node->ino, entry->name, entry->len);
}

/* The whole tree, each directory's names from the oldest on, without a stack. */
static void write_tree(struct daxfs *daxfs, struct dax_writer *writer)
{
    struct node *root = daxfs->mount->root;
    struct node *dir = root;
    size_t slot = 0;

    write_node(writer, root);
    while (true) {
        if (slot < dir->dir.nr_slots) {
            const struct entry *entry = dir->dir.slots[slot++];
            if (entry == NULL) {
                continue;
            }
            write_name(daxfs, writer, entry);
            if (node_is_dir(entry->node)) {
                dir = entry->node;
                slot = 0;
            }
        } else if (dir != root) {
            slot = dir->dir.self->slot + 1;
            dir = dir->dir.parent;
        } else {
            return;
        }
    }
}

int dax_save(struct daxfs *daxfs)
{
    struct dax_super *super = (struct dax_super *)daxfs->tables;
    uint64_t generation = daxfs->generation + 1;
    unsigned which = 1 - daxfs->newest;
    struct dax_writer writer = {
        .bytes = daxfs->tables + dax_table_at(super, which),
        .size = super->table_frames * DAX_FRAME_SIZE,
    };
    struct dax_table table = {.generation = generation};

    daxfs->generation = generation;
    write_tree(daxfs, &writer);
    if (writer.is_full) {
        daxfs->has_failed = true;
        return -ENOSPC;
    }
    table.length = writer.used;
    table.checksum = dax_checksum(&table, writer.bytes);
    /* The records before their description: what is described is there. */
    if (fsync(daxfs->table_fd) != 0) {
        return -errno;
    }
    super->tables[which] = table;
    if (fsync(daxfs->table_fd) != 0) {
        return -errno;
    }
    daxfs->newest = which;
    daxfs->is_dirty = false;
    dax_settle(daxfs);
    return 0;
}
