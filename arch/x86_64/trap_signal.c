/*
 * What a program gets for an exception: Linux's signal, si_code and si_addr for each.
 */
#include "machine.h"
#include "io.h"
#include <arch/platform.h>
#include <arch/thread.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <uapi/linux/signal.h>

/* Called by entry.S: the program is about to return to an address that no program can have. */
void trap_bad_user_address(struct trapframe *tf);

/* The x87 status word's exception bits (SDM 1, 8.1.3) and MXCSR's are in the same order. */
#define FPU_INVALID         BIT(0)
#define FPU_DENORMAL        BIT(1)
#define FPU_ZERO            BIT(2)
#define FPU_OVERFLOW        BIT(3)
#define FPU_UNDERFLOW       BIT(4)
#define FPU_PRECISION       BIT(5)
#define FXSAVE_CONTROL_WORD 0
#define FXSAVE_STATUS_WORD  2
#define FXSAVE_MXCSR        24

/* si_code for the first exception that is raised and not masked. */
static int fpu_code(u32 raised)
{
    if (raised & FPU_INVALID) {
        return FPE_FLTINV;
    }
    if (raised & FPU_ZERO) {
        return FPE_FLTDIV;
    }
    if (raised & FPU_OVERFLOW) {
        return FPE_FLTOVF;
    }
    if (raised & (FPU_UNDERFLOW | FPU_DENORMAL)) {
        return FPE_FLTUND;
    }
    return raised & FPU_PRECISION ? FPE_FLTRES : 0;
}

static int x87_code(void)
{
    const u8 *state = arch_fpu_save_current();
    u16 control = *(const u16 *)(state + FXSAVE_CONTROL_WORD);
    u16 status = *(const u16 *)(state + FXSAVE_STATUS_WORD);

    return fpu_code(status & ~control & 0x3f);
}

static int simd_code(void)
{
    const u8 *state = arch_fpu_save_current();
    u32 mxcsr = *(const u32 *)(state + FXSAVE_MXCSR);

    return fpu_code(mxcsr & ~(mxcsr >> 7) & 0x3f);
}

#define DR6_SINGLE_STEP BIT(14)

static u64 debug_status_take(void)
{
    u64 status;

    __asm__ volatile("movq %%dr6, %0" : "=r"(status));
    __asm__ volatile("movq %0, %%dr6" : : "r"(0xffff0ff0ul));
    return status;
}

void exception_to_signal(struct trapframe *tf, int vector, u64 error)
{
    switch (vector) {
    case VECTOR_DIVIDE:
        signal_force_fault(SIGFPE, FPE_INTDIV, tf->rip);
        return;
    case VECTOR_DEBUG:
        signal_force_fault(SIGTRAP, debug_status_take() & DR6_SINGLE_STEP ? TRAP_TRACE : TRAP_BRKPT,
                           tf->rip);
        return;
    case VECTOR_BREAKPOINT:
        signal_force(SIGTRAP);
        return;
    case VECTOR_INVALID_OPCODE:
        signal_force_fault(SIGILL, ILL_ILLOPN, tf->rip);
        return;
    case VECTOR_X87:
        signal_force_fault(SIGFPE, x87_code(), tf->rip);
        return;
    case VECTOR_SIMD:
        signal_force_fault(SIGFPE, simd_code(), tf->rip);
        return;
    case VECTOR_ALIGNMENT:
        signal_force_fault(SIGBUS, BUS_ADRALN, 0);
        return;
    case VECTOR_NO_SEGMENT:
    case VECTOR_STACK:
        signal_force(SIGBUS);
        return;
    default:
        signal_force(SIGSEGV);
        return;
    }
}

void trap_bad_user_address(struct trapframe *tf)
{
    irq_enable();
    signal_force(SIGSEGV);
    irq_disable();
}
