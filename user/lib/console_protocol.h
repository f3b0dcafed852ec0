/*
 * How the file server names a terminal to the console server, when it sends an open on to it: the
 * device's name, and the device and inode numbers of its node, which fstat(2) of the terminal
 * tells.
 */
#ifndef USER_CONSOLE_PROTOCOL_H
#define USER_CONSOLE_PROTOCOL_H

#define CONSOLE_PATH_MAX    96
#define CONSOLE_PATH_FORMAT "%s:%llu:%llu"

#define CONSOLE_TTY_MAJOR 4
#define CONSOLE_TTY_MINOR 64
#define CONSOLE_TTY_NAME  "/dev/ttyS0"

/* The connection that the file server and init start from. */
#define CONSOLE_ROOT_COOKIE 1

#endif
