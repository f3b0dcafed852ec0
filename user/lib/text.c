/* A growing piece of text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <text.h>

static bool reserve(struct text *text, size_t more)
{
    if (text->is_short_of_memory) {
        return false;
    }
    if (text->capacity - text->len >= more) {
        return true;
    }
    size_t capacity = text->capacity < 512 ? 512 : text->capacity * 2;
    while (capacity - text->len < more) {
        capacity *= 2;
    }
    char *bytes = realloc(text->bytes, capacity);
    if (bytes == NULL) {
        text->is_short_of_memory = true;
        return false;
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void text_append(struct text *text, const void *bytes, size_t len)
{
    if (len > 0 && reserve(text, len)) {
        memcpy(text->bytes + text->len, bytes, len);
        text->len += len;
    }
}

void text_printf(struct text *text, const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (len < 0) {
        text->is_short_of_memory = true;
        return;
    }
    if ((size_t)len < sizeof(line)) {
        text_append(text, line, (size_t)len);
        return;
    }
    /* One byte more than the text: vsnprintf writes its NUL there. */
    if (!reserve(text, (size_t)len + 1)) {
        return;
    }
    va_start(args, format);
    vsnprintf(text->bytes + text->len, (size_t)len + 1, format, args);
    va_end(args);
    text->len += (size_t)len;
}

void text_free(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}
