/* The bits of /proc/kpageflags: those that mean something here, at Linux's places. */
#ifndef UAPI_LINUX_KERNEL_PAGE_FLAGS_H
#define UAPI_LINUX_KERNEL_PAGE_FLAGS_H

#define KPF_LOCKED      0
#define KPF_REFERENCED  2
#define KPF_UPTODATE    3
#define KPF_DIRTY       4
#define KPF_LRU         5
#define KPF_SLAB        7
#define KPF_BUDDY       10
#define KPF_MMAP        11
#define KPF_ANON        12
#define KPF_SWAPCACHE   13
#define KPF_SWAPBACKED  14
#define KPF_UNEVICTABLE 18
#define KPF_NOPAGE      20
#define KPF_ZERO_PAGE   24
#define KPF_PGTABLE     26
#define KPF_RESERVED    32
#define KPF_MLOCKED     33

#endif
