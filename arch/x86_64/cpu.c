/*
 * The record of each CPU, what the CPU can do, and its control registers.
 *
 * Read next: descriptors.c.
 */
#include "machine.h"
#include "io.h"
#include "smap.h"
#include <arch/tlb.h>
#include <lib/assert.h>
#include <lib/string.h>

#define CR0_MONITOR_FPU   BIT(1)
#define CR0_EMULATE_FPU   BIT(2)
#define CR0_TASK_SWITCHED BIT(3)
#define CR0_NUMERIC_ERROR BIT(5)
#define CR0_WRITE_PROTECT BIT(16)
#define CR0_CACHE_OFF     (BIT(29) | BIT(30))

#define CR4_DEBUG_EXT    BIT(3)
#define CR4_GLOBAL_PAGES BIT(7)
#define CR4_FXSAVE       BIT(9)
#define CR4_SIMD_ERRORS  BIT(10)
#define CR4_UMIP         BIT(11)
#define CR4_FSGSBASE     BIT(16)
#define CR4_PCID         BIT(17)
#define CR4_XSAVE        BIT(18)
#define CR4_SMEP         BIT(20)
#define CR4_SMAP         BIT(21)

#define EFER_SYSCALL BIT(0)
#define EFER_NX      BIT(11)

_Static_assert(offsetof(struct cpu, self) == CPU_SELF, "assembly knows struct cpu");
_Static_assert(offsetof(struct cpu, current) == CPU_CURRENT, "assembly knows struct cpu");
_Static_assert(offsetof(struct cpu, kernel_stack_top) == CPU_KERNEL_STACK,
               "assembly knows struct cpu");
_Static_assert(offsetof(struct cpu, user_rsp) == CPU_USER_RSP, "assembly knows struct cpu");
_Static_assert(offsetof(struct cpu, work) == CPU_WORK, "assembly knows struct cpu");

/* A line of its own for each, so that CPUs do not pull lines from each other. */
static struct cpu cpus[MAX_CPUS] ALIGNED(64);
static struct cpu_features features;
static u32 nr_cpus = 1;
static u64 online_mask;
/* What the return path tests before the first thread exists. */
static u32 no_work;

u32 cpu_count(void)
{
    return READ_ONCE(nr_cpus);
}

void cpu_set_count(u32 count)
{
    WRITE_ONCE(nr_cpus, count);
}

struct cpu *cpu_at(u32 id)
{
    ASSERT(id < MAX_CPUS, "a CPU number is below MAX_CPUS");
    return &cpus[id];
}

u64 cpu_online_mask(void)
{
    return __atomic_load_n(&online_mask, __ATOMIC_ACQUIRE);
}

void cpu_mark_online(void)
{
    struct cpu *cpu = this_cpu();

    __atomic_store_n(&cpu->is_online, 1, __ATOMIC_RELEASE);
    __atomic_fetch_or(&online_mask, BIT(cpu->id), __ATOMIC_SEQ_CST);
}

void cpu_record_init(u32 id, u32 apic_id)
{
    struct cpu *cpu = cpu_at(id);

    cpu->self = cpu;
    cpu->id = id;
    cpu->apic_id = apic_id;
    cpu->work = &no_work;
    tlb_slots_init(&cpu->tlb, features.has_pcid ? TLB_SLOTS_MAX : 1);
}

const struct cpu_features *cpu_features(void)
{
    return &features;
}

u64 cpu_hwcap2(void)
{
    return features.has_fsgsbase ? BIT(1) : 0;
}

static void detect_names(void)
{
    struct cpuid leaf = cpuid(0, 0);

    features.max_leaf = leaf.eax;
    memcpy(features.vendor, &leaf.ebx, 4);
    memcpy(features.vendor + 4, &leaf.edx, 4);
    memcpy(features.vendor + 8, &leaf.ecx, 4);
    for (u32 i = 0; i < 3 && cpuid(0x80000000, 0).eax >= 0x80000004; i++) {
        leaf = cpuid(0x80000002 + i, 0);
        memcpy(features.brand + i * sizeof(leaf), &leaf, sizeof(leaf));
    }
}

/* Bits: SDM 2A "CPUID". */
void cpu_detect_features(void)
{
    struct cpuid basic = cpuid(1, 0);
    struct cpuid extended = cpuid(0x80000001, 0);

    detect_names();
    features.hwcap = basic.edx;
    features.has_global_pages = basic.edx & BIT(13);
    /* The kernel's translations must be global: INVLPG forgets those under any PCID. */
    features.has_pcid = (basic.ecx & BIT(17)) && features.has_global_pages;
    features.has_x2apic = basic.ecx & BIT(21);
    features.has_tsc_deadline = basic.ecx & BIT(24);
    features.has_rdrand = basic.ecx & BIT(30);
    features.has_nx = extended.edx & BIT(20);
    features.has_1g_pages = extended.edx & BIT(26);
    features.has_rdtscp = extended.edx & BIT(27);
    features.is_virtual = basic.ecx & BIT(31);
    if (features.max_leaf >= 7) {
        struct cpuid structured = cpuid(7, 0);

        features.has_fsgsbase = structured.ebx & BIT(0);
        features.has_smep = structured.ebx & BIT(7);
        features.has_invpcid = structured.ebx & BIT(10);
        features.has_smap = structured.ebx & BIT(20);
        features.has_umip = structured.ecx & BIT(2);
    }
    features.physical_bits = 36;
    if (cpuid(0x80000000, 0).eax >= 0x80000008) {
        features.physical_bits = cpuid(0x80000008, 0).eax & 0xff;
    }
    fpu_detect(&features);
}

void cpu_set_control_registers(void)
{
    u64 cr4 = cr4_read() | CR4_FXSAVE | CR4_SIMD_ERRORS | CR4_DEBUG_EXT;

    cr4 |= features.has_global_pages ? CR4_GLOBAL_PAGES : 0;
    cr4 |= features.has_umip ? CR4_UMIP : 0;
    cr4 |= features.has_fsgsbase ? CR4_FSGSBASE : 0;
    cr4 |= features.has_xsave ? CR4_XSAVE : 0;
    cr4 |= features.has_smep ? CR4_SMEP : 0;
    cr4 |= features.has_smap ? CR4_SMAP : 0;
    cr4 |= features.has_pcid ? CR4_PCID : 0;
    /* NX before any table that uses the bit; write protection binds the kernel as well. */
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SYSCALL | (features.has_nx ? EFER_NX : 0));
    cr4_write(cr4);
    /* A CPU that comes out of INIT has its caches off (SDM 3A table 9-1). */
    cr0_write((cr0_read() & ~(CR0_EMULATE_FPU | CR0_TASK_SWITCHED | CR0_CACHE_OFF)) |
              CR0_MONITOR_FPU | CR0_NUMERIC_ERROR | CR0_WRITE_PROTECT);
}

/* STAC and CLAC are invalid opcodes without SMAP, so the sites hold NOPs until it is found. */
void cpu_patch_smap_sites(void)
{
    extern const struct smap_site __smap_sites_start[], __smap_sites_end[];

    if (!features.has_smap) {
        return;
    }
    for (const struct smap_site *site = __smap_sites_start; site < __smap_sites_end; site++) {
        u8 *code = (u8 *)site->address;

        code[0] = 0x0f;
        code[1] = 0x01;
        code[2] = site->kind == SMAP_SITE_STAC ? 0xcb : 0xca;
    }
}

bool arch_random_u64(u64 *value)
{
    u64 random;
    bool is_valid;

    if (!features.has_rdrand) {
        return false;
    }
    __asm__ volatile("rdrand %0" : "=r"(random), "=@ccc"(is_valid));
    if (is_valid) {
        *value = random;
    }
    return is_valid;
}

void cpu_halt_forever(void)
{
    irq_disable();
    for (;;) {
        __asm__ volatile("hlt" : : : "memory");
    }
}
