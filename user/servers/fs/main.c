/*
 * The file server: a RAM file system filled from the initial image, devices, and /proc.
 *
 * init starts it with three descriptors, named in its arguments: the port that it serves, the
 * initial image, and a connection to the console server. One thread handles one message at a time;
 * every operation is bounded, and what a client sends is checked before it is used, so no client
 * can disturb the others. Read node.h, dir.h and path.h for the tree, fs.h for the operations,
 * proc.h for /proc.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dax.h"
#include "fs.h"
#include "initrd.h"

#define MEMFDS_MAX    1048576u   /* a file with content is one descriptor */
#define SAVE_AFTER_NS 200000000u /* of silence: then changes go onto direct devices */

static _Alignas(16) char message[CB_MSG_BUF_MIN];

static int complain(const char *what, int error)
{
    fprintf(stderr, "fs: %s: %s\n", what, strerror(-error));
    return EXIT_FAILURE;
}

/* Our port's number, by which connections to it are recognised in snapshots. */
static uint64_t find_port_number(void)
{
    static struct cb_fd_info fds[16];
    long len = cb_kinfo(CB_KINFO_FDS, getpid(), fds, sizeof(fds));

    for (long i = 0; i < len / (long)sizeof(fds[0]); i++) {
        if (fds[i].fd == fs.port) {
            return fds[i].port;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: fs PORT IMAGE CONSOLE\n");
        return EXIT_FAILURE;
    }
    fs.port = atoi(argv[1]);
    fs.console = atoi(argv[3]);
    umask(0);
    /* Signals meant for a terminal's programs are not for a server. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "fs");
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){MEMFDS_MAX, MEMFDS_MAX});
    fs.port_number = find_port_number();

    int error = fs_start();
    if (error != 0) {
        return complain("cannot make the root directory", error);
    }
    error = initrd_unpack(atoi(argv[2]));
    if (error != 0) {
        /* What could be read may be enough for a shell that looks for the reason. */
        complain("the initial image is missing or damaged", error);
    }
    error = fs_mount_standard();
    if (error != 0) {
        return complain("cannot mount /proc and /dev", error);
    }
    const struct cb_server server = {
        .port = fs.port,
        .ops = fs_ops,
        .unknown_result = -EOPNOTSUPP,
        .undo_open = open_file_close,
    };
    while (true) {
        uint64_t patience = dax_is_any_dirty() ? SAVE_AFTER_NS : CB_TIMEOUT_NONE;
        error = cb_server_step(&server, message, sizeof(message), patience);
        if (error == -ETIMEDOUT) {
            /* What does not fit onto the device is told to whoever asks for it, by fsync(2). */
            dax_save_all();
        } else if (error != 0 && error != -EINTR) {
            return complain("cannot receive", error);
        }
    }
}
