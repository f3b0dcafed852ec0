/* The parts of kinfo: each fills the user's buffer with one kind of snapshot. */
#ifndef SYSCALL_KINFO_H
#define SYSCALL_KINFO_H

#include <lib/compiler.h>
#include <lib/types.h>

struct process;

/** kinfo_process() - kinds that tell of one process. Return: bytes, or -errno. */
MUST_CHECK s64 kinfo_process(struct process *process, u32 kind, u64 buf, u64 len);

#endif
