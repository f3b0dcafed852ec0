/*
 * The walk. The part of the path not yet walked is one string; a symbolic link is followed by
 * putting its text in front of that string.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uapi/cowbell.h>
#include "access.h"
#include "dir.h"
#include "mount.h"
#include "path.h"

#define LINK_TEXT_MAX 4096

struct state {
    struct walk *walk;
    enum walk_mode mode;
    struct node *at; /* held: the directory reached */
    char *buffer;    /* owned memory behind `rest`, or NULL while that is the caller's path */
    const char *rest;
    int nr_links;
};

static int walk_component(struct state *state, bool *is_done);

static bool forbids(const struct state *state, uint32_t what)
{
    return (state->walk->resolve & what) != 0;
}

#define SCOPED (CB_RESOLVE_BENEATH | CB_RESOLVE_IN_ROOT)

/* Where a path begins. What must stay below its start has that for a root. */
static int begin(struct state *state)
{
    struct walk *walk = state->walk;
    bool is_absolute = state->rest[0] == '/';

    if (forbids(state, SCOPED)) {
        walk->root = walk->start;
    }
    if (is_absolute && forbids(state, CB_RESOLVE_BENEATH)) {
        return -EXDEV;
    }
    state->at = node_get(is_absolute ? walk->root : walk->start);
    return 0;
}

int walk_path(struct walk *walk, const char *path, enum walk_mode mode)
{
    struct state state = {.walk = walk, .mode = mode, .rest = path};
    bool is_done = false;
    int error;

    if (path[0] == '\0') {
        return -ENOENT;
    }
    walk->dir = NULL;
    walk->node = NULL;
    walk->is_descriptor = false;
    error = begin(&state);
    while (error == 0 && !is_done) {
        error = walk_component(&state, &is_done);
    }
    node_put(state.at);
    free(state.buffer);
    if (error != 0) {
        walk_release(walk);
    }
    return error;
}

void walk_release(struct walk *walk)
{
    node_put(walk->dir);
    node_put(walk->node);
    walk->dir = NULL;
    walk->node = NULL;
}

/* The node on top of whatever is mounted at @node; takes the caller's hold over. */
static struct node *cross_mounts(struct node *node)
{
    while (node_is_dir(node) && mount_at(node) != NULL) {
        struct node *root = node_get(mount_at(node)->root);
        node_put(node);
        node = root;
    }
    return node;
}

/* May the walk go from one mount to another? */
static int check_mounts(const struct state *state, const struct node *from, const struct node *to)
{
    return from->mount != to->mount && forbids(state, CB_RESOLVE_NO_XDEV) ? -EXDEV : 0;
}

/* Gives the parent, held. */
static int parent_of(const struct state *state, struct node **parent)
{
    const struct node *root = state->walk->root;
    struct node *at = node_get(state->at);

    while (at != root && at == at->mount->root && at->mount->covered != NULL) {
        struct node *covered = node_get(at->mount->covered);
        node_put(at);
        at = covered;
    }
    if (at != root) {
        struct node *above = at->ops->parent(at);
        node_put(at);
        at = cross_mounts(above);
    } else if (forbids(state, CB_RESOLVE_BENEATH)) {
        node_put(at);
        return -EXDEV;
    }
    int error = check_mounts(state, state->at, at);
    if (error != 0) {
        node_put(at);
        return error;
    }
    *parent = at;
    return 0;
}

static int follow(struct state *state, struct node *link)
{
    struct walk *walk = state->walk;

    if (++state->nr_links > FS_LINKS_MAX) {
        return -ELOOP;
    }
    size_t rest_len = strlen(state->rest);
    char *buffer = malloc(LINK_TEXT_MAX + rest_len + 2);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    long len = link->ops->read_link(link, walk->caller, buffer, LINK_TEXT_MAX);
    if (len <= 0) {
        free(buffer);
        return len < 0 ? (int)len : -ENOENT;
    }
    /* The rest keeps its slashes: they say that the link must lead to a directory. */
    memcpy(buffer + len, state->rest, rest_len + 1);
    free(state->buffer);
    state->buffer = buffer;
    state->rest = buffer;
    if (buffer[0] == '/') {
        if (forbids(state, CB_RESOLVE_BENEATH)) {
            return -EXDEV;
        }
        int error = check_mounts(state, state->at, walk->root);
        if (error != 0) {
            return error;
        }
        node_put(state->at);
        state->at = node_get(walk->root);
    }
    return 0;
}

static void finish(struct state *state, struct node *node, enum walk_last last)
{
    struct walk *walk = state->walk;

    walk->last = last;
    walk->dir = node_get(last == WALK_LAST_NAME ? state->at : node);
    walk->node = node;
}

/* A link of /proc that leads to a file without a path's help. */
static int jump(struct state *state, struct node *target, bool is_last, bool *is_done)
{
    if (is_last) {
        state->walk->has_trailing_slash = state->rest[0] == '/';
        if (state->walk->has_trailing_slash && !node_is_dir(target)) {
            node_put(target);
            return -ENOTDIR;
        }
        finish(state, target, WALK_LAST_NAME);
        *is_done = true;
        return 0;
    }
    node_put(state->at);
    state->at = target;
    return 0;
}

/* A magic link may lead out of every scope; where it leads is not asked before that. */
static int check_link(const struct state *state, const struct node *link)
{
    bool is_magic = link->ops->is_magic != NULL && link->ops->is_magic(link);

    if (forbids(state, CB_RESOLVE_NO_SYMLINKS) ||
        (is_magic && forbids(state, CB_RESOLVE_NO_MAGICLINKS))) {
        return -ELOOP;
    }
    return is_magic && forbids(state, SCOPED) ? -EXDEV : 0;
}

/* Go where a symbolic link leads. Takes the hold of @link over. */
static int go_through(struct state *state, struct node *link, bool is_last, bool *is_done)
{
    struct walk *walk = state->walk;
    int error = check_link(state, link);

    if (error != 0) {
        node_put(link);
        return error;
    }
    if (is_last && walk->takes_descriptor && link->ops->descriptor != NULL &&
        link->ops->descriptor(link, walk->caller, &walk->descriptor)) {
        if (walk->has_trailing_slash) {
            node_put(link);
            return -ENOTDIR;
        }
        if (forbids(state, CB_RESOLVE_NO_XDEV)) {
            node_put(link);
            return -EXDEV;
        }
        walk->is_descriptor = true;
        finish(state, link, WALK_LAST_NAME);
        *is_done = true;
        return 0;
    }
    struct node *target = link->ops->jump != NULL ? link->ops->jump(link, walk->caller) : NULL;
    if (target == NULL) {
        error = follow(state, link);
    } else {
        error = ++state->nr_links > FS_LINKS_MAX ? -ELOOP : check_mounts(state, link, target);
        if (error == 0) {
            error = jump(state, target, is_last, is_done);
        } else {
            node_put(target);
        }
    }
    node_put(link);
    return error;
}

/* Look the name up and decide what becomes of it. @name is not NUL-terminated. */
static int step(struct state *state, const char *name, size_t len, bool is_last, bool *is_done)
{
    struct walk *walk = state->walk;
    struct node *found = NULL;

    if (is_last && walk->is_for_create && walk->has_trailing_slash) {
        return -EISDIR;
    }
    int error = state->at->ops->lookup(state->at, walk->caller, name, len, &found);

    if (error == -ENOENT && is_last) {
        finish(state, NULL, WALK_LAST_NAME);
        *is_done = true;
        return 0;
    }
    if (error != 0) {
        return error;
    }
    found = cross_mounts(found);
    error = check_mounts(state, state->at, found);
    if (error != 0) {
        node_put(found);
        return error;
    }
    bool is_followed = !is_last || state->mode == WALK_FOLLOW ||
                       (state->mode == WALK_NOFOLLOW && walk->has_trailing_slash);
    if (node_is_link(found) && is_followed) {
        return go_through(state, found, is_last, is_done);
    }
    if (is_last) {
        if (walk->has_trailing_slash && state->mode != WALK_PARENT && !node_is_dir(found)) {
            node_put(found);
            return -ENOTDIR;
        }
        finish(state, found, WALK_LAST_NAME);
        *is_done = true;
        return 0;
    }
    node_put(state->at);
    state->at = found;
    return 0;
}

static int step_dots(struct state *state, size_t len, bool is_last, bool *is_done)
{
    struct node *to;

    if (len == 1) {
        to = node_get(state->at);
    } else {
        int error = parent_of(state, &to);
        if (error != 0) {
            return error;
        }
    }
    if (is_last) {
        finish(state, to, len == 1 ? WALK_LAST_DOT : WALK_LAST_DOTDOT);
        *is_done = true;
        return 0;
    }
    node_put(state->at);
    state->at = to;
    return 0;
}

/* Walk one component of state->rest. */
static int walk_component(struct state *state, bool *is_done)
{
    struct walk *walk = state->walk;
    const char *name = state->rest + strspn(state->rest, "/");
    size_t len = strcspn(name, "/");

    if (len == 0) {
        /* Only slashes: the root, or a directory that a link with a slash behind it led to. */
        if (!node_is_dir(state->at)) {
            return -ENOTDIR;
        }
        finish(state, node_get(state->at), WALK_LAST_ROOT);
        *is_done = true;
        return 0;
    }
    if (!node_is_dir(state->at)) {
        return -ENOTDIR;
    }
    int error = access_check(state->at, walk->caller, ACCESS_EXEC);
    if (error != 0) {
        return error;
    }
    if (len > FS_NAME_MAX) {
        return -ENAMETOOLONG;
    }
    state->rest = name + len;
    bool is_last = state->rest[strspn(state->rest, "/")] == '\0';
    if (is_last) {
        walk->has_trailing_slash = state->rest[0] == '/';
        memcpy(walk->name, name, len);
        walk->name[len] = '\0';
        walk->name_len = len;
    }
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))) {
        return step_dots(state, len, is_last, is_done);
    }
    return step(state, name, len, is_last, is_done);
}

void path_text_init(struct path_text *path)
{
    path->start = sizeof(path->bytes);
}

int path_text_prepend(struct path_text *path, const char *name, size_t len)
{
    if (len + 1 > path->start) {
        return -ENAMETOOLONG;
    }
    path->start -= len;
    memcpy(path->bytes + path->start, name, len);
    path->bytes[--path->start] = '/';
    return 0;
}

int path_prepend_dir(struct path_text *path, const struct node *dir, const struct node *root)
{
    int error = 0;

    while (dir != root && error == 0) {
        if (dir == dir->mount->root) {
            if (dir->mount->covered == NULL) {
                return -ENOENT;
            }
            dir = dir->mount->covered;
        } else if (dir->ops->name != NULL) {
            char name[FS_NAME_MAX + 1];
            size_t len = dir->ops->name(dir, name, sizeof(name));
            error = path_text_prepend(path, name, len);
            dir = dir->mount->root;
        } else if (dir->dir.self == NULL) {
            return -ENOENT;
        } else {
            error = path_text_prepend(path, dir->dir.self->name, dir->dir.self->len);
            dir = dir->dir.parent;
        }
    }
    if (error == 0 && path_text_len(path) == 0) {
        path->bytes[--path->start] = '/';
    }
    return error;
}
