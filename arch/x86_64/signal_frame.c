/*
 * The frame that a signal handler finds on its stack, and the way back from it.
 *
 * The layout is Linux's: programs read and change the registers in it, unwinders know it by heart.
 * From high to low addresses: the FPU image at a multiple of 64, siginfo, ucontext, the restorer's
 * address at 8 below a multiple of 16, as if the handler had been called. Source: Linux's x86-64
 * uapi asm/sigcontext.h and asm/ucontext.h; Intel SDM 1, chapter 13.
 */
#include <arch/signal_frame.h>
#include "user_words.h"

#include <arch/thread.h>
#include <arch/trapframe.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/usercopy.h>
#include <proc/thread.h>
#include <uapi/linux/signal.h>

#define NR_RESTART_SYSCALL 219
#define SYSCALL_LENGTH     2

#define RED_ZONE        128 /* psABI 3.2.2: below the stack pointer, still in use */
#define FPU_ALIGNMENT   64
#define FRAME_ALIGNMENT 16

#define UC_FP_XSTATE         1
#define UC_SIGCONTEXT_SS     2
#define UC_STRICT_RESTORE_SS 4

#define FP_XSTATE_MAGIC1 0x46505853
#define FP_XSTATE_MAGIC2 0x46505845
#define FXSAVE_SIZE      512
#define XSAVE_HEADER     64

/* The last 48 bytes of the FXSAVE area, which the CPU leaves to software. */
#define FPX_SOFTWARE_OFFSET 464
struct fpx_software {
    u32 magic1;
    u32 extended_size;
    u64 features;
    u32 xstate_size;
    u32 padding[7];
};
_Static_assert(sizeof(struct fpx_software) == FXSAVE_SIZE - FPX_SOFTWARE_OFFSET, "SDM 1, 10.5.1.1");

struct sigcontext {
    u64 r8, r9, r10, r11, r12, r13, r14, r15;
    u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
    u16 cs, gs, fs, ss;
    u64 err, trapno, oldmask, cr2;
    u64 fpstate;
    u64 reserved[8];
};
_Static_assert(sizeof(struct sigcontext) == 256, "struct sigcontext is 256 bytes");

struct ucontext {
    u64 uc_flags;
    u64 uc_link;
    struct sigaltstack_abi uc_stack;
    struct sigcontext uc_mcontext;
    u64 uc_sigmask;
};
_Static_assert(sizeof(struct ucontext) == 304, "the kernel's part of ucontext_t is 304 bytes");

struct rt_sigframe {
    u64 restorer;
    struct ucontext uc;
    struct siginfo info;
    u8 info_rest[SIGINFO_SIZE - sizeof(struct siginfo)];
};
_Static_assert(sizeof(struct rt_sigframe) == 440, "struct rt_sigframe is 440 bytes");

static u64 fpu_frame_size(const struct arch_fpu_layout *layout)
{
    return layout->has_xsave ? layout->size + sizeof(u32) : FXSAVE_SIZE;
}

u64 arch_signal_min_stack(void)
{
    const struct arch_fpu_layout *layout = arch_fpu_layout();

    return ALIGN_UP(sizeof(struct rt_sigframe) + FRAME_ALIGNMENT + FPU_ALIGNMENT +
                        fpu_frame_size(layout),
                    (u64)FRAME_ALIGNMENT);
}

const char *arch_elf_platform(void)
{
    return "x86_64";
}

void arch_syscall_restart_block(struct trapframe *frame)
{
    frame->rax = NR_RESTART_SYSCALL;
    frame->rip -= SYSCALL_LENGTH;
}

/* --- into the handler ------------------------------------------------------------------------ */

static int push_fpu(u64 to, const struct arch_fpu_layout *layout)
{
    int error = arch_fpu_store_user(to);

    if (error != 0 || !layout->has_xsave) {
        return error;
    }
    const struct fpx_software *software = (const void *)(to + FPX_SOFTWARE_OFFSET);
    u64 sizes = FP_XSTATE_MAGIC1 | (u64)(layout->size + sizeof(u32)) << 32;

    user_words_open();
    USER_WORD_STORE(&software->magic1, sizes, failed);
    USER_WORD_STORE(&software->features, layout->features, failed);
    USER_WORD_STORE(&software->xstate_size, layout->size, failed);
#pragma GCC unroll 3
    for (u32 i = 1; i < ARRAY_SIZE(software->padding); i += 2) {
        USER_WORD_STORE(&software->padding[i], 0, failed);
    }
    user_words_close();
    return put_user_u32(to + layout->size, FP_XSTATE_MAGIC2);

failed:
    user_words_close();
    return -EFAULT;
}

/* The access is open. Return: could everything be stored? */
static ALWAYS_INLINE bool store_registers(const struct sigcontext *sc, const struct trapframe *tf)
{
    USER_WORD_STORE(&sc->r8, tf->r8, failed);
    USER_WORD_STORE(&sc->r9, tf->r9, failed);
    USER_WORD_STORE(&sc->r10, tf->r10, failed);
    USER_WORD_STORE(&sc->r11, tf->r11, failed);
    USER_WORD_STORE(&sc->r12, tf->r12, failed);
    USER_WORD_STORE(&sc->r13, tf->r13, failed);
    USER_WORD_STORE(&sc->r14, tf->r14, failed);
    USER_WORD_STORE(&sc->r15, tf->r15, failed);
    USER_WORD_STORE(&sc->rdi, tf->rdi, failed);
    USER_WORD_STORE(&sc->rsi, tf->rsi, failed);
    USER_WORD_STORE(&sc->rbp, tf->rbp, failed);
    USER_WORD_STORE(&sc->rbx, tf->rbx, failed);
    USER_WORD_STORE(&sc->rdx, tf->rdx, failed);
    USER_WORD_STORE(&sc->rax, tf->rax, failed);
    USER_WORD_STORE(&sc->rcx, tf->rcx, failed);
    USER_WORD_STORE(&sc->rsp, tf->rsp, failed);
    USER_WORD_STORE(&sc->rip, tf->rip, failed);
    USER_WORD_STORE(&sc->eflags, tf->eflags, failed);
    /* With gs and fs, which are zero. */
    USER_WORD_STORE(&sc->cs, (u16)tf->cs | (u64)(u16)tf->ss << 48, failed);
    return true;

failed:
    return false;
}

static ALWAYS_INLINE bool store_context(const struct sigcontext *sc, const struct trapframe *tf,
                                        const struct signal_frame_request *request, u64 fpstate)
{
    const struct thread_signals *sig = &current_thread()->sig;

    if (!store_registers(sc, tf)) {
        return false;
    }
    USER_WORD_STORE(&sc->err, (u64)sig->fault_error, failed);
    USER_WORD_STORE(&sc->trapno, (u64)sig->fault_vector, failed);
    USER_WORD_STORE(&sc->oldmask, request->saved_mask, failed);
    USER_WORD_STORE(&sc->cr2, sig->fault_address, failed);
    USER_WORD_STORE(&sc->fpstate, fpstate, failed);
#pragma GCC unroll 8
    for (u32 i = 0; i < ARRAY_SIZE(sc->reserved); i++) {
        USER_WORD_STORE(&sc->reserved[i], 0, failed);
    }
    return true;

failed:
    return false;
}

static ALWAYS_INLINE bool store_info(const struct rt_sigframe *to, const struct siginfo *info)
{
#pragma GCC unroll 8
    for (u32 i = 0; i < sizeof(*info) / sizeof(u64); i++) {
        USER_WORD_STORE((const u64 *)&to->info + i, ((const u64 *)info)[i], failed);
    }
#pragma GCC unroll 16
    for (u32 i = 0; i < sizeof(to->info_rest) / sizeof(u64); i++) {
        USER_WORD_STORE((const u64 *)to->info_rest + i, 0, failed);
    }
    return true;

failed:
    return false;
}

/* Writes every byte of the frame at user address @sp. */
static int store_frame(u64 sp, const struct trapframe *tf,
                       const struct signal_frame_request *request, u64 fpstate, bool has_xsave)
{
    const struct rt_sigframe *to = (const void *)sp;
    const struct sigaltstack_abi *shown = request->altstack;
    u64 flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (has_xsave ? UC_FP_XSTATE : 0);

    user_words_open();
    USER_WORD_STORE(&to->restorer, request->restorer, failed);
    USER_WORD_STORE(&to->uc.uc_flags, flags, failed);
    USER_WORD_STORE(&to->uc.uc_link, 0, failed);
    USER_WORD_STORE(&to->uc.uc_stack.ss_sp, shown->ss_sp, failed);
    USER_WORD_STORE(&to->uc.uc_stack.ss_flags, shown->ss_flags, failed);
    USER_WORD_STORE(&to->uc.uc_stack.ss_size, shown->ss_size, failed);
    USER_WORD_STORE(&to->uc.uc_sigmask, request->saved_mask, failed);
    if (store_context(&to->uc.uc_mcontext, tf, request, fpstate) && store_info(to, request->info)) {
        user_words_close();
        return 0;
    }

failed:
    user_words_close();
    return -EFAULT;
}

/* Is @sp inside the alternate stack, which grows down to its base? */
static bool stays_on_stack(u64 sp, const struct signal_frame_request *request)
{
    return sp > request->stack_base && sp - request->stack_base <= request->stack_size;
}

int arch_signal_push_frame(struct trapframe *tf, const struct signal_frame_request *request)
{
    const struct arch_fpu_layout *layout = arch_fpu_layout();
    u64 top =
        request->enters_stack ? request->stack_base + request->stack_size : tf->rsp - RED_ZONE;
    u64 fpstate = ALIGN_DOWN(top - fpu_frame_size(layout), (u64)FPU_ALIGNMENT);
    u64 sp = ALIGN_DOWN(fpstate - sizeof(struct rt_sigframe), (u64)FRAME_ALIGNMENT) - sizeof(u64);

    if (request->restorer == 0) {
        return -EFAULT; /* there is nowhere to return to */
    }
    if (request->stack_base != 0 && !stays_on_stack(sp, request)) {
        return -EFAULT; /* below it is somebody else's memory */
    }
    if (!user_access_ok(sp, top - sp) || push_fpu(fpstate, layout) != 0 ||
        store_frame(sp, tf, request, fpstate, layout->has_xsave) != 0) {
        return -EFAULT;
    }
    tf->rdi = (u64)request->signal;
    tf->rsi = sp + offsetof(struct rt_sigframe, info);
    tf->rdx = sp + offsetof(struct rt_sigframe, uc);
    tf->rax = 0;
    tf->rip = request->handler;
    tf->rsp = sp;
    tf->cs = SELECTOR_USER_CODE;
    tf->ss = SELECTOR_USER_DATA;
    tf->eflags &= ~(u64)(EFLAGS_DIRECTION | EFLAGS_TRAP | EFLAGS_RESUME);
    return 0;
}

/* --- and back -------------------------------------------------------------------------------- */

/* What the image at @from claims to hold: the features to restore, 0 for an FXSAVE image. */
static int read_fpu_features(u64 from, const struct arch_fpu_layout *layout, u64 *features)
{
    const struct fpx_software *software = (const void *)(from + FPX_SOFTWARE_OFFSET);
    u64 sizes, claimed, xstate_size;
    u32 magic2;

    *features = 0;
    if (!layout->has_xsave) {
        return 0;
    }
    if (!user_access_ok(from, FXSAVE_SIZE)) {
        return -EFAULT;
    }
    user_words_open();
    USER_WORD_LOAD(sizes, &software->magic1, failed);
    USER_WORD_LOAD(claimed, &software->features, failed);
    USER_WORD_LOAD(xstate_size, &software->xstate_size, failed);
    user_words_close();
    xstate_size = (u32)xstate_size;
    if ((u32)sizes != FP_XSTATE_MAGIC1 || xstate_size > layout->size ||
        xstate_size < FXSAVE_SIZE + XSAVE_HEADER || xstate_size > sizes >> 32) {
        return 0;
    }
    if (get_user_u32(&magic2, from + xstate_size) != 0) {
        return -EFAULT;
    }
    if (magic2 == FP_XSTATE_MAGIC2) {
        *features = claimed & layout->features;
    }
    return 0;

failed:
    user_words_close();
    return -EFAULT;
}

static int pop_fpu(u64 from)
{
    const struct arch_fpu_layout *layout = arch_fpu_layout();
    u64 features;

    if (from == 0) {
        arch_fpu_reset_current();
        return 0;
    }
    int error = read_fpu_features(from, layout, &features);

    return error != 0 ? error : arch_fpu_load_user(from, features);
}

/* The access is open. Return: could everything be loaded? */
static ALWAYS_INLINE bool load_registers(struct trapframe *tf, const struct sigcontext *sc)
{
    u64 eflags;

    USER_WORD_LOAD(tf->r8, &sc->r8, failed);
    USER_WORD_LOAD(tf->r9, &sc->r9, failed);
    USER_WORD_LOAD(tf->r10, &sc->r10, failed);
    USER_WORD_LOAD(tf->r11, &sc->r11, failed);
    USER_WORD_LOAD(tf->r12, &sc->r12, failed);
    USER_WORD_LOAD(tf->r13, &sc->r13, failed);
    USER_WORD_LOAD(tf->r14, &sc->r14, failed);
    USER_WORD_LOAD(tf->r15, &sc->r15, failed);
    USER_WORD_LOAD(tf->rdi, &sc->rdi, failed);
    USER_WORD_LOAD(tf->rsi, &sc->rsi, failed);
    USER_WORD_LOAD(tf->rbp, &sc->rbp, failed);
    USER_WORD_LOAD(tf->rbx, &sc->rbx, failed);
    USER_WORD_LOAD(tf->rdx, &sc->rdx, failed);
    USER_WORD_LOAD(tf->rax, &sc->rax, failed);
    USER_WORD_LOAD(tf->rcx, &sc->rcx, failed);
    USER_WORD_LOAD(tf->rsp, &sc->rsp, failed);
    USER_WORD_LOAD(tf->rip, &sc->rip, failed);
    USER_WORD_LOAD(eflags, &sc->eflags, failed);
    tf->eflags = (tf->eflags & ~(u64)EFLAGS_USER_MASK) | (eflags & EFLAGS_USER_MASK);
    tf->orig_rax = TRAPFRAME_NO_SYSCALL;
    /* Only 64-bit user code exists; whatever the frame says, it returns there. */
    tf->cs = SELECTOR_USER_CODE;
    tf->ss = SELECTOR_USER_DATA;
    return true;

failed:
    return false;
}

/* From both ends of @uc inwards: its memory is known to be there before a register changes. */
static int load_frame(const struct ucontext *uc, struct trapframe *tf,
                      struct signal_frame_restored *restored)
{
    u64 flags, fpstate;

    user_words_open();
    USER_WORD_LOAD(restored->altstack_sp, &uc->uc_stack.ss_sp, failed);
    USER_WORD_LOAD(flags, &uc->uc_stack.ss_flags, failed);
    USER_WORD_LOAD(restored->altstack_size, &uc->uc_stack.ss_size, failed);
    USER_WORD_LOAD(restored->mask, &uc->uc_sigmask, failed);
    USER_WORD_LOAD(fpstate, &uc->uc_mcontext.fpstate, failed);
    user_words_close();
    restored->altstack_flags = (u32)flags;
    if (pop_fpu(fpstate) != 0) {
        return -EFAULT;
    }
    user_words_open();
    if (load_registers(tf, &uc->uc_mcontext)) {
        user_words_close();
        return 0;
    }

failed:
    user_words_close();
    return -EFAULT;
}

int arch_signal_pop_frame(struct trapframe *tf, struct signal_frame_restored *restored)
{
    u64 frame = tf->rsp - sizeof(u64); /* the handler's return took the restorer's address */
    u64 uc = frame + offsetof(struct rt_sigframe, uc);

    if (!user_access_ok(uc, sizeof(struct ucontext))) {
        return -EFAULT;
    }
    return load_frame((const struct ucontext *)uc, tf, restored);
}
