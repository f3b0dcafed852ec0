/* The random generator: the cipher against the standard's vector, and that requests do not repeat.
 */
#include <host_test.h>

#include "../../kernel/lib/random.c"

void memzero_explicit(void *dst, size_t n)
{
    memset(dst, 0, n);
}

/* RFC 8439, appendix A.1, test vector 1: zero key, counter and nonce. */
TEST(cipher_gives_the_standards_key_stream)
{
    static const u8 expected[] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
                                  0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28};
    static const u32 key[CHACHA_KEY_WORDS];
    u32 block[CHACHA_WORDS];

    chacha_block(key, 0, block);
    EXPECT_EQ(0, memcmp(expected, block, sizeof(expected)));
    chacha_block(key, 1, block);
    /* Vector 2 differs in the counter alone. */
    static const u8 second[] = {0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a};
    EXPECT_EQ(0, memcmp(second, block, sizeof(second)));
}

TEST(requests_differ_and_set_every_byte_in_the_end)
{
    u8 seen[77] = {0};
    u8 buf[77];
    u64 last = 0;
    int nr_zero = 0;

    random_init();
    for (int i = 0; i < 200; i++) {
        u64 value = random_u64();

        EXPECT_TRUE(value != last);
        last = value;
        random_bytes(buf, sizeof(buf));
        for (size_t j = 0; j < sizeof(buf); j++) {
            seen[j] |= buf[j];
        }
    }
    for (size_t j = 0; j < sizeof(seen); j++) {
        nr_zero += seen[j] == 0;
    }
    EXPECT_EQ(0, nr_zero);
}

TEST(a_long_request_does_not_repeat_itself)
{
    u8 buf[3 * CHACHA_BLOCK];

    random_bytes(buf, sizeof(buf));
    EXPECT_TRUE(memcmp(buf, buf + CHACHA_BLOCK, CHACHA_BLOCK) != 0);
    EXPECT_TRUE(memcmp(buf + CHACHA_BLOCK, buf + 2 * CHACHA_BLOCK, CHACHA_BLOCK) != 0);
}

TEST(bytes_beyond_the_request_stay)
{
    u8 buf[40];

    memset(buf, 0xee, sizeof(buf));
    random_bytes(buf + 4, 5);
    EXPECT_EQ(0xee, buf[3]);
    EXPECT_EQ(0xee, buf[9]);
    random_bytes(buf, 0);
    EXPECT_EQ(0xee, buf[3]);
}

TEST(mixing_changes_the_stream)
{
    u32 saved[CHACHA_KEY_WORDS];

    memcpy(saved, random_key, sizeof(saved));
    u64 first = random_u64();
    memcpy(random_key, saved, sizeof(saved));
    EXPECT_EQ(first, random_u64());
    memcpy(random_key, saved, sizeof(saved));
    random_mix(1);
    EXPECT_TRUE(random_u64() != first);
}
