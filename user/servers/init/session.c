/* Programs on the console. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <errno.h>
#include "init.h"

#ifndef TIOCVHANGUP
#define TIOCVHANGUP 0x5437
#endif

#define STEAL 1 /* the argument of TIOCSCTTY that takes a terminal from another session */

static char *const environment[] = {"PATH=/bin:/sbin:/usr/bin:/usr/sbin:/tests", "HOME=/root",
                                    "TERM=vt100", "USER=root", NULL};

static void run(const char *path, char *const *argv, bool is_login)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    ioctl(0, TIOCSCTTY, STEAL);
    if (is_login && chdir("/root") != 0) {
        (void)!chdir("/");
    }
    execve(path, argv, environment);
    fprintf(stderr, "init: cannot run %s: %s\n", path, strerror(errno));
    _exit(127);
}

pid_t session_start(const char *path, char *const *argv, bool is_login)
{
    pid_t pid = fork();

    if (pid == 0) {
        run(path, argv, is_login);
    }
    return pid;
}

void session_end(void)
{
    ioctl(0, TIOCVHANGUP, 0);
    /* The hangup was also for our own descriptors. */
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);
    for (int i = 0; fd >= 0 && i < 3; i++) {
        dup2(fd, i);
    }
    if (fd > 2) {
        close(fd);
    }
}
