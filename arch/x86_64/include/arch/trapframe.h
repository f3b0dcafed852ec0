/*
 * The registers of interrupted code, as every entry to the kernel saves them.
 *
 * Owns: struct trapframe and the accessors through which the rest of the kernel reads it. The order
 * is that of Linux's pt_regs, which signal frames and debuggers know. Read next: arch/thread.h.
 */
#ifndef COWBELL_ARCH_TRAPFRAME_H
#define COWBELL_ARCH_TRAPFRAME_H

#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_CODE32 0x23 /* only there because SYSRET counts from it */
#define SELECTOR_USER_DATA   0x2b
#define SELECTOR_USER_CODE   0x33
#define SELECTOR_TSS         0x40

/* Offsets for assembly; checked in arch/x86_64/trap.c. */
#define TF_R11      48
#define TF_RCX      88
#define TF_ORIG_RAX 120
#define TF_RIP      128
#define TF_CS       136
#define TF_EFLAGS   144
#define TF_RSP      152
#define TF_SIZE     168

#define EFLAGS_CARRY     (1 << 0)
#define EFLAGS_FIXED     (1 << 1)
#define EFLAGS_TRAP      (1 << 8)
#define EFLAGS_INTERRUPT (1 << 9)
#define EFLAGS_DIRECTION (1 << 10)
#define EFLAGS_NESTED    (1 << 14)
#define EFLAGS_RESUME    (1 << 16)
#define EFLAGS_ALIGNMENT (1 << 18)
/* What a program may set in its own flags: CF PF AF ZF SF TF DF OF RF AC (as Linux). */
#define EFLAGS_USER_MASK 0x50dd5

#ifndef __ASSEMBLER__

#include <lib/types.h>
#include <lib/compiler.h>

struct trapframe {
    u64 r15, r14, r13, r12, rbp, rbx;
    u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 orig_rax; /* the number of the system call; all ones if the entry was something else */
    u64 rip, cs, eflags, rsp, ss;
};

_Static_assert(sizeof(struct trapframe) == TF_SIZE, "struct trapframe is what the entries push");

/** TRAPFRAME_NO_SYSCALL - orig_rax of an entry by exception or interrupt. */
#define TRAPFRAME_NO_SYSCALL (~0ull)

static inline bool tf_is_user(const struct trapframe *tf)
{
    return (tf->cs & 3) != 0;
}

/** tf_is_syscall() - did the program enter by SYSCALL, and has the call not been forgotten? */
static inline bool tf_is_syscall(const struct trapframe *tf)
{
    return (s64)tf->orig_rax >= 0;
}

static inline u64 tf_syscall_nr(const struct trapframe *tf)
{
    return tf->orig_rax;
}

/** tf_forget_syscall() - after this no signal delivery restarts or changes the call. */
static inline void tf_forget_syscall(struct trapframe *tf)
{
    tf->orig_rax = TRAPFRAME_NO_SYSCALL;
}

/** tf_arg() - argument @index (0..5) of the system call. */
static inline u64 tf_arg(const struct trapframe *tf, unsigned int index)
{
    switch (index) {
    case 0:
        return tf->rdi;
    case 1:
        return tf->rsi;
    case 2:
        return tf->rdx;
    case 3:
        return tf->r10;
    case 4:
        return tf->r8;
    default:
        return tf->r9;
    }
}

static inline u64 tf_result(const struct trapframe *tf)
{
    return tf->rax;
}

static inline void tf_set_result(struct trapframe *tf, s64 result)
{
    tf->rax = (u64)result;
}

static inline u64 tf_ip(const struct trapframe *tf)
{
    return tf->rip;
}

static inline u64 tf_sp(const struct trapframe *tf)
{
    return tf->rsp;
}

static inline void tf_set_sp(struct trapframe *tf, u64 sp)
{
    tf->rsp = sp;
}

/** tf_frame_pointer() - where the interrupted code's chain of frames begins. */
static inline u64 tf_frame_pointer(const struct trapframe *tf)
{
    return tf->rbp;
}

/** tf_syscall_rewind() - back to the SYSCALL instruction, call number in place, to run it again. */
static inline void tf_syscall_rewind(struct trapframe *tf)
{
    tf->rax = tf->orig_rax;
    tf->rip -= 2; /* the length of SYSCALL */
}

/** tf_init_user() - the registers a program starts with: all zero but these two. */
static inline void tf_init_user(struct trapframe *tf, u64 ip, u64 sp)
{
    *tf = (struct trapframe){
        .orig_rax = TRAPFRAME_NO_SYSCALL,
        .rip = ip,
        .cs = SELECTOR_USER_CODE,
        .eflags = EFLAGS_INTERRUPT | EFLAGS_FIXED,
        .rsp = sp,
        .ss = SELECTOR_USER_DATA,
    };
}

#endif /* !__ASSEMBLER__ */
#endif
