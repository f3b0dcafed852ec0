/*
 * Segments, task state and interrupt gates. Segmentation is only what 64-bit mode demands; the
 * task state holds the stacks that the CPU switches to. Source: SDM 3A 3.4, 6.14, 7.7.
 */
#include "machine.h"
#include "io.h"
#include <arch/layout.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/frames.h>

#define IST_STACK_SIZE (8 * KIB)
#define GATE_INTERRUPT 0x8e
#define GATE_USER      0x60 /* may be reached by INT n from user mode */
#define SEGMENT_CODE   0x00af9b000000ffffull
#define SEGMENT_DATA   0x00cf93000000ffffull
#define SEGMENT_CODE32 0x00cf9b000000ffffull
#define SEGMENT_USER   0x0000600000000000ull
#define SEGMENT_TSS    0x89ull
/* SYSRET takes SS from the base + 8 and CS from the base + 16 (SDM 2B "SYSRET"). */
#define STAR_SYSRET_BASE (SELECTOR_USER_DATA - 8)

_Static_assert(STAR_SYSRET_BASE + 16 == SELECTOR_USER_CODE, "SYSRET's fixed order of selectors");

struct PACKED task_state {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3;
    u16 io_map_base;
};

_Static_assert(sizeof(struct task_state) == 104, "SDM 3A figure 7-11");

struct PACKED table_pointer {
    u16 limit;
    u64 base;
};

struct gate {
    u16 offset_low;
    u16 selector;
    u8 ist;
    u8 type;
    u16 offset_middle;
    u32 offset_high;
    u32 reserved;
};

/*
 * At the top of each interrupt stack stands the CPU's record: an NMI may come at any instruction,
 * also where GS still holds the user's base, and finds its CPU by its stack.
 */
struct ist_stack {
    u8 bytes[IST_STACK_SIZE - 16];
    struct cpu *cpu;
    u64 reserved;
};

struct cpu_tables {
    struct ist_stack stacks[NR_IST];
    u64 gdt[10] ALIGNED(16);
    struct task_state tss;
};

_Static_assert(offsetof(struct ist_stack, cpu) % 16 == 0, "the CPU aligns stacks to 16 bytes");
_Static_assert(sizeof(struct cpu_tables) <= 32 * KIB, "one block of order 3");

static struct cpu_tables boot_cpu_tables ALIGNED(4096);
static struct cpu_tables *tables[MAX_CPUS];
static struct gate idt[256] ALIGNED(16);

static void set_gate(u32 vector, u64 handler, u8 ist, u8 extra)
{
    idt[vector] = (struct gate){
        .offset_low = (u16)handler,
        .selector = SELECTOR_KERNEL_CODE,
        .ist = ist,
        .type = GATE_INTERRUPT | extra,
        .offset_middle = (u16)(handler >> 16),
        .offset_high = (u32)(handler >> 32),
    };
}

static void fill_idt(void)
{
    for (u32 vector = 0; vector < 256; vector++) {
        set_gate(vector, (u64)trap_stubs + vector * TRAP_STUB_SIZE, 0, 0);
    }
    set_gate(VECTOR_BREAKPOINT, (u64)trap_stubs + VECTOR_BREAKPOINT * TRAP_STUB_SIZE, 0, GATE_USER);
    set_gate(VECTOR_OVERFLOW, (u64)trap_stubs + VECTOR_OVERFLOW * TRAP_STUB_SIZE, 0, GATE_USER);
    set_gate(VECTOR_NMI, (u64)trap_nmi, IST_NMI, 0);
    set_gate(VECTOR_DOUBLE_FAULT, (u64)trap_double_fault, IST_DOUBLE_FAULT, 0);
    set_gate(VECTOR_MACHINE_CHECK, (u64)trap_machine_check, IST_MACHINE_CHECK, 0);
}

static void fill_tables(struct cpu_tables *table, u32 id)
{
    u64 base = (u64)&table->tss;
    u64 limit = sizeof(table->tss) - 1;

    memset(table->gdt, 0, sizeof(table->gdt));
    memset(&table->tss, 0, sizeof(table->tss));
    table->gdt[SELECTOR_KERNEL_CODE / 8] = SEGMENT_CODE;
    table->gdt[SELECTOR_KERNEL_DATA / 8] = SEGMENT_DATA;
    table->gdt[SELECTOR_USER_CODE32 / 8] = SEGMENT_CODE32 | SEGMENT_USER;
    table->gdt[SELECTOR_USER_DATA / 8] = SEGMENT_DATA | SEGMENT_USER;
    table->gdt[SELECTOR_USER_CODE / 8] = SEGMENT_CODE | SEGMENT_USER;
    table->gdt[SELECTOR_TSS / 8] =
        limit | ((base & 0xffffff) << 16) | (SEGMENT_TSS << 40) | (((base >> 24) & 0xff) << 56);
    table->gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
    /* A base beyond the limit: user mode may touch no port. */
    table->tss.io_map_base = sizeof(table->tss);
    for (u32 i = 0; i < NR_IST; i++) {
        table->stacks[i].cpu = cpu_at(id);
        table->tss.ist[i] = (u64)&table->stacks[i].cpu;
    }
    tables[id] = table;
}

void descriptors_init_boot_cpu(void)
{
    fill_idt();
    fill_tables(&boot_cpu_tables, 0);
}

int descriptors_alloc(u32 id)
{
    struct page *page = page_alloc(3, ALLOC_NOFAIL_TEST);

    if (page == NULL) {
        return -ENOMEM;
    }
    fill_tables(page_to_virt(page), id);
    return 0;
}

static void load_segments(void)
{
    __asm__ volatile("pushq %0\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "movw %w1, %%ss\n\t"
                     "movw %w2, %%ds\n\t"
                     "movw %w2, %%es\n\t"
                     "movw %w2, %%fs\n\t"
                     "movw %w2, %%gs\n\t"
                     :
                     : "i"(SELECTOR_KERNEL_CODE), "r"(SELECTOR_KERNEL_DATA), "r"(0)
                     : "rax", "memory");
}

/* Flags that SYSCALL clears: no interrupt before the stack is switched, no trap, no direction. */
#define SYSCALL_CLEARED_FLAGS                                                                      \
    (EFLAGS_INTERRUPT | EFLAGS_TRAP | EFLAGS_DIRECTION | EFLAGS_NESTED | EFLAGS_ALIGNMENT)

void descriptors_load(u32 id)
{
    const struct table_pointer gdt_pointer = {
        .limit = sizeof(tables[id]->gdt) - 1,
        .base = (u64)tables[id]->gdt,
    };
    const struct table_pointer idt_pointer = {.limit = sizeof(idt) - 1, .base = (u64)idt};

    __asm__ volatile("lgdt %0" : : "m"(gdt_pointer));
    load_segments();
    __asm__ volatile("lidt %0" : : "m"(idt_pointer));
    /* Loading a selector clears the base, so it is set after. */
    msr_write(MSR_GS_BASE, (u64)cpu_at(id));
    msr_write(MSR_KERNEL_GS_BASE, 0);
    msr_write(MSR_FS_BASE, 0);
    tables[id]->gdt[SELECTOR_TSS / 8] &= ~(2ull << 40); /* "busy" after a former load */
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
    msr_write(MSR_STAR, ((u64)STAR_SYSRET_BASE << 48) | ((u64)SELECTOR_KERNEL_CODE << 32));
    msr_write(MSR_LSTAR, (u64)syscall_entry);
    msr_write(MSR_SYSCALL_MASK, SYSCALL_CLEARED_FLAGS);
}

void descriptors_set_kernel_stack(u32 id, u64 top)
{
    tables[id]->tss.rsp[0] = top;
}
