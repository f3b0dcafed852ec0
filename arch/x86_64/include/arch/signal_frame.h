/*
 * The user stack frame of a signal handler and the registers of a new program: the machine part
 * of signals and exec. The layout is Linux's struct rt_sigframe for x86-64.
 */
#ifndef ARCH_SIGNAL_FRAME_H
#define ARCH_SIGNAL_FRAME_H

#include <lib/types.h>
#include <lib/compiler.h>

struct trapframe;
struct siginfo;
struct sigaltstack_abi;

/* What a handler's frame is built from. */
struct signal_frame_request {
    int signal;
    const struct siginfo *info;
    u64 handler;
    u64 restorer;
    u64 saved_mask; /* what sigreturn restores */
    u64 stack_base; /* alternate stack that the handler must stay on, or 0 for any memory */
    u64 stack_size;
    bool enters_stack; /* start at the top of it; otherwise go on below the stack pointer */
    const struct sigaltstack_abi *altstack; /* what uc_stack shows */
};

/* What sigreturn found. */
struct signal_frame_restored {
    u64 mask;
    u64 altstack_sp;
    u32 altstack_flags;
    u64 altstack_size;
};

/**
 * arch_signal_push_frame() - write the frame and point the registers at the handler.
 * @frame:   user registers; changed on success only
 * @request: the signal
 *
 * Context: the current thread; copies to user memory, may sleep.
 * Return:  0, or -EFAULT if the frame does not fit into user memory.
 * Source:  System V x86-64 psABI 3.4.1; Linux x86 signal frame layout; Intel SDM 1, 13.4 (XSAVE
 *          area).
 */
MUST_CHECK int arch_signal_push_frame(struct trapframe *frame,
                                      const struct signal_frame_request *request);

/**
 * arch_signal_pop_frame() - restore the registers that the frame at the stack pointer holds.
 * @frame:    user registers; undefined on error
 * @restored: out: mask and alternate stack of the frame
 *
 * Return: 0, or -EFAULT (unreadable or impossible frame).
 */
MUST_CHECK int arch_signal_pop_frame(struct trapframe *frame,
                                     struct signal_frame_restored *restored);

/** arch_signal_min_stack() - bytes that a frame needs at most (AT_MINSIGSTKSZ). */
u64 arch_signal_min_stack(void);

/** arch_syscall_restart_block() - make the user registers call restart_syscall. */
void arch_syscall_restart_block(struct trapframe *frame);

/** arch_elf_platform() - the text of AT_PLATFORM. */
const char *arch_elf_platform(void);

#endif
