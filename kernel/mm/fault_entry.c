/*
 * The machine's page-fault trap, and what becomes of a fault that cannot be resolved.
 *
 * A user access is resolved or becomes a signal; a user copy of the kernel is resolved or ends at
 * its fix-up. The machine's part has made sure that a kernel access to a user address comes from
 * such a copy (I12); any other fault of the kernel is a broken kernel. Read fault.c next.
 */
#include <arch/platform.h>
#include <arch/trapframe.h>
#include <arch/usercopy.h>
#include <lib/assert.h>
#include <mm/fault.h>
#include <mm/mm.h>
#include <mm/vmstat.h>
#include <proc/process.h>
#include <proc/sched.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <uapi/linux/signal.h>

static u32 fault_flags_of(u32 access);
static void user_fault(u64 addr, u32 access);
static void user_fault_failed(u64 addr, u32 access, enum fault_outcome outcome,
                              struct fault_info *info);
static void kernel_fault(struct trapframe *tf, u64 addr, u32 access);
static bool may_try_again(void);

void page_fault_entry(struct trapframe *tf, u64 addr, u32 access)
{
    if (access & PAGE_FAULT_RESERVED) {
        panic("a page-table entry has a reserved bit set (address %#lx)", addr);
    }
    current_thread()->minflt++;
    vm_event(VM_EVENT_FAULT, 1);
    if (tf_is_user(tf)) {
        user_fault(addr, access);
    } else {
        kernel_fault(tf, addr, access);
    }
}

_Static_assert((u32)FAULT_FLAG_WRITE == (u32)PAGE_FAULT_WRITE &&
                   (u32)FAULT_FLAG_USER == (u32)PAGE_FAULT_USER &&
                   (u32)FAULT_FLAG_EXEC == (u32)PAGE_FAULT_EXECUTE,
               "an access word is taken over as it is");

static u32 fault_flags_of(u32 access)
{
    u32 passed_on = FAULT_FLAG_WRITE | FAULT_FLAG_USER | FAULT_FLAG_EXEC;
    u32 flags = (access & passed_on) | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE;

    /* A copy of the kernel's cannot be left halfway for a handler to run. */
    return access & PAGE_FAULT_USER ? flags | FAULT_FLAG_INTERRUPTIBLE : flags;
}

static void user_fault(u64 addr, u32 access)
{
    struct fault_info info;
    enum fault_outcome outcome = handle_mm_fault(current_mm(), addr, fault_flags_of(access), &info);

    if (unlikely(outcome != FAULT_OK)) {
        user_fault_failed(addr, access, outcome, &info);
    }
}

/* Not inline: hardly a fault comes here. @info is valid as @outcome says. */
static NOINLINE void user_fault_failed(u64 addr, u32 access, enum fault_outcome outcome,
                                       struct fault_info *info)
{
    while (outcome == FAULT_OOM && may_try_again()) {
        outcome = handle_mm_fault(current_mm(), addr, fault_flags_of(access), info);
    }
    arch_note_page_fault(addr, access);
    switch (outcome) {
    case FAULT_SIGSEGV:
        signal_force_fault(SIGSEGV, info->si_code, addr);
        break;
    case FAULT_SIGBUS:
        signal_force_fault(SIGBUS, info->si_code, addr);
        break;
    case FAULT_OOM:
        if (!fatal_signal_pending(current_thread())) {
            signal_force(SIGKILL);
        }
        break;
    case FAULT_OK:
    case FAULT_RETRY_SIGNAL:
    case FAULT_WOULD_WAIT:
        /* The instruction runs again, or a signal is delivered on the way to it. */
        break;
    }
}

/*
 * Somebody was told to end, which takes a while. The faulting thread gives way and tries again,
 * unless it is the one that ends.
 */
static bool may_try_again(void)
{
    if (fatal_signal_pending(current_thread()) || !oom_kill_largest()) {
        return false;
    }
    sched_yield_current();
    return !fatal_signal_pending(current_thread());
}

static void kernel_fault(struct trapframe *tf, u64 addr, u32 access)
{
    struct thread *thread = current_thread();
    struct fault_info info;
    enum fault_outcome outcome;

    if (addr >= TASK_SIZE) {
        panic("the kernel %s address %#lx, where nothing is mapped (ip %#lx)",
              access & PAGE_FAULT_WRITE ? "writes to" : "reads from", addr, tf_ip(tf));
    }
    if (thread->no_fault == 0 && thread->mm != NULL) {
        ASSERT(irqs_enabled(), "user memory is copied where the fault handler may sleep");
        do {
            outcome = handle_mm_fault(thread->mm, addr, fault_flags_of(access), &info);
        } while (outcome == FAULT_OOM && may_try_again());
        if (outcome == FAULT_OK) {
            return;
        }
    }
    if (!arch_fixup_exception(tf)) {
        BUG("the fix-up of an instruction does not go away");
    }
}
