/*
 * Fault injection: make chosen pages of a program fail, as broken memory does or as a page that a
 * program supplies by itself does, and see whether the program gets along.
 *
 * Both failures arrive as SIGBUS at the instruction that touched the page; a system call that does
 * gets EFAULT. README.md tells them apart.
 */
#ifndef COWBELL_PAGERS_INJECT_H
#define COWBELL_PAGERS_INJECT_H

#include <stddef.h>

struct injector;

/** injector_create() - watch @nr_pages of anonymous memory. Return: 0, or a negative errno. */
int injector_create(void *memory, size_t nr_pages, struct injector **out);
/** injector_destroy() - every page is ordinary memory again; what was taken away reads as zeros. */
void injector_destroy(struct injector *injector);

/** injector_break() - the page's contents are lost: touching it is a memory error. */
int injector_break(struct injector *injector, size_t page);
/** injector_take() - the page's contents are taken away: touching it asks the program for them. */
int injector_take(struct injector *injector, size_t page);
/** injector_forbid_writes() - the next write to the page asks the program. */
int injector_forbid_writes(struct injector *injector, size_t page);

/** injector_give() - put these contents in place of a broken page or one that was taken away. */
int injector_give(struct injector *injector, size_t page, const void *contents);
/** injector_allow_writes() - end injector_forbid_writes(). */
int injector_allow_writes(struct injector *injector, size_t page);

#endif
