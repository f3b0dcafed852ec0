/*
 * Exceptions, after the entry code has saved the registers: which of them are the program's fault,
 * which the kernel's, and whose business they are.
 *
 * Runs with interrupts off until a handler turns them on. Read next: trap_signal.c, irq.c.
 */
#include "machine.h"
#include "io.h"
#include <arch/layout.h>
#include <arch/platform.h>
#include <arch/usercopy.h>
#include <debug/panic.h>
#include <lib/assert.h>
#include <mm/vmap.h>
#include <proc/thread.h>

_Static_assert(offsetof(struct trapframe, r11) == TF_R11, "assembly knows struct trapframe");
_Static_assert(offsetof(struct trapframe, rcx) == TF_RCX, "assembly knows struct trapframe");
_Static_assert(offsetof(struct trapframe, orig_rax) == TF_ORIG_RAX,
               "assembly knows struct trapframe");
_Static_assert(offsetof(struct trapframe, rip) == TF_RIP, "assembly knows struct trapframe");
_Static_assert(offsetof(struct trapframe, cs) == TF_CS, "assembly knows struct trapframe");
_Static_assert(offsetof(struct trapframe, eflags) == TF_EFLAGS, "assembly knows struct trapframe");
_Static_assert(offsetof(struct trapframe, rsp) == TF_RSP, "assembly knows struct trapframe");

/* Called by entry.S only. */
void trap_dispatch(u64 vector, struct trapframe *tf, u64 error);
void double_fault_dispatch(struct trapframe *tf, u64 error);
void machine_check_dispatch(struct trapframe *tf, u64 error);

static const char *const exception_names[NR_EXCEPTION_VECTORS] = {
    [VECTOR_DIVIDE] = "division error",
    [VECTOR_DEBUG] = "debug trap",
    [VECTOR_BREAKPOINT] = "breakpoint",
    [VECTOR_OVERFLOW] = "overflow",
    [VECTOR_BOUND] = "bound range",
    [VECTOR_INVALID_OPCODE] = "invalid opcode",
    [VECTOR_NO_FPU] = "FPU not available",
    [VECTOR_INVALID_TSS] = "invalid TSS",
    [VECTOR_NO_SEGMENT] = "segment not present",
    [VECTOR_STACK] = "stack-segment fault",
    [VECTOR_PROTECTION] = "general protection fault",
    [VECTOR_X87] = "x87 error",
    [VECTOR_ALIGNMENT] = "alignment check",
    [VECTOR_SIMD] = "SIMD error",
};

static const char *exception_name(u64 vector)
{
    return exception_names[vector] != NULL ? exception_names[vector] : "unknown exception";
}

static bool is_user_address(u64 address)
{
    return address < USER_SPACE_END;
}

static const char *access_name(u64 error)
{
    if ((error & PAGE_FAULT_EXECUTE) != 0) {
        return "executes";
    }
    return (error & PAGE_FAULT_WRITE) != 0 ? "writes to" : "reads from";
}

/* The kernel's own half never faults for a good reason. */
NORETURN static void kernel_page_fault(const struct trapframe *tf, u64 address, u64 error)
{
    if (vmap_is_guard(address)) {
        panic_with_frame(tf, "a kernel stack overflows (address %#lx)", address);
    }
    panic_with_frame(tf, "the kernel %s address %#lx, %s", access_name(error), address,
                     (error & PAGE_FAULT_PRESENT) != 0 ? "which is protected against that"
                                                       : "where nothing is mapped");
}

/* What the frame of the signal that follows shows: trapno, err and cr2 of the ucontext. */
static void note_fault(u64 vector, u64 error, u64 address)
{
    struct thread_signals *sig = &current_thread()->sig;

    sig->fault_vector = (u32)vector;
    sig->fault_error = (u32)error;
    sig->fault_address = address;
}

void arch_note_page_fault(u64 address, u32 access)
{
    /* A program must not learn from err what the kernel has mapped: all of it seems present. */
    note_fault(VECTOR_PAGE_FAULT, access | (is_user_address(address) ? 0 : PAGE_FAULT_PRESENT),
               address);
}

static void check_kernel_access(const struct trapframe *tf, u64 address, u64 error)
{
    if (!is_user_address(address)) {
        kernel_page_fault(tf, address, error);
    }
    if (!arch_has_fixup(tf->rip)) {
        panic_with_frame(tf,
                         "I12: the kernel %s user memory at %#lx, which only user copies may do",
                         access_name(error), address);
    }
}

/* Not inline, so that the commonest of all exceptions need not save what the others do. */
static NOINLINE void page_fault(struct trapframe *tf, u64 error)
{
    u64 address = cr2_read();

    if (unlikely(!tf_is_user(tf))) {
        check_kernel_access(tf, address, error);
    }
    /* CR2 is read: a page fault in an interrupt may overwrite it from here on. */
    irq_restore(tf->eflags);
    page_fault_entry(tf, address, (u32)error & 0x1f);
}

static void exception(u64 vector, struct trapframe *tf, u64 error)
{
    if (tf_is_user(tf)) {
        note_fault(vector, error, current_thread()->sig.fault_address);
        irq_enable();
        exception_to_signal(tf, (int)vector, error);
        return;
    }
    /* A non-canonical address in a user copy is a protection fault, not a page fault. */
    if ((vector == VECTOR_PROTECTION || vector == VECTOR_STACK) && arch_fixup_exception(tf)) {
        return;
    }
    panic_with_frame(tf, "%s in the kernel, error code %#lx", exception_name(vector), error);
}

void trap_dispatch(u64 vector, struct trapframe *tf, u64 error)
{
    if (vector == VECTOR_PAGE_FAULT) {
        page_fault(tf, error);
    } else if (vector >= NR_EXCEPTION_VECTORS) {
        irq_dispatch(vector, tf);
    } else {
        exception(vector, tf, error);
    }
}

void double_fault_dispatch(struct trapframe *tf, u64 error)
{
    u64 address = cr2_read();

    /* The guard page below a stack cannot be reported on that stack: this is what it becomes. */
    if (vmap_is_guard(address)) {
        panic_with_frame(tf, "a kernel stack overflows (address %#lx)", address);
    }
    panic_with_frame(tf, "double fault, last page fault at %#lx", address);
}

void machine_check_dispatch(struct trapframe *tf, u64 error)
{
    panic_with_frame(tf, "machine check: the hardware reports an error");
}
