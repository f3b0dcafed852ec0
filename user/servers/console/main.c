/*
 * The console server: the terminal on the serial line.
 *
 * init starts it with two descriptors, named in its arguments: the port that it serves and the
 * serial line. The file server sends opens of /dev/console, /dev/tty and /dev/ttyS0 on to it.
 * Read ldisc.h for what happens to bytes, tty.h for who waits for them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include <console_protocol.h>
#include "tty.h"

#define INPUT_MAX    256u
#define MESSAGES_MAX 64 /* handled before the line is looked at again */

static _Alignas(16) char message[CB_MSG_BUF_MIN];

static uint64_t rdev_of(const char *name)
{
    if (strcmp(name, "tty") == 0) {
        return makedev(5, 0);
    }
    if (strcmp(name, "console") == 0) {
        return makedev(5, 1);
    }
    return makedev(CONSOLE_TTY_MAJOR, CONSOLE_TTY_MINOR);
}

/* The device named by an open that the file server sent on. NULL: nonsense, or too many. */
static struct tty_device *find_device(const char *path)
{
    struct tty_device device = {0};
    unsigned long long dev;
    unsigned long long ino;

    if (sscanf(path, "%31[^:]:%llu:%llu", device.name, &dev, &ino) != 3) {
        return NULL;
    }
    device.dev = dev;
    device.ino = ino;
    device.rdev = rdev_of(device.name);
    for (size_t i = 0; i < tty.nr_devices; i++) {
        struct tty_device *known = &tty.devices[i];
        if (strcmp(known->name, device.name) == 0 && known->dev == dev && known->ino == ino) {
            return known;
        }
    }
    if (tty.nr_devices == TTY_DEVICES_MAX) {
        return NULL;
    }
    tty.devices[tty.nr_devices] = device;
    return &tty.devices[tty.nr_devices++];
}

/* Also before anybody opens the terminal anew: that file must not be hung up. */
static void look_at_leader(void)
{
    if (tty_leader_has_ended()) {
        tty_hang_up_session();
    }
}

static int64_t op_open(struct cb_request *request)
{
    static char name[sizeof("/dev/") + sizeof(((struct tty_device *)0)->name)];
    const struct cb_msg *msg = request->msg;
    const struct cb_sender *sender = &msg->sender;
    unsigned flags = (unsigned)msg->args[0];

    look_at_leader();
    if (msg->cookie != CONSOLE_ROOT_COOKIE) {
        return -ENOTDIR;
    }
    const struct tty_device *device = find_device(cb_msg_path(msg));
    if (device == NULL) {
        return -ENXIO;
    }
    bool is_own = device->rdev == makedev(5, 0);
    if (is_own && !tty_is_own(sender)) {
        return -ENXIO;
    }
    bool is_serial = device->rdev == makedev(CONSOLE_TTY_MAJOR, CONSOLE_TTY_MINOR);
    if (is_serial && (flags & O_NOCTTY) == 0 && tty.session != sender->sid) {
        /* A session leader without a terminal gets this one if it is free; else it just opens. */
        (void)tty_acquire(sender, false);
    }
    int len = snprintf(name, sizeof(name), "/dev/%s", device->name);
    request->reply.flags = CB_REPLY_OPEN | CB_REPLY_NAME;
    request->reply.cookie = tty_cookie((size_t)(device - tty.devices));
    request->reply.conn_flags = CB_CONN_TTY;
    request->reply.new_pos = tty_poll_mask();
    request->reply.data = (uintptr_t)name;
    request->reply.data_len = (uint32_t)len;
    return 0;
}

static int64_t op_stat(struct cb_request *request)
{
    static struct stat st;
    const struct tty_device *device = tty_device_of(request->msg->cookie);

    if (device == NULL) {
        return -EBADF;
    }
    bool is_own = device->rdev == makedev(5, 0);
    st = (struct stat){
        .st_dev = device->dev,
        .st_ino = device->ino,
        .st_rdev = device->rdev,
        .st_mode = S_IFCHR | (is_own ? 0666 : tty.mode),
        .st_nlink = 1,
        .st_uid = is_own ? 0 : tty.uid,
        .st_gid = is_own ? 0 : tty.gid,
        .st_blksize = 4096,
    };
    clock_gettime(CLOCK_REALTIME, &st.st_atim);
    st.st_mtim = st.st_atim;
    st.st_ctim = st.st_atim;
    cb_request_data(request, &st, sizeof(st));
    return 0;
}

static int64_t op_chmod(struct cb_request *request)
{
    uint32_t uid = request->msg->sender.uid;

    if (uid != 0 && uid != tty.uid) {
        return -EPERM;
    }
    tty.mode = (uint32_t)request->msg->args[0] & 07777;
    return 0;
}

static int64_t op_chown(struct cb_request *request)
{
    uint32_t uid = (uint32_t)request->msg->args[0];
    uint32_t gid = (uint32_t)request->msg->args[1];

    if (request->msg->sender.uid != 0) {
        return -EPERM;
    }
    tty.uid = uid == UINT32_MAX ? tty.uid : uid;
    tty.gid = gid == UINT32_MAX ? tty.gid : gid;
    return 0;
}

/* Time stamps of a terminal are not kept; a touch of it succeeds like one of any device. */
static int64_t op_utimens(struct cb_request *request)
{
    return request->msg->path_len == 0 ? 0 : -ENOTDIR;
}

static int64_t op_read(struct cb_request *request)
{
    return tty_device_of(request->msg->cookie) != NULL ? tty_read(request) : -EBADF;
}

static int64_t op_write(struct cb_request *request)
{
    return tty_device_of(request->msg->cookie) != NULL ? tty_write(request) : -EBADF;
}

static int64_t op_ioctl(struct cb_request *request)
{
    look_at_leader();
    return tty_device_of(request->msg->cookie) != NULL ? tty_ioctl(request) : -ENOTTY;
}

static int64_t op_invalid(struct cb_request *request)
{
    (void)request;
    return -EINVAL;
}

static int64_t op_interrupt(struct cb_request *request)
{
    tty_interrupt(request->msg->args[0]);
    return 0;
}

static const struct cb_op_entry ops[CB_OP_END] = {
    [CB_OP_OPEN] = {op_open},           [CB_OP_READ] = {op_read},
    [CB_OP_WRITE] = {op_write},         [CB_OP_STAT] = {op_stat},
    [CB_OP_IOCTL] = {op_ioctl},         [CB_OP_CHMOD] = {op_chmod},
    [CB_OP_CHOWN] = {op_chown},         [CB_OP_UTIMENS] = {op_utimens},
    [CB_OP_TRUNCATE] = {op_invalid},    [CB_OP_FSYNC] = {op_invalid},
    [CB_OP_INTERRUPT] = {op_interrupt},
};

static int timeout_ms(bool has_work)
{
    uint64_t deadline = tty_deadline_ns();
    struct timespec now;

    if (has_work) {
        return 0;
    }
    if (deadline == UINT64_MAX) {
        return -1;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return deadline <= now_ns ? 0 : (int)((deadline - now_ns + 999999) / 1000000);
}

static void read_line(void)
{
    uint8_t bytes[INPUT_MAX];
    ssize_t len = read(tty.line, bytes, sizeof(bytes));

    if (len > 0) {
        tty_input(bytes, (size_t)len);
    }
}

/* Return: 0, or the error that ends the server. */
static int serve_messages(const struct cb_server *server)
{
    for (int i = 0; i < MESSAGES_MAX; i++) {
        int error = cb_server_step(server, message, sizeof(message), 0);
        if (error == -EAGAIN || error == -ETIMEDOUT || error == -EINTR) {
            return 0;
        }
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: console PORT LINE\n");
        return EXIT_FAILURE;
    }
    /* Signals meant for the terminal's programs are not for its server. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "console");
    tty_init(atoi(argv[1]), atoi(argv[2]));
    const struct cb_server server = {
        .port = tty.port,
        .ops = ops,
        .unknown_result = -ENOTDIR,
        .before_reply = tty_tell_pollers,
    };
    struct pollfd waits[] = {
        {.fd = tty.port, .events = POLLIN}, {.fd = tty.line, .events = POLLIN}, {.events = POLLIN}};
    bool has_work = false;
    int error = 0;

    while (error == 0) {
        waits[2].fd = tty.leader;
        if (poll(waits, 3, timeout_ms(has_work)) > 0) {
            if ((waits[1].revents & POLLIN) != 0) {
                read_line();
            }
            look_at_leader();
            if (waits[0].revents != 0) {
                error = serve_messages(&server);
            }
        }
        has_work = tty_progress();
        tty_tell_pollers();
    }
    fprintf(stderr, "console: cannot receive: %s\n", strerror(-error));
    return EXIT_FAILURE;
}
