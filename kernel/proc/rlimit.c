/* Resource limits, and the counts of each user that they bound. */
#include <proc/rlimit.h>

#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/slab.h>
#include <proc/itimer.h>
#include <proc/process.h>
#include <proc/spinlock.h>
#include <proc/thread.h>

#define USER_HASH_SIZE   32
#define NR_OPEN_MAX      (1024UL * 1024)
#define STACK_DEFAULT    (8UL * MIB)
#define MEMLOCK_DEFAULT  (8UL * MIB)
#define MSGQUEUE_DEFAULT 819200UL

static struct spinlock user_lock = SPINLOCK_INIT(RANK_SIGHAND);
static struct user_account *user_hash[USER_HASH_SIZE];

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
        process->limits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    }
    process->limits[RLIMIT_STACK].rlim_cur = STACK_DEFAULT;
    process->limits[RLIMIT_CORE].rlim_cur = 0;
    process->limits[RLIMIT_NPROC] = (struct rlimit){threads, threads};
    process->limits[RLIMIT_NOFILE] = (struct rlimit){1024, 4096};
    process->limits[RLIMIT_MEMLOCK] = (struct rlimit){MEMLOCK_DEFAULT, MEMLOCK_DEFAULT};
    process->limits[RLIMIT_SIGPENDING] = (struct rlimit){threads, threads};
    process->limits[RLIMIT_MSGQUEUE] = (struct rlimit){MSGQUEUE_DEFAULT, MSGQUEUE_DEFAULT};
    process->limits[RLIMIT_NICE] = (struct rlimit){0, 0};
    process->limits[RLIMIT_RTPRIO] = (struct rlimit){0, 0};
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
