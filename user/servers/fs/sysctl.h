/* One value of /proc/sys. */
#ifndef FS_SYSCTL_H
#define FS_SYSCTL_H

#include <uapi/cowbell.h>

#include <text.h>

struct sysctl {
    const char *value;               /* a value that never changes, or NULL: ask read */
    void (*read)(struct text *text); /* without the newline */
    long (*write)(const char *text); /* a NUL-terminated line -> 0 or -errno; absent: read-only */
    enum cb_kernel_file file;        /* where the kernel keeps the value, or 0 */
    int number;                      /* which one of that kind of file */
};

#endif
