/*
 * Words of user memory one by one, without a copy in between: for structures whose fields come
 * from, or go to, many places.
 *
 *     user_words_open();
 *     USER_WORD_STORE(to, value, failed);    a fault that cannot be resolved goes to the label
 *     …
 *     user_words_close();
 *
 * The range has been checked by the caller. Between opening and closing nothing is called.
 */
#ifndef COWBELL_X86_USER_WORDS_H
#define COWBELL_X86_USER_WORDS_H

#include <lib/compiler.h>
#include <lib/types.h>
#include "smap.h"

#define SMAP_SITE_TEXT(kind)                                                                       \
    "9990: .byte 0x0f, 0x1f, 0x00\n"                                                               \
    ".pushsection .smap_sites, \"a\"\n"                                                            \
    ".quad 9990b\n"                                                                                \
    ".quad " #kind "\n"                                                                            \
    ".popsection\n"

/* The access at label 1 goes on at the C label @failed, operand number @operand. */
#define USER_WORD_EXCEPTION(operand)                                                               \
    ".pushsection .exception_table, \"a\"\n"                                                       \
    ".balign 4\n"                                                                                  \
    ".long 1b - .\n"                                                                               \
    ".long %l" #operand " - .\n"                                                                   \
    ".popsection\n"

static ALWAYS_INLINE void user_words_open(void)
{
    __asm__ volatile(SMAP_SITE_TEXT(1) : : : "memory");
}

static ALWAYS_INLINE void user_words_close(void)
{
    __asm__ volatile(SMAP_SITE_TEXT(2) : : : "memory");
}

_Static_assert(SMAP_SITE_STAC == 1 && SMAP_SITE_CLAC == 2, "the kinds of sites above");

/* C sees no store: no object of its own lies in user memory. */
#define USER_WORD_STORE(to, value, failed)                                                         \
    __asm__ goto("1: movq %1, %0\n" USER_WORD_EXCEPTION(2)                                         \
                 :                                                                                 \
                 : "m"(*(const u64 *)(to)), "er"((u64)(value))                                     \
                 :                                                                                 \
                 : failed)

#define USER_WORD_LOAD(value, from, failed)                                                        \
    __asm__ goto("1: movq %1, %0\n" USER_WORD_EXCEPTION(2)                                         \
                 : "=r"(value)                                                                     \
                 : "m"(*(const u64 *)(from))                                                       \
                 :                                                                                 \
                 : failed)

#endif
