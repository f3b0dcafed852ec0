/*
 * The in-kernel test framework: how a suite under tests/kernel declares its tests.
 *
 * Owns: the TEST macros, the EXPECT/ASSERT macros and the record that the linker collects. It must
 * not be included outside tests/kernel. Read next: tests/kernel/ktest.c, which runs the tests.
 */
#ifndef COWBELL_DEBUG_KTEST_H
#define COWBELL_DEBUG_KTEST_H

#include <lib/compiler.h>
#include <lib/types.h>
#include <lib/errno.h>

/** enum ktest_flags - what a test asks of the runner. */
enum ktest_flags {
    KTEST_PLAIN = 0,
    /** Run the body again with its 1st, 2nd, … allocation failing until none fails any more. */
    KTEST_FAIL_EACH_ALLOCATION = 1,
    /** Run only where time advances with the guest's instructions; skipped elsewhere. */
    KTEST_COUNTED = 2,
    /** Run only on a machine with a single CPU; skipped elsewhere. */
    KTEST_ONE_CPU = 4,
    /** Run only where there is a direct device (kernel option `dax`); skipped elsewhere. */
    KTEST_DIRECT = 8,
};

/** struct ktest - one test, collected by the linker in the section .ktests. All fields [I]. */
struct ktest {
    const char *suite;
    const char *name;
    const char *file;
    void (*body)(void);
    u32 line;
    u32 flags;
    u64 limit_ns; /* guest time after which the test counts as hung; see ktest_patience_ns() */
};

#define KTEST_DEFAULT_LIMIT_NS (20ull * 1000 * 1000 * 1000)
#define KTEST_EXPLORE_LIMIT_NS (600ull * 1000 * 1000 * 1000)

#define KTEST_DEFINE(suite_, name_, flags_, limit_ns_)                                             \
    static void ktest_##suite_##_##name_(void);                                                    \
    static const struct ktest ktest_record_##suite_##_##name_                                      \
        __attribute__((used, section(".ktests"), aligned(8))) = {                                  \
            .suite = #suite_,                                                                      \
            .name = #name_,                                                                        \
            .file = __FILE__,                                                                      \
            .body = ktest_##suite_##_##name_,                                                      \
            .line = __LINE__,                                                                      \
            .flags = (flags_),                                                                     \
            .limit_ns = (limit_ns_),                                                               \
    };                                                                                             \
    static void ktest_##suite_##_##name_(void)

/** TEST(suite, name) - a test that runs in a kernel thread with a fresh, empty address space. */
#define TEST(suite, name) KTEST_DEFINE(suite, name, KTEST_PLAIN, KTEST_DEFAULT_LIMIT_NS)

/** TEST_LIMIT(suite, name, seconds) - a test with its own limit of guest time. */
#define TEST_LIMIT(suite, name, seconds)                                                           \
    KTEST_DEFINE(suite, name, KTEST_PLAIN, (seconds)*1000ull * 1000 * 1000)

/**
 * TEST_COUNTED(suite, name) - a test that measures time, and so needs a clock that stands still
 * while the host runs something else. Skipped without the kernel option `counted`.
 */
#define TEST_COUNTED(suite, name) KTEST_DEFINE(suite, name, KTEST_COUNTED, KTEST_DEFAULT_LIMIT_NS)

/** TEST_EXPLORE(suite, name) - a test that calls explore_run(), once. Skipped with several CPUs. */
#define TEST_EXPLORE(suite, name) KTEST_DEFINE(suite, name, KTEST_ONE_CPU, KTEST_EXPLORE_LIMIT_NS)

/**
 * TEST_EACH_ALLOC(suite, name) - a test whose body is run once for every allocation it makes, that
 * allocation failing, and once with none failing. ktest_alloc_failed() tells the body whether the
 * failure has happened, so that it knows which result to expect.
 */
#define TEST_EACH_ALLOC(suite, name)                                                               \
    KTEST_DEFINE(suite, name, KTEST_FAIL_EACH_ALLOCATION, KTEST_DEFAULT_LIMIT_NS)

bool ktest_alloc_failed(void);

/**
 * ktest_expect_panic() - from here on the test passes by a panic whose text begins with @text, and
 * not otherwise. What runs the guest compares; it goes on with the next test in another guest.
 */
void ktest_expect_panic(const char *text);

/**
 * ktest_patience_ns() - how long to wait for what takes @ns where time counts instructions.
 *
 * Longer where it does not: a loaded host takes the CPU away while the guest's clock goes on.
 */
u64 ktest_patience_ns(u64 ns);

/* Each check counts: a test that checked nothing fails. */
void ktest_check_u64(bool is_ok, u64 expected, u64 actual, const char *text, const char *file,
                     u32 line);
void ktest_check_true(bool is_ok, const char *text, const char *file, u32 line);
void ktest_check_str(const char *expected, const char *actual, const char *text, const char *file,
                     u32 line);
/** ktest_current() - the test that is running. */
const struct ktest *ktest_current(void);
/** ktest_nr_failures() - how many checks of the running test have failed. */
u32 ktest_nr_failures(void);
/** ktest_main() - run the tests that the command line selects, report as KTAP, leave the machine.
 */
NORETURN void ktest_main(void);

#define KTEST_COMPARE(expected, actual, op)                                                        \
    ({                                                                                             \
        u64 e_ = (u64)(expected);                                                                  \
        u64 a_ = (u64)(actual);                                                                    \
        ktest_check_u64(e_ op a_, e_, a_, #expected " " #op " " #actual, __FILE__, __LINE__);      \
        e_ op a_;                                                                                  \
    })
#define KTEST_TRUTH(condition, text)                                                               \
    ({                                                                                             \
        bool c_ = !!(condition);                                                                   \
        ktest_check_true(c_, text, __FILE__, __LINE__);                                            \
        c_;                                                                                        \
    })

/* Go on after a failure. Expected value first; both are compared and shown as 64-bit numbers. */
#define EXPECT_EQ(expected, actual)  ((void)KTEST_COMPARE(expected, actual, ==))
#define EXPECT_NE(expected, actual)  ((void)KTEST_COMPARE(expected, actual, !=))
#define EXPECT_LE(low, high)         ((void)KTEST_COMPARE(low, high, <=))
#define EXPECT_TRUE(condition)       ((void)KTEST_TRUTH(condition, #condition))
#define EXPECT_FALSE(condition)      ((void)KTEST_TRUTH(!(condition), "!(" #condition ")"))
#define EXPECT_OK(call)              ((void)KTEST_COMPARE(0, (s64)(call), ==))
#define EXPECT_ERR(error, call)      ((void)KTEST_COMPARE((s64)(error), (s64)(call), ==))
#define EXPECT_STR(expected, actual) ktest_check_str(expected, actual, #actual, __FILE__, __LINE__)

/* Leave the function after a failure. Only for functions that return void. */
#define ASSERT_EQ(expected, actual)                                                                \
    do {                                                                                           \
        if (!KTEST_COMPARE(expected, actual, ==)) {                                                \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define ASSERT_TRUE(condition)                                                                     \
    do {                                                                                           \
        if (!KTEST_TRUTH(condition, #condition)) {                                                 \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define ASSERT_OK(call) ASSERT_EQ(0, (s64)(call))

#endif
