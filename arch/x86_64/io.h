/* Port input and output, and model-specific registers. Private to arch/x86_64. */
#ifndef COWBELL_X86_IO_H
#define COWBELL_X86_IO_H

#include <lib/types.h>
#include <lib/compiler.h>

static ALWAYS_INLINE void port_write8(u16 port, u8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static ALWAYS_INLINE void port_write16(u16 port, u16 value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static ALWAYS_INLINE void port_write32(u16 port, u32 value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static ALWAYS_INLINE u8 port_read8(u16 port)
{
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static ALWAYS_INLINE u16 port_read16(u16 port)
{
    u16 value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static ALWAYS_INLINE u32 port_read32(u16 port)
{
    u32 value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/* Model-specific registers (SDM 4, chapter 2). */
#define MSR_APIC_BASE      0x1b
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_X2APIC_BASE    0x800
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_SYSCALL_MASK   0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX        0xc0000103

static ALWAYS_INLINE u64 msr_read(u32 msr)
{
    u32 low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return ((u64)high << 32) | low;
}

static ALWAYS_INLINE void msr_write(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

struct cpuid {
    u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid out;
    __asm__ volatile("cpuid"
                     : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx)
                     : "a"(leaf), "c"(subleaf));
    return out;
}

static ALWAYS_INLINE u64 cr0_read(void)
{
    u64 value;
    __asm__ volatile("movq %%cr0, %0" : "=r"(value));
    return value;
}

static ALWAYS_INLINE void cr0_write(u64 value)
{
    __asm__ volatile("movq %0, %%cr0" : : "r"(value) : "memory");
}

static ALWAYS_INLINE u64 cr2_read(void)
{
    u64 value;
    __asm__ volatile("movq %%cr2, %0" : "=r"(value));
    return value;
}

static ALWAYS_INLINE u64 cr3_read(void)
{
    u64 value;
    __asm__ volatile("movq %%cr3, %0" : "=r"(value) : : "memory");
    return value;
}

static ALWAYS_INLINE void cr3_write(u64 value)
{
    __asm__ volatile("movq %0, %%cr3" : : "r"(value) : "memory");
}

static ALWAYS_INLINE u64 cr4_read(void)
{
    u64 value;
    __asm__ volatile("movq %%cr4, %0" : "=r"(value));
    return value;
}

static ALWAYS_INLINE void cr4_write(u64 value)
{
    __asm__ volatile("movq %0, %%cr4" : : "r"(value) : "memory");
}

#endif
