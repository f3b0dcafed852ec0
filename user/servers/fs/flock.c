/* Advisory locks of whole files. The open files of a node carry them. */
#include <errno.h>
#include <sys/file.h>
#include "flock.h"
#include "fs.h"
#include "waiter.h"

#define LOCK_MANDATORY 32

static bool conflicts(const struct open_file *file, int lock)
{
    struct open_file *other = open_file_next(NULL);

    for (; other != NULL; other = open_file_next(other)) {
        if (other != file && other->node == file->node && other->lock != 0 &&
            (lock == LOCK_EX || other->lock == LOCK_EX)) {
            return true;
        }
    }
    return false;
}

/* A lock ended: give it to those who wait for it, oldest first. */
static void retry_waiters(const struct node *node)
{
    struct waiter *waiter = waiter_next(node, NULL);

    while (waiter != NULL) {
        struct waiter *current = waiter;
        struct open_file *file = open_file_find(current->cookie);
        waiter = waiter_next(node, waiter);
        if (current->kind != WAITER_FLOCK) {
            continue;
        }
        if (file == NULL) {
            waiter_answer(current, -EBADF);
        } else if (!conflicts(file, current->lock)) {
            file->lock = current->lock;
            waiter_answer(current, 0);
        }
    }
}

int64_t op_flock(struct cb_request *request)
{
    struct open_file *file = fs_open_file(request);
    int operation = (int)request->msg->args[0];
    int lock = operation & ~LOCK_NB;

    if (file == NULL) {
        return -EBADF;
    }
    if ((operation & LOCK_MANDATORY) != 0) {
        /* Linux gave these locks up and ignores the request. */
        return 0;
    }
    if (lock == LOCK_UN) {
        file->lock = 0;
        retry_waiters(file->node);
        return 0;
    }
    if (lock != LOCK_SH && lock != LOCK_EX) {
        return -EINVAL;
    }
    /* Changing a lock gives the old one up first: it is lost even if the new one fails. */
    int64_t result = 0;
    file->lock = 0;
    if (!conflicts(file, lock)) {
        file->lock = lock;
    } else if ((operation & LOCK_NB) != 0) {
        result = -EWOULDBLOCK;
    } else {
        struct waiter *waiter = waiter_add(request, WAITER_FLOCK, file->node, request->msg->cookie);
        result = waiter == NULL ? -ENOLCK : 0;
        if (waiter != NULL) {
            waiter->lock = lock;
        }
    }
    retry_waiters(file->node);
    return result;
}

void flock_forget(struct open_file *file)
{
    if (file->lock == 0) {
        return;
    }
    file->lock = 0;
    retry_waiters(file->node);
}
