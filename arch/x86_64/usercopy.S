/*
 * The kernel's only loads from and stores to user memory.
 *
 * Each instruction that may fault has a line in the exception table: where it is, and where to go
 * on. Access is open (SMAP) only while it lasts. Interrupts may come in between; trap_common
 * closes the access for them and IRET opens it again.
 */
#include "smap.h"

#define EFAULT       14
#define XSAVE_HEADER 512

/* A fault at \at continues at \fixup; both relative to the entry itself. */
.macro EXCEPTION at, fixup
    .pushsection .exception_table, "a"
    .balign 4
    .long \at - .
    .long \fixup - .
    .popsection
.endm

    .text

/* size_t arch_copy_user(void *to, const void *from, size_t len): the bytes not copied. */
    .balign 16
    .globl arch_copy_user
arch_copy_user:
    USER_ACCESS_OPEN
    movq %rdx, %rcx
    shrq $3, %rcx
    andl $7, %edx
1:  rep movsq
    movl %edx, %ecx
2:  rep movsb
    movq %rcx, %rax
    USER_ACCESS_CLOSE
    ret
/* rcx words and the tail are left; what a word reached of the last page goes byte by byte. */
3:  leaq (%rdx, %rcx, 8), %rcx
4:  rep movsb
5:  movq %rcx, %rax
    USER_ACCESS_CLOSE
    ret
    EXCEPTION 1b, 3b
    EXCEPTION 2b, 5b
    EXCEPTION 4b, 5b

/* size_t arch_clear_user(void *to, size_t len): the bytes not cleared. */
    .balign 16
    .globl arch_clear_user
arch_clear_user:
    USER_ACCESS_OPEN
    movq %rsi, %rcx
    shrq $3, %rcx
    andl $7, %esi
    xorl %eax, %eax
1:  rep stosq
    movl %esi, %ecx
2:  rep stosb
    movq %rcx, %rax
    USER_ACCESS_CLOSE
    ret
3:  leaq (%rsi, %rcx, 8), %rcx
4:  rep stosb
5:  movq %rcx, %rax
    USER_ACCESS_CLOSE
    ret
    EXCEPTION 1b, 3b
    EXCEPTION 2b, 5b
    EXCEPTION 4b, 5b

/* int arch_load_user_*(value *, const void *from) */
.macro LOAD_USER name, instruction, store, register
    .balign 16
    .globl \name
\name:
    USER_ACCESS_OPEN
1:  \instruction (%rsi), %\register
    USER_ACCESS_CLOSE
    \store %\register, (%rdi)
    xorl %eax, %eax
    ret
    EXCEPTION 1b, access_failed
.endm

    LOAD_USER arch_load_user_u64, movq, movq, rdx
    LOAD_USER arch_load_user_u32, movl, movl, edx
    LOAD_USER arch_load_user_u8, movb, movb, dl

/* int arch_store_user_*(void *to, value) */
.macro STORE_USER name, instruction, register
    .balign 16
    .globl \name
\name:
    USER_ACCESS_OPEN
1:  \instruction %\register, (%rdi)
    USER_ACCESS_CLOSE
    xorl %eax, %eax
    ret
    EXCEPTION 1b, access_failed
.endm

    STORE_USER arch_store_user_u64, movq, rsi
    STORE_USER arch_store_user_u32, movl, esi

/* int arch_cmpxchg_user_u32(u32 *address, u32 expected, u32 desired, u32 *seen) */
    .balign 16
    .globl arch_cmpxchg_user_u32
arch_cmpxchg_user_u32:
    movl %esi, %eax
    USER_ACCESS_OPEN
1:  lock cmpxchgl %edx, (%rdi)
    USER_ACCESS_CLOSE
    movl %eax, (%rcx)
    xorl %eax, %eax
    ret
    EXCEPTION 1b, access_failed

access_failed:
    USER_ACCESS_CLOSE
    movl $-EFAULT, %eax
    ret

/* int arch_xsave_user(void *to, u64 features): in the standard format, the whole header written. */
    .balign 16
    .globl arch_xsave_user
arch_xsave_user:
    movq %rsi, %rax
    movq %rsi, %rdx
    shrq $32, %rdx
    xorl %ecx, %ecx
    USER_ACCESS_OPEN
    /* XSAVE keeps what it does not know of the header, which XRSTOR wants to be zero (SDM 1, 13.7). */
.irp word, 0, 8, 16, 24, 32, 40, 48, 56
1:  movq %rcx, XSAVE_HEADER+\word(%rdi)
    EXCEPTION 1b, access_failed
.endr
1:  xsave64 (%rdi)
    EXCEPTION 1b, access_failed
    USER_ACCESS_CLOSE
    xorl %eax, %eax
    ret

/* int arch_fxsave_user(void *to) */
    .balign 16
    .globl arch_fxsave_user
arch_fxsave_user:
    USER_ACCESS_OPEN
1:  fxsave64 (%rdi)
    EXCEPTION 1b, access_failed
    USER_ACCESS_CLOSE
    xorl %eax, %eax
    ret

/* int arch_xrstor_user(const void *from, u64 features) */
    .balign 16
    .globl arch_xrstor_user
arch_xrstor_user:
    movq %rsi, %rax
    movq %rsi, %rdx
    shrq $32, %rdx
    USER_ACCESS_OPEN
1:  xrstor64 (%rdi)
    EXCEPTION 1b, access_failed
    USER_ACCESS_CLOSE
    xorl %eax, %eax
    ret

/* int arch_fxrstor_user(const void *from) */
    .balign 16
    .globl arch_fxrstor_user
arch_fxrstor_user:
    USER_ACCESS_OPEN
1:  fxrstor64 (%rdi)
    EXCEPTION 1b, access_failed
    USER_ACCESS_CLOSE
    xorl %eax, %eax
    ret

/* int arch_copy_user_string(char *to, const char *from, size_t max, size_t *copied) */
    .balign 16
    .globl arch_copy_user_string
arch_copy_user_string:
    xorl %r8d, %r8d
    USER_ACCESS_OPEN
    jmp 3f
1:  movb (%rsi, %r8), %al
    movb %al, (%rdi, %r8)
    incq %r8
    testb %al, %al
    jz 4f
3:  cmpq %rdx, %r8
    jb 1b
4:  USER_ACCESS_CLOSE
    movq %r8, (%rcx)
    xorl %eax, %eax
    ret
    EXCEPTION 1b, 5f
5:  USER_ACCESS_CLOSE
    movq %r8, (%rcx)
    movl $-EFAULT, %eax
    ret

    .section .note.GNU-stack, "", @progbits
