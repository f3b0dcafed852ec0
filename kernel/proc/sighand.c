/*
 * Tables of signal actions, and who uses one together.
 *
 * Owns: struct sighand. There are two ways to share a table. After fork, parent and child use the
 * parent's until one of them changes an action: then it makes a copy for itself, and the other does
 * not see the change. With CLONE_SIGHAND the table is common (is_common), and changes are for all
 * who use it; it stays common, so fork copies it at once.
 *
 * SH1. A table that several processes use, and that is not common, does not change.
 * SH2. Nothing but its own threads, under its sig_lock, gives a process another table, or one more
 *      process a part in its table. So a thread that holds sig_lock and finds itself the only
 *      user may change the table.
 *
 * Changes of a common table are made under its own lock, since each process has a sig_lock of its
 * own; so are those by sigaction, since fork copies without sig_lock. An action with SA_RESETHAND
 * changes when it is delivered, where nothing can fail: a table that may hold one is copied by
 * fork. Read next: signal.c.
 */
#include <proc/signal_internal.h>

#include <lib/string.h>
#include <mm/slab.h>

static struct kmem_cache *sighand_cache;

void sighand_init(void)
{
    sighand_cache = kmem_cache_create("sighand", sizeof(struct sighand), 0, NULL);
}

/* Its actions are not set. */
static struct sighand *alloc(void)
{
    struct sighand *sighand = kmem_cache_alloc(sighand_cache, ALLOC_KERNEL);

    if (sighand != NULL) {
        refcount_set(&sighand->refs, 1);
        sighand->is_common = false;
        sighand->has_resethand = false;
        spin_init(&sighand->lock, RANK_SIGHAND);
    }
    return sighand;
}

static void copy_actions(struct sighand *to, struct sighand *from)
{
    u64 flags = spin_lock_irqsave(&from->lock);

    memcpy(to->actions, from->actions, sizeof(to->actions));
    to->has_resethand = from->has_resethand;
    spin_unlock_irqrestore(&from->lock, flags);
}

struct sighand *sighand_create(void)
{
    struct sighand *sighand = alloc();

    if (sighand != NULL) {
        memset(sighand->actions, 0, sizeof(sighand->actions));
    }
    return sighand;
}

struct sighand *sighand_fork(struct process *parent)
{
    u64 flags = spin_lock_irqsave(&parent->sig_lock);
    struct sighand *sighand = parent->sighand;

    refcount_inc(&sighand->refs);
    spin_unlock_irqrestore(&parent->sig_lock, flags);
    if (!READ_ONCE(sighand->is_common) && !READ_ONCE(sighand->has_resethand)) {
        return sighand;
    }
    struct sighand *copy = alloc();

    if (copy != NULL) {
        copy_actions(copy, sighand);
    }
    sighand_put(sighand);
    return copy;
}

/* SH1: may the table not change, because its users are to part before? */
static bool is_frozen(const struct sighand *sighand)
{
    return !sighand->is_common && refcount_read(&sighand->refs) > 1;
}

bool sighand_lock_own(struct process *process, u64 *flags)
{
    struct sighand *copy = NULL;

    *flags = spin_lock_irqsave(&process->sig_lock);
    while (is_frozen(process->sighand)) {
        if (copy != NULL) {
            struct sighand *shared = process->sighand;

            copy_actions(copy, shared);
            process->sighand = copy;
            copy = shared;
            break;
        }
        spin_unlock_irqrestore(&process->sig_lock, *flags);
        copy = alloc();
        if (copy == NULL) {
            return false;
        }
        *flags = spin_lock_irqsave(&process->sig_lock);
    }
    if (unlikely(copy != NULL)) {
        sighand_put(copy);
    }
    return true;
}

struct sighand *sighand_share(struct process *parent)
{
    u64 flags;

    if (!sighand_lock_own(parent, &flags)) {
        return NULL;
    }
    struct sighand *sighand = parent->sighand;

    WRITE_ONCE(sighand->is_common, true);
    refcount_inc(&sighand->refs);
    spin_unlock_irqrestore(&parent->sig_lock, flags);
    return sighand;
}

bool sighand_is_shared(const struct sighand *sighand)
{
    return sighand->is_common && refcount_read(&sighand->refs) > 1;
}

bool sighand_force_default(struct process *process, int signal)
{
    struct signal_action *action = &process->sighand->actions[signal - 1];

    if (action->handler == SIG_DFL) {
        return true;
    }
    if (is_frozen(process->sighand)) {
        return false;
    }
    action->handler = SIG_DFL;
    return true;
}

void sighand_take_common(struct sighand *sighand, int signal, struct signal_action *taken)
{
    spin_lock(&sighand->lock);
    signal_action_take(&sighand->actions[signal - 1], taken);
    spin_unlock(&sighand->lock);
}

void sighand_copy_ignored(struct sighand *to, struct sighand *from)
{
    u64 flags = spin_lock_irqsave(&from->lock);

    for (int i = 0; i < NSIG; i++) {
        if (from->actions[i].handler == SIG_IGN) {
            to->actions[i].handler = SIG_IGN;
        }
    }
    spin_unlock_irqrestore(&from->lock, flags);
}

struct sighand *sighand_fork_cleared(struct process *parent)
{
    struct sighand *sighand = sighand_create();

    if (sighand != NULL) {
        u64 flags = spin_lock_irqsave(&parent->sig_lock);

        sighand_copy_ignored(sighand, parent->sighand);
        spin_unlock_irqrestore(&parent->sig_lock, flags);
    }
    return sighand;
}

void sighand_put(struct sighand *sighand)
{
    if (refcount_dec_and_test(&sighand->refs)) {
        kmem_cache_free(sighand_cache, sighand);
    }
}
