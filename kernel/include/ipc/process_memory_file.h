/* /proc/pid/mem, pagemap and clear_refs, /proc/kpageflags and kpagecount: bulk data that no server
 * touches. */
#ifndef IPC_PROCESS_MEMORY_FILE_H
#define IPC_PROCESS_MEMORY_FILE_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;

/* Each is an opener of kernel_file_open(). Whoever calls it has checked who may look. */
MUST_CHECK int process_mem_open(s32 pid, u32 flags, struct file **out);
MUST_CHECK int process_pagemap_open(s32 pid, u32 flags, struct file **out);
MUST_CHECK int process_pagemap_frames_open(s32 pid, u32 flags, struct file **out);
MUST_CHECK int process_clear_refs_open(s32 pid, u32 flags, struct file **out);
MUST_CHECK int kpageflags_open(s32 pid, u32 flags, struct file **out);
MUST_CHECK int kpagecount_open(s32 pid, u32 flags, struct file **out);

#endif
