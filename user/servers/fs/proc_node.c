/* Nodes of /proc: finding, listing and describing what the tables say. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dir.h"
#include "mount.h"
#include "proc.h"

#define FIRST_PROCESS_POSITION 256u /* names of the table come before the processes */
#define SNAPSHOT_MAX           (64u << 20)
#define ROOT_INO               1u

static const struct node_ops proc_node_ops;

static const struct proc_entry root_entry = {
    .name = "", .kind = PROC_DIR_ROOT, .mode = 0555, .children = proc_root_entries};
static const struct proc_entry process_entry = {
    .name = "", .kind = PROC_DIR, .mode = 0555, .children = proc_process_entries};
static const struct proc_entry task_entry = {
    .name = "", .kind = PROC_DIR, .mode = 0555, .children = proc_task_entries};

int proc_info(const struct proc_key *key, struct cb_proc_info *info)
{
    enum cb_kinfo_kind kind = key->tid != 0 ? CB_KINFO_TASK : CB_KINFO_PROC;

    return cb_kinfo(kind, proc_task_id(key), info, sizeof(*info)) == (long)sizeof(*info) ? 0
                                                                                         : -ESRCH;
}

int32_t proc_task_id(const struct proc_key *key)
{
    return key->tid != 0 ? key->tid : key->pid;
}

void proc_show_reader(const struct proc_key *key, struct cb_proc_info *info,
                      const struct caller *caller)
{
    if (proc_task_id(key) == caller->tid && info->state != 'Z') {
        info->state = 'R';
    }
}

int proc_may_inspect(const struct proc_key *key, const struct caller *caller)
{
    struct cb_proc_info info;
    int error = proc_info(key, &info);

    if (error != 0) {
        return error;
    }
    return caller->uid == 0 || caller->uid == info.uid[1] ? 0 : -EACCES;
}

long proc_snapshot(enum cb_kinfo_kind kind, int pid, size_t record_size, void **snapshot)
{
    size_t capacity = record_size * 64 < 4096 ? 4096 : record_size * 64;

    while (true) {
        void *buf = malloc(capacity);
        if (buf == NULL) {
            return -ENOMEM;
        }
        long len = cb_kinfo(kind, pid, buf, capacity);
        if (len < 0) {
            free(buf);
            return len;
        }
        /* A full buffer may have been too small: ask again with more room. */
        if ((size_t)len + record_size <= capacity) {
            *snapshot = buf;
            return len;
        }
        free(buf);
        capacity *= 4;
        if (capacity > SNAPSHOT_MAX) {
            return -ENOMEM;
        }
    }
}

uint64_t proc_ticks(uint64_t ns)
{
    return ns / 10000000u;
}

/* A number that stays with a name as long as its process does. */
static uint64_t ino_of(const struct proc_key *key)
{
    uint64_t hash = 0xcbf29ce484222325u;
    const uint64_t parts[] = {(uintptr_t)key->entry, (uint32_t)key->pid, (uint32_t)key->tid,
                              (uint32_t)key->fd};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        hash = (hash ^ parts[i]) * 0x100000001b3u;
        hash ^= hash >> 29;
    }
    return (hash & 0xffffffffu) | 0x100000000u;
}

static uint32_t type_of(const struct proc_entry *entry)
{
    switch (entry->kind) {
    case PROC_FILE:
        return S_IFREG;
    case PROC_LINK:
        return S_IFLNK;
    default:
        return S_IFDIR;
    }
}

static uint32_t mode_of(const struct proc_key *key)
{
    const struct proc_entry *entry = key->entry;

    return type_of(entry) | (entry->link_mode != NULL ? entry->link_mode(key) : entry->mode);
}

static int create(struct node *up, struct mount *mount, struct proc_key key, struct node **out)
{
    struct cb_proc_info info;
    struct node *node = node_create_with(&proc_node_ops, mount, mode_of(&key));

    if (node == NULL) {
        return -ENOMEM;
    }
    key.up = up != NULL ? node_get(up) : NULL;
    node->proc = key;
    node->ino = up == NULL ? ROOT_INO : ino_of(&key);
    node->nlink = node_is_dir(node) ? 2 : 1;
    node->size = node_is_link(node) && key.pid != 0 ? 64 : 0;
    if (key.pid != 0 && proc_info(&key, &info) == 0) {
        node->uid = info.uid[1];
        node->gid = info.gid[1];
    }
    *out = node;
    return 0;
}

struct node *proc_create_root(struct mount *mount)
{
    struct node *root = NULL;

    return create(NULL, mount, (struct proc_key){.entry = &root_entry}, &root) == 0 ? root : NULL;
}

/* A decimal number without leading zeroes, as names of processes, threads and descriptors are. */
static bool parse_number(const char *name, size_t len, int32_t *number)
{
    int64_t value = 0;

    if (len == 0 || len > 10 || (len > 1 && name[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9') {
            return false;
        }
        value = value * 10 + (name[i] - '0');
    }
    *number = (int32_t)value;
    return value <= INT32_MAX;
}

static bool has_thread(int32_t pid, int32_t tid)
{
    void *tids;
    long len = proc_snapshot(CB_KINFO_THREADS, pid, sizeof(int32_t), &tids);
    bool is_found = false;

    if (len < 0) {
        return false;
    }
    for (long i = 0; i < len / (long)sizeof(int32_t); i++) {
        is_found = is_found || ((const int32_t *)tids)[i] == tid;
    }
    free(tids);
    return is_found;
}

static bool has_fd(int32_t pid, int32_t fd)
{
    void *fds;
    long len = proc_snapshot(CB_KINFO_FDS, pid, sizeof(struct cb_fd_info), &fds);
    bool is_found = false;

    if (len < 0) {
        return false;
    }
    for (long i = 0; i < len / (long)sizeof(struct cb_fd_info); i++) {
        is_found = is_found || ((const struct cb_fd_info *)fds)[i].fd == fd;
    }
    free(fds);
    return is_found;
}

/* From a directory's key to that of the child with this number. */
static void key_of_number(struct proc_key *key, int32_t number)
{
    switch (key->entry->kind) {
    case PROC_DIR_ROOT:
        *key = (struct proc_key){.entry = &process_entry, .pid = number};
        break;
    case PROC_DIR_TASK:
        key->entry = &task_entry;
        key->tid = number;
        break;
    default:
        key->entry = key->entry->children;
        key->fd = number;
        break;
    }
}

static bool has_number(const struct proc_key *key, int32_t number)
{
    const struct proc_key process = {.pid = number};
    struct cb_proc_info info;

    switch (key->entry->kind) {
    case PROC_DIR_ROOT:
        return number != 0 && proc_info(&process, &info) == 0;
    case PROC_DIR_TASK:
        return has_thread(key->pid, number);
    case PROC_DIR_FDS:
        return has_fd(key->pid, number);
    default:
        return false;
    }
}

/* The names that are numbers. */
static int lookup_number(struct node *dir, int32_t number, struct node **found)
{
    struct proc_key key = dir->proc;

    if (!has_number(&key, number)) {
        return -ENOENT;
    }
    key_of_number(&key, number);
    return create(dir, dir->mount, key, found);
}

static bool has_named_children(const struct proc_entry *entry)
{
    return entry->kind == PROC_DIR || entry->kind == PROC_DIR_ROOT;
}

static int proc_lookup(struct node *dir, const struct caller *caller, const char *name, size_t len,
                       struct node **found)
{
    (void)caller;
    int32_t number;

    if (parse_number(name, len, &number)) {
        return lookup_number(dir, number, found);
    }
    if (!has_named_children(dir->proc.entry)) {
        return -ENOENT;
    }
    const struct proc_entry *child = dir->proc.entry->children;
    for (; child->name != NULL; child++) {
        if (strlen(child->name) == len && memcmp(child->name, name, len) == 0) {
            struct proc_key key = dir->proc;
            key.entry = child;
            return create(dir, dir->mount, key, found);
        }
    }
    return -ENOENT;
}

static bool tell(struct node *dir, uint64_t *position, struct name_sink *sink, struct proc_key key,
                 const char *name, uint64_t next)
{
    (void)dir;
    if (!sink->take(sink, name, strlen(name), ino_of(&key), type_of(key.entry), next)) {
        return false;
    }
    *position = next;
    return true;
}

static bool list_table(struct node *dir, uint64_t *position, struct name_sink *sink)
{
    const struct proc_entry *children = dir->proc.entry->children;

    for (uint64_t i = 0; children[i].name != NULL; i++) {
        struct proc_key key = dir->proc;
        key.entry = &children[i];
        if (i + DIR_FIRST_POSITION >= *position &&
            !tell(dir, position, sink, key, children[i].name, i + DIR_FIRST_POSITION + 1)) {
            return false;
        }
    }
    return true;
}

/* Where the numbers of a directory come from. The number is the first member of a record. */
struct numbers {
    enum cb_kinfo_kind kind;
    size_t size; /* of one record */
};

static const struct numbers numbers_of[] = {
    [PROC_DIR_ROOT] = {CB_KINFO_PROC_LIST, sizeof(int32_t)},
    [PROC_DIR_TASK] = {CB_KINFO_THREADS, sizeof(int32_t)},
    [PROC_DIR_FDS] = {CB_KINFO_FDS, sizeof(struct cb_fd_info)},
};

/* Numbered names, ascending; number n has position base + n. */
static void list_numbers(struct node *dir, uint64_t *position, struct name_sink *sink,
                         uint64_t base)
{
    const struct numbers *numbers = &numbers_of[dir->proc.entry->kind];
    void *records;
    long len = proc_snapshot(numbers->kind, dir->proc.pid, numbers->size, &records);

    for (long at = 0; at + (long)numbers->size <= len; at += (long)numbers->size) {
        int32_t number;
        memcpy(&number, (const char *)records + at, sizeof(number));
        struct proc_key key = dir->proc;
        char name[16];
        if (base + (uint64_t)number < *position) {
            continue;
        }
        key_of_number(&key, number);
        snprintf(name, sizeof(name), "%d", number);
        if (!tell(dir, position, sink, key, name, base + (uint64_t)number + 1)) {
            break;
        }
    }
    if (len >= 0) {
        free(records);
    }
}

static void proc_list(struct node *dir, uint64_t *position, struct name_sink *sink)
{
    enum proc_kind kind = dir->proc.entry->kind;

    if (has_named_children(dir->proc.entry) && *position < FIRST_PROCESS_POSITION &&
        !list_table(dir, position, sink)) {
        return;
    }
    if (kind == PROC_DIR_ROOT) {
        list_numbers(dir, position, sink, FIRST_PROCESS_POSITION);
    } else if (kind == PROC_DIR_TASK || kind == PROC_DIR_FDS) {
        list_numbers(dir, position, sink, DIR_FIRST_POSITION);
    }
}

static struct node *proc_parent(struct node *dir)
{
    return node_get(dir->proc.up != NULL ? dir->proc.up : dir);
}

static long proc_read_link(struct node *link, const struct caller *caller, char *buf, size_t size)
{
    return link->proc.entry->read_link(&link->proc, caller, buf, size);
}

static struct node *proc_jump(struct node *link, const struct caller *caller)
{
    const struct proc_entry *entry = link->proc.entry;

    return entry->jump != NULL ? entry->jump(&link->proc, caller) : NULL;
}

static bool proc_is_magic(const struct node *link)
{
    return link->proc.entry->is_magic;
}

static bool proc_descriptor(struct node *link, const struct caller *caller,
                            struct descriptor *found)
{
    const struct proc_entry *entry = link->proc.entry;

    return entry->descriptor != NULL && entry->descriptor(&link->proc, caller, found);
}

static int proc_open_in_kernel(struct node *file, const struct caller *caller, uint32_t flags)
{
    const struct proc_key *key = &file->proc;
    enum cb_kernel_file kind = key->entry->kernel_file;

    if (kind == 0) {
        return -ENOSYS;
    }
    int error = key->pid != 0 ? proc_may_inspect(key, caller) : 0;
    if (error != 0) {
        return error;
    }
    if (kind == CB_KERNEL_FILE_PAGEMAP && caller->uid == 0) {
        kind = CB_KERNEL_FILE_PAGEMAP_FRAMES;
    }
    return cb_kernel_file(kind, key->pid, flags);
}

static int proc_generate(struct node *file, const struct caller *caller, struct text *text)
{
    const struct proc_entry *entry = file->proc.entry;

    return entry->generate != NULL ? entry->generate(&file->proc, caller, text) : -EIO;
}

static long proc_accept(struct node *file, const struct caller *caller, const char *bytes,
                        size_t len)
{
    const struct proc_entry *entry = file->proc.entry;

    (void)caller;
    return entry->accept != NULL ? entry->accept(&file->proc, bytes, len) : -EACCES;
}

static size_t own_name(const struct proc_key *key, char *buf, size_t size)
{
    bool is_numbered = key->entry == &process_entry || key->entry == &task_entry ||
                       (key->up != NULL && key->up->proc.entry->kind == PROC_DIR_FDS);
    int32_t number = key->fd;
    if (key->entry == &process_entry) {
        number = key->pid;
    } else if (key->entry == &task_entry) {
        number = key->tid;
    }
    int len = is_numbered ? snprintf(buf, size, "%d", number)
                          : snprintf(buf, size, "%s", key->entry->name);
    return (size_t)len < size ? (size_t)len : size - 1;
}

static size_t proc_name(const struct node *node, char *buf, size_t size)
{
    size_t used = 0;

    if (node->proc.up != NULL && node->proc.up->proc.up != NULL) {
        used = proc_name(node->proc.up, buf, size);
        if (used + 1 < size) {
            buf[used++] = '/';
        }
    }
    return used + own_name(&node->proc, buf + used, size - used);
}

static void proc_release(struct node *node)
{
    node_put(node->proc.up);
}

static const struct node_ops proc_node_ops = {
    .lookup = proc_lookup,
    .list = proc_list,
    .parent = proc_parent,
    .read_link = proc_read_link,
    .jump = proc_jump,
    .is_magic = proc_is_magic,
    .descriptor = proc_descriptor,
    .open_in_kernel = proc_open_in_kernel,
    .generate = proc_generate,
    .accept = proc_accept,
    .name = proc_name,
    .release = proc_release,
};
