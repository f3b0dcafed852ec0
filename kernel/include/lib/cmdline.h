/*
 * The kernel's command line: words separated by blanks, each an `option` or an `option=value`.
 * A value may be quoted to hold blanks: run="/bin/test -v".
 */
#ifndef COWBELL_LIB_CMDLINE_H
#define COWBELL_LIB_CMDLINE_H

#include <lib/types.h>
#include <lib/compiler.h>

/** cmdline_init() - keep @text, which stays valid for ever, for the functions below. */
void cmdline_init(const char *text);

/**
 * cmdline_copy() - the value of an option.
 * @name:   without the equals sign
 * @value:  out: NUL-terminated, cut to @size bytes; unchanged if the option is absent
 *
 * Return: the whole length of the value (0 for a bare option), or -ENOENT.
 */
int cmdline_copy(const char *name, char *value, size_t size);

/** cmdline_get() - the value of an option, kept for ever, or NULL if it is absent. */
const char *cmdline_get(const char *name);

/** cmdline_has() - is the option there, with or without a value? */
bool cmdline_has(const char *name);

/** cmdline_u64() - the option's value as a decimal or 0x number, or @otherwise. */
u64 cmdline_u64(const char *name, u64 otherwise);

/** cmdline_text() - the whole line, for /proc/cmdline. */
const char *cmdline_text(void);

/** cmdline_report_unknown() - one clear sentence on the console for each option nobody knows. */
void cmdline_report_unknown(void);

#endif
