/*
 * Opening again what a descriptor refers to.
 *
 * A file server resolves the names in /proc/PID/fd, but a pipe or a memfd behind one of them is
 * the kernel's: the server answers that the path leads to that descriptor (CB_REPLY_REOPEN), and
 * the sender's own call looks it up here. Read next: the operation `reopen` of pipe.c and memfd.c.
 */
#include <ipc/reopen.h>

#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/message.h>
#include <ipc/path.h>
#include <lib/errno.h>
#include <proc/cred.h>
#include <proc/process.h>
#include <proc/thread.h>
#include <uapi/linux/stat.h>

#define ANY_EXEC (S_IXUSR | S_IXUSR >> 3 | S_IXUSR >> 6)

/* Flags that stay with the open file. */
#define STATUS_FLAGS ((u32)(O_ACCMODE | O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | O_LARGEFILE))

static int files_of(s32 pid, struct files **out)
{
    struct process *process = process_find_get(pid);
    int error = 0;

    if (process == NULL) {
        return -ENOENT;
    }
    if (!cred_may_trace(process, TRACE_FS_IDS)) {
        error = -EACCES;
    } else {
        *out = process_files_get(process);
        error = *out == NULL ? -ENOENT : 0;
    }
    process_put(process);
    return error;
}

int reopen_find(const struct message *msg, struct file **out)
{
    struct files *files;
    int error = files_of((s32)msg->reply_cookie, &files);

    if (error != 0) {
        return error;
    }
    error = files_lookup(files, (s32)msg->new_pos, out);
    files_put(files);
    return error != 0 ? -ENOENT : 0;
}

/* execve(2) wants a regular file that somebody may execute. */
static int check_intent(struct file *file, u32 intent)
{
    struct stat stat;
    int error;

    if (intent == CB_OPEN_SEARCH) {
        return -ENOTDIR;
    }
    if (intent != CB_OPEN_EXEC) {
        return 0;
    }
    error = file_stat(file, &stat);
    if (error != 0) {
        return error;
    }
    return (stat.st_mode & S_IFMT) == S_IFREG && (stat.st_mode & ANY_EXEC) != 0 ? 0 : -EACCES;
}

int reopen_file(const struct message *msg, const struct path_open_request *request,
                struct file **out)
{
    struct file *file;
    int error = reopen_find(msg, &file);

    if (error != 0) {
        return error;
    }
    if (file->ops->reopen == NULL || (request->flags & O_PATH)) {
        error = request->intent == CB_OPEN_SEARCH ? -ENOTDIR : -ENXIO;
    } else {
        error = check_intent(file, request->intent);
    }
    if (error == 0) {
        error = file->ops->reopen(file, request->flags & STATUS_FLAGS, out);
    }
    file_put(file);
    if (error != 0) {
        return error;
    }
    if ((request->flags & O_TRUNC) && (*out)->ops->truncate != NULL && file_can_write(*out)) {
        error = (*out)->ops->truncate(*out, 0);
    }
    if (error != 0) {
        file_put(*out);
    }
    return error;
}
