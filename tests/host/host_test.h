/*
 * A small test framework for programs that run on the host: KTAP on standard output.
 *
 * A program has one source file that includes this header. Each TEST registers itself; main()
 * runs them in order. A test that checks nothing fails. A test that expects the kernel to panic
 * says so with EXPECT_PANIC().
 */
#ifndef HOST_TEST_H
#define HOST_TEST_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_TESTS_MAX 100

struct host_test {
    const char *name;
    void (*run)(void);
};

static struct host_test host_tests[HOST_TESTS_MAX];
static int host_nr_tests;
static int host_nr_checks;
static int host_nr_failures;

/* Where a panic goes while one is expected; fake_kernel.c uses it. */
extern jmp_buf *host_panic_target;
extern char host_panic_text[512];

#define TEST(test_name)                                                                            \
    static void test_name(void);                                                                   \
    __attribute__((constructor)) static void register_##test_name(void)                            \
    {                                                                                              \
        host_tests[host_nr_tests++] = (struct host_test){.name = #test_name, .run = test_name};    \
    }                                                                                              \
    static void test_name(void)

/* Prints the first failures of a test; a loop that fails would drown them. */
#define HOST_FAILURES_SHOWN 5

#define HOST_FAIL(...)                                                                             \
    do {                                                                                           \
        if (host_nr_failures++ < HOST_FAILURES_SHOWN) {                                            \
            printf("# %s:%d: ", __FILE__, __LINE__);                                               \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)

#define EXPECT_EQ(expected, actual)                                                                \
    do {                                                                                           \
        long long expected_ = (long long)(expected);                                               \
        long long actual_ = (long long)(actual);                                                   \
        host_nr_checks++;                                                                          \
        if (expected_ != actual_) {                                                                \
            HOST_FAIL("%s: expected %lld (%#llx), actual %lld (%#llx)", #actual, expected_,        \
                      (unsigned long long)expected_, actual_, (unsigned long long)actual_);        \
        }                                                                                          \
    } while (0)

#define EXPECT_TRUE(condition)                                                                     \
    do {                                                                                           \
        host_nr_checks++;                                                                          \
        if (!(condition)) {                                                                        \
            HOST_FAIL("%s: expected true, actual false", #condition);                              \
        }                                                                                          \
    } while (0)

#define EXPECT_FALSE(condition)                                                                    \
    do {                                                                                           \
        host_nr_checks++;                                                                          \
        if (condition) {                                                                           \
            HOST_FAIL("%s: expected false, actual true", #condition);                              \
        }                                                                                          \
    } while (0)

#define EXPECT_STR(expected, actual)                                                               \
    do {                                                                                           \
        const char *expected_ = (expected);                                                        \
        const char *actual_ = (actual);                                                            \
        host_nr_checks++;                                                                          \
        if (strcmp(expected_, actual_) != 0) {                                                     \
            HOST_FAIL("%s: expected \"%s\", actual \"%s\"", #actual, expected_, actual_);          \
        }                                                                                          \
    } while (0)

/* The statement must end in a panic whose message contains @text. */
#define EXPECT_PANIC(text, statement)                                                              \
    do {                                                                                           \
        jmp_buf target_;                                                                           \
        host_nr_checks++;                                                                          \
        host_panic_target = &target_;                                                              \
        if (setjmp(target_) == 0) {                                                                \
            statement;                                                                             \
            HOST_FAIL("%s: expected a panic with \"%s\", actual none", #statement, text);          \
        } else if (strstr(host_panic_text, text) == NULL) {                                        \
            HOST_FAIL("%s: expected a panic with \"%s\", actual \"%s\"", #statement, text,         \
                      host_panic_text);                                                            \
        }                                                                                          \
        host_panic_target = NULL;                                                                  \
    } while (0)

/* A repeatable stream of numbers, so that a failure repeats (xorshift64*). */
static uint64_t host_random_state = 88172645463325252ULL;

__attribute__((unused)) static uint64_t host_random(uint64_t below)
{
    host_random_state ^= host_random_state >> 12;
    host_random_state ^= host_random_state << 25;
    host_random_state ^= host_random_state >> 27;
    return (host_random_state * 2685821657736338717ULL >> 16) % below;
}

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : NULL;
    int nr_failed = 0;
    int number = 0;
    int total = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < host_nr_tests; i++) {
        total += wanted == NULL || strstr(host_tests[i].name, wanted) != NULL;
    }
    printf("TAP version 13\n1..%d\n", total);
    for (int i = 0; i < host_nr_tests; i++) {
        if (wanted != NULL && strstr(host_tests[i].name, wanted) == NULL) {
            continue;
        }
        host_nr_checks = 0;
        host_nr_failures = 0;
        host_tests[i].run();
        if (host_nr_checks == 0) {
            printf("# the test checked nothing\n");
            host_nr_failures++;
        }
        number++;
        printf("%s %d - %s\n", host_nr_failures == 0 ? "ok" : "not ok", number, host_tests[i].name);
        nr_failed += host_nr_failures != 0;
    }
    return nr_failed == 0 ? 0 : 1;
}

#endif
