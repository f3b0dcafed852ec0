/*
 * Formatted text. Conversions: %d %i %u %x %X %o %c %s %p %%, with the flags - 0 + space #,
 * width and precision (numbers or *), and the lengths hh h l ll z t.
 */
#ifndef LIB_FMT_H
#define LIB_FMT_H

#include <stdarg.h>

#include <lib/types.h>

/**
 * vsnprintf() - format into a buffer of known size.
 * @buf:  @size bytes; may be NULL if @size is 0
 *
 * Return: the length that the whole text needs without its NUL; cut short if that is >= @size.
 */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args) PRINTF(3, 0);

/**
 * snprintf() - vsnprintf() with the arguments written out.
 */
int snprintf(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);

/**
 * scnprintf() - snprintf() that returns what it stored, so that results add up.
 *
 * Return: characters stored without the NUL, at most @size - 1; 0 if @size is 0.
 */
int scnprintf(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);

#endif
