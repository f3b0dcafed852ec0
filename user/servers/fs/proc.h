/*
 * /proc: a tree that is described by tables and made of nodes that live while somebody looks. The
 * text of a file comes from one function; what it tells comes from the kernel's snapshots
 * (CB_SYS_KINFO). Formats are Linux's, byte for byte.
 */
#ifndef FS_PROC_H
#define FS_PROC_H

#include <cb_syscall.h>
#include <text.h>
#include "node.h"

enum proc_kind {
    PROC_FILE,
    PROC_LINK,
    PROC_DIR,      /* its children are in its table */
    PROC_DIR_ROOT, /* and one directory a process */
    PROC_DIR_TASK, /* one directory a thread */
    PROC_DIR_FDS,  /* one child a descriptor: the first of its table */
};

/* One name, or one pattern of names. [all immutable] */
struct proc_entry {
    const char *name; /* NULL ends a table */
    enum proc_kind kind;
    uint32_t mode; /* permission bits */
    const struct proc_entry *children;
    int (*generate)(const struct proc_key *key, const struct caller *caller, struct text *text);
    long (*read_link)(const struct proc_key *key, const struct caller *caller, char *buf,
                      size_t size);
    struct node *(*jump)(const struct proc_key *key, const struct caller *caller);
    bool (*descriptor)(const struct proc_key *key, const struct caller *caller,
                       struct descriptor *found);
    long (*accept)(const struct proc_key *key, const char *bytes, size_t len);
    bool is_magic; /* the link leads to what it names whatever has that name */
    /* The link's permission bits, where they say how a descriptor is open. */
    uint32_t (*link_mode)(const struct proc_key *key);
    const struct sysctl *sysctl;
    enum cb_kernel_file kernel_file; /* the kernel is behind the file; 0: it is not */
};

/** proc_create_root() - the root of a /proc. Return: a held node, or NULL without memory. */
struct node *proc_create_root(struct mount *mount);

/* The tables. */
extern const struct proc_entry proc_root_entries[];
extern const struct proc_entry proc_process_entries[];
extern const struct proc_entry proc_task_entries[];
extern const struct proc_entry proc_sys_entries[];

/** proc_info() - the snapshot of the key's process or thread. Return: 0 or -ESRCH. */
int proc_info(const struct proc_key *key, struct cb_proc_info *info);

/** proc_task_id() - the thread that the key is about: below a process's name its first one. */
int32_t proc_task_id(const struct proc_key *key);

/** proc_show_reader() - a thread that reads about itself is running, not waiting for us. */
void proc_show_reader(const struct proc_key *key, struct cb_proc_info *info,
                      const struct caller *caller);

/** proc_may_inspect() - may the caller look into the process? 0, -EACCES, -ESRCH. */
int proc_may_inspect(const struct proc_key *key, const struct caller *caller);

/**
 * proc_snapshot() - a snapshot of unknown length, in memory that the caller frees.
 * @record_size: of one element, 1 for text
 * Return: the number of bytes, or -errno.
 */
long proc_snapshot(enum cb_kinfo_kind kind, int pid, size_t record_size, void **snapshot);

/** proc_ticks() - nanoseconds as the clock ticks (1/100 s) that /proc counts in. */
uint64_t proc_ticks(uint64_t ns);

#define PROC_FILE_FUNCTION(name)                                                                   \
    int name(const struct proc_key *key, const struct caller *caller, struct text *text)

/* proc_root.c */
PROC_FILE_FUNCTION(proc_cmdline);
PROC_FILE_FUNCTION(proc_devices);
PROC_FILE_FUNCTION(proc_filesystems);
PROC_FILE_FUNCTION(proc_loadavg);
PROC_FILE_FUNCTION(proc_lock_stat);
PROC_FILE_FUNCTION(proc_stat);
PROC_FILE_FUNCTION(proc_swaps);
PROC_FILE_FUNCTION(proc_uptime);
PROC_FILE_FUNCTION(proc_version);
PROC_FILE_FUNCTION(proc_mounts);
PROC_FILE_FUNCTION(proc_mountinfo);
/* proc_memory.c */
PROC_FILE_FUNCTION(proc_meminfo);
PROC_FILE_FUNCTION(proc_vmstat);
/* proc_cpuinfo.c */
PROC_FILE_FUNCTION(proc_cpuinfo);
/* proc_process.c */
PROC_FILE_FUNCTION(proc_pid_auxv);
PROC_FILE_FUNCTION(proc_pid_cmdline);
PROC_FILE_FUNCTION(proc_pid_comm);
PROC_FILE_FUNCTION(proc_pid_environ);
PROC_FILE_FUNCTION(proc_pid_limits);
PROC_FILE_FUNCTION(proc_pid_oom_score);
PROC_FILE_FUNCTION(proc_pid_oom_score_adj);
PROC_FILE_FUNCTION(proc_pid_stat);
PROC_FILE_FUNCTION(proc_pid_statm);
PROC_FILE_FUNCTION(proc_pid_syscall);
PROC_FILE_FUNCTION(proc_pid_wchan);
/* proc_status.c */
PROC_FILE_FUNCTION(proc_pid_status);
uint64_t proc_text_size(const struct cb_proc_info *info);
/* proc_maps.c */
PROC_FILE_FUNCTION(proc_pid_maps);
int proc_append_mapping(struct text *text, const struct cb_vma_info *vma);
/* proc_smaps.c */
PROC_FILE_FUNCTION(proc_pid_smaps);
PROC_FILE_FUNCTION(proc_pid_smaps_rollup);
/* proc_fd.c */
PROC_FILE_FUNCTION(proc_fdinfo);
long proc_fd_read_link(const struct proc_key *key, const struct caller *caller, char *buf,
                       size_t size);
struct node *proc_fd_jump(const struct proc_key *key, const struct caller *caller);
bool proc_fd_descriptor(const struct proc_key *key, const struct caller *caller,
                        struct descriptor *found);
uint32_t proc_fd_link_mode(const struct proc_key *key);
/* proc_links.c */
long proc_self_link(const struct proc_key *key, const struct caller *caller, char *buf,
                    size_t size);
long proc_thread_self_link(const struct proc_key *key, const struct caller *caller, char *buf,
                           size_t size);
long proc_mounts_link(const struct proc_key *key, const struct caller *caller, char *buf,
                      size_t size);
long proc_exe_link(const struct proc_key *key, const struct caller *caller, char *buf, size_t size);
long proc_cwd_link(const struct proc_key *key, const struct caller *caller, char *buf, size_t size);
long proc_root_link(const struct proc_key *key, const struct caller *caller, char *buf,
                    size_t size);
/* proc_sys.c */
PROC_FILE_FUNCTION(proc_sysctl_read);
long proc_sysctl_write(const struct proc_key *key, const char *bytes, size_t len);

#endif
