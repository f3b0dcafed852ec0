/*
 * Calls of programs, each of whose allocations fails in turn: what such a test is made of.
 *
 * A case is run in a process with some memory. Its call is made with the first allocation failing,
 * then the second, and so on until none fails any more; before each try the memory is made anew.
 * A call that fails must say so with an error that its manual page lists, and leave the memory as
 * it was. Nothing may be lost: ktest compares what is held before and after.
 */
#ifndef TESTS_KERNEL_ALLOC_TEST_H
#define TESTS_KERNEL_ALLOC_TEST_H

#include <debug/ktest.h>
#include <mm/page.h>
#include <proc/process.h>
#include <syscall/syscalls.h>
#include <uapi/cowbell.h>
#include <uapi/linux/mman.h>
#include "proc_test.h"

/* The memory: private anonymous, half of it written; a memfd, mapped privately with a page of its
 * own, and mapped shared. Nothing lies behind each for as many pages again. */
#define ALLOC_ANON   0x50000000ul
#define ALLOC_FILE   0x50100000ul
#define ALLOC_SHARED 0x50200000ul
#define ALLOC_PAGES  8ul /* of each */
#define ALLOC_SIZE   (ALLOC_PAGES * PAGE_SIZE)
#define ALLOC_FREE   0x5000000000ul /* far away: there are no tables */
#define ALLOC_MEMFD  0              /* its descriptor */
/* Touched, for arguments and results. */
#define ALLOC_ARGS   PROGRAM_DATA
#define ALLOC_RESULT (PROGRAM_DATA + 2048)

enum alloc_after {
    ALLOC_SAME,    /* mappings and contents */
    ALLOC_CONTENT, /* contents; part of the mappings may have changed already, as documented */
    ALLOC_CHANGED,
};

struct alloc_case {
    s64 (*call)(void);
    void (*prepare)(void); /* more than the memory; NULL: nothing */
    s64 error;             /* what the call fails with; 0: -ENOMEM */
    s64 other_error;       /* or this; 0: nothing else */
    enum alloc_after on_failure;
    enum alloc_after on_success;
    bool may_ignore; /* the call may succeed without the memory that it did not get */
};

/** alloc_run() - run a case; see above. */
void alloc_run(const struct alloc_case *the_case);

/** ALLOC_TEST(name, expression, ...) - alloc.name: a call, and fields of struct alloc_case. */
#define ALLOC_TEST(name_, expression, ...)                                                         \
    static s64 alloc_call_##name_(void)                                                            \
    {                                                                                              \
        return (s64)(expression);                                                                  \
    }                                                                                              \
    TEST(alloc, name_)                                                                             \
    {                                                                                              \
        const struct alloc_case the_case = {.call = alloc_call_##name_, __VA_ARGS__};              \
                                                                                                   \
        alloc_run(&the_case);                                                                      \
    }

#endif
