/* Values that are read and written as lines. Those of the kernel are asked for each time. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "sysctl.h"

#include <cb_syscall.h>

#define LINE_MAX_LEN 4096u

/* The kernel's file is opened for the server; who may open this one is its own mode's matter. */
static int read_kernel(const struct sysctl *sysctl, struct text *text)
{
    char value[64];
    int fd = cb_kernel_file(sysctl->file, sysctl->number, O_RDONLY);

    if (fd < 0) {
        return fd;
    }
    ssize_t len = read(fd, value, sizeof(value));
    int error = len < 0 ? -errno : 0;
    if (len > 0) {
        text_append(text, value, (size_t)len);
    }
    close(fd);
    return error;
}

static long write_kernel(const struct sysctl *sysctl, const char *line)
{
    int fd = cb_kernel_file(sysctl->file, sysctl->number, O_WRONLY);

    if (fd < 0) {
        return fd;
    }
    long result = write(fd, line, strlen(line)) < 0 ? -errno : 0;
    close(fd);
    return result;
}

/* A number may stand between spaces. */
static const char *number_of(char *line)
{
    char *start = line + strspn(line, " \t");

    start[strcspn(start, " \t")] = '\0';
    return start;
}

int sysctl_read(const struct sysctl *sysctl, struct text *text)
{
    int error = 0;

    if (sysctl->file != 0) {
        error = read_kernel(sysctl, text);
    } else if (sysctl->value != NULL) {
        text_printf(text, "%s", sysctl->value);
    } else {
        sysctl->read(text);
    }
    text_append(text, "\n", 1);
    return error;
}

long sysctl_write(const struct sysctl *sysctl, const char *bytes, size_t len)
{
    char line[LINE_MAX_LEN + 1];

    if (sysctl->write == NULL && sysctl->file == 0) {
        return -EACCES;
    }
    len = len < LINE_MAX_LEN ? len : LINE_MAX_LEN;
    memcpy(line, bytes, len);
    line[len] = '\0';
    line[strcspn(line, "\n")] = '\0';
    long result = sysctl->file != 0 ? write_kernel(sysctl, number_of(line)) : sysctl->write(line);
    return result < 0 ? result : (long)len;
}
