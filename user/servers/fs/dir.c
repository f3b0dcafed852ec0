/* Directory entries: a hash table over all directories, and one ordered list a directory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "dax.h"
#include "dir.h"
#include "mount.h"

#define FIRST_BUCKETS 1024u

static struct entry **buckets;
static size_t nr_buckets;
static size_t nr_hashed;

static uint32_t hash_name(const struct node *dir, const char *name, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u ^ ((uintptr_t)dir >> 4);

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (uint8_t)name[i]) * 0x100000001b3u;
    }
    return (uint32_t)(hash ^ (hash >> 32));
}

struct entry *dir_find(const struct node *dir, const char *name, size_t len)
{
    if (nr_buckets == 0) {
        return NULL;
    }
    uint32_t hash = hash_name(dir, name, len);
    struct entry *entry = buckets[hash & (nr_buckets - 1)];
    while (entry != NULL) {
        if (entry->hash == hash && entry->dir == dir && entry->len == len &&
            memcmp(entry->name, name, len) == 0) {
            return entry;
        }
        entry = entry->hash_next;
    }
    return NULL;
}

/* Keeps chains short. A failure to grow only makes look-ups slower, except for the first table. */
static bool grow_hash(void)
{
    if (nr_hashed < nr_buckets) {
        return true;
    }
    size_t count = nr_buckets == 0 ? FIRST_BUCKETS : nr_buckets * 4;
    struct entry **table = calloc(count, sizeof(struct entry *));
    if (table == NULL) {
        return nr_buckets > 0;
    }
    for (size_t i = 0; i < nr_buckets; i++) {
        struct entry *entry = buckets[i];
        while (entry != NULL) {
            struct entry *next = entry->hash_next;
            entry->hash_next = table[entry->hash & (count - 1)];
            table[entry->hash & (count - 1)] = entry;
            entry = next;
        }
    }
    free(buckets);
    buckets = table;
    nr_buckets = count;
    return true;
}

/* Closes the gaps once they are the larger part, so that a slot costs constant time on average. */
static void compact(struct directory *dir)
{
    if (dir->nr_slots < 16 || dir->nr_entries * 2 > dir->nr_slots) {
        return;
    }
    size_t used = 0;
    for (size_t i = 0; i < dir->nr_slots; i++) {
        if (dir->slots[i] != NULL) {
            dir->slots[used] = dir->slots[i];
            dir->slots[used]->slot = used;
            used++;
        }
    }
    dir->nr_slots = used;
}

static bool reserve_slots(struct directory *dir, size_t count)
{
    if (dir->nr_slots + count <= dir->capacity) {
        return true;
    }
    size_t capacity = dir->capacity == 0 ? 8 : dir->capacity * 2;
    struct entry **slots = realloc(dir->slots, capacity * sizeof(struct entry *));
    if (slots == NULL) {
        return false;
    }
    dir->slots = slots;
    dir->capacity = capacity;
    return true;
}

struct entry *dir_prepare(struct node *dir, const char *name, size_t len)
{
    if (!grow_hash() || !reserve_slots(&dir->dir, 1)) {
        return NULL;
    }
    struct entry *entry = malloc(sizeof(*entry) + len + 1);
    if (entry == NULL) {
        return NULL;
    }
    entry->dir = dir;
    entry->node = NULL;
    entry->len = (uint32_t)len;
    memcpy(entry->name, name, len);
    entry->name[len] = '\0';
    entry->hash = hash_name(dir, name, len);
    return entry;
}

void dir_discard(struct entry *entry)
{
    free(entry);
}

/* A directory below another holds it for "..", and adds to its link count. */
static void attach(struct entry *entry, struct node *node)
{
    entry->node = node_get(node);
    if (node_is_dir(node)) {
        node->dir.self = entry;
        node->dir.parent = node_get(entry->dir);
        entry->dir->nlink++;
    }
}

static void detach(struct entry *entry)
{
    struct node *node = entry->node;

    if (node_is_dir(node)) {
        node->dir.self = NULL;
        entry->dir->nlink--;
    }
    entry->node = NULL;
}

/* The slot behind all others is the youngest entry's. */
static void take_slot(struct entry *entry)
{
    struct directory *dir = &entry->dir->dir;

    entry->sequence = dir->next_sequence++;
    entry->slot = dir->nr_slots++;
    dir->slots[entry->slot] = entry;
}

void dir_add(struct entry *entry, struct node *node)
{
    struct directory *dir = &entry->dir->dir;

    if (node_is_dir(node)) {
        node_put(node->dir.parent);
    } else {
        node->nlink++;
    }
    attach(entry, node);
    take_slot(entry);
    dir->nr_entries++;
    entry->dir->size += MOUNT_ENTRY_SIZE;
    entry->hash_next = buckets[entry->hash & (nr_buckets - 1)];
    buckets[entry->hash & (nr_buckets - 1)] = entry;
    nr_hashed++;
    dax_touch(entry->dir);
}

void dir_remove(struct entry *entry)
{
    struct node *owner = entry->dir;
    struct node *node = entry->node;
    struct entry **link = &buckets[entry->hash & (nr_buckets - 1)];

    while (*link != entry) {
        link = &(*link)->hash_next;
    }
    *link = entry->hash_next;
    nr_hashed--;
    owner->dir.slots[entry->slot] = NULL;
    owner->dir.nr_entries--;
    owner->size -= MOUNT_ENTRY_SIZE;
    compact(&owner->dir);
    dax_touch(owner);
    detach(entry);
    if (!node_is_dir(node)) {
        node->nlink--;
    }
    free(entry);
    node_put(node);
}

static void renew(struct entry *entry)
{
    entry->dir->dir.slots[entry->slot] = NULL;
    take_slot(entry);
}

int dir_exchange(struct entry *first, struct entry *second)
{
    if (!reserve_slots(&first->dir->dir, 2) || !reserve_slots(&second->dir->dir, 2)) {
        return -ENOSPC;
    }

    struct node *one = first->node;
    struct node *two = second->node;
    struct node *old_parents[] = {node_is_dir(one) ? one->dir.parent : NULL,
                                  node_is_dir(two) ? two->dir.parent : NULL};

    detach(first);
    detach(second);
    attach(first, two);
    attach(second, one);
    node_put(one);
    node_put(two);
    node_put(old_parents[0]);
    node_put(old_parents[1]);
    renew(first);
    renew(second);
    dax_touch(first->dir);
    dax_touch(second->dir);
    compact(&first->dir->dir);
    compact(&second->dir->dir);
    return 0;
}

/* The number of slots whose sequence is smaller than @sequence; removed slots count with the next
 * living one, which is why the search steps over them. */
static size_t slots_below(const struct directory *dir, uint64_t sequence)
{
    size_t low = 0;
    size_t high = dir->nr_slots;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        size_t probe = middle;
        while (probe < high && dir->slots[probe] == NULL) {
            probe++;
        }
        if (probe == high) {
            high = middle;
        } else if (dir->slots[probe]->sequence < sequence) {
            low = probe + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void dir_list(struct node *node, uint64_t *position, struct name_sink *sink)
{
    struct directory *dir = &node->dir;
    size_t left = *position == DIR_FIRST_POSITION ? dir->nr_slots : slots_below(dir, *position);

    while (left > 0) {
        struct entry *entry = dir->slots[--left];
        if (entry == NULL) {
            continue;
        }
        if (!sink->take(sink, entry->name, entry->len, entry->node->ino, entry->node->mode,
                        entry->sequence)) {
            return;
        }
        *position = entry->sequence;
    }
    /* Every position below the first sequence but above ".." means the end. */
    if (*position == DIR_FIRST_POSITION) {
        *position = DIR_FIRST_SEQUENCE;
    }
}

void dir_release(struct node *dir)
{
    node_put(dir->dir.parent);
    free(dir->dir.slots);
}
