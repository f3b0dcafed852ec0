/*
 * From a table on the device to nodes. Nothing in it is believed: a record that does not fit, names
 * what is not there, or claims frames that are taken, is -EUCLEAN, and the caller drops the nodes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "dax.h"
#include "dir.h"

#define LINK_TEXT_MAX 4095u

/* Nodes by inode number, while names are given to them. */
struct loading {
    struct daxfs *daxfs;
    struct node **nodes; /* held; a hash table of a power of two */
    size_t nr_slots;
};

static size_t slot_of(const struct loading *loading, uint64_t ino)
{
    size_t slot = (size_t)(ino * 0x9e3779b97f4a7c15u >> 20) & (loading->nr_slots - 1);

    while (loading->nodes[slot] != NULL && loading->nodes[slot]->ino != ino) {
        slot = (slot + 1) & (loading->nr_slots - 1);
    }
    return slot;
}

static struct node *find_node(const struct loading *loading, uint64_t ino)
{
    return loading->nodes[slot_of(loading, ino)];
}

static bool is_known_type(uint32_t mode)
{
    return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) ||
           S_ISFIFO(mode) || S_ISSOCK(mode);
}

static bool is_valid_node(const struct dax_node_record *record)
{
    const char *target = dax_node_target(record);

    if (target == NULL || !is_known_type(record->mode) ||
        (record->mode & ~(uint32_t)(S_IFMT | FS_MODE_BITS)) != 0 || record->ino == UINT64_MAX ||
        record->ino < DAX_ROOT_INO || record->size > FS_SIZE_MAX) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (record->nanoseconds[i] >= 1000000000u) {
            return false;
        }
    }
    if (S_ISLNK(record->mode)) {
        return record->target_len > 0 && record->target_len <= LINK_TEXT_MAX &&
               memchr(target, '\0', record->target_len) == NULL && record->nr_extents == 0;
    }
    return record->target_len == 0 && (S_ISREG(record->mode) || record->nr_extents == 0);
}

static void set_attributes(struct node *node, const struct dax_node_record *record)
{
    node->ino = record->ino;
    node->mode = record->mode;
    node->uid = record->uid;
    node->gid = record->gid;
    node->rdev = record->rdev;
    node->atime = (struct timespec){record->seconds[0], record->nanoseconds[0]};
    node->mtime = (struct timespec){record->seconds[1], record->nanoseconds[1]};
    node->ctime = (struct timespec){record->seconds[2], record->nanoseconds[2]};
}

static int set_content(struct node *node, const struct dax_node_record *record)
{
    if (S_ISLNK(node->mode)) {
        node->target = strndup(dax_node_target(record), record->target_len);
        node->size = record->target_len;
        return node->target != NULL ? 0 : -ENOMEM;
    }
    if (!S_ISREG(node->mode) || (record->size == 0 && record->nr_extents == 0)) {
        return 0;
    }
    node->size = record->size;
    int error = dax_data_open(node);
    return error != 0 ? error : dax_adopt(node, dax_node_extents(record), record->nr_extents);
}

static int load_node(struct loading *loading, const struct dax_node_record *record)
{
    struct mount *mount = loading->daxfs->mount;

    if (record->head.length < sizeof(*record) || !is_valid_node(record)) {
        return -EUCLEAN;
    }
    bool is_root = record->ino == DAX_ROOT_INO;
    size_t slot = slot_of(loading, record->ino);
    if (loading->nodes[slot] != NULL || (is_root && !S_ISDIR(record->mode))) {
        return -EUCLEAN;
    }
    struct node *node = is_root ? node_get(mount->root)
                                : node_create(mount, record->mode, record->uid, record->gid);
    if (node == NULL) {
        return -ENOMEM;
    }
    set_attributes(node, record);
    loading->nodes[slot] = node;
    if (node->ino >= mount->next_ino) {
        mount->next_ino = node->ino + 1;
    }
    return set_content(node, record);
}

static bool is_valid_name(const char *name, uint32_t len)
{
    return len > 0 && len <= FS_NAME_MAX && memchr(name, '/', len) == NULL &&
           memchr(name, '\0', len) == NULL && !(len == 1 && name[0] == '.') &&
           !(len == 2 && memcmp(name, "..", 2) == 0);
}

/* Is the directory part of the tree already? Each is named before what it holds, so none goes below
 * itself. */
static bool is_in_tree(const struct node *dir)
{
    return dir->dir.self != NULL || dir == dir->mount->root;
}

static int load_entry(struct loading *loading, const struct dax_entry_record *record)
{
    if (record->head.length < sizeof(*record)) {
        return -EUCLEAN;
    }
    const char *name = dax_entry_name(record);
    struct node *dir = find_node(loading, record->dir);
    struct node *node = find_node(loading, record->ino);
    if (name == NULL || dir == NULL || node == NULL || !is_valid_name(name, record->name_len) ||
        !node_is_dir(dir) || !is_in_tree(dir) || dir_find(dir, name, record->name_len) != NULL ||
        (node_is_dir(node) && is_in_tree(node))) {
        return -EUCLEAN;
    }
    struct entry *entry = dir_prepare(dir, name, record->name_len);
    if (entry == NULL) {
        return -ENOMEM;
    }
    dir_add(entry, node);
    return 0;
}

static int load_records(struct loading *loading, const uint8_t *records, size_t length)
{
    size_t position = 0;
    int error = 0;

    while (error == 0 && position < length) {
        const struct dax_record *record = dax_next_record(records, length, &position);
        if (record == NULL) {
            return -EUCLEAN;
        }
        switch (record->kind) {
        case DAX_RECORD_NODE:
            error = load_node(loading, (const struct dax_node_record *)record);
            break;
        case DAX_RECORD_ENTRY:
            error = load_entry(loading, (const struct dax_entry_record *)record);
            break;
        default:
            error = -EUCLEAN;
            break;
        }
    }
    return error;
}

static size_t count_nodes(const uint8_t *records, size_t length)
{
    size_t position = 0;
    size_t count = 0;
    const struct dax_record *record = dax_next_record(records, length, &position);

    while (record != NULL) {
        count += record->kind == DAX_RECORD_NODE;
        record = dax_next_record(records, length, &position);
    }
    return count;
}

int dax_load(struct daxfs *daxfs, const uint8_t *records, size_t length)
{
    struct loading loading = {.daxfs = daxfs, .nr_slots = 16};
    size_t nr_nodes = count_nodes(records, length);

    while (loading.nr_slots < 2 * nr_nodes) {
        loading.nr_slots *= 2;
    }
    loading.nodes = calloc(loading.nr_slots, sizeof(struct node *));
    if (loading.nodes == NULL) {
        return -ENOMEM;
    }
    int error = load_records(&loading, records, length);
    if (error == 0 && find_node(&loading, DAX_ROOT_INO) == NULL) {
        error = -EUCLEAN;
    }
    /* A node that got no name goes with its last holder, and its frames become free. */
    for (size_t slot = 0; slot < loading.nr_slots; slot++) {
        node_put(loading.nodes[slot]);
    }
    free(loading.nodes);
    return error;
}
