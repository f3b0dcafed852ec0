/*
 * init, process 1: starts the servers, then the shell or the program that the kernel's command
 * line names; collects orphans; ends the machine.
 */
#ifndef INIT_INIT_H
#define INIT_INIT_H

#include <stdbool.h>
#include <sys/types.h>

#define INIT_IMAGE_FD 3 /* the kernel starts init with the initial image here */

struct init_servers {
    pid_t console;
    pid_t fs;
    int serial; /* what remains to speak through when the console is gone */
};

/* start.c */

/**
 * start_servers() - start console and fs from the initial image, make the root directory ours and
 * put the console on descriptors 0, 1 and 2.
 * Return: 0 or -errno, after a message on the serial line.
 */
int start_servers(struct init_servers *servers);

/* command.c */

#define COMMAND_ARGS_MAX 256

struct command {
    char text[2048];
    char *argv[COMMAND_ARGS_MAX + 1];
};

/**
 * command_parse() - the program in "run=..." of a kernel command line.
 * @line: NUL-terminated. The program and its arguments are what follows "run=" to the end of the
 *        line, or within double quotes behind it; blanks separate them, quotes keep them together
 * Return: there is one.
 */
bool command_parse(const char *line, struct command *command);

/* session.c */

/** session_start() - run a program in a session of its own on the console. Return: pid or -1. */
pid_t session_start(const char *path, char *const *argv, bool is_login);

/** session_end() - the terminal's session is over: what still uses it is cut off. */
void session_end(void);

/* shutdown.c */

/** shutdown_now() - end every program but the servers, then the machine. Does not return. */
void shutdown_now(const struct init_servers *servers, int reboot_command) __attribute__((noreturn));

#endif
