/*
 * The only instructions that touch user memory from the kernel. A fault in them that cannot be
 * resolved continues at a fix-up address, found in the exception table.
 *
 * The caller has checked that the range lies in user space; kernel/mm/usercopy.c does that.
 */
#ifndef COWBELL_ARCH_USERCOPY_H
#define COWBELL_ARCH_USERCOPY_H

#include <lib/types.h>
#include <lib/compiler.h>

struct trapframe;

/** arch_copy_user() - copy between user and kernel memory. Return: bytes NOT copied, 0 if all. */
MUST_CHECK size_t arch_copy_user(void *to, const void *from, size_t len);

/** arch_clear_user() - write zeroes. Return: bytes NOT cleared. */
MUST_CHECK size_t arch_clear_user(void *to, size_t len);

/** arch_load_user_u32() and the other widths - one load. Return: 0 or -EFAULT. */
MUST_CHECK int arch_load_user_u32(u32 *value, const void *from);
MUST_CHECK int arch_load_user_u64(u64 *value, const void *from);
MUST_CHECK int arch_load_user_u8(u8 *value, const void *from);

/** arch_store_user_u32() and the other widths - one store. Return: 0 or -EFAULT. */
MUST_CHECK int arch_store_user_u32(void *to, u32 value);
MUST_CHECK int arch_store_user_u64(void *to, u64 value);

/**
 * arch_cmpxchg_user_u32() - atomic compare and exchange.
 * @seen:  out: the value that was there; equal to @expected if the exchange was done
 *
 * Return: 0 or -EFAULT (@seen is then unchanged).
 */
MUST_CHECK int arch_cmpxchg_user_u32(u32 *address, u32 expected, u32 desired, u32 *seen);

/**
 * arch_copy_user_string() - copy bytes up to and including a NUL.
 * @copied:  out: bytes stored in @to, the NUL included if it was found
 *
 * Return: 0 (found, or @max bytes copied without one), -EFAULT; @copied is set in either case.
 */
MUST_CHECK int arch_copy_user_string(char *to, const char *from, size_t max, size_t *copied);

/**
 * arch_xsave_user() - write the FPU registers of @features to a user's XSAVE area.
 * @to: 64-byte aligned
 *
 * The image is in the standard format; bytes that the format leaves to software keep their values.
 *
 * Return: 0 or -EFAULT.
 */
MUST_CHECK int arch_xsave_user(void *to, u64 features);

/** arch_fxsave_user() - the same for a CPU without XSAVE; @to is 16-byte aligned. */
MUST_CHECK int arch_fxsave_user(void *to);

/**
 * arch_xrstor_user() - load the FPU registers of @features from a user's XSAVE area.
 *
 * Return: 0, or -EFAULT if the area cannot be read, is not aligned, or holds what the CPU refuses;
 *         the registers are then undefined.
 */
MUST_CHECK int arch_xrstor_user(const void *from, u64 features);

/** arch_fxrstor_user() - the same from an FXSAVE area, for x87 and SSE. */
MUST_CHECK int arch_fxrstor_user(const void *from);

/**
 * arch_fixup_exception() - continue after a kernel access to user memory that cannot be done.
 *
 * Return: has the interrupted instruction a fix-up? If not, the fault is a bug of the kernel.
 */
MUST_CHECK bool arch_fixup_exception(struct trapframe *tf);

/** arch_has_fixup() - is there a fix-up for the instruction at @ip? */
bool arch_has_fixup(u64 ip);

#endif
