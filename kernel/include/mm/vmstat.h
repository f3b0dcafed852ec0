#ifndef MM_VMSTAT_H
#define MM_VMSTAT_H

#include <arch/cpu.h>
#include <lib/compiler.h>
#include <lib/types.h>

/* Events that /proc/vmstat counts, each CPU for itself: kernel code is not preempted. */
enum vm_event {
    VM_EVENT_FAULT,     /* page faults */
    VM_EVENT_MAJOR,     /* of these, those that asked a pager for pages */
    VM_EVENT_LAZYFREE,  /* pages marked by MADV_FREE */
    VM_EVENT_LAZYFREED, /* of these, taken away */
    VM_EVENT_OOM_KILL,
    NR_VM_EVENTS,
};

struct vm_events {
    u64 counts[NR_VM_EVENTS];
} ALIGNED(64);

extern struct vm_events cpu_vm_events[MAX_CPUS];

/** vm_event() - @nr times more. Context: thread. */
static inline void vm_event(enum vm_event event, u64 nr)
{
    u64 *count = &cpu_vm_events[cpu_id()].counts[event];

    WRITE_ONCE(*count, *count + nr);
}

/** vm_event_count() - how often so far, on all CPUs. */
u64 vm_event_count(enum vm_event event);

#endif
