/* struct utsname and struct sysinfo. Source: Linux uapi linux/utsname.h, linux/sysinfo.h. */
#ifndef UAPI_LINUX_UTSNAME_H
#define UAPI_LINUX_UTSNAME_H

#include <stdint.h>

#define UTSNAME_FIELD_SIZE 65

struct utsname {
    char sysname[UTSNAME_FIELD_SIZE];
    char nodename[UTSNAME_FIELD_SIZE];
    char release[UTSNAME_FIELD_SIZE];
    char version[UTSNAME_FIELD_SIZE];
    char machine[UTSNAME_FIELD_SIZE];
    char domainname[UTSNAME_FIELD_SIZE];
};
_Static_assert(sizeof(struct utsname) == 390, "struct utsname is six fields of 65 bytes");

struct sysinfo {
    int64_t uptime;
    uint64_t loads[3]; /* 16 fraction bits */
    uint64_t totalram;
    uint64_t freeram;
    uint64_t sharedram;
    uint64_t bufferram;
    uint64_t totalswap;
    uint64_t freeswap;
    uint16_t procs;
    uint16_t pad;
    uint32_t pad2;
    uint64_t totalhigh;
    uint64_t freehigh;
    uint32_t mem_unit;
    uint32_t pad3;
};
_Static_assert(sizeof(struct sysinfo) == 112, "struct sysinfo is 112 bytes");

#endif
