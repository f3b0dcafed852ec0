/*
 * Kernel messages: to the console at once, and into a ring that syslog(2) reads.
 *
 * The console gets the bare text. The ring keeps each line with its level and time,
 * "<6>[    1.234567] text", as Linux's dmesg expects.
 */
#ifndef LIB_PRINTK_H
#define LIB_PRINTK_H

#include <stdarg.h>

#include <lib/types.h>

/* Bytes of log kept; older lines are overwritten. */
#define KLOG_SIZE (64 * KIB)

/**
 * printk() - print a message; ends with a newline, or the next message continues the line.
 *
 * Context: any, also interrupts and a panicking CPU.
 */
void printk(const char *fmt, ...) PRINTF(1, 2);

/**
 * vprintk() - printk() with a va_list.
 */
void vprintk(const char *fmt, va_list args) PRINTF(1, 0);

/**
 * console_printf() - print to the console alone; test reports use it, the log stays small.
 */
void console_printf(const char *fmt, ...) PRINTF(1, 2);

/**
 * console_write() - write bytes to the console alone.
 * @text: @len bytes
 */
void console_write(const char *text, size_t len);

/**
 * printk_enter_panic() - from now on print without locks: their owner may be stopped.
 */
void printk_enter_panic(void);

/**
 * printk_leave_panic() - take locks again; for a test kernel that survives a panic.
 */
void printk_leave_panic(void);

/**
 * klog_read() - copy log text out.
 * @buf:  @len bytes
 * @from: in: the position to read from; out: the position after what was read.
 *        A position that was overwritten moves up to the oldest whole line.
 *
 * Return: bytes copied; 0 at the end of the log.
 */
size_t klog_read(char *buf, size_t len, u64 *from);

/**
 * klog_start() - the position of the oldest whole line that is kept.
 */
u64 klog_start(void);

/**
 * klog_end() - the position after the newest byte.
 */
u64 klog_end(void);

#endif
