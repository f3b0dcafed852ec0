/*
 * The address sanitizer's view of kernel memory: which bytes may be touched.
 *
 * The calls compile to nothing unless the build has SANITIZE=kasan; then the compiler also calls
 * into kernel/debug/kasan.c before each memory access.
 */
#ifndef MM_KASAN_H
#define MM_KASAN_H

#include <lib/types.h>

/* Why bytes may not be touched: what their shadow holds. 1..7 mean "only the first n of 8". */
enum kasan_poison_kind {
    KASAN_FREE_PAGE = 0xff,
    KASAN_FREE_OBJECT = 0xfb,
    KASAN_REDZONE = 0xfc,
    KASAN_GLOBAL_REDZONE = 0xf9,
};

#ifdef KASAN
#define KASAN_ENABLED 1
#else
#define KASAN_ENABLED 0
#endif

void kasan_shadow_init(void);
MUST_CHECK int kasan_shadow_cover(const void *addr, size_t size);
void kasan_shadow_poison(const void *addr, size_t size, enum kasan_poison_kind kind);
void kasan_shadow_unpoison(const void *addr, size_t size);
void kasan_shadow_check(const void *addr, size_t size, bool is_write, u64 caller);

/**
 * kasan_init() - map the shadow and start checking; once, after slab_init() and before the first
 * kernel stack is made.
 */
static inline void kasan_init(void)
{
    if (KASAN_ENABLED) {
        kasan_shadow_init();
    }
}

/**
 * kasan_cover() - give an area outside the direct map a shadow, unless it has one; nothing in it
 * may be touched until kasan_unpoison().
 * @addr: 32 KiB aligned, as @size is: the memory whose shadow fills whole pages
 *
 * Return: 0 or -ENOMEM.
 */
static inline MUST_CHECK int kasan_cover(const void *addr, size_t size)
{
    return KASAN_ENABLED ? kasan_shadow_cover(addr, size) : 0;
}

/**
 * kasan_poison() - forbid access to [addr, addr + size); both are multiples of 8.
 */
static inline void kasan_poison(const void *addr, size_t size, enum kasan_poison_kind kind)
{
    if (KASAN_ENABLED) {
        kasan_shadow_poison(addr, size, kind);
    }
}

/**
 * kasan_unpoison() - allow access to [addr, addr + size); @addr is a multiple of 8.
 */
static inline void kasan_unpoison(const void *addr, size_t size)
{
    if (KASAN_ENABLED) {
        kasan_shadow_unpoison(addr, size);
    }
}

/**
 * kasan_check() - check an access that uninstrumented code is about to make.
 */
static inline void kasan_check(const void *addr, size_t size, bool is_write)
{
    if (KASAN_ENABLED) {
        kasan_shadow_check(addr, size, is_write, (u64)__builtin_return_address(0));
    }
}

#endif
