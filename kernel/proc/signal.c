/*
 * Signal state: pending sets and their records, masks, actions.
 *
 * Owns: struct signal_pending, a thread's blocked mask. Tables of actions are sighand.c, sending is
 * signal_send.c, taking signal_deliver.c. Read next: signal_send.c.
 */
#include <proc/signal_internal.h>

#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <mm/usercopy.h>

static struct kmem_cache *record_cache;

void signal_init(void)
{
    record_cache = kmem_cache_create("signal_record", sizeof(struct signal_record), 0, NULL);
    sighand_init();
}

void signal_pending_init(struct signal_pending *pending)
{
    pending->set = 0;
    list_init(&pending->queue);
}

void signal_thread_init(struct thread *thread, const struct thread *parent)
{
    struct thread_signals *sig = &thread->sig;

    signal_pending_init(&sig->pending);
    list_init(&sig->forced.link);
    sig->altstack_flags = SS_DISABLE;
    if (parent != NULL) {
        sig->blocked = parent->sig.blocked;
    }
}

/* --- records --------------------------------------------------------------------------------- */

struct signal_record *signal_record_alloc(struct process *process, bool ignore_limit)
{
    struct user_account *account = process->account;

    if (cpu_in_interrupt() || account == NULL) {
        return NULL;
    }
    u32 used = atomic_u32_fetch_add(&account->nr_sigpending, 1) + 1;
    struct signal_record *record = NULL;

    if (ignore_limit || used <= rlimit_of(process, RLIMIT_SIGPENDING)) {
        record = kmem_cache_alloc(record_cache, ALLOC_ATOMIC);
    }
    if (record == NULL) {
        atomic_u32_fetch_sub(&account->nr_sigpending, 1);
        return NULL;
    }
    user_account_hold(account);
    list_init(&record->link);
    record->account = account;
    return record;
}

void signal_record_free(struct process *process, struct signal_record *record)
{
    if (list_is_linked(&record->link)) {
        list_del(&record->link);
    }
    if (record->account == NULL) {
        return;
    }
    if (cpu_in_interrupt()) {
        list_add_tail(&process->dead_records, &record->link);
        return;
    }
    atomic_u32_fetch_sub(&record->account->nr_sigpending, 1);
    user_account_put(record->account);
    kmem_cache_free(record_cache, record);
}

void signal_records_reap(struct process *process)
{
    while (unlikely(!list_is_empty(&process->dead_records))) {
        signal_record_free(process,
                           list_first_entry(&process->dead_records, struct signal_record, link));
    }
}

void signal_record_init(struct signal_record *record)
{
    memset(record, 0, sizeof(*record));
    list_init(&record->link);
}

void signal_record_cancel(struct process *process, struct signal_record *record)
{
    u64 flags = spin_lock_irqsave(&process->sig_lock);

    /* The pending bit may stay: taking a signal without a record is harmless and rare. */
    if (list_is_linked(&record->link)) {
        list_del(&record->link);
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
}

void signal_discard(struct process *process, struct signal_pending *pending, u64 set)
{
    struct signal_record *record, *following;

    if ((pending->set & set) == 0) {
        return;
    }
    pending->set &= ~set;
    list_for_each_entry_safe (record, following, &pending->queue, link) {
        if (signal_in(record->info.si_signo, set)) {
            signal_record_free(process, record);
        }
    }
}

void signal_discard_everywhere(struct process *process, u64 set)
{
    struct thread *thread;

    signal_discard(process, &process->pending, set);
    list_for_each_entry (thread, &process->threads, process_link) {
        signal_discard(process, &thread->sig.pending, set);
    }
}

void signal_flush_thread(struct thread *thread)
{
    struct process *process = thread->process;
    u64 flags = spin_lock_irqsave(&process->sig_lock);

    signal_discard(process, &thread->sig.pending, ~0UL);
    spin_unlock_irqrestore(&process->sig_lock, flags);
}

void signal_flush_process(struct process *process)
{
    u64 flags = spin_lock_irqsave(&process->sig_lock);

    signal_discard(process, &process->pending, ~0UL);
    signal_records_reap(process);
    spin_unlock_irqrestore(&process->sig_lock, flags);
}

/* --- taking one ------------------------------------------------------------------------------ */

/* What a handler sees of a signal whose record there was no memory for. */
static void signal_bare_info(int signal, struct siginfo *info)
{
    memset(info, 0, sizeof(*info));
    info->si_signo = signal;
    info->si_code = SI_KERNEL;
}

static void signal_collect(struct process *process, struct signal_pending *pending, int signal,
                           struct siginfo *info)
{
    struct signal_record *record, *following, *found = NULL;
    bool has_another = false;

    list_for_each_entry_safe (record, following, &pending->queue, link) {
        if (record->info.si_signo != signal) {
            continue;
        }
        if (found != NULL) {
            has_another = true;
            break;
        }
        found = record;
    }
    if (!has_another) {
        pending->set &= ~SIGNAL_BIT(signal);
    }
    if (found == NULL) {
        signal_bare_info(signal, info);
        return;
    }
    *info = found->info;
    if (found->account == NULL) {
        WRITE_ONCE(found->overrun_taken, info->timer.overrun);
    }
    signal_record_free(process, found);
}

static int signal_choose(u64 set)
{
    /* A fault is handled before anything else: its frame must show the faulting instruction. */
    if ((set & SIGNAL_MASK_SYNCHRONOUS) != 0) {
        set &= SIGNAL_MASK_SYNCHRONOUS;
    }
    return set == 0 ? 0 : __builtin_ctzl(set) + 1;
}

int signal_dequeue(struct thread *thread, u64 blocked, struct siginfo *info)
{
    struct process *process = thread->process;
    struct signal_pending *pending = &thread->sig.pending;
    int signal = signal_choose(pending->set & ~blocked);

    signal_records_reap(process);
    if (signal == 0) {
        pending = &process->pending;
        signal = signal_choose(pending->set & ~blocked);
    }
    if (signal != 0) {
        signal_collect(process, pending, signal, info);
    }
    return signal;
}

static ALWAYS_INLINE void recalc(struct thread *thread)
{
    const struct process *process = thread->process;
    u64 set = (thread->sig.pending.set | process->pending.set) & ~thread->sig.blocked;

    if (set != 0 || process->stop_pending || process->notify_continued) {
        arch_thread_work_set(&thread->arch, THREAD_WORK_SIGNAL);
    } else {
        arch_thread_work_clear(&thread->arch, THREAD_WORK_SIGNAL);
    }
}

void signal_recalc_locked(struct thread *thread)
{
    recalc(thread);
}

/* --- masks ----------------------------------------------------------------------------------- */

void signal_set_blocked(u64 mask)
{
    struct thread *thread = current_thread();
    struct process *process = thread->process;

    mask &= ~SIGNAL_MASK_UNBLOCKABLE;
    if (mask == thread->sig.blocked) {
        return;
    }
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    u64 newly_blocked = mask & ~thread->sig.blocked;

    thread->sig.blocked = mask;
    /* A sender may have counted on this thread. */
    if (unlikely((newly_blocked & process->pending.set) != 0)) {
        signal_retarget(process, thread, newly_blocked & process->pending.set);
    }
    recalc(thread);
    spin_unlock_irqrestore(&process->sig_lock, flags);
}

void signal_set_temp_mask(u64 mask)
{
    struct thread *thread = current_thread();

    thread->sig.saved_mask = thread->sig.blocked;
    thread->sig.restore_mask = true;
    signal_set_blocked(mask);
}

int signal_set_temp_mask_user(u64 user_mask, u64 size)
{
    u64 mask;

    if (user_mask == 0) {
        return 0;
    }
    if (size != sizeof(mask)) {
        return -EINVAL;
    }
    if (copy_from_user(&mask, user_mask, sizeof(mask)) != 0) {
        return -EFAULT;
    }
    signal_set_temp_mask(mask);
    return 0;
}

void signal_restore_mask_unless(bool interrupted)
{
    struct thread *thread = current_thread();

    if (thread->sig.restore_mask && !interrupted) {
        thread->sig.restore_mask = false;
        signal_set_blocked(thread->sig.saved_mask);
    }
}

bool signal_is_blocked_or_ignored(struct thread *thread, int signal)
{
    struct process *process = thread->process;
    u64 flags = spin_lock_irqsave(&process->sig_lock);
    bool is_so =
        signal_in(signal, thread->sig.blocked) || signal_handler(process, signal) == SIG_IGN;

    spin_unlock_irqrestore(&process->sig_lock, flags);
    return is_so;
}

/* --- the alternate stack --------------------------------------------------------------------- */

bool signal_is_on_altstack(u64 user_sp)
{
    const struct thread_signals *sig = &current_thread()->sig;

    return (sig->altstack_flags & SS_AUTODISARM) == 0 && user_sp > sig->altstack_sp &&
           user_sp - sig->altstack_sp <= sig->altstack_size;
}

int signal_set_altstack(u64 sp, u32 flags, u64 size, u64 user_sp)
{
    struct thread_signals *sig = &current_thread()->sig;
    u32 mode = flags & ~SS_AUTODISARM;

    if (signal_is_on_altstack(user_sp)) {
        return -EPERM;
    }
    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0) {
        return -EINVAL;
    }
    if (mode == SS_DISABLE) {
        sp = 0;
        size = 0;
    } else if (size < MINSIGSTKSZ) {
        return -ENOMEM;
    }
    sig->altstack_sp = sp;
    sig->altstack_size = size;
    sig->altstack_flags = flags;
    return 0;
}

/* --- actions --------------------------------------------------------------------------------- */

void signal_exec_reset(void)
{
    struct thread *thread = current_thread();

    thread->sig.altstack_sp = 0;
    thread->sig.altstack_size = 0;
    thread->sig.altstack_flags = SS_DISABLE;
}

/* The process's sig_lock is held; that of the table matters if it is common. */
static void change_action(struct sighand *sighand, int signal, const struct signal_action *new,
                          struct signal_action *old)
{
    struct signal_action *action = &sighand->actions[signal - 1];

    spin_lock(&sighand->lock);
    *old = *action;
    if (new != NULL) {
        *action = *new;
        action->mask &= ~SIGNAL_MASK_UNBLOCKABLE;
        if ((new->flags &SA_RESETHAND) != 0) {
            WRITE_ONCE(sighand->has_resethand, true);
        }
    }
    spin_unlock(&sighand->lock);
}

int signal_set_action(int signal, const struct signal_action *new, struct signal_action *old)
{
    struct process *process = current_process();
    struct signal_action before;
    u64 flags;

    if (new == NULL) {
        flags = spin_lock_irqsave(&process->sig_lock);
    } else if (!sighand_lock_own(process, &flags)) {
        return -ENOMEM;
    }
    change_action(process->sighand, signal, new, &before);
    if (new != NULL &&
        (new->handler == SIG_IGN ||
         (new->handler == SIG_DFL &&signal_in(signal, SIGNAL_MASK_DEFAULT_IGNORE)))) {
        /* POSIX: a pending signal that becomes ignored is discarded, blocked or not. */
        signal_discard_everywhere(process, SIGNAL_BIT(signal));
        signal_recalc_locked(current_thread());
    }
    spin_unlock_irqrestore(&process->sig_lock, flags);
    if (old != NULL) {
        *old = before;
    }
    return 0;
}

const char *signal_name(int signal)
{
    static const char *const names[] = {
        "signal 0",  "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",
        "SIGFPE",    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM",
        "SIGSTKFLT", "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",
        "SIGXCPU",   "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS",
    };

    return signal > 0 && (u64)signal < ARRAY_SIZE(names) ? names[signal] : "real-time signal";
}
