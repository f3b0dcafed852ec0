/*
 * Atomic words and reference counts, over the compiler's C11 builtins.
 *
 * Plain loads and stores are relaxed; read-modify-write operations that return a value are fully
 * ordered, as a reader expects who has not thought about order; the `_relaxed` and `_release`
 * names say otherwise.
 */
#ifndef LIB_ATOMIC_H
#define LIB_ATOMIC_H

#include <lib/assert.h>
#include <lib/types.h>

struct atomic_u32 {
    u32 value;
};

struct atomic_s32 {
    s32 value;
};

struct atomic_u64 {
    u64 value;
};

struct atomic_s64 {
    s64 value;
};

#define ATOMIC_INIT(v)                                                                             \
    {                                                                                              \
        .value = (v)                                                                               \
    }

#define ATOMIC_OPERATIONS(kind, type)                                                              \
    static inline type atomic_##kind##_load(const struct atomic_##kind *a)                         \
    {                                                                                              \
        return __atomic_load_n(&a->value, __ATOMIC_RELAXED);                                       \
    }                                                                                              \
    static inline type atomic_##kind##_load_acquire(const struct atomic_##kind *a)                 \
    {                                                                                              \
        return __atomic_load_n(&a->value, __ATOMIC_ACQUIRE);                                       \
    }                                                                                              \
    static inline void atomic_##kind##_store(struct atomic_##kind *a, type v)                      \
    {                                                                                              \
        __atomic_store_n(&a->value, v, __ATOMIC_RELAXED);                                          \
    }                                                                                              \
    static inline void atomic_##kind##_store_release(struct atomic_##kind *a, type v)              \
    {                                                                                              \
        __atomic_store_n(&a->value, v, __ATOMIC_RELEASE);                                          \
    }                                                                                              \
    static inline type atomic_##kind##_fetch_add(struct atomic_##kind *a, type v)                  \
    {                                                                                              \
        return __atomic_fetch_add(&a->value, v, __ATOMIC_SEQ_CST);                                 \
    }                                                                                              \
    static inline type atomic_##kind##_fetch_sub(struct atomic_##kind *a, type v)                  \
    {                                                                                              \
        return __atomic_fetch_sub(&a->value, v, __ATOMIC_SEQ_CST);                                 \
    }                                                                                              \
    static inline void atomic_##kind##_add(struct atomic_##kind *a, type v)                        \
    {                                                                                              \
        __atomic_fetch_add(&a->value, v, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    static inline void atomic_##kind##_sub(struct atomic_##kind *a, type v)                        \
    {                                                                                              \
        __atomic_fetch_sub(&a->value, v, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    static inline void atomic_##kind##_inc(struct atomic_##kind *a)                                \
    {                                                                                              \
        __atomic_fetch_add(&a->value, 1, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    static inline void atomic_##kind##_dec(struct atomic_##kind *a)                                \
    {                                                                                              \
        __atomic_fetch_sub(&a->value, 1, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    /* True when this call brought the word to zero. */                                            \
    static inline bool atomic_##kind##_dec_and_test(struct atomic_##kind *a)                       \
    {                                                                                              \
        return __atomic_sub_fetch(&a->value, 1, __ATOMIC_SEQ_CST) == 0;                            \
    }                                                                                              \
    static inline type atomic_##kind##_exchange(struct atomic_##kind *a, type v)                   \
    {                                                                                              \
        return __atomic_exchange_n(&a->value, v, __ATOMIC_SEQ_CST);                                \
    }                                                                                              \
    /* Stores @v if the word holds *@expected; otherwise reports what it holds there. */           \
    static inline bool atomic_##kind##_compare_exchange(struct atomic_##kind *a, type *expected,   \
                                                        type v)                                    \
    {                                                                                              \
        return __atomic_compare_exchange_n(&a->value, expected, v, false, __ATOMIC_SEQ_CST,        \
                                           __ATOMIC_SEQ_CST);                                      \
    }                                                                                              \
    static inline type atomic_##kind##_fetch_or(struct atomic_##kind *a, type v)                   \
    {                                                                                              \
        return __atomic_fetch_or(&a->value, v, __ATOMIC_SEQ_CST);                                  \
    }                                                                                              \
    static inline type atomic_##kind##_fetch_and(struct atomic_##kind *a, type v)                  \
    {                                                                                              \
        return __atomic_fetch_and(&a->value, v, __ATOMIC_SEQ_CST);                                 \
    }

ATOMIC_OPERATIONS(u32, u32)
ATOMIC_OPERATIONS(s32, s32)
ATOMIC_OPERATIONS(u64, u64)
ATOMIC_OPERATIONS(s64, s64)

/* A full barrier for processors and compiler. */
static inline void memory_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void read_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void write_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Counts the owners of an object; the object dies when the count reaches zero. */
struct refcount {
    u32 count;
};

#define REFCOUNT_INIT(n)                                                                           \
    {                                                                                              \
        .count = (n)                                                                               \
    }

/* Far below the wrap, far above any honest count. */
#define REFCOUNT_LIMIT 0x7fffffffU

static inline void refcount_set(struct refcount *r, u32 n)
{
    __atomic_store_n(&r->count, n, __ATOMIC_RELAXED);
}

static inline u32 refcount_read(const struct refcount *r)
{
    return __atomic_load_n(&r->count, __ATOMIC_RELAXED);
}

/* The caller owns a reference already, so the object cannot die meanwhile. */
static inline void refcount_inc(struct refcount *r)
{
    u32 old = __atomic_fetch_add(&r->count, 1, __ATOMIC_RELAXED);

    ASSERT(old - 1 < REFCOUNT_LIMIT, "a reference is taken only from a live, uncorrupted count");
}

/* Takes a reference unless the object is dying; the memory itself must be known to stay. */
static inline MUST_CHECK bool refcount_inc_not_zero(struct refcount *r)
{
    u32 old = __atomic_load_n(&r->count, __ATOMIC_RELAXED);

    while (old != 0) {
        ASSERT(old < REFCOUNT_LIMIT, "a reference count stays below its limit");
        if (__atomic_compare_exchange_n(&r->count, &old, old + 1, true, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return false;
}

/* True for the last owner, who then destroys the object. */
static inline MUST_CHECK bool refcount_dec_and_test(struct refcount *r)
{
    u32 old = __atomic_fetch_sub(&r->count, 1, __ATOMIC_ACQ_REL);

    ASSERT(old - 1 < REFCOUNT_LIMIT, "a reference is dropped only by an owner");
    return old == 1;
}

/* Drops a reference that is not the last one. False, and nothing done, if it is. */
static inline MUST_CHECK bool refcount_dec_not_one(struct refcount *r)
{
    u32 old = __atomic_load_n(&r->count, __ATOMIC_RELAXED);

    while (old != 1) {
        ASSERT(old - 1 < REFCOUNT_LIMIT, "a reference is dropped only by an owner");
        if (__atomic_compare_exchange_n(&r->count, &old, old - 1, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return false;
}

#endif
