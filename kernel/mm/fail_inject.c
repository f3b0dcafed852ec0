/*
 * Failure injection: the count-down of the current thread. Owns thread->fail_nth.
 */
#include <lib/assert.h>
#include <mm/fail_inject.h>
#include <proc/thread.h>

void fail_inject_begin(u32 n)
{
    ASSERT(n > 0, "the first allocation is number 1");
    current_thread()->fail_nth = n;
}

bool fail_inject_end(void)
{
    struct thread *thread = current_thread();
    bool has_failed = thread->fail_nth == 0;

    thread->fail_nth = 0;
    return has_failed;
}

bool fail_inject_should_fail(void)
{
    struct thread *thread = current_thread();

    /* While the kernel starts there is no thread yet. */
    if (thread == NULL || thread->fail_nth == 0) {
        return false;
    }
    thread->fail_nth--;
    return thread->fail_nth == 0;
}
