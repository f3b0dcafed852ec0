/*
 * The kernel's command line. Options are looked up where they are needed; the list of all known
 * ones is here, so that a misspelt one is reported instead of ignored.
 */
#include <lib/cmdline.h>
#include <lib/errno.h>
#include <lib/printk.h>
#include <lib/string.h>

#define COPIES_SIZE 4096
#define RUN_OPTION  "run"

static const char *line = "";

static const char *const known_options[] = {
    "test",      /* run the suites that match, in a test kernel */
    "test_from", /* the number of the first of them to run */
    "counted",   /* time advances with the guest's instructions: tests may measure it */
    "schedule",  /* the one schedule that an exploring test runs, instead of all */
    RUN_OPTION,  /* the program that init runs instead of a shell, with its arguments */
    "init",      /* the first program, instead of /sbin/init */
    "dax",       /* bytes of memory set aside as a direct device: dax=64M */
    "panic",     /* what a panic does: halt, exit or reboot */
    "quiet",     /* start without messages that are not errors */
    "watchdog",  /* seconds without progress until the NMI watchdog panics; 0: off */
    "seed",      /* of the random generator, for runs that repeat */
    "aslr",      /* address spaces are laid out at random places */
};

/* One option within the line: [start, equals) is its name, [value, end) its value. */
struct option {
    const char *start;
    size_t name_len;
    const char *value; /* NULL without an equals sign */
    size_t value_len;
    const char *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* Find the option at or after @at. Return: false at the end of the line. */
static bool next_option(const char *at, struct option *option)
{
    bool is_quoted = false;

    while (is_blank(*at)) {
        at++;
    }
    if (*at == '\0') {
        return false;
    }
    *option = (struct option){.start = at};
    for (; *at != '\0' && (is_quoted || !is_blank(*at)); at++) {
        if (*at == '"') {
            is_quoted = !is_quoted;
        } else if (*at == '=' && option->value == NULL) {
            option->value = at + 1;
        }
    }
    option->end = at;
    if (option->value == NULL) {
        option->name_len = (size_t)(at - option->start);
        return true;
    }
    option->name_len = (size_t)(option->value - 1 - option->start);
    if (*option->value == '"') {
        option->value++;
        at -= at[-1] == '"' && at > option->value ? 1 : 0;
    }
    option->value_len = (size_t)(at - option->value);
    return true;
}

static bool is_named(const struct option *option, const char *name)
{
    return strlen(name) == option->name_len && strncmp(option->start, name, option->name_len) == 0;
}

/* The last one counts, so that what is appended to a line overrides what stands before. */
static bool find_option(const char *name, struct option *found)
{
    struct option option;
    bool is_found = false;

    for (const char *at = line; next_option(at, &option); at = option.end) {
        if (is_named(&option, name)) {
            *found = option;
            is_found = true;
        }
    }
    return is_found;
}

void cmdline_init(const char *text)
{
    line = text;
}

const char *cmdline_text(void)
{
    return line;
}

bool cmdline_has(const char *name)
{
    struct option option;

    return find_option(name, &option);
}

int cmdline_copy(const char *name, char *value, size_t size)
{
    struct option option;
    size_t len;

    if (!find_option(name, &option)) {
        return -ENOENT;
    }
    len = min(option.value_len, size - 1);
    if (option.value != NULL) {
        memcpy(value, option.value, len);
    }
    value[len] = '\0';
    return (int)option.value_len;
}

const char *cmdline_get(const char *name)
{
    static char copies[COPIES_SIZE];
    static size_t used;
    struct option option;
    char *copy = copies + used;

    if (!find_option(name, &option) || option.value_len >= COPIES_SIZE - used) {
        return NULL;
    }
    (void)cmdline_copy(name, copy, option.value_len + 1);
    used += option.value_len + 1;
    return copy;
}

u64 cmdline_u64(const char *name, u64 otherwise)
{
    char text[32];
    u64 value;

    if (cmdline_copy(name, text, sizeof(text)) <= 0) {
        return otherwise;
    }
    if (parse_u64(text, &value) != 0) {
        printk("The kernel option %s=%s is not a number and is ignored.\n", name, text);
        return otherwise;
    }
    return value;
}

static bool is_known(const struct option *option)
{
    for (size_t i = 0; i < ARRAY_SIZE(known_options); i++) {
        if (is_named(option, known_options[i])) {
            return true;
        }
    }
    return false;
}

void cmdline_report_unknown(void)
{
    struct option option;

    for (const char *at = line; next_option(at, &option); at = option.end) {
        if (is_named(&option, RUN_OPTION)) {
            return; /* the rest of the line is the program's */
        }
        if (!is_known(&option)) {
            printk("The kernel option \"%.*s\" is unknown and is ignored.\n", (int)option.name_len,
                   option.start);
        }
    }
}
