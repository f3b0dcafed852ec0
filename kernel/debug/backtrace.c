/*
 * Backtraces by frame pointers.
 *
 * A chain is followed only within one kernel stack and only upwards, so a damaged one ends early
 * instead of faulting. Read next: symbols.c.
 */
#include <arch/cpu.h>
#include <arch/kernel_map.h>
#include <arch/layout.h>
#include <arch/trapframe.h>
#include <debug/backtrace.h>
#include <lib/printk.h>
#include <mm/vmap.h>

/* No stack is larger, so no frame lies further from the one below it. */
#define STACK_REACH (16 * KIB)

struct stack_frame {
    u64 caller_frame;
    u64 return_address;
};

static bool is_readable(u64 address)
{
    u64 phys;

    return (address & 7) == 0 && kernel_map_lookup(address, &phys) &&
           kernel_map_lookup(address + sizeof(struct stack_frame) - 1, &phys);
}

static NO_SANITIZE_ADDRESS u32 walk(u64 frame, u64 *frames, u32 nr, u32 max)
{
    while (nr < max && is_readable(frame)) {
        const struct stack_frame *at = (const struct stack_frame *)frame;

        if (!is_kernel_text(at->return_address)) {
            break;
        }
        frames[nr++] = at->return_address;
        if (at->caller_frame <= frame || at->caller_frame - frame > STACK_REACH) {
            break;
        }
        frame = at->caller_frame;
    }
    return nr;
}

u32 backtrace_capture(u64 *frames, u32 max)
{
    return walk((u64)__builtin_frame_address(0), frames, 0, max);
}

u32 backtrace_capture_from(const struct trapframe *tf, u64 *frames, u32 max)
{
    if (max == 0) {
        return 0;
    }
    frames[0] = tf_ip(tf);
    return tf_is_user(tf) ? 1 : walk(tf_frame_pointer(tf), frames, 1, max);
}

void backtrace_print_frames(const u64 *frames, u32 nr_frames)
{
    for (u32 i = 0; i < nr_frames; i++) {
        u64 offset = 0;
        /* A return address is behind the call, which may have been a function's last act. */
        const char *name = symbol_lookup(i == 0 ? frames[i] : frames[i] - 1, &offset);

        if (name != NULL) {
            printk("    %016lx %s+%#lx\n", frames[i], name, offset + (i == 0 ? 0 : 1));
        } else {
            printk("    %016lx\n", frames[i]);
        }
    }
}

void backtrace_print(const struct trapframe *tf)
{
    u64 frames[BACKTRACE_MAX];
    u32 nr = tf != NULL ? backtrace_capture_from(tf, frames, BACKTRACE_MAX)
                        : backtrace_capture(frames, BACKTRACE_MAX);

    printk("  backtrace:\n");
    backtrace_print_frames(frames, nr);
}
