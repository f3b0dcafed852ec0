/* Memory and string functions, with the meanings that ISO C and POSIX give them. */
#ifndef LIB_STRING_H
#define LIB_STRING_H

#include <lib/types.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int byte, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *needle);

/**
 * strlcpy() - copy a string into a buffer of known size; always terminates it.
 * @dst:  @size bytes, @size > 0
 * @src:  the string
 * @size: bytes in @dst
 *
 * Return: strlen(@src); the copy was cut short if that is >= @size.
 */
size_t strlcpy(char *dst, const char *src, size_t size);

/**
 * strlcat() - append a string within a buffer of known size; always terminates it.
 *
 * Return: the length that the whole result would have had; it was cut short if that is >= @size.
 */
size_t strlcat(char *dst, const char *src, size_t size);

/**
 * memzero_explicit() - clear a secret; the compiler may not leave it out.
 */
void memzero_explicit(void *dst, size_t n);

/**
 * parse_u64() - read a whole string as a number; 0x is hexadecimal, a leading 0 octal.
 * @s:    the string; K, M and G suffixes multiply by powers of 1024
 * @out:  written on success only
 *
 * Return: 0, or -EINVAL (empty, foreign characters), -ERANGE.
 */
MUST_CHECK int parse_u64(const char *s, u64 *out);

#endif
