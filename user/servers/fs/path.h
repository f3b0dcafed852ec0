/*
 * From a path to a node: one component after the other, over mounts and symbolic links.
 *
 * A walk gives the directory of the last component, that component's name, and the node it names
 * (none if there is no such name). Callers that create, remove or rename work on the directory and
 * the name; the others on the node.
 */
#ifndef FS_PATH_H
#define FS_PATH_H

#include "node.h"

enum walk_mode {
    WALK_FOLLOW,   /* a symbolic link at the end is followed */
    WALK_NOFOLLOW, /* it is not, unless a slash stands behind it */
    WALK_PARENT,   /* it never is: the caller changes the name itself */
};

enum walk_last {
    WALK_LAST_NAME,
    WALK_LAST_DOT,
    WALK_LAST_DOTDOT,
    WALK_LAST_ROOT, /* the path was only slashes */
};

struct walk {
    /* in */
    const struct caller *caller;
    struct node *start;    /* where a relative path begins; not held by the walk */
    struct node *root;     /* where absolute links begin and ".." ends */
    bool is_for_create;    /* open(O_CREAT): a slash behind the last name is -EISDIR */
    uint32_t resolve;      /* enum cb_resolve: how the way is restricted */
    bool takes_descriptor; /* the last name may be a link to a descriptor: see is_descriptor */
    /* out, after success: release with walk_release() */
    struct node *dir;  /* held; for other than WALK_LAST_NAME the node itself */
    struct node *node; /* held, or NULL: nothing has that name */
    enum walk_last last;
    bool has_trailing_slash;
    bool is_descriptor; /* the path leads to `descriptor`; `node` is the link */
    struct descriptor descriptor;
    size_t name_len;
    char name[FS_NAME_MAX + 1];
};

/**
 * walk_path() - resolve a path.
 * @path: NUL-terminated, not empty
 * Return: 0 (node may be NULL), or -ENOENT (a directory on the way is missing, empty path),
 *         -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG, -ENOMEM, -EXDEV (walk->resolve forbids the
 * way). On error nothing is held.
 */
int walk_path(struct walk *walk, const char *path, enum walk_mode mode);

/** walk_release() - let go of the nodes that a successful walk gave. */
void walk_release(struct walk *walk);

/* A path that is put together from its end. */
struct path_text {
    size_t start; /* the path is bytes[start .. sizeof(bytes)) */
    char bytes[4096 + FS_NAME_MAX + 1];
};

/** path_text_init() - the empty path. */
void path_text_init(struct path_text *path);

/** path_text_prepend() - put "/" and a name in front. Return: 0 or -ENAMETOOLONG. */
int path_text_prepend(struct path_text *path, const char *name, size_t len);

/**
 * path_prepend_dir() - put the absolute path of @dir, as seen below @root, in front.
 * Return: 0, -ENOENT (a directory on the way has no name any more, or @root is not above it),
 *         -ENAMETOOLONG. An empty path becomes "/" where @dir is @root.
 */
int path_prepend_dir(struct path_text *path, const struct node *dir, const struct node *root);

static inline size_t path_text_len(const struct path_text *path)
{
    return sizeof(path->bytes) - path->start;
}

#endif
