/* The kernel's command line. */
#include <host_test.h>

#include <lib/cmdline.h>
#include <lib/errno.h>
#include <lib/string.h>

/* The kernel's own is tested by test_string.c. */
int parse_u64(const char *s, u64 *out)
{
    char *end;
    u64 value = strtoull(s, &end, 0);

    if (*s == '\0' || *end != '\0') {
        return -EINVAL;
    }
    *out = value;
    return 0;
}

TEST(option_without_value_is_there)
{
    cmdline_init("quiet test");
    EXPECT_TRUE(cmdline_has("quiet"));
    EXPECT_TRUE(cmdline_has("test"));
    EXPECT_FALSE(cmdline_has("tes"));
    EXPECT_FALSE(cmdline_has("testing"));
    EXPECT_STR("", cmdline_get("test"));
    EXPECT_TRUE(cmdline_get("absent") == NULL);
}

TEST(values_are_found)
{
    cmdline_init("  a=1 test=mm.*,fork.x \tb=0x20 c=");
    EXPECT_STR("mm.*,fork.x", cmdline_get("test"));
    EXPECT_EQ(1, cmdline_u64("a", 9));
    EXPECT_EQ(32, cmdline_u64("b", 9));
    EXPECT_EQ(9, cmdline_u64("c", 9));
    EXPECT_EQ(9, cmdline_u64("d", 9));
}

TEST(the_last_of_two_counts)
{
    cmdline_init("run=/a quiet run=/b");
    EXPECT_STR("/b", cmdline_get("run"));
}

TEST(quotes_hold_blanks_together)
{
    cmdline_init("run=\"/bin/sh -c 'a = b'\" quiet empty=\"\" open=\"x y");
    EXPECT_STR("/bin/sh -c 'a = b'", cmdline_get("run"));
    EXPECT_TRUE(cmdline_has("quiet"));
    EXPECT_STR("", cmdline_get("empty"));
    EXPECT_STR("x y", cmdline_get("open"));
}

TEST(value_keeps_its_equals_signs)
{
    cmdline_init("run=a=b=c");
    EXPECT_STR("a=b=c", cmdline_get("run"));
}

TEST(copy_is_cut_to_the_buffer)
{
    char buffer[4] = "zzz";

    cmdline_init("long=abcdef");
    EXPECT_EQ(6, cmdline_copy("long", buffer, sizeof(buffer)));
    EXPECT_STR("abc", buffer);
    EXPECT_EQ(-ENOENT, cmdline_copy("none", buffer, sizeof(buffer)));
    EXPECT_STR("abc", buffer);
}

TEST(nonsense_numbers_are_ignored)
{
    cmdline_init("n=12x");
    EXPECT_EQ(7, cmdline_u64("n", 7));
}
