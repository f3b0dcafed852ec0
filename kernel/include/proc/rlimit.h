/*
 * Resource limits of a process, and the per-user counts that some of them bound.
 *
 * Processes whose limits nobody has changed share the table of the first one. A change gives a
 * process a table of its own, which it keeps to its end, and of which its children get copies: so
 * whoever holds a process may look at its limits without a lock.
 */
#ifndef PROC_RLIMIT_H
#define PROC_RLIMIT_H

#include <lib/types.h>
#include <lib/compiler.h>
#include <lib/atomic.h>
#include <uapi/linux/resource.h>

struct process;

/* What one user id uses, over all of its processes. Found through user_account_get(). */
struct user_account {
    u32 uid;                         /* [I] */
    struct refcount refs;            /* [x]; the last one goes under user_lock */
    struct user_account *next;       /* [user_lock] hash chain */
    struct atomic_u32 nr_threads;    /* [x] bounded by RLIMIT_NPROC */
    struct atomic_u32 nr_sigpending; /* [x] bounded by RLIMIT_SIGPENDING */
};

/**
 * rlimit_get() - soft limit of the current process.
 * @which: RLIMIT_*
 *
 * Context: any; takes no lock (a limit is one aligned word).
 * Return:  the limit in its own unit; RLIM_INFINITY in a kernel thread.
 */
u64 rlimit_get(unsigned which);

/** rlimit_of() - soft limit of any process; RLIM_INFINITY for NULL. */
u64 rlimit_of(const struct process *process, unsigned which);

/** rlimit_init_first() - give the first process Linux's defaults. */
void rlimit_init_first(struct process *process);

/** rlimit_fork() - a new process gets its parent's limits. Return: 0 or -ENOMEM. */
MUST_CHECK int rlimit_fork(struct process *child, const struct process *parent);

/** rlimit_release() - the last use of a process's limits is over. */
void rlimit_release(struct process *process);

/**
 * rlimit_change() - prlimit64 on one process: read the old limit, then set the new one.
 * @process: whose limits
 * @which:   RLIMIT_*, already checked
 * @new:     new limit or NULL
 * @old:     out: the limit before; may be NULL
 *
 * Context: thread; takes process->sig_lock.
 * Return:  0, -EINVAL (soft above hard, or NOFILE above its maximum), -EPERM (raising the hard
 *          limit without privilege), -ENOMEM. Nothing changes on error.
 */
MUST_CHECK int rlimit_change(struct process *process, unsigned which, const struct rlimit *new,
                             struct rlimit *old);

/** user_account_get() - account of @uid, created on first use; NULL when memory is short. */
struct user_account *user_account_get(u32 uid);

/** user_account_hold() - another reference to an account that the caller already holds. */
void user_account_hold(struct user_account *account);

/** user_account_put() - drop a reference. */
void user_account_put(struct user_account *account);

#endif
