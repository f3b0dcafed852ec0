/*
 * The address sanitizer's run-time.
 *
 * Owns the shadow: one byte for each 8 bytes of kernel memory, 0 if all may be touched, 1..7 if
 * only the first so many, else a reason (enum kasan_poison_kind). The compiler calls __asan_load
 * and
 * __asan_store before each access; the allocators say what may be touched. Covered are RAM in the
 * direct map, kernel stacks and the kernel's image; other addresses pass unchecked.
 *
 * Nothing here is instrumented, or each check would check itself. Only SANITIZE=kasan builds this
 * file. Source of the calls' meaning: gcc 12, gcc/asan.cc and gcc/sanitizer.def.
 */
#include <arch/kernel_map.h>
#include <arch/layout.h>
#include <arch/memops.h>
#include <lib/errno.h>
#include <lib/printk.h>
#include <lib/string.h>
#include <mm/frames.h>
#include <mm/kasan.h>
#include <mm/vmap.h>

#define GRANULE_SHIFT 3
#define GRANULE       (1UL << GRANULE_SHIFT)

/* Memory whose shadow is one page. */
#define COVERED_BY_PAGE (PAGE_SIZE << GRANULE_SHIFT)

/* Shadow bytes shown around a bad address. */
#define DUMP_GRANULES 8

/* What the compiler tells about each global variable: gcc's struct __asan_global. */
struct asan_global {
    const void *start;
    size_t size;
    size_t size_with_redzone;
    const void *name;
    const void *module_name;
    unsigned long has_dynamic_init;
    void *location;
    void *odr_indicator;
};

/* Set by linker.ld around the constructors. */
extern void (*__init_array_start[])(void);
extern void (*__init_array_end[])(void);

static bool is_active;
static u64 direct_map_end; /* the direct map is covered up to here */
static u64 image_end;

static u8 *shadow_of(u64 addr)
{
    return (u8 *)(KASAN_SHADOW_BASE + ((addr - DIRECT_MAP_BASE) >> GRANULE_SHIFT));
}

/* Whether an address has a shadow. Stacks have one from the moment that their slot is taken. */
static bool is_covered(u64 addr)
{
    return (addr >= DIRECT_MAP_BASE && addr < direct_map_end) ||
           (addr >= KERNEL_IMAGE_BASE && addr < image_end) || vmap_is_stack(addr);
}

/* --- setting the shadow --------------------------------------------------------------------------
 */

static void map_shadow_page(u64 shadow)
{
    struct page *page = page_alloc(0, ALLOC_ZERO | ALLOC_ATOMIC | ALLOC_NOFAIL_TEST);

    if (page == NULL || kernel_map(shadow, page_to_phys(page), PAGE_SIZE, KERNEL_MAP_RW) != 0) {
        panic("too little memory for the address sanitizer's shadow");
    }
    mem_account(MEM_SHADOW, 1);
}

static void cover_range(u64 start, u64 end)
{
    u64 shadow = PAGE_ALIGN_DOWN((u64)shadow_of(start));
    u64 phys;

    for (; shadow < (u64)shadow_of(end - 1) + 1; shadow += PAGE_SIZE) {
        if (!kernel_map_lookup(shadow, &phys)) {
            map_shadow_page(shadow);
        }
    }
}

static void cover_ram(u64 start_pfn, u64 end_pfn, void *arg)
{
    cover_range((u64)phys_to_virt(start_pfn << PAGE_SHIFT),
                (u64)phys_to_virt(end_pfn << PAGE_SHIFT));
    direct_map_end = (u64)phys_to_virt(end_pfn << PAGE_SHIFT);
}

/* Holes between ranges of RAM, such as firmware tables, get a shadow that forbids nothing. */
static void cover_holes(void)
{
    struct page *zero = page_alloc(0, ALLOC_ZERO | ALLOC_NOFAIL_TEST);
    u64 end = (u64)shadow_of(direct_map_end - 1) + 1;
    u64 phys;

    if (zero == NULL) {
        panic("too little memory for the address sanitizer's shadow");
    }
    mem_account(MEM_SHADOW, 1);
    for (u64 shadow = (u64)shadow_of(DIRECT_MAP_BASE); shadow < end; shadow += PAGE_SIZE) {
        if (!kernel_map_lookup(shadow, &phys) &&
            kernel_map(shadow, page_to_phys(zero), PAGE_SIZE, KERNEL_MAP_RO) != 0) {
            panic("too little memory for the address sanitizer's shadow");
        }
    }
}

/* The compiler makes one constructor a file, which registers the file's variables. */
static void register_globals(void)
{
    for (void (**ctor)(void) = __init_array_start; ctor < __init_array_end; ctor++) {
        (*ctor)();
    }
}

void kasan_shadow_init(void)
{
    frames_for_each_range(cover_ram, NULL);
    cover_holes();
    cover_range((u64)__kernel_start, (u64)__kernel_end);
    image_end = (u64)__kernel_end;
    is_active = true;
    register_globals();
    printk("kasan: checking memory accesses, %lu KiB of shadow\n", mem_counter_read(MEM_SHADOW)
                                                                       << (PAGE_SHIFT - 10));
}

int kasan_shadow_cover(const void *addr, size_t size)
{
    ASSERT(IS_ALIGNED((u64)addr | size, COVERED_BY_PAGE), "a covered area has whole shadow pages");
    for (u64 at = (u64)addr; at < (u64)addr + size; at += COVERED_BY_PAGE) {
        u64 shadow = (u64)shadow_of(at);
        u64 phys;

        ASSERT(is_active, "the sanitizer starts before the first kernel stack is made");
        if (kernel_map_lookup(shadow, &phys)) {
            continue;
        }
        struct page *page = page_alloc(0, ALLOC_NOFAIL_TEST);
        if (page == NULL) {
            return -ENOMEM;
        }
        arch_memory_fill(page_to_virt(page), KASAN_FREE_PAGE, PAGE_SIZE);
        if (kernel_map(shadow, page_to_phys(page), PAGE_SIZE, KERNEL_MAP_RW) != 0) {
            page_free(page, 0);
            return -ENOMEM;
        }
        mem_account(MEM_SHADOW, 1);
    }
    return 0;
}

void kasan_shadow_poison(const void *addr, size_t size, enum kasan_poison_kind kind)
{
    if (is_active && is_covered((u64)addr)) {
        arch_memory_fill(shadow_of((u64)addr), (u8)kind, size >> GRANULE_SHIFT);
    }
}

void kasan_shadow_unpoison(const void *addr, size_t size)
{
    u8 *shadow = shadow_of((u64)addr);

    if (!is_active || !is_covered((u64)addr)) {
        return;
    }
    arch_memory_fill(shadow, 0, size >> GRANULE_SHIFT);
    if (size % GRANULE != 0) {
        shadow[size >> GRANULE_SHIFT] = size % GRANULE;
    }
}

/* --- checking an access --------------------------------------------------------------------------
 */

static const char *describe(u8 shadow)
{
    switch (shadow) {
    case KASAN_FREE_PAGE:
        return "use after free of a page";
    case KASAN_FREE_OBJECT:
        return "use after free of an object";
    case KASAN_GLOBAL_REDZONE:
        return "access beyond a global variable";
    default:
        return "access beyond an object";
    }
}

static NORETURN void report(u64 addr, u64 bad, size_t size, bool is_write, u64 caller)
{
    u8 *shadow = shadow_of(bad);
    u8 kind = *shadow < GRANULE ? shadow[1] : *shadow;

    /* What the report itself touches is not looked at; a test kernel may go on after the panic. */
    is_active = false;
    printk("kasan: %s of %lu bytes at %#lx by %#lx; the first bad byte is %#lx\n",
           is_write ? "write" : "read", size, addr, caller, bad);
    for (int i = -DUMP_GRANULES; i < DUMP_GRANULES; i++) {
        printk("%s%02x%s", i == 0 ? "[" : " ", shadow[i], i == 0 ? "]" : "");
    }
    printk("\n");
    if (bad >= DIRECT_MAP_BASE && bad < direct_map_end) {
        page_dump(virt_to_page((void *)bad), "holds the address");
    }
    is_active = true;
    panic("kasan: %s", describe(kind));
}

/* The first byte of [addr, addr + size) that may not be touched, or 0. */
static u64 find_bad_byte(u64 addr, size_t size)
{
    u64 end = addr + size;

    for (u64 at = addr; at < end; at = ALIGN_DOWN(at, GRANULE) + GRANULE) {
        u8 shadow = *shadow_of(at);
        u64 last = min(ALIGN_DOWN(at, GRANULE) + GRANULE, end) - 1;

        if (shadow != 0 && (shadow >= GRANULE || (last & (GRANULE - 1)) >= shadow)) {
            return max(at, ALIGN_DOWN(at, GRANULE) + (shadow < GRANULE ? shadow : 0));
        }
    }
    return 0;
}

void kasan_shadow_check(const void *ptr, size_t size, bool is_write, u64 caller)
{
    u64 addr = (u64)ptr;

    if (!is_active || size == 0 || !is_covered(addr)) {
        return;
    }
    u64 bad = find_bad_byte(addr, size);
    if (unlikely(bad != 0)) {
        report(addr, bad, size, is_write, caller);
    }
}

/* --- what the compiler calls
 * ---------------------------------------------------------------------- */

#define ASAN_ACCESS(size)                                                                          \
    void __asan_load##size##_noabort(const void *addr);                                            \
    void __asan_load##size##_noabort(const void *addr)                                             \
    {                                                                                              \
        kasan_shadow_check(addr, size, false, (u64)__builtin_return_address(0));                   \
    }                                                                                              \
    void __asan_store##size##_noabort(const void *addr);                                           \
    void __asan_store##size##_noabort(const void *addr)                                            \
    {                                                                                              \
        kasan_shadow_check(addr, size, true, (u64)__builtin_return_address(0));                    \
    }

ASAN_ACCESS(1)
ASAN_ACCESS(2)
ASAN_ACCESS(4)
ASAN_ACCESS(8)
ASAN_ACCESS(16)

void __asan_loadN_noabort(const void *addr, size_t size);
void __asan_loadN_noabort(const void *addr, size_t size)
{
    kasan_shadow_check(addr, size, false, (u64)__builtin_return_address(0));
}

void __asan_storeN_noabort(const void *addr, size_t size);
void __asan_storeN_noabort(const void *addr, size_t size)
{
    kasan_shadow_check(addr, size, true, (u64)__builtin_return_address(0));
}

/* Stacks have no red zones of the compiler, so there is nothing to undo before a long jump. */
void __asan_handle_no_return(void);
void __asan_handle_no_return(void)
{
}

void __asan_register_globals(const struct asan_global *globals, size_t count);
void __asan_register_globals(const struct asan_global *globals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct asan_global *global = &globals[i];
        size_t aligned = ALIGN_UP(global->size, GRANULE);

        kasan_shadow_unpoison(global->start, global->size);
        kasan_shadow_poison((const char *)global->start + aligned,
                            global->size_with_redzone - aligned, KASAN_GLOBAL_REDZONE);
    }
}

void __asan_unregister_globals(const struct asan_global *globals, size_t count);
void __asan_unregister_globals(const struct asan_global *globals, size_t count)
{
}
