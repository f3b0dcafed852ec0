/* How Linux encodes ioctl commands, and the commands that are no terminal's. */
#ifndef UAPI_LINUX_IOCTL_H
#define UAPI_LINUX_IOCTL_H

#include <stdint.h>

#define IOC_NR_BITS   8
#define IOC_TYPE_BITS 8
#define IOC_SIZE_BITS 14
#define IOC_NONE      0u
#define IOC_WRITE     1u /* the caller's memory is read */
#define IOC_READ      2u /* the caller's memory is written */

#define IOC_DIR(cmd)  (((cmd) >> 30) & 3u)
#define IOC_SIZE(cmd) (((cmd) >> 16) & 0x3fffu)
#define IOC_TYPE(cmd) (((cmd) >> 8) & 0xffu)

/* The number of a command that moves @size bytes in the directions @dir. */
#define IOC_MAKE(dir, type, nr, size)                                                              \
    (((dir) << 30) | ((uint32_t)(size) << 16) | ((uint32_t)(type) << 8) | (uint32_t)(nr))

#define FIONCLEX   0x5450
#define FIOCLEX    0x5451
#define FIONBIO    0x5421
#define FIOASYNC   0x5452
#define FIONREAD   0x541B
#define FIOQSIZE   0x5460
#define BLKGETSIZE 0x1260
#define BLKSSZGET  0x1268

#endif
