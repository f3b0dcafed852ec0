/*
 * Error numbers: the ABI's, and those that never leave the kernel.
 *
 * The internal ones mean "a signal interrupted this call"; the signal code turns them into a
 * restart or into EINTR. The numbers are Linux's, because ptrace and libc's authors know them.
 */
#ifndef LIB_ERRNO_H
#define LIB_ERRNO_H

#include <uapi/linux/errno.h>

#define ERESTARTSYS           512
#define ERESTARTNOINTR        513
#define ERESTARTNOHAND        514
#define ERESTART_RESTARTBLOCK 516

#endif
