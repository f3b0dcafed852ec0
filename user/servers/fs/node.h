/*
 * Nodes: what a name leads to. A node of the tree (directory, regular file, symbolic link, device,
 * FIFO) lives as long as somebody holds it; a node of /proc is made anew at every look-up.
 *
 * The server has one thread, so nothing here is locked.
 *
 * Rules:
 *   N1. refs counts every holder: each directory entry, each open file, each child directory (it
 *       holds its parent for ".."), each mount, each walk in progress. At zero the node is freed.
 *   N2. nlink is what stat shows: entries of a file, 2 + subdirectories of a directory, 0 once
 *       the last name is gone.
 *   N3. A directory has exactly one entry naming it (self), or none: the root of a mount, or
 *       removed.
 */
#ifndef FS_NODE_H
#define FS_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#define FS_NAME_MAX  255
#define FS_PAGE_SIZE 4096
#define FS_SIZE_MAX  INT64_MAX
#define FS_LINKS_MAX 40 /* symbolic links followed in one look-up */
#define FS_NLINK_MAX UINT32_MAX
#define FS_MODE_BITS 07777

struct entry;
struct mount;
struct node;
struct text;
struct fifo;
struct dax_extent;

/* Who asks. [valid while one message is handled] */
struct caller {
    int32_t pid;
    int32_t tid;
    uint32_t uid;
    uint32_t gid;
    uint32_t umask;
};

/* A descriptor of some process. */
struct descriptor {
    int32_t pid;
    int32_t fd;
};

/* Called with each name of a directory. Return false to stop: that name was not taken. */
struct name_sink {
    bool (*take)(struct name_sink *sink, const char *name, size_t len, uint64_t ino, uint32_t mode,
                 uint64_t next_position);
};

/*
 * What differs between the tree and /proc. Absent functions: the node has no names, or no text.
 */
struct node_ops {
    /* Finds a name that is neither "." nor "..". Gives a held node, or -ENOENT, -ENOMEM. */
    int (*lookup)(struct node *dir, const struct caller *caller, const char *name, size_t len,
                  struct node **found);
    /* Tells names from a position on, "." and ".." excluded; sets *position behind the last. */
    void (*list)(struct node *dir, uint64_t *position, struct name_sink *sink);
    /* The parent directory, held. */
    struct node *(*parent)(struct node *dir);
    /* The link's text in a buffer of size bytes -> length or -errno. */
    long (*read_link)(struct node *link, const struct caller *caller, char *buf, size_t size);
    /* A link that leads to a file rather than to a path: gives the held file, or NULL. */
    struct node *(*jump)(struct node *link, const struct caller *caller);
    /* Does a link lead to a file by itself, whatever its text says? */
    bool (*is_magic)(const struct node *link);
    /* A link that leads to a descriptor that is no file of any server: says which. */
    bool (*descriptor)(struct node *link, const struct caller *caller, struct descriptor *found);
    /* A file that the kernel is behind: opens it and gives our descriptor, -ENOSYS if it is not. */
    int (*open_in_kernel)(struct node *file, const struct caller *caller, uint32_t flags);
    /* The content of a generated file. */
    int (*generate)(struct node *file, const struct caller *caller, struct text *text);
    /* What a write to a generated file does -> bytes taken or -errno. */
    long (*accept)(struct node *file, const struct caller *caller, const char *bytes, size_t len);
    /* The path below the mount's root, without a slash in front -> its length. Absent where
       directories know the entry that names them. */
    size_t (*name)(const struct node *node, char *buf, size_t size);
    /* Frees what the node owns. */
    void (*release)(struct node *node);
};

struct sys_setting;
struct sysctl;

struct directory {
    struct entry **slots; /* ascending sequence; NULL where an entry was removed */
    size_t nr_slots;
    size_t capacity;
    size_t nr_entries;
    uint64_t next_sequence;
    struct node *parent;   /* held; NULL for the root of a mount */
    struct entry *self;    /* the entry naming this directory, or NULL */
    struct mount *mounted; /* covers this directory, or NULL */
};

/* The frames of a file on a direct device (dax.h). */
struct dax_content {
    struct dax_extent *extents; /* in the order of their pages; owned */
    uint32_t nr_extents;
    uint32_t capacity;
    bool is_filled; /* has been mapped to be written: there are no holes any more */
};

/* A regular file's bytes: nothing yet, a part of the initial image, a memfd, or a direct file. */
struct file_data {
    int fd; /* memfd, paged or direct file of exactly node.size bytes, or -1 */
    struct dax_content dax;
    bool is_image;        /* the bytes are in the initial image; a descriptor is a paged one's */
    uint64_t image_start; /* from here on */
};

/* Which file of /proc. */
struct proc_key {
    const struct proc_entry *entry;
    int32_t pid;     /* 0: not about a process */
    int32_t tid;     /* 0: not about a thread */
    int32_t fd;      /* of fd/N */
    struct node *up; /* held: the directory above; NULL for the root */
};

struct node {
    const struct node_ops *ops;
    struct mount *mount;
    uint32_t refs;  /* N1 */
    uint32_t nlink; /* N2 */
    uint64_t ino;
    uint32_t mode; /* type and permission bits */
    uint32_t uid;
    uint32_t gid;
    uint64_t rdev;
    uint64_t size;
    uint64_t saved_in; /* the generation in which a direct device's table has got the node */
    struct timespec atime;
    struct timespec mtime;
    struct timespec ctime;
    union {
        struct directory dir;
        struct file_data data;
        char *target;
        struct fifo *fifo;
        struct proc_key proc;
        struct sys_setting *setting;
        const struct sysctl *sysctl; /* of a file of debugfs */
    };
};

/** node_create() - a tree node with one holder and no name. Return: NULL without memory. */
struct node *node_create(struct mount *mount, uint32_t mode, uint32_t uid, uint32_t gid);

/** node_create_with() - as node_create(), for nodes with other operations. */
struct node *node_create_with(const struct node_ops *ops, struct mount *mount, uint32_t mode);

/** node_get() - one more holder. Return: @node. */
struct node *node_get(struct node *node);

/** node_put() - one holder less; NULL is allowed. */
void node_put(struct node *node);

/** node_now() - the time for time stamps. */
struct timespec node_now(void);

/** node_touch_changed() - content changed: mtime and ctime become now. */
void node_touch_changed(struct node *node);

/** node_touch_meta() - attributes changed: ctime becomes now. */
void node_touch_meta(struct node *node);

/** node_touch_accessed() - content was read: atime moves as with "relatime". */
void node_touch_accessed(struct node *node);

/** node_count() - nodes alive, for statistics and leak tests. */
uint64_t node_count(void);

static inline bool node_is_dir(const struct node *node)
{
    return S_ISDIR(node->mode);
}

static inline bool node_is_link(const struct node *node)
{
    return S_ISLNK(node->mode);
}

extern const struct node_ops tree_node_ops;

#endif
