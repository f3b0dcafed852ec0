/* A growing piece of text, for files whose content is made when they are read. */
#ifndef USER_TEXT_H
#define USER_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *bytes; /* not NUL-terminated; may hold NULs */
    size_t len;
    size_t capacity;
    bool is_short_of_memory; /* something did not fit: the text must not be used */
};

/** text_append() - add @len bytes. */
void text_append(struct text *text, const void *bytes, size_t len);

/** text_printf() - add formatted text of any length. */
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** text_free() - give the memory back; the text is empty afterwards. */
void text_free(struct text *text);

#endif
