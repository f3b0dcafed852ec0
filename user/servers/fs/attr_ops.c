/* STAT, STATAT, CHMOD, CHOWN, UTIMENS, ACCESS: attributes of nodes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "access.h"
#include "data.h"
#include "fs.h"
#include "mount.h"

#define ID_KEEP UINT32_MAX

static enum walk_mode follow_mode(uint64_t at_flags)
{
    return (at_flags & AT_SYMLINK_NOFOLLOW) != 0 ? WALK_NOFOLLOW : WALK_FOLLOW;
}

/* musl's struct stat is the kernel's on this machine. */
_Static_assert(sizeof(struct stat) == 144, "the layout of the ABI");

static void fill_stat(const struct node *node, struct stat *st)
{
    memset(st, 0, sizeof(*st));
    st->st_dev = makedev(MOUNT_MAJOR, node->mount->minor);
    st->st_ino = node->ino;
    st->st_mode = node->mode;
    st->st_nlink = node->nlink;
    st->st_uid = node->uid;
    st->st_gid = node->gid;
    st->st_rdev = node->rdev;
    st->st_size = (off_t)node->size;
    st->st_blksize = node->ops == &tree_node_ops ? FS_PAGE_SIZE : 1024;
    if (S_ISREG(node->mode) && node->ops == &tree_node_ops) {
        st->st_blocks = (blkcnt_t)data_blocks(node);
    }
    st->st_atim = node->atime;
    st->st_mtim = node->mtime;
    st->st_ctim = node->ctime;
}

/* The reply is sent after the handler returns, so its data cannot lie in the handler's frame. */
static int64_t answer_stat(struct cb_request *request, const struct node *node)
{
    static struct stat st;

    fill_stat(node, &st);
    cb_request_data(request, &st, sizeof(st));
    return 0;
}

int64_t op_stat(struct cb_request *request)
{
    struct open_file *file = fs_open_file(request);

    return file == NULL ? -EBADF : answer_stat(request, file->node);
}

int64_t op_statat(struct cb_request *request)
{
    struct caller caller = fs_caller(request->msg);
    struct walk walk = {.takes_descriptor = true};
    int64_t result = 0;

    if (request->msg->path_len == 0) {
        return op_stat(request);
    }
    int error = fs_walk(request, &caller, follow_mode(request->msg->args[0]), &walk);
    if (error != 0) {
        return error;
    }
    if (walk.is_descriptor) {
        fs_answer_descriptor(request, &walk);
    } else if (walk.node == NULL) {
        result = -ENOENT;
    } else {
        result = answer_stat(request, walk.node);
    }
    walk_release(&walk);
    return result;
}

/* Attributes of generated files cannot be changed. */
static int check_change(const struct node *node, const struct caller *caller)
{
    if (!access_is_owner(node, caller)) {
        return -EPERM;
    }
    return node->ops == &tree_node_ops ? 0 : -EPERM;
}

static int change_mode(struct node *node, const struct caller *caller, uint32_t mode)
{
    int error = check_change(node, caller);

    if (error != 0) {
        return error;
    }
    if (node_is_link(node)) {
        return -EOPNOTSUPP;
    }
    mode &= FS_MODE_BITS;
    if (caller->uid != 0 && !access_has_group(caller, node->gid)) {
        mode &= ~(uint32_t)S_ISGID;
    }
    node->mode = (node->mode & S_IFMT) | mode;
    node_touch_meta(node);
    return 0;
}

int64_t op_chmod(struct cb_request *request)
{
    struct caller caller = fs_caller(request->msg);
    struct open_file *file = fs_open_file(request);

    return file == NULL ? -EBADF
                        : change_mode(file->node, &caller, (uint32_t)request->msg->args[0]);
}

int64_t op_chmodat(struct cb_request *request)
{
    struct caller caller = fs_caller(request->msg);
    struct node *node;

    int error = fs_target(request, &caller, follow_mode(request->msg->args[1]), &node);
    if (error != 0) {
        return error;
    }
    error = change_mode(node, &caller, (uint32_t)request->msg->args[0]);
    node_put(node);
    return error;
}

static int change_owner(struct node *node, const struct caller *caller, uint32_t uid, uint32_t gid)
{
    if (node->ops != &tree_node_ops) {
        return -EPERM;
    }
    uint32_t doomed = access_doomed_bits(node, caller);
    if (doomed != 0 && !access_is_owner(node, caller)) {
        return -EPERM;
    }
    if (caller->uid != 0) {
        bool may_uid = uid == ID_KEEP || (caller->uid == node->uid && uid == node->uid);
        bool may_gid = gid == ID_KEEP || (caller->uid == node->uid &&
                                          (gid == node->gid || access_has_group(caller, gid)));
        if (!may_uid || !may_gid) {
            return -EPERM;
        }
    }
    node->uid = uid == ID_KEEP ? node->uid : uid;
    node->gid = gid == ID_KEEP ? node->gid : gid;
    node->mode &= ~doomed;
    node_touch_meta(node);
    return 0;
}

int64_t op_chown(struct cb_request *request)
{
    struct caller caller = fs_caller(request->msg);
    struct open_file *file = fs_open_file(request);

    return file == NULL ? -EBADF
                        : change_owner(file->node, &caller, (uint32_t)request->msg->args[0],
                                       (uint32_t)request->msg->args[1]);
}

int64_t op_chownat(struct cb_request *request)
{
    struct caller caller = fs_caller(request->msg);
    struct node *node;

    int error = fs_target(request, &caller, follow_mode(request->msg->args[2]), &node);
    if (error != 0) {
        return error;
    }
    error = change_owner(node, &caller, (uint32_t)request->msg->args[0],
                         (uint32_t)request->msg->args[1]);
    node_put(node);
    return error;
}

static bool is_valid_nsec(uint64_t nsec)
{
    return nsec == UTIME_NOW || nsec == UTIME_OMIT || nsec < 1000000000u;
}

static void set_time(struct timespec *time, uint64_t sec, uint64_t nsec)
{
    if (nsec == UTIME_NOW) {
        *time = node_now();
    } else if (nsec != UTIME_OMIT) {
        time->tv_sec = (time_t)sec;
        time->tv_nsec = (long)nsec;
    }
}

static int change_times(struct node *node, const struct caller *caller, const uint64_t *args)
{
    bool is_now = args[1] == UTIME_NOW && args[3] == UTIME_NOW;

    if (args[1] == UTIME_OMIT && args[3] == UTIME_OMIT) {
        return 0;
    }
    if (!access_is_owner(node, caller)) {
        /* "Now" is what a write would do, so whoever may write may say it. */
        int error = is_now ? access_check(node, caller, ACCESS_WRITE) : -EPERM;
        if (error != 0) {
            return error;
        }
    }
    if (node->ops != &tree_node_ops) {
        return 0;
    }
    set_time(&node->atime, args[0], args[1]);
    set_time(&node->mtime, args[2], args[3]);
    node_touch_meta(node);
    return 0;
}

int64_t op_utimens(struct cb_request *request)
{
    const uint64_t *args = request->msg->args;
    struct caller caller = fs_caller(request->msg);
    struct node *node;

    if (!is_valid_nsec(args[1]) || !is_valid_nsec(args[3])) {
        return -EINVAL;
    }
    int error = fs_target(request, &caller, follow_mode(args[4]), &node);
    if (error != 0) {
        return error;
    }
    error = change_times(node, &caller, args);
    node_put(node);
    return error;
}

int64_t op_access(struct cb_request *request)
{
    const uint64_t *args = request->msg->args;
    struct caller caller = fs_caller(request->msg);
    struct open_file *file = fs_open_file(request);
    struct walk walk = {.takes_descriptor = true};

    if ((args[0] & ~(uint64_t)(ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC)) != 0) {
        return -EINVAL;
    }
    if (request->msg->path_len == 0) {
        return file == NULL ? -EBADF : access_check(file->node, &caller, (unsigned)args[0]);
    }
    int error = fs_walk(request, &caller, follow_mode(args[1]), &walk);
    if (error != 0) {
        return error;
    }
    if (walk.is_descriptor) {
        /* What the caller has open he may read and write, as far as permissions go. */
        error = (args[0] & ACCESS_EXEC) != 0 ? -EACCES : 0;
    } else {
        error = walk.node == NULL ? -ENOENT : access_check(walk.node, &caller, (unsigned)args[0]);
    }
    walk_release(&walk);
    return error;
}
