/*
 * What the suites about processes share: running a test body as a process, and small programs for
 * its children, written as machine code into a page of the test's memory.
 */
#ifndef TESTS_KERNEL_PROC_TEST_H
#define TESTS_KERNEL_PROC_TEST_H

#include <lib/types.h>
#include <proc/process.h>

struct trapframe;

#define PROGRAM_CODE  0x10000000UL
#define PROGRAM_STACK 0x20000000UL /* end of the stack */
#define PROGRAM_DATA  0x30000000UL

/**
 * proc_test_run() - run @body as the first thread of a process with a code, a stack and a data
 * page.
 *
 * The process ends when the body returns. Return: its wait status word.
 */
s32 proc_test_run(void (*body)(void));

/* Programs. Each replaces what stands in the code page and returns its entry point. */
u64 program_exit(u8 code);
u64 program_pause(void);
u64 program_spin(void);
/** program_store_exit() - writes @value to PROGRAM_DATA, then exits with @code. */
u64 program_store_exit(u32 value, u8 code);
u64 program_read_null(void);
u64 program_divide_by_zero(void);
u64 program_undefined(void);

/**
 * program_clone() - a child that runs the program at @entry.
 * @flags:  CLONE_*; the exit signal is SIGCHLD
 * Return:  its pid, or the error of process_clone().
 */
s64 program_clone(u64 entry, u64 flags);

/** program_wait() - wait for one child. Return: its wait status, or the error. */
s64 program_wait(s32 pid, u32 options);

/** program_until() - give way until @condition holds, at most a guest second. */
#define program_until(condition)                                                                   \
    ({                                                                                             \
        u64 program_deadline_ = clock_monotonic_ns() + ktest_patience_ns(NSEC_PER_SEC);            \
        while (!(condition) && clock_monotonic_ns() < program_deadline_) {                         \
            sched_yield_current();                                                                 \
        }                                                                                          \
        EXPECT_TRUE(condition);                                                                    \
    })

#endif
