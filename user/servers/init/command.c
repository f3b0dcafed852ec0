/* The kernel command line's "run=". Pure. */
#include <string.h>
#include "init.h"

#define KEY "run="

/* "run=" at the beginning of a word. */
static const char *find_value(const char *line)
{
    const char *at = strstr(line, KEY);

    while (at != NULL && at != line && at[-1] != ' ') {
        at = strstr(at + 1, KEY);
    }
    return at != NULL ? at + strlen(KEY) : NULL;
}

bool command_parse(const char *line, struct command *command)
{
    const char *value = find_value(line);
    size_t len;
    size_t count = 0;

    if (value == NULL) {
        return false;
    }
    if (value[0] == '"') {
        value++;
        len = strcspn(value, "\"");
    } else {
        len = strlen(value);
    }
    if (len >= sizeof(command->text)) {
        return false;
    }
    memcpy(command->text, value, len);
    command->text[len] = '\0';

    char *at = command->text;
    while (*at != '\0' && count < COMMAND_ARGS_MAX) {
        at += strspn(at, " \t\n");
        if (*at == '\0') {
            break;
        }
        char quote = *at == '"' || *at == '\'' ? *at : '\0';
        const char ends[] = {quote, '\0'};
        command->argv[count++] = quote != '\0' ? ++at : at;
        at += strcspn(at, quote != '\0' ? ends : " \t\n");
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
    command->argv[count] = NULL;
    return count > 0;
}
