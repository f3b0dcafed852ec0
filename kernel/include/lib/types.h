/* Integer types, units of memory, and the small macros that every file uses. */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lib/compiler.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef s32 pid_t;

/* u64 is `unsigned long`, so that %lu and %lx print it. */
_Static_assert(__builtin_types_compatible_p(u64, unsigned long), "u64 must print with %lu");

#define U8_MAX  UINT8_MAX
#define U16_MAX UINT16_MAX
#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX
#define S32_MAX INT32_MAX
#define S32_MIN INT32_MIN
#define S64_MAX INT64_MAX
#define S64_MIN INT64_MIN

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1UL << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define KIB (1UL << 10)
#define MIB (1UL << 20)
#define GIB (1UL << 30)

#define NSEC_PER_USEC 1000UL
#define NSEC_PER_MSEC 1000000UL
#define NSEC_PER_SEC  1000000000UL

#define BIT(n) (1UL << (n))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* @a is a power of two. */
#define ALIGN_UP(x, a)   (((x) + ((__typeof__(x))(a)-1)) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a)-1)) == 0)

#define PAGE_ALIGN_UP(x)   ALIGN_UP(x, PAGE_SIZE)
#define PAGE_ALIGN_DOWN(x) ALIGN_DOWN(x, PAGE_SIZE)
#define PAGE_ALIGNED(x)    IS_ALIGNED(x, PAGE_SIZE)
#define PAGE_OFFSET(x)     ((u64)(x) & (PAGE_SIZE - 1))

#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))

#define min(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) min_a = (a);                                                                 \
        __typeof__(b) min_b = (b);                                                                 \
        min_a < min_b ? min_a : min_b;                                                             \
    })
#define max(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) max_a = (a);                                                                 \
        __typeof__(b) max_b = (b);                                                                 \
        max_a > max_b ? max_a : max_b;                                                             \
    })
#define clamp(x, lo, hi) min(max(x, lo), hi)

/* One access, neither split nor repeated nor left out by the compiler. */
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

static inline bool is_power_of_two(u64 x)
{
    return x != 0 && (x & (x - 1)) == 0;
}

/* The position of the highest set bit; @x is not zero. */
static inline u32 log2_floor(u64 x)
{
    return 63 - (u32)__builtin_clzll(x);
}

/* The smallest n with 2^n >= @x; @x is not zero. */
static inline u32 log2_ceil(u64 x)
{
    return x <= 1 ? 0 : log2_floor(x - 1) + 1;
}

#endif
