/*
 * Who waits in a userfaultfd context, and how they are woken: faulting threads, whose queue is the
 * message queue as well, and authors of events.
 *
 * A waiter is in exactly one of two lists: pending, until somebody has read its message, then
 * delivered. Waking takes it out; the waiter goes on when it is out, or takes itself out when a
 * signal comes first. All of that happens under the context's lock, so it is woken once and nobody
 * touches it afterwards (I10). Read next: uffd_fill.c.
 */
#include <arch/cpu.h>
#include <lib/assert.h>
#include <lib/string.h>
#include <mm/mm.h>
#include <mm/uffd_internal.h>
#include <mm/vma.h>
#include <proc/signal.h>
#include <proc/thread.h>

void uffd_waiter_queue(struct uffd_ctx *ctx, struct uffd_waiter *waiter)
{
    waiter->thread = current_thread();
    waiter->is_queued = 1;
    spin_lock(&ctx->lock);
    list_add_tail(&ctx->pending, &waiter->link);
    ctx->nr_waiters++;
    spin_unlock(&ctx->lock);
}

void uffd_waiter_leave(struct uffd_ctx *ctx, struct uffd_waiter *waiter)
{
    /*
     * A waker clears this last: then the lock is not needed. The list alone would not tell, for a
     * reader moves the waiter from one list to the other.
     */
    if (__atomic_load_n(&waiter->is_queued, __ATOMIC_ACQUIRE) != 0) {
        spin_lock(&ctx->lock);
        if (list_is_linked(&waiter->link)) {
            list_del(&waiter->link);
            ctx->nr_waiters--;
        }
        spin_unlock(&ctx->lock);
    }
}

void uffd_notify(struct uffd_ctx *ctx)
{
    wake_up_one_sync(&ctx->readers);
    wake_up_all(&ctx->pollers);
}

static void wake_in(struct uffd_ctx *ctx, struct list_node *list, u64 start, u64 end)
{
    struct uffd_waiter *waiter, *following;

    list_for_each_entry_safe (waiter, following, list, link) {
        if (waiter->address >= start && waiter->address < end) {
            (void)thread_wake(waiter->thread);
            ctx->nr_waiters--;
            list_del(&waiter->link);
            /* Last: from here on the waiter's thread may return and reuse its stack. */
            __atomic_store_n(&waiter->is_queued, 0, __ATOMIC_RELEASE);
        }
    }
}

void uffd_wake(struct uffd_ctx *ctx, u64 start, u64 end)
{
    /* U3: the entries were changed before, under the lock under which waiters are queued (C15). */
    memory_barrier();
    if (READ_ONCE(ctx->nr_waiters) == 0) {
        return;
    }
    spin_lock(&ctx->lock);
    wake_in(ctx, &ctx->pending, start, end);
    wake_in(ctx, &ctx->delivered, start, end);
    spin_unlock(&ctx->lock);
}

/* --- messages --------------------------------------------------------------------------------- */

bool uffd_has_message(const struct uffd_ctx *ctx)
{
    return READ_ONCE(ctx->pending.next) != &ctx->pending ||
           READ_ONCE(ctx->events.next) != &ctx->events;
}

/* C1, C2. */
static void fill_fault_message(const struct uffd_waiter *waiter, struct uffd_msg *msg)
{
    msg->event = UFFD_EVENT_PAGEFAULT;
    msg->arg.pagefault.flags = waiter->flags;
    msg->arg.pagefault.address = waiter->address;
    msg->arg.pagefault.ptid = waiter->ptid;
}

static void finish_event(struct uffd_ctx *ctx, struct uffd_event *event)
{
    event->state = UFFD_EVENT_READ;
    uffd_end_change(ctx);
    (void)thread_wake(event->thread);
}

bool uffd_take_message(struct uffd_ctx *ctx, struct uffd_msg *msg, struct uffd_event **fork)
{
    bool has_message = true;

    memset(msg, 0, sizeof(*msg));
    *fork = NULL;
    spin_lock(&ctx->lock);
    if (!list_is_empty(&ctx->pending)) {
        struct uffd_waiter *waiter = list_first_entry(&ctx->pending, struct uffd_waiter, link);

        fill_fault_message(waiter, msg);
        list_move_tail(&ctx->delivered, &waiter->link);
    } else if (!list_is_empty(&ctx->events)) {
        struct uffd_event *event = list_first_entry(&ctx->events, struct uffd_event, link);

        *msg = event->msg;
        list_del(&event->link);
        if (event->child != NULL) {
            event->state = UFFD_EVENT_TAKEN;
            *fork = event;
        } else {
            finish_event(ctx, event);
        }
    } else {
        has_message = false;
    }
    spin_unlock(&ctx->lock);
    return has_message;
}

void uffd_finish_fork(struct uffd_ctx *ctx, struct uffd_event *event, int error)
{
    spin_lock(&ctx->lock);
    if (error == 0) {
        finish_event(ctx, event);
    } else {
        event->state = UFFD_EVENT_QUEUED;
        list_add_head(&ctx->events, &event->link);
        (void)thread_wake(event->thread);
    }
    spin_unlock(&ctx->lock);
    if (error != 0) {
        uffd_notify(ctx);
    }
}

void uffd_count(struct uffd_ctx *ctx, u64 *nr_pending, u64 *nr_total)
{
    spin_lock(&ctx->lock);
    *nr_pending = list_length(&ctx->pending);
    *nr_total = *nr_pending + list_length(&ctx->delivered);
    spin_unlock(&ctx->lock);
}

/* --- authors of events ------------------------------------------------------------------------ */

/* Is the event over, one way or the other? A withdrawn one is still the author's to clean up. */
static bool leave_event(struct uffd_ctx *ctx, struct uffd_event *event)
{
    bool gives_up = READ_ONCE(ctx->is_released) || fatal_signal_pending(current_thread());
    bool is_over;

    spin_lock(&ctx->lock);
    if (event->state == UFFD_EVENT_QUEUED && gives_up) {
        list_del(&event->link);
        is_over = true;
    } else {
        is_over = event->state == UFFD_EVENT_READ;
    }
    spin_unlock(&ctx->lock);
    return is_over;
}

void uffd_post(struct uffd_ctx *ctx, struct uffd_event *event)
{
    event->thread = current_thread();
    event->state = UFFD_EVENT_QUEUED;
    spin_lock(&ctx->lock);
    list_add_tail(&ctx->events, &event->link);
    spin_unlock(&ctx->lock);
    uffd_notify(ctx);
    for (;;) {
        thread_prepare_sleep(SLEEP_KILLABLE);
        if (leave_event(ctx, event)) {
            break;
        }
        schedule();
    }
    thread_cancel_sleep();
    if (event->state != UFFD_EVENT_READ) {
        uffd_end_change(ctx);
        if (event->child != NULL) {
            /* Nobody will ever handle the child's faults. */
            uffd_release(event->child);
        }
    }
    uffd_put(ctx);
}

void uffd_wake_posters(struct uffd_ctx *ctx)
{
    struct uffd_event *event;

    spin_lock(&ctx->lock);
    list_for_each_entry (event, &ctx->events, link) {
        (void)thread_wake(event->thread);
    }
    spin_unlock(&ctx->lock);
}

void uffd_begin_change(struct uffd_ctx *ctx)
{
    atomic_u32_fetch_add(&ctx->nr_changing, 1);
}

void uffd_end_change(struct uffd_ctx *ctx)
{
    u32 old = atomic_u32_fetch_sub(&ctx->nr_changing, 1);

    ASSERT(old != 0, "a change ends once");
}

/* --- checks ----------------------------------------------------------------------------------- */

/* I10: who waits does so in a context that can still be asked, for a VMA that it watches. */
static void verify_waiter(struct uffd_ctx *ctx, const struct uffd_waiter *waiter)
{
    struct vma *vma;

    ASSERT(!READ_ONCE(ctx->is_released), "I10: closing a userfaultfd wakes who waits in it");
    mm_read_lock(ctx->mm);
    vma = vma_find_at(ctx->mm, waiter->address);
    ASSERT(vma != NULL && vma->uffd == ctx,
           "I10: unmapping and unregistering wake who waits for the pages");
    mm_read_unlock(ctx->mm);
}

void uffd_verify_waiters(struct uffd_ctx *ctx)
{
    const struct uffd_waiter *waiter;

    list_for_each_entry (waiter, &ctx->pending, link) {
        verify_waiter(ctx, waiter);
    }
    list_for_each_entry (waiter, &ctx->delivered, link) {
        verify_waiter(ctx, waiter);
    }
}
