/*
 * The frame allocator.
 *
 * Owns every frame of RAM that nobody holds: blocks of 2^n frames in the buddy lists, and single
 * frames on a list of each CPU. The free frames of a CPU's list are touched by that CPU alone and
 * never by an interrupt handler, so the common allocation takes no lock. Read next:
 * kernel/mm/frames_init.c (where the frames come from), kernel/mm/slab.c.
 *
 * F1. A frame is in at most one of: a buddy block, one CPU's list, somebody's hands.
 * F2. A free block is aligned to its size, and its buddy is not free as a whole: they would be one.
 * F3. Only the first page of a free block has PG_buddy and an order; the others have no flags.
 * F4. A free frame has no references, mappings or pins.
 */
#include <arch/cpu.h>
#include <arch/memops.h>
#include <lib/printk.h>
#include <mm/fail_inject.h>
#include <mm/frames.h>
#include <mm/frames_internal.h>
#include <mm/kasan.h>
#include <mm/slab.h>

/* Free single frames of one CPU, newest first; a cache line each. */
struct cpu_frames {
    struct page *head;
    u32 count;
} ALIGNED(64);

struct cpu_counters {
    s64 pages[NR_MEM_COUNTERS];
} ALIGNED(64);

/* What an owner may leave set in a page that it frees; anything else means that it is in use. */
#define FLAGS_AT_FREE                                                                              \
    ((u32)(BIT(PG_anon) | BIT(PG_anon_exclusive) | BIT(PG_dirty) | BIT(PG_uptodate) |              \
           BIT(PG_referenced) | BIT(PG_lazyfree)))

struct frame_pool frame_pool = {.lock = SPINLOCK_INIT(RANK_FRAMES)};

static struct cpu_frames cpu_frames[MAX_CPUS];
static struct cpu_counters cpu_counters[MAX_CPUS];

static bool (*reclaim_frames)(void);

static struct page *alloc_slow(u32 order, u32 flags);
static void free_block(struct page *page, u32 order);
static void cpu_list_spill(struct cpu_frames *list);

/* A frame leaves the allocator: one reference, everything else as nobody's. */
static ALWAYS_INLINE void prepare_page(struct page *page, u32 order, u32 flags)
{
    atomic_u32_store(&page->flags, 0);
    atomic_u32_store(&page->refcount, 1);
    page->owner = NULL;
    page->index = 0;
    kasan_unpoison(page_to_virt(page), PAGE_SIZE << order);
    if (unlikely((flags & ALLOC_ZERO) != 0)) {
        for (u32 i = 0; i < 1U << order; i++) {
            page_clear(page + i);
        }
    }
}

struct page *page_alloc(u32 order, u32 flags)
{
    if (DEBUG_ENABLED) {
        ASSERT((flags & ~(u32)ALLOC_FLAGS_VALID) == 0, "allocation flags are valid");
        ASSERT(!cpu_in_interrupt(), "interrupt handlers do not allocate");
        if ((flags & ALLOC_NOFAIL_TEST) == 0 && fail_inject_should_fail()) {
            return NULL;
        }
    }
    struct cpu_frames *list = &cpu_frames[cpu_id()];
    struct page *page = list->head;
    if (unlikely(order != 0 || page == NULL)) {
        return alloc_slow(order, flags);
    }
    list->head = page->next_free;
    list->count--;
    prepare_page(page, 0, flags);
    return page;
}

void page_free(struct page *page, u32 order)
{
    u32 old = atomic_u32_fetch_sub(&page->refcount, 1);

    ASSERT(old - 1 < REFCOUNT_LIMIT, "F4: a page is freed by the holder of its last reference");
    if (likely(old == 1)) {
        free_block(page, order);
        return;
    }
    /* Somebody who looked for another page without a lock has the first frame, and will free it. */
    while (order > 0) {
        order--;
        free_block(page + BIT(order), order);
    }
}

void page_free_unreferenced(struct page *page)
{
    free_block(page, 0);
}

void page_split_block(struct page *page, u32 order)
{
    for (u32 i = 1; i < 1U << order; i++) {
        ASSERT(page_refcount(page + i) == 0, "a block is split once");
        prepare_page(page + i, 0, 0);
    }
}

static ALWAYS_INLINE void check_unused(const struct page *page)
{
    u32 flags = atomic_u32_load(&page->flags);

    if (unlikely((flags & ~FLAGS_AT_FREE) != 0 ||
                 ((u32)page_mapcount(page) | page_pincount(page)) != 0)) {
        page_dump(page, "freed while in use");
        BUG("F4: a free frame has no references, mappings or pins");
    }
}

static ALWAYS_INLINE void cpu_list_push(struct cpu_frames *list, struct page *page)
{
    kasan_poison(page_to_virt(page), PAGE_SIZE, KASAN_FREE_PAGE);
    atomic_u32_store(&page->flags, (u32)BIT(PG_cached));
    page->next_free = list->head;
    list->head = page;
    list->count++;
}

static void free_block(struct page *page, u32 order)
{
    DEBUG_ASSERT(!cpu_in_interrupt(), "interrupt handlers do not free");
    check_unused(page);
    if (unlikely(order != 0)) {
        kasan_poison(page_to_virt(page), PAGE_SIZE << order, KASAN_FREE_PAGE);
        atomic_u32_store(&page->flags, 0);
        spin_lock(&frame_pool.lock);
        frame_pool_free(page_to_pfn(page), order);
        spin_unlock(&frame_pool.lock);
        return;
    }
    struct cpu_frames *list = &cpu_frames[cpu_id()];
    cpu_list_push(list, page);
    if (unlikely(list->count > frame_pool.cpu_list_max)) {
        cpu_list_spill(list);
    }
}

void page_put_many(struct page *const *pages, u32 nr_pages)
{
    struct cpu_frames *list = &cpu_frames[cpu_id()];

    DEBUG_ASSERT(!cpu_in_interrupt(), "interrupt handlers do not free");
    for (u32 i = 0; i < nr_pages; i++) {
        u32 old = atomic_u32_fetch_sub(&pages[i]->refcount, 1);

        ASSERT(old - 1 < REFCOUNT_LIMIT, "I5: a reference is dropped only by an owner");
        if (old == 1) {
            check_unused(pages[i]);
            cpu_list_push(list, pages[i]);
        }
    }
    if (unlikely(list->count > frame_pool.cpu_list_max)) {
        cpu_list_spill(list);
    }
}

void page_clear(struct page *page)
{
    arch_page_clear(page_to_virt(page));
}

void page_copy(struct page *dst, const struct page *src)
{
    arch_page_copy(page_to_virt(dst), page_to_virt(src));
}

/* --- the buddy lists ---------------------------------------------------------------------------
 */

static void block_add(struct page *page, u32 order)
{
    DEBUG_ASSERT(atomic_u32_load(&page->flags) == 0, "F1: a frame is free once");
    atomic_u32_store(&page->flags, (u32)BIT(PG_buddy));
    page->order = order;
    list_add_head(&frame_pool.free[order], &page->buddy_link);
    frame_pool.nr_free += 1UL << order;
}

static void block_remove(struct page *page, u32 order)
{
    list_del(&page->buddy_link);
    atomic_u32_store(&page->flags, 0);
    frame_pool.nr_free -= 1UL << order;
}

void frame_pool_free(u64 pfn, u32 order)
{
    ASSERT(IS_ALIGNED(pfn, 1UL << order) && order < NR_PAGE_ORDERS,
           "F2: a block is aligned to its size");
    for (; order < MAX_PAGE_ORDER; order++) {
        struct page *buddy = pfn_to_page(pfn ^ BIT(order));

        /* The buddy has a struct page: whole blocks of the largest order do. */
        if (!page_is_buddy(buddy) || buddy->order != order) {
            break;
        }
        block_remove(buddy, order);
        pfn &= ~BIT(order);
    }
    block_add(pfn_to_page(pfn), order);
}

/* The smallest block that is large enough, cut down to size; its parts go back to the lists. */
static struct page *pool_alloc(u32 order)
{
    for (u32 from = order; from < NR_PAGE_ORDERS; from++) {
        struct page *page =
            list_first_entry_or_null(&frame_pool.free[from], struct page, buddy_link);

        if (page == NULL) {
            continue;
        }
        block_remove(page, from);
        while (from > order) {
            from--;
            block_add(page + BIT(from), from);
        }
        return page;
    }
    return NULL;
}

/* How many frames must stay free for an allocation with @flags to go ahead. */
static u64 reserve_for(u32 flags)
{
    if ((flags & ALLOC_USER) != 0) {
        return frame_pool.reserve;
    }
    return (flags & ALLOC_ATOMIC) != 0 ? 0 : frame_pool.reserve / 2;
}

/* One block for the caller and, if that is a single frame, a batch for the CPU's list. */
static struct page *pool_take(u32 order, u32 flags)
{
    struct cpu_frames *list = &cpu_frames[cpu_id()];
    u64 reserve = reserve_for(flags);
    struct page *page = NULL;

    spin_lock(&frame_pool.lock);
    if (frame_pool.nr_free >= reserve + BIT(order)) {
        page = pool_alloc(order);
    }
    u32 batch = page != NULL && order == 0 ? frame_pool.cpu_list_max / 2 : 0;
    for (; batch > 0 && frame_pool.nr_free > reserve; batch--) {
        struct page *extra = pool_alloc(0);

        atomic_u32_store(&extra->flags, (u32)BIT(PG_cached));
        extra->next_free = list->head;
        list->head = extra;
        list->count++;
    }
    spin_unlock(&frame_pool.lock);
    return page;
}

static NOINLINE struct page *alloc_slow(u32 order, u32 flags)
{
    if (order >= NR_PAGE_ORDERS) {
        return NULL;
    }
    struct page *page = pool_take(order, flags);
    if (page == NULL) {
        /* What caches keep for their next use may be what is missing, or what keeps buddies apart.
         */
        slab_shrink();
        frames_drain_cpu();
        page = pool_take(order, flags);
    }
    if (page == NULL && (flags & ALLOC_ATOMIC) == 0 && reclaim_frames != NULL && reclaim_frames()) {
        frames_drain_cpu();
        page = pool_take(order, flags);
    }
    if (page == NULL) {
        return NULL;
    }
    prepare_page(page, order, flags);
    return page;
}

void frames_set_reclaim(bool (*reclaim)(void))
{
    reclaim_frames = reclaim;
}

/* Moves frames from a CPU's list to the buddy lists until @keep are left. */
static void cpu_list_trim(struct cpu_frames *list, u32 keep)
{
    spin_lock(&frame_pool.lock);
    while (list->count > keep) {
        struct page *page = list->head;

        ASSERT(atomic_u32_load(&page->flags) == BIT(PG_cached), "F1: a listed frame is free");
        list->head = page->next_free;
        list->count--;
        atomic_u32_store(&page->flags, 0);
        frame_pool_free(page_to_pfn(page), 0);
    }
    spin_unlock(&frame_pool.lock);
}

static NOINLINE void cpu_list_spill(struct cpu_frames *list)
{
    cpu_list_trim(list, frame_pool.cpu_list_max / 2);
}

void frames_drain_cpu(void)
{
    cpu_list_trim(&cpu_frames[cpu_id()], 0);
}

/* --- counting ----------------------------------------------------------------------------------
 */

u64 frames_free_count(void)
{
    u64 count = READ_ONCE(frame_pool.nr_free);

    for (u32 cpu = 0; cpu < MAX_CPUS; cpu++) {
        count += READ_ONCE(cpu_frames[cpu].count);
    }
    return count;
}

u64 frames_total_count(void)
{
    return frame_pool.nr_total;
}

bool frames_are_low(void)
{
    return READ_ONCE(frame_pool.nr_free) < frame_pool.reserve;
}

void mem_account(enum mem_counter counter, s64 nr_pages)
{
    s64 *slot = &cpu_counters[cpu_id()].pages[counter];

    WRITE_ONCE(*slot, *slot + nr_pages);
}

u64 mem_counter_read(enum mem_counter counter)
{
    s64 sum = 0;

    for (u32 cpu = 0; cpu < MAX_CPUS; cpu++) {
        sum += READ_ONCE(cpu_counters[cpu].pages[counter]);
    }
    /* One CPU's part may be negative, and while others count the sum may be for a moment. */
    return sum < 0 ? 0 : (u64)sum;
}

u64 frames_held_count(void)
{
    return frames_total_count() - frames_free_count() - mem_counter_read(MEM_SLAB) -
           mem_counter_read(MEM_KERNEL_TABLES) - mem_counter_read(MEM_STACK_CACHE) -
           mem_counter_read(MEM_SHADOW);
}

struct mem_stats mem_stats_get(void)
{
    struct mem_stats stats = {
        .total = frames_total_count(),
        .free = frames_free_count(),
        .reserved = frame_pool.nr_reserved,
    };

    for (u32 i = 0; i < NR_MEM_COUNTERS; i++) {
        stats.counters[i] = mem_counter_read(i);
    }
    return stats;
}

/* --- checking ----------------------------------------------------------------------------------
 */

static u64 verify_order(u32 order)
{
    struct page *page;
    u64 count = 0;

    list_for_each_entry (page, &frame_pool.free[order], buddy_link) {
        struct page *buddy = pfn_to_page(page_to_pfn(page) ^ BIT(order));

        ASSERT(atomic_u32_load(&page->flags) == BIT(PG_buddy) && page->order == order,
               "F3: the first page of a free block says so");
        ASSERT(IS_ALIGNED(page_to_pfn(page), BIT(order)), "F2: a block is aligned to its size");
        ASSERT(order == MAX_PAGE_ORDER || !page_is_buddy(buddy) || buddy->order != order,
               "F2: two free buddies are one block");
        for (u32 i = 0; i < 1U << order; i++) {
            ASSERT(page_refcount(page + i) == 0 && page_mapcount(page + i) == 0 &&
                       page_pincount(page + i) == 0,
                   "F4: a free frame has no references, mappings or pins");
            ASSERT(i == 0 || atomic_u32_load(&page[i].flags) == 0,
                   "F3: the other pages of a free block have no flags");
        }
        count += BIT(order);
    }
    return count;
}

void frames_verify(void)
{
    u64 count = 0;

    spin_lock(&frame_pool.lock);
    for (u32 order = 0; order < NR_PAGE_ORDERS; order++) {
        count += verify_order(order);
    }
    ASSERT(count == frame_pool.nr_free, "F1: the number of free frames is exact");
    spin_unlock(&frame_pool.lock);

    for (u32 cpu = 0; cpu < MAX_CPUS; cpu++) {
        u32 left = cpu_frames[cpu].count;

        for (struct page *page = cpu_frames[cpu].head; page != NULL; page = page->next_free) {
            ASSERT(atomic_u32_load(&page->flags) == BIT(PG_cached) && page_refcount(page) == 0,
                   "F1: a frame on a CPU's list is nowhere else");
            ASSERT(left > 0, "F1: a CPU's list is as long as its count");
            left--;
        }
        ASSERT(left == 0, "F1: a CPU's list is as long as its count");
    }
}
