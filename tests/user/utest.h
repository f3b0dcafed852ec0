/*
 * The test framework of programs that run on Cowbell and on Linux, same source, same binary.
 *
 * A program defines UTEST_SUITE, includes this file, writes TEST(name) functions, and ends with
 * UTEST_MAIN. Each test runs in a child process of its own; the report is KTAP. Nothing that
 * differs between two correct systems may be printed in a result line.
 */
#ifndef COWBELL_TESTS_UTEST_H
#define COWBELL_TESTS_UTEST_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef UTEST_LIMIT_S
#define UTEST_LIMIT_S 60 /* a program may give its tests longer */
#endif
#define UTEST_STATUS_FAIL  1
#define UTEST_STATUS_EMPTY 2
#define UTEST_STATUS_SKIP  4

/** struct utest - one test; the linker collects them in the section `utests`. */
struct utest {
    const char *name;
    void (*body)(void);
};

extern const struct utest __start_utests[];
extern const struct utest __stop_utests[];

static unsigned utest_checks;
static unsigned utest_failures;

#define TEST(name_)                                                                                \
    static void utest_##name_(void);                                                               \
    static const struct utest utest_record_##name_                                                 \
        __attribute__((used, section("utests"), aligned(8))) = {#name_, utest_##name_};            \
    static void utest_##name_(void)

static inline int utest_compare(int is_ok, long long expected, long long actual, const char *text,
                                const char *file, int line)
{
    int saved = errno;

    utest_checks++;
    if (!is_ok) {
        utest_failures++;
        printf("# %s:%d: expected %lld (0x%llx), actual %lld (0x%llx): %s\n", file, line, expected,
               (unsigned long long)expected, actual, (unsigned long long)actual, text);
    }
    errno = saved;
    return is_ok;
}

static inline int utest_bytes(const void *expected, const void *actual, size_t len,
                              const char *text, const char *file, int line)
{
    const unsigned char *e = expected;
    const unsigned char *a = actual;

    utest_checks++;
    for (size_t i = 0; i < len; i++) {
        if (e[i] != a[i]) {
            utest_failures++;
            printf("# %s:%d: byte %zu: expected %d, actual %d: %s\n", file, line, i, e[i], a[i],
                   text);
            return 0;
        }
    }
    return 1;
}

#define UTEST_OP(expected, actual, op)                                                             \
    ({                                                                                             \
        long long e_ = (long long)(expected);                                                      \
        long long a_ = (long long)(actual);                                                        \
        utest_compare(e_ op a_, e_, a_, #expected " " #op " " #actual, __FILE__, __LINE__);        \
    })

/* Go on after a failure. Expected value first. */
#define EXPECT_EQ(expected, actual) ((void)UTEST_OP(expected, actual, ==))
#define EXPECT_NE(expected, actual) ((void)UTEST_OP(expected, actual, !=))
#define EXPECT_LE(low, high)        ((void)UTEST_OP(low, high, <=))
#define EXPECT_TRUE(condition)      ((void)UTEST_OP(1, !!(condition), ==))
#define EXPECT_FALSE(condition)     ((void)UTEST_OP(0, !!(condition), ==))
#define EXPECT_BYTES(expected, actual, len)                                                        \
    ((void)utest_bytes(expected, actual, len, #actual, __FILE__, __LINE__))
/** EXPECT_ERRNO(error, call) - the call returns -1 and leaves this errno. */
#define EXPECT_ERRNO(error, call)                                                                  \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long long r_ = (long long)(call);                                                          \
        int n_ = errno;                                                                            \
        utest_compare(r_ == -1, -1, r_, #call, __FILE__, __LINE__);                                \
        utest_compare(n_ == (error), (error), n_, "errno of " #call, __FILE__, __LINE__);          \
    } while (0)

/* Leave the function after a failure. */
#define ASSERT_EQ(expected, actual)                                                                \
    do {                                                                                           \
        if (!UTEST_OP(expected, actual, ==)) {                                                     \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define ASSERT_TRUE(condition)                                                                     \
    do {                                                                                           \
        if (!UTEST_OP(1, !!(condition), ==)) {                                                     \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/** SKIP(reason) - leave the test: this system cannot run it. */
#define SKIP(reason)                                                                               \
    do {                                                                                           \
        printf("# skipped: %s\n", reason);                                                         \
        fflush(stdout);                                                                            \
        _exit(UTEST_STATUS_SKIP);                                                                  \
    } while (0)

/** utest_in_child() - run @body in a child. Return: the child's wait status. */
static inline int utest_in_child(void (*body)(void))
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        body();
        fflush(stdout);
        _exit(utest_failures ? UTEST_STATUS_FAIL : 0);
    }
    if (pid < 0) {
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

static inline int utest_run(const struct utest *test)
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        alarm(UTEST_LIMIT_S);
        test->body();
        fflush(stdout);
        _exit(utest_failures ? UTEST_STATUS_FAIL : utest_checks ? 0 : UTEST_STATUS_EMPTY);
    }
    if (pid < 0) {
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

static inline int utest_main(const char *suite, const char *only)
{
    int number = 0;
    int failed = 0;

    printf("KTAP version 1\n1..%d\n", only ? 1 : (int)(__stop_utests - __start_utests));
    for (const struct utest *test = __start_utests; test < __stop_utests; test++) {
        int status;

        if (only && strcmp(only, test->name) != 0) {
            continue;
        }
        printf("# start %s.%s\n", suite, test->name);
        status = utest_run(test);
        number++;
        if (WIFEXITED(status) && WEXITSTATUS(status) == UTEST_STATUS_SKIP) {
            printf("ok %d - %s.%s # SKIP\n", number, suite, test->name);
            continue;
        }
        if (WIFSIGNALED(status)) {
            printf("# ended by signal %d\n", WTERMSIG(status));
        } else if (status == -1) {
            printf("# fork failed: errno %d\n", errno);
        } else if (WEXITSTATUS(status) == UTEST_STATUS_EMPTY) {
            printf("# the test checked nothing\n");
        }
        failed += status != 0;
        printf("%s %d - %s.%s\n", status == 0 ? "ok" : "not ok", number, suite, test->name);
    }
    fflush(stdout);
    return failed ? 1 : 0;
}

#define UTEST_MAIN                                                                                 \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        setvbuf(stdout, NULL, _IOLBF, 0);                                                          \
        return utest_main(UTEST_SUITE, argc > 1 ? argv[1] : NULL);                                 \
    }

#endif
