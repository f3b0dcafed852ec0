/* The machine's clock and serial line for host tests; the test program defines both. */
#ifndef HOST_ARCH_PLATFORM_H
#define HOST_ARCH_PLATFORM_H

#include <lib/types.h>

u64 arch_clock_ns(void);
void serial_write(const char *text, size_t len);

#endif
