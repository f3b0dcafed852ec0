/*
 * Names for compiler attributes, so that code says what it means.
 *
 * The lock attributes are checked by `clang -Wthread-safety` in `make lint` and empty elsewhere:
 * gcc does not know them.
 */
#ifndef LIB_COMPILER_H
#define LIB_COMPILER_H

#define MUST_CHECK    __attribute__((warn_unused_result))
#define NORETURN      __attribute__((noreturn))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE      __attribute__((noinline))
#define COLD          __attribute__((cold, noinline))
#define PACKED        __attribute__((packed))
#define ALIGNED(n)    __attribute__((aligned(n)))
#define UNUSED        __attribute__((unused))
#define USED          __attribute__((used))
#define WEAK          __attribute__((weak))
#define SECTION(name) __attribute__((section(name)))
#define FALLTHROUGH   __attribute__((fallthrough))

/* The format string is argument number @fmt, its first value argument number @args (from 1). */
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Keeps the compiler, but not the processor, from moving memory accesses across this point. */
#define barrier() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* A function that a sanitizer run-time calls must not be instrumented itself. */
#define NO_SANITIZE_ADDRESS __attribute__((no_sanitize_address))

#ifdef __clang__
#define THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define THREAD_ATTRIBUTE(x)
#endif

#define CAPABILITY(name)          THREAD_ATTRIBUTE(capability(name))
#define REQUIRES(...)             THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...)      THREAD_ATTRIBUTE(requires_shared_capability(__VA_ARGS__))
#define ACQUIRES(...)             THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define ACQUIRES_SHARED(...)      THREAD_ATTRIBUTE(acquire_shared_capability(__VA_ARGS__))
#define RELEASES(...)             THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define RELEASES_SHARED(...)      THREAD_ATTRIBUTE(release_shared_capability(__VA_ARGS__))
#define TRY_ACQUIRES(...)         THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define TRY_ACQUIRES_SHARED(...)  THREAD_ATTRIBUTE(try_acquire_shared_capability(__VA_ARGS__))
#define EXCLUDES(...)             THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS THREAD_ATTRIBUTE(no_thread_safety_analysis)

/* Build-time choices as constants: code says `if (DEBUG_ENABLED)`, so that both sides compile. */
#ifdef DEBUG
#define DEBUG_ENABLED 1
#else
#define DEBUG_ENABLED 0
#endif

#endif
