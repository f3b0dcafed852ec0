/*
 * The x87, SSE and AVX registers: saved in full when a thread that has them leaves the CPU, and
 * loaded when one comes. The kernel itself uses none of them.
 *
 * Programs see the features in XCR0, which is limited to what is saved here. Source: SDM 1,
 * chapter 13. Read next: mm_switch.c.
 */
#include "machine.h"
#include "io.h"
#include <arch/thread.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <proc/thread.h>

#define XFEATURE_X87    BIT(0)
#define XFEATURE_SSE    BIT(1)
#define XFEATURE_AVX    BIT(2)
#define XFEATURES_KNOWN (XFEATURE_X87 | XFEATURE_SSE | XFEATURE_AVX)

#define FXSAVE_SIZE          512
#define XSAVE_HEADER         512
#define XSAVE_HEADER_SIZE    64
#define FXSAVE_CONTROL_WORD  0
#define FXSAVE_MXCSR         24
#define FXSAVE_MXCSR_MASK    28
#define CONTROL_WORD_DEFAULT 0x037f
#define MXCSR_DEFAULT        0x1f80
#define MXCSR_MASK_DEFAULT   0xffbf /* SDM 1, 11.6.6: what a zero in the mask field means */

static u64 mask;
static u32 state_size = FXSAVE_SIZE;
static u32 mxcsr_mask = MXCSR_MASK_DEFAULT;
static struct kmem_cache *state_cache;

static u64 xcr0_read(void)
{
    u32 low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((u64)high << 32) | low;
}

static void xcr0_write(u64 value)
{
    __asm__ volatile("xsetbv" : : "c"(0), "a"((u32)value), "d"((u32)(value >> 32)));
}

static ALWAYS_INLINE void save(void *state)
{
    if (mask == 0) {
        __asm__ volatile("fxsave64 (%0)" : : "r"(state) : "memory");
    } else {
        __asm__ volatile("xsave64 (%0)" : : "r"(state), "a"((u32)mask), "d"(0) : "memory");
    }
}

static ALWAYS_INLINE void restore(const void *state)
{
    if (mask == 0) {
        __asm__ volatile("fxrstor64 (%0)" : : "r"(state) : "memory");
    } else {
        __asm__ volatile("xrstor64 (%0)" : : "r"(state), "a"((u32)mask), "d"(0) : "memory");
    }
}

void fpu_detect(struct cpu_features *features)
{
    struct cpuid basic = cpuid(1, 0);

    features->fpu_state_size = FXSAVE_SIZE;
    features->has_xsave = (basic.ecx & BIT(26)) != 0 && features->max_leaf >= 0xd;
    if (features->has_xsave) {
        u64 possible = cpuid(0xd, 0).eax;

        features->fpu_mask = possible & XFEATURES_KNOWN;
        features->has_xsaveopt = cpuid(0xd, 1).eax & BIT(0);
        features->has_avx = (features->fpu_mask & XFEATURE_AVX) != 0;
        /* The standard format puts AVX where leaf 0xd, subleaf 2 says. */
        features->fpu_state_size = XSAVE_HEADER + XSAVE_HEADER_SIZE;
        if (features->has_avx) {
            struct cpuid avx = cpuid(0xd, 2);

            features->fpu_state_size = avx.ebx + avx.eax;
        }
    }
    mask = features->fpu_mask;
    state_size = features->fpu_state_size;
}

static void reset_image(void *state)
{
    memset(state, 0, state_size);
    *(u16 *)((u8 *)state + FXSAVE_CONTROL_WORD) = CONTROL_WORD_DEFAULT;
    *(u32 *)((u8 *)state + FXSAVE_MXCSR) = MXCSR_DEFAULT;
}

void fpu_init_cpu(void)
{
    if (mask != 0) {
        xcr0_write(mask);
        ASSERT(xcr0_read() == mask, "XCR0 holds the features whose state is saved");
    }
    __asm__ volatile("fninit");
}

static void create_cache(void)
{
    u8 image[FXSAVE_SIZE] ALIGNED(64);
    u32 found;

    __asm__ volatile("fxsave64 (%0)" : : "r"(image) : "memory");
    found = *(u32 *)(image + FXSAVE_MXCSR_MASK);
    mxcsr_mask = found != 0 ? found : MXCSR_MASK_DEFAULT;
    state_cache = kmem_cache_create("fpu_state", state_size, 64, NULL);
}

void fpu_init_cache(void)
{
    ASSERT(state_cache == NULL, "the FPU cache is made once");
    create_cache();
}

int arch_thread_fpu_alloc(struct arch_thread *arch)
{
    void *state = kmem_cache_alloc(state_cache, ALLOC_KERNEL);

    if (state == NULL) {
        return -ENOMEM;
    }
    reset_image(state);
    arch->fpu_state = state;
    return 0;
}

void arch_thread_fpu_free(struct arch_thread *arch)
{
    if (arch->fpu_state != NULL) {
        kmem_cache_free(state_cache, arch->fpu_state);
        arch->fpu_state = NULL;
    }
}

void fpu_switch(struct arch_thread *prev, struct arch_thread *next)
{
    if (prev->fpu_state != NULL) {
        save(prev->fpu_state);
    }
    if (next->fpu_state != NULL) {
        restore(next->fpu_state);
    }
}

const void *arch_fpu_save_current(void)
{
    struct arch_thread *arch = &current_thread()->arch;
    u64 flags = irq_save();

    ASSERT(arch->fpu_state != NULL, "a thread of a process has FPU state");
    save(arch->fpu_state);
    irq_restore(flags);
    return arch->fpu_state;
}

void arch_fpu_reset_current(void)
{
    struct arch_thread *arch = &current_thread()->arch;
    u64 flags = irq_save();

    reset_image(arch->fpu_state);
    restore(arch->fpu_state);
    irq_restore(flags);
}

/* XRSTOR faults on reserved bits of the header and of MXCSR (SDM 1, 13.8). */
static bool is_restorable(const u8 *state)
{
    const u64 *header = (const u64 *)(state + XSAVE_HEADER);

    if (*(const u32 *)(state + FXSAVE_MXCSR) & ~mxcsr_mask) {
        return false;
    }
    if (mask == 0) {
        return true;
    }
    if ((header[0] & ~mask) != 0) {
        return false;
    }
    for (u32 word = 1; word < XSAVE_HEADER_SIZE / sizeof(u64); word++) {
        if (header[word] != 0) {
            return false;
        }
    }
    return true;
}

int arch_fpu_load_current(const void *state)
{
    struct arch_thread *arch = &current_thread()->arch;
    u64 flags;

    if (!is_restorable(state)) {
        return -EINVAL;
    }
    flags = irq_save();
    memcpy(arch->fpu_state, state, state_size);
    restore(arch->fpu_state);
    irq_restore(flags);
    return 0;
}

struct arch_fpu_layout arch_fpu_layout(void)
{
    return (struct arch_fpu_layout){
        .size = state_size,
        .features = mask,
        .has_xsave = mask != 0,
    };
}
