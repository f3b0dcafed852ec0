/*
 * The frame allocator.
 *
 * Owns every frame of RAM that nobody holds: blocks of 2^n frames in the buddy lists, and single
 * frames in chains: two of each CPU, and full ones in a depot. The chains of a CPU are touched by
 * that CPU alone and never by an interrupt handler, so the common allocation takes no lock; between
 * CPU and depot a whole chain moves at once, so single frames come and go without being merged and
 * cut up again each time. Read next: kernel/mm/frames_init.c (where the frames come from),
 * kernel/mm/slab.c.
 *
 * F1. A frame is in at most one of: a buddy block, one chain, somebody's hands.
 * F2. A free block is aligned to its size, and its buddy is not free as a whole: they would be one.
 * F3. Only the first page of a free block has PG_buddy and an order; the others have no flags.
 * F4. A free frame has no references, mappings or pins.
 * F5. A frame that was freed as PG_zeroed, as page tables are, holds zeros alone.
 */
#include <arch/cpu.h>
#include <lib/printk.h>
#include <mm/fail_inject.h>
#include <mm/frames.h>
#include <mm/frames_internal.h>
#include <mm/kasan.h>
#include <mm/slab.h>

struct cpu_counters {
    s64 pages[NR_MEM_COUNTERS];
} ALIGNED(64);

/* What an owner may leave set in a page that it frees; anything else means that it is in use. */
#define FLAGS_AT_FREE                                                                              \
    ((u32)(BIT(PG_anon) | BIT(PG_anon_exclusive) | BIT(PG_dirty) | BIT(PG_uptodate) |              \
           BIT(PG_referenced) | BIT(PG_lazyfree)))

struct frame_pool frame_pool = {.lock = SPINLOCK_INIT(RANK_FRAMES)};

struct cpu_frames cpu_frames[MAX_CPUS];
static struct cpu_counters cpu_counters[MAX_CPUS];

static bool (*reclaim_frames)(void);

static struct page *alloc_slow(u32 order, u32 flags);
static void free_block(struct page *page, u32 order);
static void free_frame(struct cpu_frames *frames, struct page *page);
static void make_room(struct cpu_frames *frames);
static void cpu_drain(struct cpu_frames *frames);

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

static ALWAYS_INLINE void chain_push(struct frame_chain *chain, struct page *page)
{
    atomic_u32_store(&page->flags, (u32)BIT(PG_cached));
    page->next_free = chain->head;
    chain->head = page;
    chain->count++;
}

static ALWAYS_INLINE struct page *chain_pop(struct frame_chain *chain)
{
    struct page *page = chain->head;

    chain->head = page->next_free;
    chain->count--;
    return page;
}

static bool is_all_zero(const struct page *page)
{
    const u64 *words = page_to_virt(page);
    u64 seen = 0;

    for (u32 i = 0; i < PAGE_SIZE / sizeof(u64); i++) {
        seen |= words[i];
    }
    return seen == 0;
}

static ALWAYS_INLINE struct page *take_zeroed(struct frame_chain *zeroed)
{
    struct page *page = chain_pop(zeroed);

    prepare_page(page, 0, 0);
    DEBUG_ASSERT(is_all_zero(page), "F5: a frame that was freed as zeroed holds zeros alone");
    return page;
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
    struct cpu_frames *frames = &cpu_frames[cpu_id()];
    if ((flags & ALLOC_ZERO) != 0 && order == 0 && frames->zeroed.count != 0) {
        return take_zeroed(&frames->zeroed);
    }
    if (unlikely(order != 0 || frames->current.count == 0)) {
        return alloc_slow(order, flags);
    }
    struct page *page = chain_pop(&frames->current);
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

void page_split_block(struct page *page, u32 order)
{
    for (u32 i = 1; i < 1U << order; i++) {
        ASSERT(page_refcount(page + i) == 0, "a block is split once");
        prepare_page(page + i, 0, 0);
    }
}

static ALWAYS_INLINE bool is_unused(const struct page *page)
{
    return (atomic_u32_load(&page->flags) & ~FLAGS_AT_FREE) == 0 &&
           ((u32)page_mapcount(page) | page_pincount(page)) == 0;
}

static COLD NORETURN void freed_while_in_use(const struct page *page)
{
    page_dump(page, "freed while in use");
    BUG("F4: a free frame has no references, mappings or pins");
}

static ALWAYS_INLINE void free_unused(struct cpu_frames *frames, struct page *page)
{
    kasan_poison(page_to_virt(page), PAGE_SIZE, KASAN_FREE_PAGE);
    chain_push(&frames->current, page);
}

static ALWAYS_INLINE void free_zeroed(struct cpu_frames *frames, struct page *page)
{
    if (unlikely(!is_unused(page) || frames->zeroed.count >= frame_pool.chain_frames)) {
        free_frame(frames, page);
        return;
    }
    kasan_poison(page_to_virt(page), PAGE_SIZE, KASAN_FREE_PAGE);
    chain_push(&frames->zeroed, page);
}

/* Where there is no room, or the page is not simply unused: a page table, which comes back empty,
 * or a mistake. */
static NOINLINE void free_special(struct cpu_frames *frames, struct page *page)
{
    if (is_unused(page)) {
        make_room(frames);
        free_unused(frames, page);
        return;
    }
    if (!page_is_zeroed(page)) {
        freed_while_in_use(page);
    }
    page_clear_type(page, PG_zeroed);
    free_zeroed(frames, page);
}

static ALWAYS_INLINE void free_frame(struct cpu_frames *frames, struct page *page)
{
    if (unlikely(!is_unused(page) || frames->current.count == frame_pool.chain_frames)) {
        free_special(frames, page);
        return;
    }
    free_unused(frames, page);
}

void page_free_zeroed(struct page *page)
{
    struct cpu_frames *frames = &cpu_frames[cpu_id()];
    u32 old = atomic_u32_fetch_sub(&page->refcount, 1);

    ASSERT(old - 1 < REFCOUNT_LIMIT, "F4: a page is freed by the holder of its last reference");
    if (likely(old == 1)) {
        free_zeroed(frames, page);
    }
}

void page_free_unreferenced(struct page *page)
{
    DEBUG_ASSERT(!cpu_in_interrupt(), "interrupt handlers do not free");
    free_frame(&cpu_frames[cpu_id()], page);
}

static void free_block(struct page *page, u32 order)
{
    DEBUG_ASSERT(!cpu_in_interrupt(), "interrupt handlers do not free");
    if (likely(order == 0)) {
        free_frame(&cpu_frames[cpu_id()], page);
        return;
    }
    if (!is_unused(page)) {
        freed_while_in_use(page);
    }
    kasan_poison(page_to_virt(page), PAGE_SIZE << order, KASAN_FREE_PAGE);
    atomic_u32_store(&page->flags, 0);
    spin_lock(&frame_pool.lock);
    frame_pool_free(page_to_pfn(page), order);
    spin_unlock(&frame_pool.lock);
}

void page_put_many(struct page *const *pages, u32 nr_pages)
{
    struct cpu_frames *frames = &cpu_frames[cpu_id()];

    DEBUG_ASSERT(!cpu_in_interrupt(), "interrupt handlers do not free");
    for (u32 i = 0; i < nr_pages; i++) {
        u32 old = atomic_u32_fetch_sub(&pages[i]->refcount, 1);

        ASSERT(old - 1 < REFCOUNT_LIMIT, "I5: a reference is dropped only by an owner");
        if (old == 1) {
            free_frame(frames, pages[i]);
        }
    }
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

/* --- chains ------------------------------------------------------------------------------------
 */

/* Frames that are free to anybody: those on the chains of a CPU are not. */
static u64 pool_available(void)
{
    return READ_ONCE(frame_pool.nr_free) +
           (u64)READ_ONCE(frame_pool.nr_depot) * frame_pool.chain_frames;
}

static void depot_push(const struct frame_chain *chain) REQUIRES(frame_pool.lock)
{
    chain->head->next_chain = frame_pool.depot;
    frame_pool.depot = chain->head;
    frame_pool.nr_depot++;
}

static struct frame_chain depot_pop(void) REQUIRES(frame_pool.lock)
{
    struct frame_chain chain = {.head = frame_pool.depot, .count = frame_pool.chain_frames};

    frame_pool.depot = chain.head->next_chain;
    frame_pool.nr_depot--;
    return chain;
}

/* Merges the frames of a chain into the buddy lists. */
static void chain_free(struct frame_chain *chain) REQUIRES(frame_pool.lock)
{
    while (chain->count > 0) {
        struct page *page = chain_pop(chain);

        ASSERT(atomic_u32_load(&page->flags) == BIT(PG_cached), "F1: a listed frame is free");
        atomic_u32_store(&page->flags, 0);
        frame_pool_free(page_to_pfn(page), 0);
    }
}

/* Cuts a block as large as possible into the single frames of an empty chain; lowest first. */
static void chain_fill(struct frame_chain *chain) REQUIRES(frame_pool.lock)
{
    for (u32 frames = frame_pool.chain_frames; frames > 0; frames /= 2) {
        struct page *block = pool_alloc((u32)__builtin_ctz(frames));

        if (block != NULL) {
            for (u32 i = frames; i > 0; i--) {
                chain_push(chain, &block[i - 1]);
            }
            return;
        }
    }
}

/* Return: has the CPU's current chain, which was empty, any frames now? */
static bool refill(struct cpu_frames *frames, u64 reserve)
{
    if (frames->other.count != 0) {
        frames->current = frames->other;
        frames->other = (struct frame_chain){.head = NULL};
        return true;
    }
    spin_lock(&frame_pool.lock);
    if (pool_available() >= reserve + frame_pool.chain_frames) {
        if (frame_pool.depot != NULL) {
            frames->current = depot_pop();
        } else {
            chain_fill(&frames->current);
        }
    }
    spin_unlock(&frame_pool.lock);
    return frames->current.count != 0;
}

/* Makes the CPU's current chain, which is full, an empty one. */
static NOINLINE void make_room(struct cpu_frames *frames)
{
    if (frames->other.count != 0) {
        spin_lock(&frame_pool.lock);
        if (frame_pool.nr_depot < frame_pool.depot_max) {
            depot_push(&frames->other);
        } else {
            chain_free(&frames->other);
        }
        spin_unlock(&frame_pool.lock);
    }
    frames->other = frames->current;
    frames->current = (struct frame_chain){.head = NULL};
}

static struct page *pool_take(u32 order, u64 reserve)
{
    struct page *page = NULL;

    spin_lock(&frame_pool.lock);
    if (pool_available() >= reserve + BIT(order)) {
        page = pool_alloc(order);
    }
    spin_unlock(&frame_pool.lock);
    return page;
}

/* Return: were there any? */
static bool depot_drain_one(void)
{
    bool is_any;

    spin_lock(&frame_pool.lock);
    is_any = frame_pool.depot != NULL;
    if (is_any) {
        struct frame_chain chain = depot_pop();

        chain_free(&chain);
    }
    spin_unlock(&frame_pool.lock);
    return is_any;
}

/* What caches keep for their next use may be what is missing, or what keeps buddies apart. */
static struct page *take_from_caches(u32 order, u64 reserve)
{
    struct page *page;

    slab_shrink();
    cpu_drain(&cpu_frames[cpu_id()]);
    page = pool_take(order, reserve);
    while (page == NULL && depot_drain_one()) {
        page = pool_take(order, reserve);
    }
    return page;
}

static NOINLINE struct page *alloc_slow(u32 order, u32 flags)
{
    struct cpu_frames *frames = &cpu_frames[cpu_id()];
    u64 reserve = reserve_for(flags);
    struct page *page;

    if (order >= NR_PAGE_ORDERS) {
        return NULL;
    }
    do {
        bool has_frames = order == 0 && refill(frames, reserve);

        page = has_frames ? chain_pop(&frames->current) : pool_take(order, reserve);
    } while (page == NULL && frame_pool_wake());
    if (page == NULL) {
        page = take_from_caches(order, reserve);
    }
    while (page == NULL && (flags & ALLOC_ATOMIC) == 0 && reclaim_frames != NULL &&
           reclaim_frames()) {
        page = take_from_caches(order, reserve);
    }
    if (page != NULL) {
        prepare_page(page, order, flags);
    }
    return page;
}

void frames_set_reclaim(bool (*reclaim)(void))
{
    reclaim_frames = reclaim;
}

static void cpu_drain(struct cpu_frames *frames)
{
    spin_lock(&frame_pool.lock);
    chain_free(&frames->current);
    chain_free(&frames->other);
    chain_free(&frames->zeroed);
    spin_unlock(&frame_pool.lock);
}

void frames_drain(void)
{
    cpu_drain(&cpu_frames[cpu_id()]);
    while (depot_drain_one()) {}
}

/* --- counting ----------------------------------------------------------------------------------
 */

u64 frames_free_count(void)
{
    u64 count = pool_available() + READ_ONCE(frame_pool.nr_dormant);

    for (u32 cpu = 0; cpu < MAX_CPUS; cpu++) {
        const struct cpu_frames *frames = &cpu_frames[cpu];

        count += READ_ONCE(frames->current.count) + READ_ONCE(frames->other.count) +
                 READ_ONCE(frames->zeroed.count);
    }
    return count;
}

u64 frames_total_count(void)
{
    return frame_pool.nr_total;
}

bool frames_are_low(void)
{
    return pool_available() + READ_ONCE(frame_pool.nr_dormant) < frame_pool.reserve;
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
           mem_counter_read(MEM_KERNEL_TABLES) - mem_counter_read(MEM_STRUCT_PAGES) -
           mem_counter_read(MEM_STACK_CACHE) - mem_counter_read(MEM_SHADOW);
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
