/* From the bare initial image to a system with files and a terminal. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cb_syscall.h>
#include <console_protocol.h>
#include <fs_protocol.h>
#include <image.h>
#include "init.h"

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

#define SERVER_FDS_MAX 3

/* A server: where its program is, and which of our descriptors it gets as its arguments. */
struct server {
    const char *member; /* name in the image */
    char *name;
    int fds[SERVER_FDS_MAX];
    int nr_fds;
};

static int complain(int serial, const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (len > 0) {
        (void)!write(serial, line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1);
    }
    return -1;
}

/* Copy a program out of the image, so that it can be executed before there are files. */
static int load_program(const char *member)
{
    struct image image;
    struct cpio_entry entry;

    int error = image_open(&image, INIT_IMAGE_FD);
    if (error != 0) {
        return error;
    }
    int state = image_next(&image, &entry);
    while (state == 1 && strcmp(entry.name, member) != 0) {
        state = image_next(&image, &entry);
    }
    if (state != 1) {
        image_close(&image);
        return state < 0 ? state : -ENOENT;
    }
    int fd = memfd_create(member, MFD_CLOEXEC);
    if (fd >= 0) {
        error = image_copy(INIT_IMAGE_FD, image_offset(&image, &entry), entry.size, fd);
    }
    image_close(&image);
    if (fd < 0 || error != 0) {
        close(fd);
        return fd < 0 ? -errno : error;
    }
    return fd;
}

static void run_server(const struct server *server, int program)
{
    char numbers[SERVER_FDS_MAX][12];
    char *argv[SERVER_FDS_MAX + 2] = {server->name};
    char *envp[] = {NULL};

    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    for (int i = 0; i < server->nr_fds; i++) {
        snprintf(numbers[i], sizeof(numbers[i]), "%d", server->fds[i]);
        argv[i + 1] = numbers[i];
        fcntl(server->fds[i], F_SETFD, 0);
    }
    syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
    _exit(127);
}

static pid_t start_server(const struct server *server)
{
    int program = load_program(server->member);
    if (program < 0) {
        errno = -program;
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        run_server(server, program);
    }
    close(program);
    return pid;
}

static int open_console(void)
{
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);

    if (fd < 0) {
        return -errno;
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(fd, i) < 0) {
            return -errno;
        }
    }
    if (fd > 2) {
        close(fd);
    }
    return 0;
}

int start_servers(struct init_servers *servers)
{
    int serial = fcntl(0, F_DUPFD_CLOEXEC, 10);
    int console_port = cb_port_create(O_CLOEXEC);
    int fs_port = cb_port_create(O_CLOEXEC);
    if (serial < 0 || console_port < 0 || fs_port < 0) {
        return complain(0, "init: cannot create the servers' ports\n");
    }
    servers->serial = serial;
    fcntl(INIT_IMAGE_FD, F_SETFD, FD_CLOEXEC);
    int console = cb_conn_create(console_port, CONSOLE_ROOT_COOKIE, 0);
    int root = cb_conn_create(fs_port, FS_ROOT_COOKIE, CB_CONN_DIR | CB_CONN_READY);
    const struct server console_server = {"sbin/console", "console", {console_port, serial}, 2};
    const struct server fs_server = {"sbin/fs", "fs", {fs_port, INIT_IMAGE_FD, console}, 3};

    servers->console = start_server(&console_server);
    if (servers->console < 0) {
        return complain(serial, "init: cannot start /sbin/console from the initial image: %s\n",
                        strerror(errno));
    }
    servers->fs = start_server(&fs_server);
    if (servers->fs < 0) {
        return complain(serial, "init: cannot start /sbin/fs from the initial image: %s\n",
                        strerror(errno));
    }
    /* With our ports closed, a server's death ends the waits of its clients. */
    close(console_port);
    close(fs_port);
    close(console);
    close(INIT_IMAGE_FD);
    int error = cb_root_set(root);
    close(root);
    if (error == 0) {
        error = open_console();
    }
    if (error != 0) {
        return complain(serial, "init: cannot open /dev/console: %s\n", strerror(-error));
    }
    return 0;
}
