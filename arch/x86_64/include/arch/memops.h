/*
 * Bulk memory operations in the machine's string instructions.
 *
 * They move eight bytes at a step where they can: under an emulator each step is an instruction,
 * on real hardware the microcode widens them anyway.
 */
#ifndef COWBELL_ARCH_MEMOPS_H
#define COWBELL_ARCH_MEMOPS_H

#include <lib/types.h>
#include <lib/compiler.h>

/** arch_memory_copy() - copy @len bytes upwards; the ranges may overlap only if @to < @from. */
static ALWAYS_INLINE void arch_memory_copy(void *to, const void *from, size_t len)
{
    size_t words = len >> 3;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    len &= 7;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
}

/** arch_memory_fill() - set @len bytes to @byte. */
static ALWAYS_INLINE void arch_memory_fill(void *to, u8 byte, size_t len)
{
    size_t words = len >> 3;
    u64 pattern = byte * 0x0101010101010101ull;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    len &= 7;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(len) : "a"(pattern) : "memory");
}

/** arch_page_clear() - zero the 4096 bytes at @page, which is page aligned. */
static ALWAYS_INLINE void arch_page_clear(void *page)
{
    size_t words = 512;
    __asm__ volatile("rep stosq" : "+D"(page), "+c"(words) : "a"(0ull) : "memory");
}

/** arch_page_copy() - copy 4096 bytes between page-aligned addresses. */
static ALWAYS_INLINE void arch_page_copy(void *to, const void *from)
{
    size_t words = 512;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

/**
 * arch_memory_write_back() - make memory itself hold what the caches have of it.
 * @from: page aligned, with @len
 */
static inline void arch_memory_write_back(const void *from, size_t len)
{
    enum { CACHE_LINE = 64 };

    /* In order behind earlier stores to the line (SDM 2A, CLFLUSH), and done before the fence. */
    for (size_t at = 0; at < len; at += CACHE_LINE) {
        __asm__ volatile("clflush %0" : : "m"(*((const char *)from + at)) : "memory");
    }
    __asm__ volatile("sfence" : : : "memory");
}

#endif
