/*
 * The first instructions: from 32-bit protected mode, where both boot protocols leave the CPU, to
 * boot_main() in the upper half of 64-bit mode.
 *
 * The tables built here map the first 4 GiB three times: at 0 (this code runs there while paging
 * goes on), in the direct map, and, as far as 2 GiB reach, at the address the image is linked to.
 * They have no protection; kernel_map_init() replaces them.
 */
#include <arch/layout.h>

#define BOOT_PROTOCOL_UNKNOWN    0
#define BOOT_PROTOCOL_MULTIBOOT2 1
#define BOOT_PROTOCOL_PVH        2
#define MULTIBOOT2_MAGIC         0x36d76289

#define PHYS(symbol) ((symbol) - KERNEL_IMAGE_BASE)

#define ENTRY_TABLE   0x03 /* present, writable */
#define ENTRY_2MIB    0x83
#define CR0_PAGING    0x80000001
#define CR4_PAE       0x20
#define MSR_EFER      0xc0000080
#define EFER_LME      0x100
#define CPUID_EXT     0x80000001
#define CPUID_EXT_LM  0x20000000
#define UART_DATA     0x3f8
#define UART_STATUS   0x3fd
#define UART_TX_EMPTY 0x20

    .section .boot.text, "ax"
    .code32

    .globl multiboot2_entry
multiboot2_entry:
    movl $BOOT_PROTOCOL_MULTIBOOT2, %ebp
    cmpl $MULTIBOOT2_MAGIC, %eax
    je boot_common
    movl $BOOT_PROTOCOL_UNKNOWN, %ebp
    jmp boot_common

    .globl pvh_entry
pvh_entry:
    movl $BOOT_PROTOCOL_PVH, %ebp

/* %ebp: the protocol; %ebx: physical address of what the loader tells us. */
boot_common:
    cli
    cld
    movl %ebx, %esi
    movl $PHYS(__boot_stack_top), %esp

    movl $0x80000000, %eax
    cpuid
    cmpl $CPUID_EXT, %eax
    jb no_long_mode
    movl $CPUID_EXT, %eax
    cpuid
    testl $CPUID_EXT_LM, %edx
    jz no_long_mode

    /* Four page directories side by side: 2048 entries of 2 MiB. */
    movl $PHYS(early_directories), %edi
    movl $ENTRY_2MIB, %eax
    xorl %edx, %edx
1:  movl %eax, (%edi)
    movl %edx, 4(%edi)
    addl $8, %edi
    addl $0x200000, %eax
    jnc 1b

    movl $PHYS(early_directories) + ENTRY_TABLE, %eax
    movl $PHYS(early_low), %edi
    movl %eax, (%edi)
    addl $0x1000, %eax
    movl %eax, 8(%edi)
    addl $0x1000, %eax
    movl %eax, 16(%edi)
    addl $0x1000, %eax
    movl %eax, 24(%edi)
    /* The last 2 GiB of the address space show the first 2 GiB of memory. */
    movl $PHYS(early_directories) + ENTRY_TABLE, PHYS(early_high) + 510 * 8
    movl $PHYS(early_directories) + 0x1000 + ENTRY_TABLE, PHYS(early_high) + 511 * 8
    movl $PHYS(early_low) + ENTRY_TABLE, PHYS(early_root)
    movl $PHYS(early_low) + ENTRY_TABLE, PHYS(early_root) + 256 * 8
    movl $PHYS(early_high) + ENTRY_TABLE, PHYS(early_root) + 511 * 8

    movl %cr4, %eax
    orl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $PHYS(early_root), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME, %eax
    wrmsr
    movl %cr0, %eax
    orl $CR0_PAGING, %eax
    movl %eax, %cr0

    lgdt PHYS(early_gdt_pointer)
    ljmp $0x08, $PHYS(long_mode)

no_long_mode:
    movl $PHYS(no_long_mode_text), %esi
1:  lodsb
    testb %al, %al
    jz 3f
    movb %al, %ah
    movw $UART_STATUS, %dx
2:  inb %dx, %al
    testb $UART_TX_EMPTY, %al
    jz 2b
    movb %ah, %al
    movw $UART_DATA, %dx
    outb %al, %dx
    jmp 1b
3:  hlt
    jmp 3b

    .code64
long_mode:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movabsq $__boot_stack_top, %rsp
    movl %ebp, %edi
    movl %esi, %esi
    /* No frame above this one: backtraces end at a zero frame pointer. */
    xorl %ebp, %ebp
    movabsq $boot_main, %rax
    callq *%rax
    ud2

    .balign 8
early_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 0x08: 64-bit code */
    .quad 0x00cf93000000ffff /* 0x10: data */
early_gdt_pointer:
    .short . - early_gdt - 1
    .long PHYS(early_gdt)

no_long_mode_text:
    .asciz "Cowbell needs a 64-bit CPU (long mode), which this machine does not have.\r\n"

    .section .init_pages, "aw", @nobits
    .balign 4096
early_root:
    .skip 4096
early_low:
    .skip 4096
early_high:
    .skip 4096
early_directories:
    .skip 4 * 4096

    .section .note.GNU-stack, "", @progbits
