/*
 * Locks of ranges of files (see ipc/record_lock.h).
 *
 * L1. Two locks of one owner about one file do not overlap; those of one type do not touch either.
 * L2. Two locks of different owners about one file overlap only if both are for reading.
 *
 * Everything is under one mutex, which nobody holds while he waits or asks a server.
 */
#include <ipc/record_lock.h>

#include <ipc/connection.h>
#include <ipc/fdtable.h>
#include <ipc/file.h>
#include <ipc/message.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/mutex.h>
#include <proc/process.h>
#include <proc/thread.h>
#include <proc/waitqueue.h>
#include <uapi/cowbell.h>
#include <uapi/linux/stat.h>

#define END_OF_FILE ((u64)S64_MAX)

/* What file a lock is about: the same through every open file and every link. */
struct lock_key {
    u64 space; /* number of the server's port, or 0: the kernel's own files */
    u64 device;
    u64 inode;
};

struct range {
    u32 type;  /* F_RDLCK, F_WRLCK or F_UNLCK */
    u64 start; /* bytes, [start, last] */
    u64 last;
};

struct record_lock {
    struct list_node link;
    struct lock_key key;
    const void *owner;
    s32 pid; /* who took it; -1: the lock of an open file */
    struct range range;
};

/* A thread that waits, for the search for deadlocks. */
struct lock_waiter {
    struct list_node link;
    const void *owner;
    const void *blocker;
};

static struct kmem_cache *lock_cache;
static struct mutex table_mutex;
static struct list_node all_locks = LIST_INIT(all_locks);     /* [table_mutex] */
static struct list_node all_waiters = LIST_INIT(all_waiters); /* [table_mutex] */
static struct wait_queue changed = WAIT_QUEUE_INIT(changed);
static u64 nr_changes; /* [x] */

void record_lock_init(void)
{
    lock_cache = kmem_cache_create("record_lock", sizeof(struct record_lock), 0, NULL);
    mutex_init(&table_mutex, RANK_MUTEX_INNER);
}

/* --- which file ------------------------------------------------------------------------------- */

/* Asks the server, past every signal but a fatal one: a close must not forget its locks. */
static s64 ask_stat(struct connection *conn, struct stat *stat)
{
    struct message *msg;
    struct iov_iter iter;
    s64 result = message_alloc(CB_OP_STAT, &msg);

    if (result != 0) {
        return result;
    }
    msg->is_killable = true;
    iov_init_kernel(&iter, stat, sizeof(*stat));
    result = message_set_recv(msg, &iter);
    if (result == 0) {
        result = message_call(msg, conn);
    }
    message_put(msg);
    return result < 0 ? result : 0;
}

static s64 key_of(struct file *file, struct lock_key *key)
{
    struct connection *conn = connection_of_file(file);
    struct stat stat;
    s64 result;

    *key = (struct lock_key){.inode = (u64)file->private};
    if (conn == NULL) {
        return 0;
    }
    memset(&stat, 0, sizeof(stat));
    result = ask_stat(conn, &stat);
    *key = (struct lock_key){conn->port->number, stat.st_dev, stat.st_ino};
    return result;
}

static bool is_about(const struct record_lock *lock, const struct lock_key *key)
{
    return lock->key.space == key->space && lock->key.device == key->device &&
           lock->key.inode == key->inode;
}

/* --- the table -------------------------------------------------------------------------------- */

static bool overlap(const struct range *a, const struct range *b)
{
    return a->start <= b->last && b->start <= a->last;
}

static bool touch(const struct range *a, const struct range *b)
{
    return overlap(a, b) || a->last + 1 == b->start || b->last + 1 == a->start;
}

static struct record_lock *find_conflict(const struct record_lock *wanted)
{
    struct record_lock *lock;

    list_for_each_entry (lock, &all_locks, link) {
        bool both_read = lock->range.type == F_RDLCK && wanted->range.type == F_RDLCK;

        if (lock->owner != wanted->owner && !both_read && is_about(lock, &wanted->key) &&
            overlap(&lock->range, &wanted->range)) {
            return lock;
        }
    }
    return NULL;
}

static void drop(struct record_lock *lock)
{
    list_del(&lock->link);
    kmem_cache_free(lock_cache, lock);
}

/* Takes [start, last] of @taken out of another lock of the owner. @spare: for a second part. */
static void cut(struct record_lock *lock, const struct range *taken, struct record_lock **spare)
{
    bool has_front = lock->range.start < taken->start;
    bool has_rest = lock->range.last > taken->last;

    if (has_front && has_rest) {
        struct record_lock *rest = *spare;

        *spare = NULL;
        *rest = *lock;
        rest->range.start = taken->last + 1;
        list_add_tail(&all_locks, &rest->link);
        lock->range.last = taken->start - 1;
    } else if (has_front) {
        lock->range.last = taken->start - 1;
    } else if (has_rest) {
        lock->range.start = taken->last + 1;
    } else {
        drop(lock);
    }
}

/* Makes the range what is wanted, merged with its like (L1). Consumes @wanted. */
static void apply(struct record_lock *wanted, struct record_lock **spare)
{
    struct record_lock *lock, *next;

    list_for_each_entry_safe (lock, next, &all_locks, link) {
        if (lock->owner != wanted->owner || !is_about(lock, &wanted->key)) {
            continue;
        }
        if (lock->range.type == wanted->range.type && touch(&lock->range, &wanted->range)) {
            wanted->range.start = min(wanted->range.start, lock->range.start);
            wanted->range.last = max(wanted->range.last, lock->range.last);
            drop(lock);
        } else if (overlap(&lock->range, &wanted->range)) {
            cut(lock, &wanted->range, spare);
        }
    }
    if (wanted->range.type == F_UNLCK) {
        kmem_cache_free(lock_cache, wanted);
    } else {
        list_add_tail(&all_locks, &wanted->link);
    }
}

static void tell_waiters(void)
{
    __atomic_fetch_add(&nr_changes, 1, __ATOMIC_SEQ_CST);
    if (wait_queue_is_waited(&changed)) {
        wake_up_all(&changed);
    }
}

/* Does the owner of a lock wait, through however many others, for @owner? */
static bool is_deadlock(const void *owner, const void *blocker)
{
    struct lock_waiter *waiter;
    bool goes_on = true;

    while (goes_on) {
        goes_on = false;
        list_for_each_entry (waiter, &all_waiters, link) {
            if (waiter->owner == blocker) {
                blocker = waiter->blocker;
                goes_on = true;
                break;
            }
        }
        if (goes_on && blocker == owner) {
            return true;
        }
    }
    return false;
}

enum patience { LOCK_AT_ONCE, LOCK_WAITS };

/* Tries once. Return: 0 with @wanted consumed; -EAGAIN with the waiter queued if that is wanted. */
static int try_lock(struct record_lock *wanted, struct record_lock **spare,
                    struct lock_waiter *waiter, enum patience patience, u64 *round)
{
    const struct record_lock *conflict = NULL;
    int error = 0;

    mutex_lock(&table_mutex);
    if (wanted->range.type != F_UNLCK) {
        conflict = find_conflict(wanted);
    }
    if (conflict == NULL) {
        apply(wanted, spare);
    } else {
        error = -EAGAIN;
        if (patience == LOCK_WAITS && wanted->pid != -1 &&
            is_deadlock(wanted->owner, conflict->owner)) {
            error = -EDEADLK;
        } else if (patience == LOCK_WAITS) {
            waiter->blocker = conflict->owner;
            list_add_tail(&all_waiters, &waiter->link);
            *round = __atomic_load_n(&nr_changes, __ATOMIC_ACQUIRE);
        }
    }
    mutex_unlock(&table_mutex);
    return error;
}

static int wait_for_change(struct lock_waiter *waiter, u64 round)
{
    int error =
        wait_event_interruptible(&changed, __atomic_load_n(&nr_changes, __ATOMIC_ACQUIRE) != round);

    mutex_lock(&table_mutex);
    list_del(&waiter->link);
    mutex_unlock(&table_mutex);
    return error;
}

static int set_lock(struct record_lock *wanted, struct record_lock **spare, enum patience patience)
{
    struct lock_waiter waiter = {.owner = wanted->owner};
    u64 round = 0;

    for (;;) {
        int error = try_lock(wanted, spare, &waiter, patience, &round);

        if (error == 0) {
            tell_waiters();
            return 0;
        }
        if (error == -EAGAIN && patience == LOCK_WAITS) {
            error = wait_for_change(&waiter, round);
        }
        if (error != 0) {
            kmem_cache_free(lock_cache, wanted);
            return error;
        }
    }
}

/* --- fcntl ------------------------------------------------------------------------------------ */

static int base_of(struct file *file, s32 whence, s64 *base)
{
    *base = 0;
    switch (whence) {
    case SEEK_SET:
        return 0;
    case SEEK_CUR:
        *base = file->pos;
        return 0;
    case SEEK_END:
        return file->ops->size != NULL ? file->ops->size(file, base) : 0;
    default:
        return -EINVAL;
    }
}

static int range_of(struct file *file, const struct flock *flock, struct range *range)
{
    s64 start;
    int error = base_of(file, flock->l_whence, &start);

    if (error != 0) {
        return error;
    }
    if (__builtin_add_overflow(start, flock->l_start, &start)) {
        return -EOVERFLOW;
    }
    if (start < 0) {
        return -EINVAL;
    }
    range->type = (u32)flock->l_type;
    range->last = END_OF_FILE;
    if (flock->l_len > 0) {
        if (flock->l_len - 1 > S64_MAX - start) {
            return -EOVERFLOW;
        }
        range->last = (u64)(start + flock->l_len - 1);
    } else if (flock->l_len < 0) {
        if (start + flock->l_len < 0) {
            return -EINVAL;
        }
        range->last = (u64)(start - 1);
        start += flock->l_len;
    }
    range->start = (u64)start;
    return range->type <= F_UNLCK ? 0 : -EINVAL;
}

static s64 tell_conflict(const struct record_lock *wanted, struct flock *flock)
{
    const struct record_lock *conflict;

    mutex_lock(&table_mutex);
    conflict = find_conflict(wanted);
    flock->l_type = F_UNLCK;
    if (conflict != NULL) {
        bool is_endless = conflict->range.last == END_OF_FILE;

        flock->l_type = (s16)conflict->range.type;
        flock->l_whence = SEEK_SET;
        flock->l_start = (s64)conflict->range.start;
        flock->l_len = is_endless ? 0 : (s64)(conflict->range.last - conflict->range.start + 1);
        flock->l_pid = conflict->pid;
    }
    mutex_unlock(&table_mutex);
    return 0;
}

static s64 get_lock(struct record_lock *wanted, const struct flock *flock, u64 user_flock)
{
    struct flock told = *flock;

    if (wanted->range.type == F_UNLCK) {
        return -EINVAL;
    }
    (void)tell_conflict(wanted, &told);
    return copy_to_user(user_flock, &told, sizeof(told));
}

/* The file must have been opened for what the lock is for. */
static bool may_lock(const struct file *file, u32 type)
{
    return type == F_UNLCK || (type == F_RDLCK ? file_can_read(file) : file_can_write(file));
}

/* Takes the locks over, or frees them. */
static s64 change_lock(struct file *file, struct record_lock *wanted, struct record_lock *spare,
                       enum patience patience)
{
    s64 result = -EBADF;

    if (may_lock(file, wanted->range.type)) {
        /* Before the lock is there: a close that comes at once has to see it. */
        if (wanted->pid == -1) {
            WRITE_ONCE(file->has_record_locks, true);
        } else {
            WRITE_ONCE(current_process()->files->has_record_locks, true);
        }
        result = set_lock(wanted, &spare, patience);
    } else {
        kmem_cache_free(lock_cache, wanted);
    }
    if (spare != NULL) {
        kmem_cache_free(lock_cache, spare);
    }
    return result;
}

static bool is_ofd(u32 cmd)
{
    return cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
}

static s64 describe(struct file *file, u32 cmd, const struct flock *flock,
                    struct record_lock *wanted)
{
    s64 result = range_of(file, flock, &wanted->range);

    if (result == 0 && is_ofd(cmd) && flock->l_pid != 0) {
        result = -EINVAL;
    }
    wanted->owner = is_ofd(cmd) ? (const void *)file : (const void *)current_process()->files;
    wanted->pid = is_ofd(cmd) ? -1 : current_process()->pid;
    return result == 0 ? key_of(file, &wanted->key) : result;
}

s64 record_lock_fcntl(struct file *file, u32 cmd, u64 user_flock)
{
    struct record_lock *wanted, *spare;
    struct flock flock;
    s64 result = copy_from_user(&flock, user_flock, sizeof(flock));

    if (result != 0) {
        return result;
    }
    wanted = kmem_cache_alloc(lock_cache, ALLOC_ZERO);
    spare = kmem_cache_alloc(lock_cache, ALLOC_ZERO);
    result = wanted == NULL || spare == NULL ? -ENOMEM : describe(file, cmd, &flock, wanted);
    if (result == 0 && cmd != F_GETLK && cmd != F_OFD_GETLK) {
        return change_lock(file, wanted, spare,
                           cmd == F_SETLKW || cmd == F_OFD_SETLKW ? LOCK_WAITS : LOCK_AT_ONCE);
    }
    if (result == 0) {
        result = get_lock(wanted, &flock, user_flock);
    }
    if (wanted != NULL) {
        kmem_cache_free(lock_cache, wanted);
    }
    if (spare != NULL) {
        kmem_cache_free(lock_cache, spare);
    }
    return result;
}

/* --- the end of locks ------------------------------------------------------------------------- */

static void drop_locks(const void *owner, const struct lock_key *key)
{
    struct record_lock *lock, *next;

    mutex_lock(&table_mutex);
    list_for_each_entry_safe (lock, next, &all_locks, link) {
        if (lock->owner == owner && (key == NULL || is_about(lock, key))) {
            drop(lock);
        }
    }
    mutex_unlock(&table_mutex);
    tell_waiters();
}

void record_lock_closed(struct files *files, struct file *file)
{
    struct lock_key key;

    if (key_of(file, &key) == 0) {
        drop_locks(files, &key);
    }
}

void record_lock_forget(const void *owner)
{
    drop_locks(owner, NULL);
}
