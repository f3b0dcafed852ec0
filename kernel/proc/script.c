/*
 * The `#!` line of a script. Pure, like elf.c: the host's tests and fuzzer compile this file.
 *
 * The line ends at its newline or with the head of the file. Blanks around the interpreter's name
 * are skipped; everything behind it, blanks inside included, is one argument.
 */
#include <proc/exec.h>

#include <lib/errno.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The end of the line in [0, size): its newline, or @size. */
static size_t script_line_end(const char *head, size_t size)
{
    size_t end = 2;

    while (end < size && head[end] != '\n') {
        end++;
    }
    return end;
}

int script_parse(char *head, size_t size, struct script_plan *plan)
{
    size_t limit = min(size, (size_t)EXEC_HEAD_SIZE - 1);

    if (size < 2 || head[0] != '#' || head[1] != '!') {
        return -ENOEXEC;
    }
    size_t end = script_line_end(head, limit);
    bool is_cut = end == limit && size >= EXEC_HEAD_SIZE - 1;
    size_t start = 2;

    while (start < end && is_blank(head[start])) {
        start++;
    }
    size_t name_end = start;

    while (name_end < end && !is_blank(head[name_end]) && head[name_end] != '\0') {
        name_end++;
    }
    /* A name that reaches the end of what was read may go on: running its beginning is wrong. */
    if (name_end == start || (is_cut && name_end == end)) {
        return -ENOEXEC;
    }
    while (end > name_end && is_blank(head[end - 1])) {
        end--;
    }
    head[end] = '\0';
    size_t argument = name_end;

    while (argument < end && is_blank(head[argument])) {
        argument++;
    }
    head[name_end] = '\0';
    plan->interpreter = head + start;
    plan->argument = argument < end && head[argument] != '\0' ? head + argument : NULL;
    return 0;
}
