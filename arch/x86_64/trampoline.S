/*
 * Where another CPU begins: in real mode, at a page below 1 MiB that smp.c has copied this code to.
 *
 * From real mode through protected mode to 64-bit mode, on page tables that map the first 2 MiB at
 * their own address and the kernel's half; then to the kernel, where the CPU finds out by its APIC
 * number which one it is. Several CPUs may come through here at the same time: nothing is written.
 */
#include <arch/layout.h>

#define OFFSET(symbol) ((symbol) - trampoline_start)
#define CR0_PROTECTION 0x1
#define CR0_PAGING     0x80000000
#define CR4_PAE        0x20
#define MSR_EFER       0xc0000080

    .section .rodata
    .balign 16
    .globl trampoline_start
    .code16
trampoline_start:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    xorl %ebx, %ebx
    movw %ax, %bx
    shll $4, %ebx /* the physical address of this page */
    lgdtl OFFSET(trampoline_gdt_pointer)
    movl %cr0, %eax
    orl $CR0_PROTECTION, %eax
    movl %eax, %cr0
    ljmpl *OFFSET(trampoline_jump32)

    .code32
trampoline_32:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %ss
    movl %cr4, %eax
    orl $CR4_PAE, %eax
    movl %eax, %cr4
    leal 0x1000(%ebx), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    movl OFFSET(trampoline_efer)(%ebx), %eax
    xorl %edx, %edx
    wrmsr
    movl %cr0, %eax
    orl $CR0_PAGING, %eax
    movl %eax, %cr0
    ljmpl *OFFSET(trampoline_jump64)(%ebx)

    .code64
trampoline_64:
    /* While the table is still mapped; the selector means data in the kernel's own one as well. */
    movw $0x10, %ax
    movw %ax, %ss
    movabsq $smp_first_instruction, %rax
    jmpq *%rax

    .balign 16
trampoline_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff /* 0x08: 32-bit code */
    .quad 0x00cf93000000ffff /* 0x10: data */
    .quad 0x00af9b000000ffff /* 0x18: 64-bit code */
trampoline_gdt_end:

/* The words below hold offsets here; smp.c adds the address of the copy. */
    .balign 4
    .globl trampoline_gdt_pointer, trampoline_jump32, trampoline_jump64, trampoline_efer
trampoline_gdt_pointer:
    .short trampoline_gdt_end - trampoline_gdt - 1
    .long OFFSET(trampoline_gdt)
    .balign 4
trampoline_jump32:
    .long OFFSET(trampoline_32)
    .short 0x08
    .balign 4
trampoline_jump64:
    .long OFFSET(trampoline_64)
    .short 0x18
    .balign 4
trampoline_efer:
    .long 0
    .globl trampoline_end
trampoline_end:

    .text
    .code64
smp_first_instruction:
    movq smp_kernel_root_phys(%rip), %rax
    movq %rax, %cr3
    xorl %ebp, %ebp
    /* Leaf 0xb has all 32 bits of the number, where it exists; leaf 1 the first eight. */
    xorl %eax, %eax
    cpuid
    cmpl $0xb, %eax
    jb 1f
    movl $0xb, %eax
    xorl %ecx, %ecx
    cpuid
    testl %ebx, %ebx
    jnz 2f
1:  movl $1, %eax
    cpuid
    shrl $24, %ebx
    movl %ebx, %edx
2:  xorl %edi, %edi
3:  cmpl smp_nr_cpus(%rip), %edi
    jae 5f
    leaq smp_apic_ids(%rip), %rax
    cmpl %edx, (%rax, %rdi, 4)
    je 4f
    incl %edi
    jmp 3b
4:  leaq smp_stacks(%rip), %rax
    movq (%rax, %rdi, 8), %rsp
    testq %rsp, %rsp
    jz 5f
    call smp_cpu_entry
5:  cli
    hlt
    jmp 5b

    .section .note.GNU-stack, "", @progbits
