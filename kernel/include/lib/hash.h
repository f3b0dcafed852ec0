/* Hash functions for tables inside the kernel. They do not resist an attacker who picks the keys.
 */
#ifndef LIB_HASH_H
#define LIB_HASH_H

#include <lib/types.h>

/* The golden ratio's fraction in 64 bits: consecutive keys land far apart. */
#define HASH_MULTIPLIER 0x9e3779b97f4a7c15UL

/* Hashes a number to @bits bits, 1 <= @bits <= 64. */
static inline u64 hash_u64(u64 key, u32 bits)
{
    return ((key ^ (key >> 32)) * HASH_MULTIPLIER) >> (64 - bits);
}

static inline u64 hash_pointer(const void *ptr, u32 bits)
{
    return hash_u64((u64)ptr, bits);
}

static inline u64 hash_combine(u64 a, u64 b)
{
    return (a ^ (b + HASH_MULTIPLIER + (a << 6) + (a >> 2))) * HASH_MULTIPLIER;
}

/* FNV-1a over bytes. */
static inline u64 hash_bytes(const void *data, size_t len)
{
    const u8 *bytes = data;
    u64 hash = 0xcbf29ce484222325UL;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3UL;
    }
    return hash;
}

#endif
