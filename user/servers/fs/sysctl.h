/* One value of /proc/sys or of debugfs. */
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

/** sysctl_read() - append the value and a newline. Return: 0, or the kernel's error. */
int sysctl_read(const struct sysctl *sysctl, struct text *text);

/**
 * sysctl_write() - take the first line of what a program writes.
 * Return: @len as far as it was taken; -EACCES: read-only; or what the value's keeper says.
 */
long sysctl_write(const struct sysctl *sysctl, const char *bytes, size_t len);

#endif
