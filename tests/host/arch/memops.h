/* Bulk memory operations for host tests, by the compiler's builtins. */
#ifndef HOST_ARCH_MEMOPS_H
#define HOST_ARCH_MEMOPS_H

#include <lib/types.h>

static inline void arch_memory_copy(void *to, const void *from, size_t len)
{
    /* Upwards, byte by byte, as the machine's string instructions define it. */
    for (size_t i = 0; i < len; i++) {
        ((volatile u8 *)to)[i] = ((const volatile u8 *)from)[i];
    }
}

static inline void arch_memory_fill(void *to, u8 byte, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        ((volatile u8 *)to)[i] = byte;
    }
}

static inline void arch_page_clear(void *page)
{
    __builtin_memset(page, 0, PAGE_SIZE);
}

static inline void arch_page_copy(void *to, const void *from)
{
    __builtin_memcpy(to, from, PAGE_SIZE);
}

#endif
