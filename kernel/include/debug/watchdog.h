/*
 * The watchdog: reports CPUs and threads that hang in the kernel. See kernel/debug/watchdog.c.
 */
#ifndef DEBUG_WATCHDOG_H
#define DEBUG_WATCHDOG_H

#include <lib/types.h>

/** watchdog_tick() - from the tick of a CPU: it is alive; look after the others. */
void watchdog_tick(bool was_user, u64 now);
/** watchdog_armed() - the tick of this CPU, which was idle, begins: it is missed from now on. */
void watchdog_armed(u64 now);
/** watchdog_idle() - this CPU stops its tick and is not missed. */
void watchdog_idle(void);
/** watchdog_touch() - long work with a purpose (a report on a slow serial line) is no hang. */
void watchdog_touch(void);
/** watchdog_set_enabled() - switch the checks on or off for all CPUs. */
void watchdog_set_enabled(bool enabled);

#endif
