/*
 * The parts of the kernel and the machine that host tests replace.
 *
 * Locks only check that they are taken and released in pairs: a test program has one thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <arch/cpu.h>
#include <arch/kernel_map.h>
#include <arch/layout.h>
#include <fake_kernel.h>
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/fmt.h>
#include <mm/fail_inject.h>
#include <proc/spinlock.h>

u32 fake_cpu;
bool fake_in_interrupt;
struct thread *fake_thread;
u8 *fake_direct_map;
u8 *fake_vmemmap;
u64 fake_fail_nth;
u64 fake_mapped_bytes;
jmp_buf *host_panic_target;
char host_panic_text[512];

/* --- panic ---------------------------------------------------------------------------------- */

int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int len = vsnprintf(buf, size, fmt, args);
    va_end(args);
    return size == 0 ? 0 : min(len, (int)size - 1);
}

void panic(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(host_panic_text, sizeof(host_panic_text), fmt, args);
    va_end(args);
    if (host_panic_target != NULL) {
        longjmp(*host_panic_target, 1);
    }
    printf("Bail out! kernel panic: %s\n", host_panic_text);
    fflush(stdout);
    abort();
}

/* --- locks ---------------------------------------------------------------------------------------
 */

void spin_lock_contended(struct spinlock *lock)
{
    panic("a lock of rank %u is taken twice", lock->rank);
}

void spin_lock_checked(struct spinlock *lock, bool nested) NO_THREAD_SAFETY_ANALYSIS
{
    spin_lock_raw(lock);
}

bool spin_trylock_checked(struct spinlock *lock) NO_THREAD_SAFETY_ANALYSIS
{
    return spin_trylock_raw(lock);
}

void spin_unlock_checked(struct spinlock *lock) NO_THREAD_SAFETY_ANALYSIS
{
    ASSERT(spin_is_locked(lock), "only a held spin lock is unlocked");
    spin_unlock_raw(lock);
}

void spin_assert_held(const struct spinlock *lock)
{
    ASSERT(spin_is_locked(lock), "the caller holds the spin lock");
}

/* --- memory --------------------------------------------------------------------------------------
 */

bool fail_inject_should_fail(void)
{
    return fake_fail_nth != 0 && --fake_fail_nth == 0;
}

static u8 *reserve(u64 size)
{
    void *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (area == MAP_FAILED) {
        panic("the host has no %lu MiB of address space", size / MIB);
    }
    return area;
}

void fake_memory_init(u64 size)
{
    /* Aligned, so that the kernel's alignment of virtual addresses is that of physical ones. */
    u64 align = 4 * MIB;
    u64 vmemmap_size = size / PAGE_SIZE * 64;

    fake_direct_map = (u8 *)ALIGN_UP((u64)reserve(size + align), align);
    fake_vmemmap = (u8 *)ALIGN_UP((u64)reserve(vmemmap_size + align), align);
}

void fake_boot_info_add(struct boot_info *info, u64 start, u64 end)
{
    info->ranges[info->nr_ranges++] =
        (struct boot_range){.start = start, .end = end, .type = BOOT_MEMORY_RAM};
}

int kernel_map(u64 va, u64 phys, u64 size, enum kernel_map_prot prot)
{
    ASSERT(PAGE_ALIGNED(va) && PAGE_ALIGNED(phys) && PAGE_ALIGNED(size), "mappings are of pages");
    ASSERT(size < 2 * MIB || (IS_ALIGNED(va, 2 * MIB) && IS_ALIGNED(phys, 2 * MIB)),
           "large mappings are aligned");
    fake_mapped_bytes += size;
    return 0;
}

void kernel_map_use_frames(void)
{
}

bool kernel_map_lookup(u64 va, u64 *phys)
{
    return false;
}
