/*
 * Stands in for the test runner in a kernel that is built without suites, so that asking such a
 * kernel for tests gets a sentence instead of silence.
 */
#include <debug/ktest.h>

#include <lib/assert.h>

NORETURN void ktest_main(void)
{
    panic("this kernel has no test suites: boot the test kernel (make check) for test=");
}
