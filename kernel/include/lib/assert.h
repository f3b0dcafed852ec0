/*
 * Rules that must hold, and what happens when one does not.
 *
 * ASSERT is always on. Its text states the rule, not the place: "I3: a pinned page stays mapped".
 * Bad input from a user is never a reason to assert.
 */
#ifndef LIB_ASSERT_H
#define LIB_ASSERT_H

#include <lib/compiler.h>

struct assert_site {
    const char *condition;
    const char *rule;
    const char *file;
    int line;
};

/**
 * panic() - stop the machine, or fail the running test, with a message.
 * @fmt: one sentence in the manner of printf, without a newline
 *
 * Context: any, also NMI; takes no lock that a stopped CPU may hold.
 */
NORETURN void panic(const char *fmt, ...) PRINTF(1, 2);

/**
 * assert_fail() - panic because a rule was broken.
 * @site: where, and which rule
 */
NORETURN COLD void assert_fail(const struct assert_site *site);

/**
 * warn_site() - print a rule that was broken, but go on.
 * @site: where, and which rule
 */
COLD void warn_site(const struct assert_site *site);

#define ASSERT_SITE(cond, text)                                                                    \
    static const struct assert_site site_ = {cond, text, __FILE__, __LINE__}

#define ASSERT(cond, text)                                                                         \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0)) {                                                        \
            ASSERT_SITE(#cond, text);                                                              \
            assert_fail(&site_);                                                                   \
        }                                                                                          \
    } while (0)

/* An assertion too dear for a release build. */
#define DEBUG_ASSERT(cond, text)                                                                   \
    do {                                                                                           \
        if (DEBUG_ENABLED) {                                                                       \
            ASSERT(cond, text);                                                                    \
        }                                                                                          \
    } while (0)

/* A place that no rule-abiding execution reaches. */
#define BUG(text)                                                                                  \
    do {                                                                                           \
        ASSERT_SITE("BUG", text);                                                                  \
        assert_fail(&site_);                                                                       \
    } while (0)

/* Reports the first time that @cond holds; the value is @cond. */
#define WARN_ONCE(cond, text)                                                                      \
    ({                                                                                             \
        static bool warned_;                                                                       \
        bool hit_ = (cond);                                                                        \
        if (__builtin_expect(hit_ && !warned_, 0)) {                                               \
            ASSERT_SITE(#cond, text);                                                              \
            warned_ = true;                                                                        \
            warn_site(&site_);                                                                     \
        }                                                                                          \
        hit_;                                                                                      \
    })

#endif
