/* Resource limits, and the counts of each user that they bound. */
#include <proc/rlimit.h>

#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <proc/itimer.h>
#include <proc/process.h>
#include <proc/spinlock.h>
#include <proc/thread.h>

#define USER_HASH_SIZE   32
#define LIMITS_SIZE      (RLIM_NLIMITS * sizeof(struct rlimit))
#define NR_OPEN_MAX      (1024UL * 1024)
#define STACK_DEFAULT    (8UL * MIB)
#define MEMLOCK_DEFAULT  (8UL * MIB)
#define MSGQUEUE_DEFAULT 819200UL

static struct spinlock user_lock = SPINLOCK_INIT(RANK_SIGHAND);
static struct user_account *user_hash[USER_HASH_SIZE];
static struct rlimit first_limits[RLIM_NLIMITS]; /* [I] from the first process on */

u64 rlimit_of(const struct process *process, unsigned which)
{
    return process == NULL ? RLIM_INFINITY : READ_ONCE(process->limits[which].rlim_cur);
}

u64 rlimit_get(unsigned which)
{
    return rlimit_of(current_process(), which);
}

void rlimit_init_first(struct process *process)
{
    u64 threads = process_max_threads() / 2;

    for (unsigned i = 0; i < RLIM_NLIMITS; i++) {
        first_limits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    }
    first_limits[RLIMIT_STACK].rlim_cur = STACK_DEFAULT;
    first_limits[RLIMIT_CORE].rlim_cur = 0;
    first_limits[RLIMIT_NPROC] = (struct rlimit){threads, threads};
    first_limits[RLIMIT_NOFILE] = (struct rlimit){1024, 4096};
    first_limits[RLIMIT_MEMLOCK] = (struct rlimit){MEMLOCK_DEFAULT, MEMLOCK_DEFAULT};
    first_limits[RLIMIT_SIGPENDING] = (struct rlimit){threads, threads};
    first_limits[RLIMIT_MSGQUEUE] = (struct rlimit){MSGQUEUE_DEFAULT, MSGQUEUE_DEFAULT};
    first_limits[RLIMIT_NICE] = (struct rlimit){0, 0};
    first_limits[RLIMIT_RTPRIO] = (struct rlimit){0, 0};
    process->limits = first_limits;
}

static struct rlimit *copy_limits(const struct rlimit *from)
{
    struct rlimit *limits = kmalloc(LIMITS_SIZE, ALLOC_KERNEL);

    return limits == NULL ? NULL : memcpy(limits, from, LIMITS_SIZE);
}

int rlimit_fork(struct process *child, const struct process *parent)
{
    struct rlimit *limits = READ_ONCE(parent->limits);

    if (unlikely(limits != first_limits)) {
        limits = copy_limits(limits);
    }
    child->limits = limits;
    return limits != NULL ? 0 : -ENOMEM;
}

void rlimit_release(struct process *process)
{
    if (unlikely(process->limits != first_limits)) {
        kfree(process->limits);
    }
}

/* Has the process a table of its own? Makes one if not. */
static int own_limits(struct process *process)
{
    if (READ_ONCE(process->limits) != first_limits) {
        return 0;
    }
    struct rlimit *limits = copy_limits(first_limits);

    if (limits == NULL) {
        return -ENOMEM;
    }
    u64 flags = spin_lock_irqsave(&process->sig_lock);

    if (process->limits == first_limits) {
        /* Readers have no lock: the content comes before the pointer. */
        __atomic_store_n(&process->limits, limits, __ATOMIC_RELEASE);
        limits = NULL;
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    kfree(limits);
    return 0;
}

int rlimit_change(struct process *process, unsigned which, const struct rlimit *new,
                  struct rlimit *old)
{
    bool may_raise = has_capability(CAP_SYS_RESOURCE);
    int result = 0;

    if (new != NULL) {
        if (new->rlim_cur > new->rlim_max) {
            return -EINVAL;
        }
        if (which == RLIMIT_NOFILE && new->rlim_max > NR_OPEN_MAX) {
            return -EPERM;
        }
    }
    if (new != NULL && own_limits(process) != 0) {
        return -ENOMEM;
    }
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    struct rlimit *limit = &process->limits[which];
    struct rlimit before = *limit;

    if (new != NULL) {
        if (new->rlim_max > limit->rlim_max && !may_raise) {
            result = -EPERM;
        } else {
            *limit = *new;
        }
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    if (result == 0 && old != NULL) {
        *old = before;
    }
    return result;
}

static struct user_account *user_account_find_locked(u32 uid)
{
    struct user_account *account = user_hash[uid % USER_HASH_SIZE];

    while (account != NULL && account->uid != uid) {
        account = account->next;
    }
    return account;
}

struct user_account *user_account_get(u32 uid)
{
    struct user_account *fresh = kzalloc(sizeof(*fresh), ALLOC_KERNEL);
    u64 flags = spin_lock_irqsave(&user_lock);
    struct user_account *account = user_account_find_locked(uid);

    if (account == NULL && fresh != NULL) {
        account = fresh;
        fresh = NULL;
        account->uid = uid;
        account->next = user_hash[uid % USER_HASH_SIZE];
        refcount_set(&account->refs, 1);
        user_hash[uid % USER_HASH_SIZE] = account;
    } else if (account != NULL) {
        refcount_inc(&account->refs);
    }
    spin_unlock_irqrestore(&user_lock, flags);
    kfree(fresh);
    return account;
}

void user_account_hold(struct user_account *account)
{
    refcount_inc(&account->refs);
}

void user_account_put(struct user_account *account)
{
    u64 flags;
    bool is_last;

    /* Only the last reference needs the lock, under which nobody finds the account any more. */
    if (refcount_dec_not_one(&account->refs)) {
        return;
    }
    flags = spin_lock_irqsave(&user_lock);
    is_last = refcount_dec_and_test(&account->refs);
    if (is_last) {
        struct user_account **chain = &user_hash[account->uid % USER_HASH_SIZE];

        while (*chain != account) {
            chain = &(*chain)->next;
        }
        *chain = account->next;
    }
    spin_unlock_irqrestore(&user_lock, flags);
    if (is_last) {
        kfree(account);
    }
}
