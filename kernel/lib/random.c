/*
 * The kernel's random generator.
 *
 * Owns one ChaCha20 key. Each request takes one block to replace the key and further blocks as
 * output, so that the output of the past cannot be computed from the key of the present.
 * Source: RFC 8439, section 2.3 (the block function).
 */
#include <arch/cpu.h>
#include <lib/random.h>
#include <lib/string.h>
#include <proc/spinlock.h>

#define CHACHA_WORDS     16
#define CHACHA_BLOCK     64
#define CHACHA_KEY_WORDS 8
#define CHACHA_ROUNDS    20

/* Samples of the time-stamp counter for a key where the processor has no generator. */
#define TIMING_SAMPLES 256

static struct spinlock random_lock = SPINLOCK_INIT(RANK_RANDOM);
static u32 random_key[CHACHA_KEY_WORDS]; /* [random_lock] */

static u32 rotate_left(u32 x, u32 n)
{
    return x << n | x >> (32 - n);
}

static void quarter_round(u32 *a, u32 *b, u32 *c, u32 *d)
{
    *a += *b;
    *d = rotate_left(*d ^ *a, 16);
    *c += *d;
    *b = rotate_left(*b ^ *c, 12);
    *a += *b;
    *d = rotate_left(*d ^ *a, 8);
    *c += *d;
    *b = rotate_left(*b ^ *c, 7);
}

static void chacha_block(const u32 key[CHACHA_KEY_WORDS], u64 counter, u32 out[CHACHA_WORDS])
{
    /* The constants spell "expand 32-byte k". */
    u32 start[CHACHA_WORDS] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    u32 s[CHACHA_WORDS];

    for (u32 i = 0; i < CHACHA_KEY_WORDS; i++) {
        start[4 + i] = key[i];
    }
    start[12] = (u32)counter;
    start[13] = (u32)(counter >> 32);
    memcpy(s, start, sizeof(s));
    for (u32 round = 0; round < CHACHA_ROUNDS; round += 2) {
        for (u32 i = 0; i < 4; i++) {
            quarter_round(&s[i], &s[4 + i], &s[8 + i], &s[12 + i]);
        }
        for (u32 i = 0; i < 4; i++) {
            quarter_round(&s[i], &s[4 + (i + 1) % 4], &s[8 + (i + 2) % 4], &s[12 + (i + 3) % 4]);
        }
    }
    for (u32 i = 0; i < CHACHA_WORDS; i++) {
        out[i] = s[i] + start[i];
    }
}

/* Replaces the key by output; the rest of that block is thrown away. */
static void renew_key(void) REQUIRES(random_lock)
{
    u32 block[CHACHA_WORDS];

    chacha_block(random_key, 0, block);
    memcpy(random_key, block, sizeof(random_key));
    memzero_explicit(block, sizeof(block));
}

void random_init(void)
{
    for (u32 i = 0; i < CHACHA_KEY_WORDS; i += 2) {
        u64 word = 0;

        if (!arch_random_u64(&word)) {
            for (u32 sample = 0; sample < TIMING_SAMPLES; sample++) {
                word = (word << 1 | word >> 63) ^ rdtsc();
            }
        }
        u64 flags = spin_lock_irqsave(&random_lock);
        random_key[i] ^= (u32)word;
        random_key[i + 1] ^= (u32)(word >> 32);
        spin_unlock_irqrestore(&random_lock, flags);
    }
    random_mix(rdtsc());
}

void random_mix(u64 entropy)
{
    u64 flags = spin_lock_irqsave(&random_lock);

    random_key[0] ^= (u32)entropy;
    random_key[1] ^= (u32)(entropy >> 32);
    renew_key();
    spin_unlock_irqrestore(&random_lock, flags);
}

void random_bytes(void *buf, size_t len)
{
    u8 *out = buf;
    u32 key[CHACHA_KEY_WORDS];
    u32 block[CHACHA_WORDS];

    /* The lock covers two key-sized copies; the output is made from a private copy of the key. */
    u64 flags = spin_lock_irqsave(&random_lock);
    chacha_block(random_key, 1, block);
    memcpy(key, block, sizeof(key));
    renew_key();
    spin_unlock_irqrestore(&random_lock, flags);

    for (u64 counter = 0; len > 0; counter++) {
        size_t chunk = min(len, (size_t)CHACHA_BLOCK);

        chacha_block(key, counter, block);
        memcpy(out, block, chunk);
        out += chunk;
        len -= chunk;
    }
    memzero_explicit(key, sizeof(key));
    memzero_explicit(block, sizeof(block));
}

u64 random_u64(void)
{
    u64 value;

    random_bytes(&value, sizeof(value));
    return value;
}
