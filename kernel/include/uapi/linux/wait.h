/* Options and status words of the wait family. Source: Linux uapi linux/wait.h. */
#ifndef UAPI_LINUX_WAIT_H
#define UAPI_LINUX_WAIT_H

#define WNOHANG     0x00000001
#define WUNTRACED   0x00000002
#define WSTOPPED    WUNTRACED
#define WEXITED     0x00000004
#define WCONTINUED  0x00000008
#define WNOWAIT     0x01000000
#define __WNOTHREAD 0x20000000
#define __WALL      0x40000000
#define __WCLONE    0x80000000

#define P_ALL   0
#define P_PID   1
#define P_PGID  2
#define P_PIDFD 3

/* Status words: how a process ended, stopped or went on. */
#define WAIT_STATUS_EXIT(code)      (((code)&0xff) << 8)
#define WAIT_STATUS_SIGNAL(signal)  ((signal)&0x7f)
#define WAIT_STATUS_STOPPED(signal) (((signal) << 8) | 0x7f)
#define WAIT_STATUS_CONTINUED       0xffff

#endif
