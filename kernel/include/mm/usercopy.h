#ifndef MM_USERCOPY_H
#define MM_USERCOPY_H

#include <arch/layout.h>
#include <arch/usercopy.h>
#include <lib/compiler.h>
#include <lib/types.h>

/*
 * Copies between the kernel and the current process's memory. An address comes from user mode and
 * is trusted for nothing: each call checks the range against the user half and survives a missing
 * page. Nothing else in the kernel may dereference a user address.
 */

/**
 * user_access_ok() - does [addr, addr + len) lie in the user half of the address space?
 * It says nothing about mappings. A length of zero is fine at any address up to the end.
 */
static inline bool user_access_ok(u64 addr, size_t len)
{
    return len <= USER_SPACE_END && addr <= USER_SPACE_END - len;
}

/* An address that has been checked. The kernel never dereferences it itself. */
static inline void *user_pointer(u64 addr)
{
    return (void *)addr;
}

/**
 * copy_from_user_partial() - as copy_from_user(), telling how much arrived.
 * Return: the number of bytes copied, 0..@n.
 */
static inline MUST_CHECK size_t copy_from_user_partial(void *dst, u64 src, size_t n)
{
    return likely(user_access_ok(src, n)) ? n - arch_copy_user(dst, user_pointer(src), n) : 0;
}

/** copy_to_user_partial() - as copy_to_user(). Return: the number of bytes copied, 0..@n. */
static inline MUST_CHECK size_t copy_to_user_partial(u64 dst, const void *src, size_t n)
{
    return likely(user_access_ok(dst, n)) ? n - arch_copy_user(user_pointer(dst), src, n) : 0;
}

/**
 * copy_from_user() - copy @n bytes at user address @src to @dst.
 *
 * Context: thread; may sleep in the fault handler; no spin lock may be held.
 * Return:  0, or -EFAULT. After -EFAULT the bytes of @dst from the first missing one on are
 *          unspecified but for having been written by this call alone.
 */
MUST_CHECK int copy_from_user(void *dst, u64 src, size_t n);

/**
 * copy_to_user() - copy @n bytes at @src to user address @dst.
 *
 * Context: as copy_from_user().
 * Return:  0, or -EFAULT; bytes before the first bad page may have been written.
 */
MUST_CHECK int copy_to_user(u64 dst, const void *src, size_t n);

/** clear_user() - write @n zero bytes at @dst. Return: 0 or -EFAULT. */
MUST_CHECK int clear_user(u64 dst, size_t n);

/** clear_user_partial() - as clear_user(). Return: the number of bytes written, 0..@n. */
MUST_CHECK size_t clear_user_partial(u64 dst, size_t n);

/**
 * strncpy_from_user() - copy a string with its terminating zero byte.
 * @dst: at least @max bytes
 * @max: size of @dst in bytes, including the zero byte
 *
 * Return: the length without the zero byte, -EFAULT, or -ENAMETOOLONG if no zero byte stands in
 *         the first @max bytes.
 */
MUST_CHECK s64 strncpy_from_user(char *dst, u64 src, size_t max);

/**
 * get_user_u32() - read one value at @src; @value is written only on success.
 * Return: 0 or -EFAULT. The other widths are alike. An aligned value is read in one access.
 */
MUST_CHECK int get_user_u8(u8 *value, u64 src);
MUST_CHECK int get_user_u16(u16 *value, u64 src);
MUST_CHECK int get_user_u32(u32 *value, u64 src);
MUST_CHECK int get_user_u64(u64 *value, u64 src);

/** put_user_u32() - write one value at @dst. Return: 0 or -EFAULT. The other widths are alike. */
MUST_CHECK int put_user_u8(u64 dst, u8 value);
MUST_CHECK int put_user_u16(u64 dst, u16 value);
MUST_CHECK int put_user_u32(u64 dst, u32 value);
MUST_CHECK int put_user_u64(u64 dst, u64 value);

/**
 * cmpxchg_user_u32() - atomically replace @expected by @desired at @addr.
 * @seen: out: the value found; equal to @expected exactly if the exchange happened
 * Return: 0 or -EFAULT (then @seen is untouched).
 */
MUST_CHECK int cmpxchg_user_u32(u64 addr, u32 expected, u32 desired, u32 *seen);

#endif
