/* The symbolic links of /proc that lead by path. */
#include <errno.h>
#include <stdio.h>
#include "proc.h"

static long clip(int len, size_t size)
{
    return (size_t)len < size ? len : (long)size;
}

long proc_self_link(const struct proc_key *key, const struct caller *caller, char *buf, size_t size)
{
    (void)key;
    return clip(snprintf(buf, size, "%d", caller->pid), size);
}

long proc_thread_self_link(const struct proc_key *key, const struct caller *caller, char *buf,
                           size_t size)
{
    (void)key;
    return clip(snprintf(buf, size, "%d/task/%d", caller->pid, caller->tid), size);
}

long proc_mounts_link(const struct proc_key *key, const struct caller *caller, char *buf,
                      size_t size)
{
    (void)key;
    (void)caller;
    return clip(snprintf(buf, size, "self/mounts"), size);
}

static long path_link(const struct proc_key *key, const struct caller *caller, char *buf,
                      size_t size, enum cb_kinfo_kind kind)
{
    int error = proc_may_inspect(key, caller);
    if (error != 0) {
        return error;
    }
    long len = cb_kinfo(kind, key->pid, buf, size);
    return len == 0 ? -ENOENT : len;
}

long proc_exe_link(const struct proc_key *key, const struct caller *caller, char *buf, size_t size)
{
    return path_link(key, caller, buf, size, CB_KINFO_EXE);
}

long proc_cwd_link(const struct proc_key *key, const struct caller *caller, char *buf, size_t size)
{
    return path_link(key, caller, buf, size, CB_KINFO_CWD);
}

long proc_root_link(const struct proc_key *key, const struct caller *caller, char *buf, size_t size)
{
    int error = proc_may_inspect(key, caller);

    return error != 0 ? error : clip(snprintf(buf, size, "/"), size);
}
