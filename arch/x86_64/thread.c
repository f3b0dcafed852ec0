/*
 * A thread's machine state, and the switch from one to the next.
 *
 * Read next: fpu.c, mm_switch.c.
 */
#include "machine.h"
#include "io.h"
#include <arch/layout.h>
#include <arch/thread.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/usercopy.h>
#include <proc/thread.h>

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

/* What arch_switch_stack() pops, and where it returns to. */
struct switch_frame {
    u64 r15, r14, r13, r12, rbx, rbp;
    u64 return_address;
};

void arch_enter_user_frame(struct trapframe *tf) NORETURN;

static struct switch_frame *push_switch_frame(struct arch_thread *arch, u64 below)
{
    struct switch_frame *frame = (struct switch_frame *)below - 1;

    memset(frame, 0, sizeof(*frame));
    arch->rsp = (u64)frame;
    return frame;
}

void arch_thread_init_kernel(struct arch_thread *arch, void (*fn)(void *), void *arg)
{
    /* The place of a trapframe stays free: execve may turn the thread into a user thread. */
    struct switch_frame *frame = push_switch_frame(arch, (u64)arch_thread_trapframe(arch));

    frame->rbx = (u64)fn;
    frame->r12 = (u64)arg;
    frame->return_address = (u64)arch_thread_first_kernel;
}

void arch_thread_init_user(struct arch_thread *arch, const struct trapframe *from)
{
    struct trapframe *tf = arch_thread_trapframe(arch);
    struct switch_frame *frame;

    *tf = *from;
    frame = push_switch_frame(arch, (u64)tf);
    frame->return_address = (u64)arch_thread_first_user;
}

static ALWAYS_INLINE u64 fs_base_read(void)
{
    u64 base;
    __asm__ volatile("rdfsbase %0" : "=r"(base));
    return base;
}

static ALWAYS_INLINE void fs_base_write(u64 base)
{
    __asm__ volatile("wrfsbase %0" : : "r"(base));
}

/*
 * A program may change its bases by itself: with FSGSBASE by an instruction, otherwise by loading
 * a selector, which makes the base zero. So both are loaded at every switch to user code; only
 * the former kind of change is remembered.
 */
static void save_bases(struct arch_thread *arch)
{
    if (cpu_features()->has_fsgsbase) {
        arch->fs_base = fs_base_read();
        arch->gs_base = msr_read(MSR_KERNEL_GS_BASE);
    }
}

static void load_bases(const struct arch_thread *arch)
{
    if (cpu_features()->has_fsgsbase) {
        fs_base_write(arch->fs_base);
    } else {
        msr_write(MSR_FS_BASE, arch->fs_base);
    }
    msr_write(MSR_KERNEL_GS_BASE, arch->gs_base);
}

struct thread *arch_switch(struct thread *prev, struct thread *next)
{
    struct cpu *cpu = this_cpu();
    struct arch_thread *from = &prev->arch;
    struct arch_thread *to = &next->arch;

    ASSERT(!irqs_enabled(), "a switch of threads is not interrupted");
    if (from->fpu_state != NULL) {
        save_bases(from);
    }
    fpu_switch(from, to);
    if (to->fpu_state != NULL) {
        load_bases(to);
    }
    cpu->current = next;
    cpu->work = &to->work;
    cpu->kernel_stack_top = to->kernel_stack_top;
    descriptors_set_kernel_stack(cpu->id, to->kernel_stack_top);
    return (struct thread *)arch_switch_stack(&from->rsp, to->rsp, (u64)prev);
}

void arch_enter_user(const struct trapframe *tf)
{
    struct trapframe *top = arch_thread_trapframe(&current_thread()->arch);

    irq_disable();
    if (tf != top) {
        memmove(top, tf, sizeof(*top));
    }
    arch_enter_user_frame(top);
}

void arch_thread_exec(void)
{
    struct arch_thread *arch = &current_thread()->arch;
    u64 flags = irq_save();

    arch->fs_base = 0;
    arch->gs_base = 0;
    load_bases(arch);
    irq_restore(flags);
    arch_fpu_reset_current();
}

void arch_thread_fork(struct arch_thread *child)
{
    struct arch_thread *parent = &current_thread()->arch;
    u64 flags = irq_save();

    save_bases(parent);
    child->fs_base = parent->fs_base;
    child->gs_base = parent->gs_base;
    irq_restore(flags);
    fpu_fork(child);
}

static long set_base(int code, u64 address)
{
    struct arch_thread *arch = &current_thread()->arch;
    u64 flags;

    if (address >= USER_SPACE_END) {
        return -EPERM;
    }
    /* Between saving the two and loading them the thread must stay on this CPU. */
    flags = irq_save();
    save_bases(arch);
    if (code == ARCH_SET_FS) {
        arch->fs_base = address;
    } else {
        arch->gs_base = address;
    }
    load_bases(arch);
    irq_restore(flags);
    return 0;
}

static long get_base(int code, u64 address)
{
    struct arch_thread *arch = &current_thread()->arch;
    u64 flags = irq_save();
    u64 base;

    save_bases(arch);
    base = code == ARCH_GET_FS ? arch->fs_base : arch->gs_base;
    irq_restore(flags);
    return put_user_u64(address, base);
}

long arch_prctl(int code, u64 address)
{
    switch (code) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        return set_base(code, address);
    case ARCH_GET_FS:
    case ARCH_GET_GS:
        return get_base(code, address);
    default:
        return -EINVAL;
    }
}
