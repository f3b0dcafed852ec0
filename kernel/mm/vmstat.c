/* Counting what happens to memory, for /proc/vmstat. */
#include <mm/vmstat.h>

struct vm_events cpu_vm_events[MAX_CPUS];

u64 vm_event_count(enum vm_event event)
{
    u64 sum = 0;

    for (u32 cpu = 0; cpu < MAX_CPUS; cpu++) {
        sum += READ_ONCE(cpu_vm_events[cpu].counts[event]);
    }
    return sum;
}
