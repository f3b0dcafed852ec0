/* The kernel's formatted output against the host's. */
#include <host_test.h>

/* The kernel's functions under names of their own, so that both can be called. */
#define vsnprintf cb_vsnprintf
#define snprintf  cb_snprintf
#define scnprintf cb_scnprintf
#include "../../kernel/lib/fmt.c"
#undef vsnprintf
#undef snprintf

/* Same format and arguments for both. */
#define COMPARE(...)                                                                               \
    do {                                                                                           \
        char expected[200];                                                                        \
        char actual[200];                                                                          \
        int host_len = snprintf(expected, 200, __VA_ARGS__);                                       \
        int our_len = cb_snprintf(actual, 200, __VA_ARGS__);                                       \
        EXPECT_EQ(host_len, our_len);                                                              \
        EXPECT_STR(expected, actual);                                                              \
    } while (0)

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-overflow"

TEST(integers_with_every_combination_of_flags_agree_with_the_host)
{
    static const char *const flags[] = {"",   "-",  "0",  "+",  " ",  "#",  "-0",
                                        "-+", "0+", "0 ", "#0", "-#", "+ ", "-0#"};
    static const char *const widths[] = {"", "1", "7", "20", ".0", ".3", "8.3", "3.8", "20.12"};
    static const char *const conversions[] = {"d",  "i",   "u",   "x",  "X",  "o",   "ld",  "lu",
                                              "lx", "lld", "llx", "hd", "hu", "hhd", "hhu", "zu"};
    static const long values[] = {
        0,     1,          -1,           9,           255,       256,       -128,
        65535, 2147483647, -2147483648L, 4294967295L, INT64_MAX, INT64_MIN, 0x123456789abcdefL};

    for (size_t f = 0; f < ARRAY_SIZE(flags); f++) {
        for (size_t w = 0; w < ARRAY_SIZE(widths); w++) {
            for (size_t c = 0; c < ARRAY_SIZE(conversions); c++) {
                char format[40];

                snprintf(format, sizeof(format), "<%%%s%s%s>", flags[f], widths[w], conversions[c]);
                for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
                    COMPARE(format, values[v]);
                }
            }
        }
    }
}

TEST(strings_and_characters_agree_with_the_host)
{
    COMPARE("%s", "");
    COMPARE("%s|%10s|%-10s|%.2s|%10.3s|%-10.3s", "abc", "abc", "abc", "abc", "abcdef", "abcdef");
    COMPARE("%c%c%5c%-5c|", 'a', 'b', 'c', 'd');
    COMPARE("%*d|%-*d|%.*d|%*.*s|", 5, 42, 5, 42, 4, 7, 8, 2, "xyz");
    COMPARE("%*d|", -6, 42);
    COMPARE("%.0s|%.s|", "abc", "abc");
    COMPARE("100%% of %p", (void *)0x1234);
}

TEST(a_missing_string_prints_as_such)
{
    char out[10];

    cb_snprintf(out, sizeof(out), "%s", (char *)NULL);
    EXPECT_STR("(null)", out);
}

TEST(precision_limits_how_far_a_string_is_read)
{
    char unterminated[3] = {'a', 'b', 'c'};
    char out[10];

    EXPECT_EQ(3, cb_snprintf(out, sizeof(out), "%.3s", unterminated));
    EXPECT_STR("abc", out);
}

TEST(short_buffers_are_terminated_and_the_full_length_is_returned)
{
    for (size_t size = 0; size < 12; size++) {
        char expected[12] = "???????????";
        char actual[12] = "???????????";

        EXPECT_EQ(snprintf(expected, size, "%d-%s", 12345, "abc"),
                  cb_snprintf(actual, size, "%d-%s", 12345, "abc"));
        EXPECT_EQ(0, memcmp(expected, actual, sizeof(actual)));
    }
    EXPECT_EQ(9, cb_snprintf(NULL, 0, "%s", "123456789"));
}

TEST(scnprintf_returns_what_it_stored)
{
    char out[5];

    EXPECT_EQ(4, cb_scnprintf(out, sizeof(out), "%s", "abcdefgh"));
    EXPECT_EQ(2, cb_scnprintf(out, sizeof(out), "%s", "ab"));
    EXPECT_EQ(0, cb_scnprintf(out, 0, "%s", "ab"));
}

TEST(unknown_conversion_and_lone_percent_are_harmless)
{
    char out[20];

    cb_snprintf(out, sizeof(out), "a%yb");
    EXPECT_STR("a%yb", out);
    cb_snprintf(out, sizeof(out), "a%");
    EXPECT_STR("a", out);
    cb_snprintf(out, sizeof(out), "a%-05");
    EXPECT_STR("a", out);
}
