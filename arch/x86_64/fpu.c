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
#include <arch/usercopy.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <proc/thread.h>

#define XFEATURE_X87    BIT(0)
#define XFEATURE_SSE    BIT(1)
#define XFEATURE_AVX    BIT(2)
#define XFEATURES_KNOWN (XFEATURE_X87 | XFEATURE_SSE | XFEATURE_AVX)

#define FXSAVE_SIZE          512
#define XSAVE_HEADER         FXSAVE_SIZE
#define XSAVE_HEADER_SIZE    64
#define FXSAVE_CONTROL_WORD  0
#define FXSAVE_MXCSR         24
#define FXSAVE_MXCSR_MASK    28
#define CONTROL_WORD_DEFAULT 0x037f
#define MXCSR_DEFAULT        0x1f80
#define MXCSR_MASK_DEFAULT   0xffbf /* SDM 1, 11.6.6: what a zero in the mask field means */

static u64 mask;
static u32 state_size = FXSAVE_SIZE;
static struct arch_fpu_layout layout = {.size = FXSAVE_SIZE}; /* the same for others */
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
    layout = (struct arch_fpu_layout){
        .size = state_size,
        .features = mask,
        .has_xsave = mask != 0,
    };
}

/* An empty XSAVE header says that all is in its initial state but MXCSR (SDM 1, 13.8.1). */
static void reset_image(u8 *state)
{
    if (mask != 0) {
        memset(state + XSAVE_HEADER, 0, XSAVE_HEADER_SIZE);
    } else {
        memset(state, 0, FXSAVE_SIZE);
        *(u16 *)(state + FXSAVE_CONTROL_WORD) = CONTROL_WORD_DEFAULT;
    }
    *(u32 *)(state + FXSAVE_MXCSR) = MXCSR_DEFAULT;
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

void fpu_fork(struct arch_thread *child)
{
    u64 flags = irq_save();

    save(child->fpu_state);
    irq_restore(flags);
}

void arch_fpu_reset_current(void)
{
    struct arch_thread *arch = &current_thread()->arch;
    u64 flags = irq_save();

    reset_image(arch->fpu_state);
    restore(arch->fpu_state);
    irq_restore(flags);
}

int arch_fpu_store_user(u64 to)
{
    return mask == 0 ? arch_fxsave_user((void *)to) : arch_xsave_user((void *)to, mask);
}

/*
 * What is not loaded from @from is put into its initial state first: x87 and SSE are all that an
 * FXSAVE image has, and a part that the program has taken out of the image is meant to be reset.
 */
static int load_user(const void *from, u64 features)
{
    if (features == mask && mask != 0) {
        return arch_xrstor_user(from, features);
    }
    arch_fpu_reset_current();
    return features != 0 ? arch_xrstor_user(from, features) : arch_fxrstor_user(from);
}

int arch_fpu_load_user(u64 from, u64 features)
{
    u32 mxcsr;

    ASSERT((features & ~mask) == 0, "only features that the kernel saves are loaded");
    if (!user_access_ok(from, features != 0 ? state_size : FXSAVE_SIZE)) {
        return -EFAULT;
    }
    /* Real CPUs refuse reserved bits (SDM 1, 10.5.1.2), emulated ones may take them. */
    if (get_user_u32(&mxcsr, from + FXSAVE_MXCSR) == 0 && (mxcsr & ~mxcsr_mask) == 0 &&
        load_user((const void *)from, features) == 0) {
        return 0;
    }
    arch_fpu_reset_current();
    return -EFAULT;
}

const struct arch_fpu_layout *arch_fpu_layout(void)
{
    return &layout;
}
