/* GETDENTS, READLINK, GETCWD, STATFS: telling what is there. */
#include <errno.h>
#include <string.h>
#include <cb_syscall.h>
#include "access.h"
#include "dax.h"
#include "dir.h"
#include "fs.h"
#include "mount.h"

#define DIRENTS_MAX 32768u

/* Linux's struct linux_dirent64, without the name that follows. */
struct dirent_head {
    uint64_t ino;
    int64_t position;
    uint16_t length;
    uint8_t type;
} __attribute__((packed));

#define DIRENT_NAME 19u /* where the name begins */

struct dirent_sink {
    struct name_sink sink;
    size_t used;
    size_t size;
    bool is_full;
};

static uint8_t dirents[DIRENTS_MAX];

static bool take_dirent(struct name_sink *base, const char *name, size_t len, uint64_t ino,
                        uint32_t mode, uint64_t next_position)
{
    struct dirent_sink *sink = (struct dirent_sink *)base;
    size_t length = (DIRENT_NAME + len + 1 + 7) & ~(size_t)7;

    if (sink->size - sink->used < length) {
        sink->is_full = true;
        return false;
    }
    const struct dirent_head head = {
        .ino = ino,
        .position = (int64_t)next_position,
        .length = (uint16_t)length,
        .type = (uint8_t)((mode & S_IFMT) >> 12),
    };
    uint8_t *record = dirents + sink->used;
    memset(record, 0, length);
    memcpy(record, &head, DIRENT_NAME);
    memcpy(record + DIRENT_NAME, name, len);
    sink->used += length;
    return true;
}

/* "." and ".." are not entries: they have positions 0 and 1. */
static bool take_dots(struct node *dir, uint64_t *position, struct dirent_sink *sink)
{
    if (*position == 0) {
        if (!take_dirent(&sink->sink, ".", 1, dir->ino, S_IFDIR, 1)) {
            return false;
        }
        *position = 1;
    }
    if (*position == 1) {
        struct node *parent = dir->ops->parent(dir);
        uint64_t ino = parent->ino;
        if (dir == dir->mount->root && dir->mount->covered != NULL) {
            struct node *covered = dir->mount->covered;
            ino = covered->dir.parent != NULL ? covered->dir.parent->ino : covered->ino;
        }
        node_put(parent);
        if (!take_dirent(&sink->sink, "..", 2, ino, S_IFDIR, DIR_FIRST_POSITION)) {
            return false;
        }
        *position = DIR_FIRST_POSITION;
    }
    return true;
}

int64_t op_getdents(struct cb_request *request)
{
    const struct cb_msg *msg = request->msg;
    struct open_file *file = fs_open_file(request);
    uint64_t size = msg->args[1] < msg->recv_len ? msg->args[1] : msg->recv_len;
    uint64_t position = msg->args[0];

    if (file == NULL) {
        return -EBADF;
    }
    struct node *dir = file->node;
    if (!node_is_dir(dir)) {
        return -ENOTDIR;
    }
    if (dir->ops == &tree_node_ops && dir->nlink == 0) {
        return -ENOENT;
    }
    struct dirent_sink sink = {
        .sink.take = take_dirent,
        .size = size < DIRENTS_MAX ? size : DIRENTS_MAX,
    };
    if (take_dots(dir, &position, &sink)) {
        dir->ops->list(dir, &position, &sink.sink);
    }
    if (sink.used == 0 && sink.is_full) {
        return -EINVAL;
    }
    node_touch_accessed(dir);
    request->reply.flags |= CB_REPLY_NEWPOS;
    request->reply.new_pos = position;
    return cb_request_data(request, dirents, sink.used);
}

int64_t op_readlink(struct cb_request *request)
{
    static char text[CB_PATH_MAX];
    struct caller caller = fs_caller(request->msg);
    struct node *node;

    int error = fs_target(request, &caller, WALK_NOFOLLOW, &node);
    if (error != 0) {
        return error;
    }
    int64_t result;
    if (!node_is_link(node)) {
        result = request->msg->path_len == 0 ? -ENOENT : -EINVAL;
    } else {
        result = node->ops->read_link(node, &caller, text, sizeof(text));
    }
    node_put(node);
    return result < 0 ? result : cb_request_data(request, text, (size_t)result);
}

int64_t op_getcwd(struct cb_request *request)
{
    static struct path_text path;
    struct open_file *file = fs_open_file(request);

    if (file == NULL || !node_is_dir(file->node)) {
        return -ENOENT;
    }
    path_text_init(&path);
    int error = path_prepend_dir(&path, file->node, fs_root_of(request));
    if (error != 0) {
        return error;
    }
    size_t len = path_text_len(&path);
    if (len + 1 > CB_PATH_MAX) {
        return -ENAMETOOLONG;
    }
    return cb_request_data(request, path.bytes + path.start, len);
}

/* The kernel's struct statfs. */
struct statfs_reply {
    uint64_t type;
    uint64_t block_size;
    uint64_t blocks;
    uint64_t blocks_free;
    uint64_t blocks_available;
    uint64_t files;
    uint64_t files_free;
    uint32_t id[2];
    uint64_t name_max;
    uint64_t fragment_size;
    uint64_t flags;
    uint64_t spare[4];
};

_Static_assert(sizeof(struct statfs_reply) == 120, "the layout of the ABI");

#define ST_VALID    0x20u
#define ST_RELATIME 0x1000u

int64_t op_statfs(struct cb_request *request)
{
    static struct statfs_reply reply;
    struct caller caller = fs_caller(request->msg);
    struct cb_mem_info memory;
    struct node *node;

    int error = fs_target(request, &caller, WALK_FOLLOW, &node);
    if (error != 0) {
        return error;
    }
    reply = (struct statfs_reply){
        .type = node->mount->magic,
        .block_size = FS_PAGE_SIZE,
        .name_max = FS_NAME_MAX,
        .fragment_size = FS_PAGE_SIZE,
        .flags = ST_VALID | ST_RELATIME,
        .id = {node->mount->minor, 0},
    };
    if (node->mount->dax != NULL) {
        const struct daxfs *daxfs = node->mount->dax;
        reply.blocks = daxfs->nr_frames - daxfs->first_frame;
        reply.blocks_free = daxfs->nr_free + daxfs->nr_pending;
        reply.blocks_available = reply.blocks_free;
    } else if (node->mount->root->ops == &tree_node_ops &&
               cb_kinfo(CB_KINFO_MEM, 0, &memory, sizeof(memory)) == (long)sizeof(memory)) {
        uint64_t blocks = memory.total / 2 / FS_PAGE_SIZE;
        uint64_t used = memory.shmem / FS_PAGE_SIZE;
        reply.blocks = blocks;
        reply.blocks_free = used < blocks ? blocks - used : 0;
        reply.blocks_available = reply.blocks_free;
        reply.files = memory.total / 2 / FS_PAGE_SIZE;
        reply.files_free = node_count() < reply.files ? reply.files - node_count() : 0;
    }
    node_put(node);
    cb_request_data(request, &reply, sizeof(reply));
    return 0;
}
