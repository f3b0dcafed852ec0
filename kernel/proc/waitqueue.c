/*
 * Wait queues and completions.
 *
 * The wait protocol: queue, announce the sleep, look at the condition, sleep. A waker makes the
 * condition true, then looks at the queue. The locks and the fences between these steps make one
 * of the two see what the other did. Read next: kernel/proc/sched.c.
 */
#include <proc/waitqueue.h>

#include <lib/assert.h>
#include <proc/signal.h>
#include <proc/thread.h>

void wait_queue_init(struct wait_queue *queue)
{
    spin_init(&queue->lock, RANK_WAIT_QUEUE);
    list_init(&queue->waiters);
}

void wake_up_one(struct wait_queue *queue)
{
    struct wait_entry *entry, *following;
    u64 flags;

    explore_point(EXPLORE_SLEEP);
    if (!wait_queue_is_waited(queue)) {
        return;
    }
    flags = spin_lock_irqsave(&queue->lock);
    list_for_each_entry_safe (entry, following, &queue->waiters, link) {
        if (entry->func(entry)) {
            break;
        }
    }
    spin_unlock_irqrestore(&queue->lock, flags);
}

void wake_up_all(struct wait_queue *queue)
{
    struct wait_entry *entry, *following;
    u64 flags;

    explore_point(EXPLORE_SLEEP);
    if (!wait_queue_is_waited(queue)) {
        return;
    }
    flags = spin_lock_irqsave(&queue->lock);
    list_for_each_entry_safe (entry, following, &queue->waiters, link) {
        (void)entry->func(entry);
    }
    spin_unlock_irqrestore(&queue->lock, flags);
}

void wake_up_one_sync(struct wait_queue *queue)
{
    struct thread *thread = current_thread();

    thread->wakes_sync = true;
    wake_up_one(queue);
    thread->wakes_sync = false;
}

bool wait_wake_thread(struct wait_entry *entry)
{
    bool is_woken = thread_wake(entry->thread);

    /* Last: once unlinked, the entry belongs to its thread, which may return and reuse it. */
    list_del(&entry->link);
    return is_woken;
}

bool wait_wake_thread_keep(struct wait_entry *entry)
{
    return thread_wake(entry->thread);
}

void wait_entry_init(struct wait_entry *entry, wait_func func)
{
    list_init(&entry->link);
    entry->thread = current_thread();
    entry->func = func != NULL ? func : wait_wake_thread;
}

void wait_entry_unlink_locked(struct wait_entry *entry)
{
    list_del(&entry->link);
}

void wait_queue_add(struct wait_queue *queue, struct wait_entry *entry)
{
    u64 flags = spin_lock_irqsave(&queue->lock);

    list_add_tail(&queue->waiters, &entry->link);
    spin_unlock_irqrestore(&queue->lock, flags);
}

void wait_queue_remove(struct wait_queue *queue, struct wait_entry *entry)
{
    u64 flags = spin_lock_irqsave(&queue->lock);

    list_del(&entry->link);
    spin_unlock_irqrestore(&queue->lock, flags);
}

int thread_signal_interrupts(enum sleep_kind kind)
{
    switch (kind) {
    case SLEEP_INTERRUPTIBLE:
        return -ERESTARTSYS;
    case SLEEP_KILLABLE:
    case SLEEP_STOPPED:
        return fatal_signal_pending(current_thread()) ? -EINTR : 0;
    default:
        return 0;
    }
}

int wait_step_prepare(struct wait_queue *queue, struct wait_entry *entry, enum sleep_kind kind)
{
    u64 flags = spin_lock_irqsave(&queue->lock);
    int error = thread_sleep_interrupted(kind);

    if (error != 0) {
        /*
         * Off the queue before the caller looks at its condition once more: a wake_up_one() that
         * comes later goes to somebody else.
         */
        list_del(&entry->link);
    } else {
        if (!list_is_linked(&entry->link)) {
            list_add_tail(&queue->waiters, &entry->link);
        }
        thread_prepare_sleep(kind);
    }
    spin_unlock_irqrestore(&queue->lock, flags);
    return error;
}

void wait_step_finish(struct wait_queue *queue, struct wait_entry *entry)
{
    thread_cancel_sleep();
    /*
     * The waker unlinks with its last two stores to the entry. If both are seen, it is done with
     * the entry and the lock is not needed.
     */
    if (__atomic_load_n(&entry->link.prev, __ATOMIC_ACQUIRE) != &entry->link ||
        __atomic_load_n(&entry->link.next, __ATOMIC_ACQUIRE) != &entry->link) {
        wait_queue_remove(queue, entry);
    }
}

void completion_init(struct completion *completion)
{
    wait_queue_init(&completion->queue);
    completion->nr_done = 0;
}

void completion_finish(struct completion *completion)
{
    struct wait_queue *queue = &completion->queue;
    u64 flags = spin_lock_irqsave(&queue->lock);
    struct wait_entry *entry, *following;

    completion->nr_done++;
    list_for_each_entry_safe (entry, following, &queue->waiters, link) {
        if (entry->func(entry)) {
            break;
        }
    }
    spin_unlock_irqrestore(&queue->lock, flags);
}

static bool completion_take(struct completion *completion)
{
    u64 flags = spin_lock_irqsave(&completion->queue.lock);
    bool is_done = completion->nr_done != 0;

    if (is_done) {
        completion->nr_done--;
    }
    spin_unlock_irqrestore(&completion->queue.lock, flags);
    return is_done;
}

void completion_wait(struct completion *completion)
{
    wait_event(&completion->queue, completion_take(completion));
}

int completion_wait_killable(struct completion *completion)
{
    return wait_event_killable(&completion->queue, completion_take(completion));
}
