/*
 * Formatted text for printk, panic and snprintf.
 *
 * Owns nothing but the conversion rules; it takes no lock and allocates nothing, so that it works
 * in a panic. Floating point is not supported: the kernel has none.
 */
#include <lib/fmt.h>
#include <lib/string.h>

/* 64 binary digits would fit; octal, the longest base there is, needs 22. */
#define MAX_DIGITS 24

enum length { LENGTH_INT, LENGTH_CHAR, LENGTH_SHORT, LENGTH_LONG };

struct output {
    char *buf;
    size_t size;
    /* Characters produced, whether or not they fitted. */
    size_t len;
};

struct spec {
    bool left;
    bool zero_pad;
    bool plus;
    bool space;
    bool alternate;
    int width;
    /* -1: none given. */
    int precision;
    enum length length;
};

struct format {
    struct output out;
    va_list args;
};

static const char *parse_spec(struct format *f, const char *fmt, struct spec *spec);
static void convert(struct format *f, const struct spec *spec, char conversion);

static void put(struct output *out, char c)
{
    if (out->len < out->size) {
        out->buf[out->len] = c;
    }
    out->len++;
}

static void put_repeated(struct output *out, char c, int count)
{
    for (int i = 0; i < count; i++) {
        put(out, c);
    }
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
    struct format f = {.out = {.buf = buf, .size = size, .len = 0}};

    va_copy(f.args, args);
    while (*fmt != '\0') {
        if (*fmt != '%') {
            put(&f.out, *fmt++);
            continue;
        }
        struct spec spec;
        fmt = parse_spec(&f, fmt + 1, &spec);
        if (*fmt == '\0') {
            break;
        }
        convert(&f, &spec, *fmt++);
    }
    va_end(f.args);
    if (size > 0) {
        buf[min(f.out.len, size - 1)] = '\0';
    }
    return (int)f.out.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int len = vsnprintf(buf, size, fmt, args);
    va_end(args);
    return len;
}

int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int len = vsnprintf(buf, size, fmt, args);
    va_end(args);
    return size == 0 ? 0 : min(len, (int)size - 1);
}

static const char *parse_flags(const char *fmt, struct spec *spec)
{
    for (;; fmt++) {
        switch (*fmt) {
        case '-':
            spec->left = true;
            break;
        case '0':
            spec->zero_pad = true;
            break;
        case '+':
            spec->plus = true;
            break;
        case ' ':
            spec->space = true;
            break;
        case '#':
            spec->alternate = true;
            break;
        default:
            return fmt;
        }
    }
}

/* A number in the format, or an argument for '*'. */
static const char *parse_number(struct format *f, const char *fmt, int *value)
{
    if (*fmt == '*') {
        *value = va_arg(f->args, int);
        return fmt + 1;
    }
    *value = 0;
    for (; *fmt >= '0' && *fmt <= '9'; fmt++) {
        *value = *value * 10 + (*fmt - '0');
    }
    return fmt;
}

static const char *parse_length(const char *fmt, enum length *length)
{
    *length = LENGTH_INT;
    if (*fmt == 'h') {
        *length = fmt[1] == 'h' ? LENGTH_CHAR : LENGTH_SHORT;
        return fmt + (fmt[1] == 'h' ? 2 : 1);
    }
    if (*fmt == 'l') {
        *length = LENGTH_LONG;
        return fmt + (fmt[1] == 'l' ? 2 : 1);
    }
    if (*fmt == 'z' || *fmt == 't' || *fmt == 'j') {
        *length = LENGTH_LONG;
        return fmt + 1;
    }
    return fmt;
}

static const char *parse_spec(struct format *f, const char *fmt, struct spec *spec)
{
    *spec = (struct spec){.precision = -1};
    fmt = parse_flags(fmt, spec);
    fmt = parse_number(f, fmt, &spec->width);
    if (spec->width < 0) {
        spec->left = true;
        spec->width = -spec->width;
    }
    if (*fmt == '.') {
        fmt = parse_number(f, fmt + 1, &spec->precision);
    }
    return parse_length(fmt, &spec->length);
}

static void put_string(struct output *out, const struct spec *spec, const char *s)
{
    size_t max = spec->precision < 0 ? SIZE_MAX : (size_t)spec->precision;

    if (s == NULL) {
        s = "(null)";
    }
    int len = (int)strnlen(s, max);
    int padding = spec->width - len;
    if (!spec->left) {
        put_repeated(out, ' ', padding);
    }
    for (int i = 0; i < len; i++) {
        put(out, s[i]);
    }
    if (spec->left) {
        put_repeated(out, ' ', padding);
    }
}

/* @prefix is a sign or the mark of the base. */
static void put_number(struct output *out, const struct spec *spec, u64 value, u32 base,
                       const char *digits, const char *prefix)
{
    char text[MAX_DIGITS];
    int len = 0;

    for (u64 rest = value; rest != 0; rest /= base) {
        text[len++] = digits[rest % base];
    }
    int prefix_len = (int)strlen(prefix);
    int wanted = spec->precision < 0 ? 1 : spec->precision;
    /* The mark of octal numbers is a leading zero, which counts as a digit. */
    if (base == 8 && spec->alternate) {
        wanted = max(wanted, len + 1);
    }
    int zeros = max(wanted - len, 0);
    int padding = max(spec->width - prefix_len - zeros - len, 0);
    if (spec->zero_pad && !spec->left && spec->precision < 0) {
        zeros += padding;
        padding = 0;
    }
    if (!spec->left) {
        put_repeated(out, ' ', padding);
    }
    for (int i = 0; i < prefix_len; i++) {
        put(out, prefix[i]);
    }
    put_repeated(out, '0', zeros);
    while (len > 0) {
        put(out, text[--len]);
    }
    if (spec->left) {
        put_repeated(out, ' ', padding);
    }
}

static s64 next_signed(struct format *f, enum length length)
{
    switch (length) {
    case LENGTH_CHAR:
        return (s8)va_arg(f->args, int);
    case LENGTH_SHORT:
        return (s16)va_arg(f->args, int);
    case LENGTH_LONG:
        return va_arg(f->args, s64);
    default:
        return va_arg(f->args, int);
    }
}

static u64 next_unsigned(struct format *f, enum length length)
{
    switch (length) {
    case LENGTH_CHAR:
        return (u8)va_arg(f->args, u32);
    case LENGTH_SHORT:
        return (u16)va_arg(f->args, u32);
    case LENGTH_LONG:
        return va_arg(f->args, u64);
    default:
        return va_arg(f->args, u32);
    }
}

static void put_signed(struct format *f, const struct spec *spec)
{
    s64 value = next_signed(f, spec->length);
    const char *sign = "";

    if (value < 0) {
        sign = "-";
    } else if (spec->plus) {
        sign = "+";
    } else if (spec->space) {
        sign = " ";
    }
    /* Negation in unsigned arithmetic is right for the most negative number, too. */
    u64 magnitude = value < 0 ? -(u64)value : (u64)value;
    put_number(&f->out, spec, magnitude, 10, "0123456789", sign);
}

static void put_unsigned(struct format *f, const struct spec *spec, char conversion)
{
    u64 value = next_unsigned(f, spec->length);
    bool mark = spec->alternate && value != 0;

    switch (conversion) {
    case 'x':
        put_number(&f->out, spec, value, 16, "0123456789abcdef", mark ? "0x" : "");
        break;
    case 'X':
        put_number(&f->out, spec, value, 16, "0123456789ABCDEF", mark ? "0X" : "");
        break;
    case 'o':
        put_number(&f->out, spec, value, 8, "01234567", "");
        break;
    default:
        put_number(&f->out, spec, value, 10, "0123456789", "");
        break;
    }
}

static void convert(struct format *f, const struct spec *spec, char conversion)
{
    switch (conversion) {
    case 'd':
    case 'i':
        put_signed(f, spec);
        break;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        put_unsigned(f, spec, conversion);
        break;
    case 'p':
        put_number(&f->out, spec, (u64)va_arg(f->args, void *), 16, "0123456789abcdef", "0x");
        break;
    case 'c': {
        char text[2] = {(char)va_arg(f->args, int), '\0'};
        struct spec one = *spec;
        one.precision = -1;
        if (text[0] == '\0') {
            put(&f->out, '\0');
        } else {
            put_string(&f->out, &one, text);
        }
        break;
    }
    case 's':
        put_string(&f->out, spec, va_arg(f->args, const char *));
        break;
    case '%':
        put(&f->out, '%');
        break;
    default:
        put(&f->out, '%');
        put(&f->out, conversion);
        break;
    }
}
