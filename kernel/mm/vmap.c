/*
 * Kernel stacks.
 *
 * Owns the vmap area: slots of twice a stack's size, of which the upper half is mapped and the
 * lower half never is, so that an overflow faults. Some freed stacks stay mapped for the next
 * thread; the others are unmapped and flushed before their frames are freed (I8). Read next:
 * arch/x86_64/kernel_map.c.
 */
#include <arch/kernel_map.h>
#include <arch/layout.h>
#include <lib/bitmap.h>
#include <mm/fail_inject.h>
#include <mm/frames.h>
#include <mm/kasan.h>
#include <mm/vmap.h>

#define SLOT_SIZE   (2 * KSTACK_SIZE)
#define STACK_PAGES (KSTACK_SIZE / PAGE_SIZE)

/* More threads than this do not exist at once. */
#define NR_SLOTS 65536UL

/* Freed stacks that are kept: one for this many frames of memory, within these limits. */
#define FRAMES_PER_IDLE_STACK 1024
#define IDLE_MIN              4UL
#define IDLE_MAX              64UL

_Static_assert(NR_SLOTS *SLOT_SIZE <= VMAP_SIZE, "the slots fit into the vmap area");
_Static_assert(!KASAN_ENABLED || SLOT_SIZE == 32 * KIB, "the shadow of a slot is one page");

/* What debug builds fill a stack with when it is given out. */
#define STACK_PAINT 0x6b73746b6b73746bUL

static struct spinlock vmap_lock = SPINLOCK_INIT(RANK_VMAP);
static BITMAP(used_slots, NR_SLOTS); /* [vmap_lock] */
static size_t first_clear;           /* [vmap_lock] all slots below are used */
static void *idle[IDLE_MAX];         /* [vmap_lock] mapped stacks that nobody uses */
static u32 nr_idle;                  /* [vmap_lock] */
static u32 idle_max;                 /* [I] */

static void *get_stack(void);
static void *take_idle(void);
static bool keep_idle(void *stack);
static bool take_slot(size_t *slot);
static void put_slot(size_t slot);
static void *map_stack(size_t slot);
static void unmap_stack(u64 stack, u32 nr_pages);

static u64 slot_address(size_t slot)
{
    return VMAP_BASE + slot * SLOT_SIZE;
}

static size_t slot_of(u64 addr)
{
    return (addr - VMAP_BASE) / SLOT_SIZE;
}

void vmap_init(void)
{
    idle_max = (u32)clamp(frames_total_count() / FRAMES_PER_IDLE_STACK, IDLE_MIN, IDLE_MAX);
}

void *vmap_alloc_stack(void)
{
    if (DEBUG_ENABLED && fail_inject_should_fail()) {
        return NULL;
    }
    void *stack = get_stack();

    if (DEBUG_ENABLED && stack != NULL) {
        for (u64 *word = stack; (u64)word < (u64)stack + KSTACK_SIZE; word++) {
            *word = STACK_PAINT;
        }
    }
    return stack;
}

static void *get_stack(void)
{
    void *stack = take_idle();
    size_t slot;

    if (stack != NULL) {
        return stack;
    }
    if (!take_slot(&slot)) {
        return NULL;
    }
    stack = map_stack(slot);
    if (stack == NULL) {
        put_slot(slot);
    }
    return stack;
}

void vmap_free_stack(void *stack)
{
    ASSERT(vmap_is_stack((u64)stack) && (u64)stack % SLOT_SIZE == KSTACK_SIZE,
           "a stack is freed by its lowest address");
    kasan_poison(stack, KSTACK_SIZE, KASAN_FREE_PAGE);
    if (keep_idle(stack)) {
        return;
    }
    unmap_stack((u64)stack, STACK_PAGES);
    put_slot(slot_of((u64)stack));
}

/* Its owner may be at work on another CPU: what is above the paint does not matter. */
u32 vmap_stack_used(const void *stack)
{
    const u64 *word = stack;
    u64 end = (u64)stack + KSTACK_SIZE;

    while ((u64)word < end && READ_ONCE(*word) == STACK_PAINT) {
        word++;
    }
    return (u32)(end - (u64)word);
}

static bool is_used_slot(u64 addr)
{
    return addr >= VMAP_BASE && addr < slot_address(NR_SLOTS) &&
           bitmap_test(used_slots, slot_of(addr));
}

bool vmap_is_guard(u64 addr)
{
    return is_used_slot(addr) && (addr - VMAP_BASE) % SLOT_SIZE < KSTACK_SIZE;
}

bool vmap_is_stack(u64 addr)
{
    return is_used_slot(addr) && (addr - VMAP_BASE) % SLOT_SIZE >= KSTACK_SIZE;
}

static void *take_idle(void)
{
    void *stack = NULL;

    spin_lock(&vmap_lock);
    if (nr_idle > 0) {
        stack = idle[--nr_idle];
        mem_account(MEM_STACK_CACHE, -(s64)STACK_PAGES);
    }
    spin_unlock(&vmap_lock);
    if (stack != NULL) {
        kasan_unpoison(stack, KSTACK_SIZE);
    }
    return stack;
}

static bool keep_idle(void *stack)
{
    bool is_kept = false;

    spin_lock(&vmap_lock);
    if (nr_idle < idle_max) {
        idle[nr_idle++] = stack;
        mem_account(MEM_STACK_CACHE, STACK_PAGES);
        is_kept = true;
    }
    spin_unlock(&vmap_lock);
    return is_kept;
}

/* The lowest slot that is free, so that few page tables serve all stacks. */
static bool take_slot(size_t *slot)
{
    spin_lock(&vmap_lock);
    size_t found = bitmap_next_clear(used_slots, NR_SLOTS, first_clear);
    if (found < NR_SLOTS) {
        bitmap_set(used_slots, found);
        first_clear = found + 1;
    }
    spin_unlock(&vmap_lock);
    if (found == NR_SLOTS) {
        return false;
    }
    *slot = found;
    return true;
}

static void put_slot(size_t slot)
{
    spin_lock(&vmap_lock);
    bitmap_clear(used_slots, slot);
    first_clear = min(first_clear, slot);
    spin_unlock(&vmap_lock);
}

static void *map_stack(size_t slot)
{
    u64 stack = slot_address(slot) + KSTACK_SIZE;

    if (kasan_cover((void *)slot_address(slot), SLOT_SIZE) != 0) {
        return NULL;
    }
    for (u32 i = 0; i < STACK_PAGES; i++) {
        struct page *page = page_alloc(0, ALLOC_NOFAIL_TEST);

        if (page == NULL) {
            unmap_stack(stack, i);
            return NULL;
        }
        page_set_type(page, PG_stack);
        mem_account(MEM_KERNEL_STACKS, 1);
        if (kernel_map(stack + i * PAGE_SIZE, page_to_phys(page), PAGE_SIZE, KERNEL_MAP_RW) != 0) {
            mem_account(MEM_KERNEL_STACKS, -1);
            page_clear_type(page, PG_stack);
            page_free(page, 0);
            unmap_stack(stack, i);
            return NULL;
        }
    }
    kasan_unpoison((void *)stack, KSTACK_SIZE);
    return (void *)stack;
}

/* Unmaps the first pages of a stack, then frees them. */
static void unmap_stack(u64 stack, u32 nr_pages)
{
    struct page *pages[STACK_PAGES];

    if (nr_pages == 0) {
        return;
    }
    for (u32 i = 0; i < nr_pages; i++) {
        u64 phys = 0;
        bool is_mapped = kernel_map_lookup(stack + i * PAGE_SIZE, &phys);

        ASSERT(is_mapped, "a kernel stack is mapped");
        pages[i] = phys_to_page(phys);
    }
    /* Flush before free: another CPU may still write through the old translation. */
    kernel_unmap(stack, nr_pages * PAGE_SIZE);
    for (u32 i = 0; i < nr_pages; i++) {
        mem_account(MEM_KERNEL_STACKS, -1);
        page_clear_type(pages[i], PG_stack);
        page_free(pages[i], 0);
    }
}
