/*
 * Where the kernel goes on when an access to user memory faults for good. The table is made by
 * usercopy.S and short, so it is searched from end to end.
 */
#include "machine.h"
#include <arch/layout.h>
#include <arch/usercopy.h>

/* Both addresses are relative to the field that holds them. */
struct exception_entry {
    s32 instruction;
    s32 fixup;
};

extern const struct exception_entry __exception_table_start[], __exception_table_end[];

static const struct exception_entry *find_entry(u64 ip)
{
    const struct exception_entry *entry = __exception_table_start;

    for (; entry < __exception_table_end; entry++) {
        if ((u64)&entry->instruction + (s64)entry->instruction == ip) {
            return entry;
        }
    }
    return NULL;
}

bool arch_has_fixup(u64 ip)
{
    return find_entry(ip) != NULL;
}

bool arch_fixup_exception(struct trapframe *tf)
{
    const struct exception_entry *entry = find_entry(tf->rip);

    if (entry == NULL) {
        return false;
    }
    tf->rip = (u64)&entry->fixup + (s64)entry->fixup;
    return true;
}
