/*
 * Memory and string functions.
 *
 * Long copies and fills are the machine's (arch/memops.h). Short ones, which are most, move a few
 * words here, because string instructions start slowly. The address sanitizer does not see what the
 * machine's instructions touch, so the ranges are shown to it here.
 */
#include <arch/memops.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/kasan.h>

/* Below this many bytes a loop over words beats a string instruction. */
#define SHORT_COPY 64

/* A word at any address; the compiler may not assume anything about what it aliases. */
struct unaligned_word {
    u64 value;
} __attribute__((packed, may_alias));

static u64 load_word(const void *p)
{
    return ((const struct unaligned_word *)p)->value;
}

static void store_word(void *p, u64 value)
{
    ((struct unaligned_word *)p)->value = value;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    u8 *to = dst;
    const u8 *from = src;

    kasan_check(src, n, false);
    kasan_check(dst, n, true);
    if (n >= SHORT_COPY) {
        arch_memory_copy(dst, src, n);
        return dst;
    }
    for (; n >= sizeof(u64); n -= sizeof(u64)) {
        store_word(to, load_word(from));
        to += sizeof(u64);
        from += sizeof(u64);
        barrier();
    }
    for (; n > 0; n--) {
        *to++ = *from++;
        barrier();
    }
    return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
    u8 *to = dst;
    const u8 *from = src;

    /* A copy upwards is right unless it would overwrite source bytes that it has yet to read. */
    if ((u64)to - (u64)from >= n) {
        kasan_check(src, n, false);
        kasan_check(dst, n, true);
        arch_memory_copy(dst, src, n);
        return dst;
    }
    kasan_check(src, n, false);
    kasan_check(dst, n, true);
    for (; n >= sizeof(u64); n -= sizeof(u64)) {
        store_word(to + n - sizeof(u64), load_word(from + n - sizeof(u64)));
        barrier();
    }
    for (; n > 0; n--) {
        to[n - 1] = from[n - 1];
        barrier();
    }
    return dst;
}

void *memset(void *dst, int byte, size_t n)
{
    u8 *to = dst;

    kasan_check(dst, n, true);
    if (n >= SHORT_COPY) {
        arch_memory_fill(dst, (u8)byte, n);
        return dst;
    }
    for (; n >= sizeof(u64); n -= sizeof(u64)) {
        store_word(to, (u8)byte * 0x0101010101010101UL);
        to += sizeof(u64);
        barrier();
    }
    for (; n > 0; n--) {
        *to++ = (u8)byte;
        barrier();
    }
    return dst;
}

void memzero_explicit(void *dst, size_t n)
{
    /* Called through a pointer that the compiler must read, so that it cannot drop the call. */
    void *(*volatile fill)(void *, int, size_t) = memset;

    fill(dst, 0, n);
}

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *left = a;
    const u8 *right = b;

    for (; n >= sizeof(u64) && load_word(left) == load_word(right); n -= sizeof(u64)) {
        left += sizeof(u64);
        right += sizeof(u64);
    }
    for (; n > 0; n--, left++, right++) {
        if (*left != *right) {
            return *left - *right;
        }
    }
    return 0;
}

void *memchr(const void *s, int byte, size_t n)
{
    const u8 *bytes = s;

    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == (u8)byte) {
            return (void *)&bytes[i];
        }
    }
    return NULL;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (READ_ONCE(s[n]) != '\0') {
        n++;
    }
    return n;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n] != '\0') {
        n++;
    }
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n > 0; n--, a++, b++) {
        if (*a != *b || *a == '\0') {
            return (u8)*a - (u8)*b;
        }
    }
    return 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c) {
            return (char *)s;
        }
        if (*s == '\0') {
            return NULL;
        }
    }
}

char *strrchr(const char *s, int c)
{
    const char *last = NULL;

    for (;; s++) {
        if (*s == (char)c) {
            last = s;
        }
        if (*s == '\0') {
            return (char *)last;
        }
    }
}

char *strstr(const char *s, const char *needle)
{
    size_t len = strlen(needle);

    for (;; s++) {
        if (strncmp(s, needle, len) == 0) {
            return (char *)s;
        }
        if (*s == '\0') {
            return NULL;
        }
    }
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
    size_t len = strlen(src);
    size_t copied = min(len, size - 1);

    memcpy(dst, src, copied);
    dst[copied] = '\0';
    return len;
}

size_t strlcat(char *dst, const char *src, size_t size)
{
    size_t used = strnlen(dst, size);

    if (used == size) {
        return size + strlen(src);
    }
    return used + strlcpy(dst + used, src, size - used);
}

/* The value of a digit in bases up to 16, or 16 if it is none. */
static u32 digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return (u32)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (u32)(c - 'a') + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return (u32)(c - 'A') + 10;
    }
    return 16;
}

/* The power of two that a size suffix stands for; 0 for none. */
static u32 suffix_shift(char c)
{
    switch (c) {
    case 'K':
    case 'k':
        return 10;
    case 'M':
    case 'm':
        return 20;
    case 'G':
    case 'g':
        return 30;
    default:
        return 0;
    }
}

int parse_u64(const char *s, u64 *out)
{
    u64 value = 0;
    u32 base = 10;

    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s += 2;
    } else if (s[0] == '0' && s[1] != '\0') {
        base = 8;
    }
    if (digit_value(*s) >= base) {
        return -EINVAL;
    }
    for (; digit_value(*s) < base; s++) {
        if (__builtin_mul_overflow(value, (u64)base, &value) ||
            __builtin_add_overflow(value, (u64)digit_value(*s), &value)) {
            return -ERANGE;
        }
    }
    u32 shift = suffix_shift(*s);
    if (shift != 0) {
        if ((value << shift) >> shift != value) {
            return -ERANGE;
        }
        value <<= shift;
        s++;
    }
    if (*s != '\0') {
        return -EINVAL;
    }
    *out = value;
    return 0;
}
