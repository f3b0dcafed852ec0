/* /dev: null, zero, full, random, urandom, and the way to the terminals and to the kernel's files.
 */
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
#include "dax.h"
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
    DEVICE_KERNEL,
};

struct device {
    const char *name;
    unsigned major_nr;
    unsigned minor_nr;
    uint32_t mode;
    enum device_kind kind;
    enum cb_kernel_file kernel_file; /* of DEVICE_KERNEL */
    unsigned number;                 /* of a direct device, which there may be or not */
};

static const struct device devices[] = {
    {"null", 1, 3, 0666, DEVICE_NULL, 0, 0},
    {"zero", 1, 5, 0666, DEVICE_ZERO, 0, 0},
    {"full", 1, 7, 0666, DEVICE_FULL, 0, 0},
    {"random", 1, 8, 0666, DEVICE_RANDOM, 0, 0},
    {"urandom", 1, 9, 0666, DEVICE_RANDOM, 0, 0},
    {"tty", 5, 0, 0666, DEVICE_TERMINAL, 0, 0},
    {"console", 5, 1, 0600, DEVICE_TERMINAL, 0, 0},
    {"ttyS0", 4, 64, 0600, DEVICE_TERMINAL, 0, 0},
    {"userfaultfd", 10, 126, 0600, DEVICE_KERNEL, CB_KERNEL_FILE_USERFAULTFD, 0},
    {"gup_test", 10, 240, 0600, DEVICE_KERNEL, CB_KERNEL_FILE_GUP_TEST, 0},
    {"dax0", 252, 0, 0600, DEVICE_KERNEL, CB_KERNEL_FILE_DAX, 0},
    {"dax1", 252, 1, 0600, DEVICE_KERNEL, CB_KERNEL_FILE_DAX, 1},
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

static bool is_present(const struct device *device)
{
    return device->kernel_file != CB_KERNEL_FILE_DAX || dax_exists(device->number);
}

static int add_device(struct node *dir, const struct device *device)
{
    const struct caller root = {0};
    struct node *node;
    int error = fs_create_child(dir, &root, device->name, strlen(device->name),
                                S_IFCHR | device->mode, &node);

    if (error == 0) {
        node->rdev = makedev(device->major_nr, device->minor_nr);
        node_put(node);
    }
    return error;
}

int dev_add(struct node *dir, const char *name)
{
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        if (strcmp(devices[i].name, name) == 0) {
            return add_device(dir, &devices[i]);
        }
    }
    return -ENXIO;
}

int dev_populate(struct node *dir)
{
    const struct caller root = {0};
    struct node *node;

    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        int error = is_present(&devices[i]) ? add_device(dir, &devices[i]) : 0;
        if (error != 0) {
            return error;
        }
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

/* The console tells this number in fstat, so that ttyname(3) finds the node again. */
static int redirect_to_console(struct cb_request *request, const struct node *node,
                               const struct device *device)
{
    static char path[CONSOLE_PATH_MAX];
    int len = snprintf(path, sizeof(path), CONSOLE_PATH_FORMAT, device->name,
                       (unsigned long long)makedev(MOUNT_MAJOR, node->mount->minor),
                       (unsigned long long)node->ino);

    if (fs.console < 0) {
        return -ENXIO;
    }
    request->reply.flags = CB_REPLY_REDIRECT;
    request->reply.fd = fs.console;
    request->reply.data = (uintptr_t)path;
    request->reply.data_len = (uint32_t)len;
    return 0;
}

static int open_kernel_file(struct cb_request *request, const struct device *device, uint32_t flags)
{
    const uint32_t kept = O_ACCMODE | O_APPEND | O_NONBLOCK | O_LARGEFILE;
    int fd = cb_kernel_file(device->kernel_file, (int)device->number, flags & kept);

    if (fd < 0) {
        return fd;
    }
    fs_hand_over(request, fd);
    return 0;
}

int dev_open(struct node *node, struct cb_request *request, uint32_t flags, bool *is_ours)
{
    const struct device *device = find_device(node);

    if (device == NULL) {
        return -ENXIO;
    }
    *is_ours = device->kind != DEVICE_TERMINAL && device->kind != DEVICE_KERNEL;
    if (device->kind == DEVICE_TERMINAL) {
        return redirect_to_console(request, node, device);
    }
    return device->kind == DEVICE_KERNEL ? open_kernel_file(request, device, flags) : 0;
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
        long copied = cb_msg_write(request->port, request->msg->id, done, bytes, (size_t)made);
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
    case DEVICE_KERNEL:
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
    fs_hand_over(request, fd);
    return 0;
}
