/* /dev: null, zero, full, random, urandom, and the way to the terminals. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <console_protocol.h>
#include "dev.h"
#include "dir.h"
#include "fs.h"
#include "mount.h"

#define CHUNK_SIZE      65536u
#define ZERO_OBJECT_MAX ((off_t)1 << 46)

enum device_kind {
    DEVICE_NULL,
    DEVICE_ZERO,
    DEVICE_FULL,
    DEVICE_RANDOM,
    DEVICE_TERMINAL,
};

struct device {
    const char *name;
    unsigned major_nr;
    unsigned minor_nr;
    uint32_t mode;
    enum device_kind kind;
};

static const struct device devices[] = {
    {"null", 1, 3, 0666, DEVICE_NULL},
    {"zero", 1, 5, 0666, DEVICE_ZERO},
    {"full", 1, 7, 0666, DEVICE_FULL},
    {"random", 1, 8, 0666, DEVICE_RANDOM},
    {"urandom", 1, 9, 0666, DEVICE_RANDOM},
    {"tty", 5, 0, 0666, DEVICE_TERMINAL},
    {"console", 5, 1, 0600, DEVICE_TERMINAL},
    {"ttyS0", 4, 64, 0600, DEVICE_TERMINAL},
};

struct device_link {
    const char *name;
    const char *target;
};

static const struct device_link links[] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};

static const struct device *find_device(const struct node *node)
{
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        if (S_ISCHR(node->mode) &&
            node->rdev == makedev(devices[i].major_nr, devices[i].minor_nr)) {
            return &devices[i];
        }
    }
    return NULL;
}

int dev_populate(struct node *dir)
{
    const struct caller root = {0};
    struct node *node;

    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        const struct device *device = &devices[i];
        int error = fs_create_child(dir, &root, device->name, strlen(device->name),
                                    S_IFCHR | device->mode, &node);
        if (error != 0) {
            return error;
        }
        node->rdev = makedev(device->major_nr, device->minor_nr);
        node_put(node);
    }
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        int error = fs_create_child(dir, &root, links[i].name, strlen(links[i].name),
                                    S_IFLNK | 0777, &node);
        if (error != 0) {
            return error;
        }
        node->target = strdup(links[i].target);
        node->size = node->target != NULL ? strlen(node->target) : 0;
        node_put(node);
    }
    return 0;
}

int dev_open(struct node *node, struct cb_request *request, bool *is_ours)
{
    const struct device *device = find_device(node);

    if (device == NULL || (device->kind == DEVICE_TERMINAL && fs.console < 0)) {
        return -ENXIO;
    }
    *is_ours = device->kind != DEVICE_TERMINAL;
    if (!*is_ours) {
        /* The console tells this number in fstat, so that ttyname(3) finds the node again. */
        static char path[CONSOLE_PATH_MAX];
        int len = snprintf(path, sizeof(path), CONSOLE_PATH_FORMAT, device->name,
                           (unsigned long long)makedev(MOUNT_MAJOR, node->mount->minor),
                           (unsigned long long)node->ino);
        request->reply.flags = CB_REPLY_REDIRECT;
        request->reply.fd = fs.console;
        request->reply.data = (uintptr_t)path;
        request->reply.data_len = (uint32_t)len;
    }
    return 0;
}

static int64_t give_zeroes(struct cb_request *request, uint64_t len)
{
    static const uint8_t zeroes[CHUNK_SIZE];
    uint64_t done = 0;

    while (done < len) {
        uint64_t part = len - done < CHUNK_SIZE ? len - done : CHUNK_SIZE;
        long copied = cb_msg_write(request->port, request->msg->id, done, zeroes, part);
        if (copied <= 0) {
            return done > 0 ? (int64_t)done : copied;
        }
        done += (uint64_t)copied;
    }
    return (int64_t)done;
}

static int64_t give_random(struct cb_request *request, uint64_t len)
{
    static uint8_t bytes[4096];
    uint64_t done = 0;

    while (done < len) {
        uint64_t part = len - done < sizeof(bytes) ? len - done : sizeof(bytes);
        ssize_t made = getrandom(bytes, part, 0);
        if (made <= 0) {
            return -EIO;
        }
        long copied =
            cb_msg_write(request->port, request->msg->id, done, bytes, (size_t)made);
        if (copied <= 0) {
            return done > 0 ? (int64_t)done : copied;
        }
        done += (uint64_t)copied;
    }
    return (int64_t)done;
}

/* One message is answered in bounded time, however much it asks for. */
static uint64_t bounded(uint64_t len, uint64_t region)
{
    enum { MOST = 1 << 27 };

    len = len < region ? len : region;
    return len < MOST ? len : MOST;
}

int64_t dev_read(struct cb_request *request, struct open_file *file)
{
    const struct device *device = find_device(file->node);
    uint64_t len = bounded(request->msg->args[1], request->msg->recv_len);

    if (device == NULL) {
        return -ENXIO;
    }
    switch (device->kind) {
    case DEVICE_NULL:
        return 0;
    case DEVICE_ZERO:
    case DEVICE_FULL:
        return give_zeroes(request, len);
    case DEVICE_RANDOM:
        return give_random(request, len);
    case DEVICE_TERMINAL:
        break;
    }
    return -ENXIO;
}

int64_t dev_write(struct cb_request *request, struct open_file *file)
{
    const struct device *device = find_device(file->node);

    if (device == NULL) {
        return -ENXIO;
    }
    if (device->kind == DEVICE_FULL) {
        return request->msg->args[1] == 0 ? 0 : -ENOSPC;
    }
    return (int64_t)request->msg->args[1];
}

int64_t dev_object(struct cb_request *request, struct open_file *file)
{
    const struct device *device = find_device(file->node);

    if (device == NULL || device->kind != DEVICE_ZERO) {
        return -ENODEV;
    }
    /* Every mapping of /dev/zero is memory of its own. */
    int fd = memfd_create("dev/zero", MFD_CLOEXEC);
    if (fd < 0) {
        return -ENOMEM;
    }
    if (ftruncate(fd, ZERO_OBJECT_MAX) != 0) {
        close(fd);
        return -ENOMEM;
    }
    request->reply.flags = CB_REPLY_FD;
    request->reply.fd = fd;
    request->is_deferred = true;
    cb_msg_reply(request->port, &request->reply);
    close(fd);
    return 0;
}
