/*
 * The frame that a signal handler finds on its stack, and the way back from it.
 *
 * The layout is Linux's: programs read and change the registers in it, unwinders know it by heart.
 * From high to low addresses: the FPU image at a multiple of 64, siginfo, ucontext, the restorer's
 * address at 8 below a multiple of 16, as if the handler had been called. Source: Linux's x86-64
 * uapi asm/sigcontext.h and asm/ucontext.h; Intel SDM 1, chapter 13.
 */
#include <arch/signal_frame.h>

#include <arch/thread.h>
#include <arch/trapframe.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
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
#define XFEATURES_LEGACY 3 /* x87 and SSE, all that FXSAVE has */

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
    struct arch_fpu_layout layout = arch_fpu_layout();

    return ALIGN_UP(sizeof(struct rt_sigframe) + FRAME_ALIGNMENT + FPU_ALIGNMENT +
                        fpu_frame_size(&layout),
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
    struct fpx_software software = {
        .magic1 = FP_XSTATE_MAGIC1,
        .extended_size = layout->size + sizeof(u32),
        .features = layout->features,
        .xstate_size = layout->size,
    };
    int error = copy_to_user(to, arch_fpu_save_current(), layout->size);

    if (error != 0 || !layout->has_xsave) {
        return error;
    }
    error = copy_to_user(to + FPX_SOFTWARE_OFFSET, &software, sizeof(software));
    return error != 0 ? error : put_user_u32(to + layout->size, FP_XSTATE_MAGIC2);
}

static void fill_context(struct sigcontext *sc, const struct trapframe *tf, u64 mask, u64 fpstate)
{
    const struct thread_signals *sig = &current_thread()->sig;

    *sc = (struct sigcontext){
        .r8 = tf->r8,
        .r9 = tf->r9,
        .r10 = tf->r10,
        .r11 = tf->r11,
        .r12 = tf->r12,
        .r13 = tf->r13,
        .r14 = tf->r14,
        .r15 = tf->r15,
        .rdi = tf->rdi,
        .rsi = tf->rsi,
        .rbp = tf->rbp,
        .rbx = tf->rbx,
        .rdx = tf->rdx,
        .rax = tf->rax,
        .rcx = tf->rcx,
        .rsp = tf->rsp,
        .rip = tf->rip,
        .eflags = tf->eflags,
        .cs = (u16)tf->cs,
        .ss = (u16)tf->ss,
        .err = sig->fault_error,
        .trapno = sig->fault_vector,
        .cr2 = sig->fault_address,
        .oldmask = mask,
        .fpstate = fpstate,
    };
}

/* Is @sp inside the alternate stack, which grows down to its base? */
static bool stays_on_stack(u64 sp, const struct signal_frame_request *request)
{
    return sp > request->stack_base && sp - request->stack_base <= request->stack_size;
}

int arch_signal_push_frame(struct trapframe *tf, const struct signal_frame_request *request)
{
    struct arch_fpu_layout layout = arch_fpu_layout();
    u64 top =
        request->enters_stack ? request->stack_base + request->stack_size : tf->rsp - RED_ZONE;
    u64 fpstate = ALIGN_DOWN(top - fpu_frame_size(&layout), (u64)FPU_ALIGNMENT);
    u64 sp = ALIGN_DOWN(fpstate - sizeof(struct rt_sigframe), (u64)FRAME_ALIGNMENT) - sizeof(u64);
    struct rt_sigframe frame = {
        .restorer = request->restorer,
        .uc = {.uc_flags =
                   UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (layout.has_xsave ? UC_FP_XSTATE : 0),
               .uc_stack = *request->altstack,
               .uc_sigmask = request->saved_mask},
        .info = *request->info,
    };

    if (request->restorer == 0) {
        return -EFAULT; /* there is nowhere to return to */
    }
    if (request->stack_base != 0 && !stays_on_stack(sp, request)) {
        return -EFAULT; /* below it is somebody else's memory */
    }
    fill_context(&frame.uc.uc_mcontext, tf, request->saved_mask, fpstate);
    if (!user_access_ok(sp, top - sp) || push_fpu(fpstate, &layout) != 0 ||
        copy_to_user(sp, &frame, sizeof(frame)) != 0) {
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
    struct fpx_software software;
    u32 magic2;

    *features = 0;
    if (!layout->has_xsave) {
        return 0;
    }
    if (copy_from_user(&software, from + FPX_SOFTWARE_OFFSET, sizeof(software)) != 0) {
        return -EFAULT;
    }
    if (software.magic1 != FP_XSTATE_MAGIC1 || software.xstate_size > layout->size ||
        software.xstate_size < FXSAVE_SIZE + XSAVE_HEADER ||
        software.xstate_size > software.extended_size) {
        return 0;
    }
    if (get_user_u32(&magic2, from + software.xstate_size) != 0) {
        return -EFAULT;
    }
    if (magic2 == FP_XSTATE_MAGIC2) {
        *features = software.features & layout->features;
    }
    return 0;
}

static int read_fpu_image(u8 *image, u64 from, const struct arch_fpu_layout *layout)
{
    u64 features;
    int error = read_fpu_features(from, layout, &features);

    if (error != 0) {
        return error;
    }
    size_t size = features != 0 ? layout->size : FXSAVE_SIZE;

    if (copy_from_user(image, from, size) != 0) {
        return -EFAULT;
    }
    if (layout->has_xsave) {
        u64 *present = (u64 *)(image + FXSAVE_SIZE);

        *present = features != 0 ? *present & features : XFEATURES_LEGACY;
    }
    return arch_fpu_load_current(image) != 0 ? -EFAULT : 0;
}

static int pop_fpu(u64 from)
{
    struct arch_fpu_layout layout = arch_fpu_layout();

    if (from == 0) {
        arch_fpu_reset_current();
        return 0;
    }
    u8 *image = kzalloc(layout.size, ALLOC_KERNEL);

    if (image == NULL) {
        return -ENOMEM;
    }
    int error = read_fpu_image(image, from, &layout);

    kfree(image);
    return error;
}

static void restore_registers(struct trapframe *tf, const struct sigcontext *sc)
{
    *tf = (struct trapframe){
        .r8 = sc->r8,
        .r9 = sc->r9,
        .r10 = sc->r10,
        .r11 = sc->r11,
        .r12 = sc->r12,
        .r13 = sc->r13,
        .r14 = sc->r14,
        .r15 = sc->r15,
        .rdi = sc->rdi,
        .rsi = sc->rsi,
        .rbp = sc->rbp,
        .rbx = sc->rbx,
        .rdx = sc->rdx,
        .rax = sc->rax,
        .rcx = sc->rcx,
        .rsp = sc->rsp,
        .rip = sc->rip,
        .eflags = (tf->eflags & ~(u64)EFLAGS_USER_MASK) | (sc->eflags & EFLAGS_USER_MASK),
        .orig_rax = TRAPFRAME_NO_SYSCALL,
        /* Only 64-bit user code exists; whatever the frame says, it returns there. */
        .cs = SELECTOR_USER_CODE,
        .ss = SELECTOR_USER_DATA,
    };
}

int arch_signal_pop_frame(struct trapframe *tf, struct signal_frame_restored *restored)
{
    struct ucontext uc;
    u64 frame = tf->rsp - sizeof(u64); /* the handler's return took the restorer's address */

    if (copy_from_user(&uc, frame + offsetof(struct rt_sigframe, uc), sizeof(uc)) != 0) {
        return -EFAULT;
    }
    if (pop_fpu(uc.uc_mcontext.fpstate) != 0) {
        return -EFAULT;
    }
    restore_registers(tf, &uc.uc_mcontext);
    *restored = (struct signal_frame_restored){
        .mask = uc.uc_sigmask,
        .altstack_sp = uc.uc_stack.ss_sp,
        .altstack_flags = uc.uc_stack.ss_flags,
        .altstack_size = uc.uc_stack.ss_size,
    };
    return 0;
}
