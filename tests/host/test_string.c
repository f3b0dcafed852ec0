/* The kernel's string functions against the host's. */
#include <host_test.h>

/* Included by the kernel's file below; the names must not be replaced in it. */
#include <lib/types.h>

#define memcpy  cb_memcpy
#define memmove cb_memmove
#define memset  cb_memset
#define memcmp  cb_memcmp
#define memchr  cb_memchr
#define strlen  cb_strlen
#define strnlen cb_strnlen
#define strcmp  cb_strcmp
#define strncmp cb_strncmp
#define strchr  cb_strchr
#define strrchr cb_strrchr
#define strstr  cb_strstr
#define strlcpy cb_strlcpy
#define strlcat cb_strlcat
#include "../../kernel/lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr
#undef strstr

#define SIZE 300

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static void fill(u8 *buf)
{
    for (int i = 0; i < SIZE; i++) {
        buf[i] = (u8)host_random(256);
    }
}

TEST(copies_of_every_length_and_alignment_are_exact)
{
    u8 source[SIZE], expected[SIZE], actual[SIZE];

    for (size_t len = 0; len <= 200; len++) {
        size_t from = host_random(50);
        size_t to = host_random(50);

        fill(source);
        fill(expected);
        memcpy(actual, expected, SIZE);
        memcpy(expected + to, source + from, len);
        EXPECT_TRUE(cb_memcpy(actual + to, source + from, len) == actual + to);
        EXPECT_EQ(0, memcmp(expected, actual, SIZE));
    }
}

TEST(overlapping_moves_are_right_in_both_directions)
{
    u8 expected[SIZE], actual[SIZE];

    for (int round = 0; round < 3000; round++) {
        size_t from = host_random(100);
        size_t to = host_random(100);
        size_t len = host_random(SIZE - 100);

        fill(expected);
        memcpy(actual, expected, SIZE);
        memmove(expected + to, expected + from, len);
        EXPECT_TRUE(cb_memmove(actual + to, actual + from, len) == actual + to);
        EXPECT_EQ(0, memcmp(expected, actual, SIZE));
    }
}

TEST(fills_and_comparisons_agree_with_the_host)
{
    u8 a[SIZE], b[SIZE];

    for (size_t len = 0; len <= 200; len++) {
        size_t at = host_random(50);
        int byte = (int)host_random(256) + 256;

        fill(a);
        memcpy(b, a, SIZE);
        memset(a + at, byte, len);
        cb_memset(b + at, byte, len);
        EXPECT_EQ(0, memcmp(a, b, SIZE));
        b[host_random(SIZE)] ^= (u8)host_random(2);
        EXPECT_EQ(sign(memcmp(a, b, SIZE)), sign(cb_memcmp(a, b, SIZE)));
        EXPECT_EQ(sign(memcmp(a + at, b + at, len)), sign(cb_memcmp(a + at, b + at, len)));
        EXPECT_TRUE(memchr(a, byte, SIZE) == cb_memchr(a, byte, SIZE));
    }
}

TEST(string_functions_agree_with_the_host)
{
    static const char *const words[] = {"",  "a",      "ab",   "abc",     "abd",
                                        "b", "abcabc", "\xff", "ab/cd/ef"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        const char *s = words[i];

        EXPECT_EQ(strlen(s), cb_strlen(s));
        EXPECT_EQ(strnlen(s, 2), cb_strnlen(s, 2));
        EXPECT_TRUE(strchr(s, 'b') == cb_strchr(s, 'b'));
        EXPECT_TRUE(strchr(s, '\0') == cb_strchr(s, '\0'));
        EXPECT_TRUE(strrchr(s, '/') == cb_strrchr(s, '/'));
        EXPECT_TRUE(strrchr(s, '\0') == cb_strrchr(s, '\0'));
        for (size_t j = 0; j < ARRAY_SIZE(words); j++) {
            EXPECT_EQ(sign(strcmp(s, words[j])), sign(cb_strcmp(s, words[j])));
            EXPECT_EQ(sign(strncmp(s, words[j], 2)), sign(cb_strncmp(s, words[j], 2)));
            EXPECT_TRUE(strstr(s, words[j]) == cb_strstr(s, words[j]));
        }
    }
}

TEST(bounded_copies_always_terminate)
{
    char buf[6] = "?????";

    EXPECT_EQ(8, cb_strlcpy(buf, "abcdefgh", 4));
    EXPECT_STR("abc", buf);
    EXPECT_EQ(5, cb_strlcat(buf, "de", 6));
    EXPECT_STR("abcde", buf);
    EXPECT_EQ(7, cb_strlcat(buf, "fg", 6));
    EXPECT_STR("abcde", buf);
}

TEST(numbers_are_parsed_or_refused_as_a_whole)
{
    static const struct {
        const char *text;
        int result;
        u64 value;
    } cases[] = {
        {"0", 0, 0},
        {"42", 0, 42},
        {"0x1F", 0, 31},
        {"017", 0, 15},
        {"4k", 0, 4096},
        {"2M", 0, 2 << 20},
        {"1G", 0, 1 << 30},
        {"", -EINVAL, 0},
        {"x", -EINVAL, 0},
        {"12a", -EINVAL, 0},
        {"0x", -EINVAL, 0},
        {"08", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"1kk", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"18446744073709551615", 0, U64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"0xffffffffffffffff", 0, U64_MAX},
        {"17179869184G", -ERANGE, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        u64 value = 0;

        EXPECT_EQ(cases[i].result, parse_u64(cases[i].text, &value));
        EXPECT_EQ(cases[i].value, value);
    }
}
