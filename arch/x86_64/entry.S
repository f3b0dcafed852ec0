/*
 * Into the kernel and out of it: exceptions and interrupts, SYSCALL, and the switch of stacks.
 *
 * Every entry leaves a struct trapframe at the top of the stack. While the kernel runs, GS holds
 * the CPU's record; the entry from user mode and the way back swap it. The stack is 8 bytes off
 * the 16-byte alignment of the C convention when C is called: nothing here uses SSE.
 */
#include "smap.h"
#include <arch/cpu.h>
#include <arch/trapframe.h>

#define MINUS_ENOSYS    -38
#define MSR_GS_BASE     0xc0000101
/* 8, 10 to 14, 17, 21, 29 and 30. */
#define ERROR_CODE_VECTORS 0x60227d00
#define USER_BITS       47      /* user addresses have these bits, and none above */
#define SLOW_FLAGS      0x10100 /* RF and TF: only IRET brings them back as they were */

/* Registers below the interrupt frame and orig_rax, rdi already there. */
.macro PUSH_REGISTERS_BELOW_RDI rax=%rax
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq \rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm

.macro POP_REGISTERS
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
.endm

    .section .text.entry, "ax"

/*
 * One stub for each vector, TRAP_STUB_SIZE apart: an error code (the CPU's or zero) and the number.
 */
    .balign 16
    .globl trap_stubs
trap_stubs:
.set vector, 0
.rept 256
    .balign 16
    /* The vectors for which the CPU pushes an error code (SDM 3A table 6-1, AMD 8.2). */
    .if !((1 << (vector & 31)) & ERROR_CODE_VECTORS) || (vector > 31)
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
.endr

/* Stack: vector, error code, rip, cs, flags, rsp, ss. */
    .balign 16
trap_common:
    testb $3, 24(%rsp)
    jz 1f
    swapgs
1:  cld
    /* The interrupted code may have been in a user copy, or a program may have set AC. */
    USER_ACCESS_CLOSE
    xchgq %rdi, (%rsp) /* the vector's slot is that of rdi */
    PUSH_REGISTERS_BELOW_RDI
    movq %rsp, %rsi
    movq TF_ORIG_RAX(%rsp), %rdx
    movq $-1, TF_ORIG_RAX(%rsp)
    call trap_dispatch
    testb $3, TF_CS(%rsp)
    jz return_to_kernel
    cli
    jmp return_to_user

return_to_kernel:
    POP_REGISTERS
    addq $8, %rsp
    iretq

/* Interrupts are off; %rsp points to the trapframe. */
    .globl return_to_user
return_to_user:
    movq %gs:CPU_WORK, %rax
    cmpl $0, (%rax)
    jne return_with_work
return_by_iret:
    /* IRET to a non-canonical address would fault with the user's GS already in place. */
    movq TF_RIP(%rsp), %rax
    shrq $USER_BITS, %rax
    jnz return_to_nowhere
    POP_REGISTERS
    addq $8, %rsp
    swapgs
    iretq

return_with_work:
    movq %rsp, %rdi
    call exit_to_user
    jmp return_by_iret

return_to_nowhere:
    movq %rsp, %rdi
    call trap_bad_user_address
    jmp return_with_work

/*
 * SYSCALL leaves the return address in rcx and the flags in r11, and changes no stack. Interrupts
 * are off (SYSCALL_CLEARED_FLAGS) until the kernel's stack is in use.
 */
    .balign 64
    .globl syscall_entry
syscall_entry:
    swapgs
    movq %rsp, %gs:CPU_USER_RSP
    movq %gs:CPU_KERNEL_STACK, %rsp
    pushq $SELECTOR_USER_DATA
    pushq %gs:CPU_USER_RSP
    pushq %r11
    pushq $SELECTOR_USER_CODE
    pushq %rcx
    pushq %rax
    pushq %rdi
    PUSH_REGISTERS_BELOW_RDI rax=$MINUS_ENOSYS
    sti
    movq %rsp, %rdi
    call syscall_dispatch
    cli
    movq %gs:CPU_WORK, %rax
    cmpl $0, (%rax)
    jne return_with_work
    /* SYSRET serves if rcx and r11 still are what it would bring back: no sigreturn, no exec. */
    movq TF_RCX(%rsp), %rcx
    cmpq TF_RIP(%rsp), %rcx
    jne return_by_iret
    movq TF_R11(%rsp), %r11
    cmpq TF_EFLAGS(%rsp), %r11
    jne return_by_iret
    testl $SLOW_FLAGS, %r11d
    jnz return_by_iret
    /* SYSRET to a non-canonical address faults in ring 0 on the user's stack (SDM 2B). */
    movq %rcx, %rax
    shrq $USER_BITS, %rax
    jnz return_to_nowhere
    POP_REGISTERS
    movq 32(%rsp), %rsp
    swapgs
    sysretq

/*
 * NMI, double fault and machine check come at any instruction, also between an entry and its
 * SWAPGS, and a program may have put anything into GS. So GS is loaded from the top of the
 * interrupt stack, where the CPU's record stands behind the trapframe, and put back afterwards.
 */
.macro IST_ENTRY name, handler
    .balign 16
    .globl \name
\name:
    .ifnc \name, trap_double_fault
    pushq $0
    .endif
    pushq %rdi
    PUSH_REGISTERS_BELOW_RDI
    cld
    movl $MSR_GS_BASE, %ecx
    rdmsr
    movl %eax, %r12d
    movl %edx, %r13d
    movq TF_SIZE(%rsp), %rax
    movq %rax, %rdx
    shrq $32, %rdx
    wrmsr
    movq %rsp, %rdi
    movq TF_ORIG_RAX(%rsp), %rsi
    movq $-1, TF_ORIG_RAX(%rsp)
    call \handler
    movl $MSR_GS_BASE, %ecx
    movl %r12d, %eax
    movl %r13d, %edx
    wrmsr
    POP_REGISTERS
    addq $8, %rsp
    iretq
.endm

    IST_ENTRY trap_nmi, nmi_dispatch
    IST_ENTRY trap_double_fault, double_fault_dispatch
    IST_ENTRY trap_machine_check, machine_check_dispatch

/*
 * u64 arch_switch_stack(u64 *save_rsp, u64 load_rsp, u64 prev)
 * Return: prev, now of the thread that comes back. A new thread's stack leads to one of the two
 * entries below instead.
 */
    .balign 16
    .globl arch_switch_stack
arch_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    movq %rdx, %rax
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

/* rbx: the function, r12: its argument. The zero that rbp holds ends backtraces. */
    .globl arch_thread_first_kernel
arch_thread_first_kernel:
    movq %rax, %rdi
    call sched_thread_entry
    sti
    movq %r12, %rdi
    call *%rbx
    ud2

/* The trapframe stands at %rsp. */
    .globl arch_thread_first_user
arch_thread_first_user:
    movq %rax, %rdi
    call sched_thread_entry
    cli
    jmp return_to_user

/* void arch_enter_user_frame(struct trapframe *tf): tf is at the top of the kernel stack. */
    .globl arch_enter_user_frame
arch_enter_user_frame:
    cli
    movq %rdi, %rsp
    jmp return_to_user

    .section .note.GNU-stack, "", @progbits
