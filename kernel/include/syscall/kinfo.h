/* The parts of kinfo: each fills the user's buffer with one kind of snapshot. */
#ifndef SYSCALL_KINFO_H
#define SYSCALL_KINFO_H

#include <lib/compiler.h>
#include <lib/types.h>

struct process;
struct thread;

/** kinfo_process() - kinds that tell of one process. Return: bytes, or -errno. */
MUST_CHECK s64 kinfo_process(struct process *process, u32 kind, u64 buf, u64 len);

/** kinfo_thread() - kinds that tell of one thread. Return: bytes, or -errno. */
MUST_CHECK s64 kinfo_thread(struct thread *thread, u32 kind, u64 buf, u64 len);

/** kinfo_vmas() - CB_KINFO_VMAS: the VMAs of one process. Return: bytes, or -errno. */
MUST_CHECK s64 kinfo_vmas(struct process *process, u64 buf, u64 len);

/** kinfo_smaps() - CB_KINFO_SMAPS: the same with what their pages use. Return: bytes, or -errno. */
MUST_CHECK s64 kinfo_smaps(struct process *process, u64 buf, u64 len);

#endif
