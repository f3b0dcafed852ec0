/*
 * The border between kernel and user mode, on the way out.
 *
 * The machine's return path comes here only if a bit of enum thread_work is set; otherwise a
 * return costs one test. Read next: signal_deliver.c.
 */
#include <arch/thread.h>
#include <mm/usercopy.h>
#include <proc/process.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>

/* The first return of a clone: CLONE_CHILD_SETTID asks for the id in the child's own memory. */
static void thread_finish_clone(struct thread *thread)
{
    u64 address = thread->sig.set_child_tid;

    arch_thread_work_clear(&thread->arch, THREAD_WORK_NOTIFY);
    thread->sig.set_child_tid = 0;
    if (address != 0 && put_user_u32(address, (u32)thread->tid) != 0) {
        return; /* clone(2) has no way to tell; the child finds the word unchanged */
    }
}

void exit_to_user(struct trapframe *frame)
{
    struct thread *thread = current_thread();

    for (;;) {
        u32 work = arch_thread_work(&thread->arch);

        if (work == 0) {
            return;
        }
        irq_enable();
        if ((work & THREAD_WORK_NOTIFY) != 0) {
            thread_finish_clone(thread);
        }
        if ((work & THREAD_WORK_SIGNAL) != 0) {
            signal_deliver(frame);
        }
        if ((work & THREAD_WORK_RESCHED) != 0) {
            sched_exit_to_user();
        }
        irq_disable();
    }
}
