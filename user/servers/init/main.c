/*
 * Process 1. Read start.c for how the system comes up, shutdown.c for how it ends.
 *
 * Signals ask for the end, with the numbers that busybox uses: SIGUSR1 halts, SIGUSR2 powers off,
 * SIGTERM restarts. With "run=PROGRAM ARGUMENTS" on the kernel's command line that program is run
 * once and the machine powered off behind it; else a shell is kept running on the console.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cb_syscall.h>
#include "init.h"

#define LINE_MAX_LEN 2048

static volatile sig_atomic_t end_signal;

static void note_end(int signal)
{
    end_signal = signal;
}

static void note_child(int signal)
{
    (void)signal;
}

static int reboot_command_of(int signal)
{
    switch (signal) {
    case SIGUSR1:
        return RB_HALT_SYSTEM;
    case SIGUSR2:
        return RB_POWER_OFF;
    default:
        return RB_AUTOBOOT;
    }
}

/* Signals arrive only while waiting, so none is lost between a look and the wait. */
static void set_up_signals(sigset_t *while_waiting)
{
    static const int ends[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
    struct sigaction action = {.sa_handler = note_end};
    sigset_t all;

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        sigaction(ends[i], &action, NULL);
    }
    action.sa_handler = note_child;
    sigaction(SIGCHLD, &action, NULL);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, while_waiting);
    sigemptyset(while_waiting);
}

static void set_hostname(void)
{
    char name[65];
    FILE *file = fopen("/etc/hostname", "re");

    if (file == NULL) {
        return;
    }
    if (fgets(name, sizeof(name), file) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        sethostname(name, strlen(name));
    }
    fclose(file);
}

static void tell_end(const char *path, int status)
{
    if (WIFSIGNALED(status)) {
        printf("init: %s was killed by signal %d\n", path, WTERMSIG(status));
    } else {
        printf("init: %s ended with status %d\n", path, WEXITSTATUS(status));
    }
    fflush(stdout);
}

static void check_servers(const struct init_servers *servers, pid_t pid)
{
    static const char message[] = "init: a server ended; the machine restarts\n";

    if (pid == servers->fs || pid == servers->console) {
        (void)!write(servers->serial, message, sizeof(message) - 1);
        reboot(RB_AUTOBOOT);
    }
}

static pid_t start_shell(void)
{
    char *const argv[] = {"-sh", NULL};
    static struct timespec last;
    struct timespec now;

    /* A shell that ends at once is not started again at once. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (last.tv_sec != 0 && now.tv_sec - last.tv_sec < 1) {
        sleep(1);
    }
    clock_gettime(CLOCK_MONOTONIC, &last);
    return session_start("/bin/sh", argv, true);
}

/* Collect every child that ended. Return: the session's program was one, with its status. */
static bool reap(const struct init_servers *servers, pid_t session, int *session_status)
{
    bool has_ended = false;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        check_servers(servers, pid);
        if (pid == session) {
            has_ended = true;
            *session_status = status;
        }
    }
    return has_ended;
}

static void run_until_end(const struct init_servers *servers, const struct command *command,
                          const sigset_t *while_waiting)
{
    pid_t session =
        command != NULL ? session_start(command->argv[0], command->argv, false) : start_shell();

    while (end_signal == 0) {
        int status = 0;
        bool has_ended = reap(servers, session, &status) || session < 0;
        if (has_ended && command != NULL) {
            tell_end(command->argv[0], status);
            shutdown_now(servers, RB_POWER_OFF);
        }
        if (has_ended) {
            session_end();
            session = start_shell();
        } else {
            sigsuspend(while_waiting);
        }
    }
    shutdown_now(servers, reboot_command_of(end_signal));
}

int main(void)
{
    static struct init_servers servers;
    static struct command command;
    char line[LINE_MAX_LEN] = {0};
    sigset_t while_waiting;

    set_up_signals(&while_waiting);
    /* Ctrl-Alt-Del is a signal to init, not an immediate restart. */
    reboot(RB_DISABLE_CAD);
    if (start_servers(&servers) != 0) {
        reboot(RB_POWER_OFF);
        return EXIT_FAILURE;
    }
    set_hostname();
    cb_kinfo(CB_KINFO_CMDLINE, 0, line, sizeof(line) - 1);
    run_until_end(&servers, command_parse(line, &command) ? &command : NULL, &while_waiting);
    return EXIT_FAILURE;
}
