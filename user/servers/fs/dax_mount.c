/* Mounting direct devices: their tables claimed, read or made, written back, and let go. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "dax.h"
#include "dir.h"
#include "open_file.h"

#define DEVICES_MAX 8u

static struct daxfs *mounted[DEVICES_MAX]; /* by number */

bool dax_exists(unsigned number)
{
    int fd = cb_kernel_file(CB_KERNEL_FILE_DAX, (int)number, O_RDONLY);

    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static void let_go(struct daxfs *daxfs)
{
    if (daxfs->tables != NULL) {
        munmap(daxfs->tables, daxfs->tables_size);
    }
    if (daxfs->table_fd >= 0) {
        close(daxfs->table_fd);
    }
    if (daxfs->device >= 0) {
        close(daxfs->device);
    }
    free(daxfs->states);
    free(daxfs);
}

static int open_device(struct daxfs *daxfs)
{
    struct cb_dax_info info;
    int error;

    daxfs->device = cb_kernel_file(CB_KERNEL_FILE_DAX, (int)daxfs->number, O_RDWR);
    if (daxfs->device < 0) {
        return daxfs->device == -ENXIO ? -ENODEV : daxfs->device;
    }
    error = cb_dax_info(daxfs->device, &info);
    if (error != 0) {
        return error;
    }
    daxfs->nr_frames = info.size / DAX_FRAME_SIZE;
    if (daxfs->nr_frames < DAX_FRAMES_MIN || daxfs->nr_frames > UINT32_MAX) {
        return -EINVAL;
    }
    daxfs->first_frame = 1 + 2 * dax_table_frames(daxfs->nr_frames);
    daxfs->next_frame = daxfs->first_frame;
    daxfs->nr_free = daxfs->nr_frames - daxfs->first_frame;
    daxfs->tables_size = daxfs->first_frame * DAX_FRAME_SIZE;
    daxfs->states = calloc(daxfs->nr_frames, 1);
    return daxfs->states != NULL ? 0 : -ENOMEM;
}

/* From here on nobody reaches the tables but through us (X1). */
static int claim_tables(struct daxfs *daxfs)
{
    const struct cb_dax_grant grant = {.count = daxfs->first_frame};

    daxfs->table_fd = cb_dax_create(daxfs->device, CB_DAX_COW_FILLS);
    if (daxfs->table_fd < 0) {
        return daxfs->table_fd;
    }
    if (ftruncate(daxfs->table_fd, (off_t)daxfs->tables_size) != 0) {
        return -errno;
    }
    long count = cb_dax_grant(daxfs->table_fd, &grant);
    if (count != (long)grant.count) {
        return count < 0 ? (int)count : -EBUSY;
    }
    void *tables =
        mmap(NULL, daxfs->tables_size, PROT_READ | PROT_WRITE, MAP_SHARED, daxfs->table_fd, 0);
    if (tables == MAP_FAILED) {
        return -errno;
    }
    daxfs->tables = tables;
    return 0;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    while (len > 0 && *bytes == 0) {
        bytes++;
        len--;
    }
    return len == 0;
}

static int make_empty(struct daxfs *daxfs)
{
    struct dax_super *super = (struct dax_super *)daxfs->tables;

    memset(super, 0, DAX_FRAME_SIZE);
    memcpy(super->magic, DAX_MAGIC, sizeof(super->magic));
    super->nr_frames = daxfs->nr_frames;
    super->table_frames = dax_table_frames(daxfs->nr_frames);
    return dax_save(daxfs);
}

static int load_newest(struct daxfs *daxfs)
{
    const struct dax_super *super = (const struct dax_super *)daxfs->tables;

    if (memcmp(super->magic, DAX_MAGIC, sizeof(super->magic)) != 0 ||
        super->nr_frames != daxfs->nr_frames ||
        super->table_frames != dax_table_frames(daxfs->nr_frames)) {
        return -EUCLEAN;
    }
    int which = dax_newest_table(daxfs->tables);
    if (which < 0) {
        return which;
    }
    daxfs->generation = super->tables[which].generation;
    daxfs->newest = (unsigned)which;
    return dax_load(daxfs, daxfs->tables + dax_table_at(super, (unsigned)which),
                    super->tables[which].length);
}

/* Removes every name, each directory's after those below it. */
static void drop_tree(struct node *root)
{
    struct node *dir = root;

    while (true) {
        struct entry *entry = NULL;
        for (size_t i = 0; i < dir->dir.nr_slots && entry == NULL; i++) {
            entry = dir->dir.slots[i];
        }
        if (entry != NULL && node_is_dir(entry->node) && !dir_is_empty(entry->node)) {
            dir = entry->node;
        } else if (entry != NULL) {
            dir_remove(entry);
        } else if (dir != root) {
            dir = dir->dir.parent;
        } else {
            return;
        }
    }
}

static int start(struct daxfs *daxfs)
{
    int error = open_device(daxfs);

    if (error == 0) {
        error = claim_tables(daxfs);
    }
    if (error != 0) {
        return error;
    }
    daxfs->mount->dax = daxfs;
    bool is_new = is_zero(daxfs->tables, DAX_FRAME_SIZE);
    error = is_new ? make_empty(daxfs) : load_newest(daxfs);
    if (error != 0) {
        daxfs->is_closing = true;
        drop_tree(daxfs->mount->root);
    }
    daxfs->is_dirty = false;
    return error;
}

static int find_device(unsigned *number)
{
    for (unsigned i = 0; i < DEVICES_MAX && dax_exists(i); i++) {
        if (mounted[i] == NULL) {
            *number = i;
            return 0;
        }
    }
    return -ENODEV;
}

int dax_mount(struct mount *mount)
{
    unsigned number;
    int error = find_device(&number);

    if (error != 0) {
        return error;
    }
    struct daxfs *daxfs = calloc(1, sizeof(*daxfs));
    if (daxfs == NULL) {
        return -ENOMEM;
    }
    *daxfs = (struct daxfs){.mount = mount, .number = number, .device = -1, .table_fd = -1};
    snprintf(daxfs->source, sizeof(daxfs->source), "/dev/dax%u", number);
    error = start(daxfs);
    if (error != 0) {
        mount->dax = NULL;
        let_go(daxfs);
        return error;
    }
    mounted[number] = daxfs;
    mount->source = daxfs->source;
    return 0;
}

/* An open file, a working directory, or a mount on one of its directories? */
static bool is_busy(const struct mount *mount)
{
    for (struct open_file *file = open_file_next(NULL); file != NULL; file = open_file_next(file)) {
        if (file->node->mount == mount) {
            return true;
        }
    }
    for (const struct mount *other = mount_first(); other != NULL; other = other->next) {
        if (other->covered != NULL && other->covered->mount == mount) {
            return true;
        }
    }
    return false;
}

int dax_unmount(struct mount *mount)
{
    struct daxfs *daxfs = mount->dax;

    if (is_busy(mount)) {
        return -EBUSY;
    }
    int error = daxfs->is_dirty ? dax_save(daxfs) : 0;
    if (error != 0) {
        return error;
    }
    daxfs->is_closing = true;
    drop_tree(mount->root);
    mounted[daxfs->number] = NULL;
    mount->dax = NULL;
    mount->source = "none";
    let_go(daxfs);
    return 0;
}

int dax_save_all(void)
{
    int first_error = 0;

    for (unsigned i = 0; i < DEVICES_MAX; i++) {
        if (mounted[i] != NULL && mounted[i]->is_dirty) {
            int error = dax_save(mounted[i]);
            first_error = first_error != 0 ? first_error : error;
        }
    }
    return first_error;
}

bool dax_is_any_dirty(void)
{
    for (unsigned i = 0; i < DEVICES_MAX; i++) {
        if (mounted[i] != NULL && mounted[i]->is_dirty && !mounted[i]->has_failed) {
            return true;
        }
    }
    return false;
}
