/*
 * Failure injection: makes the n-th allocation of the current thread fail.
 *
 * A test runs an operation with its first allocation failing, then its second, and so on until it
 * succeeds, and looks each time for a clean error and for leaks.
 */
#ifndef MM_FAIL_INJECT_H
#define MM_FAIL_INJECT_H

#include <lib/types.h>

/**
 * fail_inject_begin() - let the n-th allocation from now on, of this thread, fail.
 * @n: from 1
 */
void fail_inject_begin(u32 n);

/**
 * fail_inject_end() - stop it.
 *
 * Return: true if the failure happened; false if the operation made fewer allocations.
 */
bool fail_inject_end(void);

/**
 * fail_inject_should_fail() - asked by every allocation in debug builds.
 */
bool fail_inject_should_fail(void);

#endif
