/* Runs a command with a paged version of a file on descriptor 3. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "pager.h"

#define CLIENT_FD 3
/* The command's end is looked for this often while nothing is asked. */
#define PATIENCE_NS 10000000u

static _Alignas(16) char message[CB_MSG_BUF_MIN];

static int complain(const char *what, int error)
{
    fprintf(stderr, "object_pager: %s: %s\n", what, strerror(error));
    return EXIT_FAILURE;
}

static pid_t start_command(int connection, char **command)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (connection == CLIENT_FD) {
            fcntl(connection, F_SETFD, 0);
        } else {
            dup2(connection, CLIENT_FD);
        }
        execvp(command[0], command);
        complain(command[0], errno);
        _exit(127);
    }
    return pid;
}

static int serve_until_end(pid_t pid)
{
    const struct cb_server server = {
        .port = pager.port, .ops = pager_ops, .unknown_result = -EOPNOTSUPP};
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        int error = cb_server_step(&server, message, sizeof(message), PATIENCE_NS);
        if (error != 0 && error != -ETIMEDOUT && error != -EINTR) {
            return complain("cannot receive", -error);
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "-v") == 0) {
        pager.is_told = true;
        argv++;
        argc--;
    }
    if (argc < 3) {
        fprintf(stderr, "usage: object_pager [-v] FILE COMMAND [ARGUMENT...]\n");
        return EXIT_FAILURE;
    }
    int file = open(argv[1], O_RDWR | O_CLOEXEC);
    if (file < 0) {
        return complain(argv[1], errno);
    }
    int port = cb_port_create(O_CLOEXEC);
    if (port < 0) {
        return complain("cannot make a port", -port);
    }
    int error = pager_start(port, file);
    int connection = error == 0 ? cb_conn_create(port, 1, CB_CONN_SEEKABLE | CB_CONN_READY) : error;
    if (connection < 0) {
        return complain("cannot make the paged file", -connection);
    }
    pid_t pid = start_command(connection, argv + 2);
    if (pid < 0) {
        return complain("cannot start the command", errno);
    }
    close(connection);
    int status = serve_until_end(pid);
    error = pager_finish();
    return error != 0 ? complain(argv[1], -error) : status;
}
