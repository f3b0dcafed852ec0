/*
 * Faults that a pager handles: put the thread into the context's queue, let go of the VMA, sleep.
 *
 * The order makes sure that no wake-up is lost (U3, C7): with the table locked, look at the entry
 * for the last time (C8), announce the sleep, queue; then let go of the table and the VMA, tell the
 * pager, sleep. Who resolves changes the entry under the table's lock before it wakes: so either
 * the fault sees the change, or the wake finds the fault. Without the lock the entry might be one
 * that is just being replaced, and a pager be asked for a page that is there. The VMA is held
 * meanwhile, so the context is there. Whatever ends the wait, the fault is looked at anew from the
 * start (C10). Closing the context needs the VMA as well, and wakes everybody after that: so who
 * finds the context still there may wait in it (C9). Read uffd_wait.c next.
 */
#include <mm/mm.h>
#include <mm/uffd_internal.h>
#include <mm/vm_fault.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <uapi/linux/signal.h>

/* C3 to C6: may this fault wait for a pager at all? */
static bool may_wait(const struct vm_fault *vmf, const struct uffd_ctx *ctx)
{
    if (ctx == NULL || (ctx->features & UFFD_FEATURE_SIGBUS) != 0) {
        return false;
    }
    if (!(vmf->flags & FAULT_FLAG_USER) && (ctx->flags & UFFD_USER_MODE_ONLY) != 0) {
        return false;
    }
    return (vmf->flags & FAULT_FLAG_ALLOW_RETRY) != 0 && !current_thread()->sig.exiting;
}

/* C11. */
static enum sleep_kind sleep_kind_of(u32 flags)
{
    if (flags & FAULT_FLAG_INTERRUPTIBLE) {
        return SLEEP_INTERRUPTIBLE;
    }
    return flags & FAULT_FLAG_KILLABLE ? SLEEP_KILLABLE : SLEEP_UNINTERRUPTIBLE;
}

static void fill_waiter(const struct vm_fault *vmf, const struct uffd_ctx *ctx, u32 reason,
                        struct uffd_waiter *waiter)
{
    bool is_exact = (ctx->features & UFFD_FEATURE_EXACT_ADDRESS) != 0;
    bool has_ptid = (ctx->features & UFFD_FEATURE_THREAD_ID) != 0;

    waiter->address = is_exact ? vmf->exact_addr : vmf->addr;
    waiter->flags = reason | (vmf->flags & FAULT_FLAG_WRITE ? UFFD_PAGEFAULT_FLAG_WRITE : 0);
    waiter->ptid = has_ptid ? (u32)current_thread()->tid : 0;
}

/* Table locked; the entry is the one that was classified. Unlocks it. */
static enum fault_step queue_and_unlock(struct vm_fault *vmf, u32 reason)
{
    struct fault_wait *wait = &vmf->info->wait;
    struct uffd_ctx *ctx = vmf->vma->uffd;

    fill_waiter(vmf, ctx, reason, &wait->waiter);
    uffd_get(ctx);
    wait->uffd = ctx;
    thread_prepare_sleep(sleep_kind_of(vmf->flags));
    uffd_waiter_queue(ctx, &wait->waiter);
    cursor_unlock(&vmf->cursor);
    return FAULT_STEP_UFFD;
}

/* Return: FAULT_STEP_DONE if the fault is to be queued, or what it comes to without a wait. */
static enum fault_step check_wait(struct vm_fault *vmf)
{
    struct fault_wait *wait = &vmf->info->wait;

    if (!may_wait(vmf, vmf->vma->uffd)) {
        vmf->si_code = BUS_ADRERR;
        return FAULT_STEP_SIGBUS;
    }
    if (vmf->flags & FAULT_FLAG_NOWAIT) {
        wait->uffd = NULL;
        wait->object = NULL;
        return FAULT_STEP_UFFD;
    }
    return FAULT_STEP_DONE;
}

enum fault_step fault_uffd(struct vm_fault *vmf, u32 reason)
{
    enum fault_step step = check_wait(vmf);

    if (step == FAULT_STEP_DONE) {
        step = vm_fault_lock(vmf);
    }
    return step == FAULT_STEP_DONE ? queue_and_unlock(vmf, reason) : step;
}

enum fault_step fault_uffd_write(struct vm_fault *vmf)
{
    enum fault_step step = check_wait(vmf);

    if (step == FAULT_STEP_DONE) {
        return queue_and_unlock(vmf, UFFD_PAGEFAULT_FLAG_WP);
    }
    cursor_unlock(&vmf->cursor);
    return step;
}

enum fault_outcome fault_uffd_sleep(struct fault_wait *wait, u32 flags)
{
    enum sleep_kind kind = sleep_kind_of(flags);
    struct uffd_ctx *ctx = wait->uffd;
    int interrupted = thread_sleep_interrupted(kind);

    if (interrupted == 0) {
        uffd_notify(ctx);
        schedule();
        interrupted = thread_sleep_interrupted(kind);
    }
    thread_cancel_sleep();
    uffd_waiter_leave(ctx, &wait->waiter);
    uffd_put(ctx);
    return interrupted != 0 ? FAULT_RETRY_SIGNAL : FAULT_OK;
}
