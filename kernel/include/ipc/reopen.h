/* Paths that lead to a descriptor: /proc/PID/fd/N of a pipe or a memfd. */
#ifndef IPC_REOPEN_H
#define IPC_REOPEN_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;
struct message;
struct path_open_request;

/**
 * reopen_find() - the file that a reply with CB_REPLY_REOPEN names.
 * @msg: replied; its sender is the current process
 * @out: out: with a reference
 *
 * The server is not trusted: of another process's files only those come that the sender could get
 * with ptrace(2).
 * Return: 0, -ENOENT (no such process or descriptor), -EACCES.
 */
MUST_CHECK int reopen_find(const struct message *msg, struct file **out);

/**
 * reopen_file() - what OPEN does with such a reply: a new open file of the same object.
 * Return: also -ENXIO (has no way to be opened by name), -EACCES, -ENOTDIR, or the kind's errors.
 */
MUST_CHECK int reopen_file(const struct message *msg, const struct path_open_request *request,
                           struct file **out);

#endif
