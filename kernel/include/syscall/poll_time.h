/* Time-outs of the calls that wait for files. */
#ifndef SYSCALL_POLL_TIME_H
#define SYSCALL_POLL_TIME_H

#include <lib/compiler.h>
#include <lib/types.h>

/** poll_deadline_ms() - a deadline from poll(2)'s milliseconds; negative means none. */
u64 poll_deadline_ms(s32 timeout_ms);

/** poll_deadline_timespec() - from a user's timespec, 0 means none. Return: 0, -EFAULT, -EINVAL. */
MUST_CHECK int poll_deadline_timespec(u64 user_timeout, u64 *deadline_ns);

/** poll_time_left() - nanoseconds until a deadline, 0 if it has passed. */
u64 poll_time_left(u64 deadline_ns);

/** poll_put_timespec() - tell the user what is left; a bad address is ignored, as in Linux. */
void poll_put_timespec(u64 user_timeout, u64 deadline_ns);

#endif
