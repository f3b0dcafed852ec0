/* /proc/PID/fd and fdinfo. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs.h"
#include "mount.h"
#include "proc.h"

/* Of every userfaultfd: its version, and a bit for each command. */
#define UFFD_API_NUMBER 0xaau
#define UFFD_ALL_IOCTLS 0x80000000000001ffull

static int find_fd(const struct proc_key *key, struct cb_fd_info *info)
{
    void *records;
    long len = proc_snapshot(CB_KINFO_FDS, key->pid, sizeof(*info), &records);
    int error = -ENOENT;

    if (len < 0) {
        return (int)len;
    }
    for (long i = 0; i < len / (long)sizeof(*info) && error != 0; i++) {
        if (((const struct cb_fd_info *)records)[i].fd == key->fd) {
            *info = ((const struct cb_fd_info *)records)[i];
            error = 0;
        }
    }
    free(records);
    return error;
}

/* The node behind a descriptor, if it is one of this server's. Not held. */
static struct node *own_node(const struct cb_fd_info *info)
{
    if (info->kind != CB_FD_CONNECTION || info->port != fs.port_number) {
        return NULL;
    }
    struct open_file *file = open_file_find(info->cookie);
    return file != NULL ? file->node : NULL;
}

long proc_fd_read_link(const struct proc_key *key, const struct caller *caller, char *buf,
                       size_t size)
{
    struct cb_fd_info info;
    int error = proc_may_inspect(key, caller);

    if (error == 0) {
        error = find_fd(key, &info);
    }
    if (error != 0) {
        return error;
    }
    const struct node *node = own_node(&info);
    bool is_deleted = node != NULL && node->ops == &tree_node_ops && node->nlink == 0;
    int len = snprintf(buf, size, "%.*s%s", (int)sizeof(info.name), info.name,
                       is_deleted ? " (deleted)" : "");
    return (size_t)len < size ? len : (long)size;
}

struct node *proc_fd_jump(const struct proc_key *key, const struct caller *caller)
{
    struct cb_fd_info info;

    if (proc_may_inspect(key, caller) != 0 || find_fd(key, &info) != 0) {
        return NULL;
    }
    struct node *node = own_node(&info);
    return node != NULL ? node_get(node) : NULL;
}

bool proc_fd_descriptor(const struct proc_key *key, const struct caller *caller,
                        struct descriptor *found)
{
    struct cb_fd_info info;

    if (proc_may_inspect(key, caller) != 0 || find_fd(key, &info) != 0 ||
        info.kind == CB_FD_CONNECTION) {
        return false;
    }
    *found = (struct descriptor){.pid = key->pid, .fd = key->fd};
    return true;
}

uint32_t proc_fd_link_mode(const struct proc_key *key)
{
    static const uint32_t by_access[] = {0500, 0300, 0700, 0000};
    struct cb_fd_info info;

    if (find_fd(key, &info) != 0) {
        return 0;
    }
    return (info.flags & O_PATH) != 0 ? 0 : by_access[info.flags & O_ACCMODE];
}

int proc_fdinfo(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct cb_fd_info info;
    int error = proc_may_inspect(key, caller);

    if (error == 0) {
        error = find_fd(key, &info);
    }
    if (error != 0) {
        return error;
    }
    const struct node *node = own_node(&info);
    text_printf(text, "pos:\t%llu\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n",
                (unsigned long long)info.pos, info.flags, node != NULL ? node->mount->minor : 0,
                (unsigned long long)(node != NULL ? node->ino : 0));
    if (info.kind == CB_FD_USERFAULTFD) {
        text_printf(text, "pending:\t%llu\ntotal:\t%llu\nAPI:\t%x:%x:%llx\n",
                    (unsigned long long)info.cookie, (unsigned long long)info.port, UFFD_API_NUMBER,
                    info.conn_flags, UFFD_ALL_IOCTLS);
    }
    return 0;
}
