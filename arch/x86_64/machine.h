/*
 * What the files of arch/x86_64 say to each other. Private to this folder.
 *
 * Reading order: cpu.c and descriptors.c (a CPU made ready), entry.S and trap.c (into the kernel
 * and out), thread.c and mm_switch.c (from thread to thread), then the devices.
 */
#ifndef COWBELL_X86_MACHINE_H
#define COWBELL_X86_MACHINE_H

#include <arch/cpu.h>
#include <arch/trapframe.h>
#include <lib/types.h>
#include <lib/compiler.h>

struct boot_info;

/* Vectors. 0..31 are the CPU's exceptions; 0x20..0x2f the ISA lines. */
enum vector {
    VECTOR_DIVIDE = 0,
    VECTOR_DEBUG = 1,
    VECTOR_NMI = 2,
    VECTOR_BREAKPOINT = 3,
    VECTOR_OVERFLOW = 4,
    VECTOR_BOUND = 5,
    VECTOR_INVALID_OPCODE = 6,
    VECTOR_NO_FPU = 7,
    VECTOR_DOUBLE_FAULT = 8,
    VECTOR_INVALID_TSS = 10,
    VECTOR_NO_SEGMENT = 11,
    VECTOR_STACK = 12,
    VECTOR_PROTECTION = 13,
    VECTOR_PAGE_FAULT = 14,
    VECTOR_X87 = 16,
    VECTOR_ALIGNMENT = 17,
    VECTOR_MACHINE_CHECK = 18,
    VECTOR_SIMD = 19,
    NR_EXCEPTION_VECTORS = 32,
    VECTOR_ISA = 0x20,
    NR_ISA_LINES = 16,
    VECTOR_TIMER = 0xec,
    VECTOR_IPI_RESCHED = 0xed,
    VECTOR_IPI_CALL = 0xee,
    VECTOR_APIC_ERROR = 0xef,
    VECTOR_SPURIOUS = 0xff, /* its low four bits must be set on old APICs */
};

/* The interrupt stacks that the CPU itself switches to (SDM 3A 6.14.5). */
enum ist { IST_DOUBLE_FAULT = 1, IST_NMI = 2, IST_MACHINE_CHECK = 3, NR_IST = 3 };

/* cpu.c */
void cpu_detect_features(void);
void cpu_set_control_registers(void);
void cpu_record_init(u32 id, u32 apic_id);
void cpu_mark_online(void);
void cpu_set_count(u32 count);
void cpu_patch_smap_sites(void);

/* descriptors.c: GDT, TSS, IDT and the interrupt stacks of a CPU. */
struct cpu_tables;
void descriptors_init_boot_cpu(void);
MUST_CHECK int descriptors_alloc(u32 id);
void descriptors_load(u32 id);
void descriptors_set_kernel_stack(u32 id, u64 top);

/* entry.S */
extern char trap_stubs[];
#define TRAP_STUB_SIZE 16
void syscall_entry(void);
void trap_nmi(void);
void trap_double_fault(void);
void trap_machine_check(void);
struct arch_thread;
u64 arch_switch_stack(u64 *save_rsp, u64 load_rsp, u64 prev);
void arch_thread_first_kernel(void);
void arch_thread_first_user(void);

/* fpu.c */
void fpu_detect(struct cpu_features *features);
void fpu_init_cpu(void);
void fpu_switch(struct arch_thread *prev, struct arch_thread *next);
void fpu_init_cache(void);
void fpu_fork(struct arch_thread *child);

/* mm_switch.c */
void mm_switch_init_cpu(void);

/* irq.c */
void irq_dispatch(u64 vector, struct trapframe *tf);
void exception_to_signal(struct trapframe *tf, int vector, u64 error);

/* apic.c */
void apic_init_boot_cpu(void);
void apic_init_cpu(void);
u32 apic_read_id(void);
void apic_eoi(void);
void apic_send(u32 apic_id, u32 command);
void apic_send_fixed(u32 cpu, u8 vector);
void apic_send_nmi(u32 cpu);
void apic_send_init(u32 apic_id);
void apic_send_startup(u32 apic_id, u8 page);
void apic_timer_init_cpu(void);
void apic_timer_arm(u64 ticks);
void apic_timer_arm_deadline(u64 tsc);
void apic_timer_disarm(void);
u32 apic_timer_current(void);

/* ioapic.c */
void ioapic_init(void);
void ioapic_route_isa(u32 line, u8 vector, u32 apic_id);
void ioapic_route_isa_as_nmi(u32 line, u32 apic_id);

/* time.c */
void time_init(void);
void time_init_cpu(void);
void time_busy_wait_ns(u64 ns);

/* ipi.c, nmi.c */
void ipi_handle_call(void);
void nmi_stop_others_silently(void);
void nmi_start_periodic(void);

/* serial.c */
void serial_drain(void);

/* smp.c */
NORETURN void smp_cpu_entry(u32 id);

/* acpi.c */
#define MAX_IOAPICS    8
#define MAX_PERSISTENT 8

/** struct acpi_ioapic - an I/O APIC, and the first global interrupt number it takes. */
struct acpi_ioapic {
    u64 phys;
    u32 gsi_base;
};

/** struct acpi_isa_route - where an ISA line really arrives. */
struct acpi_isa_route {
    u32 gsi;
    bool is_active_low;
    bool is_level;
};

/** struct acpi_persistent - physical memory [start, end) of an NVDIMM. */
struct acpi_persistent {
    u64 start;
    u64 end;
};

/** struct acpi_info - what the kernel needs from the firmware's tables. [I] after acpi_init(). */
struct acpi_info {
    bool has_madt;
    u64 local_apic_phys;
    u32 nr_cpus;
    u32 nr_cpus_ignored; /* enabled, but beyond MAX_CPUS */
    u32 apic_ids[MAX_CPUS];
    u32 nr_ioapics;
    struct acpi_ioapic ioapics[MAX_IOAPICS];
    struct acpi_isa_route isa[NR_ISA_LINES];
    u16 pm_timer_port; /* 0 if there is none */
    bool pm_timer_is_32bit;
    u16 pm1a_control, pm1b_control;
    u16 smi_command_port;
    u8 acpi_enable_value;
    bool has_s5;
    u8 s5_type_a, s5_type_b;
    bool has_reset;
    u8 reset_space; /* 0 memory, 1 port */
    u64 reset_address;
    u8 reset_value;
    u32 nr_persistent;
    struct acpi_persistent persistent[MAX_PERSISTENT];
    u8 century_register; /* of the real-time clock, 0 if there is none */
};

void acpi_init(const struct boot_info *info);
const struct acpi_info *acpi_info(void);

/* acpi_nfit.c */

/** nfit_parse() - add the persistent ranges of an NFIT, @size bytes with its header, to @acpi. */
void nfit_parse(const void *table, size_t size, struct acpi_info *acpi);

#endif
